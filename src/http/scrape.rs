//! Asking the accounts that a scrape is about.
//!
//! Owns: how many are asked at once, in which order, and that the end of the scrape ends the waiting. What each knows
//! then is what is shown. Refuses to know: what an observer does when it is asked.

use std::future::Future;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream;

use crate::observer::Handle;
use crate::roster::ObservedAccount;

/// So many fetches side by side keep a hundred accounts within Prometheus' patience, and the pages that are read at once
/// within a small machine's memory.
const SIDE_BY_SIDE: usize = 16;

/// Asks them all, and returns when all have answered, or at the end.
pub async fn ask(accounts: &[&ObservedAccount], end: impl Future<Output = ()>) {
    let asks = stream::iter(in_order(accounts)).map(|observer| observer.ask());
    let mut answers = pin!(asks.buffer_unordered(SIDE_BY_SIDE).take_until(end));
    while answers.next().await.is_some() {}
}

/// Those that were well come first, since one that hangs keeps its place to the end; what an earlier scrape still waits for
/// may be hanging. The others take turns by lot: none waits for ever behind the same sixteen.
fn in_order(accounts: &[&ObservedAccount]) -> Vec<Handle> {
    let mut order: Vec<_> = accounts.iter().map(|account| account.observer.clone()).collect();
    fastrand::shuffle(&mut order);
    order.sort_by_cached_key(|observer| match &observer.latest().fetch {
        _ if observer.is_busy() => 2,
        Some(fetch) if fetch.failure.is_none() => 0,
        None => 1,
        Some(_) => 2,
    });
    order
}
