//! Tests of polled presence over HTTP: the families, and reads that fail, are long, or do not happen.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::{Config, PresenceMode};
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};

use crate::common::clock::ManualClock;
use crate::common::oracle::extension_numbers;
use crate::common::unlimited_requests;
use crate::faults::log;
use crate::harness::{ScrapeResponse, TestExporter};

pub const STATE_FAMILY: &str = "ringcentral_extensions{";
pub const STATE_SET_FAMILY: &str = "ringcentral_extension_telephony_status{";
const TELEPHONY: [&str; 5] = ["NoCall", "Ringing", "CallConnected", "OnHold", "ParkedCall"];
const PRESENCE: [&str; 3] = ["Available", "Busy", "Offline"];
const DND: [&str; 4] = [
    "TakeAllCalls",
    "TakeDepartmentCallsOnly",
    "DoNotAcceptDepartmentCalls",
    "DoNotAcceptAnyCalls",
];

/// Returns a busy account with a stopped clock in which every scrape may start a fetch.
fn frozen_scenario() -> Scenario {
    ManualClock::new().attach_to(Scenario {
        calls_per_minute: 40.0,
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
}

fn poll(config: &mut Config) {
    config.accounts[0].presence = PresenceMode::Poll;
}

/// Sets presence with events.
pub fn events(config: &mut Config) {
    config.accounts[0].presence = PresenceMode::Events;
}

fn poll_with_state_sets(config: &mut Config) {
    poll(config);
    config.settings.metrics.extension_presence = true;
}

/// Returns the samples of a family, which ends with `{`.
pub fn samples_of(response: &ScrapeResponse, family: &str) -> BTreeMap<String, f64> {
    let mut samples = response.samples();
    samples.retain(|series, _| series.starts_with(family));
    samples
}

fn presence_up(response: &ScrapeResponse) -> f64 {
    response.value("ringcentral_presence_up{account=\"default\"}")
}

/// Scrapes until the state is shown.
pub async fn scrape_until_shown(exporter: &TestExporter) -> ScrapeResponse {
    for _ in 0..400 {
        let response = exporter.scrape().await;
        assert_eq!(response.up(), 1.0);
        if response.text.contains(STATE_FAMILY) {
            return response;
        }
        assert_eq!(presence_up(&response), 0.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let requests = exporter.simulator.journal();
    panic!("the state is not shown: {requests:#?}");
}

/// Returns the samples of `ringcentral_extensions` that the account's truth requires.
pub fn expected_counts(exporter: &TestExporter) -> BTreeMap<String, f64> {
    let series = |telephony: &str, presence: &str, dnd: &str| {
        format!(
            "{STATE_FAMILY}account=\"default\",telephony_status=\"{telephony}\",presence_status=\"{presence}\",dnd_status=\"{dnd}\"}}"
        )
    };
    let mut samples = BTreeMap::new();
    for telephony in TELEPHONY {
        for presence in PRESENCE {
            for dnd in DND {
                samples.insert(series(telephony, presence, dnd), 0.0);
            }
        }
    }
    let simulator = &exporter.simulator;
    for row in simulator.switchboard().presence_at(simulator.now()) {
        if let Some(status) = row.status {
            let (telephony, dnd) = (
                format!("{:?}", status.telephony),
                format!("{:?}", status.dnd),
            );
            let presence = format!("{:?}", status.presence);
            *samples
                .get_mut(&series(&telephony, &presence, &dnd))
                .unwrap() += 1.0;
        }
    }
    samples
}

/// Returns the state sets that the account's truth requires, with numbers or ids as labels.
pub fn expected_state_sets(exporter: &TestExporter, by_number: bool) -> BTreeMap<String, f64> {
    let simulator = &exporter.simulator;
    let numbers = extension_numbers(simulator);
    let mut samples = BTreeMap::new();
    for row in simulator.switchboard().presence_at(simulator.now()) {
        let Some(status) = row.status else { continue };
        let id = row.extension_id.to_string();
        let extension = if by_number { &numbers[&id] } else { &id };
        for telephony in TELEPHONY {
            let series = format!(
                "{STATE_SET_FAMILY}account=\"default\",extension=\"{extension}\",telephony_status=\"{telephony}\"}}"
            );
            let is_present = format!("{:?}", status.telephony) == telephony;
            samples.insert(series, f64::from(is_present));
        }
    }
    samples
}

#[tokio::test]
async fn poll_shows_the_state_of_all_extensions() {
    let exporter = TestExporter::start_with(frozen_scenario(), poll).await;
    let first = exporter.scrape().await;
    assert_eq!((first.up(), presence_up(&first)), (1.0, 0.0));
    assert!(!first.text.contains("ringcentral_presence_timestamp"));
    let response = scrape_until_shown(&exporter).await;
    assert_eq!(
        samples_of(&response, STATE_FAMILY),
        expected_counts(&exporter)
    );
    assert_eq!(presence_up(&response), 1.0);
    let timestamp = response.value("ringcentral_presence_timestamp_seconds{account=\"default\"}");
    assert!(timestamp > 1_795_000_000.0, "{timestamp}");
    for family in [
        STATE_SET_FAMILY,
        "ringcentral_events_total",
        "ringcentral_event_",
    ] {
        assert!(!response.text.contains(family), "{family}");
    }
}

#[tokio::test]
async fn poll_follows_the_first_fetch_once_a_minute() {
    let exporter = TestExporter::start_with(frozen_scenario(), poll).await;
    scrape_until_shown(&exporter).await;
    for _ in 0..20 {
        exporter.scrape().await;
    }
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
    assert!(exporter.count_requests(Operation::ActiveCalls) > 20);
    let journal = exporter.simulator.journal();
    let mut order = journal.iter().filter_map(|entry| entry.operation);
    let lists = [Operation::ActiveCalls, Operation::Presence];
    let first = order.find(|operation| lists.contains(operation));
    assert_eq!(first, Some(Operation::ActiveCalls));
}

#[tokio::test]
async fn state_sets_show_each_extension() {
    for label in [ExtensionLabel::Number, ExtensionLabel::Id] {
        let exporter = TestExporter::start_with(frozen_scenario(), |config| {
            poll_with_state_sets(config);
            config.settings.metrics.extension_label = label;
        })
        .await;
        let response = scrape_until_shown(&exporter).await;
        let by_number = label == ExtensionLabel::Number;
        let expected = expected_state_sets(&exporter, by_number);
        assert_eq!(samples_of(&response, STATE_SET_FAMILY), expected);
        assert!(expected.len() > 500, "{}", expected.len());
    }
}

#[tokio::test]
async fn state_sets_end_at_the_maximum() {
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        poll_with_state_sets(config);
        config.settings.metrics.extension_info = true;
        config.settings.metrics.max_extensions = 40;
    })
    .await;
    let response = scrape_until_shown(&exporter).await;
    let info = samples_of(&response, "ringcentral_extension_info{");
    assert_eq!(info.len(), 40);
    let sets = samples_of(&response, STATE_SET_FAMILY);
    assert!(!sets.is_empty() && sets.len() <= 5 * 40, "{}", sets.len());
    for series in sets.into_keys() {
        let (extension, _) = series.split_once(",telephony_status").unwrap();
        let (_, extension) = extension.split_once("extension=").unwrap();
        let has_info = |info: &String| info.contains(&format!("extension={extension},"));
        assert!(info.keys().any(has_info), "{extension}");
    }
}

#[tokio::test]
async fn extensions_without_label_are_still_counted() {
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        poll(config);
        config.settings.metrics.extension_label = ExtensionLabel::Off;
    })
    .await;
    let response = scrape_until_shown(&exporter).await;
    assert_eq!(exporter.count_requests(Operation::Extensions), 0);
    assert_eq!(
        samples_of(&response, STATE_FAMILY),
        expected_counts(&exporter)
    );
}

