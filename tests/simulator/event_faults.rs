//! Tests of injected faults of event tokens, connections and notifications.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use ringcentral_exporter::simulator::{
    EventFate, Fault, FaultKind, GatewayFault, Operation, Scenario, SimResponse, Times,
};
use tokio_websockets::ClientBuilder;

use crate::common::TestSimulator;
use crate::event_client::{EventClient, Received};
use crate::notifications::settled_events;

fn busy() -> Scenario {
    Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    }
}

/// Connects with a fault of the open connection, and returns the client after the connection's details.
async fn connect_with_fault(server: &TestSimulator, fault: GatewayFault) -> EventClient {
    let token = server.token().await;
    server
        .simulator
        .inject(Fault::once(Operation::EventStream, fault));
    server.connect(&token).await.0
}

#[tokio::test]
async fn refused_token_is_injected_like_any_response() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for injected in [
        SimResponse::app_lacks("WebSocket"),
        SimResponse::too_many_requests(Some(30)),
        SimResponse::html(502, "502 Bad Gateway"),
    ] {
        let status = injected.status;
        server
            .simulator
            .inject(Fault::once(Operation::EventToken, injected));
        let request = server.http.post(server.url("/restapi/oauth/wstoken"));
        let response = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), status);
    }
    server.event_token(&token).await;
}

#[tokio::test]
async fn refused_upgrade_is_not_a_connection() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let url = server.event_url(&token).await;
    let redirect = FaultKind::Redirect {
        status: 302,
        location: "http://elsewhere.example/".to_owned(),
    };
    for kind in [
        SimResponse::app_lacks("WebSocket").into(),
        SimResponse::html(403, "403 Forbidden").into(),
        SimResponse::html(502, "502 Bad Gateway").into(),
        FaultKind::Body(Bytes::from("{}")),
        FaultKind::CloseBeforeResponse,
        redirect,
    ] {
        let fault = Fault::once(Operation::EventConnection, kind);
        server.simulator.inject(fault);
        let connected = ClientBuilder::new().uri(&url).unwrap().connect().await;
        assert!(connected.is_err());
    }
    assert!(server.simulator.event_connections().is_empty());
    // The token was not used.
    let mut client = EventClient::connect(&url).await;
    assert_eq!(client.message().await[0]["type"], "ConnectionDetails");
}

#[tokio::test]
async fn connection_can_be_closed_with_any_code() {
    for code in [1000, 1001, 1006 + 5, 4400, 4401] {
        let server = TestSimulator::normal().await;
        let fault = GatewayFault::Close {
            code,
            reason: "a reason".to_owned(),
        };
        let mut client = connect_with_fault(&server, fault).await;
        assert_eq!(client.closed().await, Some(code));
        let journal = server.simulator.event_connections();
        assert_eq!(journal[0].close_code, Some(code));
    }
}

#[tokio::test]
async fn gateway_errors_close_the_connection() {
    for code in ["WSG-400", "WSG-902", "WSG-903"] {
        let server = TestSimulator::normal().await;
        let mut client = connect_with_fault(&server, GatewayFault::Error { code }).await;
        let error = client.message().await;
        assert_eq!(error[0]["type"], "Error");
        assert_eq!(error[1]["errorCode"], code);
        assert_eq!(client.closed().await, Some(1000));
    }
}

