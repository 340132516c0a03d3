//! A scrape shows what is listed, and a hundred scrapes cost what one does.

use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::Level;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::{Envelope, Limits};
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::clock::ManualClock;
use crate::common::oracle::CALL_FAMILIES;
use crate::harness::TestExporter;

/// Limits under which every scrape may fetch.
pub fn unlimited() -> Limits {
    let heavy = Limit {
        requests: 1_000_000,
        ..Limits::default().heavy
    };
    Limits {
        heavy,
        ..Limits::default()
    }
}

/// Scrapes at several instants and compares all families about calls with the truth of each.
async fn shows_the_truth(scenario: Scenario, steps: u32) {
    let clock = ManualClock::new();
    let exporter = TestExporter::start(clock.attach_to(Scenario {
        limits: unlimited(),
        ..scenario
    }))
    .await;
    for step in 0..steps {
        let scraped = exporter.scrape().await;
        let truth = exporter.expected_samples().await;
        assert_eq!(scraped.call_samples(), truth, "step {step}");
        assert_eq!((scraped.status, scraped.up()), (200, 1.0));
        assert!(
            truth.len() > 10,
            "hardly anything was listed, so hardly anything was tested"
        );
        clock.advance(Duration::from_secs(35));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(
        exporter.count_requests(Operation::ActiveCalls) >= steps as usize,
        "not every scrape fetched"
    );
    assert_eq!(
        exporter.count_requests(Operation::Token),
        1,
        "a login for each scrape is one too many"
    );
}

#[tokio::test]
async fn gauges_match_listing() {
    shows_the_truth(Scenario::normal(), 20).await;
}

#[tokio::test]
async fn gauges_match_listing_without_paging_fields() {
    shows_the_truth(
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
    shows_the_truth(
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
    shows_the_truth(
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
    shows_the_truth(
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
    shows_the_truth(Scenario::huge(), 2).await;
}

fn number_of(exporter: &TestExporter, id: u64) -> String {
    let extensions = exporter.simulator.switchboard().extensions();
    extensions
        .iter()
        .find(|extension| extension.id == id)
        .unwrap()
        .number
        .clone()
        .unwrap()
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
        limits: unlimited(),
        ..busy
    });
    let exporter = TestExporter::start_with(scenario, |config| {
        config.accounts[0].level = Level::Extension
    })
    .await;
    let own = format!(
        "extension=\"{}\"",
        number_of(&exporter, exporter.simulator.owner_id())
    );
    let mut seen = 0;
    for _ in 0..20 {
        let scraped = exporter.scrape().await;
        let mut truth = exporter.expected_samples().await;
        truth.retain(|series, _| series.contains(&own));
        let mut shown = scraped.call_samples();
        shown.retain(|series, _| series.contains("extension=\""));
        seen += truth.len();
        assert_eq!(shown, truth);
        clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(seen > 0, "the user had no call, so nothing was tested");
    assert!(
        exporter.requests(Operation::ActiveCalls)
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
    let scraped = exporter.scrape().await;
    let is_records = |series: &&String| series.starts_with("ringcentral_active_calls{");
    assert!(!scraped.text.contains("extension=\""));
    let total: f64 = scraped
        .samples()
        .iter()
        .filter(|(series, _)| is_records(series))
        .map(|(_, count)| count)
        .sum();
    let listed = exporter.simulator.listed_at(exporter.simulator.now());
    assert_eq!(
        total,
        listed.iter().filter(|record| record.kind != "Fax").count() as f64
    );
}

#[tokio::test]
async fn concurrent_scrapes_share_one_fetch() {
    let latency = Duration::from_millis(300);
    let exporter = TestExporter::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let scrapes: Vec<_> = (0..200)
        .map(|_| {
            let request = exporter.http.get(format!("{}/metrics", exporter.url)).send();
            tokio::spawn(async move { request.await.unwrap().text().await.unwrap() })
        })
        .collect();
    let mut families = Vec::new();
    for scrape in scrapes {
        let text = scrape.await.unwrap();
        families.push(
            text.lines()
                .filter(|line| line.contains("call"))
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
    }
    let is_about_calls = |line: &str| CALL_FAMILIES.iter().any(|family| line.starts_with(family));
    families
        .iter_mut()
        .for_each(|lines| lines.retain(|line| is_about_calls(line)));
    assert!(families[0].len() > 10);
    assert!(families.iter().all(|lines| *lines == families[0]));
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
    let latency = Duration::from_millis(400);
    let exporter = TestExporter::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let leaving = exporter
        .http
        .get(format!("{}/metrics", exporter.url))
        .timeout(Duration::from_millis(100))
        .send()
        .await;
    assert!(leaving.unwrap_err().is_timeout());
    assert_eq!(exporter.scrape().await.up(), 1.0);
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn scrape_deadline_does_not_stop_fetch() {
    let latency = Duration::from_millis(600);
    let exporter = TestExporter::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let early = exporter.scrape_with_timeout("1").await;
    assert_eq!(
        (early.status, early.up()),
        (200, 0.0),
        "login and page take 1.2 s"
    );
    assert!(
        early.elapsed < Duration::from_secs(1),
        "Prometheus would have given up: {:?}",
        early.elapsed
    );
    assert!(
        early.call_samples().is_empty(),
        "nothing is known yet, and zero would be a lie"
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
    let scraped = exporter.scrape().await;
    let (id, server) = (exporter.simulator.account_id(), exporter.simulator.url());
    let labels = format!(
        "{{account=\"default\",account_id=\"{id}\",level=\"account\",server=\"{server}\"}}"
    );
    assert_eq!(
        scraped.value(&format!("ringcentral_account_info{labels}")),
        1.0
    );
    assert_eq!(
        scraped.value("ringcentral_concurrent_calls_limit{account=\"default\"}"),
        50.0
    );
    assert_eq!(
        scraped.value("ringcentral_fetch_pages{account=\"default\"}"),
        1.0
    );
    let heavy = "{account=\"default\",group=\"heavy\"}";
    assert_eq!(
        scraped.value(&format!("ringcentral_api_rate_limit_requests{heavy}")),
        10.0
    );
    assert_eq!(
        scraped.value(&format!("ringcentral_api_rate_limit_remaining{heavy}")),
        9.0
    );
    assert_eq!(
        scraped.value(&format!("ringcentral_api_rate_limit_window_seconds{heavy}")),
        60.0
    );
    let now = exporter.simulator.now() as f64 / 1000.0;
    let token =
        scraped.value("ringcentral_auth_token_expiry_timestamp_seconds{account=\"default\"}");
    assert!((token - now - 3600.0).abs() < 5.0, "{token} against {now}");
    let jwt = scraped.value("ringcentral_auth_jwt_expiry_timestamp_seconds{account=\"default\"}");
    assert!(
        (jwt - now - 30.0 * 86_400.0).abs() < 5.0,
        "{jwt} against {now}"
    );
    for operation in ["token", "active_calls", "extensions", "revoke"] {
        assert_eq!(scraped.blocked_until(operation), 0.0);
        assert_eq!(scraped.failures(operation, "timeout"), 0.0);
    }
    assert!(scraped.value("process_resident_memory_bytes") > 1e6);
    assert!(scraped.value("process_cpu_seconds_total") >= 0.0);
}
