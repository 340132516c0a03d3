//! Load test with 500 concurrent scrapers: every request succeeds, the number of API requests does
//! not rise, and memory stays flat.
//!
//! Needs `wrk` on the path, which `make tools` installs. Takes a minute.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;

use std::process::Stdio;
use std::time::Duration;

use common::{demo, get};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::sleep;

const MEMORY_TOLERANCE: f64 = 2.0 * 1024.0 * 1024.0;

/// Returns the resident memory of the exporter in bytes.
async fn resident_bytes(url: &str) -> f64 {
    let text = get(&format!("{url}/metrics")).await;
    let line = text
        .lines()
        .find(|line| line.starts_with("process_resident_memory_bytes "))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn start_wrk(url: &str) -> Child {
    Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--connections",
            "500",
            "--duration",
            "60s",
            "--timeout",
            "60s",
        ])
        .arg(format!("{url}/metrics"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("wrk is not installed: run `make tools`")
}

/// Returns the number of requests in a report of `wrk`.
fn request_count(report: &str) -> u64 {
    let (before, _) = report.split_once(" requests in ").unwrap();
    before.rsplit('\n').next().unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn scrapes_of_500_connections_succeed() {
    let (_demo, url, variables) = demo::start(&[]).await;
    let wrk = start_wrk(&url);
    sleep(Duration::from_secs(15)).await;
    let early = resident_bytes(&url).await;
    sleep(Duration::from_secs(40)).await;
    let late = resident_bytes(&url).await;
    let output = wrk.wait_with_output().await.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert!(
        !report.contains("Socket errors") && !report.contains("Non-2xx"),
        "{report}"
    );
    assert!(request_count(&report) > 2 * 500, "{report}");
    assert!(
        late < early + MEMORY_TOLERANCE,
        "memory grew from {early} to {late} bytes"
    );

    let journal = get(&format!("{}/simulator/journal", variables["RC_SERVER_URL"])).await;
    let journal: Vec<Value> = serde_json::from_str(&journal).unwrap();
    assert!(
        journal.iter().all(|entry| entry["status"] == 200),
        "{journal:?}"
    );
    let is_fetch = |entry: &&Value| entry["operation"] == "active_calls";
    let fetches: Vec<_> = journal.iter().filter(is_fetch).collect();
    assert!(fetches.len() >= 6, "{fetches:?} in a minute");
    for pair in fetches.windows(2) {
        let [first, second] = [pair[0], pair[1]].map(|entry| entry["arrived_ms"].as_i64());
        let gap = second.unwrap() - first.unwrap();
        assert!(gap > 6_000, "{gap} ms, expected one fetch every 7.5 s");
    }
    println!(
        "{report}{} fetches; resident memory {early} bytes after 15 s, {late} after 55 s",
        fetches.len()
    );
}
