//! The counters of one account, of its API requests and its calls. They start at zero and disappear with the account.
//!
//! The label values that occur every day are present with zero from the start, because `rate()` and `increase()` miss
//! the first increment of a series that appears with it. When a call counts is decided by [`CallTracker`].
//!
//! [`CallTracker`]: crate::calls::CallTracker

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec};

use crate::account::extension_counts::ExtensionCounts;
use crate::calls::{Call, CallEvents, Direction, LabelLimiter, Outcome};
use crate::clock::{Moment, unix_seconds};
use crate::counter_table::CounterTable;
use crate::ringcentral::metrics::ApiMetrics;
use crate::text_format::{FamilyTexts, families};

/// Bucket bounds in seconds, from a few words to a long conference.
const BUCKETS: [f64; 10] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
];
/// Results of inbound calls that start at zero, besides [`FAILURES`].
const INBOUND_RESULTS: [&str; 10] = [
    "Accepted",
    "Call connected",
    "Answered Elsewhere",
    "Missed",
    "Voicemail",
    "Abandoned",
    "Rejected",
    "Busy",
    "Hang Up",
    "No Answer",
];
/// Results of outbound calls that start at zero, besides [`FAILURES`].
const OUTBOUND_RESULTS: [&str; 8] = [
    "Call connected",
    "Accepted",
    "Hang Up",
    "Busy",
    "No Answer",
    "Rejected",
    "Wrong Number",
    "International Disabled",
];
/// Results of failed calls that start at zero in both directions, because alerts are about their first occurrences.
const FAILURES: [&str; 6] = [
    "Call Failed",
    "Call Failure",
    "Internal Error",
    "IP Phone Offline",
    "Carrier is not active",
    "EDGE trunk misconfigured",
];

families! {
    counter ENDED = "ringcentral_calls_ended_total":
        "Call-log records that ended, each id counted once, with direction and result as first listed ended.";
    histogram DURATIONS = "ringcentral_call_duration_seconds":
        "Durations of the records that ended, in seconds, as reported by RingCentral.";
    counter SESSIONS_STARTED = "ringcentral_call_sessions_started_total":
        "Calls that started: telephony sessions first seen.";
    counter SESSIONS_ENDED = "ringcentral_call_sessions_ended_total":
        "Calls that ended: telephony sessions, each counted once, after 45 s without a live record, by the best outcome of its records.";
    counter LOST = "ringcentral_calls_lost_total":
        "Live records that left the list and were not seen ended, counted ten minutes after they left.";
    counter GAPS = "ringcentral_coverage_gaps_total":
        "Times that two successful snapshots were more than 100 s apart, so that calls may have been missed.";
    counter ENDED_BY_EXTENSION = "ringcentral_extension_calls_ended_total":
        "Call-log records that ended, each id counted once, by extension.";
}

/// The counters of one account.
pub struct AccountMetrics {
    /// API requests, counted by the client.
    pub api: Arc<ApiMetrics>,
    /// The time at which all counters were 0, in Unix seconds.
    created: f64,
    ended: CounterTable,
    durations: HistogramVec,
    sessions_started: IntCounter,
    sessions_ended: IntCounterVec,
    lost: IntCounter,
    gaps: IntCounter,
    /// `None` unless ended calls are counted by extension.
    ended_by_extension: Option<Mutex<ExtensionCounts>>,
}

