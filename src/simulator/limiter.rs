//! The rate limit of one group of operations, as RingCentral keeps it for a user and app.
//!
//! Pure: the clock is an argument, in milliseconds. Knows neither requests nor headers.

use std::collections::VecDeque;
use std::time::Duration;

/// How requests of the past weigh on the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// All that came since the clock last passed a multiple of the window.
    Fixed,
    /// All that came within the last window, wherever the clock stands.
    Sliding,
}

/// The rule of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many requests in a window.
    pub requests: u32,
    /// How long the window is.
    pub window: Duration,
    /// How it moves.
    pub kind: Window,
    /// How long requests are refused once there was one too many.
    pub penalty: Duration,
}

impl Limit {
    /// So many requests in a sliding window of a minute, else a penalty of a minute.
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

/// Another program that spends from the same bucket: it takes what is free and never too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherClient {
    /// So many requests at a stroke.
    pub requests: u32,
    /// When the first stroke falls, counted from the start.
    pub first: Duration,
    /// Time from one stroke to the next.
    pub every: Duration,
}

/// What the limiter says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on; so many more may follow in this window.
    Admitted {
        /// Requests that the window still holds.
        remaining: u32,
    },
    /// One too many, or one inside the penalty, which begins anew.
    Refused {
        /// Whole seconds until the penalty ends.
        retry_after_seconds: u64,
    },
}

/// The bucket of one group.
#[derive(Debug)]
pub struct Limiter {
    limit: Limit,
    other: Option<OtherClient>,
    next_burst: i64,
    /// When the requests that still weigh were made, oldest first.
    requests: VecDeque<i64>,
    penalty_until: Option<i64>,
}

impl Limiter {
    /// A full bucket at `start`.
    pub fn new(limit: Limit, other: Option<OtherClient>, start: i64) -> Limiter {
        let next_stroke = other.map_or(i64::MAX, |other| start + millis(other.first));
        Limiter {
            limit,
            other,
            next_burst: next_stroke,
            requests: VecDeque::new(),
            penalty_until: None,
        }
    }

    /// The rule it follows.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Whether a request at `now` would come inside a penalty.
    pub fn in_penalty(&self, now: i64) -> bool {
        self.penalty_until.is_some_and(|until| now < until)
    }

    /// Whether a request at `now` may pass; a refusal starts the penalty, or starts it again.
    pub fn admit(&mut self, now: i64) -> Decision {
        self.apply_other_client(now);
        let refused = self.in_penalty(now) || self.free(now) == 0;
        if refused {
            self.penalty_until = Some(now + millis(self.limit.penalty));
            return Decision::Refused {
                retry_after_seconds: self.limit.penalty.as_millis().div_ceil(1000) as u64,
            };
        }
        self.requests.push_back(now);
        Decision::Admitted {
            remaining: self.free(now),
        }
    }

    fn apply_other_client(&mut self, now: i64) {
        let Some(other) = self.other else { return };
        while self.next_burst <= now {
            let at = self.next_burst;
            self.next_burst += millis(other.every).max(1);
            if !self.in_penalty(at) {
                let taken = other.requests.min(self.free(at));
                self.requests.extend((0..taken).map(|_| at));
            }
        }
    }

    fn free(&mut self, now: i64) -> u32 {
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
    fn remaining_counts_down_and_the_request_after_zero_is_refused() {
        let mut limiter = limiter(2, Window::Sliding);
        assert_eq!(limiter.admit(0), admitted(1));
        assert_eq!(limiter.admit(1), admitted(0));
        assert_eq!(limiter.admit(2), REFUSED);
    }

    #[test]
    fn a_request_inside_the_penalty_starts_it_again() {
        let mut limiter = limiter(1, Window::Sliding);
        limiter.admit(0);
        assert_eq!(limiter.admit(1_000), REFUSED);
        assert!(limiter.in_penalty(60_999));
        assert_eq!(limiter.admit(60_999), REFUSED);
        assert!(limiter.in_penalty(61_000), "it began anew");
        assert!(!limiter.in_penalty(120_999));
        assert_eq!(limiter.admit(120_999), admitted(0));
    }

    #[test]
    fn a_sliding_window_forgets_request_by_request() {
        let mut limiter = limiter(2, Window::Sliding);
        limiter.admit(0);
        limiter.admit(30_000);
        assert_eq!(limiter.admit(60_000), admitted(0));
        assert_eq!(limiter.admit(89_999), REFUSED);
    }

    #[test]
    fn a_fixed_window_forgets_all_at_once() {
        let mut limiter = limiter(2, Window::Fixed);
        limiter.admit(58_000);
        limiter.admit(59_000);
        assert_eq!(limiter.admit(60_000), admitted(1));
        assert_eq!(limiter.admit(60_001), admitted(0));
        assert_eq!(limiter.admit(119_999), REFUSED);
    }

    #[test]
    fn after_a_penalty_shorter_than_the_window_the_bucket_is_full() {
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
    fn another_tool_takes_what_is_free_and_never_starts_a_penalty() {
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
            "the stroke at 180 s is yet to come"
        );
        assert_eq!(limiter.admit(180_000), REFUSED);
    }
}
