//! A simulated day: the calls of a company, the times of the scrapes, and the fetches that the
//! exporter's budget allows with ten requests per minute.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use ringcentral_exporter::calls::{Call, CallResult, CallState, Direction, Extension, SessionIds};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::simulator::company::{Company, Ringing};
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter};
use ringcentral_exporter::simulator::load_profile::LoadProfile;
use ringcentral_exporter::simulator::record::{self, Party};
use ringcentral_exporter::simulator::{Record, Switchboard};
use smol_str::{ToSmolStr, format_smolstr};

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

/// Longer than any call that begins within the day takes until it has left the list and its session has ended.
const AFTER_HOURS_MS: i64 = 80 * MINUTE_MS;

/// The calls of a company during 24 hours.
pub struct SimulatedDay {
    pub switchboard: Switchboard,
    pub from: i64,
    start: Moment,
    /// Whether only calls that begin within the day are listed, so that the first and the last list are empty.
    is_closed: bool,
    /// Position of each record in its session, if the records of a session have different session ids.
    positions: Option<HashMap<String, usize>>,
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

    /// Returns a day of about 8,000 calls whose queues ring their agents one after another. Lists lack this share
    /// of the live records. Only calls of the day are listed, and fetched until all have ended.
    pub fn sequential(missing_live_records: f64) -> Self {
        let mut day = Self::with_ringing(200, 8.0, MIDNIGHT_MS, Ringing::Sequential);
        day.switchboard = day
            .switchboard
            .with_missing_live_records(missing_live_records);
        day.is_closed = true;
        day
    }

    /// Lets each record share one session id with the record before it and the other one with the record after it.
    pub fn with_chained_session_ids(mut self) -> Self {
        let mut records = self.ended();
        records.sort_by_key(|record| record.start_ms);
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut positions = HashMap::new();
        for record in records {
            let count = counts.entry(record.session_id).or_default();
            positions.insert(record.id, *count);
            *count += 1;
        }
        self.positions = Some(positions);
        self
    }

    /// Returns all records of a closed day, as they are listed when they end.
    pub fn ended(&self) -> Vec<Record> {
        let all = self.all();
        let mut ended = self.switchboard.ended_between(all.start, all.end);
        ended.retain(|record| self.is_of_this_day(record));
        ended
    }

    /// Returns whether the call of a record began within the day.
    fn is_of_this_day(&self, record: &Record) -> bool {
        // The switchboard numbers sessions by the minute in which they begin.
        let minute = record.session_id.parse::<i64>().unwrap() / 100_000;
        (self.from..self.from + DAY_MS).contains(&(minute * MINUTE_MS))
    }

    fn listed_at(&self, time: i64) -> Vec<Record> {
        let mut records = self.switchboard.listed_at(time);
        records.retain(|record| !self.is_closed || self.is_of_this_day(record));
        records
    }

    /// Returns the time range of the whole day.
    pub fn all(&self) -> Range<i64> {
        let after_hours = if self.is_closed { AFTER_HOURS_MS } else { 0 };
        self.from..self.from + DAY_MS + after_hours
    }

    fn new(extensions: usize, calls_per_minute: f64, from: i64) -> Self {
        Self::with_ringing(extensions, calls_per_minute, from, Ringing::Simultaneous)
    }

    fn with_ringing(extensions: usize, calls_per_minute: f64, from: i64, ringing: Ringing) -> Self {
        let load = LoadProfile {
            calls_per_minute,
            day_shift_ms: 0,
            surge: None,
        };
        let mut company = Company::new(extensions, 1);
        company.ringing = ringing;
        Self {
            switchboard: Switchboard::new(company, load, 1),
            from,
            start: Moment::now(),
            is_closed: false,
            positions: None,
        }
    }

    /// Returns the calls of a complete list.
    pub fn calls_at(&self, time: i64) -> Vec<Call> {
        calls(&self.listed_at(time))
    }

    /// Returns a list as the exporter parses it.
    pub fn parsed(&self, fetch: &Fetch) -> Vec<Call> {
        let mut calls = fetch.calls();
        let Some(positions) = &self.positions else {
            return calls;
        };
        for call in &mut calls {
            let position = positions[call.id.as_str()];
            let session = call.session.session.take().unwrap();
            call.session = SessionIds {
                telephony: Some(format_smolstr!("s-{session}-{}", position.div_ceil(2))),
                session: Some(format_smolstr!("{session}-{}", position / 2)),
            };
        }
        calls
    }

    /// Returns the fetches during a time range with this number of scrapers and this interval.
    pub fn fetches(&self, scrapers: i64, interval_s: i64, during: Range<i64>) -> Fetches<'_> {
        self.fetches_every_ms(scrapers, interval_s * 1000, during)
    }

    /// Returns the same with an interval in milliseconds.
    pub fn fetches_every_ms(
        &self,
        scrapers: i64,
        interval_ms: i64,
        during: Range<i64>,
    ) -> Fetches<'_> {
        let mut scrape_times = self.scrape_times(scrapers, interval_ms);
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
            for n in 0..(DAY_MS + AFTER_HOURS_MS) / interval_ms {
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
            let records = self.day.listed_at(time);
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
        session: SessionIds {
            telephony: record.telephony_session_id.as_deref().map(Into::into),
            session: Some(record.session_id.as_str().into()),
        },
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
