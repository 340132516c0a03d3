//! The calls of an account in the state directory, so that those which end during a restart are counted once.

use std::sync::Arc;

use crate::calls::{CallTracker, SavedTracker};
use crate::clock::Moment;
use crate::state_directory::StateDirectory;

/// Keeps the call tracker of one account from a graceful stop to the next start.
pub(crate) struct SavedCalls {
    directory: Option<Arc<StateDirectory>>,
    /// The name of the last list that the tracker has seen.
    list: Option<String>,
}

impl SavedCalls {
    /// Creates the saved calls of an account that has not fetched yet. Without a directory nothing is kept.
    pub(crate) fn new(directory: Option<Arc<StateDirectory>>) -> Self {
        Self {
            directory,
            list: None,
        }
    }

    /// Records that the tracker sees this list next. For the first list, returns the tracker of the process before. Its
    /// file is deleted, since after a crash it would count calls again.
    pub(crate) fn restore(&mut self, list: String, now: Moment) -> Option<CallTracker> {
        let name = file_name(&list);
        if self.list.replace(list).is_some() {
            return None;
        }
        let saved: SavedTracker = self.directory.as_ref()?.take(&name)?;
        Some(CallTracker::restore(saved, now))
    }

    /// Saves the tracker after its last list.
    pub(crate) fn save(&self, tracker: &CallTracker, now: Moment) {
        if let (Some(directory), Some(list)) = (&self.directory, &self.list) {
            directory.write(&file_name(list), &tracker.save(now));
        }
    }
}

fn file_name(list: &str) -> String {
    format!("calls-{list}.json")
}
