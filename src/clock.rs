//! The clock: the only module that reads the time.
//!
//! A [`Moment`] is a reading of both clocks. Waits and ages use the monotonic clock; people and
//! Prometheus read the wall clock. Pure code gets a `Moment` as an argument, so that tests decide
//! the time, and a wall clock that jumps changes only what is displayed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A reading of the monotonic and the wall clock, ordered by the monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The monotonic time, for waits and ages.
    pub instant: Instant,
    /// The wall time, for timestamps in metrics and dates in headers.
    pub wall: Timestamp,
}

impl Moment {
    /// Reads both clocks.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the clocks"
    )]
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// Returns the moment `wait` later; the wall time saturates at the end of the calendar.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self {
            instant: self.instant + wait,
            wall: self.wall.saturating_add(wait).unwrap_or(Timestamp::MAX),
        }
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.instant.saturating_duration_since(earlier.instant)
    }

    /// Returns whether this moment is not after `now`.
    #[must_use]
    pub fn is_past(self, now: Self) -> bool {
        self.instant <= now.instant
    }
}

/// Returns the seconds since 1970 with milliseconds, as Prometheus expects timestamps.
#[must_use]
pub fn unix_seconds(wall: Timestamp) -> f64 {
    wall.as_millisecond() as f64 / 1000.0
}
