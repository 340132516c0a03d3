//! One usage group's budget: **pure**, with the clock as an argument.
//!
//! Owns: how many requests of the group are in the window, by our own count and by what the API last said, and how
//! long the group is silenced. A request occupies the window from when it is sent until the window's length and a
//! second after its answer came: the API may have counted it anywhere in between, and whether its window is fixed or
//! slides is not documented. Refuses to know: which operations pay into the group, and pages.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::operation::UsageGroup;
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;

/// The documented length, believed until an answer says otherwise.
const DOCUMENTED_LENGTH: Duration = Duration::from_secs(60);
/// Kept clear behind the window, for clocks that tick differently.
const SAFETY_MARGIN: Duration = Duration::from_secs(1);
/// Answers closer together than this part of the window are kept as one, so that a limit of a million needs no more
/// memory than a limit of a thousand.
const MERGE_FRACTION: u32 = 1000;

/// The state of one group.
#[derive(Clone, Debug)]
pub struct RateLimitWindow {
    limit: u32,
    length: Duration,
    in_flight: u32,
    record_response: VecDeque<Completed>,
    reported: Option<ReportedRemaining>,
    silent_until: Option<Moment>,
}

/// Requests whose answers came at about the same time.
#[derive(Clone, Copy, Debug)]
struct Completed {
    first: Moment,
    last: Moment,
    count: u32,
}

/// What the API last said was left, less what we have sent since.
#[derive(Clone, Copy, Debug)]
struct ReportedRemaining {
    remaining: u32,
    at: Moment,
}

impl RateLimitWindow {
    /// A window of which nothing is known but the documents.
    #[must_use]
    pub fn new(group: UsageGroup) -> Self {
        Self {
            limit: group.documented_limit(),
            length: DOCUMENTED_LENGTH,
            in_flight: 0,
            record_response: VecDeque::new(),
            reported: None,
            silent_until: None,
        }
    }

    /// The requests that we allow ourselves in one window: one fifth of the limit is left to other tools.
    #[must_use]
    pub fn usable(&self) -> u32 {
        self.limit - self.limit / 5
    }

    /// The window's length.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    /// How far apart walks of this many pages must start so that the window never runs dry.
    #[must_use]
    pub fn min_interval(&self, pages: u32) -> Duration {
        self.length
            .mul_f64(f64::from(pages) / f64::from(self.usable()))
    }

    /// When this many requests may leave, as far as is known now. More than is ever usable counts as all of it.
    #[must_use]
    pub fn available_at(&self, requests: u32, now: Moment) -> Moment {
        let requests = requests.min(self.usable());
        let silence = self.silent_until.unwrap_or(now);
        now.max(silence)
            .max(self.available_by_count(requests, now))
            .max(self.available_by_report(requests, now))
    }

    /// When the group's present silence ends, or its last one ended.
    #[must_use]
    pub fn blocked_until(&self) -> Option<Moment> {
        self.silent_until
    }

    /// Not one request until then; never shortens a silence.
    pub fn block_until(&mut self, until: Moment) {
        self.silent_until = Some(
            self.silent_until
                .map_or(until, |present| present.max(until)),
        );
    }

    /// A request leaves.
    pub fn record_request(&mut self, now: Moment) {
        while self
            .record_response
            .front()
            .is_some_and(|oldest| self.expires_at(oldest).is_past(now))
        {
            self.record_response.pop_front();
        }
        self.in_flight += 1;
        if let Some(told) = &mut self.reported {
            told.remaining = told.remaining.saturating_sub(1);
        }
    }

    /// The answer to a request came, or its time ran out.
    pub fn completed(&mut self, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let grain = self.length / MERGE_FRACTION;
        match self.record_response.back_mut() {
            Some(latest) if now.saturating_duration_since(latest.first) < grain => {
                latest.last = now;
                latest.count += 1;
            }
            _ => self.record_response.push_back(Completed {
                first: now,
                last: now,
                count: 1,
            }),
        }
    }

    /// Nobody waits for an answer any more: what is on its way counts as answered.
    pub fn abandon_in_flight(&mut self, now: Moment) {
        while self.in_flight > 0 {
            self.completed(now);
        }
    }

    /// Takes over what an answer said.
    pub fn apply_headers(&mut self, notice: &RateLimitHeaders, now: Moment) {
        self.limit = notice.limit.unwrap_or(self.limit);
        self.length = notice.window.unwrap_or(self.length);
        if let Some(left) = notice.remaining {
            self.reported = Some(ReportedRemaining {
                remaining: left,
                at: now,
            });
        }
    }

