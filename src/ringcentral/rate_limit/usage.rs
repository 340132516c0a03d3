//! The limits, the used requests and the penalties of one user and app. Pure: the time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::{Operation, UsageGroup};
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::rate_limit::saved::{
    SavedGroup, SavedProcess, SavedTimes, SavedUsage, saved_block, wall_ms,
};
use crate::ringcentral::rate_limit::window::RateLimitWindow;
use crate::ringcentral::status::ReportedLimit;

/// The documented minimum wait after a 429 without `Retry-After`.
const MIN_PENALTY: Duration = Duration::from_secs(60);

/// The windows of all usage groups and the penalty of the whole user.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    heavy: RateLimitWindow,
    medium: RateLimitWindow,
    auth: RateLimitWindow,
    /// End of the last penalty for all groups.
    blocked_until: Option<Moment>,
    /// Expected pages of the next fetch of each account of this process.
    pages: BTreeMap<u64, u32>,
    /// The parts of other processes that still matter.
    others: Vec<SavedProcess>,
}

impl Usage {
    /// Creates the usage of a user of whom nothing is known, with the documented limits.
    pub(crate) fn new() -> Self {
        Self {
            heavy: RateLimitWindow::new(UsageGroup::Heavy),
            medium: RateLimitWindow::new(UsageGroup::Medium),
            auth: RateLimitWindow::new(UsageGroup::Auth),
            blocked_until: None,
            pages: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    /// Returns when this many requests of a group can be sent, of which the caller has reserved `reserved`.
    pub(crate) fn available_at(
        &self,
        group: UsageGroup,
        requests: u32,
        reserved: u32,
        now: Moment,
    ) -> Moment {
        let available_at = self.group(group).available_at(requests, reserved, now);
        available_at.max(self.blocked_until.unwrap_or(now))
    }

    /// Returns the maximum number of pages of a fetch, which is what one window holds.
    pub(crate) fn max_pages(&self) -> u32 {
        self.heavy.usable()
    }

    /// Returns the interval at which an account can fetch its pages without ever filling the window, when the other
    /// accounts and processes fetch theirs as often.
    pub(crate) fn min_fetch_interval(&self, account: u64, own_pages: u32) -> Duration {
        let mut pages = own_pages;
        for (other, other_pages) in &self.pages {
            if *other != account {
                pages = pages.saturating_add(*other_pages);
            }
        }
        for process in &self.others {
            pages = pages.saturating_add(process.pages);
        }
        self.heavy.min_interval(pages)
    }

    /// Sets the expected pages of an account.
    pub(crate) fn set_pages(&mut self, account: u64, pages: u32) {
        self.pages.insert(account, pages);
    }

    /// Forgets an account.
    pub(crate) fn remove_account(&mut self, account: u64) {
        self.pages.remove(&account);
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
    pub(crate) fn record_request(&mut self, group: UsageGroup, now: Moment) {
        self.group_mut(group).record_request(now);
    }

    /// Records a response, or a request that timed out if `headers` is `None`.
    pub(crate) fn record_response(
        &mut self,
        group: UsageGroup,
        headers: Option<&RateLimitHeaders>,
        now: Moment,
    ) {
        let window = self.group_mut(group);
        window.record_response(now);
        if let Some(headers) = headers {
            window.apply_headers(headers, now);
            self.apply_penalty(group, headers, now);
        }
    }

    /// Returns the end of the penalty that blocks this operation, present or past.
    pub(crate) fn blocked_until(&self, operation: Operation) -> Option<Moment> {
        self.blocked_until
            .max(self.group(operation.group()).blocked_until)
    }

    /// Returns the limits that RingCentral last reported. Names of groups are RingCentral's; of two groups with
    /// one name only the first is returned.
    pub(crate) fn reported_limits(&self) -> Vec<ReportedLimit> {
        let mut limits: Vec<ReportedLimit> = Vec::new();
        for window in self.groups() {
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
        !is_blocked && self.pages.is_empty() && self.groups().into_iter().all(is_unused)
    }

    /// Replaces what is known of other processes by their parts of a file. `process` is the id of this one.
    pub(crate) fn adopt(&mut self, saved: SavedUsage, process: u64, now: Moment) {
        self.others = saved.processes;
        self.others
            .retain(|other| other.id != process && matters(other, now));
        let others = self.others.clone();
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
                    .filter(|part| part.group == window.name());
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
                    if part.group == window.name() {
                        window.absorb(part, times);
                    }
                }
            }
        }
    }

    /// Returns the content of the file: the part of this process, and those of others that still matter.
    pub(crate) fn saved(&self, process: u64, now: Moment) -> SavedUsage {
        let mut processes = self.others.clone();
        processes.retain(|other| matters(other, now));
        processes.push(SavedProcess {
            id: process,
            saved_at_ms: wall_ms(now),
            pages: self
                .pages
                .values()
                .fold(0, |sum, pages| sum.saturating_add(*pages)),
            blocked_until_ms: saved_block(self.blocked_until, now),
            groups: self.groups().map(|window| window.saved(now)).to_vec(),
        });
        SavedUsage { processes }
    }

    fn adopt_penalty(&mut self, part: &SavedProcess, now: Moment) {
        let times = SavedTimes::new(part.saved_at_ms, now);
        let until = part.blocked_until_ms.and_then(|until| times.future(until));
        self.blocked_until = self.blocked_until.max(until);
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

    fn groups(&self) -> [&RateLimitWindow; 3] {
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

/// Returns whether a part of a file still blocks or occupies anything.
fn matters(part: &SavedProcess, now: Moment) -> bool {
    let times = SavedTimes::new(part.saved_at_ms, now);
    let is_future = |until_ms| times.future(until_ms).is_some();
    let group_matters = |group: &SavedGroup| {
        group.blocked_until_ms.is_some_and(is_future)
            || group
                .requests
                .iter()
                .any(|requests| is_future(requests.until_ms))
    };
    part.blocked_until_ms.is_some_and(is_future) || part.groups.iter().any(group_matters)
}
