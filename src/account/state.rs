//! The published state of one account.
//!
//! The collector publishes a new [`AccountState`] after each fetch and after each change that maintenance made. A
//! published state does not change.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::calls::{Call, Directory, LabelLimiter, Snapshot};
use crate::clock::Moment;
use crate::ringcentral::Error;
use crate::ringcentral::status::ApiStatus;
use crate::text_format::{PerFormat, SharedTexts};

/// The state of one account at one moment.
#[derive(Debug, Default)]
pub struct AccountState {
    /// The last successful fetch, regardless of its age.
    pub snapshot: Option<TimedSnapshot>,
    /// The latest finished fetch, successful or not. `None` before the first.
    pub last_fetch: Option<FetchReport>,
    /// Rate limits, penalties, token and JWT.
    pub api: ApiStatus,
    /// The account's extensions, once they have been read.
    pub directory: Option<TimedDirectory>,
    /// The failure of the last attempt to read the directory.
    pub directory_failure: Option<Error>,
    /// Number of pages of an unfinished read of the directory; 0 if there is none.
    pub directory_pages: u32,
    /// The text of this state, shared by all scrapes of a format.
    pub text: PerFormat<RenderedText>,
}

/// The metric families of a state as text. `exposition` renders each part when a scrape first needs it.
#[derive(Debug, Default)]
pub struct RenderedText {
    /// Families of the snapshot, which scrapes leave out once it is too old.
    pub(crate) snapshot: OnceLock<Arc<SharedTexts>>,
    /// Families of the counters, the last fetch, the API status and the directory. The counters are read when the text
    /// is rendered: they are never older than the state, and stay the same until the next one.
    pub(crate) account: OnceLock<Arc<SharedTexts>>,
}

/// A directory and the time at which it was read.
#[derive(Clone, Debug)]
pub struct TimedDirectory {
    /// The extensions.
    pub directory: Arc<Directory>,
    /// When its last page was received.
    pub fetched_at: Moment,
}

/// A snapshot and the time at which it was fetched.
#[derive(Clone, Debug)]
pub struct TimedSnapshot {
    /// The counts of one call list.
    pub snapshot: Arc<Snapshot>,
    /// When its first page was requested, so that its age is never understated.
    pub fetched_at: Moment,
}

/// The result of a finished fetch.
#[derive(Clone, Debug, Default)]
pub struct FetchReport {
    /// Why the fetch gave no snapshot. `None` if it succeeded.
    pub failure: Option<Error>,
    /// Time from start to end, including a login.
    pub duration: Duration,
    /// Number of pages read.
    pub pages: u32,
}

impl TimedSnapshot {
    pub(crate) fn new(calls: &[Call], fetched_at: Moment, labels: &mut LabelLimiter) -> Self {
        Self {
            snapshot: Arc::new(Snapshot::from_calls(calls, labels)),
            fetched_at,
        }
    }
}

impl AccountState {
    /// Returns the snapshot if it is younger than `max_age`.
    #[must_use]
    pub fn fresh(&self, now: Moment, max_age: Duration) -> Option<&TimedSnapshot> {
        let snapshot = self.snapshot.as_ref()?;
        let age = now.saturating_duration_since(snapshot.fetched_at);
        (age < max_age).then_some(snapshot)
    }

    /// Returns whether the latest finished fetch succeeded and its snapshot is younger than `max_age`.
    #[must_use]
    pub fn is_up(&self, now: Moment, max_age: Duration) -> bool {
        let Some(fetch) = &self.last_fetch else {
            return false;
        };
        fetch.failure.is_none() && self.fresh(now, max_age).is_some()
    }
}
