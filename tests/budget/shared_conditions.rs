//! The conditions under which accounts of one user share its limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::prelude::*;
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, OtherClient, Window};

use crate::account_model::{Group, Mode, Plan};

/// Mean life of a process in which each account should fetch at least once.
const STABLE_LIFE_MS: i64 = 600_000;

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
    /// Not stricter than the documented limit, which a process uses that got no response before it was killed: logins are
    /// rare, so nothing else may know the limit at that time.
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

impl GroupLimit {
    fn any(
        requests: RangeInclusive<u32>,
        window_s: RangeInclusive<u64>,
    ) -> impl Strategy<Value = GroupLimit> {
        let window_s = prop_oneof![Just(60_u64), window_s];
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
            (
                GroupLimit::any(2..=30, 20..=120),
                GroupLimit::any(5..=12, 20..=60),
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

    /// Returns whether each account should fetch within `duration_ms`: processes live long enough, the limit is theirs,
    /// and what presence leaves of it is enough for each account four times. Those of other processes know no order, so
    /// the slower pace of calls while presence is read can leave one of them out for some rounds.
    pub fn should_all_fetch(&self, duration_ms: i64) -> bool {
        let is_stable = self.mean_life_ms == STABLE_LIFE_MS && !self.other_is_greedy;
        is_stable && (self.presence_share() == 0 || 4 * self.round_ms() <= duration_ms)
    }

    /// Returns the requests of a window that calls leave to presence.
    fn presence_share(&self) -> u32 {
        let mut pages = 0;
        for plan in self.processes.iter().flatten() {
            if plan.mode != Mode::Off {
                pages += plan.presence_pages;
            }
        }
        let usable = self.heavy.usable();
        pages.min(usable / 2).min(usable - self.pages)
    }

    /// Returns how long it takes until each account has fetched, by the pace of calls while presence is read: as many
    /// whole fetches in a window as it has room for.
    fn round_ms(&self) -> i64 {
        let accounts: usize = self.processes.iter().map(Vec::len).sum();
        let per_window = (self.heavy.usable() - self.presence_share()) / self.pages;
        let windows = (accounts as i64).div_euclid(i64::from(per_window)) + 1;
        let fetch_ms = i64::from(self.pages) * self.max_latency_ms;
        windows * (self.heavy.window_s as i64 * 1000 + 1000 + fetch_ms)
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
