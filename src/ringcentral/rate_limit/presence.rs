//! What presence lists use of a limit that calls use first. Pure.

use std::time::Duration;

use crate::clock::Moment;

/// The presence list of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PresencePages {
    /// The pages that it is known to have.
    pub(crate) pages: u32,
    /// When the account last had the opportunity to read while a read was due.
    pub(crate) due_at: Option<Moment>,
    /// When its last page was received.
    pub(crate) last_page: Option<Moment>,
    /// Until when that page occupies the window.
    pub(crate) until: Option<Moment>,
    /// Whether a read is due.
    pub(crate) is_due: bool,
}

/// The requests of each window that calls leave to presence lists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PresenceShare {
    pages: u32,
    /// Since when calls leave this number. Earlier calls used the whole limit, so they are not counted against the rest.
    pub(crate) since: Option<Moment>,
}

impl Default for PresencePages {
    fn default() -> Self {
        Self {
            pages: 1,
            due_at: None,
            last_page: None,
            until: None,
            is_due: false,
        }
    }
}

impl PresencePages {
    /// Returns whether calls keep the slower pace: the account waits for a page, or its last page is still in the window.
    pub(crate) fn slows_calls(&self, now: Moment, window: Duration) -> bool {
        let is_in_window = self.until.is_some_and(|until| !until.is_past(now));
        is_in_window || self.is_waiting(now, window)
    }

    /// Returns whether the account waits for its next page. One that had no opportunity for two windows is not scraped
    /// any more.
    pub(crate) fn is_waiting(&self, now: Moment, window: Duration) -> bool {
        let is_scraped = |at: Moment| now.monotonic_duration_since(at) < 2 * window;
        self.is_due && self.due_at.is_some_and(is_scraped)
    }
}

impl PresenceShare {
    /// Sets the number of requests.
    pub(crate) fn set_pages(&mut self, pages: u32, now: Moment) {
        if pages > self.pages {
            self.since = Some(now);
        }
        self.pages = pages;
    }
}
