//! What one account knows and does next, apart from its budget.

use proptest::prelude::*;
use ringcentral_exporter::ringcentral::Operation;

/// The shortest time between the starts of two reads of a presence list.
const READ_INTERVAL_MS: i64 = 60_000;
/// How long before its end a token is renewed.
const RENEWAL_MS: i64 = 30_000;

/// How an account reads presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Off,
    Poll,
    Events,
}

/// The rate limits that the accounts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Heavy,
    Auth,
}

/// What one account does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub scrape_interval_ms: i64,
    pub mode: Mode,
    /// Pages of its presence list.
    pub presence_pages: u32,
    /// How often `Events` reads the list.
    pub audit_ms: i64,
    /// How often the event connection ends.
    pub gap_ms: i64,
    pub token_life_ms: i64,
}

/// What an account waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The pages of calls that were received, after a login if there is no token.
    Fetch {
        pages: u32,
    },
    Renewal,
    /// Pages of presence. A scrape from `fetch_at` on abandons the read for a fetch.
    Read {
        fetch_at: i64,
    },
    EventToken {
        fetch_at: i64,
    },
}

/// An account during one life of its process.
#[derive(Clone, Debug)]
pub struct Account {
    plan: Plan,
    pub task: Option<Task>,
    /// The number of the task's request.
    pub request: u64,
    pub last_fetch_end: i64,
    token_until: i64,
    pub wants_event_token: bool,
    is_connected: bool,
    /// Whether a whole read has followed the last gap.
    is_whole: bool,
    /// Pages of the unfinished read.
    pub pages_read: u32,
    read_started: Option<i64>,
}

impl Group {
    /// Returns the group in which RingCentral counts an operation.
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::ActiveCalls | Operation::Presence => Self::Heavy,
            _ => Self::Auth,
        }
    }
}

impl Plan {
    /// Returns the strategy that generates plans.
    pub fn any() -> impl Strategy<Value = Plan> {
        let mode = prop_oneof![
            2 => Just(Mode::Off),
            3 => Just(Mode::Poll),
            3 => Just(Mode::Events)
        ];
        (
            10_000_i64..=60_000,
            mode,
            prop_oneof![1_u32..=3, 1_u32..=50],
            60_000_i64..=600_000,
            15_000_i64..=300_000,
            60_000_i64..=1_200_000,
        )
            .prop_map(
                |(scrape_interval_ms, mode, presence_pages, audit_ms, gap_ms, token_life_ms)| {
                    Plan {
                        scrape_interval_ms,
                        mode,
                        presence_pages,
                        audit_ms,
                        gap_ms,
                        token_life_ms,
                    }
                },
            )
    }
}

impl Account {
    /// Creates an account without a token.
    pub fn new(plan: Plan, now: i64) -> Self {
        Self {
            plan,
            task: None,
            request: 0,
            last_fetch_end: i64::MIN,
            token_until: now,
            wants_event_token: false,
            is_connected: false,
            is_whole: false,
            pages_read: 0,
            read_started: None,
        }
    }

    pub fn has_token(&self, now: i64) -> bool {
        now < self.token_until
    }

    pub fn is_renewal_due(&self, now: i64) -> bool {
        self.has_token(now) && now + RENEWAL_MS >= self.token_until
    }

    /// Records a login, which is a new session and ends the recovery of the event connection.
    pub fn log_in(&mut self, now: i64) {
        self.token_until = now + self.plan.token_life_ms;
        self.wants_event_token = self.plan.mode == Mode::Events;
    }

    pub fn connect(&mut self) {
        self.wants_event_token = false;
        self.is_connected = true;
    }

    /// Records that the event connection has ended.
    pub fn lose_connection(&mut self) {
        self.wants_event_token = true;
        self.is_connected = false;
        self.is_whole = false;
        self.pages_read = 0;
    }

    /// Returns whether a read should start or continue.
    pub fn is_read_due(&self, now: i64) -> bool {
        let interval = match self.plan.mode {
            Mode::Off => return false,
            Mode::Events if !self.is_connected => return false,
            Mode::Events if self.is_whole => self.plan.audit_ms,
            _ => READ_INTERVAL_MS,
        };
        let is_over = |started| now >= started + interval;
        self.pages_read > 0 || self.read_started.is_none_or(is_over)
    }

    pub fn start_read(&mut self, now: i64) {
        if self.pages_read == 0 {
            self.read_started = Some(now);
        }
    }

    /// Records a page. Returns the pages that are known to exist, and whether the read is complete.
    pub fn record_page(&mut self) -> (u32, bool) {
        self.pages_read += 1;
        let known = self.plan.presence_pages.min(self.pages_read + 1);
        let is_complete = self.pages_read == self.plan.presence_pages;
        if is_complete {
            self.pages_read = 0;
            self.is_whole = true;
        }
        (known, is_complete)
    }
}
