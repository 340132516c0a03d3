//! What a scrape that fetches costs, by the number of records.

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

/// So that each scrape fetches; the accounts announce a limit of 1,000,000.
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
    let mut contestants = Vec::new();
    for program in [EAGER, PYTHON, JAVASCRIPT] {
        contestants.push(Contestant::start(program, size).await);
    }
    let account = simulator(size).await;
    let (floor, mut times) = (Floor::start(&account).await, Times::default());
    for _ in 0..WARM_UP {
        floor.walk().await;
        for contestant in &mut contestants {
            contestant.scrape().await;
        }
    }
    let cpu = floor.cpu_ms();
    contestants.iter_mut().for_each(Contestant::begin);
    for _ in 0..size.scrapes {
        times.measure(floor.walk()).await;
        for contestant in &mut contestants {
            contestant.scrape().await;
        }
    }
    let floor_cpu_ms = (floor.cpu_ms() - cpu) / size.scrapes as f64;
    let (records, scrapes) = (account.listed_at(INSTANT_MS).len(), size.scrapes);
    println!(
        "\n| {records} records, {scrapes} scrapes | median | 99th | CPU a scrape | beside the floor | resident | Pss |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (median, late) = (times.median(), times.quantile(0.99));
    println!(
        "| floor: fetch, parse, count | {median:.2} ms | {late:.2} ms | {floor_cpu_ms:.2} ms | 1 | | |"
    );
    for contestant in &mut contestants {
        contestant.row(size.scrapes, floor_cpu_ms);
    }
}

/// An exporter before an account of its own.
struct Contestant {
    program: Program,
    account: Simulator,
    exporter: Exporter,
    http: Client,
    times: Times,
    cpu: f64,
    fetches: usize,
}

impl Contestant {
    async fn start(program: Program, size: &Size) -> Contestant {
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
        Contestant {
            program,
            account,
            exporter,
            http,
            times: Times::default(),
            cpu: 0.0,
            fetches: 0,
        }
    }

    /// Forgets the scrapes so far.
    fn begin(&mut self) {
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

    /// Those so far.
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
