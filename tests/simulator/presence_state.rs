//! The exporter's presence state, fed by the simulated list and gateway, against the truth.

use std::collections::HashMap;
use std::time::Duration;

use ringcentral_exporter::presence::{
    Discarded, DndStatus, EventId, ExtensionStatus, PresenceEvent, PresenceState, PresenceStatus,
    StatusChange, TelephonyStatus,
};
use ringcentral_exporter::simulator::presence::{Presence, PresenceChange};
use ringcentral_exporter::simulator::scenario::EventBody;
use ringcentral_exporter::simulator::{EventEntry, Fault, GatewayFault, Operation, Scenario};
use serde_json::Value;

use crate::common::{TestSimulator, json};
use crate::event_client::{ACCOUNT_PRESENCE, EventClient, extension_id};
use crate::notifications::settled_events;

const TELEPHONY: [TelephonyStatus; 5] = [
    TelephonyStatus::NoCall,
    TelephonyStatus::Ringing,
    TelephonyStatus::CallConnected,
    TelephonyStatus::OnHold,
    TelephonyStatus::ParkedCall,
];
const PRESENCE: [PresenceStatus; 3] = [
    PresenceStatus::Available,
    PresenceStatus::Busy,
    PresenceStatus::Offline,
];
const DND: [DndStatus; 4] = [
    DndStatus::TakeAllCalls,
    DndStatus::TakeDepartmentCallsOnly,
    DndStatus::DoNotAcceptDepartmentCalls,
    DndStatus::DoNotAcceptAnyCalls,
];

/// Returns the status with the name in a JSON field.
fn named<T: std::fmt::Debug + Copy>(all: &[T], name: &Value) -> Option<T> {
    let name = name.as_str()?;
    all.iter().copied().find(|one| format!("{one:?}") == name)
}

fn status(row: &Value) -> ExtensionStatus {
    ExtensionStatus {
        telephony: named(&TELEPHONY, &row["telephonyStatus"]).unwrap(),
        presence: named(&PRESENCE, &row["presenceStatus"]).unwrap(),
        dnd: named(&DND, &row["dndStatus"]).unwrap(),
    }
}

fn event(notification: &Value) -> PresenceEvent {
    let body = &notification["body"];
    let timestamp = notification["timestamp"].as_str().unwrap();
    let timestamp = timestamp.parse().unwrap();
    PresenceEvent {
        id: notification["uuid"].as_str().map(EventId::new),
        extension: extension_id(body),
        sequence: body["sequence"].as_u64(),
        timestamp: Some(timestamp),
        arrived: timestamp,
        telephony: named(&TELEPHONY, &body["telephonyStatus"]),
        presence: named(&PRESENCE, &body["presenceStatus"]),
        dnd: named(&DND, &body["dndStatus"]),
    }
}

/// Returns the exporter's form of the simulator's statuses.
fn truth(presence: Presence) -> ExtensionStatus {
    let value = |status: &dyn std::fmt::Debug| Value::from(format!("{status:?}"));
    ExtensionStatus {
        telephony: named(&TELEPHONY, &value(&presence.telephony)).unwrap(),
        presence: named(&PRESENCE, &value(&presence.presence)).unwrap(),
        dnd: named(&DND, &value(&presence.dnd)).unwrap(),
    }
}

/// An exporter's state with its event connection.
struct Observer {
    server: TestSimulator,
    token: String,
    client: EventClient,
    state: PresenceState,
    received: usize,
}

impl Observer {
    async fn start(event_body: EventBody) -> Observer {
        let server = TestSimulator::start(Scenario {
            calls_per_minute: 60.0,
            event_body,
            token_lifetime: Duration::from_secs(24 * 3_600),
            ..Scenario::normal()
        })
        .await;
        let token = server.token().await;
        let client = server.subscribe(&token).await;
        let mut observer = Observer {
            server,
            token,
            client,
            state: PresenceState::default(),
            received: 0,
        };
        assert_eq!(observer.read().await, 0);
        observer
    }

    /// Reads the list and returns the number of corrections.
    async fn read(&mut self) -> u64 {
        self.state.start_read();
        let path = format!("{ACCOUNT_PRESENCE}?perPage=1000");
        let body = json(self.server.get(&self.token, &path).await).await;
        let mut listed = Vec::new();
        for row in body["records"].as_array().unwrap() {
            if row.get("telephonyStatus").is_some() {
                listed.push((row["extension"]["id"].as_u64().unwrap(), status(row)));
            }
        }
        self.state.finish_read(listed, |_| true)
    }

