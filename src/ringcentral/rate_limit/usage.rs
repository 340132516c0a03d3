//! The limits, the used requests and the penalties of one user and app. Pure: the time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::{Operation, UsageGroup};
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::rate_limit::presence::{PresencePages, PresenceShare};
use crate::ringcentral::rate_limit::saved::{
    SavedProcess, SavedTimes, SavedUsage, saved_block, wall_ms,
};
use crate::ringcentral::rate_limit::window::RateLimitWindow;
use crate::ringcentral::status::ReportedLimit;

/// The minimum wait after a 429 without `Retry-After`, or with one that cannot be parsed.
const MIN_PENALTY: Duration = Duration::from_secs(60);

/// The windows of all usage groups and the penalty of the whole user.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    heavy: RateLimitWindow,
    medium: RateLimitWindow,
    auth: RateLimitWindow,
    /// The group that the last response to an operation named, where it is not the documented one. Requests count in
    /// both.
    named_groups: HashMap<Operation, UsageGroup>,
    /// End of the last penalty for all groups.
    blocked_until: Option<Moment>,
    /// Expected pages of the next fetch of each account of this process.
    pages: BTreeMap<u64, u32>,
    /// The accounts whose pages the window does not hold.
    waiting: BTreeMap<u64, Waiting>,
    /// The accounts for whose presence lists calls keep a slower pace.
    presence: BTreeMap<u64, PresencePages>,
    /// The requests of each window that calls leave to presence lists.
    share: PresenceShare,
    /// The parts of other processes that still matter.
    others: Vec<SavedProcess>,
}

/// An account that waits for room in the window.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Moment,
    /// When it last tried to fetch.
    last_try: Moment,
    pages: u32,
}

impl Usage {
    /// Creates the usage of a user of whom nothing is known, with the documented limits.
    pub(crate) fn new() -> Self {
        Self {
            heavy: RateLimitWindow::new(UsageGroup::Heavy),
            medium: RateLimitWindow::new(UsageGroup::Medium),
            auth: RateLimitWindow::new(UsageGroup::Auth),
            named_groups: HashMap::new(),
            blocked_until: None,
            pages: BTreeMap::new(),
            waiting: BTreeMap::new(),
            presence: BTreeMap::new(),
            share: PresenceShare::default(),
            others: Vec::new(),
        }
    }

    /// Returns when this many requests of an operation can be sent, of which the caller has reserved `reserved`. Presence
    /// lists use no more than their part of the limit, and an event token leaves room for a login.
    pub(crate) fn available_at(
        &self,
        operation: Operation,
        requests: u32,
        reserved: u32,
        now: Moment,
    ) -> Moment {
        let limit = self.limit_available_at(operation, requests, reserved, now);
        match operation {
            Operation::Presence => limit.max(self.presence_available_at(now)),
            Operation::EventToken => limit.max(self.login_fits_at(operation, now)),
            _ => limit,
        }
    }

    /// Returns when a login can be sent after one request of an operation of its group. A report on that request may count
    /// those in flight, which are subtracted from it too, so there is room for them twice.
    fn login_fits_at(&self, operation: Operation, now: Moment) -> Moment {
        let mut fits_at = now;
        for group in self.groups(operation) {
            let window = self.group(group);
            fits_at = fits_at.max(match window.usable() {
                0 | 1 => window.end_of(now),
                _ => window.available_at(window.unanswered().saturating_add(2), 0, now),
            });
        }
        fits_at
    }

    /// Returns when the limit has room for this many pages of calls.
    pub(crate) fn pages_available_at(&self, pages: u32, now: Moment) -> Moment {
        self.available_at(Operation::ActiveCalls, pages, 0, now)
    }

    /// Returns when a fetch of this many pages can start, so that all fetches leave what presence lists need. Within a
    /// fetch the pages use the whole limit: calls come first.
    pub(crate) fn fetch_available_at(&self, pages: u32, now: Moment) -> Moment {
        let mut available_at = self.pages_available_at(pages, now);
        let presence = self.presence_share(now);
        if presence == 0 {
            return available_at;
        }
        let since = self.share.since.unwrap_or(now);
        for group in self.shared_groups() {
            let window = self.group(group);
            available_at = available_at.max(window.calls_available_at(pages, presence, since, now));
        }
        available_at
    }

