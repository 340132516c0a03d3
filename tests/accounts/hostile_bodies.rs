//! Tests of bodies that are small to send and expensive to read.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse};

use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, assert_up, unlimited};

const MIB: usize = 1024 * 1024;
/// The maximum size of a decompressed body.
const MAX_BODY: usize = 32 * MIB;
/// The size of bodies that an unoptimised program parses slowly.
const SLOW_BODY: usize = 3 * MIB;
/// The memory limit of the shipped container.
const MAX_MEMORY: usize = 64 * MIB;
/// The size of the shipped program, rounded up.
const SHIPPED_PROGRAM: usize = 13 * MIB / 2;
/// The accounts that receive hostile bodies.
const HOSTILE: [&str; 3] = ["a", "b", "c"];
/// The account that receives 1,000 calls meanwhile.
const REGULAR: &str = "regular";

/// The time of the scrapes with hostile bodies, and of that the longest times without health.
#[derive(Default)]
struct Times {
    scrapes: Duration,
    without_health: Duration,
}

/// Returns `prefix`, then `piece` until the body has its maximum size.
fn longest_body(prefix: &str, piece: &str) -> Vec<u8> {
    long_body(prefix, piece, MAX_BODY)
}

/// Returns `prefix`, then `piece` up to this length.
fn long_body(prefix: &str, piece: &str, max_len: usize) -> Vec<u8> {
    let mut body = prefix.to_owned();
    while body.len() + piece.len() < max_len {
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

/// Returns the peak resident memory of the exporter in bytes, with the program as shipped in place of this one, which is
/// not optimised and much larger.
fn peak_memory(exporter: &TestExporter) -> usize {
    let status = format!("/proc/{}/status", exporter.process.pid());
    let status = std::fs::read_to_string(status).unwrap();
    let kib = |name: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap().trim().strip_suffix(" kB").unwrap();
        value.parse().unwrap()
    };
    (kib("VmHWM:") - kib("RssFile:")) * 1024 + SHIPPED_PROGRAM
}

/// Returns a page of 1,000 calls without gzip.
fn regular_page() -> SimResponse {
    let mut records = Vec::new();
    for id in 0..1000 {
        let from = r#"{"name":"Alice Example","phoneNumber":"+16505550100"}"#;
        let state = r#""direction":"Inbound","type":"Voice","result":"In Progress""#;
        records.push(format!(
            r#"{{"id":"call-{id}","sessionId":"{id}",{state},"from":{from}}}"#
        ));
    }
    response(format!(r#"{{"records":[{}]}}"#, records.join(",")))
}

/// Returns a response of 4 MiB of empty blocks: each not the last one, with fixed codes.
fn empty_blocks() -> SimResponse {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    body.extend([0x02, 0x08, 0x20, 0x80, 0x00].repeat(4 * MIB / 5 - 2));
    response(body).with("Content-Encoding", "gzip")
}

/// Scrapes while health requests follow one after another, and asserts that the regular account has all its calls.
async fn scrape_and_time(exporter: &TestExporter, times: &mut Times) -> ScrapeResponse {
    let regular = exporter.account(REGULAR);
    regular.inject(Fault::once(Operation::ActiveCalls, regular_page()));
    let scrape = exporter.spawn_scrape("/metrics", 60);
    let start = Moment::now().instant;
    let mut longest = Duration::ZERO;
    while !scrape.is_finished() {
        let asked = Moment::now().instant;
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
        longest = longest.max(asked.elapsed());
    }
    times.scrapes += start.elapsed();
    times.without_health += longest;
    let scraped = scrape.await.unwrap();
    assert_up(&scraped, &[REGULAR]);
    let sessions = format!("ringcentral_call_sessions_in_progress{{account=\"{REGULAR}\"}}");
    assert_eq!(scraped.value(&sessions), 1000.0);
    scraped
}

/// Returns whether all hostile accounts have counted a failed request of the extension list.
fn have_extension_lists_failed(scraped: &ScrapeResponse) -> bool {
    let has_failed = |account: &&str| {
        let labels = format!("account=\"{account}\",operation=\"extensions\"");
        let reason = "reason=\"invalid_response\"";
        scraped.value(&format!(
            "ringcentral_api_request_failures_total{{{labels},{reason}}}"
        )) == 1.0
    };
    HOSTILE.iter().all(has_failed)
}

#[tokio::test]
async fn hostile_bodies_hold_neither_health_nor_memory() {
    let scenario = |_| Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    };
    let names = [&HOSTILE[..], &[REGULAR]].concat();
    let accounts = TestAccount::start_many(&names, scenario).await;
    let empty_records = packed(&longest_body(r#"{"records":[{}"#, ",{}"));
    for account in &accounts[..HOSTILE.len()] {
        let fault = Fault::once(Operation::Extensions, empty_records.clone());
        account.inject(fault);
    }
    let exporter = TestExporter::start(accounts).await;
    let mut times = Times::default();
    while !have_extension_lists_failed(&scrape_and_time(&exporter, &mut times).await) {}
    let bodies = [
        ("longest page", packed(&longest_page())),
        ("longest page without gzip", response(longest_page())),
        ("deep nesting", packed(&longest_body(r#"{"a":"#, "["))),
        (
            "one long text",
            packed(&long_body(r#"{"records":[{"id":""#, r"\n", SLOW_BODY)),
        ),
        (
            "other keys",
            packed(&long_body(r#"{"a":1"#, r#","a":1"#, SLOW_BODY)),
        ),
        ("white space", packed(&vec![b' '; MAX_BODY + 1])),
        ("empty blocks", empty_blocks()),
    ];
    for (name, body) in bodies {
        for account in &exporter.accounts[..HOSTILE.len()] {
            account.inject(Fault::once(Operation::ActiveCalls, body.clone()));
        }
        scrape_and_time(&exporter, &mut times).await;
        let memory = peak_memory(&exporter);
        println!("{name}: {} KiB, {:?}", memory / 1024, times.scrapes);
        assert!(memory < MAX_MEMORY, "{name}: {} KiB", memory / 1024);
    }
    let Times {
        scrapes,
        without_health,
    } = times;
    println!("{without_health:?} of {scrapes:?} without health");
    // Three bodies in place would be at least a third, half of that if only parsed or only decompressed in place.
    assert!(
        without_health * 8 < scrapes,
        "{without_health:?} of {scrapes:?}"
    );
}
