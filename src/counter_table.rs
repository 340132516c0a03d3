//! Counters with two labels, each with the time at which it was 0. They take less time and memory than those of the library.
//!
//! Some series appear later. Prometheus sees no increase of a series that appears with 1, unless it knows a time at which
//! that series was 0. That time is recorded when the series is first counted: one that is guessed when a scrape is
//! rendered could be later than samples that Prometheus has stored, and would look like a reset, after which everything is
//! counted again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smol_str::SmolStr;

use crate::text_format::{FamilyDesc, FamilyTexts};

/// The counters, in the order in which they are written.
#[derive(Debug)]
pub(crate) struct CounterTable {
    desc: &'static FamilyDesc,
    account: String,
    /// Names of the labels besides `account`.
    labels: [&'static str; 2],
    series: Mutex<BTreeMap<[SmolStr; 2], Series>>,
}

#[derive(Debug)]
struct Series {
    count: u64,
    /// The latest time at which the count is known to have been 0, in Unix seconds.
    created: f64,
}

impl CounterTable {
    /// Creates a table without series.
    pub(crate) fn new(desc: &'static FamilyDesc, account: &str, labels: [&'static str; 2]) -> Self {
        Self {
            desc,
            account: account.to_owned(),
            labels,
            series: Mutex::default(),
        }
    }

    /// Adds a series that is 0 at the time `created`, in Unix seconds.
    pub(crate) fn init(&self, values: [&str; 2], created: f64) {
        self.add(values, 0, created);
    }

    /// Counts one. A series that appears with it was 0 at the time `zero_at`, in Unix seconds.
    pub(crate) fn increment(&self, values: [&str; 2], zero_at: f64) {
        self.add(values, 1, zero_at);
    }

    fn add(&self, values: [&str; 2], count: u64, created: f64) {
        let mut series = self.lock();
        let series = series.entry(values.map(SmolStr::from));
        series.or_insert(Series { count: 0, created }).count += count;
    }

    /// Adds the family with its current values.
    pub(crate) fn add_to(&self, families: &mut FamilyTexts) {
        let [one, other] = self.labels;
        for (values, series) in &*self.lock() {
            let labels = [
                ("account", self.account.as_str()),
                (one, values[0].as_str()),
                (other, values[1].as_str()),
            ];
            families.add_counter(self.desc, &labels, series.count as f64, series.created);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[SmolStr; 2], Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
