//! When the list of the presence of all extensions is read. Pure.

use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::{Cause, Error, Reason};

/// The shortest time between the starts of two reads.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// The wait after a failure that lasts until a person changes something.
const LASTING_FAILURE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The reads of one account.
#[derive(Debug, Default)]
pub(crate) struct ReadSchedule {
    last_start: Option<Moment>,
    progress: Progress,
    /// The number of pages of the present read.
    pages: u32,
    /// When the last read was completed.
    last_read: Option<Moment>,
    /// The failure of the last attempt, and its time.
    failure: Option<(Error, Moment)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    None,
    /// Pages are being read.
    Begun,
    /// Pages were read before a gap or from another account.
    Outdated,
}

impl ReadSchedule {
    /// Returns whether a read should start or continue. `interval` is the time between the starts of two reads.
    pub(crate) fn is_due(&self, now: Moment, interval: Duration) -> bool {
        if let Some((error, failed_at)) = &self.failure {
            return now.saturating_duration_since(*failed_at) >= retry_interval(error);
        }
        if self.progress == Progress::Begun {
            return true;
        }
        let is_over = |start| now.saturating_duration_since(start) >= interval;
        self.last_start.is_none_or(is_over)
    }

    /// Returns since when a read should have started, if none has failed. `begin` is when the first one became due.
    pub(crate) fn due_since(
        &self,
        begin: Moment,
        now: Moment,
        interval: Duration,
    ) -> Option<Moment> {
        if self.failure.is_some() || self.is_reading() {
            return None;
        }
        let due = self.last_start.map_or(begin, |start| start.after(interval));
        due.is_past(now).then_some(due)
    }

    /// Records that the first page is requested.
    pub(crate) fn start(&mut self, now: Moment) {
        self.last_start = Some(now);
        self.progress = Progress::Begun;
        self.pages = 0;
    }

    /// Records that all pages were received. Returns whether they are valid.
    pub(crate) fn finish(&mut self, now: Moment) -> bool {
        let is_valid = self.progress != Progress::Outdated;
        self.progress = Progress::None;
        self.pages = 0;
        self.failure = None;
        if is_valid {
            self.last_read = Some(now);
        }
        is_valid
    }

    /// Records that a page could not be read. Returns whether this is the first of consecutive failures.
    pub(crate) fn fail(&mut self, error: Error, now: Moment) -> bool {
        self.failure.replace((error, now)).is_none()
    }

    /// Records that a part of the list was read: this number of pages.
    pub(crate) fn pause(&mut self, pages: u32) {
        self.failure = None;
        self.pages = pages;
    }

    /// Records that events may have been missed, so that pages that were read before are outdated.
    pub(crate) fn record_gap(&mut self) {
        if self.progress == Progress::Begun {
            self.progress = Progress::Outdated;
        }
    }

    /// Forgets the reads of another account.
    pub(crate) fn reset(&mut self) {
        let was_reading = self.progress != Progress::None;
        *self = Self::default();
        if was_reading {
            self.progress = Progress::Outdated;
        }
    }

    /// Returns whether the read that was started last is not complete.
    pub(crate) fn is_reading(&self) -> bool {
        self.progress == Progress::Begun
    }

    /// Returns whether the pages of the present read must not be used.
    pub(crate) fn is_outdated(&self) -> bool {
        self.progress == Progress::Outdated
    }

    /// Returns the number of pages of an unfinished read.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// Returns when the last read was completed.
    pub(crate) fn last_read(&self) -> Option<Moment> {
        self.last_read
    }

    /// Returns when the next read may start or continue, `None` if it may now. `interval` is that of
    /// [`is_due`](Self::is_due).
    pub(crate) fn next_start(&self, interval: Duration) -> Option<Moment> {
        if let Some((error, failed_at)) = &self.failure {
            return Some(failed_at.after(retry_interval(error)));
        }
        if self.progress == Progress::Begun {
            return None;
        }
        self.last_start.map(|start| start.after(interval))
    }

    /// Returns the failure of the last attempt.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref().map(|(error, _)| error)
    }
}

/// Returns the wait after a failure.
pub(super) fn retry_interval(error: &Error) -> Duration {
    match error.reason {
        // The list has become shorter.
        _ if error.cause == Cause::PageGone => MIN_INTERVAL,
        Reason::Forbidden | Reason::NotFound | Reason::ClientError => LASTING_FAILURE_INTERVAL,
        _ => MIN_INTERVAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::Operation;

    #[test]
    fn read_is_due_since_begin_or_interval() {
        let begin = Moment::now();
        let at = |seconds| begin.after(Duration::from_secs(seconds));
        let mut schedule = ReadSchedule::default();
        let due_since = |schedule: &ReadSchedule, seconds| {
            let since = schedule.due_since(begin, at(seconds), MIN_INTERVAL)?;
            Some(since.saturating_duration_since(begin).as_secs())
        };
        assert_eq!(due_since(&schedule, 10), Some(0));
        schedule.start(at(20));
        assert_eq!(due_since(&schedule, 300), None, "a read has begun");
        schedule.finish(at(30));
        assert_eq!(due_since(&schedule, 79), None);
        assert_eq!(due_since(&schedule, 90), Some(80));
        let error = Error::new(Operation::Presence, Cause::ServerError, "");
        schedule.fail(error, at(90));
        assert_eq!(due_since(&schedule, 300), None, "a read has failed");
    }
}
