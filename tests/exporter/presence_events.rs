//! Tests of presence from events: the connection, its renewal, its end, and its secrets.

use std::collections::HashSet;
use std::time::Duration;

use ringcentral_exporter::config::{Config, PresenceMode};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    EventEntry, Fault, FaultKind, GatewayFault, JournalEntry, Operation, Scenario, SimResponse,
    Simulator,
};
use tokio::time::sleep;

use crate::common::clock::ManualClock;
use crate::common::exporter_process::{ExporterProcess, command, command_for_simulator};
use crate::common::get;
use crate::common::unlimited_requests;
use crate::harness::{ScrapeResponse, TestExporter, bind_loopback};

/// A series of an account without further labels.
fn series(family: &str) -> String {
    format!("{family}{{account=\"default\"}}")
}

fn connections(response: &ScrapeResponse, result: &str) -> f64 {
    response.value(&format!(
        "ringcentral_event_connections_total{{account=\"default\",result=\"{result}\"}}"
    ))
}

fn discarded(response: &ScrapeResponse, reason: &str) -> f64 {
    response.value(&format!(
        "ringcentral_events_discarded_total{{account=\"default\",reason=\"{reason}\"}}"
    ))
}

fn is_up(response: &ScrapeResponse) -> bool {
    response.value(&series("ringcentral_presence_up")) == 1.0
}

fn gaps(response: &ScrapeResponse) -> f64 {
    response.value(&series("ringcentral_event_gaps_total"))
}

fn busy(clock: &ManualClock) -> Scenario {
    let limits = unlimited_requests();
    clock.attach_to(Scenario {
        calls_per_minute: 60.0,
        limits: Limits {
            // Tests log in more often than once an hour.
            auth: limits.heavy,
            ..limits
        },
        ..Scenario::normal()
    })
}

fn events(config: &mut Config) {
    config.accounts[0].presence = PresenceMode::Events;
}

async fn start(clock: &ManualClock) -> TestExporter {
    TestExporter::start_with(busy(clock), events).await
}

