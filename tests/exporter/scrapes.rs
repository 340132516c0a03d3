//! Tests that a scrape shows the listed calls, and that concurrent scrapes share a fetch.

use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::Level;
use ringcentral_exporter::simulator::scenario::Envelope;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::clock::ManualClock;
use crate::common::oracle::CALL_FAMILIES;
use crate::common::unlimited_requests;
use crate::harness::TestExporter;

/// Scrapes at several instants and asserts that the call families match the listed calls.
async fn assert_gauges_match_listing(scenario: Scenario, steps: u32) {
    let clock = ManualClock::new();
    let scenario = clock.attach_to(Scenario {
        limits: unlimited_requests(),
        ..scenario
    });
    let exporter = TestExporter::start_with(scenario, |config| {
        // Thousands of records take seconds in a debug build.
        config.settings.timeouts.request = Duration::from_secs(60);
        config.settings.timeouts.fetch = Duration::from_secs(120);
    })
    .await;
    for step in 0..steps {
        let response = exporter.scrape().await;
        let expected = exporter.expected_samples().await;
        assert_eq!(response.call_samples(), expected, "step {step}");
        assert_eq!((response.status, response.up()), (200, 1.0));
        assert!(
            expected.len() > 10,
            "too few calls are listed for this test"
        );
        clock.advance(Duration::from_secs(35));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(
        exporter.count_requests(Operation::ActiveCalls) >= steps as usize,
        "a scrape did not start a fetch"
    );
    assert_eq!(
        exporter.count_requests(Operation::Token),
        1,
        "the token must be used for all fetches"
    );
}

#[tokio::test]
async fn gauges_match_listing() {
    assert_gauges_match_listing(Scenario::normal(), 20).await;
}

#[tokio::test]
async fn gauges_match_listing_without_paging_fields() {
    assert_gauges_match_listing(
        Scenario {
            envelope: Envelope::Minimal,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn gauges_match_listing_with_finished_field() {
    assert_gauges_match_listing(
        Scenario {
            finished_field: true,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn gauges_match_listing_with_small_pages() {
    assert_gauges_match_listing(
        Scenario {
            max_per_page: 10,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn gauges_match_listing_with_ignored_parameters() {
    assert_gauges_match_listing(
        Scenario {
            honors_query: false,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn gauges_match_listing_with_10000_extensions() {
    assert_gauges_match_listing(Scenario::huge(), 2).await;
}

#[tokio::test]
async fn level_extension_shows_calls_of_one_user() {
    let clock = ManualClock::new();
    let busy = Scenario {
        extensions: 20,
        calls_per_minute: 40.0,
        admin: false,
        ..Scenario::normal()
    };
    let scenario = clock.attach_to(Scenario {
        limits: unlimited_requests(),
        ..busy
    });
    let exporter = TestExporter::start_with(scenario, |config| {
        config.accounts[0].level = Level::Extension
    })
    .await;
    let owner_id = exporter.simulator.owner_id().to_string();
    let owner_number = &exporter.extension_numbers()[&owner_id];
    let owner_label = format!("extension=\"{owner_number}\"");
    let mut compared = 0;
    for _ in 0..20 {
        let response = exporter.scrape().await;
        let mut expected = exporter.expected_samples().await;
        expected.retain(|series, _| series.contains(&owner_label));
        let mut shown = response.call_samples();
        shown.retain(|series, _| series.contains("extension=\""));
        compared += expected.len();
        assert_eq!(shown, expected);
        clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(compared > 0, "the user had no call to compare");
    assert!(
        exporter
            .requests(Operation::ActiveCalls)
            .iter()
            .all(|entry| entry.target.contains("/extension/~/"))
    );
}

#[tokio::test]
async fn disabled_extension_label_keeps_totals() {
    let clock = ManualClock::new();
    let exporter = TestExporter::start_with(clock.attach_to(Scenario::normal()), |config| {
        config.settings.metrics.extension_label = ExtensionLabel::Off;
    })
    .await;
    let response = exporter.scrape().await;
    assert!(!response.text.contains("extension=\""));
    let mut samples = response.samples();
    samples.retain(|series, _| series.starts_with("ringcentral_active_calls{"));
    let mut listed = exporter.simulator.listed_at(exporter.simulator.now());
    listed.retain(|record| record.kind != "Fax");
    assert_eq!(samples.values().sum::<f64>(), listed.len() as f64);
}

#[tokio::test]
async fn concurrent_scrapes_share_one_fetch() {
    let scenario = Scenario {
        latency: Duration::from_millis(300),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        config.settings.scrape.min_interval = Duration::from_secs(60);
    })
    .await;
    let mut scrapes = Vec::new();
    for _ in 0..200 {
        let request = exporter
            .http
            .get(format!("{}/metrics", exporter.url))
            .send();
        scrapes.push(tokio::spawn(async move {
            request.await.unwrap().text().await.unwrap()
        }));
    }
    let is_call_sample = |line: &&str| CALL_FAMILIES.iter().any(|family| line.starts_with(family));
    let mut responses = Vec::new();
    for scrape in scrapes {
        let text = scrape.await.unwrap();
        let lines: Vec<_> = text
            .lines()
            .filter(is_call_sample)
            .map(str::to_owned)
            .collect();
        responses.push(lines);
    }
    assert!(responses[0].len() > 10);
    assert!(responses.iter().all(|lines| *lines == responses[0]));
    assert_eq!(
        (
            exporter.count_requests(Operation::Token),
            exporter.count_requests(Operation::ActiveCalls)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn disconnected_scraper_does_not_stop_fetch() {
    let latency = Duration::from_secs(2);
    let exporter = TestExporter::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let metrics = exporter.http.get(format!("{}/metrics", exporter.url));
    let disconnected = tokio::spawn(metrics.send());
    exporter.wait_for_requests(Operation::Token, 1).await;
    disconnected.abort();
    assert!(disconnected.await.unwrap_err().is_cancelled());
    assert_eq!(exporter.scrape().await.up(), 1.0);
    assert_eq!(
        (
            exporter.count_requests(Operation::Token),
            exporter.count_requests(Operation::ActiveCalls)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn scrape_deadline_does_not_stop_fetch() {
    let latency = Duration::from_secs(5);
    let exporter = TestExporter::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let early = exporter.scrape_with_timeout("1").await;
    assert_eq!(
        (early.status, early.up()),
        (200, 0.0),
        "login and page take 10 s, so nothing is fetched at the deadline of 0.5 s"
    );
    assert!(
        exporter.has_pending_request(Operation::Token),
        "the scrape waited for the login: {:?}",
        early.elapsed
    );
    assert!(
        early.call_samples().is_empty(),
        "the call families must be absent before the first fetch"
    );
    let late = exporter.scrape().await;
    assert_eq!(late.up(), 1.0);
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn account_and_api_metrics_are_always_present() {
    let exporter = TestExporter::start_with(Scenario::normal(), |config| {
        config.accounts[0].concurrent_calls_limit = Some(50)
    })
    .await;
    let response = exporter.scrape().await;
    let (id, server) = (exporter.simulator.account_id(), exporter.simulator.url());
    let labels = format!(
        "{{account=\"default\",account_id=\"{id}\",level=\"account\",server=\"{server}\"}}"
    );
    assert_eq!(
        response.value(&format!("ringcentral_account_info{labels}")),
        1.0
    );
    assert_eq!(
        response.value("ringcentral_concurrent_calls_limit{account=\"default\"}"),
        50.0
    );
    assert_eq!(
        response.value("ringcentral_fetch_pages{account=\"default\"}"),
        1.0
    );
    let heavy = "{account=\"default\",group=\"heavy\"}";
    assert_eq!(
        response.value(&format!("ringcentral_api_rate_limit_requests{heavy}")),
        10.0
    );
    assert_eq!(
        response.value(&format!("ringcentral_api_rate_limit_remaining{heavy}")),
        9.0
    );
    assert_eq!(
        response.value(&format!("ringcentral_api_rate_limit_window_seconds{heavy}")),
        60.0
    );
    let now = exporter.simulator.now() as f64 / 1000.0;
    let token =
        response.value("ringcentral_auth_token_expiry_timestamp_seconds{account=\"default\"}");
    assert!((token - now - 3600.0).abs() < 5.0, "{token}, now {now}");
    let jwt = response.value("ringcentral_auth_jwt_expiry_timestamp_seconds{account=\"default\"}");
    assert!(
        (jwt - now - 30.0 * 86_400.0).abs() < 5.0,
        "{jwt}, now {now}"
    );
    for operation in ["token", "active_calls", "extensions", "revoke"] {
        assert_eq!(response.blocked_until(operation), 0.0);
        assert_eq!(response.failures(operation, "timeout"), 0.0);
    }
    assert!(response.value("process_resident_memory_bytes") > 1e6);
    assert!(response.value("process_cpu_seconds_total") >= 0.0);
}
