//! What one account's client counts as it happens: requests, failures, durations.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::account::metrics::Revision;
use crate::ringcentral::{Operation, Reason};

/// Seconds; the API gives up nothing before ten.
const BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counted by the transport.
pub struct ApiMetrics {
    requests: IntCounterVec,
    failures: IntCounterVec,
    durations: HistogramVec,
    pub revision: Revision,
}

impl ApiMetrics {
    /// Instruments at zero.
    ///
    /// # Errors
    /// When the account's name is no label value, which the configuration has ruled out.
    pub fn new(account: &str) -> prometheus::Result<Self> {
        let requests = Opts::new(
            "ringcentral_api_requests_total",
            "Requests that were sent to RingCentral. A redirect is one more.",
        );
        let failures = Opts::new(
            "ringcentral_api_request_failures_total",
            "Requests to RingCentral that failed, and fetches given up for the sake of the budget, by reason.",
        );
        let durations = HistogramOpts::new(
            "ringcentral_api_request_duration_seconds",
            "Time from sending a request to the last byte of its answer.",
        );
        let instruments = Self {
            requests: IntCounterVec::new(requests.const_label("account", account), &["operation"])?,
            failures: IntCounterVec::new(
                failures.const_label("account", account),
                &["operation", "reason"],
            )?,
            durations: HistogramVec::new(
                durations
                    .const_label("account", account)
                    .buckets(BUCKETS.to_vec()),
                &["operation"],
            )?,
            revision: Revision::default(),
        };
        instruments.init_zero();
        Ok(instruments)
    }

    /// A request leaves.
    pub fn record_request(&self, operation: Operation) {
        self.requests.with_label_values(&[operation.as_str()]).inc();
        self.revision.grow();
    }

    /// An answer came, or its time ran out.
    pub fn observe_duration(&self, operation: Operation, duration: Duration) {
        self.durations
            .with_label_values(&[operation.as_str()])
            .observe(duration.as_secs_f64());
        self.revision.grow();
    }

    /// A request failed.
    pub fn record_failure(&self, operation: Operation, reason: Reason) {
        self.failures
            .with_label_values(&[operation.as_str(), reason.as_str()])
            .inc();
        self.revision.grow();
    }

    /// The families as they are now.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let collectors: [&dyn Collector; 3] = [&self.requests, &self.failures, &self.durations];
        collectors
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }

    /// A counter that begins with its first increment hides that increment from `rate()`.
    fn init_zero(&self) {
        for operation in Operation::ALL {
            self.requests.with_label_values(&[operation.as_str()]);
            self.durations.with_label_values(&[operation.as_str()]);
            for reason in Reason::ALL {
                self.failures
                    .with_label_values(&[operation.as_str(), reason.as_str()]);
            }
        }
    }
}
