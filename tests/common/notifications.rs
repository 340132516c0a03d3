//! The notifications of a simulated account.

use std::time::Duration;

use ringcentral_exporter::simulator::{EventEntry, Simulator};
use tokio::time::sleep;

/// Waits until everything is sent that is due now, and returns the journal.
pub async fn settled_events(simulator: &Simulator) -> Vec<EventEntry> {
    for _ in 0..6_000 {
        let events = simulator.events();
        let now = simulator.now();
        if !events.iter().any(|event| event.is_waiting(now)) {
            return events;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("notifications are not sent");
}
