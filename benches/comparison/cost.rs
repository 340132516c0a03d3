//! The cost of a scrape that fetches, by the number of records.

use std::time::Duration;

use reqwest::Client;
use ringcentral_exporter::simulator::{Operation, Simulator};
use tokio::time::sleep;

use crate::baseline::{Floor, http};
use crate::parsed_metrics::Shown;
use crate::process_stats::{memory_mib, process_cpu_ms};
use crate::program::{Exporter, JAVASCRIPT, OURS, PYTHON, Program};
use crate::simulated::{INSTANT_MS, Size, simulator};
use crate::stats::Times;

/// Interval short enough that each scrape fetches; the accounts report a limit of 1,000,000.
const EAGER: Program = Program {
    arguments: &["--scrape.min-interval=1ms"],
    ..OURS
};
const LEAST_INTERVAL: Duration = Duration::from_millis(2);
const WARM_UP: usize = 20;

const SIZES: [Size; 3] = [
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
        scrapes: 500,
    },
    Size {
        wanted: 10_000,
        calls_per_minute: 1670.0,
        extensions: 5000,
        scrapes: 100,
    },
];

pub async fn tables() {
    for size in &SIZES {
        table(size).await;
    }
}

async fn table(size: &Size) {
    let mut subjects = Vec::new();
    for program in [EAGER, PYTHON, JAVASCRIPT] {
        subjects.push(Subject::start(program, size).await);
    }
    let account = simulator(size).await;
    let (baseline, mut times) = (Floor::start(&account).await, Times::default());
    for _ in 0..WARM_UP {
        baseline.fetch_all().await;
        for subject in &mut subjects {
            subject.scrape().await;
        }
    }
    let cpu = baseline.cpu_ms();
    subjects.iter_mut().for_each(Subject::reset);
    for _ in 0..size.scrapes {
        times.measure(baseline.fetch_all()).await;
        for subject in &mut subjects {
            subject.scrape().await;
        }
    }
    let floor_cpu_ms = (baseline.cpu_ms() - cpu) / size.scrapes as f64;
    let (records, scrapes) = (account.listed_at(INSTANT_MS).len(), size.scrapes);
    println!(
        "\n| {records} records, {scrapes} scrapes | median | 99th | CPU a scrape | over the baseline | resident | Pss |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (median, late) = (times.median(), times.quantile(0.99));
    println!(
        "| baseline: fetch, parse, count | {median:.2} ms | {late:.2} ms | {floor_cpu_ms:.2} ms | 1 | | |"
    );
    for subject in &mut subjects {
        subject.row(size.scrapes, floor_cpu_ms);
    }
}

/// An exporter with its own simulated account.
struct Subject {
    program: Program,
    account: Simulator,
    exporter: Exporter,
    http: Client,
    times: Times,
    cpu: f64,
    fetches: usize,
}

impl Subject {
    async fn start(program: Program, size: &Size) -> Subject {
        let account = simulator(size).await;
        let (exporter, http) = (program.start(&account), http());
        let text = exporter.first_scrape(&http).await;
        let right = Shown::of_list(&account.listed_at(INSTANT_MS));
        assert_eq!(
            Shown::of_text(&text),
            Some(right),
            "{} shows what is listed",
            program.name
        );
        Subject {
            program,
            account,
            exporter,
            http,
            times: Times::default(),
            cpu: 0.0,
            fetches: 0,
        }
    }

    /// Resets the measurements.
    fn reset(&mut self) {
        self.times = Times::default();
        self.cpu = process_cpu_ms(self.exporter.id());
        self.fetches = self.fetches();
    }

    async fn scrape(&mut self) {
        sleep(LEAST_INTERVAL).await;
        let text = self.times.measure(self.exporter.scrape(&self.http)).await;
        assert!(
            text.is_some_and(|text| crate::program::is_up(&text)),
            "{} shows calls",
            self.program.name
        );
    }

    fn row(&mut self, scrapes: usize, floor_cpu_ms: f64) {
        let pages = self.account.listed_at(INSTANT_MS).len().div_ceil(1000);
        let fetched = self.fetches() - self.fetches;
        assert_eq!(
            fetched,
            scrapes * pages,
            "{} fetches at each scrape",
            self.program.name
        );
        let cpu_ms = (process_cpu_ms(self.exporter.id()) - self.cpu) / scrapes as f64;
        let (resident, pss) = memory_mib(self.exporter.id());
        println!(
            "| {} | {:.2} ms | {:.2} ms | {cpu_ms:.2} ms | {:.1} | {resident:.1} MiB | {pss:.1} MiB |",
            self.program.name,
            self.times.median(),
            self.times.quantile(0.99),
            cpu_ms / floor_cpu_ms,
        );
    }

    /// Returns the measurements since the last reset.
    fn fetches(&self) -> usize {
        let journal = self.account.journal();
        let last = journal.last().map_or(0, |entry| entry.sequence as usize);
        let others = journal
            .iter()
            .filter(|entry| entry.operation != Some(Operation::ActiveCalls))
            .count();
        last - others
    }
}
