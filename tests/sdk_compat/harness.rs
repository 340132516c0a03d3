//! Simulated accounts and their journals.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ringcentral_exporter::simulator::{JournalEntry, Operation, Scenario, Simulator};
use tokio::net::TcpListener;

/// 2026-09-15 10:20:00.123 UTC, a Tuesday.
const START_MS: i64 = 1_789_467_600_123;

/// An account with a clock that only the test sets.
pub struct TestAccount {
    pub simulator: Simulator,
    clock: Arc<AtomicI64>,
}

impl TestAccount {
    /// Starts an account.
    pub async fn start(scenario: Scenario) -> TestAccount {
        let clock = Arc::new(AtomicI64::new(START_MS));
        let simulator_clock = Arc::clone(&clock);
        let scenario = Scenario {
            clock: Some(Arc::new(move || simulator_clock.load(Ordering::SeqCst))),
            ..scenario
        };
        TestAccount {
            simulator: start_simulator(scenario).await,
            clock,
        }
    }

    /// Advances the clock.
    pub fn advance_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

/// Starts an account with the clock of the scenario, by default the system clock.
pub async fn start_simulator(scenario: Scenario) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 7).unwrap()
}

/// Returns the operation and the status of each request.
pub fn summary(journal: &[JournalEntry]) -> Vec<(Operation, u16)> {
    let mut requests = Vec::new();
    for entry in journal {
        let operation = entry.operation.expect(&entry.target);
        let status = entry.status.expect(&entry.target);
        requests.push((operation, status));
    }
    requests
}
