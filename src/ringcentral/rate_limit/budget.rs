//! The rate limit budget of one account: when its requests and fetches may start. The time is an argument.
//!
//! If each request and response is recorded here, and requests are sent only when allowed, the exporter causes no 429
//! as long as other tools use at most one fifth of the limit. Accounts of one user and app share its limits.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::rate_limit::presence::PresencePages;
use crate::ringcentral::rate_limit::shared::SharedUsage;
use crate::ringcentral::rate_limit::usage::Usage;
use crate::ringcentral::rate_limit::window::MAX_REQUEST_TIME;
use crate::ringcentral::status::ReportedLimit;

/// The budget of one account.
#[derive(Debug)]
pub struct Budget {
    usage: Arc<SharedUsage>,
    /// A random number that no other account has.
    account: u64,
    min_interval: Duration,
    /// Expected pages of the next fetch, without the bound of the window.
    page_estimate: u32,
    last_fetch: Option<Moment>,
    /// Pages of the fetch in progress that are reserved and not requested yet.
    reserved: u32,
    /// The request without a response, and when it was sent.
    in_flight: Option<(Operation, Moment)>,
    /// Whether RingCentral has responded to a page of calls, so that the limit is known.
    is_limit_known: bool,
    presence: PresencePages,
}

/// When this many pages of calls are available.
type AvailableAt = fn(&Usage, u32, Moment) -> Moment;

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
    /// Creates a budget that shares its limits with no other account. `min_interval` can make fetches rarer than the
    /// limit allows, never more frequent.
    #[must_use]
    pub fn new(min_interval: Duration) -> Self {
        Self {
            usage: Arc::new(SharedUsage::unshared()),
            account: fastrand::u64(..),
            min_interval,
            page_estimate: 1,
            last_fetch: None,
            reserved: 0,
            in_flight: None,
            is_limit_known: false,
            presence: PresencePages::default(),
        }
    }

    /// Continues with another usage.
    pub fn join(&mut self, usage: Arc<SharedUsage>, now: Moment) {
        self.replace_usage(usage, now, |_, _| {});
    }

    /// Continues with the usage of the user that a login has named. It takes over what the response to the login has
    /// reported and, unless the former usage is that of another user, what has been used so far.
    pub(crate) fn join_user(&mut self, usage: Arc<SharedUsage>, was_other_user: bool, now: Moment) {
        self.replace_usage(usage, now, |usage, former| {
            usage.take_over(former, was_other_user, now);
        });
    }

    /// Continues with the pace and the page estimate of a stopped budget.
    pub(crate) fn resume_pace(&mut self, stopped: &Self) {
        self.page_estimate = stopped.page_estimate;
        self.last_fetch = stopped.last_fetch;
    }

    /// Returns the usage that this budget shares.
    pub(crate) fn usage(&self) -> Arc<SharedUsage> {
        self.usage.clone()
    }

    /// Returns when the next fetch may start, as far as is known now: the minimum interval has passed, and the window
    /// holds all expected pages.
    #[must_use]
    pub fn next_fetch_at(&self, now: Moment) -> Moment {
        let pages = self.expected_pages();
        let next = self
            .usage
            .read(|usage| usage.fetch_available_at(pages, now));
        next.max(self.next_pace_at(now))
    }

    /// Returns the minimum time between the starts of two fetches of the expected number of pages.
    #[must_use]
    pub fn min_fetch_interval(&self, now: Moment) -> Duration {
        let interval = self.usage.read(|usage| {
            let own = self.page_estimate.min(usage.max_pages());
            usage.min_fetch_interval(self.account, own, now)
        });
        interval.max(self.min_interval)
    }

    /// Returns when one request of this operation may be sent.
    #[must_use]
    pub fn next_request_at(&self, operation: Operation, now: Moment) -> Moment {
        let reserved = self.reserved_for(operation);
        self.usage
            .read(|usage| usage.available_at(operation, 1, reserved, now))
    }

    /// Returns the maximum number of pages of a fetch, which is what one window holds.
    #[must_use]
    pub fn max_pages(&self) -> u32 {
        self.usage.read(|usage| usage.max_pages())
    }

    /// Returns the expected pages of the next fetch: at most what a window holds, so that a list that has become
    /// shorter again is noticed.
    #[must_use]
    pub fn expected_pages(&self) -> u32 {
        self.page_estimate.min(self.max_pages())
    }

    /// Starts a fetch and reserves its expected pages. Returns whether a fetch may start now.
    pub fn try_start_fetch(&mut self, now: Moment) -> bool {
        self.record_presence_opportunity(now);
        if self.next_pace_at(now) > now {
            return false;
        }
        if !self.may_reserve(now, Usage::fetch_available_at) {
            // Another process may have used less than was known.
            self.usage.refresh(now);
        }
        if self.may_reserve(now, Usage::fetch_available_at) {
            self.reserved = self.reserve(self.expected_pages(), now, Usage::fetch_available_at);
        }
        if self.reserved == 0 {
            self.usage
                .record_wait(self.account, self.expected_pages(), now);
            return false;
        }
        self.last_fetch = Some(now);
        true
    }

    /// Reserves the expected pages for a fetch that starts again at its first page, after [`Budget::finish_fetch`].
    /// Returns whether the window holds them now.
    pub fn try_restart_fetch(&mut self, now: Moment) -> bool {
        if self.may_reserve(now, Usage::pages_available_at) {
            self.reserved = self.reserve(self.expected_pages(), now, Usage::pages_available_at);
        }
        self.reserved > 0
    }

    /// Ends a fetch and its reservation, and records the number of pages that it has revealed, if it has.
    pub fn finish_fetch(&mut self, page_count: Option<PageCount>, now: Moment) {
        self.page_estimate = match page_count {
            None => self.page_estimate,
            Some(PageCount::Exact(pages)) => pages.max(1),
            Some(PageCount::AtLeast(pages)) => self.page_estimate.max(pages),
            Some(PageCount::Unknown) => u32::MAX,
        };
        let reserved = std::mem::take(&mut self.reserved);
        let pages = self.expected_pages();
        self.usage.update(now, |usage| {
            usage.release(reserved);
            usage.set_pages(self.account, pages);
        });
    }

    /// Records that a request is sent, if one may be sent now. Returns whether it may.
    pub fn try_request(&mut self, operation: Operation, now: Moment) -> bool {
        let reserved = self.reserved_for(operation);
        let is_allowed = self.usage.update(now, |usage| {
            if !usage.available_at(operation, 1, reserved, now).is_past(now) {
                return false;
            }
            usage.release(reserved.min(1));
            usage.record_request(operation, now);
            true
        });
        if is_allowed {
            self.reserved -= reserved.min(1);
            self.in_flight = Some((operation, now));
        }
        is_allowed
    }

    /// Records a response, or a request that timed out if `headers` is `None`.
    pub fn record_response(
        &mut self,
        operation: Operation,
        headers: Option<&RateLimitHeaders>,
        now: Moment,
    ) {
        self.in_flight = None;
        self.usage.update(now, |usage| {
            usage.record_response(operation, headers, now);
        });
        self.is_limit_known |= operation == Operation::ActiveCalls && headers.is_some();
        if operation == Operation::Presence {
            self.presence.last_page = Some(now);
            self.share_presence(now);
        }
    }

    /// Sets whether a read of the presence list is due. While one is, and until its last page has left the window, calls
    /// leave room for its pages.
    pub fn set_presence_due(&mut self, is_due: bool, now: Moment) {
        let was_due = std::mem::replace(&mut self.presence.is_due, is_due);
        if was_due != is_due {
            self.presence.due_at = Some(now);
            self.share_presence(now);
        } else {
            self.record_presence_opportunity(now);
        }
    }

    /// Records the number of pages that the presence list is known to have; a complete read has shown the exact one.
    pub fn record_presence_pages(&mut self, pages: u32, is_exact: bool, now: Moment) {
        let known = match is_exact {
            true => pages.max(1),
            false => self.presence.pages.max(pages),
        };
        if self.presence.pages != known {
            self.presence.pages = known;
            self.share_presence(now);
        }
    }

    /// Returns whether a page of the presence list may be requested: calls were fetched before, no fetch waits for room,
    /// the next one has room at its pace after the page, and no other account has waited longer for a page.
    #[must_use]
    pub fn can_request_presence(&self, now: Moment) -> bool {
        if !self.is_limit_known {
            return false;
        }
        let expected = self.expected_pages();
        let next = self.next_fetch_at(now);
        self.usage.read(|usage| {
            let waiting = usage.pages_waiting(now).saturating_add(1);
            let with_next = expected.saturating_add(1);
            usage.is_presence_turn(self.account, now)
                && usage
                    .available_at(Operation::Presence, 1, 0, now)
                    .is_past(now)
                && usage.pages_available_at(waiting, now).is_past(now)
                && usage.pages_available_at(with_next, next).is_past(next)
        })
    }

    /// Returns the time from one complete read of the presence list to the next, by the pages that a window has room for,
    /// or `Duration::MAX` if calls need the whole window.
    #[must_use]
    pub fn presence_read_interval(&self) -> Duration {
        if self.page_estimate == u32::MAX {
            // The next fetch finds out how many pages the calls need.
            return Duration::ZERO;
        }
        let pages = self.presence.pages;
        self.usage.read(|usage| usage.presence_read_interval(pages))
    }

    /// Ends the use by this account. A request in flight counts as completed now, because no task waits for its
    /// response any more.
    pub fn abandon(&mut self, now: Moment) {
        if let Some((operation, _)) = self.in_flight {
            self.record_response(operation, None, now);
        }
        self.leave(now);
    }

    /// Ends the wait for the response to a request, if there is one. RingCentral may still receive it until its timeout,
    /// so it counts as long as if that had passed. Returns its operation and age.
    pub fn abandon_request(&mut self, now: Moment) -> Option<(Operation, Duration)> {
        let (operation, sent) = self.in_flight.take()?;
        let timeout = sent.after(MAX_REQUEST_TIME);
        self.usage
            .update(now, |usage| usage.record_abandoned(operation, timeout));
        if operation == Operation::Presence {
            self.presence.last_page = Some(timeout);
            self.share_presence(now);
        }
        Some((operation, now.monotonic_duration_since(sent)))
    }

    /// Returns the end of the penalty that blocks this operation, present or past.
    #[must_use]
    pub fn blocked_until(&self, operation: Operation) -> Option<Moment> {
        self.usage.read(|usage| usage.blocked_until(operation))
    }

    /// Returns whether a request of another operation now does not postpone the next fetch. It can only if RingCentral
    /// counts both operations in one group.
    #[must_use]
    pub fn leaves_room_for_fetch(&self, operation: Operation, now: Moment) -> bool {
        let fetch = Operation::ActiveCalls;
        let requests = self.expected_pages().saturating_add(1);
        let next = self.next_fetch_at(now);
        self.usage.read(|usage| {
            !usage.have_common_group(operation, fetch)
                || (requests <= usage.max_pages()
                    && usage.fetch_available_at(requests, next).is_past(next))
        })
    }

    /// Returns how many requests are left in the group of an operation, those reserved for other tools included.
    #[must_use]
    pub fn requests_left(&self, operation: Operation, now: Moment) -> u32 {
        self.usage.read(|usage| usage.requests_left(operation, now))
    }

    /// Returns the limits that RingCentral last reported. Names of groups are RingCentral's; of two groups with
    /// one name only the first is returned.
    #[must_use]
    pub fn reported_limits(&self) -> Vec<ReportedLimit> {
        self.usage.read(|usage| usage.reported_limits())
    }

    /// Continues with another usage, after `take_over` has got that one and the former one.
    fn replace_usage(
        &mut self,
        usage: Arc<SharedUsage>,
        now: Moment,
        take_over: impl FnOnce(&SharedUsage, &SharedUsage),
    ) {
        if Arc::ptr_eq(&self.usage, &usage) {
            return;
        }
        let reserved = self.leave(now);
        take_over(&usage, &self.usage);
        self.usage = usage;
        self.reserved = self.reserve(reserved, now, Usage::pages_available_at);
        self.share_presence(now);
    }

    /// Ends the use of the present usage. Returns the pages that were reserved.
    fn leave(&mut self, now: Moment) -> u32 {
        let reserved = std::mem::take(&mut self.reserved);
        self.usage.update(now, |usage| {
            usage.release(reserved);
            usage.remove_account(self.account);
        });
        reserved
    }

    /// Returns when the minimum interval has passed, `now` at the earliest.
    fn next_pace_at(&self, now: Moment) -> Moment {
        match self.last_fetch {
            Some(last_fetch) => now.max(last_fetch.after(self.min_fetch_interval(now))),
            None => now,
        }
    }

    /// Returns whether the window holds the expected pages, and those of the accounts that have waited longer.
    fn may_reserve(&self, now: Moment, available_at: AvailableAt) -> bool {
        let pages = self.expected_pages();
        self.usage.read(|usage| {
            let ahead = usage.pages_ahead(self.account, now);
            let all = pages.saturating_add(ahead);
            let fits = ahead == 0 || all <= usage.max_fetched_pages(now);
            fits && available_at(usage, all, now).is_past(now)
        })
    }

    /// Reserves pages, if the window holds them now. Returns their number, or 0.
    fn reserve(&self, pages: u32, now: Moment, available_at: AvailableAt) -> u32 {
        self.usage.update(now, |usage| {
            if pages == 0 || !available_at(usage, pages, now).is_past(now) {
                return 0;
            }
            usage.reserve(pages);
            usage.set_pages(self.account, pages);
            usage.end_wait(self.account);
            pages
        })
    }

    /// Records that this account can read its presence list now, if a read is due.
    fn record_presence_opportunity(&mut self, now: Moment) {
        if self.presence.is_due {
            self.presence.due_at = Some(now);
            self.usage.set_presence(self.account, self.presence, now);
        }
    }

    /// Shares what is known of the presence list with the other accounts and processes.
    fn share_presence(&mut self, now: Moment) {
        if self.presence == PresencePages::default() {
            return;
        }
        self.usage.update(now, |usage| {
            let last_page = self.presence.last_page;
            self.presence.until = last_page.map(|at| usage.end_of_presence(at));
            usage.set_presence(self.account, self.presence);
        });
    }

    fn reserved_for(&self, operation: Operation) -> u32 {
        match operation {
            Operation::ActiveCalls => self.reserved,
            _ => 0,
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.usage.remove_account(self.account);
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
        budget.try_request(operation, now);
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
        assert!(budget.try_start_fetch(now));
        for _ in 0..pages {
            request(budget, HEAVY, &RateLimitHeaders::default(), now);
        }
        budget.finish_fetch(Some(PageCount::Exact(pages)), now);
    }

    fn wait(budget: &Budget, now: Moment) -> f64 {
        budget
            .next_fetch_at(now)
            .saturating_duration_since(now)
            .as_secs_f64()
    }

    #[test]
    fn other_list_in_same_group_does_not_postpone_fetch() {
        let (mut budget, start) = new_budget();
        let extensions = Operation::Extensions;
        fetch(&mut budget, 5, start);
        assert!(
            budget.leaves_room_for_fetch(extensions, start),
            "another group"
        );
        let heavy = RateLimitHeaders {
            group: Some("heavy".to_owned()),
            ..RateLimitHeaders::default()
        };
        let mut sent = 0;
        let now = at(start, 1.0);
        while budget.leaves_room_for_fetch(extensions, now) {
            request(&mut budget, extensions, &heavy, now);
            sent += 1;
        }
        assert_eq!((sent, wait(&budget, start)), (3, 61.0));
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
        assert_eq!(wait(&budget, start), 60.0);
        let long = RateLimitHeaders {
            window: Some(Duration::from_secs(86_400)),
            ..penalty(None, None)
        };
        request(&mut budget, Operation::Token, &long, start);
        assert_eq!(wait(&budget, start), 86_400.0);
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
        assert!(budget.try_start_fetch(now));
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
        budget.finish_fetch(Some(PageCount::Unknown), start);
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
        budget.finish_fetch(Some(PageCount::AtLeast(1)), start);
        assert_eq!(wait(&budget, start), 15.0);
        budget.finish_fetch(Some(PageCount::AtLeast(4)), start);
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

    fn request_wait(budget: &Budget, operation: Operation, now: Moment) -> f64 {
        let next = budget.next_request_at(operation, now);
        next.saturating_duration_since(now).as_secs_f64()
    }

    #[test]
    fn retry_after_of_any_5xx_blocks_only_its_group() {
        for status in [500, 502, 504, 529, 599] {
            let (mut budget, start) = new_budget();
            let failure = RateLimitHeaders {
                status,
                ..penalty(None, Some(90))
            };
            request(&mut budget, Operation::Extensions, &failure, start);
            assert_eq!(
                request_wait(&budget, Operation::Extensions, start),
                90.0,
                "{status}"
            );
            assert_eq!(wait(&budget, start), 0.0, "{status}");
        }
    }

    #[test]
    fn unreadable_retry_after_lasts_at_least_a_window() {
        for (status, retry_after, expected) in [
            (429, None, 60.0),
            (429, Some(90), 90.0),
            (502, None, 60.0),
            (404, None, 0.0),
        ] {
            let (mut budget, start) = new_budget();
            let mut headers = RateLimitHeaders {
                status,
                ..penalty(Some("heavy"), retry_after)
            };
            headers.unreadable.retry_after = true;
            request(&mut budget, HEAVY, &headers, start);
            assert_eq!(wait(&budget, start), expected, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn group_in_the_header_is_blocked_whatever_was_asked() {
        let (mut budget, start) = new_budget();
        request(
            &mut budget,
            Operation::Extensions,
            &penalty(Some("heavy"), Some(90)),
            start,
        );
        for operation in [HEAVY, Operation::Extensions] {
            assert_eq!(request_wait(&budget, operation, start), 90.0);
            assert!(budget.blocked_until(operation).is_some());
        }
        assert_eq!(request_wait(&budget, Operation::Token, start), 0.0);
        let (mut budget, start) = new_budget();
        let used_up = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            remaining: Some(0),
            ..RateLimitHeaders::default()
        };
        request(&mut budget, Operation::Token, &used_up, start);
        assert_eq!(wait(&budget, start), 61.0);
    }

    #[test]
    fn request_counts_in_its_own_and_in_the_named_group() {
        let (mut budget, start) = new_budget();
        let heavy = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            ..RateLimitHeaders::default()
        };
        for _ in 0..8 {
            request(&mut budget, Operation::Extensions, &heavy, start);
        }
        assert_eq!(wait(&budget, start), 61.0);
        assert_eq!(request_wait(&budget, Operation::Extensions, start), 61.0);
        let now = at(start, 61.0);
        for _ in 0..8 {
            request(&mut budget, HEAVY, &heavy, now);
        }
        assert_eq!(request_wait(&budget, Operation::Extensions, now), 61.0);
        let own = RateLimitHeaders {
            group: Some("medium".to_owned()),
            ..heavy
        };
        request(&mut budget, Operation::Extensions, &own, now);
        assert_eq!(request_wait(&budget, Operation::Extensions, now), 0.0);
    }

    #[test]
    fn request_in_flight_is_forgotten_by_all_its_groups() {
        let (mut budget, start) = new_budget();
        let named = |group: &str| RateLimitHeaders {
            group: Some(group.to_owned()),
            ..RateLimitHeaders::default()
        };
        request(&mut budget, Operation::Extensions, &named("heavy"), start);
        budget.try_request(Operation::Extensions, start);
        budget.try_request(Operation::Extensions, start);
        budget.record_response(Operation::Extensions, Some(&named("medium")), start);
        budget.record_response(Operation::Extensions, Some(&named("medium")), start);
        budget.finish_fetch(Some(PageCount::Exact(8)), start);
        assert_eq!(wait(&budget, at(start, 61.0)), 0.0);
    }

    #[test]
    fn unknown_group_is_remembered_and_shared_by_its_name() {
        let (mut budget, start) = new_budget();
        let light = |remaining: Option<u32>| RateLimitHeaders {
            status: 200,
            group: Some("light".to_owned()),
            limit: Some(1000),
            remaining,
            ..RateLimitHeaders::default()
        };
        request(&mut budget, HEAVY, &light(None), start);
        assert_eq!(budget.max_pages(), 800, "the limit applies to the calls");
        request(&mut budget, Operation::Token, &light(Some(0)), start);
        assert_eq!(
            wait(&budget, start),
            61.0,
            "both operations are in the group"
        );
        assert_eq!(request_wait(&budget, Operation::Token, start), 61.0);
        assert_eq!(request_wait(&budget, Operation::Extensions, start), 0.0);
        request(
            &mut budget,
            Operation::Token,
            &penalty(Some("light"), Some(100)),
            start,
        );
        assert_eq!(wait(&budget, start), 100.0);
    }

    #[test]
    fn extreme_page_counts_and_intervals_do_not_overflow() {
        let (mut budget, start) = new_budget();
        budget.min_interval = Duration::MAX;
        fetch(&mut budget, 1, start);
        budget.finish_fetch(Some(PageCount::Exact(u32::MAX)), start);
        assert!(wait(&budget, start) > 86_400.0);
        budget.min_interval = Duration::ZERO;
        assert_eq!(budget.min_fetch_interval(start), Duration::from_secs(60));
        let long = RateLimitHeaders {
            limit: Some(100),
            window: Some(Duration::from_secs(86_400)),
            ..RateLimitHeaders::default()
        };
        budget.finish_fetch(Some(PageCount::Exact(2)), start);
        request(&mut budget, HEAVY, &long, start);
        assert_eq!(budget.min_fetch_interval(start), Duration::from_secs(2160));
    }

    #[test]
    fn wall_clock_jump_ends_no_penalty_and_no_window() {
        let (mut budget, start) = new_budget();
        request(&mut budget, HEAVY, &penalty(Some("heavy"), Some(90)), start);
        let resumed = Moment {
            wall: start.after(Duration::from_secs(3600)).wall,
            ..start
        };
        assert!(!budget.next_fetch_at(resumed).is_past(resumed));
        assert!(!budget.next_request_at(HEAVY, resumed).is_past(resumed));
    }

    /// Returns the budgets of two accounts of one user.
    fn two_accounts() -> (Budget, Budget, Moment) {
        let (first, start) = new_budget();
        let (mut second, _) = new_budget();
        second.join(first.usage(), start);
        (first, second, start)
    }

    /// Fetches pages if a fetch may start, and returns whether it may.
    fn try_fetch(budget: &mut Budget, pages: u32, now: Moment) -> bool {
        if !budget.try_start_fetch(now) {
            return false;
        }
        for _ in 0..pages {
            request(budget, HEAVY, &RateLimitHeaders::default(), now);
        }
        budget.finish_fetch(Some(PageCount::Exact(pages)), now);
        true
    }

    #[test]
    fn event_tokens_in_flight_leave_room_for_a_login() {
        let (mut one, mut other, start) = two_accounts();
        let token = Operation::EventToken;
        let answer = |remaining| RateLimitHeaders {
            status: 200,
            group: Some("auth".to_owned()),
            limit: Some(3),
            remaining: Some(remaining),
            ..RateLimitHeaders::default()
        };
        request(&mut one, Operation::Token, &answer(2), start);
        let later = at(start, 70.0);
        assert!(one.try_request(token, later));
        // RingCentral may have counted both before it answers the first.
        let remaining = match other.try_request(token, later) {
            true => 1,
            false => 2,
        };
        one.record_response(token, Some(&answer(remaining)), later);
        assert!(one.next_request_at(Operation::Token, later).is_past(later));
    }

    #[test]
    fn account_that_needs_the_whole_window_is_not_starved() {
        let (mut long, mut short, start) = two_accounts();
        long.finish_fetch(Some(PageCount::Exact(8)), start);
        let mut fetches = [0, 0];
        for second in (0..1200).step_by(5) {
            let now = at(start, f64::from(second));
            fetches[0] += u32::from(try_fetch(&mut short, 1, now));
            fetches[1] += u32::from(try_fetch(&mut long, 8, now));
        }
        assert!(fetches.iter().all(|count| *count >= 8), "{fetches:?}");
    }

    #[test]
    fn account_that_is_not_scraped_any_more_holds_no_other() {
        let (mut long, mut short, start) = two_accounts();
        long.finish_fetch(Some(PageCount::Exact(8)), start);
        assert!(try_fetch(&mut short, 1, start));
        assert!(!try_fetch(&mut long, 8, at(start, 1.0)));
        assert!(!try_fetch(&mut short, 1, at(start, 80.0)));
        assert!(try_fetch(&mut short, 1, at(start, 150.0)));
    }

    #[test]
    fn presence_of_an_account_without_scrapes_slows_no_other() {
        let (mut first, mut second, start) = two_accounts();
        assert!(try_fetch(&mut first, 1, start) && try_fetch(&mut second, 1, start));
        let undisturbed = second.min_fetch_interval(start);
        first.set_presence_due(true, start);
        assert!(second.min_fetch_interval(at(start, 119.0)) > undisturbed);
        assert_eq!(second.min_fetch_interval(at(start, 120.0)), undisturbed);
        first.set_presence_due(true, at(start, 200.0));
        assert!(second.min_fetch_interval(at(start, 200.0)) > undisturbed);
    }

    #[test]
    fn abandoned_page_counts_as_if_it_had_timed_out() {
        let (mut budget, start) = new_budget();
        let presence = Operation::Presence;
        fetch(&mut budget, 1, start);
        assert_eq!(budget.abandon_request(start), None, "it has a response");
        assert!(budget.try_request(presence, at(start, 10.0)));
        let waited = Duration::from_secs(2);
        let abandoned = budget.abandon_request(at(start, 12.0));
        assert_eq!(abandoned, Some((presence, waited)));
        let left = |seconds| budget.requests_left(presence, at(start, seconds));
        assert_eq!((left(12.0), left(81.9), left(82.0)), (8, 9, 10));
    }

    #[test]
    fn presence_is_read_in_as_many_windows_as_calls_leave() {
        let (mut budget, start) = new_budget();
        for (call_pages, presence_pages, seconds) in [
            (1, 1, 60),
            (1, 4, 60),
            (1, 5, 120),
            (1, 9, 180),
            (6, 4, 120),
        ] {
            budget.finish_fetch(Some(PageCount::Exact(call_pages)), start);
            budget.record_presence_pages(presence_pages, true, start);
            assert_eq!(budget.presence_read_interval().as_secs(), seconds);
        }
        budget.finish_fetch(Some(PageCount::Exact(8)), start);
        assert_eq!(budget.presence_read_interval(), Duration::MAX);
        budget.finish_fetch(Some(PageCount::Unknown), start);
        assert_eq!(budget.presence_read_interval(), Duration::ZERO);
    }

    #[test]
    fn request_of_an_abandoned_account_leaves_the_window() {
        let (mut first, mut second, start) = two_accounts();
        assert!(first.try_start_fetch(start) && first.try_request(HEAVY, start));
        first.abandon(start);
        assert!(first.try_request(Operation::Revoke, start));
        first.record_response(Operation::Revoke, None, start);
        second.finish_fetch(Some(PageCount::Exact(8)), start);
        assert!(!second.try_start_fetch(at(start, 60.9)));
        assert!(second.try_start_fetch(at(start, 61.0)));
    }
}