    fn presence_available_at(&self, now: Moment) -> Moment {
        let pages = self.max_presence_pages();
        let mut available_at = now;
        for group in self.shared_groups() {
            available_at = available_at.max(self.group(group).presence_available_at(pages, now));
        }
        available_at
    }

    /// Returns the groups in which both calls and presence lists count.
    fn shared_groups(&self) -> impl Iterator<Item = UsageGroup> + use<'_> {
        let presence = self.groups(Operation::Presence);
        presence.filter(|group| self.groups(Operation::ActiveCalls).any(|it| it == *group))
    }

    /// Returns when the limit allows this many requests of an operation, of which the caller has reserved `reserved`.
    fn limit_available_at(
        &self,
        operation: Operation,
        requests: u32,
        reserved: u32,
        now: Moment,
    ) -> Moment {
        let mut available_at = now.max(self.blocked_until.unwrap_or(now));
        for group in self.groups(operation) {
            // Pages are reserved only in their documented group.
            let reserved = if group == UsageGroup::Heavy {
                reserved
            } else {
                0
            };
            let window = self.group(group);
            available_at = available_at.max(window.available_at(requests, reserved, now));
        }
        available_at
    }

    /// Returns the maximum number of pages of a fetch, which is what one window holds.
    pub(crate) fn max_pages(&self) -> u32 {
        let mut max_pages = u32::MAX;
        for group in self.groups(Operation::ActiveCalls) {
            max_pages = max_pages.min(self.group(group).usable());
        }
        max_pages
    }

    /// Returns the maximum number of presence pages in one window: half of it, and no more than what the longest fetch of
    /// an account leaves.
    pub(crate) fn max_presence_pages(&self) -> u32 {
        let mut longest_fetch = 1;
        for pages in self.pages.values() {
            longest_fetch = longest_fetch.max(*pages);
        }
        for process in &self.others {
            longest_fetch = longest_fetch.max(match process.longest_fetch {
                0 => process.pages,
                pages => pages,
            });
        }
        let mut pages = u32::MAX;
        for group in self.shared_groups() {
            let usable = self.group(group).usable();
            pages = pages
                .min(usable / 2)
                .min(usable.saturating_sub(longest_fetch));
        }
        pages
    }

    /// Returns the time that reads of a presence list of this many pages take, one after the other, at least, or
    /// `Duration::MAX` if calls leave no room.
    pub(crate) fn presence_read_interval(&self, pages: u32) -> Duration {
        match self.max_presence_pages() {
            0 => Duration::MAX,
            room => self.heavy.length * pages.div_ceil(room),
        }
    }

    /// Returns the requests of each window that calls leave to the presence lists of all accounts and processes.
    pub(crate) fn presence_share(&self, now: Moment) -> u32 {
        let mut pages = self.own_presence_pages(now);
        for process in &self.others {
            pages = pages.saturating_add(process.presence_pages);
        }
        pages.min(self.max_presence_pages())
    }

    fn own_presence_pages(&self, now: Moment) -> u32 {
        let mut pages = 0_u32;
        for presence in self.presence.values() {
            if presence.slows_calls(now, self.heavy.length) {
                pages = pages.saturating_add(presence.pages);
            }
        }
        pages
    }

    /// Sets the presence pages of an account.
    pub(crate) fn set_presence(&mut self, account: u64, presence: PresencePages) {
        self.presence.insert(account, presence);
    }

    /// Returns when a presence page with this time of its response no longer occupies the window.
    pub(crate) fn end_of_presence(&self, response: Moment) -> Moment {
        self.heavy.end_of(response)
    }

    /// Updates since when calls leave the present number of requests.
    pub(crate) fn update_share(&mut self, now: Moment) {
        self.share.set_pages(self.presence_share(now), now);
    }

    /// Returns whether no other account waits for its next presence page that received its last one earlier.
    pub(crate) fn is_presence_turn(&self, account: u64, now: Moment) -> bool {
        let own = self.presence.get(&account).and_then(|own| own.last_page);
        for (other, presence) in &self.presence {
            let is_waiting = presence.is_waiting(now, self.heavy.length);
            if *other != account && is_waiting && presence.last_page < own {
                return false;
            }
        }
        true
    }

    /// Returns the pages of all fetches that wait for room in the window.
    pub(crate) fn pages_waiting(&self, now: Moment) -> u32 {
        let mut pages = 0_u32;
        for waiting in self.waiting.values() {
            if now.monotonic_duration_since(waiting.last_try) < 2 * self.heavy.length {
                pages = pages.saturating_add(waiting.pages);
            }
        }
        pages
    }

    /// Returns the maximum number of pages of all fetches in one window.
    pub(crate) fn max_fetched_pages(&self, now: Moment) -> u32 {
        self.max_pages().saturating_sub(self.presence_share(now))
    }

    /// Returns the interval at which an account can fetch its pages without ever filling the window, when the other
    /// accounts and processes fetch theirs as often.
    pub(crate) fn min_fetch_interval(&self, account: u64, own_pages: u32, now: Moment) -> Duration {
        let mut pages = own_pages;
        for (other, other_pages) in &self.pages {
            if *other != account {
                pages = pages.saturating_add(*other_pages);
            }
        }
        for process in &self.others {
            pages = pages.saturating_add(process.pages);
        }
        let share = self.presence_share(now);
        let mut interval = Duration::ZERO;
        for group in self.groups(Operation::ActiveCalls) {
            let is_shared = self.shared_groups().any(|it| it == group);
            let presence = if is_shared { share } else { 0 };
            interval = interval.max(self.group(group).min_interval(pages, presence));
        }
        interval
    }

    /// Sets the expected pages of an account.
    pub(crate) fn set_pages(&mut self, account: u64, pages: u32) {
        self.pages.insert(account, pages);
    }

    /// Forgets an account.
    pub(crate) fn remove_account(&mut self, account: u64) {
        self.pages.remove(&account);
        self.waiting.remove(&account);
        self.presence.remove(&account);
    }

    /// Records that an account waits for room in the window.
    pub(crate) fn record_wait(&mut self, account: u64, pages: u32, now: Moment) {
        let waiting = Waiting {
            since: self.waiting_since(account, now),
            last_try: now,
            pages,
        };
        self.waiting.insert(account, waiting);
    }

    /// Records that an account waits no longer.
    pub(crate) fn end_wait(&mut self, account: u64) {
        self.waiting.remove(&account);
    }

    /// Returns the pages of the accounts that have waited longer. Without room for them too, an account of few pages could
    /// always be earlier than one that needs an empty window. One that has not tried for two windows is not scraped any
    /// more.
    pub(crate) fn pages_ahead(&self, account: u64, now: Moment) -> u32 {
        let since = self.waiting_since(account, now);
        let mut pages = 0_u32;
        for (other, waiting) in &self.waiting {
            let is_scraped = now.monotonic_duration_since(waiting.last_try) < 2 * self.heavy.length;
            if *other != account && is_scraped && waiting.since < since {
                pages = pages.saturating_add(waiting.pages);
            }
        }
        pages
    }

    /// Reserves requests of a fetch.
    pub(crate) fn reserve(&mut self, pages: u32) {
        self.heavy.reserve(pages);
    }

    /// Ends a reservation.
    pub(crate) fn release(&mut self, pages: u32) {
        self.heavy.release(pages);
    }

    /// Records that a request is sent.
    pub(crate) fn record_request(&mut self, operation: Operation, now: Moment) {
        for group in self.groups(operation) {
            self.group_mut(group).record_request(operation, now);
        }
    }

    /// Records a response, or a request that timed out if `headers` is `None`. The headers apply to the group that they
    /// name, whichever operation they answer.
    pub(crate) fn record_response(
        &mut self,
        operation: Operation,
        headers: Option<&RateLimitHeaders>,
        now: Moment,
    ) {
        let name = headers.and_then(|headers| headers.group.as_deref());
        let named = name.map(|name| self.group_named(name, operation));
        for group in UsageGroup::ALL {
            let window = self.group_mut(group);
            let is_counted = window.record_response(operation, now);
            if named == Some(group) && !is_counted {
                window.record_request(operation, now);
                window.record_response(operation, now);
            }
        }
        if let (Some(name), Some(group)) = (name, named) {
            self.group_mut(group).name = name.to_owned();
            self.set_named_group(operation, group);
        }
        let Some(headers) = headers else { return };
        let group = named.unwrap_or(operation.group());
        self.group_mut(group).apply_headers(headers, now);
        self.apply_penalty(group, headers, now);
        // A name that is not documented may stand for both groups that it was given for.
        if group != operation.group() && name.and_then(UsageGroup::from_name).is_none() {
            self.group_mut(operation.group())
                .apply_headers(headers, now);
            self.apply_penalty(operation.group(), headers, now);
        }
    }

    /// Records that nothing waits for the response to a request any more, which would have timed out at `timeout`.
    pub(crate) fn record_abandoned(&mut self, operation: Operation, timeout: Moment) {
        for group in UsageGroup::ALL {
            self.group_mut(group).record_abandoned(operation, timeout);
        }
    }

    /// Returns the end of the penalty that blocks this operation, present or past.
    pub(crate) fn blocked_until(&self, operation: Operation) -> Option<Moment> {
        let mut until = self.blocked_until;
        for group in self.groups(operation) {
            until = until.max(self.group(group).blocked_until);
        }
        until
    }

    /// Returns whether the requests of two operations count in one group.
    pub(crate) fn have_common_group(&self, one: Operation, other: Operation) -> bool {
        self.groups(one)
            .any(|group| self.groups(other).any(|it| it == group))
    }

    /// Returns how many requests are left in the groups of an operation, those reserved for other tools included.
    pub(crate) fn requests_left(&self, operation: Operation, now: Moment) -> u32 {
        let mut left = u32::MAX;
        for group in self.groups(operation) {
            left = left.min(self.group(group).requests_left(now));
        }
        left
    }

    /// Returns the limits that RingCentral last reported. Names of groups are RingCentral's; of two groups with
    /// one name only the first is returned.
    pub(crate) fn reported_limits(&self) -> Vec<ReportedLimit> {
        let mut limits: Vec<ReportedLimit> = Vec::new();
        for window in self.windows() {
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

    /// Returns whether nothing is known that a later request depends on.
    pub(crate) fn is_unused(&self, now: Moment) -> bool {
        let is_blocked = self.blocked_until.is_some_and(|until| !until.is_past(now));
        let is_unused = |window: &RateLimitWindow| window.is_unused(now);
        !is_blocked
            && self.pages.is_empty()
            && self.presence.is_empty()
            && self.windows().into_iter().all(is_unused)
    }

    /// Replaces what is known of other processes by their parts of a file. `process` is the id of this one.
    pub(crate) fn adopt(&mut self, saved: SavedUsage, process: u64, now: Moment) {
        self.others = saved.processes;
        self.others.retain(|other| other.id != process);
        let others = self.others.clone();
        self.others.retain(|other| occupies(other, now));
        for other in &others {
            self.adopt_penalty(other, now);
        }
        for window in [&mut self.heavy, &mut self.medium, &mut self.auth] {
            let mut parts = Vec::new();
            for other in &others {
                let times = SavedTimes::new(other.saved_at_ms, now);
                let own_group = other
                    .groups
                    .iter()
                    .filter(|part| part.group == window.documented_name());
                parts.extend(own_group.map(|part| (part.clone(), times)));
            }
            window.adopt(&parts);
        }
    }

    /// Adds what was recorded before the user was known: `saved` is the former usage.
    pub(crate) fn absorb(&mut self, saved: SavedUsage, now: Moment) {
        for process in saved.processes {
            self.adopt_penalty(&process, now);
            let times = SavedTimes::new(process.saved_at_ms, now);
            for part in &process.groups {
                for window in [&mut self.heavy, &mut self.medium, &mut self.auth] {
                    if part.group == window.documented_name() {
                        window.absorb(part, times);
                    }
                }
            }
        }
    }

    /// Uses the limit of logins that the response to the login has reported, by which the user became known.
    pub(crate) fn take_login_report(&mut self, former: &Self) {
        self.auth.take_report(&former.auth);
    }

    /// Returns the content of the file: the part of this process, and those of others that still matter.
    pub(crate) fn saved(&self, process: u64, now: Moment) -> SavedUsage {
        let mut processes = self.others.clone();
        // The penalties of others are in the part of this process too, so that parts do not add up in a long one.
        processes.retain(|other| occupies(other, now));
        processes.push(SavedProcess {
            id: process,
            saved_at_ms: wall_ms(now),
            pages: self
                .pages
                .values()
                .fold(0, |sum, pages| sum.saturating_add(*pages)),
            longest_fetch: self.pages.values().copied().max().unwrap_or(0),
            presence_pages: self.own_presence_pages(now),
            blocked_until_ms: saved_block(self.blocked_until, now),
            groups: self.windows().map(|window| window.saved(now)).to_vec(),
        });
        SavedUsage { processes }
    }

    /// Returns since when an account waits for room in the window, `now` if it does not.
    fn waiting_since(&self, account: u64, now: Moment) -> Moment {
        let waiting = self.waiting.get(&account);
        waiting.map_or(now, |waiting| waiting.since)
    }

    fn adopt_penalty(&mut self, part: &SavedProcess, now: Moment) {
        let times = SavedTimes::new(part.saved_at_ms, now);
        let until = part.blocked_until_ms.and_then(|until| times.future(until));
        self.blocked_until = self.blocked_until.max(until);
    }

    /// Blocks the group after a 429, or after a 5xx with `Retry-After`. A 429 without a group is a limit of the account
    /// or the IP address, so it blocks all groups; a 5xx without one is a failure of the operation and blocks only its
    /// group. Any request during a penalty restarts it.
    fn apply_penalty(&mut self, group: UsageGroup, headers: &RateLimitHeaders, now: Moment) {
        let is_refusal = headers.status == 429;
        if !is_refusal && !(500..=599).contains(&headers.status) {
            return;
        }
        let window = self.group_mut(group);
        let mut wait = headers.retry_after.unwrap_or_default();
        if headers.unreadable.retry_after || (is_refusal && wait.is_zero()) {
            wait = wait.max(window.length).max(MIN_PENALTY);
        }
        let until = now.after(wait);
        if is_refusal && headers.group.is_none() {
            self.blocked_until = self.blocked_until.max(Some(until));
        } else if !wait.is_zero() {
            window.block_until(until);
        }
    }

    /// Returns the groups in which the requests of an operation count: the documented one, and another one that the last
    /// response named.
    fn groups(&self, operation: Operation) -> impl Iterator<Item = UsageGroup> + use<> {
        let named = self.named_groups.get(&operation).copied();
        std::iter::once(operation.group()).chain(named)
    }

    /// Returns the group with this name: the documented one, one that was last reported by this name, or the
    /// operation's own.
    fn group_named(&self, name: &str, operation: Operation) -> UsageGroup {
        if let Some(group) = UsageGroup::from_name(name) {
            return group;
        }
        let mut groups = UsageGroup::ALL.into_iter();
        let known = groups.find(|group| self.group(*group).name == name);
        known.unwrap_or(operation.group())
    }

    fn set_named_group(&mut self, operation: Operation, group: UsageGroup) {
        if group == operation.group() {
            self.named_groups.remove(&operation);
        } else {
            self.named_groups.insert(operation, group);
        }
    }

    fn windows(&self) -> [&RateLimitWindow; 3] {
        [&self.heavy, &self.medium, &self.auth]
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

/// Returns whether requests of a part of a file still occupy a window.
fn occupies(part: &SavedProcess, now: Moment) -> bool {
    let times = SavedTimes::new(part.saved_at_ms, now);
    let mut requests = part.groups.iter().flat_map(|group| &group.requests);
    requests.any(|requests| times.future(requests.until_ms).is_some())
}
