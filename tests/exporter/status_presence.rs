//! Tests of presence in `/status` and on the page: it is shown, and its failures never are failures of the account.

use std::time::Duration;

use ringcentral_exporter::config::{Config, PresenceMode};
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::common::MAX_WAIT;
use crate::harness::TestExporter;

/// Starts an exporter that reads presence in this way.
pub async fn exporter_with(mode: PresenceMode, scenario: Scenario) -> TestExporter {
    let change = |config: &mut Config| config.accounts[0].presence = mode;
    TestExporter::start_with(scenario, change).await
}

async fn account_status(exporter: &TestExporter) -> Value {
    let response = exporter.get("/status?format=json", &[]).await;
    let status: Value = serde_json::from_str(&response.text).unwrap();
    status["accounts"][0].clone()
}

/// Scrapes until the status of the account fulfils a condition, and returns it.
pub async fn wait_for_status(
    exporter: &TestExporter,
    is_reached: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + MAX_WAIT;
    loop {
        exporter.scrape().await;
        let status = account_status(exporter).await;
        if is_reached(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{status:#}");
        sleep(Duration::from_millis(100)).await;
    }
}

pub fn warning_names(status: &Value) -> Vec<&str> {
    let warnings = status["warnings"].as_array().unwrap().iter();
    warnings
        .map(|warning| warning["name"].as_str().unwrap())
        .collect()
}

/// Asserts that the account is well although presence is not.
async fn assert_calls_are_ok(exporter: &TestExporter, status: &Value) {
    assert_eq!(status["state"], "ok", "{status:#}");
    assert_eq!(status["failure"], Value::Null, "{status:#}");
    assert_eq!(status["presence_up"], false, "{status:#}");
    let ready = exporter.get("/-/ready", &[]).await;
    assert_eq!(ready.status, 200);
    assert_eq!(exporter.scrape().await.up(), 1.0);
}

#[tokio::test]
async fn presence_is_in_status_and_page() {
    for mode in [PresenceMode::Poll, PresenceMode::Events] {
        let exporter = exporter_with(mode, Scenario::normal()).await;
        let status = wait_for_status(&exporter, |status| status["presence_up"] == true).await;
        assert_eq!(status["presence"], mode.as_str());
        assert_eq!(status["presence_extensions"], 173, "{status:#}");
        assert!(status["presence_in_calls"].as_u64().unwrap() > 0);
        assert!(warning_names(&status).is_empty(), "{status:#}");
        let is_events = mode == PresenceMode::Events;
        let connected = is_events.then_some(true);
        assert_eq!(
            status.get("events_connected").and_then(Value::as_bool),
            connected
        );
        let text = exporter.get("/status", &[]).await.text;
        let line = format!("\n  presence      {}: ", mode.as_str());
        assert!(text.contains(&line), "{text}");
        let line = "\n  events        connected for ";
        assert_eq!(text.contains(line), is_events, "{text}");
        let page = exporter.get("/", &[]).await.text;
        assert!(page.contains(">Presence<"), "{page}");
        assert_eq!(page.contains(">Events<"), is_events, "{page}");
    }
}

#[tokio::test]
async fn presence_that_is_off_is_not_in_the_status() {
    let exporter = exporter_with(PresenceMode::Off, Scenario::normal()).await;
    exporter.scrape().await;
    let status = account_status(&exporter).await;
    for key in status.as_object().unwrap().keys() {
        let is_presence = key.starts_with("presence") || key.starts_with("events");
        assert!(!is_presence, "{key}");
    }
}

#[tokio::test]
async fn missing_permission_is_a_warning_of_an_ok_account() {
    for (mode, scenario, name, cause, fix) in [
        (
            PresenceMode::Poll,
            Scenario {
                read_presence: false,
                ..Scenario::normal()
            },
            "presence_unread",
            "app_lacks_presence",
            "Read Presence",
        ),
        (
            PresenceMode::Events,
            Scenario {
                read_presence: false,
                ..Scenario::normal()
            },
            "presence_unread",
            "app_lacks_presence",
            "Read Presence",
        ),
        (
            PresenceMode::Events,
            Scenario {
                web_socket: false,
                ..Scenario::normal()
            },
            "no_events",
            "app_lacks_web_socket",
            "WebSocket Subscriptions",
        ),
        (
            PresenceMode::Events,
            Scenario {
                read_accounts: false,
                ..Scenario::normal()
            },
            "no_events",
            "subscription_forbidden",
            "Read Accounts",
        ),
        (
            PresenceMode::Events,
            Scenario {
                max_subscriptions: 0,
                ..Scenario::normal()
            },
            "no_events",
            "too_many_subscriptions",
            "an app of its own",
        ),
    ] {
        let exporter = exporter_with(mode, scenario).await;
        let status =
            wait_for_status(&exporter, |status| warning_names(status).contains(&name)).await;
        let warnings = status["warnings"].as_array().unwrap();
        let warning = warnings.iter().find(|warning| warning["name"] == name);
        let warning = warning.unwrap();
        assert_eq!(warning["cause"], cause, "{warning:#}");
        assert!(
            warning["fix"].as_str().unwrap().contains(fix),
            "{warning:#}"
        );
        assert_calls_are_ok(&exporter, &status).await;
        let next = match name {
            "no_events" => "events_next_attempt_in_seconds",
            _ => "presence_next_read_in_seconds",
        };
        let next = status[next].as_f64().unwrap();
        assert!((140.0..300.0).contains(&next), "{name}: {status:#}");
        let page = exporter.get("/", &[]).await.text;
        assert!(page.contains(cause) && page.contains(fix), "{page}");
    }
}

/// After a connection has ended, the reason is shown until there is another one.
#[tokio::test]
async fn events_that_return_end_the_warning() {
    let exporter = exporter_with(PresenceMode::Events, Scenario::normal()).await;
    let simulator = &exporter.simulator;
    simulator.inject(Fault::once(
        Operation::EventToken,
        SimResponse::unavailable(503),
    ));
    let status = wait_for_status(&exporter, |status| {
        warning_names(status).contains(&"no_events")
    })
    .await;
    assert_calls_are_ok(&exporter, &status).await;
    let next = &status["events_next_attempt_in_seconds"];
    assert!(next.as_f64().is_none_or(|next| next <= 2.0), "{status:#}");
    let status = wait_for_status(&exporter, |status| status["presence_up"] == true).await;
    assert_eq!(status.get("events_next_attempt_in_seconds"), None);
    assert!(warning_names(&status).is_empty(), "{status:#}");
}
