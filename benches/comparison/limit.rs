//! What a pair of Prometheus makes of the limit that RingCentral has: 10 requests in 60 s.
//!
//! Three minutes by the clock, all exporters side by side, each before an account of its own: one company whose list is a
//! page, and one whose list is two. Both Prometheus scrape every 10 s, one of them 5 s after the other. What a scrape showed
//! is compared with the lists that the account has answered with, by its journal.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use reqwest::Client;
use ringcentral_exporter::simulator::{JournalEntry, Operation, Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until};

use crate::baseline::http;
use crate::parsed_metrics::Shown;
use crate::program::{Exporter, JAVASCRIPT, OURS, PYTHON, Program};

const INTERVAL: Duration = Duration::from_secs(10);
const OFFSETS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(5)];
const ROUNDS: u32 = 18;
/// Who wants to spare the limit shows a list again for as long as keeps a walk of one page within it.
const CACHE: &[(&str, &str)] = &[("CACHE_SECONDS", "8")];
/// Time for interpreters to start.
const START: Duration = Duration::from_secs(3);

const PROGRAMS: [Program; 5] = [
    OURS,
    PYTHON,
    JAVASCRIPT,
    Program {
        name: "Python, with its cache of 8 s",
        variables: CACHE,
        ..PYTHON
    },
    Program {
        name: "JavaScript, with its cache of 8 s",
        variables: CACHE,
        ..JAVASCRIPT
    },
];

pub async fn tables() {
    let two_pages = Scenario {
        extensions: 1000,
        calls_per_minute: 290.0,
        ..Scenario::normal()
    };
    let companies = [("one page", Scenario::normal()), ("two pages", two_pages)];
    let mut contestants = Vec::new();
    for (list, scenario) in companies {
        for program in PROGRAMS {
            contestants.push((list, Contestant::start(program, scenario.clone()).await));
        }
    }
    sleep(START).await;
    let start = Instant::now();
    let runs = contestants
        .into_iter()
        .map(|(list, contestant)| (list, tokio::spawn(contestant.run(start))));
    let runs: Vec<_> = runs.collect();
    println!(
        "\n| list | exporter | requests | refused (429) | inside a penalty | scrapes | right | stale | missing | zero | \
         otherwise wrong |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (list, run) in runs {
        run.await.unwrap().row(list);
    }
}

/// In whole seconds, so that the pages of a walk are of one instant.
fn slow_clock() -> i64 {
    Timestamp::now().as_second() * 1000
}

/// An exporter before an account of its own.
struct Contestant {
    program: Program,
    account: Simulator,
    exporter: Exporter,
    scrapes: Vec<Scrape>,
}

/// What was shown, and when.
struct Scrape {
    at_ms: i64,
    shown: Option<Shown>,
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    /// The list of an instant that is no older than the interval of scrapes.
    Right,
    /// An older list, as if it were new.
    Stale,
    Missing,
    Zero,
    Wrong,
}

impl Contestant {
    async fn start(program: Program, scenario: Scenario) -> Contestant {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scenario = Scenario {
            clock: Some(Arc::new(slow_clock)),
            ..scenario
        };
        let account = Simulator::start(listener, scenario, 1).unwrap();
        Contestant {
            program,
            exporter: program.start(&account),
            account,
            scrapes: Vec::new(),
        }
    }

    async fn run(mut self, start: Instant) -> Contestant {
        let https = [http(), http()];
        for round in 0..ROUNDS {
            for (offset, http) in OFFSETS.iter().zip(&https) {
                sleep_until(start + INTERVAL * round + *offset).await;
                self.scrape(http).await;
            }
        }
        self
    }

    async fn scrape(&mut self, http: &Client) {
        let text = self.exporter.scrape(http).await;
        let shown = text.and_then(|text| Shown::of_text(&text));
        self.scrapes.push(Scrape {
            at_ms: self.account.now(),
            shown,
        });
    }

    fn row(&self, list: &str) {
        let journal = self.account.journal();
        let asked: Vec<_> = journal
            .iter()
            .filter(|entry| entry.operation == Some(Operation::ActiveCalls))
            .cloned()
            .collect();
        let refused = asked
            .iter()
            .filter(|entry| entry.status == Some(429))
            .count();
        let in_penalty = asked.iter().filter(|entry| entry.in_penalty).count();
        let verdicts: Vec<_> = self
            .scrapes
            .iter()
            .map(|scrape| self.verdict(scrape, &asked))
            .collect();
        print!(
            "| {list} | {} | {} | {refused} | {in_penalty} | {} |",
            self.program.name,
            asked.len(),
            verdicts.len()
        );
        for kind in [
            Verdict::Right,
            Verdict::Stale,
            Verdict::Missing,
            Verdict::Zero,
            Verdict::Wrong,
        ] {
            print!(
                " {} |",
                verdicts.iter().filter(|verdict| **verdict == kind).count()
            );
        }
        println!();
    }

    /// The newest list that it may be is taken for the one it is.
    fn verdict(&self, scrape: &Scrape, asked: &[JournalEntry]) -> Verdict {
        let Some(shown) = &scrape.shown else {
            return Verdict::Missing;
        };
        let answered = asked
            .iter()
            .filter(|entry| entry.answered_ms.is_some_and(|at| at <= scrape.at_ms));
        let mut lists = answered.rev().filter_map(|entry| entry.listed_at_ms);
        match lists.find(|listed| *shown == Shown::of_list(&self.account.listed_at(*listed))) {
            Some(listed) if scrape.at_ms - listed <= INTERVAL.as_millis() as i64 => Verdict::Right,
            Some(_) => Verdict::Stale,
            None if shown.is_zero() => Verdict::Zero,
            None => Verdict::Wrong,
        }
    }
}
