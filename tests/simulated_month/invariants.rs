//! Invariants that are checked after each scrape, each hour and each day.
//!
//! The expected values come from the simulated company: its lists, and the calls that ended between
//! two of them.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation};

use crate::common::oracle::{self, CALL_FAMILIES};
use crate::fault_schedule::PENALTY_S;
use crate::harness::{Samples, Scrape, TestExporter, sum};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Interval of the gauge checks in seconds.
const GAUGE_CHECK_INTERVAL: i64 = 300;
const WINDOW_MS: i64 = 60_000;
/// Call list requests per minute that the exporter may use: the limit of 10 less one fifth.
const MAX_LIST_REQUESTS: usize = 8;
/// Variation by the allocator, including that of the simulator.
const MEMORY_TOLERANCE_KIB: u64 = 2048;
/// Days until memory must be stable. The journal of the simulator grows for two days until it is
/// full.
const WARM_UP_DAYS: usize = 3;

/// The checks of a run, with what they have seen and found.
#[derive(Default)]
pub struct Invariants {
    pub violations: Vec<String>,
    scrapes: u64,
    down: u64,
    gauge_checks: u64,
    calls_counted: f64,
    calls_expected: f64,
    exact_hours: u64,
    hours_with_gaps: u64,
    stops: i64,
    /// The end of the penalty of the last 429.
    blocked_until_ms: i64,
    /// What the exporters before the present one counted: ended calls and coverage gaps.
    ended_before: f64,
    gaps_before: f64,
    /// Number of requests by operation and status.
    requests: BTreeMap<(Option<&'static str>, Option<u16>), u64>,
    last_sequence: u64,
    /// Arrival times of the call list requests of the latest window.
    list_requests: Vec<i64>,
    previous: Option<Counters>,
    /// Resident memory at the end of each day.
    resident_kib: Vec<u64>,
}

/// Counter values after a list.
#[derive(Clone, Copy)]
struct Counters {
    listed_at: i64,
    ended: f64,
    gaps: f64,
}

/// Returns whether a scrape at this second is compared with the list.
pub fn needs_list_time(second: i64) -> bool {
    second % GAUGE_CHECK_INTERVAL == 0
}

impl Invariants {
    /// Runs the checks that are due at this second.
    pub async fn check(&mut self, exporter: &TestExporter, scrape: &Scrape, second: i64) {
        self.scrapes += 1;
        let is_up = scrape.samples["ringcentral_up{account=\"default\"}"] == 1.0;
        self.down += u64::from(!is_up);
        if needs_list_time(second) && is_up {
            self.check_gauges(exporter, scrape, second).await;
        }
        if second % HOUR == 30 * 60 {
            self.check_requests(exporter);
            self.check_counters(exporter, scrape, is_up);
        }
        if second % DAY == DAY - HOUR {
            self.resident_kib.extend(resident_kib());
        }
    }

    /// Records the counters of an exporter that is stopped next.
    pub fn note_stop(&mut self, last: &Samples) {
        self.stops += 1;
        self.ended_before += sum(last, "ringcentral_calls_ended_total");
        self.gaps_before += sum(last, "ringcentral_coverage_gaps_total");
    }

    /// Checks that the gauges equal the list that was sent last.
    async fn check_gauges(&mut self, exporter: &TestExporter, scrape: &Scrape, second: i64) {
        let Some(listed_at) = scrape.listed_at else {
            return;
        };
        let listed = oracle::fetch_listed(&exporter.simulator().url(), listed_at).await;
        let expected = oracle::samples_for("default", &listed, &exporter.inner.extension_numbers());
        let mut actual = scrape.samples.clone();
        actual.retain(|series, _| CALL_FAMILIES.contains(&series.split('{').next().unwrap()));
        self.gauge_checks += 1;
        if actual != expected {
            self.violations.push(format!(
                "gauges after {second} s are {actual:?}, expected {expected:?}"
            ));
        }
    }

    fn check_requests(&mut self, exporter: &TestExporter) {
        for entry in exporter.simulator().journal() {
            if entry.sequence <= self.last_sequence {
                continue;
            }
            if entry.sequence > self.last_sequence + 1 {
                self.violations.push(format!(
                    "journal has lost requests before {}",
                    entry.sequence
                ));
            }
            self.last_sequence = entry.sequence;
            let operation = entry.operation.map(Operation::as_str);
            *self.requests.entry((operation, entry.status)).or_default() += 1;
            self.check_limit(&entry);
        }
    }