impl AccountMetrics {
    /// Creates all counters with the value zero at the time `now`. `by_extension` adds ended calls by extension.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub fn new(account: &str, by_extension: bool, now: Moment) -> prometheus::Result<Self> {
        let created = unix_seconds(now.wall);
        let durations = HistogramOpts::from(DURATIONS.opts(account)).buckets(BUCKETS.to_vec());
        let metrics = Self {
            api: Arc::new(ApiMetrics::new(account, now)?),
            created,
            ended: CounterTable::new(&ENDED, account, ["direction", "result"], created),
            durations: HistogramVec::new(durations, &["direction", "outcome"])?,
            sessions_started: IntCounter::with_opts(SESSIONS_STARTED.opts(account))?,
            sessions_ended: IntCounterVec::new(SESSIONS_ENDED.opts(account), &["outcome"])?,
            lost: IntCounter::with_opts(LOST.opts(account))?,
            gaps: IntCounter::with_opts(GAPS.opts(account))?,
            ended_by_extension: by_extension.then(|| Mutex::new(ExtensionCounts::new(created))),
        };
        metrics.init_zero();
        Ok(metrics)
    }

    /// Counts the events of one call list, which was fetched at `fetched_at`.
    pub fn record_events(
        &self,
        events: &CallEvents,
        labels: &mut LabelLimiter,
        fetched_at: Moment,
    ) {
        let now = unix_seconds(fetched_at.wall);
        for call in &events.ended {
            self.record_ended(call, labels, now);
        }
        for outcome in &events.sessions_ended {
            let ended = self.sessions_ended.with_label_values(&[outcome.as_str()]);
            ended.inc();
        }
        self.sessions_started.inc_by(events.sessions_started);
        self.lost.inc_by(events.lost);
        self.gaps.inc_by(u64::from(events.gap));
    }

    fn record_ended(&self, call: &Call, labels: &mut LabelLimiter, now: f64) {
        let direction = call.direction.as_str();
        let result = labels.admit_result(&call.result);
        self.ended.increment([direction, result.as_str()], now);
        if let Some(duration) = call.duration {
            let outcome = Outcome::from_result(&call.result);
            let labels = [direction, outcome.as_str()];
            self.durations.with_label_values(&labels).observe(duration);
        }
        if let Some(counts) = &self.ended_by_extension
            && let Some(extension) = labels.admit_extension(call.extension.as_ref())
        {
            lock(counts).increment(extension, &result, now);
        }
    }

    /// Creates the series of extensions that have no ended call yet, at the time `now`.
    pub fn init_extensions<'a>(&self, extensions: impl Iterator<Item = &'a str>, now: Moment) {
        let Some(counts) = &self.ended_by_extension else {
            return;
        };
        let mut counts = lock(counts);
        for extension in extensions {
            counts.insert(extension, unix_seconds(now.wall));
        }
    }

    /// Adds the families with their current values.
    pub(crate) fn add_to(&self, families: &mut FamilyTexts, account: &str) {
        let created = self.created;
        self.api.add_to(families);
        self.ended.add_to(families);
        families.add_histograms(&DURATIONS, &self.durations);
        families.add_counters(&SESSIONS_STARTED, &self.sessions_started, created);
        families.add_counters(&SESSIONS_ENDED, &self.sessions_ended, created);
        families.add_counters(&LOST, &self.lost, created);
        families.add_counters(&GAPS, &self.gaps, created);
        if let Some(counts) = &self.ended_by_extension {
            let samples = lock(counts).samples(&ENDED_BY_EXTENSION, account, families.format());
            families.add_blocks(&ENDED_BY_EXTENSION, samples);
        }
    }

    fn init_zero(&self) {
        let inbound = Direction::Inbound.as_str();
        let outbound = Direction::Outbound.as_str();
        for result in INBOUND_RESULTS.iter().chain(&FAILURES) {
            self.ended.init([inbound, result]);
        }
        for result in OUTBOUND_RESULTS.iter().chain(&FAILURES) {
            self.ended.init([outbound, result]);
        }
        for outcome in Outcome::ALL {
            let outcome = outcome.as_str();
            self.sessions_ended.with_label_values(&[outcome]);
            self.durations.with_label_values(&[inbound, outcome]);
            self.durations.with_label_values(&[outbound, outcome]);
        }
    }
}

fn lock(counts: &Mutex<ExtensionCounts>) -> MutexGuard<'_, ExtensionCounts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
