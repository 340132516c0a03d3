//! One scrape: its timeout, and the refresh of its accounts.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::HeaderMap;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::account::collector::CollectorHandle;
use crate::account::manager::AccountHandle;
use crate::web::single_header;

const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// Prometheus' own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT_SECONDS: f64 = 60.0;
/// Accounts of one scrape that may be within their first `MAX_PERMIT_HOLD` of a refresh; slower
/// ones continue without a permit. With 16, 100 accounts are refreshed within Prometheus' default
/// timeout, and the pages that are read concurrently fit into the memory of a small machine.
const MAX_CONCURRENT_STARTS: usize = 16;
/// Maximum time for which an account holds its permit, so that slow accounts do not delay the
/// others. The scrape waits for the account after that, too.
const MAX_PERMIT_HOLD: Duration = Duration::from_secs(1);
/// Divisor of the scrape's timeout: the maximum hold in a short scrape. 8 × 16 accounts can start
/// even if all are slow.
const PERMIT_HOLD_DIVISOR: u32 = 8;

/// Returns how long a scrape may take: Prometheus' timeout minus `offset`, or half of it if nothing
/// would be left. A header that is repeated, or is not a number above 0 and at most 60, is ignored.
#[must_use]
pub fn scrape_timeout(headers: &HeaderMap, offset: Duration) -> Duration {
    let timeout = header_timeout(headers).unwrap_or(DEFAULT_TIMEOUT);
    if timeout > offset {
        timeout - offset
    } else {
        timeout / 2
    }
}

fn header_timeout(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = single_header(headers, TIMEOUT_HEADER)?
        .trim()
        .parse()
        .ok()?;
    let valid = seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS;
    valid.then(|| Duration::from_secs_f64(seconds))
}

/// Refreshes the accounts concurrently. Returns when all have finished, or when `deadline`
/// completes, which is after `timeout` at the latest. The order is random, so that no account is
/// always the last where time does not suffice.
pub(crate) async fn refresh_all(
    accounts: &[&AccountHandle],
    timeout: Duration,
    deadline: impl Future<Output = ()>,
) {
    let permits = Semaphore::new(MAX_CONCURRENT_STARTS);
    let max_hold = MAX_PERMIT_HOLD.min(timeout / PERMIT_HOLD_DIVISOR);
    let mut accounts = accounts.to_vec();
    fastrand::shuffle(&mut accounts);
    let refreshes = FuturesUnordered::new();
    for account in accounts {
        refreshes.push(refresh_one(account.collector.clone(), &permits, max_hold));
    }
    let mut refreshes = pin!(refreshes.take_until(deadline));
    while refreshes.next().await.is_some() {}
}

async fn refresh_one(collector: CollectorHandle, permits: &Semaphore, max_hold: Duration) {
    let permit = permits.acquire().await;
    let mut refresh = pin!(collector.refresh());
    if timeout(max_hold, &mut refresh).await.is_err() {
        drop(permit);
        refresh.await;
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    const OFFSET: Duration = Duration::from_millis(500);

    fn seconds(values: &[&str]) -> f64 {
        let name = HeaderName::from_static(TIMEOUT_HEADER);
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        scrape_timeout(&headers, OFFSET).as_secs_f64()
    }

    #[test]
    fn offset_is_subtracted_from_header_timeout() {
        assert_eq!(seconds(&["10"]), 9.5);
        assert_eq!(seconds(&["2.5"]), 2.0);
        assert_eq!(seconds(&["60"]), 59.5);
    }

    #[test]
    fn timeout_within_offset_is_halved() {
        assert_eq!(seconds(&["0.5"]), 0.25);
        assert_eq!(seconds(&["0.1"]), 0.05);
    }

    #[test]
    fn invalid_timeout_header_is_ignored() {
        for values in [
            &[] as &[_],
            &["0"],
            &["-1"],
            &["NaN"],
            &["inf"],
            &["1e9"],
            &["60.1"],
            &["ten"],
            &["5", "5"],
        ] {
            assert_eq!(seconds(values), 9.5, "{values:?}");
        }
    }
}
