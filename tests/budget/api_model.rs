//! Model of the API during a simulated day.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, OtherClient, Window};

use crate::account_model::{Group, Plan};
use crate::odd_headers::HeaderStyle;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The client's timeout of a request.
const REQUEST_TIMEOUT_MS: i64 = 10_000;

/// The conditions of a simulated day.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Requests per window.
    pub limit: u32,
    pub window_s: u64,
    pub window_kind: Window,
    /// The maximum length of the list in pages. The list grows to it and shrinks again several
    /// times.
    pub max_pages: u32,
    pub page_change_interval_s: i64,
    pub max_latency_ms: i64,
    /// Requests that another client sends in a burst, by default once per window.
    pub other_requests: u32,
    /// Whether the other client uses the whole limit, once in 20 windows.
    pub other_is_greedy: bool,
    /// Duration of a penalty in windows.
    pub penalty_windows: u32,
    /// Whether responses have the header with the remaining requests.
    pub sends_remaining: bool,
    pub header_style: HeaderStyle,
    /// Interval and phase of each scraper in milliseconds.
    pub scrapers: Vec<(i64, i64)>,
    /// Presence, logins and event tokens of the account.
    pub plan: Plan,
    /// Logins and event tokens per minute, at least the documented number.
    pub auth_limit: u32,
    pub seed: u64,
}

impl Scenario {
    /// Returns the strategy that generates scenarios.
    pub fn any() -> impl Strategy<Value = Scenario> {
        let window_kind = prop_oneof![Just(Window::Fixed), Just(Window::Sliding)];
        let scraper = (1_000_i64..=60_000, 0_i64..60_000);
        (
            (
                1_u32..=50,
                prop_oneof![Just(60_u64), 5_u64..=300],
                window_kind,
                1_u32..=12,
                60_i64..=7200,
            ),
            (
                prop_oneof![Just(0_i64), 0_i64..=12_000],
                0_u32..=10,
                prop::bool::weighted(0.3),
                1_u32..=5,
                any::<bool>(),
            ),
            (
                prop::collection::vec(scraper, 1..=4),
                any::<u64>(),
                HeaderStyle::any(),
                Plan::any(),
                5_u32..=10,
            ),
        )
            .prop_map(
                |(
                    (limit, window_s, window_kind, max_pages, page_change_interval_s),
                    (max_latency_ms, other, other_is_greedy, penalty_windows, sends_remaining),
                    (scrapers, seed, header_style, plan, auth_limit),
                )| {
                    let other_requests = if other_is_greedy {
                        limit
                    } else {
                        other.min(limit / 5)
                    };
                    Scenario {
                        limit,
                        window_s,
                        window_kind,
                        max_pages,
                        page_change_interval_s,
                        max_latency_ms,
                        other_requests,
                        other_is_greedy,
                        penalty_windows,
                        sends_remaining,
                        header_style,
                        scrapers,
                        plan,
                        auth_limit,
                        seed,
                    }
                },
            )
    }

    /// Returns the times of all scrapes in order.
    pub fn scrape_times(&self) -> Vec<i64> {
        let mut times = Vec::new();
        for (interval, phase) in &self.scrapers {
            let mut time = *phase;
            while time < DAY_MS {
                times.push(time);
                time += interval;
            }
        }
        times.sort_unstable();
        times
    }

    /// Returns the longest time between two scrapes, which is the interval of the fastest scraper.
    pub fn max_scrape_gap_ms(&self) -> i64 {
        self.scrapers
            .iter()
            .map(|(interval, _)| *interval)
            .min()
            .unwrap()
    }

    /// Returns the length of the list in pages. It rises and falls in steps of one page.
    pub fn pages_at(&self, time: i64) -> u32 {
        let step = (time / 1000 / self.page_change_interval_s) as u32;
        let period = 2 * self.max_pages;
        let position = step % period;
        1 + position.min(period - 1 - position)
    }

    /// Returns the number of requests per window that the exporter may use.
    pub fn usable_requests(&self) -> u32 {
        self.limit - self.limit / 5
    }
}

/// The result of a request.
pub struct Response {
    /// Time of the response or of the timeout.
    pub time: i64,
    /// The decision of the limiter, `None` after a timeout.
    pub decision: Option<Decision>,
}

