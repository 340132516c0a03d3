//! Counter values by name, to compare the counts of the tracker with those of the oracle.

use std::collections::BTreeMap;
use std::fmt::Display;

use ringcentral_exporter::calls::snapshot::RecordLabels;
use ringcentral_exporter::calls::{CallEvents, Outcome, Snapshot};

/// Values by family and labels. Zeros are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterTotals(BTreeMap<String, i64>);

impl CounterTotals {
    /// Adds to a counter.
    pub fn add(&mut self, name: impl Display, by: i64) {
        if by != 0 {
            *self.0.entry(name.to_string()).or_default() += by;
        }
    }

    /// Adds every counter of `other`.
    pub fn add_all(&mut self, other: &CounterTotals) {
        for (name, value) in &other.0 {
            self.add(name, *value);
        }
        self.remove_zeros();
    }

    /// Subtracts every counter of `other`.
    pub fn subtract_all(&mut self, other: &CounterTotals) {
        for (name, value) in &other.0 {
            self.add(name, -value);
        }
        self.remove_zeros();
    }

    fn remove_zeros(&mut self) {
        self.0.retain(|_, value| *value != 0);
    }

    /// Returns the sum of a family.
    pub fn total(&self, family: &str) -> i64 {
        self.only(&[family]).0.values().sum()
    }

    /// Returns the counters of these families.
    pub fn only(&self, families: &[&str]) -> Self {
        let mut totals = self.clone();
        totals
            .0
            .retain(|name, _| families.contains(&family_of(name)));
        totals
    }

    /// Returns the sum of each family.
    pub fn families(&self) -> BTreeMap<&str, i64> {
        let mut totals = BTreeMap::new();
        for (name, value) in &self.0 {
            *totals.entry(family_of(name)).or_default() += value;
        }
        totals
    }

    /// Adds the events of one update, as the exporter's counters and histogram do.
    pub fn record_events(&mut self, events: &CallEvents) {
        for ended in &events.ended {
            let (direction, result) = (ended.direction.as_str(), ended.result.as_str());
            let extension = ended.extension.as_ref();
            let extension = extension.and_then(|given| given.number.as_ref().or(given.id.as_ref()));
            let extension = extension.map_or("none", |label| label.as_str());
            self.add(format_args!("calls_ended {direction} {result}"), 1);
            self.add(
                format_args!("extension_calls_ended {extension} {result}"),
                1,
            );
            let Some(seconds) = ended.duration else {
                continue;
            };
            let outcome = Outcome::from_result(&ended.result).as_str();
            self.add(format_args!("duration_count {direction} {outcome}"), 1);
            self.add(
                format_args!("duration_ms {direction} {outcome}"),
                (seconds * 1000.0).round() as i64,
            );
        }
        for outcome in &events.sessions_ended {
            self.add(format_args!("sessions_ended {}", outcome.as_str()), 1);
        }
        self.add("sessions_started", events.sessions_started as i64);
        self.add("calls_lost", events.lost as i64);
        self.add("coverage_gaps", events.gap.into());
    }

    /// Returns the gauges of a snapshot.
    pub fn from_snapshot(snapshot: &Snapshot) -> Self {
        let mut gauges = Self::default();
        for (labels, count) in &snapshot.records {
            let RecordLabels {
                direction,
                result,
                extension,
            } = labels;
            let (direction, result) = (direction.as_str(), result.as_str());
            let extension = extension.as_deref().unwrap_or_default();
            gauges.add(
                format_args!("active_calls {direction} {result} {extension}"),
                *count as i64,
            );
        }
        for (direction, count) in &snapshot.in_progress {
            gauges.add(
                format_args!("calls_in_progress {}", direction.as_str()),
                *count as i64,
            );
        }
        gauges.add("sessions_in_progress", snapshot.sessions_in_progress as i64);
        gauges.add("extensions_in_call", snapshot.extensions_in_call as i64);
        if let Some(start) = snapshot.oldest_start {
            gauges.add("oldest_start_ms", start.as_millisecond());
        }
        gauges
    }

    /// Checks that all counters equal the expected ones.
    pub fn check_equal(&self, expected: &CounterTotals) -> Result<(), String> {
        self.compare(expected, |actual, expected| actual == expected)
    }

    /// Checks that no counter exceeds the expected one.
    pub fn check_at_most(&self, expected: &CounterTotals) -> Result<(), String> {
        self.compare(expected, |actual, expected| actual <= expected)
    }

    fn compare(
        &self,
        expected: &CounterTotals,
        is_valid: impl Fn(i64, i64) -> bool,
    ) -> Result<(), String> {
        for name in self.0.keys().chain(expected.0.keys()) {
            let (actual, expected) = (self.get(name), expected.get(name));
            if !is_valid(actual, expected) {
                return Err(format!("{name} is {actual}, expected {expected}"));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

fn family_of(name: &str) -> &str {
    name.split(' ').next().unwrap()
}
