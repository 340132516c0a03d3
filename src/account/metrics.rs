//! The counters of one account, of its API requests and its calls. They start at zero and disappear with the account.
//!
//! The label values that occur every day are present with zero from the start, because `rate()` and `increase()` miss
//! the first increment of a series that appears with it. When a call counts is decided by [`CallTracker`].
//!
//! [`CallTracker`]: crate::calls::CallTracker

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec};

use crate::account::extension_counts::ExtensionCounts;
use crate::calls::{Call, CallEvents, Direction, LabelLimiter, Outcome};
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
    ended: IntCounterVec,
    durations: HistogramVec,
    sessions_started: IntCounter,
    sessions_ended: IntCounterVec,
    lost: IntCounter,
    gaps: IntCounter,
    /// `None` unless ended calls are counted by extension.
    ended_by_extension: Option<Mutex<ExtensionCounts>>,
}

impl AccountMetrics {
    /// Creates all counters with the value zero. `by_extension` adds ended calls by extension.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub fn new(account: &str, by_extension: bool) -> prometheus::Result<Self> {
        let durations = HistogramOpts::from(DURATIONS.opts(account)).buckets(BUCKETS.to_vec());
        let metrics = Self {
            api: Arc::new(ApiMetrics::new(account)?),
            ended: IntCounterVec::new(ENDED.opts(account), &["direction", "result"])?,
            durations: HistogramVec::new(durations, &["direction", "outcome"])?,
            sessions_started: IntCounter::with_opts(SESSIONS_STARTED.opts(account))?,
            sessions_ended: IntCounterVec::new(SESSIONS_ENDED.opts(account), &["outcome"])?,
            lost: IntCounter::with_opts(LOST.opts(account))?,
            gaps: IntCounter::with_opts(GAPS.opts(account))?,
            ended_by_extension: by_extension.then(Mutex::default),
        };
        metrics.init_zero();
        Ok(metrics)
    }

    /// Counts the events of one call list.
    pub fn record_events(&self, events: &CallEvents, labels: &mut LabelLimiter) {
        for call in &events.ended {
            self.record_ended(call, labels);
        }
        for outcome in &events.sessions_ended {
            let ended = self.sessions_ended.with_label_values(&[outcome.as_str()]);
            ended.inc();
        }
        self.sessions_started.inc_by(events.sessions_started);
        self.lost.inc_by(events.lost);
        self.gaps.inc_by(u64::from(events.gap));
    }

    fn record_ended(&self, call: &Call, labels: &mut LabelLimiter) {
        let direction = call.direction.as_str();
        let result = labels.admit_result(&call.result);
        let ended = [direction, result.as_str()];
        self.ended.with_label_values(&ended).inc();
        if let Some(duration) = call.duration {
            let outcome = Outcome::from_result(&call.result);
            let labels = [direction, outcome.as_str()];
            self.durations.with_label_values(&labels).observe(duration);
        }
        if let Some(counts) = &self.ended_by_extension
            && let Some(extension) = labels.admit_extension(call.extension.as_ref())
        {
            lock(counts).increment(extension, &result);
        }
    }

    /// Creates the series of extensions that have no ended call yet.
    pub fn init_extensions<'a>(&self, extensions: impl Iterator<Item = &'a str>) {
        let Some(counts) = &self.ended_by_extension else {
            return;
        };
        let mut counts = lock(counts);
        for extension in extensions {
            counts.insert(extension);
        }
    }

    /// Adds the families with their current values.
    ///
    /// # Errors
    /// Returns an error if a family has no name or no sample.
    pub(crate) fn add_to(
        &self,
        families: &mut FamilyTexts,
        account: &str,
    ) -> prometheus::Result<()> {
        families.encode(self.collect())?;
        if let Some(counts) = &self.ended_by_extension
            && let Some(samples) = lock(counts).samples(&ENDED_BY_EXTENSION, account)
        {
            families.add_blocks(&ENDED_BY_EXTENSION, samples);
        }
        Ok(())
    }

    /// Returns the families of the library's collectors, leaving out those without a series.
    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.api.collect();
        families.extend(self.ended.collect());
        families.extend(self.durations.collect());
        families.extend(self.sessions_started.collect());
        families.extend(self.sessions_ended.collect());
        families.extend(self.lost.collect());
        families.extend(self.gaps.collect());
        families.retain(|family| !family.get_metric().is_empty());
        families
    }

    fn init_zero(&self) {
        let inbound = Direction::Inbound.as_str();
        let outbound = Direction::Outbound.as_str();
        for result in INBOUND_RESULTS.iter().chain(&FAILURES) {
            self.ended.with_label_values(&[inbound, result]);
        }
        for result in OUTBOUND_RESULTS.iter().chain(&FAILURES) {
            self.ended.with_label_values(&[outbound, result]);
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
