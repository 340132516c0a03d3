//! Two Prometheus servers against RingCentral's limit of 10 requests in 60 s.
//!
//! Takes three minutes. All exporters run concurrently, each with its own simulated account: one company with a list of one
//! page, and one with two. Both Prometheus servers scrape every 10 s, 5 s apart. Each scrape is compared with the lists
//! that the account returned, according to its request log.

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
/// Time for which a caching exporter reuses a list, so that fetches of one page stay within the limit.
const CACHE: &[(&str, &str)] = &[("CACHE_SECONDS", "8")];
/// Time that the interpreters need to start.
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
    let mut subjects = Vec::new();
    for (list, scenario) in companies {
        for program in PROGRAMS {
            subjects.push((list, Subject::start(program, scenario.clone()).await));
        }
    }
    sleep(START).await;
    let start = Instant::now();
    let runs = subjects
        .into_iter()
        .map(|(list, subject)| (list, tokio::spawn(subject.run(start))));
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

/// Clock in whole seconds, so that all pages of a fetch show the same instant.
fn slow_clock() -> i64 {
    Timestamp::now().as_second() * 1000
}

/// An exporter with its own simulated account.
struct Subject {
    program: Program,
    account: Simulator,
    exporter: Exporter,
    scrapes: Vec<Scrape>,
}

/// The result of one scrape, with its time.
struct Scrape {
    at_ms: i64,
    shown: Option<Shown>,
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    /// A list that is at most one scrape interval old.
    Right,
    /// An older list, shown as if it were current.
    Stale,
    Missing,
    Zero,
    Wrong,
}

impl Subject {
    async fn start(program: Program, scenario: Scenario) -> Subject {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scenario = Scenario {
            clock: Some(Arc::new(slow_clock)),
            ..scenario
        };
        let account = Simulator::start(listener, scenario, 1).unwrap();
        Subject {
            program,
            exporter: program.start(&account),
            account,
            scrapes: Vec::new(),
        }
    }

    async fn run(mut self, start: Instant) -> Subject {
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

    /// Matches the result with the newest list that equals it.
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
