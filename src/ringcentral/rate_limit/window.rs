//! The rate limit of one usage group in a sliding window. Pure: the time is an argument.
//!
//! Counts the requests in the window, by the exporter's own count and by what RingCentral last reported, and how
//! long the group is blocked. A request occupies the window from when it is sent until the window's length and a
//! margin after its response arrived: RingCentral may have counted it at any time in between, and does not
//! document whether its window is fixed or slides.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::{Operation, UsageGroup};
use crate::ringcentral::rate_limit::headers::{
    RateLimitHeaders, VALID_LIMITS, VALID_WINDOW_SECONDS,
};
use crate::ringcentral::rate_limit::saved::{
    SavedCount, SavedGroup, SavedTimes, future_ms, saved_block, wall_ms,
};
use crate::ringcentral::status::ReportedLimit;

/// The documented length of a window, used until a response has another one, and at least while it has an unreadable
/// one.
const DEFAULT_LENGTH: Duration = Duration::from_secs(60);
/// Added to the window's length, for clocks that run at different speeds.
const SAFETY_MARGIN: Duration = Duration::from_secs(1);
/// Responses closer together than this fraction of the window are merged, so that a limit of a million needs no more
/// memory than a limit of a thousand.
const MERGE_FRACTION: u32 = 1000;

/// How long a request may be in flight, and a fetch may use its reserved requests: longer than both timeouts.
pub(crate) const MAX_REQUEST_TIME: Duration = Duration::from_secs(11);
const MAX_FETCH_TIME: Duration = Duration::from_secs(41);

/// Reports of which one ends at most so much later are the same one: times of a file are whole milliseconds.
const REPORT_TOLERANCE: Duration = Duration::from_millis(20);

/// The limit of one usage group and the requests that count against it.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitWindow {
    group: UsageGroup,
    /// The name of the group in the last response about it, at first the documented one.
    pub(super) name: String,
    limit: u32,
    pub(super) length: Duration,
    /// The operations of the requests without a response.
    in_flight: Vec<Operation>,
    /// Requests that fetches have reserved and not sent yet.
    reserved: u32,
    /// Requests of other processes, of the time before the user was known, and abandoned ones.
    others: Vec<Occupied>,
    /// Requests whose response has arrived, the oldest first.
    completed: VecDeque<Completed>,
    remaining: Option<Remaining>,
    /// The limit that RingCentral last reported, for display.
    pub(super) reported: Option<ReportedLimit>,
    /// The end of the present block of the group, or of its last one.
    pub(super) blocked_until: Option<Moment>,
}

/// Requests whose responses arrived at about the same time.
#[derive(Clone, Copy, Debug)]
struct Completed {
    first: Moment,
    last: Moment,
    count: u32,
    is_presence: bool,
}

/// Requests that occupy the window until a known time.
#[derive(Clone, Copy, Debug)]
struct Occupied {
    until: Moment,
    count: u32,
    /// Whether this process has to save them.
    is_own: bool,
    is_presence: bool,
}

/// The requests that share a part of the limit.
#[derive(Clone, Copy, Debug)]
enum Counted {
    All,
    /// Pages of the presence list.
    Presence,
    /// Requests other than presence that were sent since this moment.
    CallsSince(Moment),
}

/// The number of requests that RingCentral last reported as remaining, less those sent since.
#[derive(Clone, Copy, Debug)]
struct Remaining {
    requests: u32,
    /// When the window of the report has ended.
    until: Moment,
    /// When the last report arrived that counts all requests of the exporter in the window, so that each of them remains
    /// again once it has left the window. `None` if the report counts fewer: then it does not show whose they are.
    counts_own_until: Option<Moment>,
}

impl RateLimitWindow {
    /// Creates an empty window with the documented limit and length.
    pub(crate) fn new(group: UsageGroup) -> Self {
        Self {
            group,
            name: group.as_str().to_owned(),
            limit: group.documented_limit(),
            length: DEFAULT_LENGTH,
            in_flight: Vec::new(),
            reserved: 0,
            others: Vec::new(),
            completed: VecDeque::new(),
            remaining: None,
            reported: None,
            blocked_until: None,
        }
    }