    /// By our own count.
    fn available_by_count(&self, requests: u32, now: Moment) -> Moment {
        let occupying = || {
            self.record_response
                .iter()
                .filter(|entry| !self.expires_at(entry).is_past(now))
        };
        let occupied: u32 = self.in_flight + occupying().map(|entry| entry.count).sum::<u32>();
        let mut too_many = (occupied + requests).saturating_sub(self.usable());
        let mut room = now;
        for entry in occupying() {
            if too_many == 0 {
                return room;
            }
            room = self.expires_at(entry);
            too_many = too_many.saturating_sub(entry.count);
        }
        if too_many == 0 {
            room
        } else {
            now.after(self.length + SAFETY_MARGIN)
        }
    }

    /// By what the API said, for as long as the window lasts of which it spoke.
    fn available_by_report(&self, requests: u32, now: Moment) -> Moment {
        match self.reported {
            Some(told) if told.remaining < requests => told.at.after(self.length + SAFETY_MARGIN),
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

    fn received_at(start: Moment, seconds: f64) -> Moment {
        start.after(Duration::from_secs_f64(seconds))
    }

    /// One request with half a second of latency.
    fn ask(window: &mut RateLimitWindow, sent: Moment) {
        window.record_request(sent);
        window.completed(received_at(sent, 0.5));
    }

    fn wait(window: &RateLimitWindow, requests: u32, now: Moment) -> f64 {
        window
            .available_at(requests, now)
            .saturating_duration_since(now)
            .as_secs_f64()
    }

    #[test]
    fn one_fifth_is_left_to_others() {
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
    fn the_pace_spreads_the_usable_requests_over_the_window() {
        let (window, _) = heavy();
        assert_eq!(window.min_interval(1), Duration::from_millis(7500));
        assert_eq!(window.min_interval(3), Duration::from_millis(22_500));
    }

    #[test]
    fn a_request_occupies_the_window_until_a_second_after_it_counted_from_the_answer() {
        let (mut window, start) = heavy();
        for _ in 0..8 {
            ask(&mut window, start);
        }
        let soon = received_at(start, 1.0);
        assert_eq!(
            wait(&window, 1, soon),
            60.5,
            "0.5 s of latency, 60 s of window, 1 s of margin"
        );
        assert_eq!(wait(&window, 1, received_at(start, 61.5)), 0.0);
    }

    #[test]
    fn room_for_several_waits_for_as_many_to_leave() {
        let (mut window, start) = heavy();
        for second in 0..8 {
            ask(&mut window, received_at(start, f64::from(second)));
        }
        let now = received_at(start, 8.0);
        assert_eq!(wait(&window, 1, now), 53.5);
        assert_eq!(wait(&window, 3, now), 55.5);
        assert_eq!(wait(&window, 8, now), 60.5);
        assert_eq!(
            wait(&window, 12, now),
            60.5,
            "more than is ever usable waits for the empty window"
        );
    }

    #[test]
    fn a_request_without_its_answer_still_counts() {
        let (mut window, start) = heavy();
        for _ in 0..8 {
            window.record_request(start);
        }
        assert_eq!(wait(&window, 1, received_at(start, 300.0)), 61.0);
    }

    #[test]
    fn what_the_api_says_is_left_holds_while_its_window_lasts() {
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
        ask(&mut window, start);
        assert_eq!(
            wait(&window, 2, received_at(start, 1.0)),
            60.0,
            "what we send since is taken off"
        );
        assert_eq!(wait(&window, 8, received_at(start, 62.0)), 0.0);
    }

    #[test]
    fn a_window_that_proves_longer_keeps_what_is_in_it() {
        let (mut window, start) = heavy();
        for _ in 0..8 {
            ask(&mut window, start);
        }
        window.apply_headers(
            &RateLimitHeaders {
                window: Some(Duration::from_secs(120)),
                ..RateLimitHeaders::default()
            },
            start,
        );
        assert_eq!(wait(&window, 1, received_at(start, 0.5)), 121.0);
    }

    #[test]
    fn of_answers_that_are_kept_as_one_the_last_decides() {
        let (mut window, start) = heavy();
        for millisecond in [0, 30] {
            let at = start.after(Duration::from_millis(millisecond));
            window.record_request(at);
            window.completed(at);
        }
        assert_eq!(window.record_response.len(), 1, "a grain is 60 ms");
        assert_eq!(wait(&window, 8, start), 61.03);
    }

    #[test]
    fn a_silence_is_never_shortened() {
        let (mut window, start) = heavy();
        window.block_until(received_at(start, 60.0));
        window.block_until(received_at(start, 30.0));
        assert_eq!(wait(&window, 1, start), 60.0);
    }

    #[test]
    fn a_million_requests_need_little_memory_and_are_all_counted() {
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
            window.completed(sent);
        }
        assert!(window.record_response.len() <= 1000);
        let now = received_at(start, 50.0);
        assert_eq!(wait(&window, 30_000, now), 0.0);
        assert!(wait(&window, 30_001, now) > 0.0);
    }
}
