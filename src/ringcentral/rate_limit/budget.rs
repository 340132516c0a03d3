//! The account's budget with the API: **pure**, with the clock as an argument.
//!
//! Owns: which request may leave now, when a walk over the pages may start, and who is silent for how long. It is
//! told of each request before it leaves and of each answer. Whoever asks it first and then sends causes no 429, as long as
//! other tools keep to the fifth that is left to them.
//! Refuses to know: HTTP, tokens, and who wants the calls.

use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::{Operation, UsageGroup};
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::rate_limit::window::RateLimitWindow;
use crate::ringcentral::status::ReportedLimit;

/// The least wait after a 429 that names none (the guide says so).
const MIN_PENALTY: Duration = Duration::from_secs(30);

/// Windows of all groups, the account's silence, and the pace of walks.
#[derive(Clone, Debug)]
pub struct Budget {
    heavy: GroupBudget,
    medium: GroupBudget,
    auth: GroupBudget,
    silent_until: Option<Moment>,
    min_interval: Duration,
    expected_pages_of_fetch: u32,
    last_fetch: Option<Moment>,
}

/// How a walk over the pages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCount {
    /// With its last page; it had so many.
    Exact(u32),
    /// With a failure; it had come to ask for so many, so there are at least as many.
    AtLeast(u32),
    /// With no room for another request. How long the list is stays unknown, so the next walk waits for an empty
    /// window: a list that any window holds is then fetched, while feeling the way page by page could take many.
    Unknown,
}

/// A group's window, and what it last announced.
#[derive(Clone, Debug)]
struct GroupBudget {
    window: RateLimitWindow,
    announced: Option<ReportedLimit>,
}

impl Budget {
    /// A budget of which nothing is known yet. `min_interval` makes walks rarer than the pace; it never makes them
    /// more frequent.
    #[must_use]
    pub fn new(min_interval: Duration) -> Self {
        Self {
            heavy: GroupBudget::new(UsageGroup::Heavy),
            medium: GroupBudget::new(UsageGroup::Medium),
            auth: GroupBudget::new(UsageGroup::Auth),
            silent_until: None,
            min_interval,
            expected_pages_of_fetch: 1,
            last_fetch: None,
        }
    }

    /// When a walk may start, as far as is known now: it keeps the pace, and the window holds all pages expected.
    #[must_use]
    pub fn next_fetch_at(&self, now: Moment) -> Moment {
        let window = &self.heavy.window;
        let pages = self.expected_pages();
        let paced = self
            .last_fetch
            .map_or(now, |last| last.after(self.min_fetch_interval()));
        self.unblocked_at(now)
            .max(paced)
            .max(window.available_at(pages, now))
    }

    /// The least time between the starts of two walks as long as the next is expected to be.
    #[must_use]
    pub fn min_fetch_interval(&self) -> Duration {
        self.heavy
            .window
            .min_interval(self.expected_pages())
            .max(self.min_interval)
    }

    /// When one request of this operation may leave.
    #[must_use]
    pub fn next_request_at(&self, operation: Operation, now: Moment) -> Moment {
        let window = &self.bucket(operation.group()).window;
        self.unblocked_at(now).max(window.available_at(1, now))
    }

    /// The requests in one window that a walk may use at the most.
    #[must_use]
    pub fn max_pages(&self) -> u32 {
        self.heavy.window.usable()
    }

    /// A walk starts.
    pub fn record_fetch_start(&mut self, now: Moment) {
        self.last_fetch = Some(now);
    }

    /// A walk has ended, and has told how many pages to expect of the next.
    pub fn record_page_count(&mut self, walked: PageCount) {
        self.expected_pages_of_fetch = match walked {
            PageCount::Exact(pages) => pages.max(1),
            PageCount::AtLeast(asked) => self.expected_pages_of_fetch.max(asked),
            PageCount::Unknown => u32::MAX,
        };
    }

    /// A request leaves.
    pub fn record_request(&mut self, operation: Operation, now: Moment) {
        self.bucket_mut(operation.group())
            .window
            .record_request(now);
    }

    /// An answer came; without a notice none came in time.
    pub fn record_response(
        &mut self,
        operation: Operation,
        notice: Option<&RateLimitHeaders>,
        now: Moment,
    ) {
        let group = operation.group();
        let bucket = self.bucket_mut(group);
        bucket.window.completed(now);
        let Some(notice) = notice else { return };
        bucket.window.apply_headers(notice, now);
        bucket.record_report(group, notice);
        self.apply_penalty(group, notice, now);
    }

    /// Whoever asked has gone, and waits for no answer any more.
    pub fn abandon_in_flight(&mut self, now: Moment) {
        for bucket in [&mut self.heavy, &mut self.medium, &mut self.auth] {
            bucket.window.abandon_in_flight(now);
        }
    }

    /// The end of the silence that holds this operation, present or past.
    #[must_use]
    pub fn blocked_until(&self, operation: Operation) -> Option<Moment> {
        let group = self.bucket(operation.group()).window.blocked_until();
        match (self.silent_until, group) {
            (Some(account), Some(group)) => Some(account.max(group)),
            (account, group) => account.or(group),
        }
    }

