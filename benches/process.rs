//! What the whole process costs: `cargo bench --bench process`.
//!
//! A scrape over loopback, which logs nothing in and fetches from the simulated account each time, is set against a
//! plain GET of the same pages by the same client on one kept connection without gzip. Both are taken by turns in one
//! run, since machines are noisy: read the ratio. The account announces a limit of 1,000,000, and the counter of the
//! exporter proves that every scrape fetched. Prints a table in Markdown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail"
)]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const BINARY: &str = env!("CARGO_BIN_EXE_ringcentral-exporter");
/// The simulated instant: a busy Tuesday morning, at which the account's clock stands.
const INSTANT_MS: i64 = 1_795_514_400_000;

/// After this much the exporter may fetch again, and a pause is counted with neither side.
const LEAST_INTERVAL: Duration = Duration::from_millis(2);

/// An account with about as many records as asked for.
#[derive(Clone, Copy)]
struct Size {
    wanted: usize,
    calls_per_minute: f64,
    extensions: usize,
    scrapes: usize,
}

const SIZES: [Size; 4] = [
    Size { wanted: 10, calls_per_minute: 2.0, extensions: 50, scrapes: 1000 },
    Size { wanted: 100, calls_per_minute: 17.0, extensions: 200, scrapes: 1000 },
    Size { wanted: 1000, calls_per_minute: 167.0, extensions: 500, scrapes: 1000 },
    Size { wanted: 10_000, calls_per_minute: 1670.0, extensions: 5000, scrapes: 100 },
];

/// The exporter, and what it is pointed at.
struct Pair {
    simulator: Simulator,
    exporter: Child,
    url: String,
    http: Client,
    bearer: String,
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.exporter.kill();
        let _ = self.exporter.wait();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("Binary: {:.1} MiB. Start to ready: {:.0} ms (median of 20).\n", binary_mib(), ready_ms().await);
    println!("| records | pages | plain GET | scrape | ratio | difference | CPU a scrape | resident after |");
    println!("|---|---|---|---|---|---|---|---|");
    for size in &SIZES {
        row(size).await;
    }
    directory().await;
    println!("\n| scrapers at once, 1,000 records | a round | fetches a round |\n|---|---|---|");
    let pair = Pair::start(&SIZES[2]).await;
    for scrapers in [1, 10, 200] {
        crowd(&pair, scrapers).await;
    }
}

fn binary_mib() -> f64 {
    std::fs::metadata(BINARY).unwrap().len() as f64 / 1024.0 / 1024.0
}

/// From the start of the process until `/-/ready` answers.
async fn ready_ms() -> f64 {
    let simulator = simulator(&SIZES[0]).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let (mut exporter, url) = exporter(&simulator);
        let http = http_client(&url.parse().unwrap(), None).unwrap();
        get(http, format!("{url}/-/ready")).await;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        exporter.kill().unwrap();
        exporter.wait().unwrap();
    }
    median(&mut times)
}

