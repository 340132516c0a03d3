//! What the ledger tells of calls, counted.
//!
//! Owns: which pairs of labels are there from the start with zero, so that `rate()` and `increase()` see the first call
//! of each. Refuses to know: when a call counts (`calls::ledger`).

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

use crate::account::metrics::Revision;
use crate::calls::{CallEvents, CallResult, Direction, LabelLimiter, Outcome};

/// Seconds, from a word to a conference.
const BUCKETS: [f64; 10] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
];
/// The results that inbound calls have every day.
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
/// The results that outbound calls have every day.
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
/// The results that every extension begins with.
const EXTENSION_RESULTS: [&str; 5] = [
    "Accepted",
    "Call connected",
    "Missed",
    "Voicemail",
    "No Answer",
];

/// Counted by the observer.
pub struct CallMetrics {
    ended: IntCounterVec,
    durations: HistogramVec,
    sessions_started: IntCounter,
    sessions_ended: IntCounterVec,
    lost: IntCounter,
    gaps: IntCounter,
    by_extension: Option<IntCounterVec>,
    pub revision: Revision,
}

impl CallMetrics {
    /// Instruments at zero.
    ///
    /// # Errors
    /// When the account's name is no label value.
    pub fn new(account: &str, by_extension: bool) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("account", account);
        let by_extension = by_extension.then(|| {
            let help = "Call-log records that ended, each id once, by extension.";
            IntCounterVec::new(
                opts("ringcentral_extension_calls_ended_total", help),
                &["extension", "result"],
            )
        });
        let durations = HistogramOpts::new(
            "ringcentral_call_duration_seconds",
            "Durations of the records that ended, in seconds, as RingCentral tells them.",
        );
        let instruments = Self {
            ended: IntCounterVec::new(
                opts(
                    "ringcentral_calls_ended_total",
                    "Call-log records that ended, each id once, as listed once ended.",
                ),
                &["direction", "result"],
            )?,
            durations: HistogramVec::new(
                durations
                    .const_label("account", account)
                    .buckets(BUCKETS.to_vec()),
                &["direction", "outcome"],
            )?,
            sessions_started: IntCounter::with_opts(opts(
                "ringcentral_call_sessions_started_total",
                "Calls that began: telephony sessions first seen.",
            ))?,
            sessions_ended: IntCounterVec::new(
                opts(
                    "ringcentral_call_sessions_ended_total",
                    "Calls that ended: telephony sessions, each once, by the best outcome of its records.",
                ),
                &["outcome"],
            )?,
            lost: IntCounter::with_opts(opts(
                "ringcentral_calls_lost_total",
                "Records that were live, left the list and were not seen ended; counted ten minutes after they left.",
            ))?,
            gaps: IntCounter::with_opts(opts(
                "ringcentral_coverage_gaps_total",
                "Times that two successful snapshots lay more than 100 s apart: calls may have gone unseen.",
            ))?,
            by_extension: by_extension.transpose()?,
            revision: Revision::default(),
        };
        instruments.init_zero();
        Ok(instruments)
    }

    /// Counts what a list has told.
    pub fn record(&self, news: &CallEvents, labels: &mut LabelLimiter) {
        for ended in &news.ended {
            let direction = ended.direction.as_str();
            let result = labels.result(&ended.result).value;
            self.ended
                .with_label_values(&[direction, result.as_str()])
                .inc();
            if let Some(duration) = ended.duration {
                let outcome = Outcome::from_result(&ended.result).as_str();
                self.durations
                    .with_label_values(&[direction, outcome])
                    .observe(duration);
            }
            if let (Some(counters), Some(extension)) = (
                &self.by_extension,
                labels.extension(ended.extension.as_ref()),
            ) {
                counters
                    .with_label_values(&[extension.value.as_str(), result.as_str()])
                    .inc();
            }
        }
        for outcome in &news.sessions_ended {
            self.sessions_ended
                .with_label_values(&[outcome.as_str()])
                .inc();
        }
        self.sessions_started.inc_by(news.sessions_started);
        self.lost.inc_by(news.lost);
        self.gaps.inc_by(u64::from(news.gap));
        self.revision.grow();
    }

    /// An extension that is there, ended calls or not, begins with zeros.
    pub fn init_extensions<'a>(&self, extensions: impl Iterator<Item = &'a str>) {
        let Some(counters) = &self.by_extension else {
            return;
        };
        for extension in extensions {
            for result in EXTENSION_RESULTS {
                counters.with_label_values(&[extension, result]);
            }
        }
        self.revision.grow();
    }

    /// The families as they are now; one without a series is left out.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let mut collectors: Vec<&dyn Collector> = vec![
            &self.ended,
            &self.durations,
            &self.sessions_started,
            &self.sessions_ended,
            &self.lost,
            &self.gaps,
        ];
        collectors.extend(
            self.by_extension
                .as_ref()
                .map(|counters| counters as &dyn Collector),
        );
        let families = collectors.into_iter().flat_map(Collector::collect);
        families
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }

    fn init_zero(&self) {
        for (direction, results) in [
            (Direction::Inbound, &INBOUND_RESULTS[..]),
            (Direction::Outbound, &OUTBOUND_RESULTS[..]),
        ] {
            for result in results
                .iter()
                .filter_map(|result| CallResult::parse(result))
            {
                self.ended
                    .with_label_values(&[direction.as_str(), result.as_str()]);
            }
            for outcome in Outcome::ALL {
                self.durations
                    .with_label_values(&[direction.as_str(), outcome.as_str()]);
            }
        }
        for outcome in Outcome::ALL {
            self.sessions_ended.with_label_values(&[outcome.as_str()]);
        }
    }
}
