//! Accounts of one user in several processes that share a state directory, and are killed and
//! started again.
//!
//! Each request is sent, arrives and is answered at its own time, so that those of all accounts
//! interleave as they do in reality. The budgets and the files are the real ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::ringcentral::rate_limit::registry::UsageRegistry;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, OtherClient, Window};
use ringcentral_exporter::state_directory::StateDirectory;

/// Long enough for several windows and penalties; each request reads and writes a real file.
const END_MS: i64 = 20 * 60 * 1000;
/// Mean life of a process in which each account should fetch at least once.
const STABLE_LIFE_MS: i64 = 600_000;
/// The client's timeout of a request.
const REQUEST_TIMEOUT_MS: i64 = 10_000;

/// A defect of the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    /// A process starts without a state directory.
    ForgetsAtRestart,
    /// Each account has a budget of its own.
    SharesNothing,
}

/// The conditions of some simulated hours.
#[derive(Clone, Debug)]
pub struct Conditions {
    limit: u32,
    window_s: u64,
    window_kind: Window,
    penalty_windows: u32,
    /// Whether another tool uses the whole limit now and then.
    other_is_greedy: bool,
    max_latency_ms: i64,
    pages: u32,
    /// For each process the scrape interval in milliseconds of each of its accounts.
    processes: Vec<Vec<i64>>,
    /// Mean time between two ends of a process.
    mean_life_ms: i64,
    seed: u64,
}

impl Conditions {
    /// Returns the strategy that generates conditions.
    pub fn any() -> impl Strategy<Value = Conditions> {
        let window_kind = prop_oneof![Just(Window::Fixed), Just(Window::Sliding)];
        let process = prop::collection::vec(10_000_i64..=60_000, 1..=2);
        (
            (
                2_u32..=30,
                prop_oneof![Just(60_u64), 20_u64..=120],
                window_kind,
                1_u32..=3,
            ),
            (prop::bool::weighted(0.3), 0_i64..=12_000, 1_u32..=6),
            (
                prop::collection::vec(process, 1..=2),
                prop_oneof![Just(20_000_i64), Just(90_000), Just(STABLE_LIFE_MS)],
                any::<u64>(),
            ),
        )
            .prop_map(
                |(
                    (limit, window_s, window_kind, penalty_windows),
                    (other_is_greedy, max_latency_ms, pages),
                    (processes, mean_life_ms, seed),
                )| Conditions {
                    limit,
                    window_s,
                    window_kind,
                    penalty_windows,
                    other_is_greedy,
                    max_latency_ms,
                    pages: pages.min(limit - limit / 5),
                    processes,
                    mean_life_ms,
                    seed,
                },
            )
    }

    fn limiter(&self) -> Limiter {
        let window = Duration::from_secs(self.window_s);
        let limit = Limit {
            requests: self.limit,
            window,
            kind: self.window_kind,
            penalty: window * self.penalty_windows,
        };
        let other = self.other_is_greedy.then_some(OtherClient {
            requests: self.limit,
            first: window / 3,
            every: 20 * window,
        });
        Limiter::new(limit, other, 0)
    }

    /// Returns the headers of a response.
    fn headers(&self, decision: Decision) -> RateLimitHeaders {
        let headers = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            limit: Some(self.limit),
            window: Some(Duration::from_secs(self.window_s)),
            ..RateLimitHeaders::default()
        };
        match decision {
            Decision::Admitted { remaining } => RateLimitHeaders {
                remaining: Some(remaining),
                ..headers
            },
            Decision::Refused {
                retry_after_seconds,
            } => RateLimitHeaders {
                status: 429,
                retry_after: Some(Duration::from_secs(retry_after_seconds)),
                ..headers
            },
        }
    }
}

/// What happens to an account, or to all accounts of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start,
    Scrape,
    /// A request arrives at RingCentral. Its response arrives at `answered_at`, unless that is too
    /// late.
    Arrive {
        sent: i64,
        answered_at: Option<i64>,
    },
    /// The response arrives; `None` is a timeout.
    Answer {
        retry_after_seconds: Option<u64>,
        remaining: Option<u32>,
    },
    End,
}

/// An event with its time. Those of a former life of the process are ignored, except that a request
/// that was sent arrives.
type Entry = Reverse<(i64, u64, usize, usize, u32, Event)>;