    /// Returns the documented name of the group.
    pub(crate) fn documented_name(&self) -> &'static str {
        self.group.as_str()
    }

    /// Returns the number of requests that the exporter may send in one window: one fifth of the limit, rounded
    /// down, is left to other tools.
    pub(crate) fn usable(&self) -> u32 {
        self.limit - self.limit / 5
    }

    /// Returns the interval between fetches of this many pages at which the window never fills up, while this many
    /// further requests of each window are left to the presence list.
    pub(crate) fn min_interval(&self, pages: u32, presence: u32) -> Duration {
        let usable = self.usable().saturating_sub(presence).max(1);
        self.length.mul_f64(f64::from(pages) / f64::from(usable))
    }

    /// Returns when a request with this time of its response no longer occupies the window.
    pub(crate) fn end_of(&self, response: Moment) -> Moment {
        response.after(self.length + SAFETY_MARGIN)
    }

    /// Returns when this many requests can be sent, as far as is known now, of which the caller has reserved
    /// `reserved`. More than the usable number count as the usable number.
    pub(crate) fn available_at(&self, requests: u32, reserved: u32, now: Moment) -> Moment {
        let reserved_by_others = self.reserved.saturating_sub(reserved);
        let requests = requests
            .min(self.usable())
            .saturating_add(reserved_by_others);
        now.max(self.blocked_until.unwrap_or(now))
            .max(self.available_by_count(requests, self.usable(), Counted::All, now))
            .max(self.available_by_report(requests, now))
    }

    /// Returns when this many pages of calls can be requested, so that all those since `since` leave `presence` requests
    /// of the window. More pages than that count as an empty window.
    pub(crate) fn calls_available_at(
        &self,
        pages: u32,
        presence: u32,
        since: Moment,
        now: Moment,
    ) -> Moment {
        let usable = self.usable().saturating_sub(presence);
        let requests = pages.min(usable).saturating_add(self.reserved);
        now.max(self.available_by_count(requests, usable, Counted::CallsSince(since), now))
    }

    /// Returns when a page of the presence list can be requested, so that no more than `presence` are in the window.
    pub(crate) fn presence_available_at(&self, presence: u32, now: Moment) -> Moment {
        now.max(self.available_by_count(1, presence, Counted::Presence, now))
    }

    /// Returns the number of requests that this process waits for.
    pub(crate) fn unanswered(&self) -> u32 {
        self.in_flight(Counted::All)
    }

    /// Blocks all requests until `until`; a longer block stays.
    pub(crate) fn block_until(&mut self, until: Moment) {
        self.blocked_until = self.blocked_until.max(Some(until));
    }

    /// Reserves requests for a fetch, so that others leave them.
    pub(crate) fn reserve(&mut self, requests: u32) {
        self.reserved = self.reserved.saturating_add(requests);
    }

    /// Ends a reservation.
    pub(crate) fn release(&mut self, requests: u32) {
        self.reserved = self.reserved.saturating_sub(requests);
    }

    /// Records that a request is sent.
    pub(crate) fn record_request(&mut self, operation: Operation, now: Moment) {
        self.remove_expired(now);
        self.others.retain(|requests| !requests.until.is_past(now));
        self.in_flight.push(operation);
        if let Some(remaining) = &mut self.remaining {
            remaining.requests = remaining.requests.saturating_sub(1);
        }
    }

    /// Removes the requests that have left the window. They remain again if the last report counts them.
    fn remove_expired(&mut self, now: Moment) {
        while let Some(oldest) = self.completed.front().copied()
            && self.expires_at(&oldest).is_past(now)
        {
            self.completed.pop_front();
            if let Some(remaining) = &mut self.remaining
                && Some(oldest.last) <= remaining.counts_own_until
            {
                remaining.requests = remaining.requests.saturating_add(oldest.count);
            }
        }
    }

    /// Records that a response has arrived or that a request has timed out. Returns whether such a request was in
    /// flight in this window.
    pub(crate) fn record_response(&mut self, operation: Operation, now: Moment) -> bool {
        let was_in_flight = self.remove_in_flight(operation);
        if was_in_flight {
            self.add_completed(operation == Operation::Presence, now);
        }
        was_in_flight
    }

    /// Records that nothing waits for the response to a request any more, which would have timed out at `timeout`.
    pub(crate) fn record_abandoned(&mut self, operation: Operation, timeout: Moment) {
        if self.remove_in_flight(operation) {
            self.others.push(Occupied {
                until: self.end_of(timeout),
                count: 1,
                is_own: true,
                is_presence: operation == Operation::Presence,
            });
            self.others.sort_by_key(|requests| Reverse(requests.until));
        }
    }

    /// Removes a request of this operation. Returns whether there was one.
    fn remove_in_flight(&mut self, operation: Operation) -> bool {
        let mut in_flight = self.in_flight.iter();
        let position = in_flight.position(|sent| *sent == operation);
        let removed = position.map(|position| self.in_flight.swap_remove(position));
        removed.is_some()
    }

    /// Applies the limit, window and remaining requests of a response. An unreadable limit or window changes nothing in
    /// the risky direction: the smallest limit and the longest window of the response, the present ones and the
    /// documented ones apply until a response has a readable one.
    pub(crate) fn apply_headers(&mut self, headers: &RateLimitHeaders, now: Moment) {
        let mut length = headers.window.unwrap_or(self.length);
        if headers.unreadable.window {
            length = length.max(self.length).max(DEFAULT_LENGTH);
        }
        self.length = length;
        if let Some(requests) = headers.remaining {
            // RingCentral may not have counted the requests that are still in flight.
            self.remove_expired(now);
            let limit = headers.limit.unwrap_or(self.limit);
            let by_others = limit
                .saturating_sub(requests)
                .checked_sub(self.completed(now));
            // Of more than the share of other tools, all may be theirs, since a fixed window can have begun again.
            let counts_own =
                !headers.unreadable.limit && by_others.is_some_and(|it| it <= limit / 5);
            let requests = requests.saturating_sub(self.in_flight.len() as u32);
            self.set_remaining(requests, counts_own, now);
        }
        let mut limit = headers.limit.unwrap_or(self.limit);
        if headers.unreadable.limit {
            limit = limit.min(self.limit).min(self.group.documented_limit());
        }
        self.limit = limit;
        if headers.limit.is_none() {
            return;
        }
        let group = headers.group.as_deref().unwrap_or(self.group.as_str());
        self.reported = Some(ReportedLimit {
            group: group.to_owned(),
            limit,
            remaining: headers.remaining,
            window: self.length,
            blocked_until: None,
        });
    }

    /// Sets the remaining requests of a report. One that only subtracts what was sent since the present report says
    /// nothing new, so it holds no longer: a page of presence shortly before a fetch would else postpone that.
    fn set_remaining(&mut self, requests: u32, counts_own: bool, now: Moment) {
        let is_known = |known: &Remaining| known.requests == requests && !known.until.is_past(now);
        let known = self.remaining.filter(is_known);
        self.remaining = Some(Remaining {
            requests,
            until: known.map_or(self.end_of(now), |known| known.until),
            counts_own_until: counts_own.then_some(now),
        });
    }

    /// Returns the number of requests in the window whose responses have arrived, those of other processes included.
    fn completed(&self, now: Moment) -> u32 {
        let mut count = 0_u32;
        for own in &self.completed {
            if !self.expires_at(own).is_past(now) {
                count = count.saturating_add(own.count);
            }
        }
        for other in &self.others {
            if !other.until.is_past(now) {
                count = count.saturating_add(other.count);
            }
        }
        count
    }

    fn add_completed(&mut self, is_presence: bool, now: Moment) {
        let merge_within = self.length / MERGE_FRACTION;
        match self.completed.back_mut() {
            Some(latest)
                if latest.is_presence == is_presence
                    && now.monotonic_duration_since(latest.first) < merge_within =>
            {
                latest.last = now;
                latest.count += 1;
            }
            _ => self.completed.push_back(Completed {
                first: now,
                last: now,
                count: 1,
                is_presence,
            }),
        }
    }

    /// Returns whether nothing is known that a later request depends on.
    pub(crate) fn is_unused(&self, now: Moment) -> bool {
        let is_blocked = self.blocked_until.is_some_and(|until| !until.is_past(now));
        !is_blocked
            && self.in_flight.is_empty()
            && self.reserved == 0
            && self.saved(now).requests.is_empty()
    }

    /// Replaces what is known of other processes.
    pub(crate) fn adopt(&mut self, parts: &[(SavedGroup, SavedTimes)]) {
        self.others.retain(|requests| requests.is_own);
        for (part, times) in parts {
            self.add(part, *times, false);
        }
        self.others.sort_by_key(|requests| Reverse(requests.until));
    }

    /// Adds what was recorded before the user was known.
    pub(crate) fn absorb(&mut self, part: &SavedGroup, times: SavedTimes) {
        self.add(part, times, true);
        self.others.sort_by_key(|requests| Reverse(requests.until));
    }

    /// Uses what RingCentral has reported last, which was recorded in another window of this group.
    pub(crate) fn take_report(&mut self, former: &Self) {
        if former.reported.is_some() {
            self.name.clone_from(&former.name);
            self.limit = former.limit;
            self.length = former.length;
            self.reported.clone_from(&former.reported);
        }
        if former.remaining.is_some() {
            self.remaining = former.remaining;
        }
    }

    /// Returns the part of this process for its file.
    pub(crate) fn saved(&self, now: Moment) -> SavedGroup {
        let requests = self.saved_requests(Counted::All, now);
        let presence = self.saved_requests(Counted::Presence, now);
        let length_ms = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        SavedGroup {
            group: self.group.as_str().to_owned(),
            limit: self.reported.as_ref().map(|_| (self.limit, length_ms)),
            blocked_until_ms: saved_block(self.blocked_until, now),
            remaining: self
                .remaining
                .filter(|remaining| !remaining.until.is_past(now))
                .map(|remaining| saved_count(remaining.requests, remaining.until, now)),
            requests,
            presence,
        }
    }

    /// Returns the requests of this process for its file.
    fn saved_requests(&self, counted: Counted, now: Moment) -> Vec<SavedCount> {
        let mut requests = Vec::new();
        for own in self.others.iter().filter(|requests| requests.is_own) {
            if self.counts(counted, own.is_presence, own.until) {
                requests.push(saved_count(own.count, own.until, now));
            }
        }
        for own in &self.completed {
            let until = self.expires_at(own);
            if self.counts(counted, own.is_presence, until) {
                requests.push(saved_count(own.count, until, now));
            }
        }
        requests.retain(|requests| requests.until_ms > wall_ms(now) + 1);
        let reserved = match counted {
            Counted::Presence => 0,
            Counted::All | Counted::CallsSince(_) => self.reserved,
        };
        let unfinished = [
            (self.in_flight(counted), MAX_REQUEST_TIME),
            (reserved, MAX_FETCH_TIME),
        ];
        for (count, max_time) in unfinished {
            if count > 0 {
                let until = self.end_of(now.after(max_time));
                requests.push(saved_count(count, until, now));
            }
        }
        requests
    }

    /// Returns the number of requests in flight.
    fn in_flight(&self, counted: Counted) -> u32 {
        let presence = self.in_flight.iter();
        let presence = presence
            .filter(|sent| **sent == Operation::Presence)
            .count() as u32;
        match counted {
            Counted::All => self.in_flight.len() as u32,
            Counted::Presence => presence,
            Counted::CallsSince(_) => self.in_flight.len() as u32 - presence,
        }
    }

    /// Returns whether requests that occupy the window until `until` are counted.
    fn counts(&self, counted: Counted, is_presence: bool, until: Moment) -> bool {
        match counted {
            Counted::All => true,
            Counted::Presence => is_presence,
            Counted::CallsSince(since) => !is_presence && until >= self.end_of(since),
        }
    }

    /// Adds a part of a file. Of several limits the last one that RingCentral reported to this process applies, else
    /// the one in the file.
    fn add(&mut self, part: &SavedGroup, times: SavedTimes, is_own: bool) {
        if self.reported.is_none()
            && let Some((limit, length_ms)) = part.limit
            && is_valid_limit(limit, length_ms)
        {
            self.limit = limit;
            self.length = Duration::from_millis(length_ms);
        }
        let mut presence = part.presence.clone();
        for SavedCount { count, until_ms } in &part.requests {
            let pages = take_count(&mut presence, *until_ms, *count);
            let Some(until) = times.future(*until_ms) else {
                continue;
            };
            for (count, is_presence) in [(count - pages, false), (pages, true)] {
                if count > 0 {
                    self.others.push(Occupied {
                        until,
                        count,
                        is_own,
                        is_presence,
                    });
                }
            }
        }
        if let Some(until) = part.blocked_until_ms.and_then(|until| times.future(until)) {
            self.block_until(until);
        }
        if let Some(remaining) = part.remaining
            && let Some(until) = times.future(remaining.until_ms)
            && self
                .remaining
                .is_none_or(|known| known.until.after(REPORT_TOLERANCE) < until)
        {
            let requests = remaining.count;
            self.remaining = Some(Remaining {
                requests,
                until,
                counts_own_until: None,
            });
        }
    }

    /// Returns how many requests of the limit are left, by the exporter's own count and by RingCentral's report.
    pub(crate) fn requests_left(&self, now: Moment) -> u32 {
        let left = self.limit.saturating_sub(self.completed(now));
        match self.remaining {
            Some(remaining) if !remaining.until.is_past(now) => left.min(remaining.requests),
            _ => left,
        }
    }

    /// Returns when this many requests can be sent so that those counted are at most `limit` in the window.
    fn available_by_count(
        &self,
        requests: u32,
        limit: u32,
        counted: Counted,
        now: Moment,
    ) -> Moment {
        let mut occupied = requests.saturating_add(self.in_flight(counted));
        if occupied > limit {
            // Requests in flight are in the way; the earliest possible end of their occupation is a window from now.
            return self.end_of(now);
        }
        let mut exceeds = |count| {
            occupied = occupied.saturating_add(count);
            occupied > limit
        };
        // Both are ordered by their end; those that occupy the window for longest come first.
        let others = self.others.iter();
        let mut others = others
            .filter(|other| self.counts(counted, other.is_presence, other.until))
            .peekable();
        for own in self.completed.iter().rev() {
            let until = self.expires_at(own);
            if !self.counts(counted, own.is_presence, until) {
                continue;
            }
            while let Some(other) = others.next_if(|other| other.until > until) {
                if exceeds(other.count) {
                    return other.until;
                }
            }
            if exceeds(own.count) {
                return until;
            }
        }
        for other in others {
            if exceeds(other.count) {
                return other.until;
            }
        }
        now
    }

    /// Returns when the requests are available by RingCentral's report, which holds while its window lasts. The exporter's
    /// requests that it counts leave the window at known times; those of other tools may do so at its end.
    fn available_by_report(&self, requests: u32, now: Moment) -> Moment {
        let Some(remaining) = self.remaining.filter(|it| it.requests < requests) else {
            return now;
        };
        let mut left = remaining.requests;
        let is_counted = |own: &&Completed| Some(own.last) <= remaining.counts_own_until;
        for own in self.completed.iter().take_while(is_counted) {
            left = left.saturating_add(own.count);
            if left >= requests {
                return self.expires_at(own).min(remaining.until);
            }
        }
        remaining.until
    }

    fn expires_at(&self, entry: &Completed) -> Moment {
        self.end_of(entry.last)
    }
}

