//! Tests of the families of presence with events: the state after events, the counted changes, and the calls, which
//! events never disturb.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::config::Config;
use ringcentral_exporter::simulator::{
    EventEntry, Fault, FaultKind, Operation, Scenario, SimResponse,
};
use tokio::time::sleep;

use crate::common::clock::ManualClock;
use crate::common::unlimited_requests;
use crate::harness::{ScrapeResponse, TestExporter};
use crate::presence::{
    STATE_FAMILY, STATE_SET_FAMILY, assert_hanging_request_holds_no_fetch, events, expected_counts,
    expected_state_sets, samples_of, scrape_until_shown,
};

const CHANGES_FAMILY: &str = "ringcentral_extension_status_changes_total{";
const DURATION_COUNTS: &str = "ringcentral_extension_status_duration_seconds_count{";

fn busy(clock: &ManualClock) -> Scenario {
    clock.attach_to(Scenario {
        calls_per_minute: 120.0,
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
}

fn events_with_state_sets(config: &mut Config) {
    events(config);
    config.settings.metrics.extension_presence = true;
}

/// Returns the counted changes that the notifications require.
fn expected_changes(entries: &[EventEntry]) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for entry in entries {
        let from = format!("{:?}", entry.change.from.telephony);
        let to = format!("{:?}", entry.change.to.telephony);
        if from != to {
            let series =
                format!("{CHANGES_FAMILY}account=\"default\",from=\"{from}\",to=\"{to}\"}}");
            *samples.entry(series).or_insert(0.0) += 1.0;
        }
    }
    samples
}

fn sum(response: &ScrapeResponse, family: &str) -> f64 {
    samples_of(response, family).values().sum()
}

#[tokio::test]
async fn state_and_changes_equal_the_truth_after_events() {
    let clock = ManualClock::new();
    let exporter = TestExporter::start_with(busy(&clock), events_with_state_sets).await;
    let first = exporter.scrape().await;
    assert_eq!(samples_of(&first, CHANGES_FAMILY).len(), 20);
    assert_eq!(sum(&first, CHANGES_FAMILY), 0.0);
    scrape_until_shown(&exporter).await;
    for _ in 0..240 {
        clock.advance(Duration::from_millis(250));
        sleep(Duration::from_millis(5)).await;
    }
    // Notifications are sent within 113 ms, so the state is not compared just after a change.
    let mut response = exporter.scrape().await;
    for _ in 0..40 {
        if samples_of(&response, STATE_FAMILY) == expected_counts(&exporter) {
            break;
        }
        clock.advance(Duration::from_millis(114));
        sleep(Duration::from_millis(50)).await;
        response = exporter.scrape().await;
    }
    assert_eq!(
        samples_of(&response, STATE_FAMILY),
        expected_counts(&exporter)
    );
    let sets = samples_of(&response, STATE_SET_FAMILY);
    assert_eq!(sets, expected_state_sets(&exporter, true));
    let mut sent = exporter.simulator.events();
    sent.retain(|entry| entry.copies > 0);
    let mut changes = samples_of(&response, CHANGES_FAMILY);
    changes.retain(|_, count| *count > 0.0);
    assert_eq!(changes, expected_changes(&sent));
    assert!(changes.values().sum::<f64>() > 40.0, "{changes:?}");
    assert!(sum(&response, DURATION_COUNTS) > 10.0);
    assert_eq!(exporter.count_requests(Operation::Presence), 1);
    assert_eq!(exporter.count_requests(Operation::EventToken), 1);
}

#[tokio::test]
async fn stream_waits_for_the_first_scrape() {
    let exporter = TestExporter::start_with(busy(&ManualClock::new()), events).await;
    sleep(Duration::from_millis(300)).await;
    assert!(
        exporter.simulator.journal().is_empty(),
        "nothing was asked for"
    );
    let first = exporter.scrape().await;
    assert_eq!(first.up(), 1.0, "the first scrape waits for its fetch");
    assert_eq!(first.call_samples(), exporter.expected_samples().await);
    scrape_until_shown(&exporter).await;
    assert_eq!(exporter.count_requests(Operation::Token), 1);
}

#[tokio::test]
async fn failing_event_token_never_disturbs_the_calls() {
    for fault in [
        FaultKind::CloseBeforeResponse,
        FaultKind::Body("{}".into()),
        FaultKind::from(SimResponse::unavailable(503)),
    ] {
        let exporter = TestExporter::start_with(busy(&ManualClock::new()), events).await;
        let fault = Fault::always(Operation::EventToken, fault);
        exporter.simulator.inject(fault);
        for _ in 0..5 {
            let response = exporter.scrape_with_timeout("5").await;
            assert_eq!(response.up(), 1.0);
            assert_eq!(response.call_samples(), exporter.expected_samples().await);
            let up = response.value("ringcentral_presence_up{account=\"default\"}");
            assert_eq!(up, 0.0);
            assert!(!response.text.contains(STATE_FAMILY));
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(exporter.count_requests(Operation::Presence), 0);
    }
}

#[tokio::test]
async fn hanging_event_token_holds_no_fetch() {
    assert_hanging_request_holds_no_fetch(Operation::EventToken, events).await;
}
