//! A simulated day and its fetches.
//!
//! Owns: the company and its calls, who scrapes when, and which scrapes the exporter's own budget lets fetch under the
//! API's ten requests a minute.

use std::ops::Range;
use std::time::Duration;

use ringcentral_exporter::calls::{Call, CallResult, CallState, Direction, Extension};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::simulator::company::Company;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter};
use ringcentral_exporter::simulator::load_profile::LoadProfile;
use ringcentral_exporter::simulator::record::{self, Party};
use ringcentral_exporter::simulator::{Record, Switchboard};
use smol_str::ToSmolStr;

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-11-24, a Tuesday, in UTC.
const MIDNIGHT_MS: i64 = 20_781 * DAY_MS;
/// Scrapes so far apart find the API's window empty, however long the list.
pub const WINDOWFUL_S: i64 = 65;
const PER_PAGE: usize = 1000;
/// From asking for a page to its answer.
const PAGE_MS: i64 = 250;
/// A scrape comes at most so much late.
const JITTER_MS: i64 = 900;

/// A company's calls during 24 hours.
pub struct Day {
    pub switchboard: Switchboard,
    pub from: i64,
    start: Moment,
}

impl Day {
    /// About 20,000 calls from ten in the morning, so that the first and the last list are long.
    pub fn usual() -> Self {
        Self::of(200, 28.2, MIDNIGHT_MS + 10 * HOUR_MS)
    }

    /// About 500,000 calls of 10,000 extensions from midnight: up to five pages.
    pub fn huge() -> Self {
        Self::of(10_000, 715.0, MIDNIGHT_MS)
    }

    /// The same from half past eight, when the list grows from three pages to five.
    pub fn huge_from_morning() -> Self {
        Self::of(10_000, 715.0, MIDNIGHT_MS + 8 * HOUR_MS + 30 * MINUTE_MS)
    }

    /// The whole of it.
    pub fn all(&self) -> Range<i64> {
        self.from..self.from + DAY_MS
    }

    fn of(extensions: usize, calls_per_minute: f64, from: i64) -> Self {
        let curve = LoadProfile {
            calls_per_minute,
            day_shift_ms: 0,
            surge: None,
        };
        let switchboard = Switchboard::new(Company::new(extensions, 1), curve, 1);
        Self {
            switchboard,
            from,
            start: Moment::now(),
        }
    }

    /// The calls that a full list holds.
    pub fn listed_at(&self, at: i64) -> Vec<Call> {
        calls(&self.switchboard.listed_at(at))
    }

    /// The lists that are fetched when so many scrape every so many seconds, from one instant until another.
    pub fn fetches(&self, scrapers: i64, interval_s: i64, during: Range<i64>) -> Fetches<'_> {
        let mut scrapes = self.scrapes(scrapers, interval_s * 1000);
        scrapes.retain(|at| during.contains(at));
        Fetches {
            day: self,
            scrapes: scrapes.into_iter(),
            budget: Budget::new(Duration::ZERO),
            limiter: Limiter::new(Limit::per_minute(10), None, self.from),
            start: self.start,
            walking_until: self.from,
        }
    }

    /// A pair scrapes by turns, though not evenly.
    fn scrapes(&self, scrapers: i64, interval_ms: i64) -> Vec<i64> {
        let mut dice = fastrand::Rng::with_seed(interval_ms as u64);
        let count = DAY_MS / interval_ms;
        let places = (0..scrapers).flat_map(|scraper| (0..count).map(move |n| (scraper, n)));
        let phase = |scraper| scraper * interval_ms * 2 / 5;
        let at =
            |(scraper, n)| self.from + phase(scraper) + n * interval_ms + dice.i64(0..=JITTER_MS);
        let mut scrapes: Vec<_> = places.map(at).collect();
        scrapes.sort_unstable();
        scrapes
    }
}

/// A list and when it was asked for.
pub struct Fetch {
    pub at: i64,
    pub moment: Moment,
    pub records: Vec<Record>,
}

impl Fetch {
    /// The list as the exporter understands it.
    pub fn calls(&self) -> Vec<Call> {
        calls(&self.records)
    }

