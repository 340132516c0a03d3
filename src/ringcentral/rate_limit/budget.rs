//! The account's budget with the API: **pure**, with the clock as an argument.
//!
//! Owns: which request may leave now, when a walk over the pages may start, and who is silent for how long. It is
//! told of each request before it leaves and of each answer. Whoever asks it first and then sends causes no 429, as long as
//! other tools keep to the fifth that is left to them.
//! Refuses to know: HTTP, tokens, and who wants the calls.

use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::{Group, Operation};
use crate::ringcentral::rate_limit::headers::Notice;
use crate::ringcentral::rate_limit::window::Window;
use crate::ringcentral::status::RateLimit;

/// The least wait after a 429 that names none (the guide says so).
const SILENCE_LEAST: Duration = Duration::from_secs(30);

/// Windows of all groups, the account's silence, and the pace of walks.
#[derive(Clone, Debug)]
pub struct Budget {
    heavy: Bucket,
    medium: Bucket,
    auth: Bucket,
    silent_until: Option<Moment>,
    min_interval: Duration,
    pages: u32,
    last_walk: Option<Moment>,
}

/// How a walk over the pages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// With its last page; it had so many.
    Whole(u32),
    /// With a failure; it had come to ask for so many, so there are at least as many.
    Broken(u32),
    /// With no room for another request. How long the list is stays unknown, so the next walk waits for an empty
    /// window: a list that any window holds is then fetched, while feeling the way page by page could take many.
    OverBudget,
}

/// A group's window, and what it last announced.
#[derive(Clone, Debug)]
struct Bucket {
    window: Window,
    announced: Option<RateLimit>,
}

impl Budget {
    /// A budget of which nothing is known yet. `min_interval` makes walks rarer than the pace; it never makes them
    /// more frequent.
    #[must_use]
    pub fn new(min_interval: Duration) -> Self {
        Self {
            heavy: Bucket::new(Group::Heavy),
            medium: Bucket::new(Group::Medium),
            auth: Bucket::new(Group::Auth),
            silent_until: None,
            min_interval,
            pages: 1,
            last_walk: None,
        }
    }

    /// When a walk may start, as far as is known now: it keeps the pace, and the window holds all pages expected.
    #[must_use]
    pub fn walk_at(&self, now: Moment) -> Moment {
        let window = &self.heavy.window;
        let pages = self.expected_pages();
        let paced = self.last_walk.map_or(now, |last| last.after(self.pace()));
        self.audible_at(now)
            .or_later(paced)
            .or_later(window.open_at(pages, now))
    }

    /// The least time between the starts of two walks as long as the next is expected to be.
    #[must_use]
    pub fn pace(&self) -> Duration {
        self.heavy
            .window
            .pace(self.expected_pages())
            .max(self.min_interval)
    }

    /// When one request of this operation may leave.
    #[must_use]
    pub fn request_at(&self, operation: Operation, now: Moment) -> Moment {
        let window = &self.bucket(operation.group()).window;
        self.audible_at(now).or_later(window.open_at(1, now))
    }

    /// The requests in one window that a walk may use at the most.
    #[must_use]
    pub fn longest_walk(&self) -> u32 {
        self.heavy.window.usable()
    }

    /// A walk starts.
    pub fn walk_starts(&mut self, now: Moment) {
        self.last_walk = Some(now);
    }

    /// A walk has ended, and has told how many pages to expect of the next.
    pub fn walk_ended(&mut self, walked: Walked) {
        self.pages = match walked {
            Walked::Whole(pages) => pages.max(1),
            Walked::Broken(asked) => self.pages.max(asked),
            Walked::OverBudget => u32::MAX,
        };
    }

    /// A request leaves.
    pub fn sent(&mut self, operation: Operation, now: Moment) {
        self.bucket_mut(operation.group()).window.sent(now);
    }

    /// An answer came; without a notice none came in time.
    pub fn answered(&mut self, operation: Operation, notice: Option<&Notice>, now: Moment) {
        let group = operation.group();
        let bucket = self.bucket_mut(group);
        bucket.window.answered(now);
        let Some(notice) = notice else { return };
        bucket.window.heed(notice, now);
        bucket.announce(group, notice);
        self.heed_refusal(group, notice, now);
    }

    /// Whoever asked has gone, and waits for no answer any more.
    pub fn settle(&mut self, now: Moment) {
        for bucket in [&mut self.heavy, &mut self.medium, &mut self.auth] {
            bucket.window.settle(now);
        }
    }

    /// The end of the silence that holds this operation, present or past.
    #[must_use]
    pub fn silent_until(&self, operation: Operation) -> Option<Moment> {
        let group = self.bucket(operation.group()).window.silent_until();
        match (self.silent_until, group) {
            (Some(account), Some(group)) => Some(account.or_later(group)),
            (account, group) => account.or(group),
        }
    }

    /// What the groups last announced. Names are the API's and may be the same for two: the first stands for both.
    #[must_use]
    pub fn announced(&self) -> Vec<RateLimit> {
        let all = Group::ALL.into_iter();
        let mut announced: Vec<RateLimit> = Vec::new();
        for limit in all.filter_map(|group| self.bucket(group).announced.as_ref()) {
            if announced.iter().all(|present| present.group != limit.group) {
                announced.push(limit.clone());
            }
        }
        announced
    }

