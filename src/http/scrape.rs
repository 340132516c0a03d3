//! Asking the accounts that a scrape is about.
//!
//! Owns: how many are asked at once, and that the end of the scrape ends the waiting. What each knows then is what is
//! shown. Refuses to know: what an observer does when it is asked.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::account::collector::Handle;
use crate::account::manager::ObservedAccount;

/// So many fetches side by side keep a hundred accounts within Prometheus' patience, and the pages that one scrape has
/// read at once within a small machine's memory.
const SIDE_BY_SIDE: usize = 16;
/// An account that takes longer is waited for, but its place is given to the next: one that hangs stands in nobody's way.
const PLACE_KEPT: Duration = Duration::from_secs(1);
/// Or, where a scrape is short, this part of it: so a hundred and more come to be asked however slow they all are.
const PLACE_SHARE: u32 = 8;

/// Asks them all, and returns when all have answered, or at the end, which comes after `time`. Their order is by lot:
/// where not all can be asked in time, nobody is always the last.
pub async fn ask(accounts: &[&ObservedAccount], time: Duration, end: impl Future<Output = ()>) {
    let places = Semaphore::new(SIDE_BY_SIDE);
    let kept = PLACE_KEPT.min(time / PLACE_SHARE);
    let mut observers: Vec<_> = accounts
        .iter()
        .map(|account| account.observer.clone())
        .collect();
    fastrand::shuffle(&mut observers);
    let asked: FuturesUnordered<_> = observers
        .into_iter()
        .map(|observer| ask_one(observer, &places, kept))
        .collect();
    let mut asked = pin!(asked.take_until(end));
    while asked.next().await.is_some() {}
}

async fn ask_one(observer: Handle, places: &Semaphore, kept: Duration) {
    let place = places.acquire().await;
    let mut answer = pin!(observer.ask());
    if timeout(kept, &mut answer).await.is_err() {
        drop(place);
        answer.await;
    }
}