    /// What the groups last announced. Names are the API's and may be the same for two: the first stands for both.
    #[must_use]
    pub fn reported_limits(&self) -> Vec<ReportedLimit> {
        let all = UsageGroup::ALL.into_iter();
        let mut announced: Vec<ReportedLimit> = Vec::new();
        for limit in all.filter_map(|group| self.bucket(group).announced.as_ref()) {
            if announced.iter().all(|present| present.group != limit.group) {
                announced.push(limit.clone());
            }
        }
        announced
    }

    /// A 429 without a group is the account's or our address' own limit, so all is silent. Any request inside a
    /// penalty starts it again.
    fn apply_penalty(&mut self, group: UsageGroup, notice: &RateLimitHeaders, now: Moment) {
        let window = &mut self.bucket_mut(group).window;
        let least = window.length().max(MIN_PENALTY);
        match (notice.status, notice.retry_after) {
            (429, wait) if notice.group.is_some() => {
                window.block_until(now.after(wait.unwrap_or(least)))
            }
            (429, wait) => {
                let until = now.after(wait.unwrap_or(least));
                self.silent_until = Some(
                    self.silent_until
                        .map_or(until, |present| present.max(until)),
                );
            }
            (503, Some(wait)) => window.block_until(now.after(wait)),
            _ => {}
        }
    }

    /// The pages that the next walk sets out for: never more than a window can hold, so that a list that has shrunk again is found out.
    #[must_use]
    pub fn expected_pages(&self) -> u32 {
        self.expected_pages_of_fetch.min(self.max_pages())
    }

    fn unblocked_at(&self, now: Moment) -> Moment {
        self.silent_until.map_or(now, |until| now.max(until))
    }

    fn bucket(&self, group: UsageGroup) -> &GroupBudget {
        match group {
            UsageGroup::Heavy => &self.heavy,
            UsageGroup::Medium => &self.medium,
            UsageGroup::Auth => &self.auth,
        }
    }

    fn bucket_mut(&mut self, group: UsageGroup) -> &mut GroupBudget {
        match group {
            UsageGroup::Heavy => &mut self.heavy,
            UsageGroup::Medium => &mut self.medium,
            UsageGroup::Auth => &mut self.auth,
        }
    }
}

impl GroupBudget {
    fn new(group: UsageGroup) -> Self {
        Self {
            window: RateLimitWindow::new(group),
            announced: None,
        }
    }

