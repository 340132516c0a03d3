//! Counters of started and ended calls.
//!
//! The label values that occur every day are present with zero from the start, because `rate()` and `increase()` miss
//! the first increment of a series that appears with it. When a call counts is decided by [`CallTracker`].
//!
//! [`CallTracker`]: crate::calls::CallTracker

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

use crate::calls::tracker::EndedCall;
use crate::calls::{CallEvents, CallResult, Direction, LabelLimiter, Outcome};

/// Bucket bounds in seconds, from a few words to a long conference.
const BUCKETS: [f64; 10] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
];
/// Results of inbound calls that start at zero.
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
/// Results of outbound calls that start at zero.
const OUTBOUND_RESULTS: [&str; 11] = [
    "Call connected",
    "Accepted",
    "Hang Up",
    "Busy",
    "No Answer",
    "Rejected",
    "Call Failed",
    "Wrong Number",
    "International Disabled",
    "IP Phone Offline",
    "Internal Error",
];
/// Results of each extension that start at zero.
const EXTENSION_RESULTS: [&str; 5] = [
    "Accepted",
    "Call connected",
    "Missed",
    "Voicemail",
    "No Answer",
];

/// Counters of calls, records and coverage gaps.
pub struct CallMetrics {
    ended: IntCounterVec,
    durations: HistogramVec,
    sessions_started: IntCounter,
    sessions_ended: IntCounterVec,
    lost: IntCounter,
    gaps: IntCounter,
    ended_by_extension: Option<IntCounterVec>,
}

impl CallMetrics {
    /// Creates all counters with the value zero.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value.
    pub(crate) fn new(account: &str, by_extension: bool) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("account", account);
        let durations = HistogramOpts::new(
            "ringcentral_call_duration_seconds",
            "Durations of the records that ended, in seconds, as reported by RingCentral.",
        )
        .const_label("account", account)
        .buckets(BUCKETS.to_vec());
        let mut metrics = Self {
            ended: IntCounterVec::new(
                opts(
                    "ringcentral_calls_ended_total",
                    "Call-log records that ended, each id counted once, with direction and result as first listed ended.",
                ),
                &["direction", "result"],
            )?,
            durations: HistogramVec::new(durations, &["direction", "outcome"])?,
            sessions_started: IntCounter::with_opts(opts(
                "ringcentral_call_sessions_started_total",
                "Calls that started: telephony sessions first seen.",
            ))?,
            sessions_ended: IntCounterVec::new(
                opts(
                    "ringcentral_call_sessions_ended_total",
                    "Calls that ended: telephony sessions, each counted once, by the best outcome of its records.",
                ),
                &["outcome"],
            )?,
            lost: IntCounter::with_opts(opts(
                "ringcentral_calls_lost_total",
                "Live records that left the list and were not seen ended, counted ten minutes after they left.",
            ))?,
            gaps: IntCounter::with_opts(opts(
                "ringcentral_coverage_gaps_total",
                "Times that two successful snapshots were more than 100 s apart, so that calls may have been missed.",
            ))?,
            ended_by_extension: None,
        };
        if by_extension {
            let opts = opts(
                "ringcentral_extension_calls_ended_total",
                "Call-log records that ended, each id counted once, by extension.",
            );
            let counters = IntCounterVec::new(opts, &["extension", "result"])?;
            metrics.ended_by_extension = Some(counters);
        }
        metrics.init_zero();
        Ok(metrics)
    }

    /// Counts the events of one call list.
    pub fn record(&self, events: &CallEvents, labels: &mut LabelLimiter) {
        for call in &events.ended {
            self.record_ended(call, labels);
        }
        for outcome in &events.sessions_ended {
            self.sessions_ended
                .with_label_values(&[outcome.as_str()])
                .inc();
        }
        self.sessions_started.inc_by(events.sessions_started);
        self.lost.inc_by(events.lost);
        self.gaps.inc_by(u64::from(events.gap));
    }

    fn record_ended(&self, call: &EndedCall, labels: &mut LabelLimiter) {
        let direction = call.direction.as_str();
        let result = labels.admit_result(&call.result).value;
        self.ended
            .with_label_values(&[direction, result.as_str()])
            .inc();
        if let Some(duration) = call.duration {
            let outcome = Outcome::from_result(&call.result).as_str();
            self.durations
                .with_label_values(&[direction, outcome])
                .observe(duration);
        }
        if let Some(counters) = &self.ended_by_extension
            && let Some(extension) = labels.admit_extension(call.extension.as_ref())
        {
            counters
                .with_label_values(&[extension.value.as_str(), result.as_str()])
                .inc();
        }
    }

    /// Creates the series of extensions that have no ended call yet.
    pub fn init_extensions<'a>(&self, extensions: impl Iterator<Item = &'a str>) {
        let Some(counters) = &self.ended_by_extension else {
            return;
        };
        for extension in extensions {
            for result in EXTENSION_RESULTS {
                counters.with_label_values(&[extension, result]);
            }
        }
    }

    /// Returns the families with their current values, leaving out those without a series.
    pub(crate) fn collect(&self) -> Vec<MetricFamily> {
        let mut collectors: Vec<&dyn Collector> = vec![
            &self.ended,
            &self.durations,
            &self.sessions_started,
            &self.sessions_ended,
            &self.lost,
            &self.gaps,
        ];
        if let Some(counters) = &self.ended_by_extension {
            collectors.push(counters);
        }
        let mut families = Vec::new();
        for collector in collectors {
            families.extend(collector.collect());
        }
        families.retain(|family| !family.get_metric().is_empty());
        families
    }

    fn init_zero(&self) {
        self.init_direction(Direction::Inbound, &INBOUND_RESULTS);
        self.init_direction(Direction::Outbound, &OUTBOUND_RESULTS);
        for outcome in Outcome::ALL {
            self.sessions_ended.with_label_values(&[outcome.as_str()]);
        }
    }

    fn init_direction(&self, direction: Direction, results: &[&str]) {
        let direction = direction.as_str();
        for result in results {
            if let Some(result) = CallResult::parse(result) {
                self.ended.with_label_values(&[direction, result.as_str()]);
            }
        }
        for outcome in Outcome::ALL {
            self.durations
                .with_label_values(&[direction, outcome.as_str()]);
        }
    }
}
