//! A real Prometheus scrapes the exporter, and keeps what the exporter should have shown.
//!
//! Needs `prometheus` and `promtool` on the path; `make test` sees to them. Takes about three minutes of the clock,
//! since the API's limit is counted in minutes.

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
mod counted;
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

/// The requests that a simulated account has seen.
async fn journal(simulator: &str) -> Vec<Value> {
    serde_json::from_str(&common::get(&format!("{simulator}/simulator/journal")).await).unwrap()
}

/// The list that the account answered to the fetch of this snapshot.
async fn listed_for(simulator: &str, journal: &[Value], taken: f64) -> Vec<Value> {
    let arrived = |entry: &Value| entry["arrived_ms"].as_f64().unwrap() / 1000.0;
    let fetches = journal
        .iter()
        .filter(|entry| entry["operation"] == "active_calls");
    let fetch = fetches
        .into_iter()
        .find(|entry| (-0.002..1.0).contains(&(arrived(entry) - taken)))
        .unwrap();
    oracle::fetch_listed(simulator, fetch["listed_at_ms"].as_i64().unwrap()).await
}

#[tokio::test]
async fn a_minute_of_the_demo_is_kept_exactly_as_it_was_listed() {
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
    assert!((11..=14).contains(&scrapes.len()), "{scrapes:?}");
    let mut ever = BTreeSet::new();
    for (at, taken) in &scrapes {
        let truth = oracle::samples_for(
            "default",
            &listed_for(simulator, &journal, *taken).await,
            &numbers,
        );
        let mut kept = BTreeMap::new();
        for family in CALL_FAMILIES {
            kept.extend(prometheus.values_at(family, *at).await);
        }
        assert_eq!(kept, truth, "scraped at {at}, fetched at {taken}");
        ever.extend(kept.into_keys());
    }
    let (last, _) = scrapes.last().unwrap();
    let mut left = BTreeSet::new();
    for family in CALL_FAMILIES {
        left.extend(prometheus.values_at(family, *last).await.into_keys());
    }
    assert!(
        left.len() < ever.len(),
        "calls went, and so did their series"
    );
    let snapshots: BTreeSet<_> = scrapes
        .iter()
        .map(|(_, taken)| (taken * 1000.0) as i64)
        .collect();
    assert!(
        (6..=8).contains(&snapshots.len()),
        "every second scrape at 5 s may fetch: {snapshots:?}"
    );
    promtool_is_silent(&common::get(&format!("{url}/metrics")).await);
}

/// `promtool check metrics` prints what it dislikes and ends with an error.
fn promtool_is_silent(exposition: &str) {
    let mut command = Command::new("promtool");
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool = command
        .spawn()
        .expect("promtool is installed: `make tools` does it");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(exposition.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn a_pair_of_servers_at_five_seconds_causes_no_429_in_three_minutes() {
    let (_demo, url, variables) = demo::start(&["--demo.seed", "2"]).await;
    let pair = [
        PrometheusServer::start(&[&url], Duration::from_secs(5)).await,
        PrometheusServer::start(&[&url], Duration::from_secs(5)).await,
    ];
    sleep(Duration::from_secs(180)).await;
    let journal = journal(&variables["RC_SERVER_URL"]).await;
    assert!(
        journal.iter().all(|entry| entry["status"] == 200),
        "{journal:?}"
    );
    let fetches: Vec<_> = journal
        .iter()
        .filter(|entry| entry["operation"] == "active_calls")
        .collect();
    assert!(
        (17..=25).contains(&fetches.len()),
        "{} fetches: at most one every 7.5 s, at least one every 10",
        fetches.len()
    );
    for server in &pair {
        let ups = server.samples_with_times("ringcentral_up").await;
        assert!(
            ups.len() >= 34 && ups.iter().all(|(_, up)| *up == 1.0),
            "{ups:?}"
        );
    }
}
