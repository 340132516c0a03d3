//! Tests of bodies that are small to send and expensive to read.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse};
use tokio::time::Instant;

use crate::harness::{TestAccount, TestExporter, unlimited};

const MIB: usize = 1024 * 1024;
/// The maximum size of a decompressed body.
const MAX_BODY: usize = 32 * MIB;
/// The maximum of what the bodies of all accounts add to the peak of resident memory: one that is read, one that is
/// parsed, and the calls of each account.
const MAX_GROWTH: usize = 2 * MAX_BODY + 16 * MIB;
const ACCOUNTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Returns `prefix`, then `piece` until the body has its maximum size.
fn long_body(prefix: &str, piece: &str) -> Vec<u8> {
    let mut body = prefix.to_owned();
    while body.len() + piece.len() < MAX_BODY {
        body.push_str(piece);
    }
    body.into_bytes()
}

/// Returns the longest valid page.
fn longest_page() -> Vec<u8> {
    let name = "n".repeat(MAX_BODY / 10_000 - 64);
    let record = format!(r#"{{"id":"a","from":{{"name":"{name}"}}}}"#);
    format!(r#"{{"records":[{}]}}"#, vec![record; 10_000].join(",")).into_bytes()
}

/// Returns a response with this body that announces a limit under which each scrape may fetch.
fn response(body: impl Into<Bytes>) -> SimResponse {
    SimResponse {
        status: 200,
        headers: Vec::new(),
        body: body.into(),
    }
    .with_rate_limit("heavy", 1_000_000, 999_999, 60)
}

fn packed(body: &[u8]) -> SimResponse {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    response(encoder.finish().unwrap()).with("Content-Encoding", "gzip")
}

/// Returns the peak resident memory of the exporter in bytes.
fn peak_memory(exporter: &TestExporter) -> usize {
    let status = format!("/proc/{}/status", exporter.process.pid());
    let status = std::fs::read_to_string(status).unwrap();
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// Scrapes while health requests follow one after another. Returns how long the scrape took, and the longest health
/// request.
async fn scrape_with_health_requests(exporter: &TestExporter) -> (Duration, Duration) {
    let scrape = exporter.spawn_scrape("/metrics", 60);
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    while !scrape.is_finished() {
        let requested = Instant::now();
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
        longest = longest.max(requested.elapsed());
    }
    assert_eq!(scrape.await.unwrap().status, 200);
    (started.elapsed(), longest)
}

#[tokio::test]
async fn hostile_bodies_hold_neither_health_nor_memory() {
    let scenario = |_| Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    };
    let accounts = TestAccount::start_many(&ACCOUNTS, scenario).await;
    let exporter = TestExporter::start(accounts).await;
    exporter.scrape().await;
    let before = peak_memory(&exporter);
    let bodies = [
        ("longest page", packed(&longest_page())),
        (
            "empty records",
            packed(&long_body(r#"{"records":[{}"#, ",{}")),
        ),
        (
            "empty extensions",
            packed(&long_body(r#"{"records":[{}"#, ",{}")),
        ),
        ("numbers", packed(&long_body(r#"{"records":[1"#, ",1"))),
        (
            "one long number",
            packed(&long_body(r#"{"records":[1"#, "1")),
        ),
        ("deep nesting", packed(&long_body(r#"{"a":"#, "["))),
        (
            "one long text",
            packed(&long_body(r#"{"records":[{"id":""#, r"\n")),
        ),
        (
            "one long key",
            packed(&long_body(r#"{"records":[{""#, r"\n")),
        ),
        ("other keys", packed(&long_body(r#"{"a":1"#, r#","a":1"#))),
        ("white space", packed(&vec![b' '; MAX_BODY + 1])),
        ("not packed", response(longest_page())),
    ];
    for (name, body) in bodies {
        for account in &exporter.accounts {
            let operation = match name {
                "empty extensions" => Operation::Extensions,
                _ => Operation::ActiveCalls,
            };
            account.inject(Fault::once(operation, body.clone()));
        }
        let (scrape, health) = scrape_with_health_requests(&exporter).await;
        let growth = peak_memory(&exporter) - before;
        eprintln!("{name}: {scrape:?} {health:?} {} KiB", growth / 1024);
        assert!(growth < MAX_GROWTH, "{name}: {} KiB", growth / 1024);
        assert!(health < scrape / 2, "{name}: {health:?} of {scrape:?}");
    }
}
