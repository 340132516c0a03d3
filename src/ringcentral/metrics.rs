//! Counters of the API requests of one account: requests, failures and durations by operation.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec};

use crate::clock::{Moment, unix_seconds};
use crate::counter_table::CounterTable;
use crate::ringcentral::{Operation, Reason};
use crate::text_format::{FamilyTexts, families};

/// Bucket bounds in seconds, up to the timeout of one request.
const BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

families! {
    counter REQUESTS = "ringcentral_api_requests_total":
        "Requests sent to RingCentral. A redirect counts as another request.";
    counter FAILURES = "ringcentral_api_request_failures_total":
        "Requests to RingCentral that failed, and fetches stopped because of the budget, by reason.";
    histogram DURATIONS = "ringcentral_api_request_duration_seconds":
        "Time from sending a request to the last byte of its response.";
}

/// Counters of API requests.
pub struct ApiMetrics {
    /// The time at which all counters were 0, in Unix seconds.
    created: f64,
    requests: IntCounterVec,
    failures: CounterTable,
    durations: HistogramVec,
}

impl ApiMetrics {
    /// Creates all counters with the value zero at the time `now`.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub fn new(account: &str, now: Moment) -> prometheus::Result<Self> {
        let durations = HistogramOpts::from(DURATIONS.opts(account)).buckets(BUCKETS.to_vec());
        let created = unix_seconds(now.wall);
        let metrics = Self {
            created,
            requests: IntCounterVec::new(REQUESTS.opts(account), &["operation"])?,
            failures: CounterTable::new(&FAILURES, account, ["operation", "reason"], created),
            durations: HistogramVec::new(durations, &["operation"])?,
        };
        // Creates all series: `rate()` misses the first increment of a series that appears with it.
        for operation in Operation::ALL {
            metrics.requests.with_label_values(&[operation.as_str()]);
            metrics.durations.with_label_values(&[operation.as_str()]);
            for reason in Reason::ALL {
                let labels = [operation.as_str(), reason.as_str()];
                metrics.failures.init(labels);
            }
        }
        Ok(metrics)
    }

    /// Counts a request that is about to be sent.
    pub fn record_request(&self, operation: Operation) {
        self.requests.with_label_values(&[operation.as_str()]).inc();
    }

    /// Records the time until a response was received or timed out.
    pub fn observe_duration(&self, operation: Operation, duration: Duration) {
        self.durations
            .with_label_values(&[operation.as_str()])
            .observe(duration.as_secs_f64());
    }

    /// Counts a failed request.
    pub fn record_failure(&self, operation: Operation, reason: Reason) {
        let labels = [operation.as_str(), reason.as_str()];
        self.failures.increment(labels, self.created);
    }

    /// Adds the families with their current values.
    pub(crate) fn add_to(&self, families: &mut FamilyTexts) {
        families.add_counters(&REQUESTS, &self.requests, self.created);
        self.failures.add_to(families);
        families.add_histograms(&DURATIONS, &self.durations);
    }
}
