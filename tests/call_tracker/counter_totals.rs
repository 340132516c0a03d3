//! Numbers under names, so that two countings can be compared: the ledger's and the truth's.

use std::collections::BTreeMap;
use std::fmt::Display;

use ringcentral_exporter::calls::snapshot::RecordLabels;
use ringcentral_exporter::calls::{CallEvents, Outcome, Snapshot};

/// What was counted, by family and labels. What is zero is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, i64>);

impl Tally {
    pub fn add(&mut self, name: impl Display, by: i64) {
        if by != 0 {
            *self.0.entry(name.to_string()).or_default() += by;
        }
    }

    /// All of another tally, so many times.
    pub fn add_all(&mut self, other: &Tally, times: i64) {
        for (name, value) in &other.0 {
            self.add(name, times * value);
        }
        self.0.retain(|_, value| *value != 0);
    }

    /// The sum of a family's numbers.
    pub fn total(&self, family: &str) -> i64 {
        self.only(&[family]).0.values().sum()
    }

    /// The numbers of these families.
    pub fn only(&self, families: &[&str]) -> Self {
        let numbers = self
            .0
            .iter()
            .filter(|(name, _)| families.contains(&family(name)));
        Self(
            numbers
                .map(|(name, value)| (name.clone(), *value))
                .collect(),
        )
    }

    /// What each family adds up to.
    pub fn families(&self) -> BTreeMap<&str, i64> {
        let mut totals = BTreeMap::new();
        for (name, value) in &self.0 {
            *totals.entry(family(name)).or_default() += value;
        }
        totals
    }

    /// What the ledger told, as the counters and the histogram take it.
    pub fn take(&mut self, news: &CallEvents) {
        for ended in &news.ended {
            let (direction, result) = (ended.direction.as_str(), ended.result.as_str());
            let extension = ended
                .extension
                .as_ref()
                .map_or("none", |extension| extension.number_or_id());
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
        for outcome in &news.sessions_ended {
            self.add(format_args!("sessions_ended {}", outcome.as_str()), 1);
        }
        self.add("sessions_started", news.sessions_started as i64);
        self.add("calls_lost", news.lost as i64);
        self.add("coverage_gaps", news.gap.into());
    }

    /// A snapshot's gauges.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut gauges = Self::default();
        for (
            RecordLabels {
                direction,
                result,
                extension,
            },
            count,
        ) in &snapshot.records
        {
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
        gauges.add(
            "oldest_start_ms",
            snapshot
                .oldest_start
                .map_or(0, |start| start.as_millisecond()),
        );
        gauges
    }

    /// The first number that is not as it should be.
    pub fn agrees_with(&self, truth: &Tally) -> Result<(), String> {
        self.compare(truth, |ours, theirs| ours == theirs)
    }

    /// The first number that is more than it may be.
    pub fn is_within(&self, truth: &Tally) -> Result<(), String> {
        self.compare(truth, |ours, theirs| ours <= theirs)
    }

    fn compare(&self, truth: &Tally, is_well: impl Fn(i64, i64) -> bool) -> Result<(), String> {
        for name in self.0.keys().chain(truth.0.keys()) {
            let (ours, theirs) = (self.get(name), truth.get(name));
            if !is_well(ours, theirs) {
                return Err(format!("{name} is {ours}, and in truth {theirs}"));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

fn family(name: &str) -> &str {
    name.split(' ').next().unwrap()
}
