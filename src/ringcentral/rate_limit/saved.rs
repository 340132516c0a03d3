//! The form in which the use of a rate limit is kept in the state directory. Pure.
//!
//! A file belongs to one user and app. It has a part for each process that has used the limit lately; a process
//! writes its own part and reads those of the others, of which some may have ended. Times are wall times in
//! milliseconds since 1970: the monotonic clock means nothing to another process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// No time in a file is later than this after the file was written: the longest penalty, and the longest window
/// after the longest fetch.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60 + 60);

/// The content of a file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SavedUsage {
    pub(crate) processes: Vec<SavedProcess>,
}

/// What one process has used, and which limits and penalties it knows of.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct SavedProcess {
    /// A random number that no other process has.
    pub(crate) id: u64,
    pub(crate) saved_at_ms: i64,
    /// Expected pages of the next fetches of all accounts; 0 after a graceful stop.
    pub(crate) pages: u32,
    /// Pages of the longest of these fetches. 0 in files of versions up to 0.1, which have no presence.
    pub(crate) longest_fetch: u32,
    /// Pages of the presence lists for which calls keep a slower pace now.
    pub(crate) presence_pages: u32,
    /// End of the penalty of all groups.
    pub(crate) blocked_until_ms: Option<i64>,
    pub(crate) groups: Vec<SavedGroup>,
}

/// The part of one usage group.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct SavedGroup {
    pub(crate) group: String,
    /// The limit and the window in milliseconds that RingCentral last reported, if it has.
    pub(crate) limit: Option<(u32, u64)>,
    pub(crate) blocked_until_ms: Option<i64>,
    /// The remaining requests that RingCentral last reported, and until when the report holds.
    pub(crate) remaining: Option<SavedCount>,
    /// The requests that occupy the window.
    pub(crate) requests: Vec<SavedCount>,
    /// Those of them that were pages of a presence list.
    pub(crate) presence: Vec<SavedCount>,
}

/// A number of requests and a time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SavedCount {
    pub(crate) count: u32,
    pub(crate) until_ms: i64,
}

/// Converts between the times of a file and those of this process.
#[derive(Clone, Copy)]
pub(crate) struct SavedTimes {
    saved_at_ms: i64,
    now: Moment,
}

impl SavedTimes {
    /// Creates a converter for times that were saved at `saved_at_ms`. If that is in the future, the clock was set
    /// back since: the file then counts as written now.
    pub(crate) fn new(saved_at_ms: i64, now: Moment) -> Self {
        Self { saved_at_ms, now }
    }

    /// Returns the moment of a saved time, or `None` if it is past.
    pub(crate) fn future(self, saved_ms: i64) -> Option<Moment> {
        let elapsed_ms = wall_ms(self.now).saturating_sub(self.saved_at_ms).max(0);
        let wait_ms = saved_ms.saturating_sub(self.saved_at_ms);
        let wait_ms = u64::try_from(wait_ms.saturating_sub(elapsed_ms)).ok()?;
        let wait = Duration::from_millis(wait_ms).min(MAX_WAIT);
        (!wait.is_zero()).then(|| self.now.after(wait))
    }
}

/// Returns the wall time of a moment, as it is saved.
pub(crate) fn wall_ms(moment: Moment) -> i64 {
    moment.wall.as_millisecond()
}

/// Returns the wall time at which a wait until `until` ends. The monotonic clock decides how long that is.
pub(crate) fn future_ms(until: Moment, now: Moment) -> i64 {
    let wait = until.instant.saturating_duration_since(now.instant);
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    // Rounded up, so that a wait is never shortened.
    wall_ms(now).saturating_add(wait_ms).saturating_add(1)
}

/// Returns the wall time at which a block ends, or `None` if it has ended.
pub(crate) fn saved_block(until: Option<Moment>, now: Moment) -> Option<i64> {
    let until = until.filter(|until| !until.is_past(now))?;
    Some(future_ms(until, now))
}
