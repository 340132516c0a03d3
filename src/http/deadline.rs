//! When a scrape must be answered: **pure**.
//!
//! Owns: Prometheus' header `X-Prometheus-Scrape-Timeout-Seconds` and what is made of it.

use std::time::Duration;

use hyper::HeaderMap;

/// Prometheus' own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT_SECONDS: f64 = 60.0;

/// How long a scrape may take: what Prometheus allows less `offset`, or half of it where that leaves nothing. A header
/// that is no number above 0 and at most 60, or stands there twice, counts as none.
#[must_use]
pub fn scrape_timeout(headers: &HeaderMap, offset: Duration) -> Duration {
    let allowed = header_timeout(headers).unwrap_or(DEFAULT_TIMEOUT);
    match allowed.checked_sub(offset) {
        Some(left) if !left.is_zero() => left,
        _ => allowed / 2,
    }
}

fn header_timeout(headers: &HeaderMap) -> Option<Duration> {
    let mut values = headers
        .get_all("x-prometheus-scrape-timeout-seconds")
        .iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let seconds: f64 = value.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: Duration = Duration::from_millis(500);

    fn seconds(values: &[&str]) -> f64 {
        let name = hyper::header::HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
        let headers = values
            .iter()
            .map(|value| (name.clone(), value.parse().unwrap()))
            .collect();
        scrape_timeout(&headers, OFFSET).as_secs_f64()
    }

    #[test]
    fn the_answer_comes_an_offset_before_prometheus_gives_up() {
        assert_eq!(seconds(&["10"]), 9.5);
        assert_eq!(seconds(&["2.5"]), 2.0);
        assert_eq!(seconds(&["60"]), 59.5);
    }

    #[test]
    fn where_the_offset_leaves_nothing_half_is_left() {
        assert_eq!(seconds(&["0.5"]), 0.25);
        assert_eq!(seconds(&["0.1"]), 0.05);
    }

    #[test]
    fn an_absurd_header_counts_as_none() {
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
