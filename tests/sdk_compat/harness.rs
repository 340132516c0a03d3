//! Simulated accounts, and what they remember of a visit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ringcentral_exporter::simulator::{JournalEntry, Operation, Scenario, Simulator};
use tokio::net::TcpListener;

/// 2026-09-15 10:20:00.123 UTC, a Tuesday.
const MORNING: i64 = 1_789_467_600_123;

/// An account whose clock only tests move.
pub struct Rig {
    pub simulator: Simulator,
    clock: Arc<AtomicI64>,
}

impl Rig {
    pub async fn start(scenario: Scenario) -> Rig {
        let clock = Arc::new(AtomicI64::new(MORNING));
        let hands = Arc::clone(&clock);
        let scenario = Scenario {
            clock: Some(Arc::new(move || hands.load(Ordering::SeqCst))),
            ..scenario
        };
        Rig {
            simulator: start(scenario).await,
            clock,
        }
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

/// An account that lives by the clock of the system, unless the scenario has another.
pub async fn start(scenario: Scenario) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 7).unwrap()
}

/// The journal in short: what was asked, and the status of the answer.
pub fn visit(journal: &[JournalEntry]) -> Vec<(Operation, u16)> {
    journal
        .iter()
        .map(|entry| {
            (
                entry.operation.expect(&entry.target),
                entry.status.expect(&entry.target),
            )
        })
        .collect()
}