    /// Keeps what the answer said, for display; an answer without a limit says nothing new.
    fn record_report(&mut self, group: UsageGroup, notice: &RateLimitHeaders) {
        let Some(limit) = notice.limit else { return };
        let name = notice.group.as_deref().unwrap_or(group.as_str());
        self.announced = Some(ReportedLimit {
            group: name.to_owned(),
            limit,
            remaining: notice.remaining,
            window: notice.window.unwrap_or(self.window.length()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAVY: Operation = Operation::ActiveCalls;

    fn fresh() -> (Budget, Moment) {
        (Budget::new(Duration::ZERO), Moment::now())
    }

    fn at(start: Moment, seconds: f64) -> Moment {
        start.after(Duration::from_secs_f64(seconds))
    }

    fn ask(budget: &mut Budget, operation: Operation, notice: &RateLimitHeaders, now: Moment) {
        budget.record_request(operation, now);
        budget.record_response(operation, Some(notice), now);
    }

    fn refusal(group: Option<&str>, retry_after: Option<u64>) -> RateLimitHeaders {
        RateLimitHeaders {
            status: 429,
            group: group.map(str::to_owned),
            retry_after: retry_after.map(Duration::from_secs),
            ..RateLimitHeaders::default()
        }
    }

    fn walk(budget: &mut Budget, pages: u32, now: Moment) {
        budget.record_fetch_start(now);
        for _ in 0..pages {
            ask(budget, HEAVY, &RateLimitHeaders::default(), now);
        }
        budget.record_page_count(PageCount::Exact(pages));
    }

    fn wait(budget: &Budget, now: Moment) -> f64 {
        budget
            .next_fetch_at(now)
            .saturating_duration_since(now)
            .as_secs_f64()
    }

    #[test]
    fn at_the_default_limit_a_page_is_fetched_every_seven_and_a_half_seconds() {
        let (mut budget, start) = fresh();
        assert_eq!(wait(&budget, start), 0.0);
        walk(&mut budget, 1, start);
        assert_eq!(wait(&budget, start), 7.5);
        walk(&mut budget, 3, at(start, 10.0));
        assert_eq!(wait(&budget, at(start, 10.0)), 22.5);
    }

    #[test]
    fn a_min_interval_makes_walks_rarer_and_never_more_frequent() {
        let mut budget = Budget::new(Duration::from_secs(20));
        let start = Moment::now();
        walk(&mut budget, 1, start);
        assert_eq!(wait(&budget, start), 20.0);
        let mut budget = Budget::new(Duration::from_millis(1));
        walk(&mut budget, 1, start);
        assert_eq!(wait(&budget, start), 7.5);
    }

    #[test]
    fn a_refusal_with_a_group_silences_the_group_alone() {
        let (mut budget, start) = fresh();
        ask(&mut budget, HEAVY, &refusal(Some("heavy"), Some(17)), start);
        assert_eq!(wait(&budget, start), 17.0);
        assert_eq!(budget.next_request_at(Operation::Token, start), start);
    }

    #[test]
    fn a_refusal_without_a_group_silences_the_account() {
        let (mut budget, start) = fresh();
        ask(
            &mut budget,
            Operation::Token,
            &refusal(None, Some(17)),
            start,
        );
        assert_eq!(wait(&budget, start), 17.0);
        for operation in Operation::ALL {
            assert_eq!(
                budget
                    .next_request_at(operation, start)
                    .saturating_duration_since(start)
                    .as_secs(),
                17
            );
        }
    }

    #[test]
    fn a_refusal_that_names_no_wait_costs_the_window_and_at_least_thirty_seconds() {
        let (mut budget, start) = fresh();
        ask(&mut budget, HEAVY, &refusal(Some("heavy"), None), start);
        assert_eq!(wait(&budget, start), 60.0);
        let (mut budget, start) = fresh();
        let short = RateLimitHeaders {
            window: Some(Duration::from_secs(5)),
            ..refusal(Some("heavy"), None)
        };
        ask(&mut budget, HEAVY, &short, start);
        assert_eq!(wait(&budget, start), 30.0);
    }

    #[test]
    fn a_503_is_obeyed_where_it_names_a_wait() {
        let (mut budget, start) = fresh();
        let unavailable = RateLimitHeaders {
            status: 503,
            ..refusal(None, Some(40))
        };
        ask(&mut budget, HEAVY, &unavailable, start);
        assert_eq!(wait(&budget, start), 40.0);
        let (mut budget, start) = fresh();
        ask(
            &mut budget,
            HEAVY,
            &RateLimitHeaders {
                status: 503,
                ..RateLimitHeaders::default()
            },
            start,
        );
        assert_eq!(wait(&budget, start), 0.0);
    }

    #[test]
    fn a_walk_that_proved_longer_waits_for_an_empty_window() {
        let (mut budget, start) = fresh();
        walk(&mut budget, 4, start);
        let now = at(start, 30.0);
        budget.record_fetch_start(now);
        for _ in 0..4 {
            ask(&mut budget, HEAVY, &RateLimitHeaders::default(), now);
        }
        assert_eq!(
            budget
                .next_request_at(HEAVY, now)
                .saturating_duration_since(start)
                .as_secs_f64(),
            61.0
        );
        budget.record_page_count(PageCount::Unknown);
        assert_eq!(
            budget
                .next_fetch_at(now)
                .saturating_duration_since(start)
                .as_secs_f64(),
            91.0
        );
        walk(&mut budget, 5, at(start, 91.0));
        assert_eq!(
            budget
                .next_fetch_at(now)
                .saturating_duration_since(start)
                .as_secs_f64(),
            152.0,
            "the window holds five only once"
        );
    }

    #[test]
    fn a_broken_walk_has_told_that_there_are_at_least_as_many_pages() {
        let (mut budget, start) = fresh();
        walk(&mut budget, 2, start);
        budget.record_page_count(PageCount::AtLeast(1));
        assert_eq!(wait(&budget, start), 15.0);
        budget.record_page_count(PageCount::AtLeast(4));
        assert_eq!(wait(&budget, start), 30.0);
    }

    #[test]
    fn the_silence_of_the_account_is_never_shortened() {
        let (mut budget, start) = fresh();
        ask(&mut budget, HEAVY, &refusal(None, Some(100)), start);
        ask(
            &mut budget,
            Operation::Token,
            &refusal(None, Some(10)),
            start,
        );
        assert_eq!(wait(&budget, start), 100.0);
    }

    #[test]
    fn two_groups_of_one_name_are_announced_once() {
        let (mut budget, start) = fresh();
        for (operation, limit) in [(Operation::Token, 5), (HEAVY, 10)] {
            let group = Some("default".to_owned());
            ask(
                &mut budget,
                operation,
                &RateLimitHeaders {
                    group,
                    limit: Some(limit),
                    ..RateLimitHeaders::default()
                },
                start,
            );
        }
        let announced: Vec<_> = budget
            .reported_limits()
            .into_iter()
            .map(|limit| (limit.group, limit.limit))
            .collect();
        assert_eq!(announced, [("default".to_owned(), 10)]);
    }

    #[test]
    fn the_first_answer_is_taken_over_before_a_second_request_leaves() {
        let (mut budget, start) = fresh();
        let small = RateLimitHeaders {
            status: 200,
            limit: Some(1),
            window: Some(Duration::from_secs(100)),
            ..RateLimitHeaders::default()
        };
        ask(&mut budget, HEAVY, &small, start);
        assert_eq!(
            budget
                .next_request_at(HEAVY, start)
                .saturating_duration_since(start)
                .as_secs(),
            101
        );
        let announced = budget.reported_limits();
        assert_eq!(announced.len(), 1);
        assert_eq!(
            (announced[0].group.as_str(), announced[0].limit),
            ("heavy", 1)
        );
    }
}
