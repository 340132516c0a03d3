//! The rate limit budget of one account, for the user and app of its login. Pure: the time is an argument.
//!
//! Decides when a request may be sent and when a fetch over all pages may start. If each request and response is
//! recorded here, and requests are sent only when allowed, the exporter causes no 429 as long as other tools use
//! at most one fifth of the limit.

use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::{Operation, UsageGroup};
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::rate_limit::window::RateLimitWindow;
use crate::ringcentral::status::ReportedLimit;

/// The documented minimum wait after a 429 without `Retry-After`.
const MIN_PENALTY: Duration = Duration::from_secs(30);

/// The windows of all usage groups, the account's penalty, and the time of the last fetch.
#[derive(Clone, Debug)]
pub struct Budget {
    heavy: RateLimitWindow,
    medium: RateLimitWindow,
    auth: RateLimitWindow,
    /// End of the last penalty for the whole account.
    blocked_until: Option<Moment>,
    min_interval: Duration,
    /// Expected pages of the next fetch, without the bound of the window.
    page_estimate: u32,
    last_fetch: Option<Moment>,
}

/// What a fetch revealed of the number of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCount {
    /// The number of pages, of a fetch that was complete.
    Exact(u32),
    /// The number of pages requested before the fetch failed.
    AtLeast(u32),
    /// Unknown, because the window was full before the last page. The next fetch waits for an empty window: any
    /// list that fits into one is then fetched, while one page more each time could take many windows.
    Unknown,
}

impl Budget {
    /// Creates a budget with the documented limits. `min_interval` can make fetches rarer than the limit allows,
    /// never more frequent.
    #[must_use]
    pub fn new(min_interval: Duration) -> Self {
        Self {
            heavy: RateLimitWindow::new(UsageGroup::Heavy),
            medium: RateLimitWindow::new(UsageGroup::Medium),
            auth: RateLimitWindow::new(UsageGroup::Auth),
            blocked_until: None,
            min_interval,
            page_estimate: 1,
            last_fetch: None,
        }
    }

    /// Returns when the next fetch may start, as far as is known now: the minimum interval has passed, and the window
    /// holds all expected pages.
    #[must_use]
    pub fn next_fetch_at(&self, now: Moment) -> Moment {
        let mut next = self.available_at(UsageGroup::Heavy, self.expected_pages(), now);
        if let Some(last_fetch) = self.last_fetch {
            next = next.max(last_fetch.after(self.min_fetch_interval()));
        }
        next
    }

    /// Returns the minimum time between the starts of two fetches of the expected number of pages.
    #[must_use]
    pub fn min_fetch_interval(&self) -> Duration {
        let interval = self.heavy.min_interval(self.expected_pages());
        interval.max(self.min_interval)
    }

    /// Returns when one request of this operation may be sent.
    #[must_use]
    pub fn next_request_at(&self, operation: Operation, now: Moment) -> Moment {
        self.available_at(operation.group(), 1, now)
    }

    /// Returns the maximum number of pages of a fetch, which is what one window holds.
    #[must_use]
    pub fn max_pages(&self) -> u32 {
        self.heavy.usable()
    }

    /// Records that a fetch starts.
    pub fn record_fetch_start(&mut self, now: Moment) {
        self.last_fetch = Some(now);
    }

    /// Records the number of pages that a fetch has revealed.
    pub fn record_page_count(&mut self, page_count: PageCount) {
        self.page_estimate = match page_count {
            PageCount::Exact(pages) => pages.max(1),
            PageCount::AtLeast(pages) => self.page_estimate.max(pages),
            PageCount::Unknown => u32::MAX,
        };
    }

    /// Records that a request is sent.
    pub fn record_request(&mut self, operation: Operation, now: Moment) {
        self.group_mut(operation.group()).record_request(now);
    }

    /// Records a response, or a request that timed out if `headers` is `None`.
    pub fn record_response(
        &mut self,
        operation: Operation,
        headers: Option<&RateLimitHeaders>,
        now: Moment,
    ) {
        let window = self.group_mut(operation.group());
        window.record_response(now);
        if let Some(headers) = headers {
            window.apply_headers(headers, now);
            self.apply_penalty(operation.group(), headers, now);
        }
    }

