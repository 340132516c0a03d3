//! Times in words: **pure**.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Moment, unix_seconds};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `4 s`, `12 min`, `30 h`, `29 days`: always two digits' worth, never two units.
pub fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds} s"),
        seconds if seconds < 2 * HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} days", seconds / DAY),
    }
}

/// When a JWT ends.
pub fn end_of_jwt(end: Option<f64>, now: Moment) -> String {
    let Some(end) = end else {
        return "names no end".to_owned();
    };
    let left = Duration::try_from_secs_f64(end - unix_seconds(now.wall));
    let date = Timestamp::from_second(end as i64)
        .map(|end| end.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default();
    match left {
        Ok(left) => format!("ends on {date}, in {}", words(left)),
        Err(_) => format!("ended on {date}"),
    }
}
