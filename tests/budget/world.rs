//! The API's side of a day.

use std::time::Duration;

use proptest::prelude::*;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, OtherClient, Window};

pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The time that the client gives a request.
pub const PATIENCE_MS: i64 = 10_000;

/// What a day is like.
#[derive(Clone, Debug)]
pub struct Day {
    pub limit: u32,
    pub window_s: u64,
    pub kind: Window,
    /// The longest list of the day, in pages; it grows to that and shrinks again, several times.
    pub most_pages: u32,
    pub page_change_s: i64,
    pub slowest_ms: i64,
    /// Requests of another tool, once a window.
    pub other: u32,
    pub other_is_greedy: bool,
    /// Windows that a penalty lasts.
    pub penalty: u32,
    /// Whether answers tell what is left.
    pub tells_remaining: bool,
    /// Interval and phase of each scraper, in milliseconds.
    pub scrapers: Vec<(i64, i64)>,
    pub seed: u64,
}

impl Day {
    pub fn any() -> impl Strategy<Value = Day> {
        let kind = prop_oneof![Just(Window::Fixed), Just(Window::Sliding)];
        let scraper = (1_000_i64..=60_000, 0_i64..60_000);
        (
            (
                1_u32..=50,
                prop_oneof![Just(60_u64), 5_u64..=300],
                kind,
                1_u32..=12,
                60_i64..=7200,
            ),
            (
                prop_oneof![Just(0_i64), 0_i64..=12_000],
                0_u32..=10,
                prop::bool::weighted(0.3),
                1_u32..=5,
                any::<bool>(),
            ),
            (prop::collection::vec(scraper, 1..=4), any::<u64>()),
        )
            .prop_map(
                |(
                    (limit, window_s, kind, most_pages, page_change_s),
                    (slowest_ms, other, greedy, penalty, tells_remaining),
                    (scrapers, seed),
                )| {
                    let other = if greedy { limit } else { other.min(limit / 5) };
                    Day {
                        limit,
                        window_s,
                        kind,
                        most_pages,
                        page_change_s,
                        slowest_ms,
                        other,
                        other_is_greedy: greedy,
                        penalty,
                        tells_remaining,
                        scrapers,
                        seed,
                    }
                },
            )
    }

    /// When somebody scrapes, in order.
    pub fn scrapes(&self) -> Vec<i64> {
        let of = |(interval, phase): &(i64, i64)| {
            (0..)
                .map(|n| phase + n * interval)
                .take_while(|at| *at < DAY_MS)
                .collect::<Vec<_>>()
        };
        let mut scrapes: Vec<_> = self.scrapers.iter().flat_map(of).collect();
        scrapes.sort_unstable();
        scrapes
    }

    /// The longest time between two scrapes.
    pub fn interval_ms(&self) -> i64 {
        self.scrapers
            .iter()
            .map(|(interval, _)| *interval)
            .min()
            .unwrap()
    }

    /// The length of the list: a staircase up and down.
    pub fn pages(&self, at: i64) -> u32 {
        let step = (at / 1000 / self.page_change_s) as u32;
        let period = 2 * self.most_pages;
        let place = step % period;
        1 + place.min(period - 1 - place)
    }

    /// What one window holds for us.
    pub fn usable(&self) -> u32 {
        self.limit - self.limit / 5
    }
}

/// One answer, or none in time.
pub struct Answer {
    /// When it came, or when waiting for it ended.
    pub at: i64,
    pub verdict: Option<Decision>,
}

/// The API during a day.
pub struct World {
    limiter: Limiter,
    slowest_ms: i64,
    dice: fastrand::Rng,
    pub refused: u32,
    pub inside_penalty: u32,
    told_of_penalty: bool,
}

impl World {
    pub fn new(day: &Day) -> Self {
        let window = Duration::from_secs(day.window_s);
        let limit = Limit {
            requests: day.limit,
            window,
            kind: day.kind,
            penalty: window * day.penalty,
        };
        let every = if day.other_is_greedy {
            20 * window
        } else {
            window
        };
        let other = (day.other > 0).then_some(OtherClient {
            requests: day.other,
            first: window / 3,
            every,
        });
        Self {
            limiter: Limiter::new(limit, other, 0),
            slowest_ms: day.slowest_ms,
            dice: fastrand::Rng::with_seed(day.seed),
            refused: 0,
            inside_penalty: 0,
            told_of_penalty: false,
        }
    }

    /// A request leaves at `sent`; it arrives somewhere within the time that it takes.
    pub fn request(&mut self, sent: i64) -> Answer {
        let took = self.dice.i64(0..=self.slowest_ms);
        let arrived = sent + self.dice.i64(0..=took);
        // Of a penalty whose announcement was lost on the way nobody can know.
        self.inside_penalty += u32::from(self.told_of_penalty && self.limiter.in_penalty(arrived));
        let verdict = self.limiter.admit(arrived);
        let in_time = took <= PATIENCE_MS;
        if let Decision::Refused { .. } = verdict {
            self.refused += 1;
            self.told_of_penalty = in_time;
        }
        Answer {
            at: sent + took.min(PATIENCE_MS),
            verdict: in_time.then_some(verdict),
        }
    }
}
