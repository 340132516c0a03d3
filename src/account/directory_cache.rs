//! The account's directory of extensions and its refresh schedule.
//!
//! The directory is read at the start and then every hour; after a failure, or if a call names an unknown extension,
//! after only five minutes. A failed read keeps the previous directory.

use std::sync::Arc;
use std::time::Duration;

use crate::account::state::TimedDirectory;
use crate::calls::Directory;
use crate::clock::Moment;
use crate::ringcentral::Error;

const REFRESH_INTERVAL: Duration = Duration::from_secs(60 * 60);
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The directory of one account and the result of the last attempt to read it.
#[derive(Default)]
pub(crate) struct DirectoryCache {
    enabled: bool,
    last_attempt: Option<Moment>,
    /// The failure of the last attempt.
    pub(crate) failure: Option<Error>,
    /// The directory that was last read.
    pub(crate) directory: Option<TimedDirectory>,
}

impl DirectoryCache {
    /// Creates an empty cache. A disabled one is never due.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            ..Self::default()
        }
    }

    /// Resets the cache to its initial state.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.enabled);
    }

    /// Returns whether the directory has never been requested.
    pub(crate) fn needs_initial_load(&self) -> bool {
        self.enabled && self.last_attempt.is_none()
    }

    /// Returns whether the directory should be read now.
    pub(crate) fn is_due(&self, now: Moment, has_unknown_extension: bool) -> bool {
        if !self.enabled {
            return false;
        }
        let Some(last_attempt) = self.last_attempt else {
            return true;
        };
        let interval = if has_unknown_extension || self.failure.is_some() {
            MIN_REFRESH_INTERVAL
        } else {
            REFRESH_INTERVAL
        };
        now.saturating_duration_since(last_attempt) >= interval
    }

    /// Records the result of a read and returns the directory if it succeeded. Of consecutive failures only the first is
    /// logged as a warning.
    pub(crate) fn record_result(
        &mut self,
        account: &str,
        read: Result<Directory, Error>,
        now: Moment,
    ) -> Option<Arc<Directory>> {
        self.last_attempt = Some(now);
        match read {
            Ok(directory) => {
                let extensions = directory.entries().len();
                tracing::info!(account, extensions, "extension list fetched");
                let directory = Arc::new(directory);
                self.failure = None;
                self.directory = Some(TimedDirectory {
                    directory: directory.clone(),
                    fetched_at: now,
                });
                Some(directory)
            }
            Err(error) => {
                if self.failure.is_some() {
                    tracing::debug!(account, %error, "extension list fetch failed again");
                } else {
                    tracing::warn!(
                        account,
                        reason = error.reason.as_str(),
                        cause = error.cause.as_str(),
                        request_id = error.request_id.as_deref(),
                        hint = error.hint(),
                        %error,
                        "extension list fetch failed, labelling extensions without a number by id"
                    );
                }
                self.failure = Some(error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::{Cause, Operation};

    fn failure() -> Result<Directory, Error> {
        Err(Error::new(
            Operation::Extensions,
            Cause::ExtensionsForbidden,
            "no",
        ))
    }

    #[test]
    fn directory_due_hourly_or_after_unknown_extension() {
        let (mut cache, start) = (DirectoryCache::new(true), Moment::now());
        let at = |minutes: u64| start.after(Duration::from_secs(60 * minutes));
        assert!(cache.is_due(start, false));
        assert!(
            cache
                .record_result("a", Ok(Directory::default()), start)
                .is_some()
        );
        assert!(!cache.is_due(at(59), false) && cache.is_due(at(60), false));
        assert!(!cache.is_due(at(4), true) && cache.is_due(at(5), true));
    }

    #[test]
    fn failed_read_keeps_directory_and_is_retried() {
        let (mut cache, start) = (DirectoryCache::new(true), Moment::now());
        cache.record_result("a", Ok(Directory::default()), start);
        assert!(cache.record_result("a", failure(), start).is_none());
        assert!(cache.directory.is_some());
        assert!(cache.is_due(start.after(MIN_REFRESH_INTERVAL), false));
    }

    #[test]
    fn disabled_directory_is_never_due() {
        assert!(!DirectoryCache::new(false).is_due(Moment::now(), true));
    }
}
