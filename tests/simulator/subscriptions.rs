//! Tests of requests for a subscription.

use ringcentral_exporter::simulator::{
    Fault, FaultKind, GatewayFault, Operation, Scenario, SimResponse,
};
use serde_json::{Value, json};

use crate::common::TestSimulator;
use crate::event_client::{ACCOUNT_PRESENCE, SUBSCRIPTION, subscription_to};

fn status_and_code(response: &[Value]) -> (u64, &str) {
    let code = response
        .get(1)
        .and_then(|body| body["errors"][0]["errorCode"].as_str());
    (
        response[0]["status"].as_u64().unwrap(),
        code.unwrap_or_default(),
    )
}

#[tokio::test]
async fn subscription_has_the_fields_of_the_published_sample() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    for path in [SUBSCRIPTION, "/restapi/v1.0/subscription/"] {
        let body = Some(subscription_to(ACCOUNT_PRESENCE));
        let response = client.request("POST", path, body).await;
        let (meta, info) = (&response[0], &response[1]);
        assert_eq!(meta["type"], "ClientRequest");
        assert_eq!(meta["status"], 200);
        assert_eq!(meta["headers"]["X-Rate-Limit-Group"], "medium");
        assert_eq!(meta["headers"]["WSG-SubscriptionId"], info["id"]);
        let account = server.simulator.account_id();
        let filter = format!("/restapi/v1.0/account/{account}/presence");
        assert_eq!(info["eventFilters"], json!([filter]));
        assert_eq!(info["status"], "Active");
        assert_eq!(info["expiresIn"], 86_399);
        assert_eq!(info["deliveryMode"]["transportType"], "WebSocket");
        let id = info["id"].as_str().unwrap();
        assert_eq!(info["uri"], format!("/restapi/v1.0/subscription/{id}"));
        assert_eq!(id.len(), 36);
        assert!(info.get("disabledFilters").is_none());
    }
}

#[tokio::test]
async fn connection_has_one_subscription_that_can_change() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    let first = client.post_subscription(ACCOUNT_PRESENCE).await;
    let second = client.post_subscription(ACCOUNT_PRESENCE).await;
    assert_ne!(first[1]["id"], second[1]["id"]);
    let path = |info: &Value| format!("{SUBSCRIPTION}/{}", info["id"].as_str().unwrap());
    let gone = client.request("GET", &path(&first[1]), None).await;
    assert_eq!(status_and_code(&gone), (404, "CMN-102"));
    let list = client.request("GET", SUBSCRIPTION, None).await;
    assert_eq!(list[1]["records"][0]["id"], second[1]["id"]);
    let own = "/restapi/v1.0/account/~/extension/~/presence";
    let changed = client
        .request("PUT", &path(&second[1]), Some(subscription_to(own)))
        .await;
    assert_eq!(changed[1]["id"], second[1]["id"]);
    let owner = server.simulator.owner_id().to_string();
    let filter = changed[1]["eventFilters"][0].as_str().unwrap();
    assert!(filter.ends_with(&format!("/extension/{owner}/presence")));
    let deleted = client.request("DELETE", &path(&second[1]), None).await;
    assert_eq!(deleted.len(), 1, "a reply without a body");
    assert_eq!(deleted[0]["status"], 204);
    let again = client.request("DELETE", &path(&second[1]), None).await;
    assert_eq!(status_and_code(&again), (404, "CMN-102"));
}

#[tokio::test]
async fn invalid_subscriptions_are_refused() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    let mode = json!({"transportType": "WebSocket"});
    for (body, expected) in [
        (json!({"deliveryMode": mode}), (400, "SUB-508")),
        (subscription_to("/restapi/v1.0/nothing"), (400, "SUB-508")),
        (
            json!({"eventFilters": [ACCOUNT_PRESENCE], "deliveryMode": {"transportType": "PubNub"}}),
            (400, "CMN-101"),
        ),
        (
            json!({"eventFilters": [ACCOUNT_PRESENCE]}),
            (400, "CMN-101"),
        ),
    ] {
        let response = client.request("POST", SUBSCRIPTION, Some(body)).await;
        assert_eq!(status_and_code(&response), expected);
    }
    let unknown = client
        .request("POST", "/restapi/v1.0/account/~", None)
        .await;
    assert_eq!(status_and_code(&unknown), (404, "CMN-120"));
    let patch = client.request("PATCH", SUBSCRIPTION, None).await;
    assert_eq!(patch[0]["status"], 404);
}

