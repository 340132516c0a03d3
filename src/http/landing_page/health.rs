//! How an account is, in one word: **pure**.

use std::time::Duration;

use crate::account::state::AccountState;
use crate::clock::Moment;
use crate::ringcentral::Operation;

/// The states, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// The last fetch failed, and a person may have to change something.
    Failing,
    /// The last fetch failed, and it waits until a penalty or an outage ends.
    Blocked,
    /// The last fetch was well, and is too old to be shown.
    Stale,
    /// There was none.
    Unfetched,
    /// All is well.
    Fine,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Failing,
        Self::Blocked,
        Self::Stale,
        Self::Unfetched,
        Self::Fine,
    ];

    /// Of what is known at `now`.
    pub fn of(observation: &AccountState, max_age: Duration, now: Moment) -> Self {
        let Some(fetch) = &observation.last_fetch else {
            return Self::Unfetched;
        };
        match &fetch.failure {
            Some(failure)
                if failure.cause.is_transient() && blocked_for(observation, now).is_some() =>
            {
                Self::Blocked
            }
            Some(_) => Self::Failing,
            None if observation.is_up(now, max_age) => Self::Fine,
            None => Self::Stale,
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Blocked => "Blocked",
            Self::Stale => "Stale",
            Self::Unfetched => "Not yet fetched",
            Self::Fine => "Fine",
        }
    }

    /// For the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Blocked => "blocked",
            Self::Stale => "stale",
            Self::Unfetched => "unfetched",
            Self::Fine => "fine",
        }
    }

    /// What the word means, where nothing else tells.
    pub fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Failing | Self::Fine => None,
            Self::Blocked => Some(
                "RingCentral is not asked until a penalty or back-off ends. This passes by itself.",
            ),
            Self::Stale => {
                Some("The last snapshot is too old to be shown: does Prometheus scrape?")
            }
            Self::Unfetched => Some("Nothing was fetched so far: the first scrape does it."),
        }
    }
}

/// How long the list, or the login that it needs, may not be asked for.
pub fn blocked_for(observation: &AccountState, now: Moment) -> Option<Duration> {
    observation.api.blocked_for(Operation::ActiveCalls, now)
}
