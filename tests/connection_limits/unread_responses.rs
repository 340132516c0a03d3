//! Tests of clients that request a large exposition and do not read it: they must not take its memory.

use std::time::Duration;

use ringcentral_exporter::simulator::Scenario;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::common::MAX_WAIT;
use crate::harness::{FLOOD_ADDRESS, OTHER_ADDRESS, Stream, TestExporter};

const READERS: usize = 100;
/// Maximum growth for each client: the buffers of its connection and a piece of the text. The text has about 2 MiB, and
/// compressed 170 KiB.
const MAX_KIB_PER_READER: u64 = 64;
/// The rest of TLS for each client: its session and its own buffers.
const MAX_KIB_PER_TLS_READER: u64 = 128;
/// Shows that the extension list is loaded. The exact size of the text depends on the calls that ended so far.
const MIN_TEXT_BYTES: usize = 1_500_000;
/// Growth that is not for clients: a further state of the account, and what the allocator keeps.
const OTHER_GROWTH_KIB: u64 = 4 * 1024;
const FLAGS: [&str; 2] = ["--metrics.extension-info", "--metrics.extension-calls"];

/// Starts an exporter whose exposition has about 2 MiB, and scrapes it.
async fn start_large(tls: bool) -> TestExporter {
    let account = Scenario {
        extensions: 10_000,
        calls_per_minute: 100.0,
        ..Scenario::normal()
    };
    let exporter = TestExporter::start_account(account, &FLAGS, tls).await;
    for _ in 0..2 {
        let response = exporter.scrape(OTHER_ADDRESS).await;
        assert!(
            response.body.len() > MIN_TEXT_BYTES,
            "{}",
            response.body.len()
        );
    }
    exporter
}

/// Opens connections that request a scrape, and waits until the exporter responds to each.
async fn request_all(exporter: &TestExporter, encoding: &str) -> Vec<Box<dyn Stream>> {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n");
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = exporter.connect(FLOOD_ADDRESS).await.unwrap();
        reader.write_all(request.as_bytes()).await.unwrap();
        readers.push(reader);
    }
    for reader in &mut readers {
        let first = timeout(MAX_WAIT, reader.read_u8()).await;
        first.expect("no response").unwrap();
    }
    readers
}

/// Asserts that clients that read one byte take little memory, and that the same memory serves the next ones.
async fn assert_little_growth(exporter: &TestExporter, encoding: &str, max_kib: u64) {
    let before = exporter.resident_kib();
    let limit = before + max_kib * READERS as u64 + OTHER_GROWTH_KIB;
    for round in 1..=3 {
        let readers = request_all(exporter, encoding).await;
        let resident = exporter.resident_kib();
        println!("{encoding}, round {round}: {before} KiB before, {resident} KiB with readers");
        assert!(resident < limit, "{resident} KiB, at most {limit} KiB");
        drop(readers);
    }
}

#[tokio::test]
async fn unread_plain_responses_take_little_memory() {
    let exporter = start_large(false).await;
    assert_little_growth(&exporter, "identity", MAX_KIB_PER_READER).await;
}

#[tokio::test]
async fn unread_gzip_responses_take_little_memory() {
    let exporter = start_large(false).await;
    assert_little_growth(&exporter, "gzip", MAX_KIB_PER_READER).await;
}

#[tokio::test]
async fn unread_tls_responses_take_little_memory() {
    let exporter = start_large(true).await;
    for encoding in ["identity", "gzip"] {
        assert_little_growth(&exporter, encoding, MAX_KIB_PER_TLS_READER).await;
    }
}

/// The client reads, but so slowly that the response would keep the state that it is of for hours.
#[tokio::test]
async fn response_that_takes_over_a_minute_is_closed() {
    let exporter = start_large(false).await;
    let mut reader = request_all(&exporter, "identity").await.pop().unwrap();
    let started = Instant::now();
    let mut buffer = vec![0; 16 * 1024];
    let end = async {
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(MAX_WAIT * 2, end).await.expect("still open");
    assert!(started.elapsed() > Duration::from_secs(55));
}
