//! A clock that only a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringcentral_exporter::simulator::Scenario;

/// A clock for the simulated account that stands until it is moved.
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A busy Tuesday morning.
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_795_514_400_000)))
    }

    pub fn advance(&self, duration: Duration) {
        self.0
            .fetch_add(duration.as_millis() as i64, Ordering::Relaxed);
    }

    pub fn jump(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub fn scenario(&self, scenario: Scenario) -> Scenario {
        let clock = self.0.clone();
        Scenario {
            clock: Some(Arc::new(move || clock.load(Ordering::Relaxed))),
            ..scenario
        }
    }
}