#[tokio::test]
async fn disconnected_client_gets_no_close_code() {
    let server = TestSimulator::normal().await;
    let mut client = connect_with_fault(&server, GatewayFault::Disconnect).await;
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn silent_connection_stays_open_without_pongs() {
    let server = TestSimulator::start(busy()).await;
    let token = server.token().await;
    let mut client = server.subscribe(&token).await;
    let fault = GatewayFault::Silence;
    server
        .simulator
        .inject(Fault::once(Operation::EventStream, fault));
    server.wait_for_silence(0).await;
    server.advance_seconds(60);
    client.ping().await;
    assert!(client.is_silent().await);
    // Another connection works.
    let (mut other, _) = server.connect(&token).await;
    other.ping().await;
    assert!(other.receives_pong().await);
    drop(client);
    while server.simulator.event_connections()[0].closed_ms.is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn garbage_and_oversized_messages_are_sent() {
    let server = TestSimulator::normal().await;
    let text = GatewayFault::Text("{\"no\": \"array\"}".to_owned());
    let mut client = connect_with_fault(&server, text).await;
    match client.receive().await {
        Received::Text(text) => assert_eq!(text, "{\"no\": \"array\"}"),
        other => panic!("{other:?}"),
    }
    let size = 1024 * 1024 + 1;
    let fault = GatewayFault::Oversized(size);
    server
        .simulator
        .inject(Fault::once(Operation::EventStream, fault));
    match client.receive().await {
        Received::Message(message) => {
            assert_eq!(serde_json::to_string(&message).unwrap().len(), size);
        }
        other => panic!("{other:?}"),
    }
    let fault = GatewayFault::RawBytes(Bytes::from_static(b"HTTP/1.1 500\r\n\r\n"));
    server
        .simulator
        .inject(Fault::once(Operation::EventStream, fault));
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn slow_connection_still_delivers_messages() {
    let server = TestSimulator::normal().await;
    let fault = GatewayFault::Slow {
        piece: 8,
        pause: Duration::from_millis(1),
    };
    let mut client = connect_with_fault(&server, fault).await;
    let heartbeat = r#"[{"type":"Heartbeat","messageId":"slow"}]"#;
    // After the next look at the faults.
    assert!(client.is_silent().await);
    client.send(heartbeat).await;
    assert_eq!(client.message().await[0]["messageId"], "slow");
}

/// Advances the clock with an injected fault of notifications, and compares what was received with the journal.
async fn assert_journal_is_exact(kind: GatewayFault, times: Times) -> HashMap<String, usize> {
    let server = TestSimulator::start(busy()).await;
    let token = server.token().await;
    let mut client = server.subscribe(&token).await;
    server.simulator.inject(Fault {
        operation: Operation::Notification,
        kind: kind.into(),
        times,
    });
    for _ in 0..120 {
        server.advance_millis(500);
        settled_events(&server.simulator).await;
    }
    server.simulator.clear_faults();
    let events = settled_events(&server.simulator).await;
    let copies: usize = events.iter().map(|event| event.copies as usize).sum();
    let mut received: HashMap<String, usize> = HashMap::new();
    for event in client.notifications(copies).await {
        let uuid = event["uuid"].as_str().unwrap().to_owned();
        *received.entry(uuid).or_default() += 1;
    }
    let mut fates: HashMap<String, usize> = HashMap::new();
    for event in &events {
        let copies = received.remove(&event.uuid).unwrap_or_default();
        assert_eq!(copies, event.copies as usize);
        let is_complete = match event.fate {
            EventFate::Lost => copies == 0 && event.sent_ms.is_none(),
            EventFate::Duplicated => copies <= 2,
            EventFate::Regular | EventFate::Late => copies <= 1,
        };
        assert!(is_complete, "{event:?}");
        *fates.entry(format!("{:?}", event.fate)).or_default() += 1;
    }
    assert!(received.is_empty());
    fates
}

#[tokio::test]
async fn single_notifications_are_lost_doubled_or_late() {
    for (kind, fate) in [
        (GatewayFault::Lost, "Lost"),
        (GatewayFault::Duplicated, "Duplicated"),
        (GatewayFault::Late(Duration::from_secs(3)), "Late"),
    ] {
        let fates = assert_journal_is_exact(kind, Times::N(3)).await;
        assert_eq!(fates[fate], 3);
        assert!(fates["Regular"] > 50);
    }
}

#[tokio::test]
async fn unreliable_stream_has_the_injected_shares() {
    let kind = GatewayFault::Unreliable {
        lost: 0.2,
        duplicated: 0.2,
        late: 0.2,
    };
    let fates = assert_journal_is_exact(kind, Times::Always).await;
    let total: usize = fates.values().sum();
    for fate in ["Lost", "Duplicated", "Late"] {
        let share = fates[fate] as f64 / total as f64;
        assert!((0.1..0.3).contains(&share), "{fate}: {share}");
    }
}

#[tokio::test]
async fn lossy_scenario_has_every_fate_from_the_start() {
    let scenario = Scenario {
        calls_per_minute: 60.0,
        ..Scenario::lossy()
    };
    let server = TestSimulator::start(scenario).await;
    let token = server.token().await;
    let _client = server.subscribe(&token).await;
    for _ in 0..60 {
        server.advance_millis(2_000);
        settled_events(&server.simulator).await;
    }
    let events = settled_events(&server.simulator).await;
    for fate in [EventFate::Lost, EventFate::Duplicated, EventFate::Late] {
        let count = events.iter().filter(|event| event.fate == fate).count();
        assert!((1..events.len() / 5).contains(&count), "{fate:?}: {count}");
    }
}

#[tokio::test]
async fn late_notification_comes_after_newer_ones() {
    let server = TestSimulator::start(busy()).await;
    let token = server.token().await;
    let mut client = server.subscribe(&token).await;
    let late = GatewayFault::Late(Duration::from_secs(15));
    server
        .simulator
        .inject(Fault::once(Operation::Notification, late));
    for _ in 0..40 {
        server.advance_millis(500);
        settled_events(&server.simulator).await;
    }
    let events = settled_events(&server.simulator).await;
    let copies: usize = events.iter().map(|event| event.copies as usize).sum();
    let received = client.notifications(copies).await;
    let position = |uuid: &str| received.iter().position(|event| event["uuid"] == *uuid);
    assert_eq!(events[0].fate, EventFate::Late);
    let late = position(&events[0].uuid).unwrap();
    assert!(late > 5, "{late}");
    let delay = events[0].sent_ms.unwrap() - events[0].change.at_ms;
    assert!(delay >= 15_000, "{delay}");
}
