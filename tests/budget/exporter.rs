//! Our side of a day: the budget, driven as `ringcentral::client` drives it.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::simulator::limiter::Decision;

use crate::world::{Day, World};

/// The time that the client gives a walk.
const WALK_MS: i64 = 30_000;

/// How the budget is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    None,
    /// The limit is told a quarter higher, so that nothing is left to others.
    NoReserve,
    /// Answers are told as if they had come when the request left.
    WindowFromStart,
    /// A 429 is told as a 500.
    DeafToPenalties,
}

/// The exporter during a day.
pub struct Exporter<'a> {
    day: &'a Day,
    mutation: Mutation,
    budget: Budget,
    midnight: Moment,
    walking_until: i64,
    longest_walk_ms: i64,
    /// Why the latest walk failed.
    failure: Failure,
    /// Whether two walks running were given up for the sake of the budget, though the window holds the list.
    gave_up_in_vain: bool,
    pub walks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    None,
    Budget,
    Network,
    Refused,
}

impl<'a> Exporter<'a> {
    pub fn new(day: &'a Day, mutation: Mutation) -> Self {
        Self {
            day,
            mutation,
            budget: Budget::new(Duration::ZERO),
            midnight: Moment::now(),
            walking_until: i64::MIN,
            longest_walk_ms: 0,
            failure: Failure::None,
            gave_up_in_vain: false,
            walks: 0,
        }
    }

    /// Whether a scrape at this time meets a walk under way, and so waits for it.
    pub fn is_walking(&self, now: i64) -> bool {
        now < self.walking_until
    }

    /// A scrape that meets no walk starts one if it may.
    pub fn scrape(&mut self, world: &mut World, now: i64) {
        let moment = self.moment(now);
        if !self.budget.next_fetch_at(moment).is_past(moment) {
            return;
        }
        self.budget.record_fetch_start(moment);
        let (end, walked, failure) = self.walk(world, now);
        self.budget.record_page_count(walked);
        self.walks += 1;
        self.walking_until = end;
        self.longest_walk_ms = self.longest_walk_ms.max(end - now);
        let gave_up_again = (self.failure, failure) == (Failure::Budget, Failure::Budget);
        let fits = self.day.pages(end) <= self.day.usable();
        self.gave_up_in_vain |= gave_up_again && fits && !self.day.other_is_greedy;
        self.failure = failure;
    }

    fn walk(&mut self, world: &mut World, start: i64) -> (i64, PageCount, Failure) {
        let expected = self.budget.expected_pages();
        let mut now = start;
        for asked in 1.. {
            let moment = self.moment(now);
            if !self
                .budget
                .next_request_at(Operation::ActiveCalls, moment)
                .is_past(moment)
            {
                let walked = if asked > expected {
                    PageCount::Unknown
                } else {
                    PageCount::AtLeast(asked)
                };
                return (now, walked, Failure::Budget);
            }
            self.budget.record_request(Operation::ActiveCalls, moment);
            let answer = world.request(now);
            let notice = answer.verdict.map(|verdict| self.notice(verdict));
            let heard = if self.mutation == Mutation::WindowFromStart {
                now
            } else {
                answer.at
            };
            self.budget.record_response(
                Operation::ActiveCalls,
                notice.as_ref(),
                self.moment(heard),
            );
            now = answer.at;
            match answer.verdict {
                Some(Decision::Admitted { .. }) if asked >= self.day.pages(now) => {
                    return (now, PageCount::Exact(asked), Failure::None);
                }
                Some(Decision::Admitted { .. }) if now - start < WALK_MS => {}
                Some(Decision::Refused { .. }) => {
                    return (now, PageCount::AtLeast(asked), Failure::Refused);
                }
                _ => return (now, PageCount::AtLeast(asked), Failure::Network),
            }
        }
        unreachable!("a walk ends")
    }

    /// What the headers of an answer say.
    fn notice(&self, verdict: Decision) -> RateLimitHeaders {
        let told = match self.mutation {
            Mutation::NoReserve => self.day.limit + self.day.limit / 4,
            _ => self.day.limit,
        };
        let told = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            limit: Some(told),
            window: Some(Duration::from_secs(self.day.window_s)),
            ..RateLimitHeaders::default()
        };
        match verdict {
            Decision::Admitted { .. }
                if self.mutation == Mutation::NoReserve || !self.day.tells_remaining =>
            {
                told
            }
            Decision::Admitted { remaining } => RateLimitHeaders {
                remaining: Some(remaining),
                ..told
            },
            Decision::Refused { .. } if self.mutation == Mutation::DeafToPenalties => {
                RateLimitHeaders {
                    status: 500,
                    ..told
                }
            }
            Decision::Refused {
                retry_after_seconds,
            } => {
                let wait = Some(Duration::from_secs(retry_after_seconds));
                RateLimitHeaders {
                    status: 429,
                    retry_after: wait,
                    ..told
                }
            }
        }
    }

    /// Whether there is a snapshot as fresh as the limit allows, or a latest walk that failed and says why.
    pub fn is_fresh_or_says_why(&self, now: i64) -> Result<(), TestCaseError> {
        if self.walks == 0 || self.is_walking(now) {
            return Ok(());
        }
        let window = self.day.window_s as i64 * 1000;
        let round = window + 1000 + self.longest_walk_ms + self.day.interval_ms();
        let most = if self.failure == Failure::Refused {
            round + window * i64::from(self.day.penalty)
        } else {
            round
        };
        let age = now - self.walking_until;
        prop_assert!(
            age <= most,
            "the last walk is {age} ms old at {now} ms, and at most {most} are allowed"
        );
        prop_assert!(
            !self.gave_up_in_vain,
            "a list that fits was given up twice running before {now} ms"
        );
        Ok(())
    }

    fn moment(&self, now: i64) -> Moment {
        self.midnight.after(Duration::from_millis(now as u64))
    }
}
