//! The headers `X-Rate-Limit-*` and `Retry-After` of a response. Pure.
//!
//! A header may be given several times, as a list, or in another spelling. What is not understood never allows more
//! requests: of several values the one that allows the fewest counts, and a value that cannot be parsed is reported as
//! [`Unreadable`] or, for the remaining requests, counts as 0.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Limits outside these bounds count as unreadable.
pub(super) const VALID_LIMITS: RangeInclusive<u32> = 1..=1_000_000;
/// Windows outside these bounds, in seconds, count as unreadable.
pub(super) const VALID_WINDOW_SECONDS: RangeInclusive<u32> = 1..=86_400;
/// The longest `Retry-After` that is obeyed; longer ones are cut to it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The maximum length of a group's name; longer ones are cut.
const MAX_GROUP_LEN: usize = 32;
/// The spellings of the first part of the names: RingCentral's, and those that gateways use.
const PREFIXES: [&str; 3] = ["x-rate-limit-", "x-ratelimit-", "ratelimit-"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The parts of a response that the budget depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateLimitHeaders {
    /// HTTP status.
    pub status: u16,
    /// `X-Rate-Limit-Group`, in lower case. `None` also if different groups are named.
    pub group: Option<String>,
    /// `X-Rate-Limit-Limit`: requests per window, the smallest value.
    pub limit: Option<u32>,
    /// `X-Rate-Limit-Remaining`: requests left in the window, the smallest value; 0 if it cannot be parsed.
    pub remaining: Option<u32>,
    /// `X-Rate-Limit-Window`: length of the window in whole seconds, the largest value.
    pub window: Option<Duration>,
    /// `Retry-After`, the largest value: at least 1 s, at most 24 h, in whole seconds.
    pub retry_after: Option<Duration>,
    /// The headers with a value that is not understood.
    pub unreadable: Unreadable,
}

/// The headers with a value that cannot be parsed or is outside the valid bounds. Another value of the same header may
/// be valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// The limit.
    pub limit: bool,
    /// The window.
    pub window: bool,
    /// `Retry-After`.
    pub retry_after: bool,
}

impl RateLimitHeaders {
    /// Parses the headers. `now` is used for a `Retry-After` date if the response has no `Date`.
    #[must_use]
    pub fn parse(status: u16, headers: &HeaderMap, now: Timestamp) -> Self {
        let mut parsed = Self {
            status,
            group: group_name(&rate_limit_values(headers, "group")),
            ..Self::default()
        };
        for value in rate_limit_values(headers, "limit") {
            parsed.add_limit(&value);
        }
        for value in rate_limit_values(headers, "remaining") {
            // A cast to an integer saturates.
            let requests = parse_number(&value).unwrap_or_default() as u32;
            parsed.remaining = Some(
                parsed
                    .remaining
                    .map_or(requests, |least| least.min(requests)),
            );
        }
        for value in rate_limit_values(headers, "window") {
            parsed.add_window(&value);
        }
        for value in header_values(headers, RETRY_AFTER.as_str()) {
            parsed.add_retry_after(&value, headers, now);
        }
        parsed
    }

    fn add_limit(&mut self, value: &str) {
        match parse_number(value).map(|limit| limit as u32) {
            Some(limit) if VALID_LIMITS.contains(&limit) => {
                self.limit = Some(self.limit.map_or(limit, |least| least.min(limit)));
            }
            _ => self.unreadable.limit = true,
        }
    }

    fn add_window(&mut self, value: &str) {
        match parse_number(value).map(|seconds| seconds.ceil() as u32) {
            Some(seconds) if VALID_WINDOW_SECONDS.contains(&seconds) => {
                self.window = self.window.max(Some(Duration::from_secs(seconds.into())));
            }
            _ => self.unreadable.window = true,
        }
    }

    /// Adds a `Retry-After` in seconds or as a date. A date is compared with the server's own `Date`, so that a
    /// difference between the clocks does not matter.
    fn add_retry_after(&mut self, value: &str, headers: &HeaderMap, now: Timestamp) {
        if is_weekday(value) {
            // The rest of the date is the next element of the list.
            return;
        }
        if let Some(seconds) = parse_number(value).filter(|seconds| *seconds >= 0.0) {
            self.add_wait(seconds);
        } else if let Some(until) = parse_date(value) {
            let server_now = server_date(headers);
            let wait = until.duration_since(server_now.unwrap_or(now));
            // Dates have no fractions of a second, so up to 1 s may be missing.
            self.add_wait(wait.as_secs_f64() + 1.0);
            // Without the server's clock, a date in the past may be one of a clock that is slow.
            self.unreadable.retry_after |= wait.is_negative() && server_now.is_none();
        } else {
            self.unreadable.retry_after = true;
            // "90 s" or "90 seconds" is not standard, but 90 s are the least that is meant.
            let digits = value
                .split(|c: char| !c.is_ascii_digit() && c != '.')
                .next();
            if let Some(seconds) = digits.and_then(parse_number) {
                self.add_wait(seconds);
            }
        }
    }

