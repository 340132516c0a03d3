//! The rate limit of one usage group in a sliding window. Pure: the time is an argument.
//!
//! Counts the requests in the window, by the exporter's own count and by what RingCentral last reported, and how
//! long the group is blocked. A request occupies the window from when it is sent until the window's length and a
//! margin after its response arrived: RingCentral may have counted it at any time in between, and does not
//! document whether its window is fixed or slides.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::UsageGroup;
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::status::ReportedLimit;

/// The documented length of a window, used until a response has another one.
const DEFAULT_LENGTH: Duration = Duration::from_secs(60);
/// Added to the window's length, for clocks that run at different speeds.
const SAFETY_MARGIN: Duration = Duration::from_secs(1);
/// Responses closer together than this fraction of the window are merged, so that a limit of a million needs no more
/// memory than a limit of a thousand.
const MERGE_FRACTION: u32 = 1000;

/// The limit of one usage group and the requests that count against it.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitWindow {
    group: UsageGroup,
    limit: u32,
    pub(super) length: Duration,
    in_flight: u32,
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
}

/// The number of requests that RingCentral last reported as remaining, less those sent since.
#[derive(Clone, Copy, Debug)]
struct Remaining {
    requests: u32,
    reported_at: Moment,
}

impl RateLimitWindow {
    /// Creates an empty window with the documented limit and length.
    pub(crate) fn new(group: UsageGroup) -> Self {
        Self {
            group,
            limit: group.documented_limit(),
            length: DEFAULT_LENGTH,
            in_flight: 0,
            completed: VecDeque::new(),
            remaining: None,
            reported: None,
            blocked_until: None,
        }
    }

    /// Returns the number of requests that the exporter may send in one window: one fifth of the limit, rounded
    /// down, is left to other tools.
    pub(crate) fn usable(&self) -> u32 {
        self.limit - self.limit / 5
    }

    /// Returns the interval between fetches of this many pages at which the window never fills up.
    pub(crate) fn min_interval(&self, pages: u32) -> Duration {
        self.length
            .mul_f64(f64::from(pages) / f64::from(self.usable()))
    }

    /// Returns when this many requests can be sent, as far as is known now. More than the usable number count as the
    /// usable number.
    pub(crate) fn available_at(&self, requests: u32, now: Moment) -> Moment {
        let requests = requests.min(self.usable());
        now.max(self.blocked_until.unwrap_or(now))
            .max(self.available_by_count(requests, now))
            .max(self.available_by_report(requests, now))
    }

    /// Blocks all requests until `until`; a longer block stays.
    pub(crate) fn block_until(&mut self, until: Moment) {
        self.blocked_until = self.blocked_until.max(Some(until));
    }

    /// Records that a request is sent.
    pub(crate) fn record_request(&mut self, now: Moment) {
        while let Some(oldest) = self.completed.front()
            && self.expires_at(oldest).is_past(now)
        {
            self.completed.pop_front();
        }
        self.in_flight += 1;
        if let Some(remaining) = &mut self.remaining {
            remaining.requests = remaining.requests.saturating_sub(1);
        }
    }

    /// Records that a response has arrived or that a request has timed out.
    pub(crate) fn record_response(&mut self, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let merge_within = self.length / MERGE_FRACTION;
        match self.completed.back_mut() {
            Some(latest) if now.saturating_duration_since(latest.first) < merge_within => {
                latest.last = now;
                latest.count += 1;
            }
            _ => self.completed.push_back(Completed {
                first: now,
                last: now,
                count: 1,
            }),
        }
    }

    /// Counts all requests in flight as completed now.
    pub(crate) fn abandon_in_flight(&mut self, now: Moment) {
        while self.in_flight > 0 {
            self.record_response(now);
        }
    }

    /// Applies the limit, window and remaining requests of a response.
    pub(crate) fn apply_headers(&mut self, headers: &RateLimitHeaders, now: Moment) {
        self.length = headers.window.unwrap_or(self.length);
        if let Some(requests) = headers.remaining {
            self.remaining = Some(Remaining {
                requests,
                reported_at: now,
            });
        }
        let Some(limit) = headers.limit else { return };
        self.limit = limit;
        let group = headers.group.as_deref().unwrap_or(self.group.as_str());
        self.reported = Some(ReportedLimit {
            group: group.to_owned(),
            limit,
            remaining: headers.remaining,
            window: self.length,
            blocked_until: None,
        });
    }

    /// Returns how many requests of the limit are left, by the exporter's own count and by RingCentral's report.
    pub(crate) fn requests_left(&self, now: Moment) -> u32 {
        let mut left = self.limit;
        for entry in &self.completed {
            if !self.expires_at(entry).is_past(now) {
                left = left.saturating_sub(entry.count);
            }
        }
        match self.remaining {
            Some(remaining) if !self.available_by_report(u32::MAX, now).is_past(now) => {
                left.min(remaining.requests)
            }
            _ => left,
        }
    }

    fn available_by_count(&self, requests: u32, now: Moment) -> Moment {
        let mut occupied = self.in_flight + requests;
        if occupied > self.usable() {
            // Requests in flight are in the way; the earliest possible end of their occupation is a window from now.
            return now.after(self.length + SAFETY_MARGIN);
        }
        for entry in self.completed.iter().rev() {
            occupied += entry.count;
            if occupied > self.usable() {
                return self.expires_at(entry);
            }
        }
        now
    }

    /// Returns when the requests are available by RingCentral's report, which holds while its window lasts.
    fn available_by_report(&self, requests: u32, now: Moment) -> Moment {
        match self.remaining {
            Some(remaining) if remaining.requests < requests => {
                remaining.reported_at.after(self.length + SAFETY_MARGIN)
            }
            _ => now,
        }
    }

    fn expires_at(&self, entry: &Completed) -> Moment {
        entry.last.after(self.length + SAFETY_MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        window.record_request(sent);
        window.record_response(at(sent, 0.5));
    }

    fn wait(window: &RateLimitWindow, requests: u32, now: Moment) -> f64 {
        window
            .available_at(requests, now)
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
        assert_eq!(window.min_interval(1), Duration::from_millis(7500));
        assert_eq!(window.min_interval(3), Duration::from_millis(22_500));
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
            window.record_request(start);
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
            window.record_request(sent);
            window.record_response(sent);
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
            window.record_request(sent);
            window.record_response(sent);
        }
        assert!(window.completed.len() <= 1000);
        let now = at(start, 50.0);
        assert_eq!(wait(&window, 30_000, now), 0.0);
        assert!(wait(&window, 30_001, now) > 0.0);
    }
}
