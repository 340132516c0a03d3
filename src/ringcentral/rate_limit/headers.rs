//! What an answer says about limits: **pure**.
//!
//! Owns: reading the headers `X-Rate-Limit-*` and `Retry-After`, and which of their values are to be believed.
//! Refuses to know: what follows from them (`budget`).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// A limit outside these bounds is a mistake, and ignored.
const VALID_LIMITS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// A window outside these bounds, in seconds, is ignored.
const VALID_WINDOW_SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;
/// The longest wait that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest group name that is shown.
const MAX_GROUP_LEN: usize = 32;

/// The part of an answer that the budget has to hear.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateLimitHeaders {
    /// HTTP status.
    pub status: u16,
    /// `X-Rate-Limit-Group`, in lower case.
    pub group: Option<String>,
    /// `X-Rate-Limit-Limit`: requests in a window.
    pub limit: Option<u32>,
    /// `X-Rate-Limit-Remaining`.
    pub remaining: Option<u32>,
    /// `X-Rate-Limit-Window`.
    pub window: Option<Duration>,
    /// `Retry-After`, at least a second and at most a day.
    pub retry_after: Option<Duration>,
}

impl RateLimitHeaders {
    /// Reads what can be believed; `now` is our clock, for a date without the server's own.
    #[must_use]
    pub fn parse(status: u16, headers: &HeaderMap, now: Timestamp) -> Self {
        let window = header_u32(headers, "x-rate-limit-window")
            .filter(|window| VALID_WINDOW_SECONDS.contains(window));
        Self {
            status,
            group: header_str(headers, "x-rate-limit-group").and_then(group_name),
            limit: header_u32(headers, "x-rate-limit-limit")
                .filter(|limit| VALID_LIMITS.contains(limit)),
            remaining: header_u32(headers, "x-rate-limit-remaining"),
            window: window.map(|seconds| Duration::from_secs(seconds.into())),
            retry_after: header_str(headers, RETRY_AFTER.as_str())
                .and_then(|value| retry_after(value, headers, now)),
        }
    }
}

fn header_str<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn header_u32(headers: &HeaderMap, name: &str) -> Option<u32> {
    header_str(headers, name)?.parse().ok()
}

/// The name becomes a label, so it is made harmless first.
fn group_name(value: &str) -> Option<String> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name: String = value
        .to_ascii_lowercase()
        .chars()
        .filter(allowed)
        .take(MAX_GROUP_LEN)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Seconds, or a date against the server's own clock where it tells it, so that a skew between us costs nothing.
fn retry_after(value: &str, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = http_date(value)?;
            let server_now = header_str(headers, DATE.as_str())
                .and_then(http_date)
                .unwrap_or(now);
            // Dates have no fractions of a second.
            Duration::try_from(until.duration_since(server_now)).unwrap_or(Duration::ZERO)
                + Duration::from_secs(1)
        }
    };
    Some(wait.clamp(Duration::from_secs(1), MAX_RETRY_AFTER))
}

fn http_date(value: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> RateLimitHeaders {
        let entries = headers.iter().map(|(name, value)| {
            (
                name.parse::<reqwest::header::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )
        });
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        RateLimitHeaders::parse(429, &entries.collect(), now)
    }

    #[test]
    fn the_four_headers_are_read_whatever_their_case() {
        let notice = read(&[
            ("X-Rate-Limit-Group", "Heavy"),
            ("X-RATE-LIMIT-LIMIT", "10"),
            ("x-rate-limit-remaining", "0"),
            ("X-Rate-Limit-Window", "60"),
        ]);
        assert_eq!(notice.group.as_deref(), Some("heavy"));
        assert_eq!((notice.limit, notice.remaining), (Some(10), Some(0)));
        assert_eq!(notice.window, Some(Duration::from_secs(60)));
    }

    #[test]
    fn absurd_limits_and_windows_are_not_believed() {
        for (limit, window) in [
            ("0", "0"),
            ("1000001", "3601"),
            ("-1", "-1"),
            ("many", "long"),
            ("", ""),
        ] {
            let notice = read(&[
                ("x-rate-limit-limit", limit),
                ("x-rate-limit-window", window),
            ]);
            assert_eq!(
                (notice.limit, notice.window),
                (None, None),
                "{limit} {window}"
            );
        }
    }

    #[test]
    fn a_group_name_is_made_harmless() {
        assert_eq!(
            read(&[("x-rate-limit-group", "he\"avy {x}")])
                .group
                .as_deref(),
            Some("heavyx")
        );
        assert_eq!(read(&[("x-rate-limit-group", "  ")]).group, None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let wait = |value: &str| {
            read(&[("retry-after", value)])
                .retry_after
                .map(|wait| wait.as_secs())
        };
        assert_eq!(wait("17"), Some(17));
        assert_eq!(wait("0"), Some(1), "at once would restart the penalty");
        assert_eq!(wait("9999999"), Some(86_400));
        assert_eq!(wait("Tue, 24 Nov 2026 10:00:30 GMT"), Some(31));
        assert_eq!(wait("Tue, 24 Nov 2026 09:00:00 GMT"), Some(1));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
    }

    #[test]
    fn a_date_counts_from_the_servers_own_clock() {
        let notice = read(&[
            ("date", "Tue, 24 Nov 2026 12:00:00 GMT"),
            ("retry-after", "Tue, 24 Nov 2026 12:00:45 GMT"),
        ]);
        assert_eq!(notice.retry_after, Some(Duration::from_secs(46)));
    }
}
