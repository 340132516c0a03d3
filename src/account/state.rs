//! What is known of one account at one moment: a plain value.
//!
//! Owns: the pairing of the last snapshot with how the last fetch went. The observer makes one after each fetch;
//! scrapes read it. Refuses to know: how it came about, and how it is shown.

use std::sync::Arc;
use std::time::Duration;

use crate::calls::{Directory, Snapshot};
use crate::clock::Moment;
use crate::ringcentral::status::{ApiStatus, Failure};

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct AccountState {
    /// The last successful fetch, however old.
    pub snapshot: Option<TimedSnapshot>,
    /// The latest finished fetch, successful or not; none before the first.
    pub last_fetch: Option<FetchReport>,
    /// What the API said of itself and of us.
    pub api: ApiStatus,
    /// The account's extensions, once they have been read.
    pub directory: Option<TimedDirectory>,
    /// Why they were not read the last time that it was tried.
    pub directory_failure: Option<Failure>,
}

/// A directory and when it was read.
#[derive(Clone, Debug)]
pub struct TimedDirectory {
    /// The extensions.
    pub directory: Arc<Directory>,
    /// When its last page had come.
    pub fetched_at: Moment,
}

/// A snapshot and when it was fetched.
#[derive(Clone, Debug)]
pub struct TimedSnapshot {
    /// The numbers.
    pub snapshot: Arc<Snapshot>,
    /// When its first page was asked for: the list is at least as old as that.
    pub fetched_at: Moment,
}

/// How a fetch went.
#[derive(Clone, Debug)]
pub struct FetchReport {
    /// Why it gave no snapshot, if it did not.
    pub failure: Option<Failure>,
    /// From its start, a login included, to its end.
    pub duration: Duration,
    /// Pages that were read.
    pub pages: u32,
}

impl AccountState {
    /// The snapshot, unless it is as old as `max_age` or older: old is never shown as new.
    #[must_use]
    pub fn fresh(&self, now: Moment, max_age: Duration) -> Option<&TimedSnapshot> {
        self.snapshot
            .as_ref()
            .filter(|listing| now.saturating_duration_since(listing.fetched_at) < max_age)
    }

    /// Whether the latest finished fetch succeeded and what it gave is still fresh.
    #[must_use]
    pub fn is_up(&self, now: Moment, max_age: Duration) -> bool {
        let succeeded = self
            .last_fetch
            .as_ref()
            .is_some_and(|fetch| fetch.failure.is_none());
        succeeded && self.fresh(now, max_age).is_some()
    }
}
