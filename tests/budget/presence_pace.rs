//! The pace of calls and of reads of the presence list, of one account that is scraped regularly.

use std::sync::OnceLock;
use std::time::Duration;

use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, Window};

const MINUTE_MS: i64 = 60_000;
/// When the measurement starts.
const WARM_UP_MS: i64 = 5 * MINUTE_MS;
const END_MS: i64 = 35 * MINUTE_MS;

/// What an account does.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub limit: u32,
    /// Pages of the list of calls.
    pub call_pages: u32,
    /// Pages of the presence list; 0 without presence.
    pub presence_pages: u32,
    pub scrape_interval_ms: i64,
    pub latency_ms: i64,
    /// Whether responses have the header with the remaining requests.
    pub sends_remaining: bool,
    pub window: Window,
}

impl Account {
    pub fn usable(self) -> u32 {
        self.limit - self.limit / 5
    }

    fn rate_limit(self) -> Limit {
        Limit {
            kind: self.window,
            ..Limit::per_minute(self.limit)
        }
    }

    /// Returns the presence pages that one window has room for.
    pub fn presence_room(self) -> u32 {
        (self.usable() / 2).min(self.usable() - self.call_pages)
    }

    /// Returns the documented interval of fetches in milliseconds.
    pub fn pace_ms(self) -> f64 {
        let presence = self.presence_pages.min(self.presence_room());
        60_000.0 * f64::from(self.call_pages) / f64::from(self.usable() - presence)
    }
}

/// The times in milliseconds of an hour in the steady state.
#[derive(Debug, Default)]
pub struct Hour {
    pub fetches: Vec<i64>,
    /// Starts of complete reads.
    pub reads: Vec<i64>,
    pub presence_requests: Vec<i64>,
    /// The shortest and the longest interval that status and `check` show.
    pub shown_intervals: Option<(Duration, Duration)>,
}

impl Hour {
    /// Returns the longest time between two of these times.
    pub fn longest_gap(times: &[i64]) -> i64 {
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or(i64::MAX)
    }

    fn note_shown_interval(&mut self, interval: Duration) {
        let (shortest, longest) = self.shown_intervals.unwrap_or((interval, interval));
        self.shown_intervals = Some((shortest.min(interval), longest.max(interval)));
    }

    /// Returns the largest number of presence pages in a window of a minute.
    pub fn most_presence_pages(&self) -> usize {
        let mut most = 0;
        for from in &self.presence_requests {
            let window = *from..from + MINUTE_MS;
            let pages = self.presence_requests.iter();
            most = most.max(pages.filter(|at| window.contains(at)).count());
        }
        most
    }
}

struct Simulation {
    account: Account,
    budget: Budget,
    limiter: Limiter,
    midnight: Moment,
    now: i64,
    /// Pages of the unfinished read.
    pages_read: u32,
    read_started: Option<i64>,
    last_fetch_end: i64,
    hour: Hour,
}

/// Simulates an account that polls its presence list.
pub fn simulate(account: Account) -> Hour {
    let mut simulation = Simulation {
        account,
        budget: Budget::new(Duration::ZERO),
        limiter: Limiter::new(account.rate_limit(), None, 0),
        midnight: Moment::now(),
        now: 0,
        pages_read: 0,
        read_started: None,
        last_fetch_end: 0,
        hour: Hour::default(),
    };
    simulation.run();
    simulation.hour
}

impl Simulation {
    fn run(&mut self) {
        while self.now < END_MS {
            self.scrape();
            let interval = self.account.scrape_interval_ms;
            self.now = (self.now / interval + 1) * interval;
        }
    }

