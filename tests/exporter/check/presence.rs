//! Tests of `check` with presence: each missing permission and each failure is a warning with its fix, and the running
//! exporter is not disturbed.

use std::time::Duration;

use bytes::Bytes;
use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, GatewayFault, Operation, Scenario, SimResponse, Simulator,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::check::{
    assert_matches_golden, assert_output, check_command, frozen_scenario, mask, start_simulator,
};
use crate::common::exporter_process::{ExporterProcess, command_for_simulator, output};
use crate::common::get;
use crate::harness::wait_for_requests;

const POLL: [&str; 1] = ["--ringcentral.presence=poll"];
const EVENTS: [&str; 1] = ["--ringcentral.presence=events"];

/// Returns the number of requests of an operation.
fn count(simulator: &Simulator, operation: Operation) -> usize {
    let journal = simulator.journal().into_iter();
    journal
        .filter(|entry| entry.operation == Some(operation))
        .count()
}

/// Asserts the report of `check` with events for an account, which can be read.
async fn assert_events_reported(name: &str, scenario: Scenario) -> Simulator {
    let simulator = start_simulator(scenario).await;
    assert_output(check_command(&simulator, &EVENTS), 0, name).await;
    simulator
}

/// Asserts the report of `check` with a fault of all requests of an operation.
async fn assert_fault_reported(name: &str, operation: Operation, fault: impl Into<FaultKind>) {
    let simulator = start_simulator(frozen_scenario()).await;
    simulator.inject(Fault::always(operation, fault));
    assert_output(check_command(&simulator, &EVENTS), 0, name).await;
}

/// Returns the report of `check` with a fault of all requests of an operation, which must be a warning.
async fn report_of_fault(operation: Operation, fault: impl Into<FaultKind>) -> String {
    let simulator = start_simulator(frozen_scenario()).await;
    simulator.inject(Fault::always(operation, fault));
    let (code, report, errors) = output(check_command(&simulator, &EVENTS)).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{report}");
    assert!(report.contains("\nOK, with "), "{report}");
    report
}

/// Returns a subscription whose filter is disabled for this reason.
fn disabled_for(reason: &str) -> FaultKind {
    let body = json!({
        "id": "1",
        "status": "Active",
        "eventFilters": [],
        "disabledFilters": [{
            "filter": "/restapi/v1.0/account/1/presence",
            "reason": reason,
            "message": "sesame",
        }],
    });
    FaultKind::Body(Bytes::from(body.to_string()))
}

#[tokio::test]
async fn polled_presence_is_read_once() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(check_command(&simulator, &POLL), 0, "ok_presence_poll").await;
    assert_eq!(count(&simulator, Operation::Presence), 1);
    assert_eq!(count(&simulator, Operation::EventToken), 0);
}

#[tokio::test]
async fn events_are_received_for_a_few_seconds() {
    let mut limits = Limits::default();
    limits.auth.requests = 50;
    let simulator = start_simulator(Scenario {
        limits,
        max_subscriptions: 1,
        ..Scenario::normal()
    })
    .await;
    // The second one is rejected if the first one has left its subscription.
    for _ in 0..2 {
        let (code, report, _) = output(check_command(&simulator, &EVENTS)).await;
        assert_eq!(code, Some(0), "{report}");
        assert!(report.contains("events        connected for "), "{report}");
        assert!(!report.contains("no_events"), "{report}");
    }
    let connections = simulator.event_connections();
    assert_eq!(connections.len(), 2);
    for connection in connections {
        let open_ms = connection.closed_ms.unwrap() - connection.opened_ms;
        assert!((2_000..8_000).contains(&open_ms), "{open_ms} ms");
    }
    for operation in [Operation::EventToken, Operation::Presence] {
        assert_eq!(count(&simulator, operation), 2, "{operation:?}");
    }
}

#[tokio::test]
async fn report_of_events_is_complete() {
    assert_events_reported("ok_presence_events", frozen_scenario()).await;
}

#[tokio::test]
async fn check_without_presence_requests_none() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(check_command(&simulator, &[]), 0, "ok").await;
    for operation in [Operation::Presence, Operation::EventToken] {
        assert_eq!(count(&simulator, operation), 0, "{operation:?}");
    }
}

#[tokio::test]
async fn app_without_read_presence_is_a_warning() {
    let scenario = Scenario {
        read_presence: false,
        ..frozen_scenario()
    };
    assert_events_reported("app_lacks_presence", scenario).await;
}

#[tokio::test]
async fn user_without_read_presence_is_a_warning() {
    let response = SimResponse::user_lacks("ReadPresenceStatus");
    assert_fault_reported("user_lacks_presence", Operation::Presence, response).await;
}

