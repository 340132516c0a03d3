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
    /// Since when a page has been due.
    waits_since: Option<Moment>,
    /// When the last complete read has started.
    last_read_start: Option<Moment>,
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

    /// Records whether a page should be requested, as a scrape that can cause it has found.
    pub(crate) fn set_due(&mut self, is_due: bool, now: Moment) {
        self.waits_since = match is_due {
            true => self.waits_since.or(Some(now)),
            false => None,
        };
    }

    /// Returns since when a page has been due, as far as scrapes have found.
    pub(crate) fn waits_since(&self) -> Option<Moment> {
        self.waits_since
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
        self.waits_since = None;
        self.failure = None;
        if is_valid {
            self.last_read_start = self.last_start;
            self.last_read = Some(now);
        }
        is_valid
    }

    /// Records that a page could not be read. Returns whether this is the first of consecutive failures.
    pub(crate) fn fail(&mut self, error: Error, now: Moment) -> bool {
        self.waits_since = None;
        self.failure.replace((error, now)).is_none()
    }

    /// Records that a part of the list was read, by now this number of pages. What failed before is repaired once the list
    /// is whole.
    pub(crate) fn pause(&mut self, pages: u32, now: Moment) {
        if pages > self.pages {
            self.waits_since = Some(now);
        }
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

    /// Returns how long ago an unfinished read was started.
    pub(crate) fn age_of_read(&self, now: Moment) -> Option<Duration> {
        let start = self.last_start.filter(|_| self.is_reading())?;
        Some(now.saturating_duration_since(start))
    }

    /// Returns the number of pages of an unfinished read.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// Returns when the last complete read has started: what it found is not newer.
    pub(crate) fn last_read_start(&self) -> Option<Moment> {
        self.last_read_start
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
fn retry_interval(error: &Error) -> Duration {
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

    fn error() -> Error {
        Error::new(Operation::Presence, Cause::ServerError, "")
    }

    #[test]
    fn page_is_waited_for_until_it_is_received_or_fails() {
        let begin = Moment::now();
        let at = |seconds| begin.after(Duration::from_secs(seconds));
        let mut schedule = ReadSchedule::default();
        let wait = |schedule: &ReadSchedule| {
            let since = schedule.waits_since()?;
            Some(since.saturating_duration_since(begin).as_secs())
        };
        assert_eq!(wait(&schedule), None);
        for second in [5, 20] {
            schedule.set_due(true, at(second));
            assert_eq!(wait(&schedule), Some(5));
        }
        schedule.start(at(20));
        schedule.pause(1, at(30));
        assert_eq!(wait(&schedule), Some(30), "the next page");
        schedule.pause(1, at(40));
        assert_eq!(wait(&schedule), Some(30), "the same page");
        schedule.fail(error(), at(50));
        assert_eq!(wait(&schedule), None);
        schedule.set_due(true, at(110));
        schedule.finish(at(111));
        assert_eq!(wait(&schedule), None);
        assert_eq!(schedule.last_read_start(), Some(at(20)));
        schedule.set_due(true, at(120));
        schedule.set_due(false, at(121));
        assert_eq!(wait(&schedule), None, "no subscription");
    }

    #[test]
    fn failure_lasts_until_the_list_is_whole() {
        let begin = Moment::now();
        let at = |seconds| begin.after(Duration::from_secs(seconds));
        let mut schedule = ReadSchedule::default();
        schedule.start(begin);
        assert!(schedule.fail(error(), at(1)));
        assert!(!schedule.is_due(at(60), MIN_INTERVAL));
        assert!(schedule.is_due(at(61), MIN_INTERVAL));
        schedule.pause(1, at(61));
        assert!(schedule.failure().is_some());
        assert!(schedule.is_due(at(61), MIN_INTERVAL), "the next page");
        assert!(!schedule.fail(error(), at(70)), "the same failure");
        schedule.finish(at(140));
        assert!(schedule.failure().is_none());
    }
}
