//! The one door to the clock.
//!
//! Owns: reading the time. A [`Moment`] is both readings at once: the monotonic one, by which we wait and by which
//! things grow old, and the wall clock, which people and Prometheus read. Everything pure gets a `Moment` as its
//! argument and never asks for one, so a test decides what time it is and a wall clock that jumps disturbs nothing
//! but what is displayed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For waiting and for ages.
    pub instant: Instant,
    /// For people: timestamps in metrics and dates in headers.
    pub wall: Timestamp,
}

impl Moment {
    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// This moment and `wait` more. A wall clock at the end of its calendar stays there.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self {
            instant: self.instant + wait,
            wall: self.wall.saturating_add(wait).unwrap_or(Timestamp::MAX),
        }
    }

    /// The later of the two, by the monotonic clock.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.instant > self.instant {
            other
        } else {
            self
        }
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.instant.saturating_duration_since(earlier.instant)
    }

    /// Whether this moment has come at `now`.
    #[must_use]
    pub fn is_past(self, now: Self) -> bool {
        self.instant <= now.instant
    }
}

/// Seconds since 1970 with their fraction, as Prometheus writes timestamps.
#[must_use]
pub fn unix_seconds(wall: Timestamp) -> f64 {
    wall.as_millisecond() as f64 / 1000.0
}
