//! The clock: the only module that reads the time.
//!
//! A [`Moment`] is a reading of both clocks, which differ after a suspend (only the wall clock
//! advances) and after the wall clock was set. Ages go by whichever clock advanced more, so that
//! nothing old is taken for new. Waits and measured durations go by the monotonic clock, so that a
//! wall clock that jumps forward ends no penalty. People and Prometheus read the wall clock. Pure
//! code gets a `Moment` as an argument, so that tests decide the time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The longest time that [`Moment::after`] adds, about 100 years, so that no sum overflows.
const MAX_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// A difference between the clocks that is not displayed: clocks are adjusted all the time.
const MAX_CLOCK_DRIFT: SignedDuration = SignedDuration::from_secs(1);

/// By how much the wall clock is ahead of the system's, in milliseconds.
static ADVANCED_MS: AtomicI64 = AtomicI64::new(0);

/// Moves the wall clock of this process forward: for tests that simulate days, in which tokio's clock is moved too.
#[doc(hidden)]
pub fn advance_wall_clock(by: Duration) {
    let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    ADVANCED_MS.fetch_add(by_ms, Ordering::Relaxed);
}

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
        let advanced = SignedDuration::from_millis(ADVANCED_MS.load(Ordering::Relaxed));
        let wall = Timestamp::now();
        Self {
            instant: Instant::now(),
            wall: wall.saturating_add(advanced).unwrap_or(wall),
        }
    }

    /// Returns the moment `wait` later, at most 100 years.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait = wait.min(MAX_WAIT);
        Self {
            instant: self.instant + wait,
            wall: self.wall.saturating_add(wait).unwrap_or(Timestamp::MAX),
        }
    }

    /// Returns the age of something that happened at `earlier`: the time since then by whichever
    /// clock advanced more, or zero if `earlier` is later. For waits and measured durations use
    /// [`Moment::monotonic_duration_since`].
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        let by_wall = Duration::try_from(self.wall.duration_since(earlier.wall));
        let by_monotonic = self.monotonic_duration_since(earlier);
        by_monotonic.max(by_wall.unwrap_or_default())
    }

    /// Returns the time since `earlier` by the monotonic clock, or zero if `earlier` is later: for
    /// waits, which must not end when the wall clock jumps, and for measured durations.
    #[must_use]
    pub fn monotonic_duration_since(self, earlier: Self) -> Duration {
        self.instant.saturating_duration_since(earlier.instant)
    }

    /// Returns the time at which the wall clock shows this moment, as known at `now`. The moment's
    /// own reading is wrong if the wall clock was set after it, or the machine was suspended.
    #[must_use]
    pub fn wall_at(self, now: Self) -> Timestamp {
        let ahead = self.monotonic_duration_since(now);
        let behind = now.monotonic_duration_since(self);
        let expected = now.wall.saturating_add(ahead).unwrap_or(Timestamp::MAX);
        let expected = expected.saturating_sub(behind).unwrap_or(Timestamp::MIN);
        let drift = expected.duration_since(self.wall);
        if drift.abs() <= MAX_CLOCK_DRIFT {
            self.wall
        } else {
            expected
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Returns the moment `monotonic` later at which the wall clock shows `seconds` more.
    fn later(start: Moment, monotonic: Duration, seconds: i64) -> Moment {
        Moment {
            instant: start.instant + monotonic,
            wall: start.wall + SignedDuration::from_secs(seconds),
        }
    }

    #[test]
    fn age_goes_by_the_clock_that_advanced_more() {
        let start = Moment::now();
        let resumed = later(start, Duration::ZERO, 3600);
        assert_eq!(resumed.saturating_duration_since(start), HOUR);
        let set_back = later(start, HOUR, -7200);
        assert_eq!(set_back.saturating_duration_since(start), HOUR);
        assert_eq!(start.saturating_duration_since(resumed), Duration::ZERO);
    }

    #[test]
    fn wait_goes_by_the_monotonic_clock_only() {
        let start = Moment::now();
        let end = start.after(HOUR);
        let resumed = later(start, Duration::ZERO, 7200);
        assert!(!end.is_past(resumed));
        assert_eq!(end.monotonic_duration_since(resumed), HOUR);
    }

    #[test]
    fn displayed_time_follows_the_wall_clock() {
        let start = Moment::now();
        let end = start.after(HOUR);
        let corrected = later(start, HOUR / 2, 1_000_000);
        assert_eq!(end.wall_at(corrected), (corrected.after(HOUR / 2)).wall);
        assert_eq!(
            start
                .wall_at(corrected)
                .duration_since(corrected.wall)
                .as_secs(),
            -1800
        );
        let slewed = later(start, HOUR, 3601);
        assert_eq!(
            end.wall_at(slewed),
            end.wall,
            "no flicker of less than a second"
        );
    }

    #[test]
    fn huge_wait_does_not_overflow() {
        let start = Moment::now();
        assert!(start.after(Duration::MAX) > start.after(HOUR));
    }
}