    /// Advances the clock and returns the journal, and what was received since the last time.
    async fn advance(&mut self, millis: i64) -> (Vec<EventEntry>, Vec<Value>) {
        self.server.advance_millis(millis);
        let events = settled_events(&self.server.simulator).await;
        let sent: usize = events.iter().map(|event| event.copies as usize).sum();
        let received = self.client.notifications(sent - self.received).await;
        self.received = sent;
        (events, received)
    }

    fn apply(&mut self, notification: &Value) -> Result<Option<StatusChange>, Discarded> {
        self.state.apply(&event(notification), |_| true)
    }

    fn statuses(&self) -> HashMap<u64, ExtensionStatus> {
        self.state.statuses().collect()
    }

    /// Returns the truth at an instant.
    fn truth(&self, at_ms: i64) -> HashMap<u64, ExtensionStatus> {
        let mut statuses = HashMap::new();
        for row in self.server.simulator.switchboard().presence_at(at_ms) {
            if let Some(status) = row.status {
                statuses.insert(row.extension_id, truth(status));
            }
        }
        statuses
    }
}

const CHANGED: EventBody = EventBody {
    only_changed: true,
    ids_as_text: false,
};
const FULL: EventBody = EventBody {
    only_changed: false,
    ids_as_text: true,
};

/// The changes of telephony status, and the durations of statuses whose begin is among the changes.
fn expected_changes(changes: &[PresenceChange]) -> Vec<StatusChange> {
    let mut began: HashMap<u64, i64> = HashMap::new();
    let mut expected = Vec::new();
    for change in changes {
        let (from, to) = (truth(change.from).telephony, truth(change.to).telephony);
        if from != to {
            let since = began.insert(change.extension_id, change.at_ms);
            expected.push(StatusChange {
                from,
                to,
                duration: since.map(|at| Duration::from_millis((change.at_ms - at) as u64)),
            });
        }
    }
    expected
}

#[tokio::test]
async fn state_of_a_reliable_stream_is_exact() {
    for event_body in [CHANGED, FULL] {
        let mut observer = Observer::start(event_body).await;
        let (mut changes, mut journal) = (Vec::new(), Vec::new());
        for _ in 0..120 {
            let (events, received) = observer.advance(5_000).await;
            for notification in &received {
                changes.extend(observer.apply(notification).unwrap());
            }
            journal = events;
        }
        let sent: Vec<PresenceChange> = journal
            .iter()
            .filter(|event| event.copies == 1)
            .map(|event| event.change)
            .collect();
        assert!(changes.len() > 500, "{}", changes.len());
        assert_eq!(changes, expected_changes(&sent));
        assert_eq!(
            observer.statuses(),
            observer.truth(sent.last().unwrap().at_ms)
        );
        assert!(changes.iter().filter(|c| c.duration.is_some()).count() > 300);
    }
}

#[tokio::test]
async fn corrections_of_an_audit_equal_what_was_lost() {
    let mut observer = Observer::start(FULL).await;
    let kind = GatewayFault::Unreliable {
        lost: 0.1,
        duplicated: 0.1,
        late: 0.1,
    };
    let fault = Fault::always(Operation::Notification, kind);
    observer.server.simulator.inject(fault);
    // What a client can know: the newest notification that it received of each extension.
    let mut known = observer.truth(observer.server.simulator.now());
    let mut sequences: HashMap<u64, u64> = HashMap::new();
    let (mut lost, mut duplicates, mut late) = (0, 0, 0);
    for _ in 0..20 {
        for _ in 0..6 {
            let (events, received) = observer.advance(5_000).await;
            let by_uuid: HashMap<&str, &EventEntry> = events
                .iter()
                .map(|event| (event.uuid.as_str(), event))
                .collect();
            for notification in &received {
                let entry = by_uuid[notification["uuid"].as_str().unwrap()];
                let id = entry.change.extension_id;
                let last = sequences.get(&id).copied().unwrap_or_default();
                match observer.apply(notification) {
                    Ok(_) => assert!(entry.sequence > last),
                    Err(Discarded::Late) => late += u32::from(entry.sequence < last),
                    Err(Discarded::Duplicate) => duplicates += u32::from(entry.copies == 2),
                    Err(discarded) => panic!("{discarded:?}"),
                }
                if entry.sequence > last {
                    sequences.insert(id, entry.sequence);
                    known.insert(id, truth(entry.change.to));
                }
            }
            assert_eq!(observer.statuses(), known);
        }
        let now = observer.truth(observer.server.simulator.now());
        let wrong = now.iter().filter(|(id, status)| known[*id] != **status);
        let wrong = wrong.count() as u64;
        assert_eq!(observer.read().await, wrong);
        assert_eq!(observer.statuses(), now);
        known = now;
        lost += wrong;
    }
    assert!(
        lost > 50 && duplicates > 50 && late > 5,
        "{lost} {duplicates} {late}"
    );
}
