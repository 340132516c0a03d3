//! A real Prometheus server scrapes the exporter, and its database is compared with the simulator.
//!
//! Needs `prometheus` and `promtool` on the path, which `make test` installs. Takes about three
//! minutes, because the limit of the API is counted in minutes.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;
mod counters;
mod created_times;
mod openmetrics;
mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::demo;
use common::oracle::{self, CALL_FAMILIES};
use common::prometheus::PrometheusServer;
use serde_json::Value;
use tokio::time::sleep;

/// Returns the journal of the simulator.
async fn journal(simulator: &str) -> Vec<Value> {
    serde_json::from_str(&common::get(&format!("{simulator}/simulator/journal")).await).unwrap()
}

fn list_requests(journal: &[Value]) -> Vec<&Value> {
    journal
        .iter()
        .filter(|entry| entry["operation"] == "active_calls")
        .collect()
}

/// Returns the list that the simulator sent to the fetch of this snapshot: the next one after the fetch
/// began.
async fn list_of_snapshot(simulator: &str, journal: &[Value], snapshot_seconds: f64) -> Vec<Value> {
    let is_request_of_snapshot = |entry: &&Value| {
        let arrived_seconds = entry["arrived_ms"].as_f64().unwrap() / 1000.0;
        arrived_seconds - snapshot_seconds >= -0.002
    };
    let request = list_requests(journal)
        .into_iter()
        .find(is_request_of_snapshot)
        .unwrap();
    oracle::fetch_listed(simulator, request["listed_at_ms"].as_i64().unwrap()).await
}

/// Returns the samples of all call families that Prometheus stored at this time.
async fn stored_samples(prometheus: &PrometheusServer, time: f64) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for family in CALL_FAMILIES {
        samples.extend(prometheus.values_at(family, time).await);
    }
    samples
}

#[tokio::test]
async fn stored_samples_equal_lists_of_the_demo() {
    let (_demo, url, variables) = demo::start(&[]).await;
    let simulator = &variables["RC_SERVER_URL"];
    let prometheus = PrometheusServer::start(&[&url], Duration::from_secs(5)).await;
    sleep(Duration::from_secs(65)).await;
    assert_eq!(
        prometheus.values("up").await.values().collect::<Vec<_>>(),
        [&1.0]
    );
    let journal = journal(simulator).await;
    let numbers = oracle::fetch_extension_numbers(&variables).await;
    let scrapes = prometheus
        .samples_with_times("ringcentral_snapshot_timestamp_seconds")
        .await;
    assert!(scrapes.len() >= 10, "{scrapes:?}");
    let mut all_series = BTreeSet::new();
    let mut last_series = BTreeSet::new();
    for (scraped_at, snapshot_at) in &scrapes {
        let list = list_of_snapshot(simulator, &journal, *snapshot_at).await;
        let expected = oracle::samples_for("default", &list, &numbers);
        let stored = stored_samples(&prometheus, *scraped_at).await;
        assert_eq!(
            stored, expected,
            "scraped at {scraped_at}, fetched at {snapshot_at}"
        );
        last_series = stored.into_keys().collect();
        all_series.extend(last_series.clone());
    }
    assert!(
        last_series.len() < all_series.len(),
        "the series of ended calls must end"
    );
    let snapshots: BTreeSet<_> = scrapes
        .iter()
        .map(|(_, snapshot_at)| (snapshot_at * 1000.0) as i64)
        .collect();
    assert!(
        snapshots.len() >= scrapes.len() / 2 - 1,
        "every second scrape at 5 s may fetch: {snapshots:?}"
    );
    assert_fetch_interval(&journal);
    assert_promtool_accepts(&common::get(&format!("{url}/metrics")).await);
}

/// Asserts that there are more than 6 s between two requests for the call list, the documented limit. The
/// exporter sends one every 7.5 s, and one can arrive late.
fn assert_fetch_interval(journal: &[Value]) {
    for pair in list_requests(journal).windows(2) {
        let [first, second] = [pair[0], pair[1]].map(|entry| entry["arrived_ms"].as_i64());
        let gap = second.unwrap() - first.unwrap();
        assert!(gap > 6_000, "{gap} ms, expected one fetch every 7.5 s");
    }
}

/// Asserts that `promtool check metrics` succeeds without a warning.
fn assert_promtool_accepts(exposition: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is not installed: run `make tools`");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(exposition.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[tokio::test]
async fn two_servers_at_5_s_cause_no_429() {
    let (_demo, url, variables) = demo::start(&["--demo.seed", "2"]).await;
    let servers = [
        PrometheusServer::start(&[&url], Duration::from_secs(5)).await,
        PrometheusServer::start(&[&url], Duration::from_secs(5)).await,
    ];
    sleep(Duration::from_secs(180)).await;
    let journal = journal(&variables["RC_SERVER_URL"]).await;
    assert!(
        journal.iter().all(|entry| entry["status"] == 200),
        "{journal:?}"
    );
    let fetches = list_requests(&journal).len();
    assert!(
        fetches >= 15,
        "{fetches} fetches in 180 s, expected one every 7.5 s to 10 s"
    );
    assert_fetch_interval(&journal);
    for server in &servers {
        let samples = server.samples_with_times("ringcentral_up").await;
        assert!(
            samples.len() >= 30 && samples.iter().all(|(_, up)| *up == 1.0),
            "{samples:?}"
        );
    }
}
