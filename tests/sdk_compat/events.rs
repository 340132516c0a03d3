//! Events of presence, received by RingCentral's clients.

use ringcentral_exporter::simulator::{Operation, Scenario, Simulator};
use serde_json::json;

use crate::client::Language;
use crate::harness::TestAccount;

/// Longest time from a change to its notification.
const MAX_DELAY_MS: i64 = 113;

/// Asserts that a client that subscribes to the account's presence receives each event once.
pub async fn assert_receives_every_event(language: Language, scenario: &str) {
    let test_account = TestAccount::start(Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    })
    .await;
    let account = &test_account.simulator;
    let (seconds, count) = complete_time(account);

    let results = language
        .run(&format!("{scenario} {count}"), account, || {
            test_account.advance_seconds(seconds);
        })
        .await;

    let mut expected = Vec::new();
    for event in account.events() {
        if event.copies == 1 {
            expected.push(json!([event.uuid, event.sequence]));
        }
    }
    assert_eq!(expected.len(), count);
    assert_eq!(results["events"], json!(expected));
    let mut operations = Vec::new();
    for entry in account.journal() {
        assert!(matches!(entry.status, Some(101 | 200 | 204)), "{entry:?}");
        operations.extend(entry.operation);
    }
    for operation in [
        Operation::EventToken,
        Operation::EventConnection,
        Operation::Subscription,
    ] {
        assert!(operations.contains(&operation), "{operations:?}");
    }
}

/// Returns a number of seconds after which every event of a change is due, and the number of these events.
fn complete_time(account: &Simulator) -> (i64, usize) {
    let switchboard = account.switchboard();
    let start = account.now();
    for seconds in 30..90 {
        let until = start + seconds * 1_000;
        if switchboard
            .presence_changes(until - MAX_DELAY_MS, until)
            .is_empty()
        {
            return (seconds, switchboard.presence_changes(start, until).len());
        }
    }
    panic!("each second ends with a change");
}
