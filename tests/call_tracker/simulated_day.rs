//! A simulated day: the calls of a company, the times of the scrapes, and the fetches that the
//! exporter's budget allows with ten requests per minute.

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
/// A scrape interval in seconds at which the rate limit window is always empty.
pub const WINDOW_EXPIRED_S: i64 = 65;
const PER_PAGE: usize = 1000;
/// The latency of a request for a page.
const PAGE_LATENCY_MS: i64 = 250;
/// The maximum delay of a scrape.
const MAX_JITTER_MS: i64 = 900;

/// The calls of a company during 24 hours.
pub struct SimulatedDay {
    pub switchboard: Switchboard,
    pub from: i64,
    start: Moment,
}

impl SimulatedDay {
    /// Returns a day of about 20,000 calls from 10:00, so that the first and the last list are
    /// long.
    pub fn medium() -> Self {
        Self::new(200, 28.2, MIDNIGHT_MS + 10 * HOUR_MS)
    }

    /// Returns a day of about 500,000 calls of 10,000 extensions from midnight. The list has up to
    /// five pages.
    pub fn large() -> Self {
        Self::new(10_000, 715.0, MIDNIGHT_MS)
    }

    /// Returns the same day from 08:30, when the list grows from three pages to five.
    pub fn large_from_morning() -> Self {
        Self::new(10_000, 715.0, MIDNIGHT_MS + 8 * HOUR_MS + 30 * MINUTE_MS)
    }

    /// Returns the time range of the whole day.
    pub fn all(&self) -> Range<i64> {
        self.from..self.from + DAY_MS
    }

    fn new(extensions: usize, calls_per_minute: f64, from: i64) -> Self {
        let load = LoadProfile {
            calls_per_minute,
            day_shift_ms: 0,
            surge: None,
        };
        let switchboard = Switchboard::new(Company::new(extensions, 1), load, 1);
        Self {
            switchboard,
            from,
            start: Moment::now(),
        }
    }

    /// Returns the calls of a complete list.
    pub fn calls_at(&self, time: i64) -> Vec<Call> {
        calls(&self.switchboard.listed_at(time))
    }

    /// Returns the fetches during a time range with this number of scrapers and this interval.
    pub fn fetches(&self, scrapers: i64, interval_s: i64, during: Range<i64>) -> Fetches<'_> {
        let mut scrape_times = self.scrape_times(scrapers, interval_s * 1000);
        scrape_times.retain(|time| during.contains(time));
        Fetches {
            day: self,
            scrape_times: scrape_times.into_iter(),
            budget: Budget::new(Duration::ZERO),
            limiter: Limiter::new(Limit::per_minute(10), None, self.from),
            start: self.start,
            fetch_end: self.from,
        }
    }

    /// Returns the times of all scrapes in order. The scrapers have different phases.
    fn scrape_times(&self, scrapers: i64, interval_ms: i64) -> Vec<i64> {
        let mut rng = fastrand::Rng::with_seed(interval_ms as u64);
        let mut times = Vec::new();
        for scraper in 0..scrapers {
            let phase = scraper * interval_ms * 2 / 5;
            for n in 0..DAY_MS / interval_ms {
                let jitter = rng.i64(0..=MAX_JITTER_MS);
                times.push(self.from + phase + n * interval_ms + jitter);
            }
        }
        times.sort_unstable();
        times
    }
}

/// A fetched list and the time of its request.
pub struct Fetch {
    pub time: i64,
    pub moment: Moment,
    pub records: Vec<Record>,
}

impl Fetch {
    /// Returns the list as the exporter parses it.
    pub fn calls(&self) -> Vec<Call> {
        calls(&self.records)
    }

    /// Removes 2 % of the records, as happens when the list moves between two pages.
    ///
    /// The first and the last five minutes of the day stay complete, because a call that is missing
    /// there cannot be counted.
    pub fn with_missing_records(mut self, day: &SimulatedDay) -> Self {
        let elapsed = self.time - day.from;
        if (5 * MINUTE_MS..DAY_MS - 5 * MINUTE_MS).contains(&elapsed) {
            let mut rng = fastrand::Rng::with_seed(elapsed as u64);
            self.records.retain(|_| rng.u32(0..50) > 0);
        }
        self
    }
}

/// Iterator over the fetches of a day.
pub struct Fetches<'a> {
    day: &'a SimulatedDay,
    scrape_times: std::vec::IntoIter<i64>,
    budget: Budget,
    limiter: Limiter,
    start: Moment,
    /// End of the latest fetch.
    fetch_end: i64,
}

impl Iterator for Fetches<'_> {
    type Item = Fetch;

    /// Skips scrapes during a fetch, which wait for its result, and scrapes that the budget does
    /// not allow to fetch.
    fn next(&mut self) -> Option<Fetch> {
        loop {
            let time = self.scrape_times.next()?;
            let moment = self.moment(time);
            if time < self.fetch_end || !self.budget.next_fetch_at(moment).is_past(moment) {
                continue;
            }
            let records = self.day.switchboard.listed_at(time);
            let pages = records.len().div_ceil(PER_PAGE).max(1);
            if self.fetch_pages(time, pages) {
                return Some(Fetch {
                    time,
                    moment,
                    records,
                });
            }
        }
    }
}

impl Fetches<'_> {
    /// Requests all pages of a list that does not change meanwhile. Returns whether the budget
    /// allowed all of them.
    fn fetch_pages(&mut self, start: i64, pages: usize) -> bool {
        assert!(self.budget.try_start_fetch(self.moment(start)));
        for page in 0..pages as i64 {
            let now = start + page * PAGE_LATENCY_MS;
            let moment = self.moment(now);
            self.fetch_end = now;
            if !self.budget.try_request(Operation::ActiveCalls, moment) {
                self.budget.finish_fetch(Some(PageCount::Unknown), moment);
                return false;
            }
            self.request_page(now);
        }
        self.fetch_end += PAGE_LATENCY_MS;
        let end = self.moment(self.fetch_end);
        self.budget
            .finish_fetch(Some(PageCount::Exact(pages as u32)), end);
        true
    }

    fn request_page(&mut self, now: i64) {
        let Decision::Admitted { remaining } = self.limiter.admit(now) else {
            panic!("the budget caused a 429")
        };
        let headers = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            limit: Some(10),
            remaining: Some(remaining),
            window: Some(Duration::from_secs(60)),
            ..RateLimitHeaders::default()
        };
        self.budget.record_response(
            Operation::ActiveCalls,
            Some(&headers),
            self.moment(now + PAGE_LATENCY_MS),
        );
    }

    fn moment(&self, time: i64) -> Moment {
        self.start
            .after(Duration::from_millis((time - self.day.from) as u64))
    }
}

fn calls(records: &[Record]) -> Vec<Call> {
    records
        .iter()
        .filter(|record| record.kind != "Fax")
        .map(call)
        .collect()
}

/// Converts a record by the rules of the contract.
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
            .map(|ms| duration_seconds(ms, record.shows_duration_ms)),
    }
}

fn extension(record: &Record, own_side: &Party) -> Option<Extension> {
    let number = own_side.extension_number.as_deref().map(Into::into);
    Extension::new(record.extension_id.map(|id| id.to_smolstr()), number)
}

fn duration_seconds(ms: i64, shows_ms: bool) -> f64 {
    if shows_ms {
        ms as f64 / 1000.0
    } else {
        (ms / 1000) as f64
    }
}
