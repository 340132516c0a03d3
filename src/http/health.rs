//! State of an account in one word, pure.

use std::time::Duration;

use crate::account::facts::{last_failure, penalty};
use crate::account::state::AccountState;
use crate::clock::Moment;
use crate::ringcentral::Operation;

/// State of an account, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// The last fetch failed, and the configuration or the account may have to change.
    Failing,
    /// There is no fresh snapshot, and no fetch is possible until a penalty ends.
    Blocked,
    /// The last fetch succeeded, but its snapshot is too old.
    Stale,
    /// No fetch has finished yet.
    Pending,
    /// The last fetch succeeded, and its snapshot is fresh.
    Ok,
}

impl Health {
    /// Returns the state at `now`.
    pub(crate) fn from_state(state: &AccountState, max_age: Duration, now: Moment) -> Self {
        if state.is_up(now, max_age) {
            Self::Ok
        } else if penalty(state, now).is_some() || is_blocked_since_start(state, now) {
            Self::Blocked
        } else if last_failure(state).is_some() {
            Self::Failing
        } else if state.last_fetch.is_none() {
            Self::Pending
        } else {
            Self::Stale
        }
    }

    /// Returns the word for people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Blocked => "Blocked",
            Self::Stale => "Stale",
            Self::Pending => "Pending",
            Self::Ok => "OK",
        }
    }

    /// Returns the word for scripts, which is also the class in the style sheet.
    pub(crate) fn name(self) -> String {
        self.label().to_lowercase()
    }

    /// Returns what the state means, unless a failure explains it.
    pub(crate) fn explanation(self) -> Option<&'static str> {
        match self {
            Self::Failing | Self::Ok => None,
            Self::Blocked => Some(
                "No request is sent until RingCentral's penalty or the exporter's back-off ends. This passes by itself.",
            ),
            Self::Stale => Some(
                "The last snapshot is too old to be shown. Does Prometheus scrape this exporter?",
            ),
            Self::Pending => Some(
                "Nothing has been fetched yet: a scrape starts a fetch as soon as the rate limit allows one.",
            ),
        }
    }
}
/// Returns whether a penalty or back-off from before the start still holds the first fetch.
fn is_blocked_since_start(state: &AccountState, now: Moment) -> bool {
    let blocked = state.api.blocked_for(Operation::ActiveCalls, now);
    state.last_fetch.is_none() && blocked.is_some()
}
