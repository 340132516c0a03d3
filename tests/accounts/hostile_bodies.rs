//! Tests of bodies that are small to send and expensive to read.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse};

use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, unlimited};

const MIB: usize = 1024 * 1024;
/// The maximum size of a decompressed body.
const MAX_BODY: usize = 32 * MIB;
/// The maximum of what the bodies of all accounts add to the peak of resident memory: one body, and what the exporter
/// uses for lists of any length, which is less than a second body.
const MAX_GROWTH: usize = 2 * MAX_BODY;
/// The minimum of health requests that are answered while the bodies of all accounts are read.
const MIN_ANSWERED: usize = 40;
const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

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
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
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

/// Scrapes while health requests follow one after another, and adds the number of those that were answered before the
/// scrape.
async fn scrape_and_count(exporter: &TestExporter, answered: &mut usize) -> ScrapeResponse {
    let scrape = exporter.spawn_scrape("/metrics", 60);
    while !scrape.is_finished() {
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
        *answered += 1;
    }
    scrape.await.unwrap()
}

/// Returns whether all accounts have counted a failed request of the extension list.
fn have_extension_lists_failed(scraped: &ScrapeResponse) -> bool {
    let has_failed = |account: &&str| {
        let labels = format!("account=\"{account}\",operation=\"extensions\"");
        let reason = "reason=\"invalid_response\"";
        scraped.value(&format!(
            "ringcentral_api_request_failures_total{{{labels},{reason}}}"
        )) == 1.0
    };
    ACCOUNTS.iter().all(has_failed)
}

/// Asserts that health requests were answered while bodies were read, and that these did not add up in memory.
fn assert_bounded(name: &str, answered: usize, growth: usize) {
    println!("{name}: {answered} health requests, {} KiB", growth / 1024);
    assert!(answered >= MIN_ANSWERED, "{name}: {answered}");
    assert!(growth < MAX_GROWTH, "{name}: {} KiB", growth / 1024);
}

#[tokio::test]
async fn hostile_bodies_hold_neither_health_nor_memory() {
    let scenario = |_| Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    };
    let accounts = TestAccount::start_many(&ACCOUNTS, scenario).await;
    let empty_records = packed(&long_body(r#"{"records":[{}"#, ",{}"));
    for account in &accounts {
        let fault = Fault::once(Operation::Extensions, empty_records.clone());
        account.inject(fault);
    }
    let exporter = TestExporter::start(accounts).await;
    let before = peak_memory(&exporter);
    let mut answered = 0;
    while !have_extension_lists_failed(&scrape_and_count(&exporter, &mut answered).await) {}
    assert_bounded("extensions", answered, peak_memory(&exporter) - before);
    let bodies = [
        ("longest page", packed(&longest_page())),
        ("deep nesting", packed(&long_body(r#"{"a":"#, "["))),
        (
            "one long text",
            packed(&long_body(r#"{"records":[{"id":""#, r"\n")),
        ),
        ("other keys", packed(&long_body(r#"{"a":1"#, r#","a":1"#))),
        ("white space", packed(&vec![b' '; MAX_BODY + 1])),
        (
            "not packed",
            response(longest_page()).with("Content-Encoding", "identity"),
        ),
    ];
    for (name, body) in bodies {
        for account in &exporter.accounts {
            account.inject(Fault::once(Operation::ActiveCalls, body.clone()));
        }
        let mut answered = 0;
        scrape_and_count(&exporter, &mut answered).await;
        assert_bounded(name, answered, peak_memory(&exporter) - before);
    }
}
