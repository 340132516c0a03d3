//! Tests of the recovery of lost connections, and of the end of a session.

use ringcentral_exporter::simulator::Scenario;
use serde_json::Value;

use crate::common::TestSimulator;
use crate::event_client::{ACCOUNT_PRESENCE, EventClient};
use crate::notifications::settled_events;

fn busy() -> Scenario {
    Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    }
}

/// Returns the context token of the first message.
fn context(details: &[Value]) -> String {
    details[0]["wsc"]["token"].as_str().unwrap().to_owned()
}

/// Connects with the context of a former connection.
async fn reconnect(
    server: &TestSimulator,
    token: &str,
    context: &str,
) -> (EventClient, Vec<Value>) {
    let url = format!("{}&wsc={context}", server.event_url(token).await);
    let mut client = EventClient::connect(&url).await;
    let details = client.message().await;
    (client, details)
}

/// Subscribes, loses the connection for `seconds`, and returns the number of changes meanwhile and the context.
async fn lose(server: &TestSimulator, token: &str, seconds: i64) -> (usize, String) {
    let (mut client, details) = server.connect(token).await;
    let response = client.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(response[0]["status"], 200);
    drop(client);
    while server.simulator.event_connections()[0].closed_ms.is_none() {
        tokio::task::yield_now().await;
    }
    let lost_ms = server.simulator.now();
    server.advance_seconds(seconds);
    let now = server.simulator.now();
    // The last ones are not due yet.
    let missed = server
        .simulator
        .switchboard()
        .presence_changes(lost_ms, now - 113);
    (missed.len(), context(&details))
}

#[tokio::test]
async fn recovered_connection_gets_what_it_missed() {
    let server = TestSimulator::start(busy()).await;
    let token = server.token().await;
    let (missed, context) = lose(&server, &token, 20).await;
    assert!((10..100).contains(&missed), "{missed}");
    let (mut client, details) = reconnect(&server, &token, &context).await;
    assert_eq!(details[1]["recoveryState"], "Successful");
    assert!(details[1].get("recoveryErrorCode").is_none());
    let events = settled_events(&server.simulator).await;
    let received = client.notifications(missed).await;
    for (event, entry) in received.iter().zip(&events) {
        assert_eq!(event["uuid"], *entry.uuid);
        assert_eq!(event["subscriptionId"], *entry.subscription_id);
    }
    assert!(server.simulator.event_connections()[1].recovered);
}

#[tokio::test]
async fn recovery_keeps_the_newest_100_notifications() {
    let server = TestSimulator::start(busy()).await;
    let token = server.token().await;
    let (missed, context) = lose(&server, &token, 170).await;
    assert!(missed > 120, "{missed}");
    let (mut client, details) = reconnect(&server, &token, &context).await;
    assert_eq!(details[1]["recoveryState"], "Successful");
    let received = client.notifications(100).await;
    let events = server.simulator.events();
    let sent: Vec<_> = events.iter().filter(|event| event.copies > 0).collect();
    assert_eq!(sent.len(), 100);
    assert_eq!(received[0]["uuid"], *sent[0].uuid);
    let first = events.iter().position(|event| event.copies > 0).unwrap();
    assert!(
        events[first..first + 100]
            .iter()
            .all(|event| event.copies == 1)
    );
}

#[tokio::test]
async fn recovery_fails_after_timeout_or_a_new_login() {
    for (seconds, new_login, code) in [
        (180, false, None),
        (181, false, Some("WSG-1005")),
        (20, true, Some("WSG-1003")),
    ] {
        let server = TestSimulator::start(busy()).await;
        let mut token = server.token().await;
        let (_, context) = lose(&server, &token, seconds).await;
        if new_login {
            token = server.token().await;
        }
        let (mut client, details) = reconnect(&server, &token, &context).await;
        let state = if code.is_none() {
            "Successful"
        } else {
            "Failed"
        };
        assert_eq!(details[1]["recoveryState"], state, "{seconds}");
        let given = details[1].get("recoveryErrorCode").and_then(Value::as_str);
        assert_eq!(given, code);
        // The connection stays, and can be subscribed.
        let response = client.post_subscription(ACCOUNT_PRESENCE).await;
        assert_eq!(response[0]["status"], 200);
    }
}

#[tokio::test]
async fn recovery_without_a_subscription_fails() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (client, details) = server.connect(&token).await;
    drop(client);
    let (_, details) = reconnect(&server, &token, &context(&details)).await;
    assert_eq!(details[1]["recoveryState"], "Failed");
    assert_eq!(details[1]["recoveryErrorCode"], "WSG-1005");
}

#[tokio::test]
async fn forged_context_is_an_error() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for forged in ["forged", "U0lNfDF8MDA", ""] {
        let (mut client, error) = reconnect(&server, &token, forged).await;
        assert_eq!(error[0]["type"], "Error");
        assert_eq!(error[1]["errorCode"], "WSG-400");
        assert_eq!(client.closed().await, Some(1008));
    }
}

#[tokio::test]
async fn socket_of_an_evicted_session_is_silent() {
    let server = TestSimulator::start(busy()).await;
    let token = server.token().await;
    let mut client = server.subscribe(&token).await;
    server.advance_seconds(2);
    let events = settled_events(&server.simulator).await;
    let copies = events.iter().map(|event| event.copies as usize).sum();
    client.notifications(copies).await;
    for _ in 0..5 {
        server.advance_seconds(61);
        server.log_in().await;
    }
    server.wait_for_silence(0).await;
    // Notifications may have come until the fifth login.
    while !client.is_silent().await {}
    server.advance_seconds(60);
    client.ping().await;
    assert!(client.is_silent().await, "not even a pong");
}