    fn scrape(&mut self) {
        let started = self.now;
        let is_due = self.is_read_due();
        self.budget.set_presence_due(is_due, self.moment());
        if self.budget.try_start_fetch(self.moment()) {
            self.note(|hour| &mut hour.fetches, started);
            for _ in 0..self.account.call_pages {
                self.request(Operation::ActiveCalls);
            }
            let pages = PageCount::Exact(self.account.call_pages);
            self.budget.finish_fetch(Some(pages), self.moment());
            self.last_fetch_end = self.now;
        }
        if self.account.presence_pages > 0 {
            self.read_presence();
        }
        if self.now >= WARM_UP_MS {
            let shown = self.budget.min_fetch_interval(self.moment());
            self.hour.note_shown_interval(shown);
        }
    }

    fn read_presence(&mut self) {
        let is_due = self.is_read_due();
        self.budget.set_presence_due(is_due, self.moment());
        let interrupted_at = self.next_interruption();
        while self.is_read_due() && self.budget.can_request_presence(self.moment()) {
            if self.pages_read == 0 {
                self.read_started = Some(self.now);
            }
            self.note(|hour| &mut hour.presence_requests, self.now);
            if self.now + self.account.latency_ms > interrupted_at {
                self.abandon_page(interrupted_at);
                return;
            }
            self.request(Operation::Presence);
            self.pages_read += 1;
            let is_complete = self.pages_read == self.account.presence_pages;
            let known = self.pages_read + u32::from(!is_complete);
            let now = self.moment();
            self.budget.record_presence_pages(known, is_complete, now);
            if is_complete {
                self.pages_read = 0;
                let started = self.read_started.unwrap();
                self.note(|hour| &mut hour.reads, started);
                self.budget.set_presence_due(false, now);
            }
        }
    }

    /// Returns the time of the next scrape that may fetch.
    fn next_interruption(&self) -> i64 {
        let fetch_at = self.budget.next_fetch_at(self.moment());
        let wait = fetch_at.saturating_duration_since(self.moment());
        let fetch_at = self.now + wait.as_millis() as i64;
        let earliest = fetch_at.max(self.last_fetch_end + 1000).max(self.now + 1);
        let interval = self.account.scrape_interval_ms;
        (earliest + interval - 1) / interval * interval
    }

    /// Sends a request whose response a scrape does not wait for.
    fn abandon_page(&mut self, interrupted_at: i64) {
        let operation = Operation::Presence;
        assert!(self.budget.try_request(operation, self.moment()));
        self.limiter.admit(self.now);
        // Just before the scrape.
        self.now = interrupted_at - 1;
        self.budget.abandon_request(self.moment());
    }

    fn is_read_due(&self) -> bool {
        let next = self.read_started.map_or(0, |started| started + MINUTE_MS);
        self.pages_read > 0 || self.now >= next
    }

    fn request(&mut self, operation: Operation) {
        assert!(self.budget.try_request(operation, self.moment()));
        let decision = self.limiter.admit(self.now);
        let Decision::Admitted { remaining } = decision else {
            panic!("429 at {} ms: {:?}", self.now, self.account);
        };
        self.now += self.account.latency_ms;
        let headers = RateLimitHeaders {
            status: 200,
            group: Some("heavy".to_owned()),
            limit: Some(self.account.limit),
            window: Some(Duration::from_secs(60)),
            remaining: self.account.sends_remaining.then_some(remaining),
            ..RateLimitHeaders::default()
        };
        self.budget
            .record_response(operation, Some(&headers), self.moment());
    }

    fn note(&mut self, times: fn(&mut Hour) -> &mut Vec<i64>, at: i64) {
        if at >= WARM_UP_MS {
            times(&mut self.hour).push(at);
        }
    }

    fn moment(&self) -> Moment {
        self.midnight.after(Duration::from_millis(self.now as u64))
    }
}

/// Returns accounts with all kinds of limits, lists, scrapes and latencies, with and without the remaining requests.
fn all_accounts() -> Vec<Account> {
    let mut all = accounts(false, Window::Sliding);
    all.extend(accounts(true, Window::Sliding));
    all.extend(accounts(true, Window::Fixed));
    all
}

