//! Tests of the extension list: the labels that it provides, and scrapes without it.

use std::collections::BTreeSet;
use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::Level;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};

use crate::common::clock::ManualClock;
use crate::common::unlimited_requests;
use crate::faults::log;
use crate::harness::TestExporter;

/// Returns a scenario with a stopped clock in which every scrape may start a fetch.
fn frozen_scenario() -> Scenario {
    ManualClock::new().attach_to(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
}

#[tokio::test]
async fn first_scrape_waits_for_extension_list() {
    let exporter = TestExporter::start(frozen_scenario()).await;
    let expected = exporter.expected_samples().await;
    for _ in 0..3 {
        assert_eq!(exporter.scrape().await.call_samples(), expected);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(exporter.count_requests(Operation::Extensions), 1);
    let fetched_at = exporter
        .scrape()
        .await
        .value("ringcentral_extension_directory_timestamp_seconds{account=\"default\"}");
    assert!(fetched_at > 1_795_000_000.0, "{fetched_at}");
}

#[tokio::test]
async fn every_extension_page_is_fetched() {
    let exporter = TestExporter::start(Scenario {
        max_per_page: 50,
        ..frozen_scenario()
    })
    .await;
    assert_eq!(
        exporter.scrape().await.call_samples(),
        exporter.expected_samples().await
    );
    assert!(exporter.count_requests(Operation::Extensions) >= 4);
}

#[tokio::test]
async fn forbidden_extension_list_is_logged_once() {
    log::capture();
    let exporter = TestExporter::start_with(
        Scenario {
            read_accounts: false,
            ..frozen_scenario()
        },
        |config| {
            config.accounts[0].name = "no_list".to_owned();
        },
    )
    .await;
    for _ in 0..3 {
        let response = exporter.scrape().await;
        assert_eq!(response.value("ringcentral_up{account=\"no_list\"}"), 1.0);
        assert!(
            !response.call_samples().is_empty() && !response.text.contains("directory_timestamp")
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(
        (
            exporter.count_requests(Operation::Extensions),
            exporter.count_requests(Operation::Token)
        ),
        (1, 1)
    );
    let lines = log::account_lines("no_list")
        .into_iter()
        .filter(|line| line.contains("extension list fetch failed"))
        .collect::<Vec<_>>();
    assert!(
        lines.len() == 1 && lines[0].contains("Read Accounts"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn hanging_extension_list_does_not_hide_calls() {
    let exporter = TestExporter::start(frozen_scenario()).await;
    exporter
        .simulator
        .inject(Fault::once(Operation::Extensions, FaultKind::Hang));
    let first = exporter.scrape_with_timeout("5").await;
    assert_eq!(
        first.failures("extensions", "timeout"),
        0.0,
        "the scrape must be answered before the request times out after 10 s"
    );
    assert_eq!(
        (first.status, first.up()),
        (200, 1.0),
        "the call list was fetched before the extension list"
    );
    assert!(!first.call_samples().is_empty());
}

/// Returns a scenario whose group `medium` allows this many requests in four seconds.
fn medium_limit(requests: u32, scenario: Scenario) -> Scenario {
    let window = Duration::from_secs(4);
    let medium = Limit {
        window,
        penalty: window,
        ..Limit::per_minute(requests)
    };
    Scenario {
        limits: Limits {
            medium,
            ..unlimited_requests()
        },
        ..scenario
    }
}

/// Scrapes until the extension list has been read. Returns how often it had not.
async fn scrape_until_listed(exporter: &TestExporter) -> u32 {
    for unlisted in 0.. {
        let response = exporter.scrape().await;
        assert_eq!(response.up(), 1.0);
        assert_eq!(response.failures("extensions", "budget"), 0.0);
        if response
            .text
            .contains("\nringcentral_extension_directory_timestamp_seconds{")
        {
            return unlisted;
        }
        assert!(unlisted < 200, "{}", response.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!()
}

/// Asserts that the pages 1 to `count` of the extension list were requested once each, in this order.
fn assert_each_page_requested_once(exporter: &TestExporter, count: usize) {
    let requests = exporter.requests(Operation::Extensions);
    let mut pages = Vec::<usize>::new();
    for entry in &requests {
        assert_eq!(entry.status, Some(200), "{entry:?}");
        let page = entry
            .target
            .split_once("page=")
            .map_or("1", |(_, rest)| rest);
        pages.push(page.split('&').next().unwrap().parse().unwrap());
    }
    assert_eq!(pages, (1..=count).collect::<Vec<_>>(), "{requests:?}");
}

#[tokio::test]
async fn extension_list_over_limit_takes_several_windows() {
    let scenario = Scenario {
        extensions: 200,
        max_per_page: 6,
        ..Scenario::normal()
    };
    let exporter = TestExporter::start(medium_limit(40, scenario)).await;
    let response = exporter.scrape().await;
    assert!(!response.call_samples().is_empty());
    assert_eq!(exporter.count_requests(Operation::Extensions), 32);
    let json = exporter.get("/status?format=json", &[]).await.text;
    assert!(json.contains("\"extensions_pages_fetched\":32"), "{json}");
    assert!(scrape_until_listed(&exporter).await > 0);
    assert_each_page_requested_once(&exporter, 34);
    let json = exporter.get("/status?format=json", &[]).await.text;
    assert!(
        json.contains("\"extensions\":200,") && json.contains("\"extensions_pages_fetched\":0"),
        "{json}"
    );
}

#[tokio::test]
async fn extension_list_is_read_two_pages_at_a_time() {
    let scenario = Scenario {
        max_per_page: 70,
        ..Scenario::normal()
    };
    let exporter = TestExporter::start(medium_limit(2, scenario)).await;
    scrape_until_listed(&exporter).await;
    assert_each_page_requested_once(&exporter, 3);
}

#[tokio::test]
async fn extension_list_outage_fails_no_scrape() {
    let exporter = TestExporter::start(frozen_scenario()).await;
    exporter.simulator.inject(Fault::always(
        Operation::Extensions,
        SimResponse::unavailable(503),
    ));
    let response = exporter.scrape().await;
    assert_eq!(
        (
            response.up(),
            response.failures("extensions", "server_error")
        ),
        (1.0, 1.0)
    );
}

#[tokio::test]
async fn level_extension_skips_extension_list() {
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        config.accounts[0].level = Level::Extension
    })
    .await;
    exporter.scrape().await;
    exporter.scrape().await;
    assert_eq!(exporter.count_requests(Operation::Extensions), 0);
}

#[tokio::test]
async fn extension_label_can_show_ids() {
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        config.settings.metrics.extension_label = ExtensionLabel::Id
    })
    .await;
    let ids: Vec<_> = exporter
        .simulator
        .switchboard()
        .extensions()
        .iter()
        .map(|extension| extension.id.to_string())
        .collect();
    let response = exporter.scrape().await;
    let mut labels = Vec::new();
    for series in response.call_samples().into_keys() {
        if let Some((_, rest)) = series.split_once("extension=\"") {
            labels.push(rest.trim_end_matches("\"}").to_owned());
        }
    }
    assert!(
        labels.len() > 10 && labels.iter().all(|label| ids.contains(label)),
        "{labels:?}"
    );
}

#[tokio::test]
async fn extensions_over_maximum_become_other() {
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        config.settings.metrics.max_extensions = 5
    })
    .await;
    let response = exporter.scrape().await;
    let folded =
        response.value("ringcentral_folded_records{account=\"default\",label=\"extension\"}");
    let (mut other, mut total) = (0.0, 0.0);
    for (series, count) in response.call_samples() {
        if series.starts_with("ringcentral_active_calls{") {
            total += count;
            if series.contains("extension=\"other\"") {
                other += count;
            }
        }
    }
    assert!(folded > 0.0);
    assert_eq!(other, folded);
    let mut listed = exporter.expected_samples().await;
    listed.retain(|series, _| series.starts_with("ringcentral_active_calls{"));
    assert_eq!(
        total,
        listed.values().sum::<f64>(),
        "records are missing in the total"
    );
}

/// Returns the value of the label `extension` of a series.
fn extension_label(series: &str) -> Option<String> {
    let (_, rest) = series.split_once("extension=\"")?;
    let (extension, _) = rest.split_once('"')?;
    Some(extension.to_owned())
}

#[tokio::test]
async fn extension_names_are_shown_only_on_request() {
    let exporter = TestExporter::start(frozen_scenario()).await;
    assert!(!exporter.scrape().await.text.contains("extension_info"));
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        config.settings.metrics.extension_info = true
    })
    .await;
    let response = exporter.scrape().await;
    let mut extensions = Vec::new();
    for series in response.samples().into_keys() {
        if series.starts_with("ringcentral_extension_info{") {
            extensions.push(extension_label(&series).unwrap());
        }
    }
    let distinct: BTreeSet<_> = extensions.iter().collect();
    assert_eq!(extensions.len(), distinct.len());
    assert!(extensions.len() >= 200, "{}", extensions.len());
}

#[tokio::test]
async fn extension_counters_start_at_zero() {
    let exporter = TestExporter::start(frozen_scenario()).await;
    assert!(
        !exporter
            .scrape()
            .await
            .text
            .contains("extension_calls_ended"),
        "the families must be absent by default"
    );
    let exporter = TestExporter::start_with(frozen_scenario(), |config| {
        config.accounts[0].name = "by_extension".to_owned();
        config.settings.metrics.extension_calls = true;
    });
    let mut listed = BTreeSet::new();
    let mut with_counters = BTreeSet::new();
    let mut counters = Vec::new();
    for (series, value) in exporter.await.scrape().await.samples() {
        if series.starts_with("ringcentral_active_calls{") {
            listed.extend(extension_label(&series));
        } else if series.starts_with("ringcentral_extension_calls_ended_total{") {
            with_counters.extend(extension_label(&series));
            counters.push((series, value));
        }
    }
    assert_eq!(with_counters, listed);
    assert!(
        counters.len() == 5 * listed.len() && counters.iter().all(|(_, value)| *value == 0.0),
        "{counters:?}"
    );
}
