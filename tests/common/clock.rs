//! A clock that moves only when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::simulator::Scenario;

/// A Tuesday morning at a busy hour, in Unix milliseconds.
const START_MS: i64 = 1_795_514_400_000;

/// The clock of a simulated account, in Unix milliseconds. It stands still between calls of
/// [`advance`](Self::advance).
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Creates a clock that shows a busy Tuesday morning.
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START_MS)))
    }

    /// Creates a clock that shows the present time, for timestamps that the exporter compares with its own clock.
    pub fn starting_now() -> Self {
        let now = Moment::now().wall.as_millisecond();
        Self(Arc::new(AtomicI64::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.shift_ms(duration.as_millis() as i64);
    }

    /// Moves the clock by `milliseconds`, which may be negative.
    pub fn shift_ms(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Returns the scenario with this clock in place of the system clock.
    pub fn attach_to(&self, scenario: Scenario) -> Scenario {
        let clock = self.0.clone();
        Scenario {
            clock: Some(Arc::new(move || clock.load(Ordering::Relaxed))),
            ..scenario
        }
    }
}
