//! The headers `X-Rate-Limit-*` and `Retry-After` of a response. Pure.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Limits outside these bounds are ignored.
pub(super) const VALID_LIMITS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// Windows outside these bounds, in seconds, are ignored.
pub(super) const VALID_WINDOW_SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;
/// The longest `Retry-After` that is obeyed; longer ones are cut to it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The maximum length of a group's name; longer ones are cut.
const MAX_GROUP_LEN: usize = 32;

/// The parts of a response that the budget depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateLimitHeaders {
    /// HTTP status.
    pub status: u16,
    /// `X-Rate-Limit-Group`, in lower case.
    pub group: Option<String>,
    /// `X-Rate-Limit-Limit`: requests per window.
    pub limit: Option<u32>,
    /// `X-Rate-Limit-Remaining`: requests left in the window.
    pub remaining: Option<u32>,
    /// `X-Rate-Limit-Window`: length of the window.
    pub window: Option<Duration>,
    /// `Retry-After`, at least 1 s and at most 24 h.
    pub retry_after: Option<Duration>,
}

impl RateLimitHeaders {
    /// Parses the headers; invalid values count as absent. `now` is used for a `Retry-After` date if the response
    /// has no `Date`.
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

/// Returns the name in lower case, with only the characters that are safe in a label value.
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

/// Parses `Retry-After` as seconds or as a date. A date is compared with the server's own `Date`, so that a
/// difference between the clocks does not matter.
fn retry_after(value: &str, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = http_date(value)?;
            let server_now = header_str(headers, DATE.as_str())
                .and_then(http_date)
                .unwrap_or(now);
            let wait = Duration::try_from(until.duration_since(server_now)).unwrap_or_default();
            // Dates have no fractions of a second, so up to 1 s may be missing.
            wait + Duration::from_secs(1)
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

    fn parse(headers: &[(&'static str, &str)]) -> RateLimitHeaders {
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
    fn header_names_are_case_insensitive() {
        let limits = parse(&[
            ("X-Rate-Limit-Group", "Heavy"),
            ("X-RATE-LIMIT-LIMIT", "10"),
            ("x-rate-limit-remaining", "0"),
            ("X-Rate-Limit-Window", "60"),
        ]);
        assert_eq!(limits.group.as_deref(), Some("heavy"));
        assert_eq!((limits.limit, limits.remaining), (Some(10), Some(0)));
        assert_eq!(limits.window, Some(Duration::from_secs(60)));
    }

    #[test]
    fn out_of_range_limits_and_windows_are_ignored() {
        for (limit, window) in [
            ("0", "0"),
            ("1000001", "3601"),
            ("-1", "-1"),
            ("many", "long"),
            ("", ""),
        ] {
            let limits = parse(&[
                ("x-rate-limit-limit", limit),
                ("x-rate-limit-window", window),
            ]);
            assert_eq!(
                (limits.limit, limits.window),
                (None, None),
                "{limit} {window}"
            );
        }
    }

    #[test]
    fn group_name_is_sanitized() {
        assert_eq!(
            parse(&[("x-rate-limit-group", "he\"avy {x}")])
                .group
                .as_deref(),
            Some("heavyx")
        );
        assert_eq!(parse(&[("x-rate-limit-group", "  ")]).group, None);
    }

    #[test]
    fn retry_after_is_seconds_or_date_within_bounds() {
        let wait = |value: &str| {
            parse(&[("retry-after", value)])
                .retry_after
                .map(|wait| wait.as_secs())
        };
        assert_eq!(wait("17"), Some(17));
        assert_eq!(
            wait("0"),
            Some(1),
            "a request without a wait would restart the penalty"
        );
        assert_eq!(wait("9999999"), Some(86_400));
        assert_eq!(wait("Tue, 24 Nov 2026 10:00:30 GMT"), Some(31));
        assert_eq!(wait("Tue, 24 Nov 2026 09:00:00 GMT"), Some(1));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
    }

    #[test]
    fn retry_after_date_is_relative_to_server_date() {
        let limits = parse(&[
            ("date", "Tue, 24 Nov 2026 12:00:00 GMT"),
            ("retry-after", "Tue, 24 Nov 2026 12:00:45 GMT"),
        ]);
        assert_eq!(limits.retry_after, Some(Duration::from_secs(46)));
    }
}
