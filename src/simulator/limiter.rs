//! The rate limit of one group of operations, as RingCentral applies it to a user and app.
//!
//! The time is an argument, in milliseconds.

use std::collections::VecDeque;
use std::time::Duration;

/// Which earlier requests count against the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Requests since the last multiple of the window.
    Fixed,
    /// Requests within one window before the current time.
    Sliding,
}

/// The rate limit of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Maximum number of requests in a window.
    pub requests: u32,
    /// Length of the window.
    pub window: Duration,
    /// Kind of the window.
    pub kind: Window,
    /// Time for which requests are refused after the limit was exceeded.
    pub penalty: Duration,
}

impl Limit {
    /// Creates a limit with a sliding window and a penalty of one minute each.
    pub const fn per_minute(requests: u32) -> Limit {
        let minute = Duration::from_secs(60);
        Limit {
            requests,
            window: minute,
            kind: Window::Sliding,
            penalty: minute,
        }
    }
}

/// Another client of the same user and app. All its requests count against the limit, even beyond
/// it, and cause no penalty: the next request of the exporter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherClient {
    /// Number of requests in a burst.
    pub requests: u32,
    /// Time from the start to the first burst.
    pub first: Duration,
    /// Time from one burst to the next.
    pub every: Duration,
}

/// Whether a request is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Within the limit.
    Admitted {
        /// Number of requests left in the window.
        remaining: u32,
    },
    /// Over the limit or during a penalty; the penalty starts again.
    Refused {
        /// Seconds until the penalty ends, rounded up.
        retry_after_seconds: u64,
    },
}

/// The requests and the penalty of one group.
#[derive(Debug)]
pub struct Limiter {
    limit: Limit,
    other: Option<OtherClient>,
    next_burst: i64,
    /// Times of the requests that count against the limit, oldest first.
    requests: VecDeque<i64>,
    penalty_until: Option<i64>,
}

impl Limiter {
    /// Creates a limiter without earlier requests; `start` is the current time.
    pub fn new(limit: Limit, other: Option<OtherClient>, start: i64) -> Limiter {
        let next_burst = match other {
            Some(other) => start + millis(other.first),
            None => i64::MAX,
        };
        Limiter {
            limit,
            other,
            next_burst,
            requests: VecDeque::new(),
            penalty_until: None,
        }
    }

    /// Returns the limit.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Returns whether `now` is during a penalty.
    pub fn in_penalty(&self, now: i64) -> bool {
        self.penalty_until.is_some_and(|until| now < until)
    }

    /// Counts a request at `now`, or starts the penalty again if it is over the limit.
    pub fn admit(&mut self, now: i64) -> Decision {
        self.apply_other_client(now);
        self.remove_expired(now);
        if self.in_penalty(now) || self.remaining() == 0 {
            self.penalty_until = Some(now + millis(self.limit.penalty));
            return Decision::Refused {
                retry_after_seconds: self.limit.penalty.as_millis().div_ceil(1000) as u64,
            };
        }
        self.requests.push_back(now);
        Decision::Admitted {
            remaining: self.remaining(),
        }
    }

    fn apply_other_client(&mut self, now: i64) {
        let Some(other) = self.other else {
            return;
        };
        while self.next_burst <= now {
            let at = self.next_burst;
            self.next_burst += millis(other.every).max(1);
            if !self.in_penalty(at) {
                self.remove_expired(at);
                for _ in 0..other.requests {
                    self.requests.push_back(at);
                }
            }
        }
    }

    /// Removes requests that no longer count against the limit, and a penalty that has ended.
    fn remove_expired(&mut self, now: i64) {
        if self.penalty_until.is_some_and(|until| until <= now) {
            self.penalty_until = None;
            self.requests.clear();
        }
        let window = millis(self.limit.window).max(1);
        let since = match self.limit.kind {
            Window::Fixed => now - now.rem_euclid(window),
            Window::Sliding => now - window + 1,
        };
        while self.requests.front().is_some_and(|at| *at < since) {
            self.requests.pop_front();
        }
    }

    fn remaining(&self) -> u32 {
        self.limit
            .requests
            .saturating_sub(self.requests.len() as u32)
    }
}

fn millis(duration: Duration) -> i64 {
    duration.as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Decision = Decision::Refused {
        retry_after_seconds: 60,
    };

    fn limiter(requests: u32, kind: Window) -> Limiter {
        Limiter::new(
            Limit {
                kind,
                ..Limit::per_minute(requests)
            },
            None,
            0,
        )
    }

    fn admitted(remaining: u32) -> Decision {
        Decision::Admitted { remaining }
    }

    #[test]
    fn request_after_remaining_zero_is_refused() {
        let mut limiter = limiter(2, Window::Sliding);
        assert_eq!(limiter.admit(0), admitted(1));
        assert_eq!(limiter.admit(1), admitted(0));
        assert_eq!(limiter.admit(2), REFUSED);
    }

    #[test]
    fn request_during_a_penalty_restarts_it() {
        let mut limiter = limiter(1, Window::Sliding);
        limiter.admit(0);
        assert_eq!(limiter.admit(1_000), REFUSED);
        assert!(limiter.in_penalty(60_999));
        assert_eq!(limiter.admit(60_999), REFUSED);
        assert!(limiter.in_penalty(61_000), "the penalty started again");
        assert!(!limiter.in_penalty(120_999));
        assert_eq!(limiter.admit(120_999), admitted(0));
    }

    #[test]
    fn sliding_window_frees_requests_one_by_one() {
        let mut limiter = limiter(2, Window::Sliding);
        limiter.admit(0);
        limiter.admit(30_000);
        assert_eq!(limiter.admit(60_000), admitted(0));
        assert_eq!(limiter.admit(89_999), REFUSED);
    }

    #[test]
    fn fixed_window_frees_all_requests_together() {
        let mut limiter = limiter(2, Window::Fixed);
        limiter.admit(58_000);
        limiter.admit(59_000);
        assert_eq!(limiter.admit(60_000), admitted(1));
        assert_eq!(limiter.admit(60_001), admitted(0));
        assert_eq!(limiter.admit(119_999), REFUSED);
    }

    #[test]
    fn penalty_shorter_than_the_window_resets_the_limit() {
        let short = Duration::from_millis(200);
        let limit = Limit {
            penalty: short,
            ..Limit::per_minute(1)
        };
        let mut limiter = Limiter::new(limit, None, 0);
        limiter.admit(0);
        assert_eq!(
            limiter.admit(1),
            Decision::Refused {
                retry_after_seconds: 1
            }
        );
        assert_eq!(limiter.admit(201), admitted(0));
    }

    #[test]
    fn other_client_uses_up_limit_without_penalty() {
        let seconds = Duration::from_secs;
        let other = OtherClient {
            requests: 10,
            first: seconds(30),
            every: seconds(150),
        };
        let mut limiter = Limiter::new(Limit::per_minute(10), Some(other), 0);
        assert_eq!(limiter.admit(29_999), admitted(9));
        assert!(!limiter.in_penalty(30_001));
        assert_eq!(limiter.admit(30_001), REFUSED);
        assert_eq!(limiter.admit(95_000), admitted(9));
        assert_eq!(
            limiter.admit(179_999),
            admitted(9),
            "the burst at 180 s is in the future"
        );
        assert_eq!(
            limiter.admit(239_999),
            REFUSED,
            "a request that has left the window does not make room for another"
        );
    }
}
