//! Model of the exporter during a simulated day: the budget, driven as `ringcentral::client`
//! drives it.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::headers::{RateLimitHeaders, Unreadable};
use ringcentral_exporter::simulator::limiter::Decision;

use crate::api_model::{ApiModel, Scenario};
use crate::odd_headers::Values;

/// The client's timeout of a fetch.
const FETCH_TIMEOUT_MS: i64 = 30_000;

/// A defect of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    None,
    /// The budget receives a limit that is a quarter too high, so that it reserves nothing.
    NoReserve,
    /// The budget receives the time of the request as the time of the response.
    WindowFromStart,
    /// The budget receives a 500 in place of a 429.
    IgnoresPenalties,
    /// The budget receives no wait that is not a plain number.
    ReadsOnlyPlainWaits,
}

/// The exporter during a day.
pub struct ClientModel<'a> {
    scenario: &'a Scenario,
    mutation: Mutation,
    budget: Budget,
    midnight: Moment,
    /// End of the latest fetch.
    fetch_end: i64,
    longest_fetch_ms: i64,
    /// Result of the latest fetch.
    result: FetchResult,
    /// Whether the budget stopped two consecutive fetches of a list that fits into the window.
    stopped_in_vain: bool,
    /// The parsed headers of admitted requests by their remaining requests.
    admitted_headers: HashMap<u32, RateLimitHeaders>,
    pub fetches: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FetchResult {
    Success,
    BudgetExhausted,
    NetworkError,
    Refused,
}

impl<'a> ClientModel<'a> {
    /// Creates an exporter that has not yet fetched.
    pub fn new(scenario: &'a Scenario, mutation: Mutation) -> Self {
        Self {
            scenario,
            mutation,
            budget: Budget::new(Duration::ZERO),
            midnight: Moment::now(),
            fetch_end: i64::MIN,
            longest_fetch_ms: 0,
            result: FetchResult::Success,
            stopped_in_vain: false,
            admitted_headers: HashMap::new(),
            fetches: 0,
        }
    }

    /// Returns whether a fetch is in progress, so that a scrape at this time waits for its result.
    pub fn is_fetching(&self, now: i64) -> bool {
        now < self.fetch_end
    }

    /// Starts a fetch if the budget allows one.
    pub fn scrape(&mut self, api: &mut ApiModel, now: i64) {
        let moment = self.moment(now);
        if !self.budget.try_start_fetch(moment) {
            return;
        }
        let (end, page_count, result) = self.fetch(api, now);
        self.budget.finish_fetch(Some(page_count), self.moment(end));
        self.fetches += 1;
        self.fetch_end = end;
        self.longest_fetch_ms = self.longest_fetch_ms.max(end - now);
        let stopped_twice =
            self.result == FetchResult::BudgetExhausted && result == FetchResult::BudgetExhausted;
        let list_fits = self.scenario.pages_at(end) <= self.scenario.usable_requests();
        if stopped_twice && list_fits && !self.scenario.other_is_greedy {
            self.stopped_in_vain = true;
        }
        self.result = result;
    }

    fn fetch(&mut self, api: &mut ApiModel, start: i64) -> (i64, PageCount, FetchResult) {
        let expected = self.budget.expected_pages();
        let mut now = start;
        for page in 1.. {
            let moment = self.moment(now);
            if !self.budget.try_request(Operation::ActiveCalls, moment) {
                let page_count = if page > expected {
                    PageCount::Unknown
                } else {
                    PageCount::AtLeast(page)
                };
                return (now, page_count, FetchResult::BudgetExhausted);
            }
            let response = api.request(now);
            let headers = response
                .decision
                .map(|decision| self.cached_headers(decision, response.time));
            let recorded_at = if self.mutation == Mutation::WindowFromStart {
                now
            } else {
                response.time
            };
            self.budget.record_response(
                Operation::ActiveCalls,
                headers.as_ref(),
                self.moment(recorded_at),
            );
            now = response.time;
            match response.decision {
                Some(Decision::Admitted { .. }) if page >= self.scenario.pages_at(now) => {
                    return (now, PageCount::Exact(page), FetchResult::Success);
                }
                Some(Decision::Admitted { .. }) if now - start < FETCH_TIMEOUT_MS => {}
                Some(Decision::Refused { .. }) => {
                    return (now, PageCount::AtLeast(page), FetchResult::Refused);
                }
                _ => return (now, PageCount::AtLeast(page), FetchResult::NetworkError),
            }
        }
        unreachable!("a fetch ends")
    }

    /// Returns the rate limit headers of a response that is received at `now`. Those of admitted
    /// requests depend only on the remaining requests, and parsing them each time is slow.
    fn cached_headers(&mut self, decision: Decision, now: i64) -> RateLimitHeaders {
        let Decision::Admitted { remaining } = decision else {
            return self.headers(decision, now);
        };
        if let Some(headers) = self.admitted_headers.get(&remaining) {
            return headers.clone();
        }
        let headers = self.headers(decision, now);
        self.admitted_headers.insert(remaining, headers.clone());
        headers
    }

    /// Returns the rate limit headers of a response that is received at `now`.
    fn headers(&self, decision: Decision, now: i64) -> RateLimitHeaders {
        let mut values = Values {
            status: 200,
            limit: self.scenario.limit,
            remaining: None,
            window_s: self.scenario.window_s,
            retry_after_s: None,
        };
        if self.mutation == Mutation::NoReserve {
            values.limit += self.scenario.limit / 4;
        }
        match decision {
            Decision::Admitted { remaining } => {
                let is_sent = self.scenario.sends_remaining && self.mutation != Mutation::NoReserve;
                values.remaining = is_sent.then_some(remaining);
            }
            Decision::Refused { .. } if self.mutation == Mutation::IgnoresPenalties => {
                values.status = 500;
            }
            Decision::Refused {
                retry_after_seconds,
            } => {
                values.status = 429;
                values.retry_after_s = Some(retry_after_seconds);
            }
        }
        let style = &self.scenario.header_style;
        let mut headers = style.parse(&values, self.moment(now));
        if self.mutation == Mutation::ReadsOnlyPlainWaits && !style.has_plain_retry_after() {
            headers.retry_after = None;
            headers.unreadable = Unreadable::default();
        }
        headers
    }

    /// Checks that the latest fetch is as recent as the limit allows.
    pub fn check_freshness(&self, now: i64) -> Result<(), TestCaseError> {
        if self.fetches == 0 || self.is_fetching(now) {
            return Ok(());
        }
        let window = self.scenario.window_s as i64 * 1000;
        let mut max_age = window + 1000 + self.longest_fetch_ms + self.scenario.max_scrape_gap_ms();
        if self.result == FetchResult::Refused {
            max_age += window * i64::from(self.scenario.penalty_windows);
            max_age += self.scenario.header_style.max_extra_wait_ms();
        }
        let age = now - self.fetch_end;
        prop_assert!(
            age <= max_age,
            "latest fetch is {age} ms old at {now} ms, expected at most {max_age} ms"
        );
        prop_assert!(
            !self.stopped_in_vain,
            "budget stopped two consecutive fetches of a list that fits, before {now} ms"
        );
        Ok(())
    }

    fn moment(&self, now: i64) -> Moment {
        self.midnight.after(Duration::from_millis(now as u64))
    }
}
