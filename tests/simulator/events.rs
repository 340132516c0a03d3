//! Tests of event tokens, connections and notifications.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reqwest::header::{CONNECTION, UPGRADE};
use ringcentral_exporter::simulator::scenario::EventBody;
use ringcentral_exporter::simulator::{EventEntry, Operation, Scenario};
use serde_json::Value;

use crate::common::{TestSimulator, error, header, json};
use crate::event_client::{ACCOUNT_PRESENCE, EventClient, KnownPresence, STATUSES, extension_id};
use crate::notifications::settled_events;

fn busy(event_body: EventBody) -> Scenario {
    Scenario {
        calls_per_minute: 60.0,
        event_body,
        ..Scenario::normal()
    }
}

const BODIES: [EventBody; 4] = [
    EventBody {
        only_changed: true,
        ids_as_text: false,
    },
    EventBody {
        only_changed: true,
        ids_as_text: true,
    },
    EventBody {
        only_changed: false,
        ids_as_text: false,
    },
    EventBody {
        only_changed: false,
        ids_as_text: true,
    },
];

/// Subscribes, reads the list, advances the clock by `seconds` and returns what was received.
async fn observe(
    server: &TestSimulator,
    seconds: i64,
) -> (KnownPresence, Vec<Value>, Vec<EventEntry>) {
    let token = server.token().await;
    let mut client = server.subscribe(&token).await;
    let list = server
        .get(&token, &format!("{ACCOUNT_PRESENCE}?perPage=1000"))
        .await;
    let known = KnownPresence::from_records(&json(list).await["records"]);
    for _ in 0..seconds * 2 {
        server.advance_millis(500);
        settled_events(&server.simulator).await;
    }
    let events = settled_events(&server.simulator).await;
    let own = client.subscription_id.clone().unwrap();
    let own = events.iter().filter(|event| event.subscription_id == own);
    let copies = own.map(|event| event.copies as usize).sum();
    let received = client.notifications(copies).await;
    assert!(client.is_silent().await);
    (known, received, events)
}

#[tokio::test]
async fn events_applied_to_the_list_equal_the_truth() {
    for event_body in BODIES {
        let server = TestSimulator::start(busy(event_body)).await;
        let (mut known, received, events) = observe(&server, 60).await;
        assert!(received.len() > 60, "{}", received.len());
        for (index, event) in received.iter().enumerate() {
            known.apply_event(event);
            let at_ms = events[index].change.at_ms;
            if events
                .get(index + 1)
                .is_none_or(|next| next.change.at_ms > at_ms)
            {
                let truth = KnownPresence::truth(&server, at_ms);
                assert_eq!(known, truth, "{event_body:?} {event}");
            }
        }
    }
}

#[tokio::test]
async fn event_body_has_changed_or_all_fields() {
    for event_body in BODIES {
        let server = TestSimulator::start(busy(event_body)).await;
        let (_, received, events) = observe(&server, 20).await;
        for (event, entry) in received.iter().zip(&events) {
            let body = &event["body"];
            assert_eq!(body["extensionId"].is_string(), event_body.ids_as_text);
            assert_eq!(extension_id(body), entry.change.extension_id);
            let fields = STATUSES.iter().filter(|name| body.get(**name).is_some());
            let count = fields.count();
            assert!(count >= 1 && (count == 4 || event_body.only_changed));
            let is_changed = entry.change.from.telephony != entry.change.to.telephony;
            let has_telephony = body.get("telephonyStatus").is_some();
            assert_eq!(has_telephony, is_changed || !event_body.only_changed);
            assert_eq!(
                body.get("allowSeeMyPresence").is_some(),
                !event_body.only_changed
            );
        }
    }
}

#[tokio::test]
async fn each_change_is_sent_once_with_the_next_sequence() {
    let server = TestSimulator::start(busy(BODIES[0])).await;
    let start = server.simulator.now();
    let (_, received, events) = observe(&server, 60).await;
    let truth = server
        .simulator
        .switchboard()
        .presence_changes(start, server.simulator.now());
    let changes: Vec<_> = events.iter().map(|event| event.change).collect();
    assert_eq!(changes, truth);
    let mut sequences: HashMap<u64, u64> = HashMap::new();
    let mut uuids = HashSet::new();
    for (event, entry) in received.iter().zip(&events) {
        let sequence = event["body"]["sequence"].as_u64().unwrap();
        assert_eq!(sequence, entry.sequence);
        let last = sequences.insert(extension_id(&event["body"]), sequence);
        assert!(last.is_none_or(|last| sequence == last + 1));
        assert_eq!(event["uuid"], *entry.uuid);
        assert!(uuids.insert(entry.uuid.clone()));
        let timestamp: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(timestamp.as_millisecond(), entry.change.at_ms);
        let delay = entry.sent_ms.unwrap() - entry.change.at_ms;
        // The clock moves by 500 ms.
        assert!((14..=113 + 500).contains(&delay), "{delay}");
    }
}