    /// Counts all requests in flight as completed now, because no task waits for their responses any more.
    pub fn abandon_in_flight(&mut self, now: Moment) {
        for window in [&mut self.heavy, &mut self.medium, &mut self.auth] {
            window.abandon_in_flight(now);
        }
    }

    /// Returns the end of the penalty that blocks this operation, present or past.
    #[must_use]
    pub fn blocked_until(&self, operation: Operation) -> Option<Moment> {
        let window = self.group(operation.group());
        self.blocked_until.max(window.blocked_until)
    }

    /// Returns how many requests are left in the group of an operation, those reserved for other tools included.
    #[must_use]
    pub fn requests_left(&self, operation: Operation, now: Moment) -> u32 {
        self.group(operation.group()).requests_left(now)
    }

    /// Returns the limits that RingCentral last reported. Names of groups are RingCentral's; of two groups with
    /// one name only the first is returned.
    #[must_use]
    pub fn reported_limits(&self) -> Vec<ReportedLimit> {
        let mut limits: Vec<ReportedLimit> = Vec::new();
        for window in [&self.heavy, &self.medium, &self.auth] {
            if let Some(limit) = &window.reported
                && limits.iter().all(|known| known.group != limit.group)
            {
                let mut limit = limit.clone();
                limit.blocked_until = self.blocked_until.max(window.blocked_until);
                limits.push(limit);
            }
        }
        limits
    }

    /// Blocks the group after a 429 or 503. A 429 without a group is a limit of the account or the IP address, so it
    /// blocks all groups. Any request during a penalty restarts it.
    fn apply_penalty(&mut self, group: UsageGroup, headers: &RateLimitHeaders, now: Moment) {
        let window = self.group_mut(group);
        let until = match (headers.status, headers.retry_after) {
            (429 | 503, Some(wait)) => now.after(wait),
            (429, None) => now.after(window.length.max(MIN_PENALTY)),
            _ => return,
        };
        if headers.status == 503 || headers.group.is_some() {
            window.block_until(until);
        } else {
            self.blocked_until = self.blocked_until.max(Some(until));
        }
    }

    /// Returns the expected pages of the next fetch: at most what a window holds, so that a list that has become
    /// shorter again is noticed.
    #[must_use]
    pub fn expected_pages(&self) -> u32 {
        self.page_estimate.min(self.max_pages())
    }

    fn available_at(&self, group: UsageGroup, requests: u32, now: Moment) -> Moment {
        let available_at = self.group(group).available_at(requests, now);
        available_at.max(self.blocked_until.unwrap_or(now))
    }

    fn group(&self, group: UsageGroup) -> &RateLimitWindow {
        match group {
            UsageGroup::Heavy => &self.heavy,
            UsageGroup::Medium => &self.medium,
            UsageGroup::Auth => &self.auth,
        }
    }

