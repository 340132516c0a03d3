//! The created times of counters in OpenMetrics.

use std::collections::HashMap;

use ringcentral_exporter::account::metrics::AccountMetrics;
use ringcentral_exporter::account::state::AccountState;
use ringcentral_exporter::clock::{Moment, unix_seconds};
use ringcentral_exporter::exposition::TextFormat;

use crate::fixtures::{METRICS, render_format};

/// The longest time of a scrape, in seconds. Its samples have the time at which it began.
const MAX_SCRAPE: f64 = 60.0;

/// The created times of all series so far, in Unix seconds.
pub struct CreatedTimes {
    /// The time at which all counters were 0.
    start: f64,
    by_series: HashMap<String, f64>,
}

impl CreatedTimes {
    /// Expects counters that were all 0 at this time.
    pub fn new(start: Moment) -> Self {
        Self {
            start: unix_seconds(start.wall),
            by_series: HashMap::new(),
        }
    }

    /// Asserts that the time of a known series is unchanged, and that a new one was 0 before each
    /// scrape that can show it.
    pub fn check(&mut self, counters: &AccountMetrics, now: Moment) {
        let latest = (unix_seconds(now.wall) - MAX_SCRAPE).max(self.start);
        let state = AccountState::default().into();
        let text = render_format(TextFormat::OpenMetrics, &state, counters, &METRICS, now);
        for line in text.lines().filter(|line| line.contains("_created{")) {
            let (series, created) = line.rsplit_once(' ').expect("sample");
            let created = created.parse().expect("time");
            assert!(
                (self.start..=latest).contains(&created),
                "{line} at {latest}"
            );
            let known = self.by_series.entry(series.to_owned()).or_insert(created);
            assert_eq!(*known, created, "the created time of {series} changed");
        }
    }
}