async fn row(size: &Size) {
    let pair = Pair::start(size).await;
    for _ in 0..20 {
        pair.walk().await;
        pair.scrape().await;
    }
    let (fetches, cpu) = (pair.fetches().await, pair.cpu_seconds().await);
    let (mut plain, mut scrapes) = (Vec::new(), Vec::new());
    let mut pages = 0;
    for _ in 0..size.scrapes {
        let started = Instant::now();
        pages = pair.walk().await;
        plain.push(started.elapsed().as_secs_f64() * 1000.0);
        sleep(LEAST_INTERVAL).await;
        let started = Instant::now();
        pair.scrape().await;
        scrapes.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let fetched = pair.fetches().await - fetches;
    // The scrapes that read the counters fetch too.
    assert_eq!(fetched, (size.scrapes + 2) as f64 * f64::from(pages), "every scrape fetched");
    let cpu_ms = (pair.cpu_seconds().await - cpu) * 1000.0 / (size.scrapes + 2) as f64;
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

/// The same account of ten thousand extensions, with the permission to list them and without.
async fn directory() {
    let mut resident = Vec::new();
    for read_accounts in [false, true] {
        let size = Size { extensions: 10_000, ..SIZES[2] };
        let pair = Pair::of(simulator_of(&size, read_accounts).await).await;
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

/// Many scrapers at once: they share a fetch as long as it runs.
async fn crowd(pair: &Pair, scrapers: usize) {
    let fetches = pair.fetches().await;
    let mut rounds = Vec::new();
    for _ in 0..30 {
        sleep(LEAST_INTERVAL).await;
        let started = Instant::now();
        let scrapes: Vec<_> =
            (0..scrapers).map(|_| tokio::spawn(get(pair.http.clone(), format!("{}/metrics", pair.url)))).collect();
        for scrape in scrapes {
            scrape.await.unwrap();
        }
        rounds.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let fetched = (pair.fetches().await - fetches - 1.0) / 30.0;
    println!("| {scrapers} | {:.1} ms | {fetched:.1} |", median(&mut rounds));
}

async fn simulator(size: &Size) -> Simulator {
    simulator_of(size, true).await
}

async fn simulator_of(size: &Size, read_accounts: bool) -> Simulator {
    let heavy = Limit { requests: 1_000_000, ..Limits::default().heavy };
    let scenario = Scenario {
        extensions: size.extensions,
        calls_per_minute: size.calls_per_minute,
        limits: Limits { heavy, ..Limits::default() },
        read_accounts,
        clock: Some(Arc::new(|| INSTANT_MS)),
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 1).unwrap()
}

/// Starts the exporter and waits until it listens.
fn exporter(simulator: &Simulator) -> (Child, String) {
    let mut exporter = Command::new(BINARY)
        .args(["--web.listen-address=127.0.0.1:0", "--scrape.min-interval=1ms"])
        .env_clear()
        .env("RC_SERVER_URL", simulator.url())
        .env("RC_CLIENT_ID", simulator.client_id())
        .env("RC_CLIENT_SECRET", simulator.client_secret())
        .env("RC_JWT", simulator.jwt())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(exporter.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    (exporter, format!("http://{address}"))
}

async fn get(http: Client, url: String) -> String {
    http.get(url).header("Accept-Encoding", "identity").send().await.unwrap().text().await.unwrap()
}

impl Pair {
    async fn start(size: &Size) -> Self {
        Self::of(simulator(size).await).await
    }

    async fn of(simulator: Simulator) -> Self {
        let (exporter, url) = exporter(&simulator);
        let http = http_client(&url.parse().unwrap(), None).unwrap();
        let login = http.post(format!("{}/restapi/oauth/token", simulator.url()));
        let login = login.basic_auth(simulator.client_id(), Some(simulator.client_secret()));
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &simulator.jwt())];
        let reply = login.form(&form).send().await.unwrap().text().await.unwrap();
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        let bearer = reply["access_token"].as_str().unwrap().to_owned();
        Self { simulator, exporter, url, http, bearer }
    }

    /// The plain GETs that a scrape is measured against; gives their number.
    async fn walk(&self) -> u32 {
        let mut next = Some(format!("{}/restapi/v1.0/account/~/active-calls?perPage=1000", self.simulator.url()));
        let mut pages = 0;
        while let Some(url) = next {
            let request = self.http.get(url).bearer_auth(&self.bearer).header("Accept-Encoding", "identity");
            let body = request.send().await.unwrap().bytes().await.unwrap();
            pages += 1;
            next = next_page(&body);
        }
        pages
    }

    /// A scrape, which fetches if it comes the least interval after the last.
    async fn scrape(&self) -> String {
        let text = get(self.http.clone(), format!("{}/metrics", self.url)).await;
        assert!(text.contains("\nringcentral_up{account=\"default\"} 1\n"), "{text}");
        text
    }

    async fn value(&self, series: &str) -> f64 {
        sleep(LEAST_INTERVAL).await;
        let text = self.scrape().await;
        let line = text.lines().find(|line| line.starts_with(series)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn fetches(&self) -> f64 {
        self.value("ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}").await
    }

    async fn cpu_seconds(&self) -> f64 {
        self.value("process_cpu_seconds_total").await
    }

    async fn resident_mib(&self) -> f64 {
        self.value("process_resident_memory_bytes").await / 1024.0 / 1024.0
    }
}

/// The address of the next page, found without reading the whole body as JSON: a plain GET reads nothing.
fn next_page(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).unwrap();
    let (_, rest) = text.split_once("\"nextPage\":{\"uri\":\"")?;
    rest.split('"').next().map(str::to_owned)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
