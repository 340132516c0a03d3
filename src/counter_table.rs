//! Counters with two labels, each with the time at which it was 0. They take less time and memory than those of the
//! library.
//!
//! Some series appear later. Prometheus sees no increase of a series that appears with 1, unless it knows a time at which
//! that series was 0. That time is fixed when the series is first counted: one that changes, or that is later than samples
//! that Prometheus has stored, would look like a reset, after which everything is counted again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smol_str::SmolStr;

use crate::text_format::{FamilyDesc, FamilyTexts, LabelText};

/// How long before its first count a series is said to have been 0, in seconds. A sample has the time at which its scrape
/// began, at most 60 s before what it shows, and Prometheus uses only times before that of the sample.
const LONGER_THAN_A_SCRAPE: f64 = 61.0;

/// Returns a time at which a series was 0 that is first counted at `counted_at`, with others since `created`, all in Unix
/// seconds.
pub(crate) fn zero_at(created: f64, counted_at: f64) -> f64 {
    (counted_at - LONGER_THAN_A_SCRAPE).max(created)
}

/// The counters, in the order in which they are written.
#[derive(Debug)]
pub(crate) struct CounterTable {
    desc: &'static FamilyDesc,
    account: String,
    /// The time at which all counters were 0, in Unix seconds.
    created: f64,
    /// Names of the labels besides `account`.
    labels: [&'static str; 2],
    series: Mutex<BTreeMap<[SmolStr; 2], Series>>,
}

#[derive(Debug)]
struct Series {
    labels: LabelText,
    count: u64,
    /// A time at which the count was 0, in Unix seconds.
    created: f64,
}

impl CounterTable {
    /// Creates a table without series. All were 0 at the time `created`, in Unix seconds.
    pub(crate) fn new(
        desc: &'static FamilyDesc,
        account: &str,
        labels: [&'static str; 2],
        created: f64,
    ) -> Self {
        Self {
            desc,
            account: account.to_owned(),
            created,
            labels,
            series: Mutex::default(),
        }
    }

    /// Adds a series that is 0.
    pub(crate) fn init(&self, values: [&str; 2]) {
        self.add(values, 0, self.created);
    }

    /// Counts one at the time `now`, in Unix seconds.
    pub(crate) fn increment(&self, values: [&str; 2], now: f64) {
        self.add(values, 1, zero_at(self.created, now));
    }

    fn add(&self, values: [&str; 2], count: u64, created: f64) {
        let mut series = self.lock();
        let series = series.entry(values.map(SmolStr::from));
        let series = series.or_insert_with(|| Series {
            labels: self.label_text(values),
            count: 0,
            created,
        });
        series.count += count;
    }

    fn label_text(&self, values: [&str; 2]) -> LabelText {
        let [one, other] = self.labels;
        LabelText::new(&[
            ("account", &self.account),
            (one, values[0]),
            (other, values[1]),
        ])
    }

    /// Adds the family with its current values.
    pub(crate) fn add_to(&self, families: &mut FamilyTexts) {
        let mut family = families.open_family(self.desc);
        let series = self.lock();
        if let Some(first) = series.values().next() {
            family.reserve_counters(series.len(), &first.labels);
        }
        for series in series.values() {
            family.add_counter(&series.labels, series.count as f64, series.created);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[SmolStr; 2], Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_format::{Exposition, TextFormat, families};

    families! {
        counter COUNTER = "a_counter_total": "Counted.";
    }

    /// A scrape that began 60 s before an event can show it, and its sample has the time at which it began.
    #[test]
    fn late_series_was_0_before_any_scrape_that_shows_it() {
        let format = TextFormat::OpenMetrics;
        let table = CounterTable::new(&COUNTER, "a", ["one", "other"], 1_000.0);
        table.init(["initial", ""]);
        for (name, now) in [("early", 1_010.0), ("late", 2_000.0), ("late", 3_000.0)] {
            table.increment([name, ""], now);
        }
        table.increment(["initial", ""], 3_000.0);
        let mut families = FamilyTexts::new(format);
        table.add_to(&mut families);
        let text = Exposition::new(format, vec![families.share()]).into_text();
        for (name, created) in [("initial", 1_000), ("early", 1_000), ("late", 1_939)] {
            let series = format!("a_counter_created{{account=\"a\",one=\"{name}\",other=\"\"}}");
            assert!(text.contains(&format!("\n{series} {created}\n")), "{text}");
        }
    }
}