fn accounts(sends_remaining: bool, window: Window) -> Vec<Account> {
    let mut accounts = Vec::new();
    for limit in [2, 3, 5, 10, 20, 50] {
        for call_pages in [1, 2, 3, 6] {
            for presence_pages in [1, 2, 4, 5, 10, 50] {
                for (scrape_interval_ms, latency_ms) in
                    [(1000, 0), (5000, 300), (15_000, 0), (15_000, 900)]
                {
                    let account = Account {
                        limit,
                        call_pages,
                        presence_pages,
                        scrape_interval_ms,
                        latency_ms,
                        sends_remaining,
                        window,
                    };
                    if call_pages <= account.usable() {
                        accounts.push(account);
                    }
                }
            }
        }
    }
    accounts
}

/// Asserts that calls are fetched at their pace: as often as whole fetches fit into what presence leaves of a window.
fn assert_calls_keep_pace(account: Account, hour: &Hour) {
    let presence = account.presence_pages.min(account.presence_room());
    let per_window = (account.usable() - presence) / account.call_pages;
    let fetch_ms = i64::from(account.call_pages) * account.latency_ms;
    let window_ms = (61_000 + fetch_ms) / i64::from(per_window);
    let mean_ms = (END_MS - WARM_UP_MS) / hour.fetches.len() as i64;
    // A scrape waits for the page of presence that is on its way.
    let wait_ms = account.scrape_interval_ms + account.latency_ms;
    let max_ms = window_ms.max(account.pace_ms() as i64) + wait_ms;
    assert!(
        mean_ms <= max_ms,
        "{mean_ms} ms, expected {max_ms} ms: {account:?}"
    );
}

/// Asserts that a list is read once a minute, and one that is too long for a window in as many minutes as it needs.
fn assert_list_is_read(account: Account, hour: &Hour) {
    let room = account.presence_room();
    if room == 0 {
        assert!(hour.presence_requests.is_empty(), "{account:?}");
        return;
    }
    let windows = i64::from(account.presence_pages.div_ceil(room));
    let pages = account.presence_pages + account.call_pages;
    let requests_ms = i64::from(pages) * account.latency_ms;
    let max_ms = windows * (61_000 + account.scrape_interval_ms + requests_ms);
    if max_ms > (END_MS - WARM_UP_MS) / 3 {
        assert!(!hour.presence_requests.is_empty(), "{account:?}");
        return;
    }
    let gap_ms = Hour::longest_gap(&hour.reads);
    assert!(
        gap_ms <= max_ms,
        "{gap_ms} ms, expected {max_ms} ms: {account:?}"
    );
}

/// Returns the hours of all accounts, which the tests share: their simulation takes long.
fn hours() -> &'static [(Account, Hour)] {
    static HOURS: OnceLock<Vec<(Account, Hour)>> = OnceLock::new();
    HOURS.get_or_init(|| {
        let mut hours = Vec::new();
        for account in all_accounts() {
            hours.push((account, simulate(account)));
        }
        hours
    })
}

#[test]
fn presence_is_read_while_calls_keep_their_pace() {
    for (account, hour) in hours() {
        assert_calls_keep_pace(*account, hour);
        assert_list_is_read(*account, hour);
    }
}

#[test]
fn presence_uses_at_most_half_and_no_room_of_calls() {
    for (account, hour) in hours() {
        let most = hour.most_presence_pages();
        assert!(
            most <= account.presence_room() as usize,
            "{most}: {account:?}"
        );
    }
}

#[test]
fn shown_interval_is_the_documented_pace() {
    for (account, hour) in hours() {
        let (shortest, longest) = hour.shown_intervals.unwrap();
        for shown in [shortest, longest] {
            let shown = shown.as_secs_f64() * 1000.0;
            assert!(
                (shown - account.pace_ms()).abs() < 1.0,
                "{shown}: {account:?}"
            );
        }
    }
}