    fn check_limit(&mut self, entry: &JournalEntry) {
        if entry.in_penalty {
            self.violations
                .push(format!("request inside a penalty: {entry:?}"));
        }
        if entry.operation != Some(Operation::ActiveCalls) {
            return;
        }
        if entry.arrived_ms < self.blocked_until_ms {
            self.violations
                .push(format!("request after a 429: {entry:?}"));
        }
        if let (Some(429), Some(answered_ms)) = (entry.status, entry.answered_ms) {
            self.blocked_until_ms = answered_ms + i64::from(PENALTY_S) * 1_000;
        }
        self.list_requests
            .retain(|time| entry.arrived_ms - time < WINDOW_MS);
        self.list_requests.push(entry.arrived_ms);
        let count = self.list_requests.len();
        if count > MAX_LIST_REQUESTS {
            self.violations.push(format!(
                "{count} call list requests within a minute: {entry:?}"
            ));
        }
    }

    /// Checks that as many calls were counted since the previous check as ended, or at most as many
    /// after a coverage gap.
    fn check_counters(&mut self, exporter: &TestExporter, scrape: &Scrape, is_up: bool) {
        let Some(listed_at) = scrape.listed_at else {
            return;
        };
        if !is_up {
            return self
                .violations
                .push("ringcentral_up is 0 half past the hour".to_owned());
        }
        let current = Counters {
            listed_at,
            ended: self.ended_before + sum(&scrape.samples, "ringcentral_calls_ended_total"),
            gaps: self.gaps_before + sum(&scrape.samples, "ringcentral_coverage_gaps_total"),
        };
        let Some(previous) = self.previous.replace(current) else {
            return;
        };
        let ended = exporter
            .simulator()
            .switchboard()
            .ended_between(previous.listed_at, current.listed_at);
        let expected = ended.iter().filter(|record| record.kind != "Fax").count() as f64;
        let counted = current.ended - previous.ended;
        self.calls_counted += counted;
        self.calls_expected += expected;
        let has_gap = current.gaps > previous.gaps;
        let is_valid = if has_gap {
            self.hours_with_gaps += 1;
            counted <= expected
        } else {
            self.exact_hours += 1;
            counted == expected
        };
        if !is_valid {
            self.violations.push(format!(
                "{counted} calls counted until {listed_at}, expected {expected}, gap {has_gap}"
            ));
        }
    }

    /// Runs the final checks and returns a summary of the run.
    pub fn report(&mut self, exporter: &TestExporter, days: i64, took: Duration) -> String {
        self.check_requests(exporter);
        self.check_memory();
        if self.stops != 2 * days {
            self.violations.push(format!("{} stops", self.stops));
        }
        let mut requests = Vec::new();
        for ((operation, status), count) in &self.requests {
            let operation = operation.unwrap_or("?");
            requests.push(format!("{operation} {} {count}", status.unwrap_or(0)));
        }
        format!(
            "{days} simulated days in {took:.0?}: {} scrapes, {} with ringcentral_up 0, {} gauge \
             checks; {} stops; {} calls counted as ended, {} expected; {} hours exact, \
             {} with a coverage gap; requests by status: {}; memory at the end of each \
             day in KiB: {:?}; {} violations",
            self.scrapes,
            self.down,
            self.gauge_checks,
            self.stops,
            self.calls_counted,
            self.calls_expected,
            self.exact_hours,
            self.hours_with_gaps,
            requests.join(", "),
            self.resident_kib,
            self.violations.len()
        )
    }

    fn check_memory(&mut self) {
        let Some(early) = self.resident_kib.get(WARM_UP_DAYS - 1) else {
            return;
        };
        let late = self.resident_kib[self.resident_kib.len() - 1];
        if late > early + MEMORY_TOLERANCE_KIB {
            self.violations
                .push(format!("memory grew from {early} to {late} KiB"));
        }
    }
}

/// Returns the resident memory of this process, assuming pages of 4 KiB.
fn resident_kib() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4)
}