#[tokio::test]
async fn changes_without_a_subscription_are_a_hole() {
    let server = TestSimulator::start(busy(BODIES[0])).await;
    let (_, _, before) = observe(&server, 60).await;
    while server.simulator.event_connections()[0].closed_ms.is_none() {
        tokio::task::yield_now().await;
    }
    // Long enough that the lost connection cannot be recovered.
    server.advance_seconds(200);
    let (_, _, all) = observe(&server, 60).await;
    let mut last: HashMap<u64, u64> = HashMap::new();
    for event in &before {
        last.insert(event.change.extension_id, event.sequence);
    }
    let mut common = 0;
    for event in &all[before.len()..] {
        if let Some(last) = last.remove(&event.change.extension_id) {
            common += 1;
            assert!(event.sequence > last + 1, "{last} {event:?}");
        }
    }
    assert!(common > 10, "{common}");
}

#[tokio::test]
async fn two_connections_each_get_every_event() {
    let server = TestSimulator::start(busy(BODIES[0])).await;
    let token = server.token().await;
    let mut clients = [
        server.subscribe(&token).await,
        server.subscribe(&token).await,
    ];
    for _ in 0..40 {
        server.advance_millis(500);
        settled_events(&server.simulator).await;
    }
    let events = settled_events(&server.simulator).await;
    for client in &mut clients {
        let first = client.notifications(1).await.remove(0);
        let own = events
            .iter()
            .filter(|event| first["subscriptionId"] == *event.subscription_id);
        assert_eq!(own.clone().count() * 2, events.len());
        let sent: Vec<_> = own.filter(|event| event.copies == 1).collect();
        assert!(sent.len() > 20);
        for (event, entry) in client
            .notifications(sent.len() - 1)
            .await
            .iter()
            .zip(&sent[1..])
        {
            assert_eq!(event["uuid"], *entry.uuid);
        }
    }
}

#[tokio::test]
async fn event_token_has_address_and_lifetime() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let request = server.http.post(server.url("/restapi/oauth/wstoken"));
    let response = request.bearer_auth(&token).send().await.unwrap();
    assert_eq!(header(&response, "x-rate-limit-group"), Some("auth"));
    let body = json(response).await;
    assert_eq!(body["uri"], server.url("/ws").replace("http://", "ws://"));
    assert_eq!(body["expires_in"], 60);
    assert!(body["ws_access_token"].as_str().unwrap().len() > 100);
    let get = server.get(&token, "/restapi/oauth/wstoken").await;
    assert_eq!(error(get).await, (405, "CMN-121".to_owned()));
}

#[tokio::test]
async fn event_tokens_and_logins_share_the_auth_limit() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for _ in 0..4 {
        server.event_token(&token).await;
    }
    let request = server.http.post(server.url("/restapi/oauth/wstoken"));
    let refused = request.bearer_auth(&token).send().await.unwrap();
    assert_eq!(header(&refused, "retry-after"), Some("60"));
    assert_eq!(error(refused).await, (429, "CMN-301".to_owned()));
    assert_eq!(server.log_in().await.status(), 429);
}

#[tokio::test]
async fn app_without_web_sockets_gets_no_token() {
    let server = TestSimulator::start(Scenario {
        web_socket: false,
        ..Scenario::normal()
    })
    .await;
    let token = server.token().await;
    let request = server.http.post(server.url("/restapi/oauth/wstoken"));
    let refused = request.bearer_auth(&token).send().await.unwrap();
    assert_eq!(error(refused).await, (403, "CMN-401".to_owned()));
    let request = server.http.post(server.url("/restapi/oauth/wstoken"));
    let refused = request.bearer_auth("unknown").send().await.unwrap();
    assert_eq!(error(refused).await, (401, "OAU-213".to_owned()));
}

