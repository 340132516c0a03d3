//! The account's list of extensions: what it adds, and that its absence costs nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::Level;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};

use crate::common::clock::ManualClock;
use crate::faults::log;
use crate::harness::TestExporter;
use crate::scrapes::unlimited;

/// A standing account in which every scrape may fetch.
fn still() -> Scenario {
    ManualClock::new().attach_to(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
}

#[tokio::test]
async fn first_scrape_waits_for_extension_list() {
    let exporter = TestExporter::start(still()).await;
    let truth = exporter.expected_samples().await;
    for _ in 0..3 {
        assert_eq!(exporter.scrape().await.call_samples(), truth);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(exporter.count_requests(Operation::Extensions), 1);
    let read = exporter
        .scrape()
        .await
        .value("ringcentral_extension_directory_timestamp_seconds{account=\"default\"}");
    assert!(read > 1_795_000_000.0, "{read}");
}

#[tokio::test]
async fn every_extension_page_is_fetched() {
    let exporter = TestExporter::start(Scenario {
        max_per_page: 50,
        ..still()
    })
    .await;
    assert_eq!(exporter.scrape().await.call_samples(), exporter.expected_samples().await);
    assert!(exporter.count_requests(Operation::Extensions) >= 4);
}

#[tokio::test]
async fn forbidden_extension_list_is_logged_once() {
    log::capture();
    let exporter = TestExporter::start_with(
        Scenario {
            read_accounts: false,
            ..still()
        },
        |config| {
            config.accounts[0].name = "no_list".to_owned();
        },
    )
    .await;
    for _ in 0..3 {
        let scraped = exporter.scrape().await;
        assert_eq!(scraped.value("ringcentral_up{account=\"no_list\"}"), 1.0);
        assert!(
            !scraped.call_samples().is_empty() && !scraped.text.contains("directory_timestamp")
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
        .filter(|line| line.contains("list of extensions"))
        .collect::<Vec<_>>();
    assert!(
        lines.len() == 1 && lines[0].contains("Read Accounts"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn hanging_extension_list_does_not_hide_calls() {
    let exporter = TestExporter::start(still()).await;
    exporter.simulator
        .inject(Fault::once(Operation::Extensions, FaultKind::Hang));
    let first = exporter.scrape_with_timeout("2").await;
    assert!(
        first.elapsed < Duration::from_secs(2),
        "{:?}",
        first.elapsed
    );
    assert_eq!(
        (first.status, first.up()),
        (200, 1.0),
        "the calls are known already"
    );
    assert!(!first.call_samples().is_empty());
}

#[tokio::test]
async fn extension_list_outage_fails_no_scrape() {
    let exporter = TestExporter::start(still()).await;
    exporter.simulator.inject(Fault::always(
        Operation::Extensions,
        SimResponse::unavailable(503),
    ));
    let scraped = exporter.scrape().await;
    assert_eq!(
        (scraped.up(), scraped.failures("extensions", "server_error")),
        (1.0, 1.0)
    );
}

#[tokio::test]
async fn level_extension_skips_extension_list() {
    let exporter = TestExporter::start_with(still(), |config| {
        config.accounts[0].level = Level::Extension
    })
    .await;
    exporter.scrape().await;
    exporter.scrape().await;
    assert_eq!(exporter.count_requests(Operation::Extensions), 0);
}

#[tokio::test]
async fn extension_label_can_show_ids() {
    let exporter = TestExporter::start_with(still(), |config| {
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
    let scraped = exporter.scrape().await;
    let shown = scraped.call_samples().into_keys().filter_map(|series| {
        let (_, rest) = series.split_once("extension=\"")?;
        Some(rest.trim_end_matches("\"}").to_owned())
    });
    let shown: Vec<_> = shown.collect();
    assert!(
        shown.len() > 10 && shown.iter().all(|id| ids.contains(id)),
        "{shown:?}"
    );
}

#[tokio::test]
async fn extensions_over_maximum_become_other() {
    let exporter = TestExporter::start_with(still(), |config| config.settings.metrics.max_extensions = 5).await;
    let scraped = exporter.scrape().await;
    let folded =
        scraped.value("ringcentral_folded_records{account=\"default\",label=\"extension\"}");
    let calls = scraped.call_samples();
    let count = |wanted: &dyn Fn(&str) -> bool| -> f64 {
        calls
            .iter()
            .filter(|(series, _)| series.starts_with("ringcentral_active_calls{") && wanted(series))
            .map(|(_, count)| count)
            .sum()
    };
    assert!(folded > 0.0);
    assert_eq!(
        count(&|series| series.contains("extension=\"other\"")),
        folded
    );
    let listed: f64 = exporter
        .expected_samples()
        .await
        .iter()
        .filter(|(series, _)| series.starts_with("ringcentral_active_calls{"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(count(&|_| true), listed, "folding loses no record");
}

#[tokio::test]
async fn extension_names_are_shown_only_on_request() {
    let exporter = TestExporter::start(still()).await;
    assert!(!exporter.scrape().await.text.contains("extension_info"));
    let exporter = TestExporter::start_with(still(), |config| {
        config.settings.metrics.extension_info = true
    })
    .await;
    let scraped = exporter.scrape().await;
    let shown: Vec<_> = scraped
        .samples()
        .into_keys()
        .filter(|series| series.starts_with("ringcentral_extension_info{"))
        .map(|series| {
            series
                .split("extension=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut distinct = shown.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(shown.len(), distinct.len());
    assert!(shown.len() >= 200, "{}", shown.len());
}

#[tokio::test]
async fn extension_counters_start_at_zero() {
    let exporter = TestExporter::start(still()).await;
    assert!(
        !exporter.scrape().await.text.contains("extension_calls_ended"),
        "only on request"
    );
    let exporter = TestExporter::start_with(still(), |config| {
        config.accounts[0].name = "by_extension".to_owned();
        config.settings.metrics.extension_calls = true;
    });
    let samples = exporter.await.scrape().await.samples();
    let extension = |series: &String| {
        series
            .split("extension=\"")
            .nth(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
    };
    let of = |family: &'static str| {
        samples
            .iter()
            .filter(move |(series, _)| series.starts_with(family))
    };
    let seen: BTreeSet<_> = of("ringcentral_active_calls{")
        .filter_map(|(series, _)| extension(series))
        .collect();
    let counted: Vec<_> = of("ringcentral_extension_calls_ended_total{").collect();
    let met: BTreeSet<_> = counted
        .iter()
        .filter_map(|(series, _)| extension(series))
        .collect();
    assert_eq!(met, seen);
    assert!(
        counted.len() == 5 * seen.len() && counted.iter().all(|(_, count)| **count == 0.0),
        "{counted:?}"
    );
}
