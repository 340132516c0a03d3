//! When scrapes come, and what goes wrong meanwhile.
//!
//! Owns: the steps, and the hours of an outage, a penalty and a restart. Days are counted in UTC, from the one on which
//! the history begins; what does not fit into the history is left out. Refuses to know: what the exporter makes of it.
//! All times are seconds since 1970.

use std::ops::Range;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The API at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It answers.
    Fair,
    /// It is out of order.
    Outage,
    /// Something else has used up the limit, and the penalty goes on for so many seconds.
    Penalty(u64),
}

/// The steps and the events.
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
    /// So many days that end with a scrape at `last`, and one each step before.
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

    /// The first scrape.
    pub fn first(&self) -> i64 {
        self.last - (self.count - 1) * self.step
    }

    /// All scrapes, in order.
    pub fn steps(&self) -> impl Iterator<Item = i64> + use<> {
        let (first, step) = (self.first(), self.step);
        (0..self.count).map(move |n| first + n * step)
    }

    /// Whether the exporter is being restarted at this step.
    pub fn restarts_at(&self, at: i64) -> bool {
        self.restart.contains(&at)
    }

    /// What a request meets.
    pub fn weather(&self, at: i64) -> Weather {
        if self.outage.contains(&at) {
            Weather::Outage
        } else if self.penalty.contains(&at) {
            Weather::Penalty(self.penalty.end.abs_diff(at))
        } else {
            Weather::Fair
        }
    }

    /// An event on a day of the history, the first being 1; an empty one if the history does not hold all of it.
    fn event(&self, day: i64, past_midnight: i64, long: i64) -> Range<i64> {
        let first_midnight = self.first() - self.first().rem_euclid(DAY);
        let from = first_midnight + (day - 1) * DAY + past_midnight;
        let fits = from > self.first() && from + long <= self.last;
        if fits { from..from + long } else { from..from }
    }
}
