//! When the account's list of extensions is read, and what became of it.
//!
//! Owns: once at the start, then hourly; sooner for an extension that it lacks, and after a failure, but not more often
//! than every five minutes. A directory that was read is kept whatever comes. Refuses to know: how it is read.

use std::sync::Arc;
use std::time::Duration;

use crate::account::state::TimedDirectory;
use crate::calls::Directory;
use crate::clock::Moment;
use crate::ringcentral::Error;
use crate::ringcentral::status::Failure;

const REFRESH_INTERVAL: Duration = Duration::from_secs(60 * 60);
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The directory of one account.
pub struct DirectoryCache {
    enabled: bool,
    last_attempt: Option<Moment>,
    failure: Option<Failure>,
    listed: Option<TimedDirectory>,
}

impl DirectoryCache {
    /// An empty book; at level `extension` it stays so, since that user may not read the list.
    pub fn new(wanted: bool) -> Self {
        Self {
            enabled: wanted,
            last_attempt: None,
            failure: None,
            listed: None,
        }
    }

    /// One of the same kind in which nothing stands yet.
    pub fn reset(&self) -> Self {
        Self::new(self.enabled)
    }

    /// Whether nobody has tried to read it yet, and somebody should.
    pub fn needs_initial_load(&self, now: Moment) -> bool {
        self.last_attempt.is_none() && self.is_due(now, false)
    }

    /// Whether it should be read now.
    pub fn is_due(&self, now: Moment, misses_one: bool) -> bool {
        let soon = misses_one || self.failure.is_some();
        let wait = if soon {
            MIN_REFRESH_INTERVAL
        } else {
            REFRESH_INTERVAL
        };
        self.enabled
            && self
                .last_attempt
                .is_none_or(|tried| now.saturating_duration_since(tried) >= wait)
    }

    /// Takes in what a reading gave; gives the directory if it is new. A failure is told once until it is over.
    pub fn record_result(
        &mut self,
        account: &str,
        read: Result<Directory, Error>,
        now: Moment,
    ) -> Option<Arc<Directory>> {
        self.last_attempt = Some(now);
        let was_failing = self.failure.is_some();
        self.failure = read.as_ref().err().map(Failure::from);
        match read {
            Ok(directory) => {
                let directory = Arc::new(directory);
                let extensions = directory.entries().len();
                tracing::info!(account, extensions, "the list of extensions was read");
                self.listed = Some(TimedDirectory {
                    directory: directory.clone(),
                    fetched_at: now,
                });
                Some(directory)
            }
            Err(error) if was_failing => {
                tracing::debug!(account, "the list of extensions was not read: {error}");
                None
            }
            Err(error) => {
                let advice = error.hint();
                let (reason, cause) = (error.reason.as_str(), error.cause.as_str());
                let request_id = error.request_id.as_deref();
                let meanwhile = "extensions that records do not number are shown by id";
                tracing::warn!(
                    account,
                    reason,
                    cause,
                    request_id,
                    advice,
                    "the list of extensions was not read: {error}; {meanwhile}"
                );
                None
            }
        }
    }

    /// Why it was not read the last time that it was tried.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.clone()
    }

    /// What was last read.
    pub fn directory(&self) -> Option<TimedDirectory> {
        self.listed.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::{Operation, Reason};

    fn failure() -> Result<Directory, Error> {
        Err(Error::new(Operation::Extensions, Reason::Forbidden, "no"))
    }

    #[test]
    fn it_is_read_at_the_start_and_hourly_and_sooner_for_one_that_it_lacks() {
        let (mut book, start) = (DirectoryCache::new(true), Moment::now());
        let at = |minutes: u64| start.after(Duration::from_secs(60 * minutes));
        assert!(book.is_due(start, false));
        assert!(
            book.record_result("a", Ok(Directory::default()), start)
                .is_some()
        );
        assert!(!book.is_due(at(59), false) && book.is_due(at(60), false));
        assert!(!book.is_due(at(4), true) && book.is_due(at(5), true));
    }

    #[test]
    fn a_failure_keeps_what_was_read_and_is_tried_again_in_five_minutes() {
        let (mut book, start) = (DirectoryCache::new(true), Moment::now());
        book.record_result("a", Ok(Directory::default()), start);
        assert!(book.record_result("a", failure(), start).is_none());
        assert!(book.directory().is_some());
        assert!(book.is_due(start.after(MIN_REFRESH_INTERVAL), false));
    }

    #[test]
    fn at_level_extension_it_is_never_read() {
        assert!(!DirectoryCache::new(false).is_due(Moment::now(), true));
    }
}
