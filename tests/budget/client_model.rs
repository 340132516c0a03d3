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

use crate::account_model::{Account, Group};
use crate::api_model::{ApiModel, Response, Scenario};
use crate::odd_headers::Values;

/// The client's timeout of a fetch.
const FETCH_TIMEOUT_MS: i64 = 30_000;
/// The client's timeout of a request.
const REQUEST_TIMEOUT_MS: i64 = 10_000;
/// For how long after a fetch a scrape ends no request of presence.
const FRESH_MS: i64 = 1000;

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
    /// The budget takes pages of presence for calls.
    PresenceIgnoresShare,
    /// The budget takes event tokens for logins.
    EventTokenIgnoresLogin,
}

/// The exporter during a day.
pub struct ClientModel<'a> {
    scenario: &'a Scenario,
    mutation: Mutation,
    budget: Budget,
    midnight: Moment,
    account: Account,
    next_gap: i64,
    is_pace_slow: bool,
    /// End of the latest renewal, read of presence or request of an event token: scrapes before it
    /// get the latest snapshot.
    busy_until: i64,
    /// The longest time for which a renewal has held a fetch.
    longest_renewal_ms: i64,
    scrape_times: Vec<i64>,
    /// When an event token left no room for a login.
    login_lost_at: Option<i64>,
    /// When the latest page of presence was received.
    last_page: i64,
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
            account: Account::new(scenario.plan.clone(), 0),
            next_gap: scenario.plan.gap_ms,
            is_pace_slow: false,
            busy_until: 0,
            longest_renewal_ms: 0,
            scrape_times: scenario.scrape_times(),
            login_lost_at: None,
            last_page: i64::MIN,
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

    /// Starts a fetch if the budget allows one, then does what else is due.
    pub fn scrape(&mut self, api: &mut ApiModel, now: i64) {
        if now < self.busy_until {
            return;
        }
        if now >= self.next_gap {
            self.next_gap = now + self.scenario.plan.gap_ms;
            self.account.lose_connection();
        }
        self.update_pace(now);
        let mut end = now;
        if self.can_log_in(now) && self.budget.try_start_fetch(self.moment(now)) {
            end = self.run_fetch(api, now);
        }
        self.busy_until = self.maintain(api, end);
    }

    /// Returns whether there is a token, or a login is allowed.
    fn can_log_in(&self, now: i64) -> bool {
        self.account.has_token(now) || self.may_send(Operation::Token, now)
    }

    fn may_send(&self, operation: Operation, now: i64) -> bool {
        let moment = self.moment(now);
        let next = self.budget.next_request_at(operation, moment);
        next.is_past(moment)
    }

    /// Fetches calls and returns the end of the fetch.
    fn run_fetch(&mut self, api: &mut ApiModel, now: i64) -> i64 {
        let (end, page_count, result) = match self.ensure_token(api, now) {
            Ok(start) => self.fetch(api, start),
            Err(end) => (end, None, FetchResult::NetworkError),
        };
        self.budget.finish_fetch(page_count, self.moment(end));
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
        end
    }

    /// Logs in if there is no token. Returns when that was done, or when it has failed.
    fn ensure_token(&mut self, api: &mut ApiModel, now: i64) -> Result<i64, i64> {
        if self.account.has_token(now) {
            return Ok(now);
        }
        let end = self.log_in(api, now);
        match self.account.has_token(end) {
            true => Ok(end),
            false => Err(end),
        }
    }

    /// Logs in. Returns when that has succeeded or failed.
    fn log_in(&mut self, api: &mut ApiModel, now: i64) -> i64 {
        let Some(response) = self.send(api, Operation::Token, now) else {
            return now;
        };
        if matches!(response.decision, Some(Decision::Admitted { .. })) {
            self.account.log_in(response.time);
        }
        response.time
    }

    fn update_pace(&mut self, now: i64) {
        let is_due = self.account.is_read_due(now);
        // The budget ignores the same value too; the time is costly.
        if self.is_pace_slow != is_due {
            self.is_pace_slow = is_due;
            self.budget.set_presence_due(is_due, self.moment(now));
        }
    }

    /// Renews the token, reads presence and requests an event token, if they are due. Returns when
    /// that is done.
    fn maintain(&mut self, api: &mut ApiModel, start: i64) -> i64 {
        if !self.has_work(start) {
            return start;
        }
        let mut now = start;
        if self.account.is_renewal_due(now) && self.may_send(Operation::Token, now) {
            now = self.log_in(api, now);
            self.longest_renewal_ms = self.longest_renewal_ms.max(now - start);
        }
        let interrupted_at = self.next_interruption(now);
        now = self.read_presence(api, now, interrupted_at);
        let wants_token = self.account.wants_event_token && self.account.has_token(now);
        if wants_token && now < interrupted_at {
            now = self.fetch_event_token(api, now);
        }
        now
    }

    /// Returns the time of the next scrape that may fetch, which ends a request of presence.
    fn next_interruption(&self, now: i64) -> i64 {
        let soon = self.fetch_end.saturating_add(FRESH_MS);
        let earliest = self.next_fetch_at(now).max(soon).max(now + 1);
        let next = self.scrape_times.partition_point(|time| *time < earliest);
        self.scrape_times.get(next).copied().unwrap_or(i64::MAX)
    }

    fn has_work(&self, now: i64) -> bool {
        let needs_auth = self.account.is_renewal_due(now) || self.account.wants_event_token;
        needs_auth || self.account.is_read_due(now) && self.can_read(now)
    }

    fn next_fetch_at(&self, now: i64) -> i64 {
        let moment = self.moment(now);
        let wait = self.budget.next_fetch_at(moment);
        now + wait.saturating_duration_since(moment).as_millis() as i64
    }

    /// Reads pages of presence until a scrape may fetch. Returns when the last one was received.
    fn read_presence(&mut self, api: &mut ApiModel, start: i64, interrupted_at: i64) -> i64 {
        let mut now = start;
        while self.can_read(now) {
            self.account.start_read(now);
            let operation = Operation::Presence;
            let response = self.send_until(api, operation, now, interrupted_at);
            let Some(response) = response else {
                break;
            };
            now = response.time;
            self.last_page = now;
            let is_admitted = matches!(response.decision, Some(Decision::Admitted { .. }));
            if is_admitted {
                let (known, is_complete) = self.account.record_page();
                let moment = self.moment(now);
                self.budget
                    .record_presence_pages(known, is_complete, moment);
            }
            self.update_pace(now);
            if !is_admitted || now >= start + FETCH_TIMEOUT_MS - REQUEST_TIMEOUT_MS {
                break;
            }
        }
        now
    }

    fn can_read(&self, now: i64) -> bool {
        if !self.account.has_token(now) || !self.account.is_read_due(now) {
            return false;
        }
        match self.mutation {
            Mutation::PresenceIgnoresShare => self.may_send(Operation::ActiveCalls, now),
            _ => self.budget.can_request_presence(self.moment(now)),
        }
    }

    fn fetch_event_token(&mut self, api: &mut ApiModel, now: i64) -> i64 {
        let interrupted_at = self.next_interruption(now);
        let response = self.send_until(api, Operation::EventToken, now, interrupted_at);
        let Some(response) = response else {
            return now;
        };
        let end = response.time;
        if matches!(response.decision, Some(Decision::Admitted { .. })) {
            self.account.connect();
        }
        if !self.may_send(Operation::Token, end) {
            self.login_lost_at = Some(end);
        }
        end
    }

    /// Sends a request, if the budget allows it, and records its response.
    fn send(&mut self, api: &mut ApiModel, operation: Operation, now: i64) -> Option<Response> {
        self.send_until(api, operation, now, i64::MAX)
    }

    /// Sends a request, if the budget allows it, and abandons it at `interrupted_at`.
    fn send_until(
        &mut self,
        api: &mut ApiModel,
        operation: Operation,
        now: i64,
        interrupted_at: i64,
    ) -> Option<Response> {
        let counted = match (self.mutation, operation) {
            (Mutation::PresenceIgnoresShare, Operation::Presence) => Operation::ActiveCalls,
            (Mutation::EventTokenIgnoresLogin, Operation::EventToken) => Operation::Token,
            _ => operation,
        };
        if !self.budget.try_request(counted, self.moment(now)) {
            return None;
        }
        let response = api.request(operation, now, interrupted_at);
        if response.time > interrupted_at {
            self.budget.abandon_request(self.moment(interrupted_at));
            return Some(Response {
                time: interrupted_at,
                decision: None,
            });
        }
        let headers = response
            .decision
            .map(|decision| self.headers_of(operation, decision, response.time));
        let recorded_at = match self.mutation {
            Mutation::WindowFromStart if operation == Operation::ActiveCalls => now,
            _ => response.time,
        };
        let moment = self.moment(recorded_at);
        self.budget
            .record_response(counted, headers.as_ref(), moment);
        let is_refused = matches!(response.decision, Some(Decision::Refused { .. }));
        if is_refused && Group::of(operation) == Group::Heavy {
            self.result = FetchResult::Refused;
        }
        Some(response)
    }

    fn fetch(&mut self, api: &mut ApiModel, start: i64) -> (i64, Option<PageCount>, FetchResult) {
        let expected = self.budget.expected_pages();
        let mut now = start;
        for page in 1.. {
            let Some(response) = self.send(api, Operation::ActiveCalls, now) else {
                let page_count = if page > expected {
                    PageCount::Unknown
                } else {
                    PageCount::AtLeast(page)
                };
                return (now, Some(page_count), FetchResult::BudgetExhausted);
            };
            now = response.time;
            let at_least = Some(PageCount::AtLeast(page));
            match response.decision {
                Some(Decision::Admitted { .. }) if page >= self.scenario.pages_at(now) => {
                    return (now, Some(PageCount::Exact(page)), FetchResult::Success);
                }
                Some(Decision::Admitted { .. }) if now - start < FETCH_TIMEOUT_MS => {}
                Some(Decision::Refused { .. }) => return (now, at_least, FetchResult::Refused),
                _ => return (now, at_least, FetchResult::NetworkError),
            }
        }
        unreachable!("a fetch ends")
    }

    fn headers_of(
        &mut self,
        operation: Operation,
        decision: Decision,
        now: i64,
    ) -> RateLimitHeaders {
        match Group::of(operation) {
            Group::Heavy => self.cached_headers(decision, now),
            Group::Auth => self.auth_headers(decision),
        }
    }

    fn auth_headers(&self, decision: Decision) -> RateLimitHeaders {
        let mut headers = RateLimitHeaders {
            status: 200,
            group: Some("auth".to_owned()),
            limit: Some(self.scenario.auth_limit),
            window: Some(Duration::from_secs(60)),
            ..RateLimitHeaders::default()
        };
        match decision {
            Decision::Admitted { remaining } => headers.remaining = Some(remaining),
            Decision::Refused {
                retry_after_seconds,
            } => {
                headers.status = 429;
                headers.retry_after = Some(Duration::from_secs(retry_after_seconds));
            }
        }
        headers
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
        // While presence is read the pace is at most a window too: presence leaves the pages of a
        // fetch. A renewal holds a fetch; pages of presence and event tokens do not.
        max_age += self.longest_renewal_ms;
        // A report that another tool has used the whole limit holds a fetch for a window, whatever it
        // answers: a page of presence between two fetches as well.
        let age = match self.scenario.other_is_greedy && self.scenario.sends_remaining {
            true => now - self.fetch_end.max(self.last_page),
            false => now - self.fetch_end,
        };
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

    /// Checks that presence keeps its share, and that event tokens leave room for a login.
    pub fn check_presence(&self, api: &ApiModel, now: i64) -> Result<(), TestCaseError> {
        if self.mutation == Mutation::NoReserve {
            // It takes the limit for a higher one, of which half is more.
            return Ok(());
        }
        let half = self.scenario.usable_requests() / 2;
        let pages = api.most_presence;
        prop_assert!(
            pages <= half as usize,
            "{pages} presence pages in a window before {now} ms, expected at most {half}"
        );
        prop_assert!(
            self.login_lost_at.is_none(),
            "no login after an event token at {:?} ms",
            self.login_lost_at
        );
        Ok(())
    }

    fn moment(&self, now: i64) -> Moment {
        self.midnight.after(Duration::from_millis(now as u64))
    }
}
