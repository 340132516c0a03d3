//! The times of scrapes, and of the faults in between.
//!
//! Days are counted in UTC from the first one. An event that does not fit completely is left out. All times are Unix seconds.

use std::ops::Range;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// State of the API at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPhase {
    /// The API answers.
    Fair,
    /// The API is down.
    Outage,
    /// Another client has used up the limit; the penalty lasts this many more seconds.
    Penalty(u64),
}

/// Steps and events.
#[derive(Clone, Debug)]
pub struct Timeline {
    last: i64,
    step: i64,
    count: i64,
    outage: Range<i64>,
    penalty: Range<i64>,
    restart: Range<i64>,
}

impl Timeline {
    /// Creates a timeline of this many days that ends with a scrape at `last`.
    pub fn new(days: i64, step: i64, last: i64) -> Self {
        let count = (days * DAY / step).max(1);
        let never = last..last;
        let mut timeline = Self {
            last,
            step,
            count,
            outage: never.clone(),
            penalty: never.clone(),
            restart: never,
        };
        timeline.penalty = timeline.event(3, 11 * HOUR, MINUTE);
        timeline.outage = timeline.event(5, 14 * HOUR + 10 * MINUTE, 25 * MINUTE);
        timeline.restart = timeline.event(6, 4 * HOUR + 30 * MINUTE, step);
        timeline
    }

    /// Returns the time of the first scrape.
    pub fn first(&self) -> i64 {
        self.last - (self.count - 1) * self.step
    }

    /// Returns the times of all scrapes, in order.
    pub fn steps(&self) -> impl Iterator<Item = i64> + use<> {
        let (first, step) = (self.first(), self.step);
        (0..self.count).map(move |n| first + n * step)
    }

    /// Returns whether the exporter is restarting at this step.
    pub fn restarts_at(&self, at: i64) -> bool {
        self.restart.contains(&at)
    }

    /// Returns the state of the API for a request.
    pub fn fault_phase(&self, at: i64) -> FaultPhase {
        if self.outage.contains(&at) {
            FaultPhase::Outage
        } else if self.penalty.contains(&at) {
            FaultPhase::Penalty(self.penalty.end.abs_diff(at))
        } else {
            FaultPhase::Fair
        }
    }

    /// Returns the span of an event on a day (the first is 1); empty if it does not fit completely.
    fn event(&self, day: i64, past_midnight: i64, long: i64) -> Range<i64> {
        let first_midnight = self.first() - self.first().rem_euclid(DAY);
        let from = first_midnight + (day - 1) * DAY + past_midnight;
        let fits = from > self.first() && from + long <= self.last;
        if fits { from..from + long } else { from..from }
    }
}