    fn add_wait(&mut self, seconds: f64) {
        let seconds = seconds.ceil().clamp(1.0, MAX_RETRY_AFTER.as_secs_f64());
        let wait = Duration::from_secs(seconds as u64);
        self.retry_after = self.retry_after.max(Some(wait));
    }
}

/// Returns the values of a rate limit header in all spellings.
fn rate_limit_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for prefix in PREFIXES {
        values.extend(header_values(headers, &format!("{prefix}{name}")));
    }
    values
}

/// Returns the values of all lines of a header, which may be lists. A line without a value gives an empty one.
fn header_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for line in headers.get_all(name) {
        let line = String::from_utf8_lossy(line.as_bytes());
        let before = values.len();
        for element in line.split(',') {
            // Parameters as in `10;w=60` follow the value.
            let value = element.split(';').next().unwrap_or_default();
            let value = value.trim_matches(|c: char| c.is_whitespace() || c == '"');
            if !value.is_empty() {
                values.push(value.to_owned());
            }
        }
        if values.len() == before {
            values.push(String::new());
        }
    }
    values
}

/// Parses a number as people write it: no `inf`, no `nan`.
fn parse_number(value: &str) -> Option<f64> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if !value.as_bytes().iter().all(is_digit) {
        return None;
    }
    value.parse().ok()
}

/// Returns the only name, in lower case, with only the characters that are safe in a label value. `None` if the values
/// have several names or none.
fn group_name(values: &[String]) -> Option<String> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut only_name = None;
    for value in values {
        let lower_case = value.to_ascii_lowercase();
        let name: String = lower_case
            .chars()
            .filter(allowed)
            .take(MAX_GROUP_LEN)
            .collect();
        if name.is_empty() || only_name.as_ref() == Some(&name) {
            continue;
        }
        if only_name.is_some() {
            return None;
        }
        only_name = Some(name);
    }
    only_name
}

fn server_date(headers: &HeaderMap) -> Option<Timestamp> {
    parse_date(&String::from_utf8_lossy(headers.get(DATE)?.as_bytes()))
}