#[tokio::test]
async fn event_token_opens_one_connection_in_its_lifetime() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let url = server.event_url(&token).await;
    let mut client = EventClient::connect(&url).await;
    assert_eq!(client.message().await[0]["type"], "ConnectionDetails");
    let mut again = EventClient::connect(&url).await;
    assert_eq!(again.closed().await, Some(4401));
    let url = server.event_url(&token).await;
    server.advance_seconds(60);
    let mut late = EventClient::connect(&url).await;
    assert_eq!(late.closed().await, Some(4401));
    let url = server.url("/ws").replace("http://", "ws://");
    let mut without = EventClient::connect(&url).await;
    assert_eq!(without.closed().await, Some(4400));
}

#[tokio::test]
async fn upgrade_declines_compression_and_plain_requests() {
    let server = TestSimulator::normal().await;
    assert_eq!(server.get("", "/ws").await.status(), 400);
    let request = server
        .http
        .get(server.url("/ws?access_token=secret&wsc=hidden"))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-extensions", "permessage-deflate");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 101);
    // The example of RFC 6455.
    assert_eq!(
        header(&response, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(header(&response, "sec-websocket-extensions"), None);
    let entry = server.simulator.journal().pop().unwrap();
    assert_eq!(entry.operation, Some(Operation::EventConnection));
    assert_eq!(entry.target, "/ws?access_token=SECRET&wsc=SECRET");
}

#[tokio::test]
async fn first_message_has_the_limits_of_the_connection() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (_, details) = server.connect(&token).await;
    assert_eq!(details[0]["type"], "ConnectionDetails");
    assert_eq!(details[0]["wsc"]["sequence"], 1);
    assert!(details[0]["wsc"]["token"].is_string());
    for (name, value) in [
        ("maxConnectionsPerSession", 50),
        ("recoveryBufferSize", 100),
        ("recoveryTimeout", 180),
        ("idleTimeout", 1800),
        ("absoluteTimeout", 86_400),
        ("maxActiveRequests", 10),
    ] {
        assert_eq!(details[1][name], value, "{name}");
    }
    let created = details[1]["creationTime"].as_str().unwrap();
    assert!(created.ends_with("+0000"), "{created}");
    assert!(details[1].get("recoveryState").is_none());
}

#[tokio::test]
async fn heartbeats_and_pings_are_answered() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    client
        .send(r#"[{"type":"Heartbeat","messageId":"h1"}]"#)
        .await;
    let echo = client.message().await;
    assert_eq!(echo[0]["type"], "Heartbeat");
    assert_eq!(echo[0]["messageId"], "h1");
    client.ping().await;
    assert!(client.receives_pong().await);
    client.send("not JSON").await;
    assert_eq!(client.message().await[0]["type"], "Error");
}

#[tokio::test]
async fn client_must_answer_pings() {
    let server = TestSimulator::start(Scenario {
        ping_interval: Duration::from_millis(20),
        // Far more than an answer takes.
        pong_timeout: Duration::from_secs(2),
        ..Scenario::normal()
    })
    .await;
    let token = server.token().await;
    let (mut reading, _) = server.connect(&token).await;
    // This client reads nothing, so it answers no ping.
    let (mut deaf, _) = server.connect(&token).await;
    while server.simulator.event_connections()[1].closed_ms.is_none() {
        reading.answers_pings().await;
    }
    assert_eq!(
        server.simulator.event_connections()[1].close_code,
        Some(1001)
    );
    assert_eq!(deaf.closed().await, Some(1001));
    assert_eq!(server.simulator.event_connections()[0].closed_ms, None);
}

#[tokio::test]
async fn idle_connection_is_closed_after_30_minutes() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut idle, _) = server.connect(&token).await;
    server.advance_seconds(1_799);
    assert!(idle.is_silent().await);
    server.advance_seconds(1);
    assert_eq!(idle.message().await[1]["errorCode"], "WSG-902");
    assert_eq!(idle.closed().await, Some(1000));
}

#[tokio::test]
async fn any_connection_is_closed_after_24_hours() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    for _ in 0..48 {
        server.advance_seconds(1_799);
        client
            .send(r#"[{"type":"Heartbeat","messageId":"h1"}]"#)
            .await;
        assert_eq!(client.message().await[0]["type"], "Heartbeat");
    }
    server.advance_seconds(48);
    assert_eq!(client.message().await[1]["errorCode"], "WSG-903");
    assert_eq!(client.closed().await, Some(1000));
    let journal = server.simulator.event_connections();
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].close_code, Some(1000));
    assert!(journal[0].closed_ms.is_some());
}