struct Process {
    life: u32,
    budgets: Vec<Budget>,
}

/// The simulated hours.
pub struct Simulation<'a> {
    conditions: &'a Conditions,
    defect: Defect,
    directory: &'a Path,
    midnight: Moment,
    limiter: Limiter,
    rng: fastrand::Rng,
    events: BinaryHeap<Entry>,
    sequence: u64,
    processes: Vec<Process>,
    /// Pages of the fetch in progress, by process and account.
    pages: Vec<Vec<Option<u32>>>,
    /// The last penalty, from when a process got its 429 on.
    known_penalty: Range<i64>,
    refused: u32,
    inside_penalty: u32,
    /// Complete fetches, by process and account.
    fetches: Vec<Vec<u32>>,
}

impl<'a> Simulation<'a> {
    /// Creates a simulation whose processes share `directory`.
    pub fn new(conditions: &'a Conditions, defect: Defect, directory: &'a Path) -> Self {
        let counts: Vec<_> = conditions
            .processes
            .iter()
            .map(|accounts| vec![0; accounts.len()])
            .collect();
        let mut simulation = Self {
            conditions,
            defect,
            directory,
            midnight: Moment::now(),
            limiter: conditions.limiter(),
            rng: fastrand::Rng::with_seed(conditions.seed),
            events: BinaryHeap::new(),
            sequence: 0,
            processes: Vec::new(),
            pages: counts
                .iter()
                .map(|accounts| vec![None; accounts.len()])
                .collect(),
            known_penalty: 0..0,
            refused: 0,
            inside_penalty: 0,
            fetches: counts,
        };
        for process in 0..conditions.processes.len() {
            simulation.processes.push(Process {
                life: 0,
                budgets: Vec::new(),
            });
            simulation.schedule(process as i64 * 20_000, process, 0, Event::Start);
        }
        simulation
    }

    /// Runs to the end, and checks that no request caused a 429 or was sent inside a known penalty.
    pub fn run(mut self) -> Result<(), TestCaseError> {
        while let Some(Reverse((time, _, process, account, life, event))) = self.events.pop() {
            if time > END_MS {
                break;
            }
            let is_alive = self.processes[process].life == life;
            match event {
                Event::Start => self.start(process, time),
                Event::Scrape if is_alive => self.scrape(process, account, time),
                Event::Arrive { sent, answered_at } => {
                    let is_known = self.known_penalty.contains(&sent);
                    self.inside_penalty += u32::from(is_known && self.limiter.in_penalty(time));
                    let answer = self.arrive(time);
                    if let Some(answered_at) = answered_at
                        && is_alive
                    {
                        self.schedule(answered_at, process, account, answer);
                    }
                }
                Event::Answer {
                    retry_after_seconds,
                    remaining,
                } if is_alive => {
                    let decision = match (retry_after_seconds, remaining) {
                        (Some(retry_after_seconds), _) => Some(Decision::Refused {
                            retry_after_seconds,
                        }),
                        (None, Some(remaining)) => Some(Decision::Admitted { remaining }),
                        (None, None) => None,
                    };
                    self.answer(process, account, time, decision);
                }
                Event::End if is_alive => self.end(process, time),
                _ => {}
            }
            prop_assert!(
                self.inside_penalty == 0,
                "request inside a penalty before {time} ms"
            );
            prop_assert!(
                self.conditions.other_is_greedy || self.refused == 0,
                "429 at {time} ms"
            );
        }
        let is_stable = self.conditions.mean_life_ms == STABLE_LIFE_MS;
        if is_stable && !self.conditions.other_is_greedy {
            let starved = self.fetches.iter().flatten().any(|fetches| *fetches == 0);
            prop_assert!(!starved, "an account never fetched: {:?}", self.fetches);
        }
        Ok(())
    }

    fn start(&mut self, process: usize, now: i64) {
        let moment = self.moment(now);
        let directory = match self.defect {
            Defect::ForgetsAtRestart => None,
            _ => Some(Arc::new(StateDirectory::open(self.directory).unwrap())),
        };
        let registry = UsageRegistry::new(directory);
        let accounts = self.conditions.processes[process].clone();
        for (account, interval) in accounts.into_iter().enumerate() {
            let mut budget = Budget::new(Duration::ZERO);
            if self.defect != Defect::SharesNothing {
                budget.join(registry.usage("user", moment), moment);
            }
            self.processes[process].budgets.push(budget);
            let first = self.rng.i64(0..interval);
            self.schedule(now + first, process, account, Event::Scrape);
        }
        let life = self.rng.i64(0..=2 * self.conditions.mean_life_ms);
        self.schedule(now + life, process, 0, Event::End);
    }

