//! Resident memory with 10,000 extensions and all flags that add series for each of them, and with clients that request
//! the text and read nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::LEAST_INTERVAL;
use crate::exporter::{Exporter, get_encoded, http};
use crate::simulated::INSTANT_MS;

const EXTENSIONS: usize = 10_000;
const CALLS_PER_MINUTE: f64 = 850.0;
/// Lists with as many minutes between them that each shows other calls than the one before.
const LISTS: u32 = 12;
const STEP_MS: i64 = 150_000;
const READERS: usize = 100;
/// Time in which the exporter answers all readers, and closes the connections of those that left.
const SETTLE: Duration = Duration::from_secs(3);
const FLAGS: [&str; 2] = ["--metrics.extension-info", "--metrics.extension-calls"];

pub async fn table() {
    println!(
        "\n| {EXTENSIONS} extensions | series by extension | text | gzip | maximum | resident | with {READERS} clients that read nothing | the same with gzip | after they left |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    row("no flag", &[]).await;
    row(FLAGS[0], &FLAGS[..1]).await;
    row(FLAGS[1], &FLAGS[1..]).await;
    row("both flags", &FLAGS).await;
}

async fn row(name: &str, flags: &[&str]) {
    let clock = Arc::new(AtomicI64::new(INSTANT_MS));
    let simulator = simulator(clock.clone()).await;
    let exporter = Exporter::with_flags(&simulator, flags);
    let (mut text, mut gzip) = (Vec::new(), Vec::new());
    for _ in 0..LISTS {
        text = scrape(&exporter, "identity").await;
        gzip = scrape(&exporter, "gzip").await;
        clock.fetch_add(STEP_MS, Ordering::Relaxed);
    }
    let text = String::from_utf8(text).unwrap();
    let series = text
        .lines()
        .filter(|line| line.contains("extension=\""))
        .count();
    let resident = exporter.memory_mib("VmRSS");
    let plain = with_readers(&exporter, "identity").await;
    let compressed = with_readers(&exporter, "gzip").await;
    println!(
        "| {name} | {series} | {:.1} MB | {:.2} MB | {:.1} MiB | {resident:.1} MiB | {plain:.1} MiB | {compressed:.1} MiB | {:.1} MiB |",
        text.len() as f64 / 1e6,
        gzip.len() as f64 / 1e6,
        exporter.memory_mib("VmHWM"),
        exporter.memory_mib("VmRSS"),
    );
}

async fn scrape(exporter: &Exporter, encoding: &str) -> Vec<u8> {
    sleep(LEAST_INTERVAL).await;
    get_encoded(http(), format!("{}/metrics", exporter.url), encoding).await
}

/// Returns the resident memory with clients that request a scrape and read nothing.
async fn with_readers(exporter: &Exporter, encoding: &str) -> f64 {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n");
    let address = exporter.url.trim_start_matches("http://");
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = TcpStream::connect(address).await.unwrap();
        reader.write_all(request.as_bytes()).await.unwrap();
        readers.push(reader);
    }
    sleep(SETTLE).await;
    let resident = exporter.memory_mib("VmRSS");
    drop(readers);
    sleep(SETTLE).await;
    resident
}

async fn simulator(clock: Arc<AtomicI64>) -> Simulator {
    let heavy = Limit {
        requests: 1_000_000,
        ..Limits::default().heavy
    };
    let scenario = Scenario {
        extensions: EXTENSIONS,
        calls_per_minute: CALLS_PER_MINUTE,
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        clock: Some(Arc::new(move || clock.load(Ordering::Relaxed))),
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 1).unwrap()
}