fn saved_count(count: u32, until: Moment, now: Moment) -> SavedCount {
    let until_ms = future_ms(until, now);
    SavedCount { count, until_ms }
}

/// Takes up to `max` requests that end at this time out of a list. Returns their number.
fn take_count(list: &mut [SavedCount], until_ms: i64, max: u32) -> u32 {
    let mut taken = 0;
    for requests in list {
        if requests.until_ms == until_ms {
            let count = requests.count.min(max - taken);
            requests.count -= count;
            taken += count;
        }
    }
    taken
}

/// Returns whether a limit of a file is one that a response could have.
fn is_valid_limit(limit: u32, length_ms: u64) -> bool {
    let length_s = u32::try_from(length_ms / 1000).unwrap_or(u32::MAX);
    VALID_LIMITS.contains(&limit) && VALID_WINDOW_SECONDS.contains(&length_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::rate_limit::headers::Unreadable;

    const CALLS: Operation = Operation::ActiveCalls;

    fn heavy() -> (RateLimitWindow, Moment) {
        (RateLimitWindow::new(UsageGroup::Heavy), Moment::now())
    }

    fn at(start: Moment, seconds: f64) -> Moment {
        start.after(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn requests_left_are_the_lower_of_both_counts() {
        let (mut window, start) = heavy();
        assert_eq!(window.requests_left(start), 10);
        request(&mut window, start);
        request(&mut window, start);
        let end = at(start, 0.5);
        assert_eq!(window.requests_left(end), 8);
        let report = RateLimitHeaders {
            remaining: Some(3),
            ..RateLimitHeaders::default()
        };
        window.apply_headers(&report, end);
        assert_eq!(window.requests_left(end), 3);
        assert_eq!(window.requests_left(at(end, 61.0)), 10);
    }

    /// Records a request with half a second of latency.
    fn request(window: &mut RateLimitWindow, sent: Moment) {
        window.record_request(CALLS, sent);
        window.record_response(CALLS, at(sent, 0.5));
    }

    fn wait(window: &RateLimitWindow, requests: u32, now: Moment) -> f64 {
        window
            .available_at(requests, 0, now)
            .saturating_duration_since(now)
            .as_secs_f64()
    }

    #[test]
    fn one_fifth_of_the_limit_is_left_to_others() {
        let (mut window, start) = heavy();
        for (limit, usable) in [(1, 1), (4, 4), (5, 4), (10, 8), (1_000_000, 800_000)] {
            window.apply_headers(
                &RateLimitHeaders {
                    limit: Some(limit),
                    ..RateLimitHeaders::default()
                },
                start,
            );
            assert_eq!(window.usable(), usable);
        }
    }

    #[test]
    fn min_interval_spreads_usable_requests_evenly() {
        let (window, _) = heavy();
        assert_eq!(window.min_interval(1, 0), Duration::from_millis(7500));
        assert_eq!(window.min_interval(3, 0), Duration::from_millis(22_500));
    }

    #[test]
    fn request_expires_one_window_after_its_response() {
        let (mut window, start) = heavy();
        for _ in 0..8 {
            request(&mut window, start);
        }
        let soon = at(start, 1.0);
        assert_eq!(
            wait(&window, 1, soon),
            60.5,
            "0.5 s of latency, 60 s of window, 1 s of margin"
        );
        assert_eq!(wait(&window, 1, at(start, 61.5)), 0.0);
    }

    #[test]
    fn several_requests_wait_until_as_many_expire() {
        let (mut window, start) = heavy();
        for second in 0..8 {
            request(&mut window, at(start, f64::from(second)));
        }
        let now = at(start, 8.0);
        assert_eq!(wait(&window, 1, now), 53.5);
        assert_eq!(wait(&window, 3, now), 55.5);
        assert_eq!(wait(&window, 8, now), 60.5);
        assert_eq!(
            wait(&window, 12, now),
            60.5,
            "more than the usable number waits for an empty window"
        );
    }

    #[test]
    fn request_in_flight_does_not_expire() {
        let (mut window, start) = heavy();
        for _ in 0..8 {
            window.record_request(CALLS, start);
        }
        assert_eq!(wait(&window, 1, at(start, 300.0)), 61.0);
    }

    #[test]
    fn reported_remaining_holds_for_one_window() {
        let (mut window, start) = heavy();
        window.apply_headers(
            &RateLimitHeaders {
                remaining: Some(2),
                ..RateLimitHeaders::default()
            },
            start,
        );
        assert_eq!(wait(&window, 2, start), 0.0);
        assert_eq!(wait(&window, 3, start), 61.0);
        request(&mut window, start);
        assert_eq!(
            wait(&window, 2, at(start, 1.0)),
            60.0,
            "requests sent since the report are subtracted"
        );
        assert_eq!(wait(&window, 8, at(start, 62.0)), 0.0);
    }

    /// Returns the headers of a response with this number of remaining requests.
    fn report(remaining: u32) -> RateLimitHeaders {
        RateLimitHeaders {
            remaining: Some(remaining),
            ..RateLimitHeaders::default()
        }
    }

    /// A request leaves a window that slides after its length, and a fixed one no later.
    #[test]
    fn reported_requests_of_the_exporter_remain_again() {
        // Of the ten requests the exporter has sent three, half a second before 0.5, 10.5 and 20.5 s.
        for (used_by_others, wanted, wait_s) in [
            (0, 7, 0.0),
            (0, 8, 21.0),
            (2, 5, 0.0),
            (2, 6, 21.0),
            (2, 7, 31.0),
            (2, 8, 41.0),
            (2, 9, 41.5),
            // More than a fifth of the limit: perhaps none of these is the exporter's.
            (3, 4, 0.0),
            (3, 5, 41.5),
        ] {
            let (mut window, start) = heavy();
            for seconds in [0.0, 10.0, 20.0] {
                request(&mut window, at(start, seconds));
            }
            window.apply_headers(&report(7 - used_by_others), at(start, 21.0));
            let now = at(start, 40.5);
            let available_at = window.available_by_report(wanted, now);
            let needed_s = available_at.saturating_duration_since(now).as_secs_f64();
            assert_eq!(needed_s, wait_s, "{used_by_others} {wanted}");
        }
    }

    /// A fixed window has begun again, and it is not known when the requests of other tools in it were sent.
    #[test]
    fn report_of_fewer_requests_holds_to_its_end() {
        let (mut window, start) = heavy();
        for _ in 0..5 {
            request(&mut window, start);
        }
        window.apply_headers(&report(6), at(start, 1.0));
        assert_eq!(wait(&window, 7, at(start, 10.0)), 52.0);
    }

    #[test]
    fn report_that_was_expected_holds_no_longer() {
        for (own, reported, wait_s) in [(6, 1, 1.5), (6, 0, 51.0), (0, 1, 1.0)] {
            let (mut window, start) = heavy();
            for _ in 0..own {
                request(&mut window, start);
            }
            window.apply_headers(&report(2), start);
            let later = at(start, 50.0);
            request(&mut window, later);
            window.apply_headers(&report(reported), later);
            assert_eq!(
                wait(&window, 2, at(start, 60.0)),
                wait_s,
                "{own} {reported}"
            );
        }
    }

    #[test]
    fn longer_window_extends_past_requests() {
        let (mut window, start) = heavy();
        for _ in 0..8 {
            request(&mut window, start);
        }
        window.apply_headers(
            &RateLimitHeaders {
                window: Some(Duration::from_secs(120)),
                ..RateLimitHeaders::default()
            },
            start,
        );
        assert_eq!(wait(&window, 1, at(start, 0.5)), 121.0);
    }

    #[test]
    fn merged_responses_expire_with_the_last_one() {
        let (mut window, start) = heavy();
        for millisecond in [0, 30] {
            let sent = start.after(Duration::from_millis(millisecond));
            window.record_request(CALLS, sent);
            window.record_response(CALLS, sent);
        }
        assert_eq!(
            window.completed.len(),
            1,
            "responses within 60 ms are merged"
        );
        assert_eq!(wait(&window, 8, start), 61.03);
    }

    #[test]
    fn block_is_never_shortened() {
        let (mut window, start) = heavy();
        window.block_until(at(start, 60.0));
        window.block_until(at(start, 30.0));
        assert_eq!(wait(&window, 1, start), 60.0);
    }

    #[test]
    fn many_requests_are_counted_in_little_memory() {
        let (mut window, start) = heavy();
        window.apply_headers(
            &RateLimitHeaders {
                limit: Some(100_000),
                ..RateLimitHeaders::default()
            },
            start,
        );
        for millisecond in 0..50_000 {
            let sent = start.after(Duration::from_millis(millisecond));
            window.record_request(CALLS, sent);
            window.record_response(CALLS, sent);
        }
        assert!(window.completed.len() <= 1000);
        let now = at(start, 50.0);
        assert_eq!(wait(&window, 30_000, now), 0.0);
        assert!(wait(&window, 30_001, now) > 0.0);
    }

    #[test]
    fn report_does_not_include_requests_in_flight() {
        let (mut window, start) = heavy();
        window.record_request(CALLS, start);
        window.record_request(CALLS, start);
        window.record_response(CALLS, start);
        let report = RateLimitHeaders {
            remaining: Some(3),
            ..RateLimitHeaders::default()
        };
        window.apply_headers(&report, start);
        assert_eq!(wait(&window, 2, start), 0.0);
        assert_eq!(wait(&window, 3, start), 61.0);
    }

    #[test]
    fn unreadable_limit_and_window_are_the_safe_ones() {
        let (mut window, start) = heavy();
        let mut apply = |limit: Option<u32>, seconds: Option<u64>, unreadable: bool| {
            let headers = RateLimitHeaders {
                limit,
                window: seconds.map(Duration::from_secs),
                unreadable: Unreadable {
                    limit: unreadable,
                    window: unreadable,
                    retry_after: false,
                },
                ..RateLimitHeaders::default()
            };
            window.apply_headers(&headers, start);
            (window.limit, window.length.as_secs())
        };
        assert_eq!(apply(Some(1000), Some(5), false), (1000, 5));
        assert_eq!(apply(None, None, true), (10, 60));
        assert_eq!(apply(Some(4), Some(900), false), (4, 900));
        assert_eq!(apply(Some(100), Some(1), true), (4, 900));
        assert_eq!(apply(Some(100), Some(1), false), (100, 1));
    }

    #[test]
    fn window_of_a_day_is_kept_in_little_memory() {
        let (mut window, start) = heavy();
        let day = RateLimitHeaders {
            limit: Some(1_000_000),
            window: Some(Duration::from_secs(86_400)),
            ..RateLimitHeaders::default()
        };
        window.apply_headers(&day, start);
        assert_eq!(window.min_interval(1, 0), Duration::from_millis(108));
        for second in 0..86_400 {
            for _ in 0..9 {
                request(&mut window, at(start, f64::from(second)));
            }
        }
        assert!(window.completed.len() <= 1000, "{}", window.completed.len());
        let now = at(start, 86_400.0);
        assert_eq!(wait(&window, 22_000, now), 0.0);
        assert!(wait(&window, 23_000, now) > 0.0);
        assert!(wait(&window, u32::MAX, now) <= 86_401.0);
    }
}