/// The API with its limiters, and the violations that it has seen.
pub struct ApiModel {
    heavy: GroupModel,
    auth: GroupModel,
    max_latency_ms: i64,
    rng: fastrand::Rng,
    window_ms: i64,
    /// When pages of presence arrived within the last window.
    presence: VecDeque<i64>,
    /// The most pages of presence that arrived within a window.
    pub most_presence: usize,
}

/// The limiter of a group, and the violations that it has seen.
struct GroupModel {
    limiter: Limiter,
    refused: u32,
    inside_penalty: u32,
    client_knows_penalty: bool,
}

impl GroupModel {
    fn new(limit: Limit, other: Option<OtherClient>) -> Self {
        Self {
            limiter: Limiter::new(limit, other, 0),
            refused: 0,
            inside_penalty: 0,
            client_knows_penalty: false,
        }
    }

    /// Decides on a request that arrives at `now`.
    fn admit(&mut self, now: i64, is_answered: bool) -> Decision {
        // A client cannot know of a penalty if the response that announced it was lost.
        self.inside_penalty += u32::from(self.client_knows_penalty && self.limiter.in_penalty(now));
        let decision = self.limiter.admit(now);
        if let Decision::Refused { .. } = decision {
            self.refused += 1;
            self.client_knows_penalty = is_answered;
        }
        decision
    }
}

impl ApiModel {
    /// Creates the API of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let window = Duration::from_secs(scenario.window_s);
        let limit = Limit {
            requests: scenario.limit,
            window,
            kind: scenario.window_kind,
            penalty: window * scenario.penalty_windows,
        };
        let every = if scenario.other_is_greedy {
            20 * window
        } else {
            window
        };
        let other = (scenario.other_requests > 0).then_some(OtherClient {
            requests: scenario.other_requests,
            first: window / 3,
            every,
        });
        let minute = Duration::from_secs(60);
        let auth = Limit {
            kind: scenario.window_kind,
            ..Limit::per_minute(scenario.auth_limit)
        };
        let other_logins = OtherClient {
            requests: scenario.auth_limit / 5,
            first: minute / 3,
            every: minute,
        };
        Self {
            heavy: GroupModel::new(limit, other),
            auth: GroupModel::new(auth, Some(other_logins)),
            max_latency_ms: scenario.max_latency_ms,
            rng: fastrand::Rng::with_seed(scenario.seed),
            window_ms: scenario.window_s as i64 * 1000,
            presence: VecDeque::new(),
            most_presence: 0,
        }
    }

    /// Returns the 429s that the exporter has caused: a greedy client causes only those of calls.
    pub fn refused(&self, other_is_greedy: bool) -> u32 {
        match other_is_greedy {
            true => self.auth.refused,
            false => self.auth.refused + self.heavy.refused,
        }
    }

    /// Returns the requests inside a penalty that the client knew of.
    pub fn inside_penalty(&self) -> u32 {
        self.heavy.inside_penalty + self.auth.inside_penalty
    }

    /// Returns the response to a request sent at `sent`. The request arrives at a random time
    /// within its latency, and not after its connection is closed at `closed_at`.
    pub fn request(&mut self, operation: Operation, sent: i64, closed_at: i64) -> Response {
        let latency = self.rng.i64(0..=self.max_latency_ms);
        let arrived = (sent + self.rng.i64(0..=latency)).min(closed_at);
        let in_time = latency <= REQUEST_TIMEOUT_MS && sent + latency <= closed_at;
        if operation == Operation::Presence {
            self.count_presence(arrived);
        }
        let group = match Group::of(operation) {
            Group::Heavy => &mut self.heavy,
            Group::Auth => &mut self.auth,
        };
        let decision = group.admit(arrived, in_time);
        Response {
            time: sent + latency.min(REQUEST_TIMEOUT_MS),
            decision: in_time.then_some(decision),
        }
    }

    fn count_presence(&mut self, now: i64) {
        let start = now - self.window_ms;
        while self.presence.front().is_some_and(|at| *at <= start) {
            self.presence.pop_front();
        }
        self.presence.push_back(now);
        self.most_presence = self.most_presence.max(self.presence.len());
    }
}
