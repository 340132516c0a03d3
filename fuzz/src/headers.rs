//! What an answer's headers say about limits. The first line is a status and our clock in seconds since 1970, the others
//! are headers.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::Budget;
use ringcentral_exporter::ringcentral::rate_limit::headers::Notice;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Only what can be true is believed, and a penalty is obeyed and ends.
pub fn check(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some((status, now)) = lines.next().and_then(first_line) else {
        return;
    };
    let notice = Notice::read(status, &lines.filter_map(header).collect(), now);
    assert_believable(&notice);
    assert_obeyed(
        &notice,
        Moment {
            wall: now,
            ..Moment::now()
        },
    );
}

/// Headers of these lines, as far as they are headers.
pub fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    Some((
        HeaderName::from_bytes(name).ok()?,
        HeaderValue::from_bytes(value.trim_ascii()).ok()?,
    ))
}

fn first_line(line: &[u8]) -> Option<(u16, Timestamp)> {
    let (status, seconds) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((
        status.parse().ok()?,
        Timestamp::from_second(seconds.trim().parse().ok()?).ok()?,
    ))
}

fn assert_believable(notice: &Notice) {
    assert!(
        notice
            .limit
            .is_none_or(|limit| (1..=1_000_000).contains(&limit))
    );
    assert!(
        notice
            .window
            .is_none_or(|window| (SECOND..=3600 * SECOND).contains(&window))
    );
    assert!(
        notice
            .retry_after
            .is_none_or(|wait| (SECOND..=DAY).contains(&wait))
    );
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    let group = notice.group.as_deref().unwrap_or("heavy");
    assert!((1..=32).contains(&group.len()) && group.bytes().all(fits));
}

/// Nothing leaves before a penalty has ended, and it ends.
fn assert_obeyed(notice: &Notice, now: Moment) {
    for operation in Operation::ALL {
        let mut budget = Budget::new(Duration::ZERO);
        budget.sent(operation, now);
        budget.answered(operation, Some(notice), now);
        let wait = budget.request_at(operation, now).since(now);
        if notice.status == 429 {
            assert!(
                wait >= notice.retry_after.unwrap_or(30 * SECOND),
                "a request inside a penalty"
            );
        }
        assert!(wait <= DAY + 3601 * SECOND, "a wait without end");
        assert!(budget.walk_at(now).since(now) >= wait || operation != Operation::ActiveCalls);
    }
}

/// A map of headers, in which one may stand several times.
pub fn map(lines: &[&[u8]]) -> HeaderMap {
    lines.iter().filter_map(|line| header(line)).collect()
}