    fn group_mut(&mut self, group: UsageGroup) -> &mut RateLimitWindow {
        match group {
            UsageGroup::Heavy => &mut self.heavy,
            UsageGroup::Medium => &mut self.medium,
            UsageGroup::Auth => &mut self.auth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAVY: Operation = Operation::ActiveCalls;

    fn new_budget() -> (Budget, Moment) {
        (Budget::new(Duration::ZERO), Moment::now())
    }

    fn at(start: Moment, seconds: f64) -> Moment {
        start.after(Duration::from_secs_f64(seconds))
    }

    fn request(budget: &mut Budget, operation: Operation, headers: &RateLimitHeaders, now: Moment) {
        budget.record_request(operation, now);
        budget.record_response(operation, Some(headers), now);
    }

    fn penalty(group: Option<&str>, retry_after: Option<u64>) -> RateLimitHeaders {
        RateLimitHeaders {
            status: 429,
            group: group.map(str::to_owned),
            retry_after: retry_after.map(Duration::from_secs),
            ..RateLimitHeaders::default()
        }
    }

    fn fetch(budget: &mut Budget, pages: u32, now: Moment) {
        budget.record_fetch_start(now);
        for _ in 0..pages {
            request(budget, HEAVY, &RateLimitHeaders::default(), now);
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
    fn default_limit_allows_one_page_every_7500_ms() {
        let (mut budget, start) = new_budget();
        assert_eq!(wait(&budget, start), 0.0);
        fetch(&mut budget, 1, start);
        assert_eq!(wait(&budget, start), 7.5);
        fetch(&mut budget, 3, at(start, 10.0));
        assert_eq!(wait(&budget, at(start, 10.0)), 22.5);
    }

    #[test]
    fn min_interval_never_makes_fetches_more_frequent() {
        let mut budget = Budget::new(Duration::from_secs(20));
        let start = Moment::now();
        fetch(&mut budget, 1, start);
        assert_eq!(wait(&budget, start), 20.0);
        let mut budget = Budget::new(Duration::from_millis(1));
        fetch(&mut budget, 1, start);
        assert_eq!(wait(&budget, start), 7.5);
    }

    #[test]
    fn penalty_with_group_blocks_only_that_group() {
        let (mut budget, start) = new_budget();
        request(&mut budget, HEAVY, &penalty(Some("heavy"), Some(17)), start);
        assert_eq!(wait(&budget, start), 17.0);
        assert_eq!(budget.next_request_at(Operation::Token, start), start);
    }

    #[test]
    fn penalty_without_group_blocks_all_groups() {
        let (mut budget, start) = new_budget();
        request(
            &mut budget,
            Operation::Token,
            &penalty(None, Some(17)),
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
    fn penalty_without_retry_after_lasts_one_window() {
        let (mut budget, start) = new_budget();
        request(&mut budget, HEAVY, &penalty(Some("heavy"), None), start);
        assert_eq!(wait(&budget, start), 60.0);
        let (mut budget, start) = new_budget();
        let short = RateLimitHeaders {
            window: Some(Duration::from_secs(5)),
            ..penalty(Some("heavy"), None)
        };
        request(&mut budget, HEAVY, &short, start);
        assert_eq!(wait(&budget, start), 30.0);
    }

    #[test]
    fn retry_after_of_503_is_obeyed() {
        let (mut budget, start) = new_budget();
        let unavailable = RateLimitHeaders {
            status: 503,
            ..penalty(None, Some(40))
        };
        request(&mut budget, HEAVY, &unavailable, start);
        assert_eq!(wait(&budget, start), 40.0);
        let (mut budget, start) = new_budget();
        request(
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
    fn fetch_of_unknown_length_waits_for_empty_window() {
        let (mut budget, start) = new_budget();
        fetch(&mut budget, 4, start);
        let now = at(start, 30.0);
        budget.record_fetch_start(now);
        for _ in 0..4 {
            request(&mut budget, HEAVY, &RateLimitHeaders::default(), now);
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
        fetch(&mut budget, 5, at(start, 91.0));
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
    fn failed_fetch_raises_expected_pages() {
        let (mut budget, start) = new_budget();
        fetch(&mut budget, 2, start);
        budget.record_page_count(PageCount::AtLeast(1));
        assert_eq!(wait(&budget, start), 15.0);
        budget.record_page_count(PageCount::AtLeast(4));
        assert_eq!(wait(&budget, start), 30.0);
    }

    #[test]
    fn account_penalty_is_never_shortened() {
        let (mut budget, start) = new_budget();
        request(&mut budget, HEAVY, &penalty(None, Some(100)), start);
        request(
            &mut budget,
            Operation::Token,
            &penalty(None, Some(10)),
            start,
        );
        assert_eq!(wait(&budget, start), 100.0);
    }

    #[test]
    fn groups_with_one_name_are_reported_once() {
        let (mut budget, start) = new_budget();
        for (operation, limit) in [(Operation::Token, 5), (HEAVY, 10)] {
            let group = Some("default".to_owned());
            request(
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
        let limits: Vec<_> = budget
            .reported_limits()
            .into_iter()
            .map(|limit| (limit.group, limit.limit))
            .collect();
        assert_eq!(limits, [("default".to_owned(), 10)]);
    }

    #[test]
    fn first_response_updates_limit_before_next_request() {
        let (mut budget, start) = new_budget();
        let small = RateLimitHeaders {
            status: 200,
            limit: Some(1),
            window: Some(Duration::from_secs(100)),
            ..RateLimitHeaders::default()
        };
        request(&mut budget, HEAVY, &small, start);
        assert_eq!(
            budget
                .next_request_at(HEAVY, start)
                .saturating_duration_since(start)
                .as_secs(),
            101
        );
        let limits = budget.reported_limits();
        assert_eq!(limits.len(), 1);
        assert_eq!((limits[0].group.as_str(), limits[0].limit), ("heavy", 1));
    }
}
