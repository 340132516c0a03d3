//! Tests of reloads that change the presence of an account.

use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation};
use tokio::time::sleep;

use super::{advance_until_calls_end, assert_kept_running, ended_calls, start_and_scrape};
use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, company, up, wait_until};

/// Returns the number of extensions in the state of an account; 0 if it has none.
fn counted_extensions(scraped: &ScrapeResponse, name: &str) -> f64 {
    let mut samples = scraped.account_samples(name);
    samples.retain(|series, _| series.starts_with("ringcentral_extensions{"));
    samples.values().sum()
}

/// Returns the number of series of presence of an account.
fn presence_series(scraped: &ScrapeResponse, name: &str) -> usize {
    let families = [
        "ringcentral_extensions{",
        "ringcentral_presence_",
        "ringcentral_event",
    ];
    let samples = scraped.account_samples(name).into_keys();
    let is_presence = |series: &String| families.iter().any(|family| series.starts_with(family));
    samples.filter(is_presence).count()
}

/// Scrapes until the state of an account is shown.
async fn scrape_until_shown(exporter: &TestExporter, name: &str) -> ScrapeResponse {
    for _ in 0..100 {
        let scraped = exporter.scrape().await;
        if counted_extensions(&scraped, name) > 0.0 {
            return scraped;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("no state of {name}");
}

#[tokio::test]
async fn presence_is_turned_on_and_off_by_a_reload() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").extra_keys = ", presence: poll".to_owned();
    exporter.reload().await;
    let scraped = scrape_until_shown(&exporter, "a").await;
    assert_eq!(presence_series(&scraped, "b"), 0);
    assert_eq!(ended_calls(&scraped, "a"), ended_calls(&before, "a"));
    let list = exporter.account("a").simulator.switchboard();
    let list = list.presence_at(exporter.account("a").simulator.now());
    let with_presence = list.iter().filter(|row| row.status.is_some()).count();
    assert_eq!(counted_extensions(&scraped, "a"), with_presence as f64);
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
    exporter.account_mut("a").extra_keys.clear();
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert_eq!(presence_series(&scraped, "a"), 0);
    assert_eq!(exporter.account("a").request_count(Operation::Presence), 1);
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
}

/// A restart with this file would fail too.
#[tokio::test]
async fn reload_without_presence_needs_no_flag_for_it() {
    let account = TestAccount::new("a", company(0), 1).await;
    let with_poll = TestAccount {
        extra_keys: ", presence: poll".to_owned(),
        ..account
    };
    let flags = [
        "--metrics.extension-presence",
        "--ringcentral.presence-audit=5m",
    ];
    let mut exporter = TestExporter::start_with_flags(vec![with_poll], &flags).await;
    scrape_until_shown(&exporter, "a").await;
    exporter.account_mut("a").extra_keys.clear();
    exporter.write_config();
    exporter.process.signal("HUP").await;
    let warning = exporter.process.wait_for_log("next start with").await;
    assert!(warning.contains("no account reads presence"), "{warning}");
    exporter
        .process
        .wait_for_log("configuration reloaded")
        .await;
    let response = exporter.scrape().await;
    assert!(!response.text.contains("ringcentral_presence_up"));
}

#[tokio::test]
async fn reload_without_a_change_keeps_the_state() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a"], &clock).await;
    exporter.account_mut("a").extra_keys = ", presence: poll".to_owned();
    exporter.reload().await;
    let shown = scrape_until_shown(&exporter, "a").await;
    exporter.reload().await;
    exporter.account_mut("a").jwt = exporter.account("a").simulator.rotate_jwt();
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert_eq!(
        counted_extensions(&scraped, "a"),
        counted_extensions(&shown, "a")
    );
    let account = exporter.account("a");
    assert_eq!(account.request_count(Operation::Presence), 1);
    wait_until("the new JWT is used", || {
        account.request_count(Operation::Token) == 2
    })
    .await;
}

/// Returns the numbers of all and of open event connections of an account.
fn event_connections(exporter: &TestExporter, name: &str) -> (usize, usize) {
    let connections = exporter.account(name).simulator.event_connections();
    let open = connections.iter().filter(|it| it.closed_ms.is_none());
    (connections.len(), open.count())
}

/// Returns the number of subscriptions that an account has deleted.
fn deletions(exporter: &TestExporter, name: &str) -> usize {
    let requests = exporter.account(name).requests(Operation::Subscription);
    let prefix = "/restapi/v1.0/subscription/";
    let is_deletion = |entry: &&JournalEntry| entry.target.starts_with(prefix);
    requests.iter().filter(is_deletion).count()
}

#[tokio::test]
async fn events_are_turned_on_and_off_by_a_reload() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").extra_keys = ", presence: events".to_owned();
    exporter.reload().await;
    let scraped = scrape_until_shown(&exporter, "a").await;
    assert_eq!(presence_series(&scraped, "b"), 0);
    assert_eq!(event_connections(&exporter, "a"), (1, 1));
    for extra_keys in [", presence: poll", ""] {
        exporter.account_mut("a").extra_keys = extra_keys.to_owned();
        exporter.reload().await;
        let scraped = exporter.scrape().await;
        assert!(!scraped.text.contains("ringcentral_event_"), "{extra_keys}");
        wait_until("the connection is closed", || {
            event_connections(&exporter, "a") == (1, 0)
        })
        .await;
        assert_eq!(deletions(&exporter, "a"), 1);
    }
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
}

#[tokio::test]
async fn changed_jwt_restarts_the_stream() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a"], &clock).await;
    exporter.account_mut("a").extra_keys = ", presence: events".to_owned();
    exporter.reload().await;
    scrape_until_shown(&exporter, "a").await;
    exporter.account_mut("a").jwt = exporter.account("a").simulator.rotate_jwt();
    exporter.reload().await;
    exporter.scrape().await;
    wait_until("there is another connection", || {
        event_connections(&exporter, "a") == (2, 1)
    })
    .await;
    assert_eq!(deletions(&exporter, "a"), 1);
    let scraped = exporter.scrape().await;
    assert_eq!(
        counted_extensions(&scraped, "a"),
        0.0,
        "until the next read"
    );
    assert_eq!(
        scraped.value("ringcentral_event_gaps_total{account=\"a\"}"),
        1.0
    );
    assert_eq!(up(&scraped, "a"), 1.0);
}
