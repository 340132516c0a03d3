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

use crate::account::collector::CollectorHandle;
use crate::account::manager::AccountHandle;

/// So many fetches side by side keep a hundred accounts within Prometheus' patience, and the pages that one scrape has
/// read at once within a small machine's memory.
const MAX_CONCURRENT_FETCHES: usize = 16;
/// An account that takes longer is waited for, but its place is given to the next: one that hangs stands in nobody's way.
const MAX_PERMIT_HOLD: Duration = Duration::from_secs(1);
/// Or, where a scrape is short, this part of it: so a hundred and more come to be asked however slow they all are.
const PERMIT_HOLD_DIVISOR: u32 = 8;

/// Asks them all, and returns when all have answered, or at the end, which comes after `time`. Their order is by lot:
/// where not all can be asked in time, nobody is always the last.
pub async fn refresh_all(
    accounts: &[&AccountHandle],
    time: Duration,
    end: impl Future<Output = ()>,
) {
    let places = Semaphore::new(MAX_CONCURRENT_FETCHES);
    let kept = MAX_PERMIT_HOLD.min(time / PERMIT_HOLD_DIVISOR);
    let mut observers: Vec<_> = accounts
        .iter()
        .map(|account| account.collector.clone())
        .collect();
    fastrand::shuffle(&mut observers);
    let asked: FuturesUnordered<_> = observers
        .into_iter()
        .map(|observer| refresh_one(observer, &places, kept))
        .collect();
    let mut asked = pin!(asked.take_until(end));
    while asked.next().await.is_some() {}
}

async fn refresh_one(observer: CollectorHandle, places: &Semaphore, kept: Duration) {
    let place = places.acquire().await;
    let mut answer = pin!(observer.refresh());
    if timeout(kept, &mut answer).await.is_err() {
        drop(place);
        answer.await;
    }
}