#[tokio::test]
async fn app_without_web_socket_is_a_warning() {
    let scenario = Scenario {
        web_socket: false,
        ..frozen_scenario()
    };
    let simulator = assert_events_reported("app_lacks_web_socket", scenario).await;
    assert_eq!(count(&simulator, Operation::EventToken), 1);
    assert!(simulator.event_connections().is_empty());
}

#[tokio::test]
async fn app_without_read_accounts_is_a_warning() {
    let scenario = Scenario {
        read_accounts: false,
        ..frozen_scenario()
    };
    assert_events_reported("subscription_forbidden", scenario).await;
}

#[tokio::test]
async fn all_missing_permissions_are_in_one_report() {
    let scenario = Scenario {
        read_presence: false,
        read_accounts: false,
        web_socket: false,
        ..frozen_scenario()
    };
    assert_events_reported("presence_forbidden", scenario).await;
}

/// After a failure there may be no token, and no login may be allowed.
#[tokio::test]
async fn presence_is_not_checked_if_calls_fail() {
    let simulator = start_simulator(Scenario {
        read_call_log: false,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &EVENTS), 1, "app_lacks_call_log").await;
    for operation in [Operation::Presence, Operation::EventToken] {
        assert_eq!(count(&simulator, operation), 0, "{operation:?}");
    }
}

#[tokio::test]
async fn disabled_filter_is_a_warning() {
    let fault = disabled_for("FeatureNotAvailable");
    assert_fault_reported("filter_disabled", Operation::Subscription, fault).await;
    let fault = GatewayFault::DisabledFilters;
    let report = report_of_fault(Operation::Subscription, fault).await;
    assert!(report.contains("subscription_forbidden: "), "{report}");
}

#[tokio::test]
async fn rejected_subscription_is_a_warning() {
    let scenario = Scenario {
        max_subscriptions: 0,
        ..frozen_scenario()
    };
    assert_events_reported("too_many_subscriptions", scenario).await;
    let response = SimResponse::invalid_filters();
    assert_fault_reported("subscription_refused", Operation::Subscription, response).await;
    for (response, cause) in [
        (
            SimResponse::app_lacks("ReadAccounts"),
            "subscription_forbidden",
        ),
        (
            SimResponse::user_lacks("ReadAccounts"),
            "subscription_forbidden",
        ),
        (SimResponse::app_lacks("ReadPresence"), "app_lacks_presence"),
        (
            SimResponse::app_lacks("WebSocketsSubscription"),
            "app_lacks_web_socket",
        ),
        (SimResponse::too_many_requests(None), "rate_limited"),
        (SimResponse::unavailable(503), "server_error"),
    ] {
        let report = report_of_fault(Operation::Subscription, response).await;
        assert!(report.contains("WARNING: no_events: "), "{report}");
        let line = format!("  cause         {cause}: ");
        assert!(report.contains(&line), "{cause}: {report}");
    }
}

#[tokio::test]
async fn event_token_in_other_forms_is_a_warning() {
    for (response, cause) in [
        (
            SimResponse::app_lacks("SubscriptionWebSocket"),
            "app_lacks_web_socket",
        ),
        (
            SimResponse::app_lacks("WebSocketsSubscription"),
            "app_lacks_web_socket",
        ),
        (SimResponse::user_lacks("Other"), "forbidden"),
        (SimResponse::unavailable(503), "server_error"),
        (SimResponse::html(403, "Blocked"), "not_ringcentral"),
    ] {
        let report = report_of_fault(Operation::EventToken, response).await;
        assert!(report.contains("WARNING: no_events: "), "{report}");
        let line = format!("  cause         {cause}: ");
        assert!(report.contains(&line), "{cause}: {report}");
    }
}

/// Returns an event token that the gateway at `url` does not know.
fn unknown_token(url: &str) -> FaultKind {
    let uri = format!("{}/ws", url.replace("http://", "ws://"));
    let body = json!({"uri": uri, "ws_access_token": "sesame", "expires_in": 60});
    FaultKind::Body(Bytes::from(body.to_string()))
}

#[tokio::test]
async fn gateway_that_closes_immediately_is_a_warning() {
    let simulator = start_simulator(frozen_scenario()).await;
    let fault = unknown_token(&simulator.url());
    simulator.inject(Fault::always(Operation::EventToken, fault));
    assert_output(check_command(&simulator, &EVENTS), 0, "gateway_refused").await;
    let response = SimResponse::html(403, "Forbidden");
    let report = report_of_fault(Operation::EventConnection, response).await;
    let cause = "cause         gateway_refused: ";
    assert!(report.contains(cause), "{report}");
}