fn is_weekday(word: &str) -> bool {
    let start = word.get(..3).unwrap_or_default().to_ascii_lowercase();
    WEEKDAYS.contains(&start.as_str()) && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Parses a date in the three forms of HTTP, each with any offset from UTC, or in that of RFC 3339. The weekday, which
/// may be wrong, is not read.
fn parse_date(text: &str) -> Option<Timestamp> {
    let mut words: Vec<&str> = text.split([' ', ',']).collect();
    words.retain(|word| !word.is_empty() && !is_weekday(word));
    if let Some(zone) = words.last_mut()
        && ["GMT", "UTC", "UT", "Z"]
            .iter()
            .any(|name| zone.eq_ignore_ascii_case(name))
    {
        *zone = "+0000";
    }
    let text = words.join(" ");
    if let Ok(date) = text.parse() {
        return Some(date);
    }
    if let Ok(date) = rfc2822::parse(&text) {
        return Some(date.timestamp());
    }
    // Without an offset, as in the form of asctime, a date is in UTC.
    for (format, text) in [
        ("%d-%b-%y %H:%M:%S %z", &text),
        ("%d-%b-%Y %H:%M:%S %z", &text),
        ("%b %d %H:%M:%S %Y %z", &format!("{text} +0000")),
    ] {
        if let Ok(date) = strtime::parse(format, text) {
            return date.to_timestamp().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn parse(headers: &[(&'static str, &str)]) -> RateLimitHeaders {
        let entries = headers.iter().map(|(name, value)| {
            (
                name.parse::<reqwest::header::HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
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
            ("1000001", "86401"),
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
            let unreadable = limits.unreadable;
            assert!(unreadable.limit && unreadable.window, "{limit} {window}");
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

    #[test]
    fn retry_after_in_any_form_is_never_read_as_less() {
        for (value, seconds) in [
            ("90.5", 91),
            ("90, 90", 90),
            ("30,90", 90),
            (", 90", 90),
            ("\"90\"", 90),
            ("90;comment", 90),
            ("1e2", 100),
            ("+90", 90),
            ("100000000000000000000000", 86_400),
            ("1e400", 86_400),
            ("Tue, 24 Nov 2026 10:00:30 +0000", 31),
            ("Tue, 24 Nov 2026 10:00:30 UTC", 31),
            ("Tue, 24 Nov 2026 12:00:30 +0200", 31),
            ("Tue, 24 Nov 2026 05:00:30 -0500", 31),
            ("Wed, 24 Nov 2026 10:00:30 GMT", 31),
            ("Tuesday, 24-Nov-26 10:00:30 GMT", 31),
            ("Tuesday, 24-Nov-2026 10:00:30 +0000", 31),
            ("Tue Nov 24 10:00:30 2026", 31),
            ("2026-11-24T10:00:30Z", 31),
            ("2026-11-24T12:00:30+02:00", 31),
            ("Tue, 24 Nov 2026 10:00:30 GMT, 90", 90),
            ("90, Tue, 24 Nov 2026 10:00:30 GMT", 90),
        ] {
            let limits = parse(&[("retry-after", value)]);
            let wait = limits.retry_after.map(|wait| wait.as_secs());
            assert_eq!(wait, Some(seconds), "{value}");
            assert!(!limits.unreadable.retry_after, "{value}");
        }
        let single_digit = parse(&[
            ("date", "Sun Nov  1 08:49:37 2026"),
            ("retry-after", "Sun Nov  1 08:49:47 2026"),
        ]);
        assert_eq!(single_digit.retry_after, Some(Duration::from_secs(11)));
    }

    #[test]
    fn unreadable_retry_after_is_reported_as_such() {
        for (value, seconds) in [
            ("", None),
            ("soon", None),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("\u{ff}\u{fe}", None),
            ("Tue, 31 Feb 2026 10:00:30 GMT", Some(31)),
            ("90 s", Some(90)),
            ("90s, 5", Some(90)),
            ("soon, 90", Some(90)),
            ("Tue, 24 Nov 2026 09:59:59 GMT", Some(1)),
        ] {
            let limits = parse(&[("retry-after", value)]);
            let wait = limits.retry_after.map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{value}");
            assert!(limits.unreadable.retry_after, "{value}");
        }
    }

    #[test]
    fn bytes_outside_utf8_are_unreadable() {
        let mut headers = HeaderMap::new();
        for name in [
            "retry-after",
            "x-rate-limit-limit",
            "x-rate-limit-remaining",
        ] {
            let value = HeaderValue::from_bytes(b"\xff\xfe90").unwrap();
            headers.insert(name, value);
        }
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let limits = RateLimitHeaders::parse(429, &headers, now);
        assert_eq!((limits.limit, limits.remaining), (None, Some(0)));
        assert_eq!(limits.retry_after, None);
        assert!(limits.unreadable.limit && limits.unreadable.retry_after);
    }

    #[test]
    fn of_several_header_lines_the_safest_value_counts() {
        let limits = parse(&[
            ("x-rate-limit-group", " Heavy "),
            ("x-ratelimit-group", "heavy"),
            ("x-rate-limit-limit", "100"),
            ("ratelimit-limit", "10, 50;w=60"),
            ("x-rate-limit-remaining", "999"),
            ("x-rate-limit-remaining", "0"),
            ("x-rate-limit-window", "5"),
            ("x-ratelimit-window", "59.5"),
            ("retry-after", "30"),
            ("retry-after", "90"),
        ]);
        assert_eq!(limits.group.as_deref(), Some("heavy"));
        assert_eq!((limits.limit, limits.remaining), (Some(10), Some(0)));
        assert_eq!(limits.window, Some(Duration::from_secs(60)));
        assert_eq!(limits.retry_after, Some(Duration::from_secs(90)));
        assert_eq!(limits.unreadable, Unreadable::default());
        let ambiguous = [("x-rate-limit-group", "heavy"), ("ratelimit-group", "auth")];
        assert_eq!(parse(&ambiguous).group, None);
    }

    #[test]
    fn remaining_is_rounded_down_and_unreadable_is_zero() {
        for (value, remaining) in [
            ("-1", 0),
            ("0.0", 0),
            ("3.7", 3),
            ("7, 3", 3),
            ("5, many", 0),
            ("many", 0),
            ("\u{ff}", 0),
            ("", 0),
            ("1e30", u32::MAX),
        ] {
            for name in [
                "x-rate-limit-remaining",
                "x-ratelimit-remaining",
                "ratelimit-remaining",
            ] {
                assert_eq!(
                    parse(&[(name, value)]).remaining,
                    Some(remaining),
                    "{value}"
                );
            }
        }
        assert_eq!(parse(&[]).remaining, None);
    }

    #[test]
    fn whole_floats_and_long_windows_are_read() {
        let limits = parse(&[
            ("x-rate-limit-limit", "20.0"),
            ("x-rate-limit-window", "86400.0"),
        ]);
        assert_eq!(limits.limit, Some(20));
        assert_eq!(limits.window, Some(Duration::from_secs(86_400)));
    }
}
