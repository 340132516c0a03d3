//! Counters of the API requests of one account: requests, failures and durations by operation.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::ringcentral::{Operation, Reason};

/// Bucket bounds in seconds, up to the timeout of one request.
const BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters of API requests.
pub struct ApiMetrics {
    requests: IntCounterVec,
    failures: IntCounterVec,
    durations: HistogramVec,
}

impl ApiMetrics {
    /// Creates all counters with the value zero.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub fn new(account: &str) -> prometheus::Result<Self> {
        let requests = Opts::new(
            "ringcentral_api_requests_total",
            "Requests sent to RingCentral. A redirect counts as another request.",
        )
        .const_label("account", account);
        let failures = Opts::new(
            "ringcentral_api_request_failures_total",
            "Requests to RingCentral that failed, and fetches stopped because of the budget, by reason.",
        )
        .const_label("account", account);
        let durations = HistogramOpts::new(
            "ringcentral_api_request_duration_seconds",
            "Time from sending a request to the last byte of its response.",
        )
        .const_label("account", account)
        .buckets(BUCKETS.to_vec());
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["operation"])?,
            failures: IntCounterVec::new(failures, &["operation", "reason"])?,
            durations: HistogramVec::new(durations, &["operation"])?,
        };
        // Creates all series: `rate()` misses the first increment of a series that appears with it.
        for operation in Operation::ALL {
            metrics.requests.with_label_values(&[operation.as_str()]);
            metrics.durations.with_label_values(&[operation.as_str()]);
            for reason in Reason::ALL {
                let labels = [operation.as_str(), reason.as_str()];
                metrics.failures.with_label_values(&labels);
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
        self.failures
            .with_label_values(&[operation.as_str(), reason.as_str()])
            .inc();
    }

    /// Returns the families with their current values.
    pub(crate) fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.requests.collect();
        families.extend(self.failures.collect());
        families.extend(self.durations.collect());
        families
    }
}