    /// A 429 without a group is the account's or our address' own limit, so all is silent. Any request inside a
    /// penalty starts it again.
    fn heed_refusal(&mut self, group: Group, notice: &Notice, now: Moment) {
        let window = &mut self.bucket_mut(group).window;
        let least = window.length().max(SILENCE_LEAST);
        match (notice.status, notice.retry_after) {
            (429, wait) if notice.group.is_some() => {
                window.silence(now.after(wait.unwrap_or(least)))
            }
            (429, wait) => {
                let until = now.after(wait.unwrap_or(least));
                self.silent_until = Some(
                    self.silent_until
                        .map_or(until, |present| present.or_later(until)),
                );
            }
            (503, Some(wait)) => window.silence(now.after(wait)),
            _ => {}
        }
    }

    /// The pages that the next walk sets out for: never more than a window can hold, so that a list that has shrunk again is found out.
    #[must_use]
    pub fn expected_pages(&self) -> u32 {
        self.pages.min(self.longest_walk())
    }

    fn audible_at(&self, now: Moment) -> Moment {
        self.silent_until.map_or(now, |until| now.or_later(until))
    }

    fn bucket(&self, group: Group) -> &Bucket {
        match group {
            Group::Heavy => &self.heavy,
            Group::Medium => &self.medium,
            Group::Auth => &self.auth,
        }
    }

    fn bucket_mut(&mut self, group: Group) -> &mut Bucket {
        match group {
            Group::Heavy => &mut self.heavy,
            Group::Medium => &mut self.medium,
            Group::Auth => &mut self.auth,
        }
    }
}

impl Bucket {
    fn new(group: Group) -> Self {
        Self {
            window: Window::new(group),
            announced: None,
        }
    }

    /// Keeps what the answer said, for display; an answer without a limit says nothing new.
    fn announce(&mut self, group: Group, notice: &Notice) {
        let Some(limit) = notice.limit else { return };
        let name = notice.group.as_deref().unwrap_or(group.as_str());
        self.announced = Some(RateLimit {
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

    fn ask(budget: &mut Budget, operation: Operation, notice: &Notice, now: Moment) {
        budget.sent(operation, now);
        budget.answered(operation, Some(notice), now);
    }

    fn refusal(group: Option<&str>, retry_after: Option<u64>) -> Notice {
        Notice {
            status: 429,
            group: group.map(str::to_owned),
            retry_after: retry_after.map(Duration::from_secs),
            ..Notice::default()
        }
    }

    fn walk(budget: &mut Budget, pages: u32, now: Moment) {
        budget.walk_starts(now);
        for _ in 0..pages {
            ask(budget, HEAVY, &Notice::default(), now);
        }
        budget.walk_ended(Walked::Whole(pages));
    }

    fn wait(budget: &Budget, now: Moment) -> f64 {
        budget.walk_at(now).since(now).as_secs_f64()
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
        assert_eq!(budget.request_at(Operation::Token, start), start);
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
                budget.request_at(operation, start).since(start).as_secs(),
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
        let short = Notice {
            window: Some(Duration::from_secs(5)),
            ..refusal(Some("heavy"), None)
        };
        ask(&mut budget, HEAVY, &short, start);
        assert_eq!(wait(&budget, start), 30.0);
    }

    #[test]
    fn a_503_is_obeyed_where_it_names_a_wait() {
        let (mut budget, start) = fresh();
        let unavailable = Notice {
            status: 503,
            ..refusal(None, Some(40))
        };
        ask(&mut budget, HEAVY, &unavailable, start);
        assert_eq!(wait(&budget, start), 40.0);
        let (mut budget, start) = fresh();
        ask(
            &mut budget,
            HEAVY,
            &Notice {
                status: 503,
                ..Notice::default()
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
        budget.walk_starts(now);
        for _ in 0..4 {
            ask(&mut budget, HEAVY, &Notice::default(), now);
        }
        assert_eq!(
            budget.request_at(HEAVY, now).since(start).as_secs_f64(),
            61.0
        );
        budget.walk_ended(Walked::OverBudget);
        assert_eq!(budget.walk_at(now).since(start).as_secs_f64(), 91.0);
        walk(&mut budget, 5, at(start, 91.0));
        assert_eq!(
            budget.walk_at(now).since(start).as_secs_f64(),
            152.0,
            "the window holds five only once"
        );
    }

    #[test]
    fn a_broken_walk_has_told_that_there_are_at_least_as_many_pages() {
        let (mut budget, start) = fresh();
        walk(&mut budget, 2, start);
        budget.walk_ended(Walked::Broken(1));
        assert_eq!(wait(&budget, start), 15.0);
        budget.walk_ended(Walked::Broken(4));
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
                &Notice {
                    group,
                    limit: Some(limit),
                    ..Notice::default()
                },
                start,
            );
        }
        let announced: Vec<_> = budget
            .announced()
            .into_iter()
            .map(|limit| (limit.group, limit.limit))
            .collect();
        assert_eq!(announced, [("default".to_owned(), 10)]);
    }

    #[test]
    fn the_first_answer_is_taken_over_before_a_second_request_leaves() {
        let (mut budget, start) = fresh();
        let small = Notice {
            status: 200,
            limit: Some(1),
            window: Some(Duration::from_secs(100)),
            ..Notice::default()
        };
        ask(&mut budget, HEAVY, &small, start);
        assert_eq!(budget.request_at(HEAVY, start).since(start).as_secs(), 101);
        let announced = budget.announced();
        assert_eq!(announced.len(), 1);
        assert_eq!(
            (announced[0].group.as_str(), announced[0].limit),
            ("heavy", 1)
        );
    }
}