#[tokio::test]
async fn subscriptions_count_until_deleted_or_expired() {
    let server = TestSimulator::start(Scenario {
        max_subscriptions: 2,
        ..Scenario::normal()
    })
    .await;
    let token = server.token().await;
    drop(server.subscribe(&token).await);
    let mut kept = server.subscribe(&token).await;
    let (mut third, _) = server.connect(&token).await;
    let refused = third.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(status_and_code(&refused), (403, "SUB-505"));
    // Replacing one's own is not one more.
    let replaced = kept.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(replaced[0]["status"], 200);
    let path = format!("{SUBSCRIPTION}/{}", replaced[1]["id"].as_str().unwrap());
    kept.request("DELETE", &path, None).await;
    let admitted = third.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(admitted[0]["status"], 200);
    let refused = kept.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(status_and_code(&refused), (403, "SUB-505"));
    server.advance_seconds(86_399);
    let token = server.token().await;
    let (mut next_day, _) = server.connect(&token).await;
    let admitted = next_day.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(admitted[0]["status"], 200);
}

#[tokio::test]
async fn subscription_of_a_lost_connection_can_be_deleted() {
    let server = TestSimulator::start(Scenario {
        max_subscriptions: 1,
        ..Scenario::normal()
    })
    .await;
    let token = server.token().await;
    for seconds in [0, 181] {
        let lost = server.subscribe(&token).await;
        let path = format!("{SUBSCRIPTION}/{}", lost.subscription_id.clone().unwrap());
        drop(lost);
        server.advance_seconds(seconds);
        let (mut client, _) = server.connect(&token).await;
        let refused = client.post_subscription(ACCOUNT_PRESENCE).await;
        assert_eq!(status_and_code(&refused), (403, "SUB-505"));
        let deleted = client.request("DELETE", &path, None).await;
        assert_eq!(deleted[0]["status"], 204);
        let again = client.request("DELETE", &path, None).await;
        assert_eq!(status_and_code(&again), (404, "CMN-102"));
    }
}

#[tokio::test]
async fn default_limit_is_20_subscriptions() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for number in 0..21 {
        // Four event tokens a minute.
        server.advance_seconds(16);
        let (mut client, _) = server.connect(&token).await;
        let response = client.post_subscription(ACCOUNT_PRESENCE).await;
        let expected = if number < 20 { 200 } else { 403 };
        assert_eq!(response[0]["status"], expected, "{number}");
    }
}

#[tokio::test]
async fn subscriptions_are_in_the_medium_group() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    for _ in 0..40 {
        let response = client.post_subscription(ACCOUNT_PRESENCE).await;
        assert_eq!(response[0]["status"], 200);
    }
    let refused = client.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(status_and_code(&refused), (429, "CMN-301"));
    assert_eq!(refused[0]["headers"]["Retry-After"], "60");
    let entry = server.simulator.journal().pop().unwrap();
    assert_eq!(entry.operation, Some(Operation::Subscription));
    assert_eq!(entry.status, Some(429));
}

#[tokio::test]
async fn disabled_filter_leaves_the_stream_silent() {
    let lacking = Scenario {
        read_accounts: false,
        calls_per_minute: 60.0,
        ..Scenario::normal()
    };
    let faulty = Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    };
    for scenario in [lacking, faulty] {
        let server = TestSimulator::start(scenario).await;
        let fault = FaultKind::from(GatewayFault::DisabledFilters);
        server
            .simulator
            .inject(Fault::once(Operation::Subscription, fault));
        let token = server.token().await;
        let (mut client, _) = server.connect(&token).await;
        let response = client.post_subscription(ACCOUNT_PRESENCE).await;
        assert_eq!(response[0]["status"], 200);
        assert_eq!(response[1]["eventFilters"], json!([]));
        let disabled = &response[1]["disabledFilters"][0];
        assert!(disabled["filter"].as_str().unwrap().ends_with("/presence"));
        assert!(disabled["reason"].is_string() && disabled["message"].is_string());
        server.advance_seconds(60);
        assert!(client.is_silent().await);
        assert!(server.simulator.events().is_empty());
    }
}

#[tokio::test]
async fn subscription_faults_replace_the_response() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let (mut client, _) = server.connect(&token).await;
    for (injected, expected) in [
        (SimResponse::too_many_subscriptions(), (403, "SUB-505")),
        (SimResponse::too_many_requests(Some(7)), (429, "CMN-301")),
        (SimResponse::unavailable(503), (503, "CMN-201")),
        (SimResponse::app_lacks("ReadAccounts"), (403, "CMN-401")),
    ] {
        let fault = Fault::once(Operation::Subscription, injected);
        server.simulator.inject(fault);
        let response = client.post_subscription(ACCOUNT_PRESENCE).await;
        assert_eq!(status_and_code(&response), expected);
    }
    let response = client.post_subscription(ACCOUNT_PRESENCE).await;
    assert_eq!(response[0]["status"], 200);
    let fault = FaultKind::CloseBeforeResponse;
    server
        .simulator
        .inject(Fault::once(Operation::Subscription, fault));
    let body = subscription_to(ACCOUNT_PRESENCE).to_string();
    let meta = r#"{"type":"ClientRequest","messageId":"x","method":"POST","path":"/restapi/v1.0/subscription"}"#;
    client.send(&format!("[{meta},{body}]")).await;
    assert_eq!(client.closed().await, None);
}
