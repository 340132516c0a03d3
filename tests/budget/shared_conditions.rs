//! The conditions under which accounts of one user share its limits.

use std::time::Duration;

use proptest::prelude::*;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, OtherClient, Window};

/// Mean life of a process in which each account should fetch at least once.
const STABLE_LIFE_MS: i64 = 600_000;

/// How an account reads presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Off,
    Poll,
    Events,
}

/// The rate limits that the accounts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Heavy,
    Auth,
}

/// What one account does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub scrape_interval_ms: i64,
    pub mode: Mode,
    /// Pages of its presence list.
    pub presence_pages: u32,
    /// How often `Events` reads the list.
    pub audit_ms: i64,
    /// How often the event connection ends.
    pub gap_ms: i64,
    pub token_life_ms: i64,
}

/// The limit of one group.
#[derive(Clone, Debug)]
pub struct GroupLimit {
    pub requests: u32,
    pub window_s: u64,
    kind: Window,
}

/// The conditions of some simulated hours.
#[derive(Clone, Debug)]
pub struct Conditions {
    heavy: GroupLimit,
    auth: GroupLimit,
    penalty_windows: u32,
    /// Whether another tool uses the whole limit of calls now and then. Of logins it uses a fifth.
    pub other_is_greedy: bool,
    pub max_latency_ms: i64,
    pub pages: u32,
    /// The accounts of each process.
    pub processes: Vec<Vec<Plan>>,
    /// Mean time between two ends of a process.
    pub mean_life_ms: i64,
    pub seed: u64,
}

impl Group {
    /// Returns the group in which RingCentral counts an operation.
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::ActiveCalls | Operation::Presence => Self::Heavy,
            _ => Self::Auth,
        }
    }
}

impl Plan {
    fn any() -> impl Strategy<Value = Plan> {
        let mode = prop_oneof![
            2 => Just(Mode::Off),
            3 => Just(Mode::Poll),
            3 => Just(Mode::Events)
        ];
        (
            10_000_i64..=60_000,
            mode,
            prop_oneof![1_u32..=3, 1_u32..=50],
            60_000_i64..=600_000,
            15_000_i64..=300_000,
            60_000_i64..=1_200_000,
        )
            .prop_map(
                |(scrape_interval_ms, mode, presence_pages, audit_ms, gap_ms, token_life_ms)| {
                    Plan {
                        scrape_interval_ms,
                        mode,
                        presence_pages,
                        audit_ms,
                        gap_ms,
                        token_life_ms,
                    }
                },
            )
    }
}

impl GroupLimit {
    fn any(requests: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = GroupLimit> {
        let window_s = prop_oneof![Just(60_u64), 20_u64..=120];
        let kind = prop_oneof![Just(Window::Fixed), Just(Window::Sliding)];
        (requests, window_s, kind).prop_map(|(requests, window_s, kind)| GroupLimit {
            requests,
            window_s,
            kind,
        })
    }

    /// Returns the requests of a window that the exporter may use.
    pub fn usable(&self) -> u32 {
        self.requests - self.requests / 5
    }

    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_s)
    }
}

impl Conditions {
    /// Returns the strategy that generates conditions.
    pub fn any() -> impl Strategy<Value = Conditions> {
        let process = prop::collection::vec(Plan::any(), 1..=2);
        (
            (GroupLimit::any(2..=30), GroupLimit::any(2..=12), 1_u32..=3),
            (prop::bool::weighted(0.3), 0_i64..=12_000, 1_u32..=6),
            (
                prop::collection::vec(process, 1..=2),
                prop_oneof![Just(20_000_i64), Just(90_000), Just(STABLE_LIFE_MS)],
                any::<u64>(),
            ),
        )
            .prop_map(
                |(
                    (heavy, auth, penalty_windows),
                    (other_is_greedy, max_latency_ms, pages),
                    (processes, mean_life_ms, seed),
                )| Conditions {
                    pages: pages.min(heavy.usable()),
                    heavy,
                    auth,
                    penalty_windows,
                    other_is_greedy,
                    max_latency_ms,
                    processes,
                    mean_life_ms,
                    seed,
                },
            )
    }

    /// Returns whether processes live long enough, and calls and logins have room enough, that each account should fetch.
    pub fn is_stable(&self) -> bool {
        self.mean_life_ms == STABLE_LIFE_MS && !self.other_is_greedy && self.auth.requests >= 5
    }

    pub fn limit(&self, group: Group) -> &GroupLimit {
        match group {
            Group::Heavy => &self.heavy,
            Group::Auth => &self.auth,
        }
    }

    /// Returns whether RingCentral may refuse a request of this group because another tool has used the limit.
    pub fn may_refuse(&self, group: Group) -> bool {
        group == Group::Heavy && self.other_is_greedy
    }

    pub fn limiter(&self, group: Group) -> Limiter {
        let GroupLimit { requests, kind, .. } = *self.limit(group);
        let window = self.limit(group).window();
        let limit = Limit {
            requests,
            window,
            kind,
            penalty: window * self.penalty_windows,
        };
        let (used, every) = match group {
            Group::Heavy if self.other_is_greedy => (requests, 20 * window),
            Group::Heavy => (0, window),
            Group::Auth => (requests / 5, window),
        };
        let other = (used > 0).then_some(OtherClient {
            requests: used,
            first: window / 3,
            every,
        });
        Limiter::new(limit, other, 0)
    }

    /// Returns the headers of a response.
    pub fn headers(&self, group: Group, decision: Decision) -> RateLimitHeaders {
        let name = match group {
            Group::Heavy => "heavy",
            Group::Auth => "auth",
        };
        let limit = self.limit(group);
        let headers = RateLimitHeaders {
            status: 200,
            group: Some(name.to_owned()),
            limit: Some(limit.requests),
            window: Some(limit.window()),
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