    fn end(&mut self, process: usize, now: i64) {
        let moment = self.moment(now);
        let is_graceful = self.rng.bool();
        let ended = &mut self.processes[process];
        for mut budget in ended.budgets.drain(..) {
            if is_graceful {
                budget.abandon(moment);
            }
        }
        ended.life += 1;
        self.pages[process].fill(None);
        let pause = self.rng.i64(0..=10_000);
        self.schedule(now + pause, process, 0, Event::Start);
    }

    fn scrape(&mut self, process: usize, account: usize, now: i64) {
        let moment = self.moment(now);
        let interval = self.conditions.processes[process][account];
        self.schedule(now + interval, process, account, Event::Scrape);
        if self.pages[process][account].is_some() {
            return;
        }
        if self.processes[process].budgets[account].try_start_fetch(moment) {
            self.pages[process][account] = Some(0);
            self.request(process, account, now);
        }
    }

    /// Sends the request of the next page, if the budget allows it.
    fn request(&mut self, process: usize, account: usize, now: i64) {
        let moment = self.moment(now);
        let budget = &mut self.processes[process].budgets[account];
        if !budget.try_request(Operation::ActiveCalls, moment) {
            budget.finish_fetch(Some(PageCount::Unknown), moment);
            self.pages[process][account] = None;
            return;
        }
        let latency = self.rng.i64(0..=self.conditions.max_latency_ms);
        let arrived = now + self.rng.i64(0..=latency);
        let is_answered = latency <= REQUEST_TIMEOUT_MS;
        let event = Event::Arrive {
            sent: now,
            answered_at: is_answered.then_some(now + latency),
        };
        self.schedule(arrived, process, account, event);
        if !is_answered {
            let timeout = Event::Answer {
                retry_after_seconds: None,
                remaining: None,
            };
            self.schedule(now + REQUEST_TIMEOUT_MS, process, account, timeout);
        }
    }

    /// Returns the event of the answer to a request that arrives.
    fn arrive(&mut self, now: i64) -> Event {
        match self.limiter.admit(now) {
            Decision::Admitted { remaining } => Event::Answer {
                retry_after_seconds: None,
                remaining: Some(remaining),
            },
            Decision::Refused {
                retry_after_seconds,
            } => {
                self.refused += 1;
                Event::Answer {
                    retry_after_seconds: Some(retry_after_seconds),
                    remaining: None,
                }
            }
        }
    }

    fn answer(&mut self, process: usize, account: usize, now: i64, decision: Option<Decision>) {
        let moment = self.moment(now);
        let headers = decision.map(|decision| self.conditions.headers(decision));
        let budget = &mut self.processes[process].budgets[account];
        budget.record_response(Operation::ActiveCalls, headers.as_ref(), moment);
        let pages = self.pages[process][account].unwrap() + 1;
        self.pages[process][account] = Some(pages);
        let mut page_count = PageCount::AtLeast(pages);
        match decision {
            Some(Decision::Admitted { .. }) if pages < self.conditions.pages => {
                return self.request(process, account, now);
            }
            Some(Decision::Admitted { .. }) => {
                page_count = PageCount::Exact(pages);
                self.fetches[process][account] += 1;
            }
            Some(Decision::Refused {
                retry_after_seconds,
            }) => {
                self.known_penalty = now..now + retry_after_seconds as i64 * 1000;
            }
            None => {}
        }
        budget.finish_fetch(Some(page_count), moment);
        self.pages[process][account] = None;
    }

    fn schedule(&mut self, time: i64, process: usize, account: usize, event: Event) {
        self.sequence += 1;
        let life = self.processes[process].life;
        self.events.push(Reverse((
            time,
            self.sequence,
            process,
            account,
            life,
            event,
        )));
    }

    fn moment(&self, now: i64) -> Moment {
        self.midnight.after(Duration::from_millis(now as u64))
    }
}