#[tokio::test]
async fn lost_connection_is_a_warning() {
    let simulator = start_simulator(frozen_scenario()).await;
    let check = tokio::spawn({
        let command = check_command(&simulator, &EVENTS);
        async move { output(command).await }
    });
    wait_for_requests(&simulator, Operation::Subscription, 1).await;
    sleep(Duration::from_millis(300)).await;
    let fault = Fault::once(Operation::EventStream, GatewayFault::Disconnect);
    simulator.inject(fault);
    let (code, report, _) = check.await.unwrap();
    assert_eq!(code, Some(0), "{report}");
    assert_matches_golden(&mask(&report), "events_lost");
}

/// The gateway is another host, here a port that is closed.
#[tokio::test]
async fn unreachable_gateway_is_a_warning() {
    let fault = unknown_token("http://127.0.0.1:9");
    assert_fault_reported("gateway_unreachable", Operation::EventToken, fault).await;
}

#[tokio::test]
async fn penalty_of_presence_is_a_warning() {
    let simulator = start_simulator(frozen_scenario()).await;
    let refusal = SimResponse::too_many_requests(Some(17)).with("X-Rate-Limit-Group", "heavy");
    simulator.inject(Fault::always(Operation::Presence, refusal));
    let (code, report, _) = output(check_command(&simulator, &POLL)).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("WARNING: presence_unread: "), "{report}");
    assert!(
        report.contains("presence requests are blocked until "),
        "{report}"
    );
    assert_eq!(count(&simulator, Operation::Presence), 1);
}

/// The penalty of an event token is that of logins too.
#[tokio::test]
async fn penalty_of_event_token_is_a_warning() {
    let simulator = start_simulator(frozen_scenario()).await;
    let refusal = SimResponse::too_many_requests(Some(60)).with("X-Rate-Limit-Group", "auth");
    simulator.inject(Fault::always(Operation::EventToken, refusal));
    let (code, report, _) = output(check_command(&simulator, &EVENTS)).await;
    assert_eq!(code, Some(0), "{report}");
    for text in [
        "WARNING: no_events: ",
        "  cause         rate_limited: ",
        "event_token requests are blocked until ",
    ] {
        assert!(report.contains(text), "{report}");
    }
    assert_eq!(count(&simulator, Operation::EventToken), 1);
    assert_eq!(count(&simulator, Operation::Revoke), 0);
}

#[tokio::test]
async fn presence_without_budget_is_not_requested() {
    let other_client = OtherClient {
        requests: 9,
        first: Duration::ZERO,
        every: Duration::from_secs(3600),
    };
    let simulator = start_simulator(Scenario {
        other_client: Some(other_client),
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &POLL), 0, "presence_untested").await;
    assert_eq!(count(&simulator, Operation::Presence), 0);
}

/// Another check would read nothing either.
#[tokio::test]
async fn limit_without_room_for_presence_is_a_warning() {
    let mut limits = Limits::default();
    limits.heavy.requests = 1;
    let simulator = start_simulator(Scenario {
        limits,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &POLL), 0, "presence_starved").await;
    assert_eq!(count(&simulator, Operation::Presence), 0);
}

#[tokio::test]
async fn long_presence_list_is_read_in_part() {
    let simulator = start_simulator(Scenario {
        max_per_page: 70,
        extensions: 600,
        ..frozen_scenario()
    })
    .await;
    let (code, report, _) = output(check_command(&simulator, &POLL)).await;
    assert_eq!(code, Some(0), "{report}");
    let part = " of the list read, the rest follows within the rate limit";
    assert!(report.contains(part), "{report}");
    assert!(!report.contains("presence_starved"), "{report}");
    assert!(!report.contains("not tested"), "{report}");
    let pages = count(&simulator, Operation::Presence);
    assert!((1..=4).contains(&pages), "{pages}");
}

/// The connection does not wait for a slow list, but the report does.
#[tokio::test]
async fn slow_list_does_not_keep_the_connection() {
    let simulator = start_simulator(frozen_scenario()).await;
    let delay = FaultKind::Delay(Duration::from_millis(4500));
    simulator.inject(Fault::always(Operation::Presence, delay));
    let (code, report, _) = output(check_command(&simulator, &EVENTS)).await;
    assert_eq!(code, Some(0), "{report}");
    for text in [
        "events: 173 extensions with presence, ",
        "connected for 3 s, ",
        "\nOK: account default can be read.\n",
    ] {
        assert!(report.contains(text), "{text}: {report}");
    }
    let [connection] = &simulator.event_connections()[..] else {
        panic!("one connection");
    };
    assert_eq!(count(&simulator, Operation::Presence), 1);
    assert!(connection.closed_ms.is_some());
}

