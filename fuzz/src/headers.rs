//! The rate limit headers of a response. The first line of an input is a status and the wall time
//! in seconds since 1970, the other lines are headers.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::Budget;
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The minimum wait after a 429 without `Retry-After`.
const MIN_PENALTY: Duration = Duration::from_secs(60);
/// The longest `Retry-After` and the longest window, which has a margin of one second.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60 + 1);

/// Checks that values are in bounds, and that the budget obeys a penalty, which ends.
pub fn check(data: &[u8]) {
    let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let Some((status, wall)) = parse_first_line(lines[0]) else {
        return;
    };
    let headers = RateLimitHeaders::parse(status, &header_map(&lines[1..]), wall);
    assert_in_bounds(&headers);
    let now = Moment {
        wall,
        ..Moment::now()
    };
    for operation in Operation::ALL {
        assert_obeyed(operation, &headers, now);
    }
}

/// Returns the headers in these lines, without those that are invalid.
pub fn header_map(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Some((name, value)) = parse_header(line) {
            headers.append(name, value);
        }
    }
    headers
}

fn parse_header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((name, value))
}

fn parse_first_line(line: &[u8]) -> Option<(u16, Timestamp)> {
    let (status, seconds) = str::from_utf8(line).ok()?.split_once(' ')?;
    let wall = Timestamp::from_second(seconds.trim().parse().ok()?).ok()?;
    Some((status.parse().ok()?, wall))
}

fn assert_in_bounds(headers: &RateLimitHeaders) {
    if let Some(limit) = headers.limit {
        assert!((1..=1_000_000).contains(&limit));
    }
    if let Some(window) = headers.window {
        assert!((SECOND..=DAY).contains(&window));
    }
    if let Some(wait) = headers.retry_after {
        assert!((SECOND..=DAY).contains(&wait));
    }
    if let Some(group) = &headers.group {
        let is_valid =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        assert!((1..=32).contains(&group.len()) && group.bytes().all(is_valid));
    }
}

/// Asserts that no request is allowed before the end of a penalty, and that every wait ends.
fn assert_obeyed(operation: Operation, headers: &RateLimitHeaders, now: Moment) {
    let mut budget = Budget::new(Duration::ZERO);
    assert!(budget.try_request(operation, now));
    budget.record_response(operation, Some(headers), now);
    let wait = budget
        .next_request_at(operation, now)
        .saturating_duration_since(now);
    if headers.status == 429 {
        let penalty = headers.retry_after.unwrap_or(MIN_PENALTY);
        assert!(wait >= penalty, "a request is allowed during a penalty");
    }
    assert!(wait <= MAX_WAIT, "a wait of {wait:?}");
    if operation == Operation::ActiveCalls {
        let fetch_wait = budget.next_fetch_at(now).saturating_duration_since(now);
        assert!(fetch_wait >= wait, "a fetch is allowed before a request");
    }
}
