//! The cost of the whole process: `cargo bench --bench process`.
//!
//! A scrape over loopback that fetches from the simulated account is compared with a plain GET of the same pages, by the same
//! client on one kept connection without gzip. Both run by turns, since machines are noisy: read the ratio. The account
//! reports a limit of 1,000,000, and the exporter's request counter proves that every scrape fetched. Prints tables in
//! Markdown. `-- accounts` prints only that table; the others are `records`, `extensions`, `flags`, `scrapers`,
//! `presence` and `state`.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail"
)]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod accounts;
mod exporter;
mod extension_flags;
mod pair;
mod presence;
mod simulated;
mod state_directory;

use std::time::Duration;

use exporter::{Exporter, get, http};
use pair::Pair;
use simulated::{INSTANT_MS, Size, binary, simulator, simulator_of};
use tokio::time::{Instant, sleep};

/// Pause after which the exporter may fetch again; it counts for neither side.
const LEAST_INTERVAL: Duration = Duration::from_millis(2);

const SIZES: [Size; 4] = [
    Size {
        wanted: 10,
        calls_per_minute: 2.0,
        extensions: 50,
        scrapes: 1000,
    },
    Size {
        wanted: 100,
        calls_per_minute: 17.0,
        extensions: 200,
        scrapes: 1000,
    },
    Size {
        wanted: 1000,
        calls_per_minute: 167.0,
        extensions: 500,
        scrapes: 1000,
    },
    Size {
        wanted: 10_000,
        calls_per_minute: 1670.0,
        extensions: 5000,
        scrapes: 100,
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let named: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wants = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wants("records") {
        records().await;
    }
    if wants("extensions") {
        extensions().await;
    }
    if wants("flags") {
        extension_flags::table().await;
    }
    if wants("scrapers") {
        scrapers().await;
    }
    if wants("accounts") {
        accounts::table(&SIZES[2]).await;
    }
    if wants("presence") {
        presence::table().await;
    }
    if wants("state") {
        state_directory::table(&SIZES[2]).await;
    }
}

async fn records() {
    println!(
        "Binary: {:.1} MiB. Start to ready: {:.0} ms (median of 20).\n",
        binary_mib(),
        ready_ms().await
    );
    println!(
        "| records | pages | plain GET | scrape | ratio | difference | CPU a scrape | resident after |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for size in &SIZES {
        row(size).await;
    }
}

async fn scrapers() {
    println!(
        "\n| concurrent scrapers, 1,000 records | per round | fetches per round |\n|---|---|---|"
    );
    let pair = Pair::start(&SIZES[2]).await;
    for scrapers in [1, 10, 200] {
        crowd(&pair, scrapers).await;
    }
}

fn binary_mib() -> f64 {
    std::fs::metadata(binary()).unwrap().len() as f64 / 1024.0 / 1024.0
}

/// Measures the time from process start until `/-/ready` answers.
async fn ready_ms() -> f64 {
    let simulator = simulator(&SIZES[0]).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let exporter = Exporter::of(&simulator);
        get(http(), format!("{}/-/ready", exporter.url)).await;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    median(&mut times)
}

async fn row(size: &Size) {
    let pair = Pair::start(size).await;
    for _ in 0..20 {
        pair.fetch_all().await;
        pair.scrape().await;
    }
    let (fetches, cpu) = (pair.fetches().await, pair.cpu_seconds().await);
    let (mut plain, mut scrapes) = (Vec::new(), Vec::new());
    let mut pages = 0;
    for _ in 0..size.scrapes {
        let started = Instant::now();
        pages = pair.fetch_all().await;
        plain.push(started.elapsed().as_secs_f64() * 1000.0);
        sleep(LEAST_INTERVAL).await;
        let started = Instant::now();
        pair.scrape().await;
        scrapes.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let fetched = pair.fetches().await - fetches;
    // The scrape that reads the counter also fetches.
    assert_eq!(
        fetched,
        (size.scrapes + 1) as f64 * f64::from(pages),
        "every scrape fetched"
    );
    let cpu_ms = (pair.cpu_seconds().await - cpu) * 1000.0 / (size.scrapes + 1) as f64;
    let listed = pair.simulator.listed_at(INSTANT_MS).len();
    let (plain, scrape) = (median(&mut plain), median(&mut scrapes));
    println!(
        "| {listed} (about {}) | {pages} | {plain:.2} ms | {scrape:.2} ms | {:.2} | {:.2} ms | {cpu_ms:.2} ms | {:.1} MiB |",
        size.wanted,
        scrape / plain,
        scrape - plain,
        pair.resident_mib().await
    );
}

/// Compares an account of 10,000 extensions with and without permission to list them.
async fn extensions() {
    let mut resident = Vec::new();
    for read_accounts in [false, true] {
        let size = Size {
            extensions: 10_000,
            ..SIZES[2]
        };
        let pair = Pair::of(simulator_of(&size, read_accounts, 1).await).await;
        for _ in 0..50 {
            pair.scrape().await;
            sleep(LEAST_INTERVAL).await;
        }
        resident.push(pair.resident_mib().await);
    }
    println!(
        "\nA directory of 10,000 extensions: {:.1} MiB resident with it, {:.1} MiB without.",
        resident[1], resident[0]
    );
}

/// Measures concurrent scrapers, which share a fetch while it runs.
async fn crowd(pair: &Pair, scrapers: usize) {
    let fetches = pair.fetches().await;
    let mut rounds = Vec::new();
    for _ in 0..30 {
        sleep(LEAST_INTERVAL).await;
        let started = Instant::now();
        let scrapes: Vec<_> = (0..scrapers)
            .map(|_| {
                tokio::spawn(get(
                    pair.http.clone(),
                    format!("{}/metrics", pair.exporter.url),
                ))
            })
            .collect();
        for scrape in scrapes {
            scrape.await.unwrap();
        }
        rounds.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let fetched = (pair.fetches().await - fetches - 1.0) / 30.0;
    println!(
        "| {scrapers} | {:.1} ms | {fetched:.1} |",
        median(&mut rounds)
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