/// Repeated checks never use the login that a running exporter needs, and cause no 429.
#[tokio::test]
async fn repeated_checks_with_events_cause_no_429() {
    let simulator = start_simulator(frozen_scenario()).await;
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state.directory={}", folder.path().display());
    let mut reports = String::new();
    for _ in 0..4 {
        let command = check_command(&simulator, &[EVENTS[0], &state]);
        reports += &output(command).await.1;
    }
    for text in [
        "WARNING: presence_untested: ",
        "\n  not tested    events\n",
        "account default can be read; not tested: events.\n",
    ] {
        assert!(reports.contains(text), "{reports}");
    }
    let statuses: Vec<_> = simulator
        .journal()
        .into_iter()
        .map(|entry| entry.status)
        .collect();
    assert!(!statuses.contains(&Some(429)), "{statuses:?}");
}

/// The check has used logins, so that a token for events would take that of the next login.
#[tokio::test]
async fn start_after_check_says_when_it_connects() {
    let simulator = start_simulator(frozen_scenario()).await;
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state.directory={}", folder.path().display());
    let (code, report, _) = output(check_command(&simulator, &[EVENTS[0], &state])).await;
    assert_eq!(code, Some(0), "{report}");
    let address = "--web.listen-address=127.0.0.1:0";
    let arguments = ["serve", EVENTS[0], &state, address];
    let mut exporter = ExporterProcess::start(command_for_simulator(&simulator, &arguments));
    let url = exporter.wait_for_url().await;
    get(&format!("{url}/metrics")).await;
    let waiting = "event connection waiting for the rate limit";
    let line = exporter.wait_for_log(waiting).await;
    assert!(
        line.contains("level=info") && line.contains("hint=\"wait: "),
        "{line}"
    );
    let status = get(&format!("{url}/status?format=json")).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    let wait = &status["accounts"][0]["events_next_attempt_in_seconds"];
    assert!((30.0..61.0).contains(&wait.as_f64().unwrap()), "{status:#}");
}

#[tokio::test]
async fn signal_during_events_deletes_the_subscription() {
    let simulator = start_simulator(frozen_scenario()).await;
    let mut program = ExporterProcess::start(check_command(&simulator, &EVENTS));
    wait_for_requests(&simulator, Operation::Subscription, 1).await;
    sleep(Duration::from_millis(300)).await;
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(1));
    assert_eq!(count(&simulator, Operation::Subscription), 2);
    assert_eq!(count(&simulator, Operation::Revoke), 1);
}

#[tokio::test]
async fn trace_log_of_events_has_no_secret() {
    let simulator = start_simulator(frozen_scenario()).await;
    let arguments = [EVENTS[0], "--log.level=trace"];
    let (code, _, log) = output(check_command(&simulator, &arguments)).await;
    assert_eq!(code, Some(0));
    for secret in ["access_token", "U0pDMTFQ", "Bearer", "/ws?"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn print_metrics_has_presence() {
    for mode in [POLL, EVENTS] {
        let simulator = start_simulator(frozen_scenario()).await;
        let arguments = [mode[0], "--print-metrics"];
        let (code, metrics, report) = output(check_command(&simulator, &arguments)).await;
        assert_eq!(code, Some(0), "{report}");
        let up = "\nringcentral_presence_up{account=\"default\"} 1\n";
        assert!(metrics.contains(up), "{mode:?}: {metrics}");
        assert!(metrics.contains("\nringcentral_extensions{"), "{mode:?}");
    }
}

/// The exporter's connection, its state and its limits stay as they were.
#[tokio::test]
async fn check_does_not_disturb_a_running_exporter() {
    // More logins than the default of 5: else the check of a newly started exporter has to wait a minute.
    let mut limits = Limits::default();
    limits.auth.requests = 20;
    let simulator = start_simulator(Scenario {
        limits,
        ..Scenario::normal()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state.directory={}", folder.path().display());
    let arguments = [
        "serve",
        EVENTS[0],
        &state,
        "--web.listen-address=127.0.0.1:0",
    ];
    let mut exporter = ExporterProcess::start(command_for_simulator(&simulator, &arguments));
    let url = exporter.wait_for_url().await;
    let is_up = |text: &str| text.contains("ringcentral_presence_up{account=\"default\"} 1\n");
    while !is_up(&get(&format!("{url}/metrics")).await) {
        sleep(Duration::from_millis(100)).await;
    }
    let command = check_command(&simulator, &[EVENTS[0], &state]);
    let (code, report, _) = output(command).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(!report.contains("no_events"), "{report}");
    let metrics = get(&format!("{url}/metrics")).await;
    assert!(is_up(&metrics), "{metrics}");
    let [own, checked] = &simulator.event_connections()[..] else {
        panic!("two connections");
    };
    assert_eq!((own.closed_ms, checked.closed_ms.is_some()), (None, true));
    for entry in simulator.journal() {
        assert_ne!(entry.status, Some(429), "{entry:?}");
    }
}