/// Scrapes, and lets the account's time pass, until a response is as expected.
async fn scrape_until(
    exporter: &TestExporter,
    clock: &ManualClock,
    is_expected: impl Fn(&ScrapeResponse) -> bool,
) -> ScrapeResponse {
    for _ in 0..1200 {
        let response = exporter.scrape().await;
        assert_eq!(response.up(), 1.0, "{}", response.text);
        if is_expected(&response) {
            return response;
        }
        clock.advance(Duration::from_millis(500));
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", exporter.scrape().await.text);
}

/// Returns the number of different changes since the first subscription that were sent, once the last subscription was
/// sent its own.
async fn sent_changes(exporter: &TestExporter) -> usize {
    let simulator = &exporter.simulator;
    for _ in 0..1000 {
        let mut events = simulator.events();
        let now = simulator.now();
        events.retain(|event| event.due_ms[0].is_some_and(|due| due <= now));
        let last = events.last().unwrap().subscription_id.clone();
        let is_waiting =
            |event: &EventEntry| event.subscription_id == last && event.is_waiting(now);
        if !events.iter().any(is_waiting) {
            let change = |event: &EventEntry| (event.change.extension_id, event.sequence);
            return events.iter().map(change).collect::<HashSet<_>>().len();
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("notifications are not sent");
}

/// Waits until the exporter has counted all changes, each of them once. Returns the last response.
async fn wait_for_all_changes(exporter: &TestExporter) -> ScrapeResponse {
    let mut sent = 0.0;
    for _ in 0..400 {
        // More can be sent meanwhile, although the time stands still: what is due is sent a moment later.
        sent = sent_changes(exporter).await as f64;
        let response = exporter.scrape().await;
        let received = response.value(&series("ringcentral_events_total"));
        // A copy over a second connection is late if a newer event of its extension came before it.
        let copies = discarded(&response, "duplicate") + discarded(&response, "late");
        if received - copies == sent {
            return response;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{sent} changes were sent\n{}", exporter.scrape().await.text);
}

fn is_deletion(entry: &JournalEntry) -> bool {
    let prefix = "/restapi/v1.0/subscription/";
    entry.operation == Some(Operation::Subscription) && entry.target.starts_with(prefix)
}

#[tokio::test]
async fn every_event_arrives_over_one_connection() {
    let clock = ManualClock::new();
    let exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    let received =
        |response: &ScrapeResponse| response.value(&series("ringcentral_events_total")) > 100.0;
    scrape_until(&exporter, &clock, received).await;
    let response = wait_for_all_changes(&exporter).await;
    assert!(is_up(&response));
    assert_eq!(connections(&response, "connected"), 1.0);
    assert_eq!(gaps(&response), 0.0);
    for reason in ["duplicate", "late", "unreadable", "unknown_extension"] {
        assert_eq!(discarded(&response, reason), 0.0, "{reason}");
    }
    assert_eq!(exporter.count_requests(Operation::EventToken), 1);
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
}

#[tokio::test]
async fn renewal_at_a_new_login_loses_no_event() {
    let clock = ManualClock::new();
    let scenario = Scenario {
        // A login after half of it.
        advertised_token_lifetime: Some(Duration::from_secs(8)),
        ..busy(&clock)
    };
    let exporter = TestExporter::start_with(scenario, events).await;
    scrape_until(&exporter, &clock, is_up).await;
    // Until the old connections of both are closed.
    let renewed_twice = |response: &ScrapeResponse| {
        assert!(is_up(response));
        let closed = exporter.simulator.event_connections();
        let closed = closed.iter().filter(|entry| entry.closed_ms.is_some());
        connections(response, "renewed") >= 2.0 && closed.count() >= 2
    };
    scrape_until(&exporter, &clock, renewed_twice).await;
    let response = wait_for_all_changes(&exporter).await;
    assert!(discarded(&response, "duplicate") > 0.0);
    assert_eq!(gaps(&response), 0.0);
    assert_eq!(connections(&response, "connected"), 1.0);
    for result in ["failed", "lost"] {
        assert_eq!(connections(&response, result), 0.0, "{result}");
    }
    let journal = exporter.simulator.journal();
    let deletions: Vec<_> = journal.iter().filter(|entry| is_deletion(entry)).collect();
    assert!(deletions.len() >= 2);
    assert!(deletions.iter().all(|entry| entry.status == Some(204)));
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
}

#[tokio::test]
async fn renewal_after_the_end_of_the_session_is_a_gap() {
    let clock = ManualClock::new();
    let exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    // The socket goes silent, and the next fetch needs a login.
    exporter.simulator.evict_tokens();
    let renewed = |response: &ScrapeResponse| gaps(response) == 1.0;
    let response = scrape_until(&exporter, &clock, renewed).await;
    assert_eq!(connections(&response, "renewed"), 1.0);
    assert_eq!(connections(&response, "lost"), 0.0);
    assert!(!is_up(&response));
}

/// Sets how long access tokens are said to be valid. A login follows after half of it.
fn with_token_lifetime(scenario: Scenario, seconds: u64) -> Scenario {
    Scenario {
        advertised_token_lifetime: Some(Duration::from_secs(seconds)),
        ..scenario
    }
}

fn disconnect(exporter: &TestExporter) {
    let fault = Fault::once(Operation::EventStream, GatewayFault::Disconnect);
    exporter.simulator.inject(fault);
}

/// Returns the statuses of the deletions of subscriptions.
fn deletions(exporter: &TestExporter) -> Vec<u16> {
    let mut journal = exporter.simulator.journal();
    journal.retain(is_deletion);
    journal.iter().filter_map(|entry| entry.status).collect()
}

/// With a limit of one subscription another one is only possible once the lost one is deleted.
#[tokio::test]
async fn lost_subscription_is_deleted_before_the_next() {
    let clock = ManualClock::new();
    let scenario = Scenario {
        max_subscriptions: 1,
        ..busy(&clock)
    };
    let exporter = TestExporter::start_with(scenario, events).await;
    scrape_until(&exporter, &clock, is_up).await;
    for number in [2.0, 3.0] {
        disconnect(&exporter);
        let connected = |response: &ScrapeResponse| connections(response, "connected") == number;
        let response = scrape_until(&exporter, &clock, connected).await;
        assert_eq!(connections(&response, "failed"), 0.0);
        assert_eq!(connections(&response, "lost"), number - 1.0);
    }
    assert_eq!(deletions(&exporter), [204, 204]);
}

#[tokio::test]
async fn deletion_that_fails_is_repeated_later() {
    let clock = ManualClock::new();
    let exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    let refusal = Fault::once(Operation::Subscription, SimResponse::unavailable(503));
    exporter.simulator.inject(refusal);
    for number in [2.0, 3.0] {
        disconnect(&exporter);
        let connected = |response: &ScrapeResponse| connections(response, "connected") == number;
        scrape_until(&exporter, &clock, connected).await;
    }
    assert_eq!(deletions(&exporter), [503, 204, 204]);
}

#[tokio::test]
async fn loss_during_a_renewal_uses_the_next_connection() {
    let clock = ManualClock::new();
    let scenario = with_token_lifetime(busy(&clock), 20);
    let exporter = TestExporter::start_with(scenario, events).await;
    scrape_until(&exporter, &clock, is_up).await;
    let slow = FaultKind::Delay(Duration::from_secs(2));
    let slow = Fault::once(Operation::EventConnection, slow);
    exporter.simulator.inject(slow);
    let begun = |_: &ScrapeResponse| exporter.count_requests(Operation::EventConnection) == 2;
    scrape_until(&exporter, &clock, begun).await;
    disconnect(&exporter);
    let connected = |response: &ScrapeResponse| connections(response, "connected") == 2.0;
    let response = scrape_until(&exporter, &clock, connected).await;
    assert_eq!(exporter.count_requests(Operation::EventToken), 2);
    assert_eq!(connections(&response, "renewed"), 0.0);
    assert_eq!(connections(&response, "failed"), 0.0);
    assert_eq!(connections(&response, "lost"), 1.0);
    assert_eq!(gaps(&response), 1.0);
    assert_eq!(deletions(&exporter), [204]);
}

#[tokio::test]
async fn loss_of_a_renewed_connection_is_not_a_gap() {
    let clock = ManualClock::new();
    let scenario = with_token_lifetime(busy(&clock), 20);
    let exporter = TestExporter::start_with(scenario, events).await;
    scrape_until(&exporter, &clock, is_up).await;
    let renewed = |response: &ScrapeResponse| connections(response, "renewed") == 1.0;
    scrape_until(&exporter, &clock, renewed).await;
    // Both connections are subscribed for a few seconds.
    disconnect(&exporter);
    let lost = |response: &ScrapeResponse| connections(response, "lost") == 1.0;
    let response = scrape_until(&exporter, &clock, lost).await;
    assert!(is_up(&response));
    let again = |response: &ScrapeResponse| {
        assert!(is_up(response));
        // That of the lost connection, and that of the old one.
        connections(response, "renewed") >= 2.0 && deletions(&exporter).len() >= 2
    };
    scrape_until(&exporter, &clock, again).await;
    let response = wait_for_all_changes(&exporter).await;
    assert_eq!(gaps(&response), 0.0);
    assert_eq!(connections(&response, "connected"), 1.0);
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
}

#[tokio::test]
async fn silent_subscription_is_renewed_after_an_audit() {
    let clock = ManualClock::new();
    let exporter = TestExporter::start_with(busy(&clock), |config| {
        events(config);
        config.settings.presence.audit = Some(Duration::from_secs(1));
    })
    .await;
    scrape_until(&exporter, &clock, is_up).await;
    let silent = Fault::always(Operation::Notification, GatewayFault::Lost);
    exporter.simulator.inject(silent);
    let renewed = |response: &ScrapeResponse| {
        assert!(is_up(response));
        connections(response, "renewed") >= 1.0
    };
    let response = scrape_until(&exporter, &clock, renewed).await;
    assert!(response.value(&series("ringcentral_presence_corrections_total")) > 0.0);
    assert_eq!(connections(&response, "lost"), 0.0);
}

#[tokio::test]
async fn short_max_age_does_not_hide_a_quiet_account() {
    let clock = ManualClock::new();
    let scenario = Scenario {
        calls_per_minute: 0.0,
        ..busy(&clock)
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        events(config);
        config.settings.scrape.max_age = Duration::from_secs(4);
    })
    .await;
    scrape_until(&exporter, &clock, is_up).await;
    for _ in 0..20 {
        sleep(Duration::from_millis(300)).await;
        let response = exporter.scrape().await;
        assert!(is_up(&response), "{}", response.text);
    }
}

#[tokio::test]
async fn jwt_of_another_account_restarts_the_stream() {
    let clock = ManualClock::new();
    let exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    let other = r#"{"uri":"https://s.example/restapi/v1.0/account/999/active-calls","records":[]}"#;
    let fault = Fault::once(Operation::ActiveCalls, FaultKind::Body(other.into()));
    exporter.simulator.inject(fault);
    let gap = |response: &ScrapeResponse| gaps(response) > 0.0;
    let response = scrape_until(&exporter, &clock, gap).await;
    assert!(!is_up(&response));
    // The next list is that of the first account again.
    let restarted = |response: &ScrapeResponse| {
        connections(response, "connected") == gaps(response) + 1.0
            && !deletions(&exporter).is_empty()
    };
    let response = scrape_until(&exporter, &clock, restarted).await;
    assert_eq!(connections(&response, "lost"), 0.0);
    assert!(deletions(&exporter).iter().all(|status| *status == 204));
}

#[tokio::test]
async fn slow_deletion_is_awaited_at_a_stop() {
    let clock = ManualClock::new();
    let mut exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    let slow = FaultKind::Delay(Duration::from_millis(1200));
    let slow = Fault::once(Operation::Subscription, slow);
    exporter.simulator.inject(slow);
    exporter.stop().await;
    assert_eq!(deletions(&exporter), [204]);
    let journal = exporter.simulator.journal();
    let revocation = journal.last().unwrap();
    assert_eq!(revocation.operation, Some(Operation::Revoke));
    assert_eq!(revocation.status, Some(200));
}

/// The reload ends the stream in the background, and the exporter is stopped before its subscription is deleted.
#[tokio::test]
async fn reload_without_presence_deletes_the_subscription() {
    let scenario = Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let simulator = Simulator::start(bind_loopback().await, scenario, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.yml");
    std::fs::write(folder.path().join("secret"), simulator.client_secret()).unwrap();
    std::fs::write(folder.path().join("jwt"), simulator.jwt()).unwrap();
    let write = |presence: &str| {
        let (server, id) = (simulator.url(), simulator.client_id());
        let secrets = "client_secret_file: secret, jwt_file: jwt";
        let account = format!(
            "{{name: a, server_url: '{server}', client_id: '{id}', {secrets}, presence: {presence}}}"
        );
        std::fs::write(&file, format!("accounts: [{account}]")).unwrap();
    };
    write("events");
    let mut command = command(&["--web.listen-address=127.0.0.1:0"]);
    command.arg("--config.file").arg(&file);
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    get(&format!("{url}/metrics")).await;
    program.wait_for_log("receiving presence events").await;
    write("'off'");
    program.signal("HUP").await;
    program.wait_for_log("configuration reloaded").await;
    let slow = FaultKind::Delay(Duration::from_secs(1));
    simulator.inject(Fault::once(Operation::Subscription, slow));
    get(&format!("{url}/metrics")).await;
    program.signal("TERM").await;
    program.wait_for_exit().await;
    let mut journal = simulator.journal();
    journal.retain(is_deletion);
    let statuses: Vec<_> = journal.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Some(204)]);
}

#[tokio::test]
async fn subscription_is_deleted_at_a_graceful_stop() {
    let clock = ManualClock::new();
    let mut exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    exporter.stop().await;
    let journal = exporter.simulator.journal();
    let [.., deletion, revocation] = journal.as_slice() else {
        panic!("{journal:?}");
    };
    assert!(is_deletion(deletion), "{deletion:?}");
    assert_eq!(deletion.status, Some(204));
    assert_eq!(revocation.operation, Some(Operation::Revoke));
    while exporter.simulator.event_connections()[0]
        .closed_ms
        .is_none()
    {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn message_over_1_mib_is_a_gap_and_ends_the_connection() {
    let clock = ManualClock::new();
    let exporter = start(&clock).await;
    scrape_until(&exporter, &clock, is_up).await;
    let mib = 1024 * 1024;
    let fault = |size| Fault::once(Operation::EventStream, GatewayFault::Oversized(size));
    exporter.simulator.inject(fault(mib));
    let unreadable = |response: &ScrapeResponse| discarded(response, "unreadable") == 1.0;
    let response = scrape_until(&exporter, &clock, unreadable).await;
    assert!(is_up(&response), "a message of 1 MiB is read");
    exporter.simulator.inject(fault(mib + 1));
    let connected = |response: &ScrapeResponse| connections(response, "connected") == 2.0;
    let response = scrape_until(&exporter, &clock, connected).await;
    assert_eq!(connections(&response, "lost"), 1.0);
    assert_eq!(gaps(&response), 1.0);
    assert!(!is_up(&response), "no read has followed the gap");
    assert_eq!(discarded(&response, "unreadable"), 1.0);
}

#[tokio::test]
async fn secrets_of_event_connections_are_never_logged() {
    let scenario = Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let simulator = Simulator::start(bind_loopback().await, scenario, 1).unwrap();
    let refusal = SimResponse::html(403, "403 Forbidden");
    simulator.inject(Fault::once(Operation::EventConnection, refusal));
    let mut command = command_for_simulator(
        &simulator,
        &["--web.listen-address=127.0.0.1:0", "--log.level=trace"],
    );
    command
        .env("RC_PRESENCE", "events")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1");
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    get(&format!("{url}/metrics")).await;
    program.wait_for_log("no event connection").await;
    simulator.clear_faults();
    program.wait_for_log("receiving presence events").await;
    program.signal("TERM").await;
    program.wait_for_exit().await;
    let log = &program.log;
    // The start of event tokens, of access tokens, and of the parameter of the URL.
    for secret in [
        "U0pDMTFQMDFQQVMwMXdz",
        "U0pDMTFQMDFQQVMwMHx",
        "access_token",
        "Bearer",
        "/ws?",
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    for secret in [simulator.client_secret(), simulator.jwt()] {
        assert!(!log.contains(&secret), "{log}");
    }
}