#[tokio::test]
async fn presence_that_is_off_costs_nothing() {
    let exporter = TestExporter::start(frozen_scenario()).await;
    for _ in 0..3 {
        let response = exporter.scrape().await;
        for family in [STATE_FAMILY, "ringcentral_presence_", "ringcentral_event"] {
            assert!(!response.text.contains(family), "{family}");
        }
    }
    assert_eq!(exporter.count_requests(Operation::Presence), 0);
    assert_eq!(exporter.count_requests(Operation::EventToken), 0);
}

#[tokio::test]
async fn forbidden_presence_never_disturbs_the_calls() {
    log::capture();
    let scenario = Scenario {
        read_presence: false,
        ..frozen_scenario()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        poll(config);
        config.accounts[0].name = "no_presence".to_owned();
    })
    .await;
    for _ in 0..5 {
        let response = exporter.scrape().await;
        assert_eq!(
            response.value("ringcentral_up{account=\"no_presence\"}"),
            1.0
        );
        let up = response.value("ringcentral_presence_up{account=\"no_presence\"}");
        assert_eq!(up, 0.0);
        assert!(!response.text.contains(STATE_FAMILY));
        assert!(!response.text.contains("ringcentral_presence_timestamp"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
    assert_eq!(exporter.count_requests(Operation::Token), 1);
    let mut lines = log::account_lines("no_presence");
    lines.retain(|line| line.contains("presence list fetch failed"));
    assert!(lines.len() == 1 && lines[0].contains("hint="), "{lines:#?}");
    assert!(lines[0].contains("retry_in_seconds=300"), "{lines:#?}");
}

#[tokio::test]
async fn failed_page_is_not_asked_for_again_at_once() {
    let elsewhere = "https://198.51.100.7/".to_owned();
    for fault in [
        FaultKind::from(SimResponse::unavailable(503)),
        FaultKind::from(SimResponse::unavailable(500)),
        FaultKind::CloseBeforeResponse,
        FaultKind::Truncate,
        FaultKind::Body("<html>".into()),
        FaultKind::Body("{}".into()),
        FaultKind::GzipBomb(1 << 26),
        FaultKind::NextPage(elsewhere.clone()),
        FaultKind::Redirect {
            status: 302,
            location: elsewhere,
        },
    ] {
        let exporter = TestExporter::start_with(frozen_scenario(), poll).await;
        let fault = Fault::always(Operation::Presence, fault);
        exporter.simulator.inject(fault);
        while exporter.count_requests(Operation::ActiveCalls) < 5 {
            let response = exporter.scrape().await;
            assert_eq!((response.up(), presence_up(&response)), (1.0, 0.0));
            assert!(!response.text.contains(STATE_FAMILY));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(exporter.count_requests(Operation::Presence) <= 2);
    }
}

/// Asserts that calls are fetched while a request of presence has no response. Soon after a fetch a scrape gets its
/// calls, and ends no request.
pub async fn assert_hanging_request_holds_no_fetch(
    operation: Operation,
    configure: impl FnOnce(&mut Config),
) {
    let clock = ManualClock::new();
    let scenario = clock.attach_to(Scenario {
        calls_per_minute: 40.0,
        limits: unlimited_requests(),
        ..Scenario::normal()
    });
    let exporter = TestExporter::start_with(scenario, configure).await;
    let fault = Fault::always(operation, FaultKind::Hang);
    exporter.simulator.inject(fault);
    exporter.scrape().await;
    exporter.wait_for_requests(operation, 1).await;
    tokio::time::sleep(Duration::from_millis(3100)).await;
    clock.advance(Duration::from_secs(120));
    let response = exporter.scrape_with_timeout("5").await;
    assert_eq!(response.up(), 1.0);
    assert_eq!(response.call_samples(), exporter.expected_samples().await);
    let failures = format!(
        "ringcentral_api_request_failures_total{{account=\"default\",operation=\"{}\",reason=\"timeout\"}}",
        operation.as_str()
    );
    assert_eq!(exporter.scrape().await.value(&failures), 1.0);
}

#[tokio::test]
async fn hanging_presence_holds_no_fetch() {
    assert_hanging_request_holds_no_fetch(Operation::Presence, poll).await;
}

#[tokio::test]
async fn unauthorized_presence_never_disturbs_the_calls() {
    let exporter = TestExporter::start_with(frozen_scenario(), poll).await;
    let fault = FaultKind::from(SimResponse::token_not_found());
    exporter
        .simulator
        .inject(Fault::always(Operation::Presence, fault));
    for fetches in 1..=5 {
        let response = exporter.scrape().await;
        assert_eq!((response.up(), presence_up(&response)), (1.0, 0.0));
        exporter.wait_for_requests(Operation::Presence, 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(exporter.count_requests(Operation::ActiveCalls) >= fetches);
    }
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
    assert_eq!(exporter.count_requests(Operation::Token), 1);
    assert_eq!(exporter.count_requests(Operation::Revoke), 0);
}

/// Returns a scenario whose group `heavy` allows ten requests in four seconds.
fn short_windows(scenario: Scenario) -> Scenario {
    let window = Duration::from_secs(4);
    let heavy = Limit {
        window,
        penalty: window,
        ..Limit::per_minute(10)
    };
    Scenario {
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        ..scenario
    }
}

#[tokio::test]
async fn long_list_is_shown_once_it_is_whole() {
    let scenario = short_windows(Scenario {
        max_per_page: 30,
        ..Scenario::normal()
    });
    let exporter = TestExporter::start_with(scenario, poll).await;
    let response = scrape_until_shown(&exporter).await;
    let counted: f64 = samples_of(&response, STATE_FAMILY).values().sum();
    let list = exporter
        .simulator
        .switchboard()
        .presence_at(exporter.simulator.now());
    let with_presence = list.iter().filter(|row| row.status.is_some()).count();
    assert_eq!(counted, with_presence as f64);
    let requests = exporter.requests(Operation::Presence);
    assert_eq!(requests.len(), list.len().div_ceil(30));
    for entry in exporter.simulator.journal() {
        assert_ne!(entry.status, Some(429), "{entry:?}");
    }
    for start in &requests {
        let is_in_window = |ms: i64| (0..4000).contains(&(ms - start.arrived_ms));
        let in_window = requests
            .iter()
            .filter(|entry| is_in_window(entry.arrived_ms));
        assert!(in_window.count() <= 5, "half of the limit");
    }
}

#[tokio::test]
async fn ten_thousand_extensions_have_state_sets() {
    let scenario = Scenario {
        extensions: 10_000,
        ..frozen_scenario()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        poll_with_state_sets(config);
        config.settings.timeouts.request = Duration::from_secs(60);
        config.settings.timeouts.fetch = Duration::from_secs(120);
    })
    .await;
    let response = scrape_until_shown(&exporter).await;
    assert_eq!(
        samples_of(&response, STATE_FAMILY),
        expected_counts(&exporter)
    );
    let sets = samples_of(&response, STATE_SET_FAMILY);
    assert_eq!(sets, expected_state_sets(&exporter, true));
    assert!(sets.len() > 45_000, "{}", sets.len());
}
