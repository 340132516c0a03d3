//! The exporter under far more scrapes than anyone makes: every request is answered, RingCentral notices nothing, and
//! memory stays where it is.
//!
//! Needs `wrk` on the path; `make tools` sees to it. Takes a minute.

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
use tokio::process::Command;
use tokio::time::sleep;

/// Resident memory of the exporter, in bytes.
async fn resident(url: &str) -> f64 {
    let text = get(&format!("{url}/metrics")).await;
    let line = text
        .lines()
        .find(|line| line.starts_with("process_resident_memory_bytes "))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn five_hundred_connections_for_a_minute_are_all_answered_and_cost_what_one_does() {
    let (_demo, url, variables) = demo::start(&[]).await;
    let wrk = Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--connections",
            "500",
            "--duration",
            "60s",
            "--timeout",
            "10s",
        ])
        .arg(format!("{url}/metrics"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("wrk is installed: `make tools` does it");
    sleep(Duration::from_secs(15)).await;
    let early = resident(&url).await;
    sleep(Duration::from_secs(40)).await;
    let late = resident(&url).await;
    let output = wrk.wait_with_output().await.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert!(
        !report.contains("Socket errors") && !report.contains("Non-2xx"),
        "{report}"
    );
    let (requests, _) = report.split_once(" requests in ").unwrap();
    let requests: u64 = requests
        .rsplit('\n')
        .next()
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(requests > 60 * 50, "{report}");
    assert!(
        late < early + 2.0 * 1024.0 * 1024.0,
        "from {early} to {late} bytes"
    );

    let journal = get(&format!("{}/simulator/journal", variables["RC_SERVER_URL"])).await;
    let journal: Vec<Value> = serde_json::from_str(&journal).unwrap();
    assert!(
        journal.iter().all(|entry| entry["status"] == 200),
        "{journal:?}"
    );
    let fetches = journal
        .iter()
        .filter(|entry| entry["operation"] == "active_calls")
        .count();
    assert!(
        (8..=10).contains(&fetches),
        "{fetches} fetches in a minute: one every 7.5 s"
    );
    println!(
        "{report}{fetches} fetches; resident memory {early} bytes after 15 s, {late} after 55 s"
    );
}