    /// Leaves a record out here and there, as happens where the list moves between two pages. The first and the last
    /// minutes of the day are left whole: nothing tells of a record that they hide.
    pub fn flicker(mut self, day: &Day) -> Self {
        let past = self.at - day.from;
        if (5 * MINUTE_MS..DAY_MS - 5 * MINUTE_MS).contains(&past) {
            let mut dice = fastrand::Rng::with_seed(past as u64);
            self.records.retain(|_| dice.u32(0..50) > 0);
        }
        self
    }
}

/// The fetches of a day, in order.
pub struct Fetches<'a> {
    day: &'a Day,
    scrapes: std::vec::IntoIter<i64>,
    budget: Budget,
    limiter: Limiter,
    start: Moment,
    walking_until: i64,
}

impl Iterator for Fetches<'_> {
    type Item = Fetch;

    /// A scrape that meets a walk waits for it, and one that may not fetch has no list of its own.
    fn next(&mut self) -> Option<Fetch> {
        loop {
            let at = self.scrapes.next()?;
            let moment = self.moment(at);
            if at < self.walking_until || !self.budget.next_fetch_at(moment).is_past(moment) {
                continue;
            }
            let records = self.day.switchboard.listed_at(at);
            if self.walk(at, records.len().div_ceil(PER_PAGE).max(1)) {
                return Some(Fetch {
                    at,
                    moment,
                    records,
                });
            }
        }
    }
}

impl Fetches<'_> {
    /// Whether the budget held all pages. The list stands still meanwhile.
    fn walk(&mut self, start: i64, pages: usize) -> bool {
        self.budget.record_fetch_start(self.moment(start));
        for page in 0..pages as i64 {
            let now = start + page * PAGE_MS;
            let moment = self.moment(now);
            self.walking_until = now;
            if !self
                .budget
                .next_request_at(Operation::ActiveCalls, moment)
                .is_past(moment)
            {
                self.budget.record_page_count(PageCount::Unknown);
                return false;
            }
            self.ask(now);
        }
        self.walking_until += PAGE_MS;
        self.budget
            .record_page_count(PageCount::Exact(pages as u32));
        true
    }

    fn ask(&mut self, now: i64) {
        self.budget
            .record_request(Operation::ActiveCalls, self.moment(now));
        let Decision::Admitted { remaining } = self.limiter.admit(now) else {
            panic!("a 429")
        };
        let notice = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            limit: Some(10),
            remaining: Some(remaining),
            window: Some(Duration::from_secs(60)),
            ..RateLimitHeaders::default()
        };
        self.budget.record_response(
            Operation::ActiveCalls,
            Some(&notice),
            self.moment(now + PAGE_MS),
        );
    }

    fn moment(&self, at: i64) -> Moment {
        self.start
            .after(Duration::from_millis((at - self.day.from) as u64))
    }
}

fn calls(records: &[Record]) -> Vec<Call> {
    records
        .iter()
        .filter(|record| record.kind != "Fax")
        .map(call)
        .collect()
}

/// A record, read by the rules of the contract.
fn call(record: &Record) -> Call {
    let (direction, own_side) = match record.direction {
        record::Direction::Inbound => (Direction::Inbound, &record.to),
        record::Direction::Outbound => (Direction::Outbound, &record.from),
    };
    let state = if record.is_live() {
        CallState::Live
    } else {
        CallState::Ended
    };
    Call {
        id: record.id.as_str().into(),
        session: record
            .telephony_session_id
            .as_ref()
            .unwrap_or(&record.session_id)
            .into(),
        direction,
        state,
        result: CallResult::parse(record.result).unwrap(),
        extension: extension(record, own_side),
        start: jiff::Timestamp::from_millisecond(record.start_ms).ok(),
        duration: record
            .duration_ms
            .map(|ms| seconds(ms, record.shows_duration_ms)),
    }
}

fn extension(record: &Record, own_side: &Party) -> Option<Extension> {
    let number = own_side.extension_number.as_deref().map(Into::into);
    Extension::new(record.extension_id.map(|id| id.to_smolstr()), number)
}

fn seconds(ms: i64, shows_ms: bool) -> f64 {
    if shows_ms {
        ms as f64 / 1000.0
    } else {
        (ms / 1000) as f64
    }
}
