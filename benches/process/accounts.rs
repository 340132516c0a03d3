//! Fifty accounts of 1,000 records in one exporter, compared by turns with one such account in another exporter.
//!
//! Each scrape fetches every account, which the request counters prove. The table compares CPU time per record.

use std::fmt::Write;
use std::path::Path;

use reqwest::Client;
use ringcentral_exporter::simulator::Simulator;
use tokio::time::{Instant, sleep};

use crate::exporter::{Exporter, http};
use crate::simulated::{INSTANT_MS, Size, simulator_of};
use crate::{LEAST_INTERVAL, median};

const ACCOUNTS: u64 = 50;
const ROUNDS: u32 = 60;

/// An exporter and its simulated accounts.
struct Fleet {
    exporter: Exporter,
    http: Client,
    records: usize,
    rounds: Vec<f64>,
    cpu: f64,
}

pub async fn table(size: &Size) {
    let mut simulators = Vec::new();
    for seed in 1..=ACCOUNTS {
        simulators.push(simulator_of(size, true, seed).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut fleets = [
        Fleet::start(&simulators[..1], folder.path()).await,
        Fleet::start(&simulators, folder.path()).await,
    ];
    for _ in 0..ROUNDS {
        for fleet in &mut fleets {
            fleet.round().await;
        }
    }
    println!(
        "\n| accounts | records | a scrape | CPU a scrape | CPU by 1,000 records | resident after {ROUNDS} scrapes | maximum |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (fleet, accounts) in fleets.iter_mut().zip([1, ACCOUNTS]) {
        fleet.row(accounts).await;
    }
}

impl Fleet {
    async fn start(simulators: &[Simulator], folder: &Path) -> Self {
        let exporter = Exporter::of_file(&accounts_file(simulators, folder));
        let records = simulators
            .iter()
            .map(|simulator| simulator.listed_at(INSTANT_MS).len())
            .sum();
        let mut fleet = Self {
            exporter,
            http: http(),
            records,
            rounds: Vec::new(),
            cpu: 0.0,
        };
        // The first scrape also logs in and reads the lists of extensions.
        fleet.round().await;
        fleet.cpu = fleet.exporter.cpu_seconds(&fleet.http).await;
        fleet.rounds.clear();
        fleet
    }

    async fn round(&mut self) {
        sleep(LEAST_INTERVAL).await;
        let before = self.rounds.len();
        let started = Instant::now();
        let text = self.exporter.scrape(&self.http).await;
        self.rounds.push(started.elapsed().as_secs_f64() * 1000.0);
        let fetched = |line: &&str| {
            let fetches = "ringcentral_api_requests_total{account=";
            line.starts_with(fetches) && line.contains("\"active_calls\"}")
        };
        let mut fetches = text
            .lines()
            .filter(fetched)
            .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>());
        assert!(
            fetches.all(|fetches| fetches.unwrap() > before),
            "every scrape fetches every account"
        );
    }

    async fn row(&mut self, accounts: u64) {
        let cpu =
            (self.exporter.cpu_seconds(&self.http).await - self.cpu) * 1000.0 / f64::from(ROUNDS);
        println!(
            "| {accounts} | {} | {:.1} ms | {cpu:.2} ms | {:.2} ms | {:.1} MiB | {:.1} MiB |",
            self.records,
            median(&mut self.rounds),
            cpu * 1000.0 / self.records as f64,
            self.exporter.resident_mib(&self.http).await,
            self.exporter.memory_mib("VmHWM")
        );
    }
}

/// Writes an accounts file with an entry per account, and the secret files.
fn accounts_file(simulators: &[Simulator], folder: &Path) -> std::path::PathBuf {
    let mut text = "accounts:\n".to_owned();
    for (n, simulator) in simulators.iter().enumerate() {
        std::fs::write(
            folder.join(format!("secret-{n}")),
            simulator.client_secret(),
        )
        .unwrap();
        std::fs::write(folder.join(format!("jwt-{n}")), simulator.jwt()).unwrap();
        let (url, id) = (simulator.url(), simulator.client_id());
        let secrets = format!("client_secret_file: secret-{n}, jwt_file: jwt-{n}");
        writeln!(
            text,
            "- {{name: company-{n}, server_url: \"{url}\", client_id: \"{id}\", {secrets}}}"
        )
        .unwrap();
    }
    let file = folder.join(format!("accounts-{}.yml", simulators.len()));
    std::fs::write(&file, text).unwrap();
    file
}
