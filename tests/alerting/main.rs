//! From a call too many to the message on somebody's phone: the demo, a real Prometheus with the rules as they are shipped, a real
//! Alertmanager, and a webhook in the place of the phone.
//!
//! Only the waiting is cut short: in a copy of the rules every `for` and `keep_firing_for` lasts seconds. How long they
//! really last, and each alert at its bounds, is for promtool's unit tests beside the rules.
//!
//! Needs `prometheus`, `promtool` and `prometheus-alertmanager` on the path; `make tools` sees to them. Takes about five minutes of the
//! clock: the surge has to rise, and the outage to last.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod alertmanager;
#[path = "../common/mod.rs"]
mod common;
mod history;
mod notification;
mod rules;
mod stage;
mod webhook;

use std::time::Duration;

use common::prometheus::{PrometheusBuilder, PrometheusServer};
use common::{demo, exporter_process::ExporterProcess, get};
use notification::{complaints, is, numbers};
use serde_json::Value;
use stage::{INTERVAL, PATIENCE, Stage};
use tokio::time::{sleep, timeout};

const VOLUME: &str = "RingCentralCallVolumeHigh";
const FAILING: &str = "RingCentralAPIFailing";
const CALLS: &str = "ringcentral_call_sessions_in_progress";

/// The demo has some 27 calls at a time, by chance 16 or 46, and more than 60 when its surge has risen.
const USUAL: f64 = 25.0;
const USUAL_WHERE_MANY_CALL: f64 = 60.0;

#[tokio::test]
async fn a_surge_and_an_outage_are_told_to_a_person_and_so_is_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules::hurried(folder.path());
    let (surge, url, _) = demo::start(&["--demo.scenario", "surge"]).await;
    surge_rises(&url).await;
    let stage = Stage::set(&url, &history::of(folder.path(), "usual", USUAL), &rules).await;
    let busy = history::of(folder.path(), "busy", USUAL_WHERE_MANY_CALL);
    let busy = PrometheusBuilder::new(&[&url], INTERVAL)
        .rule_files(&rules)
        .data_dir(&busy)
        .start()
        .await;

    a_surge_is_told(&stage).await;
    the_same_calls_are_nothing_to_where_they_are_usual(&busy).await;
    drop(busy);
    let outage = followed_by_an_outage(surge, &url).await;
    tokio::join!(stage.ends(VOLUME), an_outage_and_its_end_are_told(&stage));
    drop(outage);

    let arrived = stage.arrived();
    arrived.iter().for_each(tell);
    let lacking: Vec<_> = arrived.iter().flat_map(complaints).collect();
    assert!(lacking.is_empty(), "{lacking:#?}\n{}", stage.seen().await);
}

/// The report of a run: which others arrive depends on the time of day.
fn tell(alert: &Value) {
    let [status, summary] = [&alert["status"], &alert["annotations"]["summary"]];
    let [status, summary] = [status, summary].map(|text| text.as_str().unwrap_or_default());
    println!(
        "{status:>8}: {} {summary}",
        alert["labels"]["alertname"].as_str().unwrap()
    );
}

/// Prometheus begins when there are clearly more than twice the usual calls: so the average of ten minutes need not rise
/// first, nor sink for long after.
async fn surge_rises(url: &str) {
    let many = async || {
        let text = get(&format!("{url}/metrics")).await;
        let line = text
            .lines()
            .find(|line| line.starts_with(CALLS))
            .map(str::to_owned);
        line.filter(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 2.2 * USUAL)
    };
    let rises = async {
        while many().await.is_none() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(PATIENCE, rises).await.expect("the surge rises");
}

async fn a_surge_is_told(stage: &Stage) {
    stage.alert(VOLUME, "pending").await;
    stage.alert(VOLUME, "firing").await;
    let told = stage.arrives(VOLUME, "firing").await;
    let numbers = numbers(&told["annotations"]["description"]);
    let named = numbers.contains(&USUAL) && numbers.iter().any(|calls| *calls >= 2.0 * USUAL);
    assert!(named, "how many calls there are, and are usual: {told:#}");
}

async fn the_same_calls_are_nothing_to_where_they_are_usual(busy: &PrometheusServer) {
    let usual = busy
        .values(&format!("job_account:{CALLS}:median_max_avg1h"))
        .await;
    assert_eq!(
        usual.into_values().collect::<Vec<_>>(),
        [USUAL_WHERE_MANY_CALL]
    );
    let present = busy
        .values(&format!("job_account:{CALLS}:avg10m > {}", 1.5 * USUAL))
        .await;
    assert_eq!(present.len(), 1, "it sees the surge too");
    let alerts = busy.get_api("alerts", &[]).await;
    assert!(
        alerts["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|alert| !is(alert, VOLUME)),
        "{alerts:#}"
    );
}

/// Another scenario at the same address: to Prometheus it is the same exporter, started again.
async fn followed_by_an_outage(mut surge: ExporterProcess, url: &str) -> ExporterProcess {
    surge.signal("TERM").await;
    surge.wait_for_exit().await;
    let address = url.strip_prefix("http://").unwrap();
    let (outage, ..) = demo::start_at(address, &["--demo.scenario", "outage"]).await;
    outage
}

async fn an_outage_and_its_end_are_told(stage: &Stage) {
    stage.alert(FAILING, "pending").await;
    stage.alert(FAILING, "firing").await;
    let told = stage.arrives(FAILING, "firing").await;
    assert_eq!(
        stage.up().await,
        [0.0],
        "it is told while the outage lasts\n{}",
        stage.seen().await
    );
    let reason = told["labels"]["reason"].as_str().unwrap();
    assert!(
        told["annotations"]["summary"]
            .as_str()
            .unwrap()
            .contains(reason),
        "{told:#}"
    );
    assert!(
        numbers(&told["annotations"]["description"])
            .iter()
            .any(|failures| *failures >= 1.0),
        "{told:#}"
    );
    stage.ends(FAILING).await;
    assert_eq!(
        stage.up().await,
        [1.0],
        "it ends when RingCentral answers again\n{}",
        stage.seen().await
    );
}
