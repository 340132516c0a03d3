//! The counters of an account's events.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec};

use crate::clock::{Moment, unix_seconds};
use crate::counter_table::CounterTable;
use crate::label_enum::label_enum;
use crate::presence::{Discarded, PresenceEvent, StatusChange, TelephonyStatus};
use crate::text_format::{FamilyTexts, families};

/// Bucket bounds in seconds, from a short ring to a long call.
const DURATION_BUCKETS: [f64; 14] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
];
/// Bucket bounds in seconds, from the delay that RingCentral had in recorded events to that of a recovered connection.
const DELAY_BUCKETS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0];
/// The statuses whose duration is of interest.
const TIMED_STATUSES: [TelephonyStatus; 4] = [
    TelephonyStatus::Ringing,
    TelephonyStatus::CallConnected,
    TelephonyStatus::OnHold,
    TelephonyStatus::ParkedCall,
];

families! {
    counter CHANGES = "ringcentral_extension_status_changes_total":
        "Changes of an extension's telephony status that events reported; from Ringing to CallConnected is an \
         answered ring.";
    histogram DURATIONS = "ringcentral_extension_status_duration_seconds":
        "How long an extension was in a telephony status whose begin and end were both seen, in seconds.";
    counter EVENTS = "ringcentral_events_total":
        "Notifications about presence that were received.";
    counter DISCARDED = "ringcentral_events_discarded_total":
        "Notifications that were not applied.";
    counter CONNECTIONS = "ringcentral_event_connections_total":
        "Connections for events by result; renewed ones are planned, overlap and are not counted as connected too.";
    counter GAPS = "ringcentral_event_gaps_total":
        "Times that events may have been missed.";
    histogram DELAYS = "ringcentral_event_delay_seconds":
        "Time from an event's own timestamp to its arrival, in seconds, by the clocks of both sides.";
    counter CORRECTIONS = "ringcentral_presence_corrections_total":
        "Extensions whose status in a read of the list differed from that of the events.";
}

label_enum! {
    /// The result of a connection for events.
    ConnectionResult {
        /// A connection with a subscription.
        Connected = "connected",
        /// A connection with a subscription before the former one was closed.
        Renewed = "renewed",
        /// No connection, or none with a subscription.
        Failed = "failed",
        /// The end of a connection that was not planned.
        Lost = "lost",
    }
}

/// The counters of an account's events. They start at zero.
pub(crate) struct EventMetrics {
    /// The time at which all counters were 0, in Unix seconds.
    created: f64,
    changes: CounterTable,
    durations: HistogramVec,
    events: IntCounter,
    discarded: IntCounterVec,
    connections: IntCounterVec,
    gaps: IntCounter,
    delays: Histogram,
    corrections: IntCounter,
}

// === impl EventMetrics ===

impl EventMetrics {
    /// Creates all counters with the value zero at the time `now`.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub(crate) fn new(account: &str, now: Moment) -> prometheus::Result<Self> {
        let durations =
            HistogramOpts::from(DURATIONS.opts(account)).buckets(DURATION_BUCKETS.to_vec());
        let delays = HistogramOpts::from(DELAYS.opts(account)).buckets(DELAY_BUCKETS.to_vec());
        let created = unix_seconds(now.wall);
        let metrics = Self {
            created,
            changes: CounterTable::new(&CHANGES, account, ["from", "to"], created),
            durations: HistogramVec::new(durations, &["telephony_status"])?,
            events: IntCounter::with_opts(EVENTS.opts(account))?,
            discarded: IntCounterVec::new(DISCARDED.opts(account), &["reason"])?,
            connections: IntCounterVec::new(CONNECTIONS.opts(account), &["result"])?,
            gaps: IntCounter::with_opts(GAPS.opts(account))?,
            delays: Histogram::with_opts(delays)?,
            corrections: IntCounter::with_opts(CORRECTIONS.opts(account))?,
        };
        metrics.init_zero();
        Ok(metrics)
    }

    fn init_zero(&self) {
        for from in TelephonyStatus::DOCUMENTED {
            for to in TelephonyStatus::DOCUMENTED {
                if from != to {
                    let labels = [from.as_str(), to.as_str()];
                    self.changes.init(labels);
                }
            }
        }
        for status in TIMED_STATUSES {
            self.durations.with_label_values(&[status.as_str()]);
        }
        for reason in Discarded::ALL {
            self.discarded.with_label_values(&[reason.as_str()]);
        }
        for result in ConnectionResult::ALL {
            self.connections.with_label_values(&[result.as_str()]);
        }
    }

    /// Counts an event, and the change that it reports or why it was not applied.
    pub(crate) fn record_event(
        &self,
        event: &PresenceEvent,
        result: Result<Option<StatusChange>, Discarded>,
    ) {
        self.events.inc();
        if let Some(timestamp) = event.timestamp {
            let delay = event.arrived.duration_since(timestamp);
            self.delays.observe(delay.as_secs_f64().max(0.0));
        }
        match result {
            Ok(Some(change)) => self.record_change(change, event),
            Ok(None) => {}
            Err(reason) => self.record_discarded(reason),
        }
    }

    /// Counts a notification that could not be parsed.
    pub(crate) fn record_unreadable(&self) {
        self.events.inc();
        self.record_discarded(Discarded::Unreadable);
    }

    pub(crate) fn record_gap(&self) {
        self.gaps.inc();
    }

    pub(crate) fn record_connection(&self, result: ConnectionResult) {
        self.connections.with_label_values(&[result.as_str()]).inc();
    }

    pub(crate) fn record_corrections(&self, count: u64) {
        self.corrections.inc_by(count);
    }

    /// Adds the families with their current values.
    pub(crate) fn add_to(&self, families: &mut FamilyTexts) {
        let created = self.created;
        self.changes.add_to(families);
        families.add_histograms(&DURATIONS, &self.durations);
        families.add_counters(&EVENTS, &self.events, created);
        families.add_counters(&DISCARDED, &self.discarded, created);
        families.add_counters(&CONNECTIONS, &self.connections, created);
        families.add_counters(&GAPS, &self.gaps, created);
        families.add_histograms(&DELAYS, &self.delays);
        families.add_counters(&CORRECTIONS, &self.corrections, created);
    }

    fn record_change(&self, change: StatusChange, event: &PresenceEvent) {
        let labels = [change.from.as_str(), change.to.as_str()];
        self.changes.increment(labels, unix_seconds(event.arrived));
        if let Some(duration) = change.duration
            && TIMED_STATUSES.contains(&change.from)
        {
            let durations = self.durations.with_label_values(&[change.from.as_str()]);
            durations.observe(duration.as_secs_f64());
        }
    }

    fn record_discarded(&self, reason: Discarded) {
        self.discarded.with_label_values(&[reason.as_str()]).inc();
    }
}
