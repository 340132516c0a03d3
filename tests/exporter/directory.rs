//! The account's list of extensions: what it adds, and that its absence costs nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::Level;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};

use crate::common::clock::ManualClock;
use crate::faults::log;
use crate::rig::Rig;
use crate::scrapes::unlimited;

/// A standing account in which every scrape may fetch.
fn still() -> Scenario {
    ManualClock::new().attach_to(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
}

#[tokio::test]
async fn the_first_scrape_waits_for_it_and_it_is_read_once() {
    let rig = Rig::start(still()).await;
    let truth = rig.truth().await;
    for _ in 0..3 {
        assert_eq!(rig.scrape().await.call_samples(), truth);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(rig.count(Operation::Extensions), 1);
    let read = rig
        .scrape()
        .await
        .value("ringcentral_extension_directory_timestamp_seconds{account=\"default\"}");
    assert!(read > 1_795_000_000.0, "{read}");
}

#[tokio::test]
async fn all_its_pages_are_read() {
    let rig = Rig::start(Scenario {
        max_per_page: 50,
        ..still()
    })
    .await;
    assert_eq!(rig.scrape().await.call_samples(), rig.truth().await);
    assert!(rig.count(Operation::Extensions) >= 4);
}

#[tokio::test]
async fn without_the_permission_calls_go_on_and_one_line_says_how_to_grant_it() {
    log::listen();
    let rig = Rig::configured(
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
        let scraped = rig.scrape().await;
        assert_eq!(scraped.value("ringcentral_up{account=\"no_list\"}"), 1.0);
        assert!(
            !scraped.call_samples().is_empty() && !scraped.text.contains("directory_timestamp")
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(
        (
            rig.count(Operation::Extensions),
            rig.count(Operation::Token)
        ),
        (1, 1)
    );
    let lines = log::about("no_list")
        .into_iter()
        .filter(|line| line.contains("list of extensions"))
        .collect::<Vec<_>>();
    assert!(
        lines.len() == 1 && lines[0].contains("Read Accounts"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn a_list_that_hangs_costs_the_first_scrape_its_deadline_and_shows_the_fallback() {
    let rig = Rig::start(still()).await;
    rig.simulator
        .inject(Fault::once(Operation::Extensions, FaultKind::Hang));
    let first = rig.scrape_within("2").await;
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
async fn an_outage_of_the_list_fails_no_scrape() {
    let rig = Rig::start(still()).await;
    rig.simulator.inject(Fault::always(
        Operation::Extensions,
        SimResponse::unavailable(503),
    ));
    let scraped = rig.scrape().await;
    assert_eq!(
        (scraped.up(), scraped.failures("extensions", "server_error")),
        (1.0, 1.0)
    );
}

#[tokio::test]
async fn at_level_extension_the_list_is_not_asked_for() {
    let rig = Rig::configured(still(), |config| {
        config.accounts[0].level = Level::Extension
    })
    .await;
    rig.scrape().await;
    rig.scrape().await;
    assert_eq!(rig.count(Operation::Extensions), 0);
}

#[tokio::test]
async fn the_label_can_show_ids() {
    let rig = Rig::configured(still(), |config| {
        config.settings.metrics.extension_label = ExtensionLabel::Id
    })
    .await;
    let ids: Vec<_> = rig
        .simulator
        .switchboard()
        .extensions()
        .iter()
        .map(|extension| extension.id.to_string())
        .collect();
    let scraped = rig.scrape().await;
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
async fn beyond_the_most_extensions_the_rest_is_other_and_told() {
    let rig = Rig::configured(still(), |config| config.settings.metrics.max_extensions = 5).await;
    let scraped = rig.scrape().await;
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
    let listed: f64 = rig
        .truth()
        .await
        .iter()
        .filter(|(series, _)| series.starts_with("ringcentral_active_calls{"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(count(&|_| true), listed, "folding loses no record");
}

#[tokio::test]
async fn names_are_shown_on_request_alone_one_series_a_value() {
    let rig = Rig::start(still()).await;
    assert!(!rig.scrape().await.text.contains("extension_info"));
    let rig = Rig::configured(still(), |config| {
        config.settings.metrics.extension_info = true
    })
    .await;
    let scraped = rig.scrape().await;
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
async fn ended_calls_by_extension_begin_with_zeros_for_each_extension_that_is_seen() {
    let rig = Rig::start(still()).await;
    assert!(
        !rig.scrape().await.text.contains("extension_calls_ended"),
        "only on request"
    );
    let rig = Rig::configured(still(), |config| {
        config.accounts[0].name = "by_extension".to_owned();
        config.settings.metrics.extension_calls = true;
    });
    let samples = rig.await.scrape().await.samples();
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
