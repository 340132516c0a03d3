//! Ended calls by extension and result: `ringcentral_extension_calls_ended_total`.
//!
//! With 10,000 extensions there are 50,000 series, for which the collectors of the library need 80 MiB.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::calls::CallResult;
use crate::counter_table::zero_at;
use crate::deflate::Blocks;
use crate::text_format::{BlockWriter, FamilyDesc, PerFormat, TextFormat};

/// Results that start at zero.
const INITIAL_RESULTS: [&str; 5] = [
    "Accepted",
    "Call connected",
    "Missed",
    "Voicemail",
    "No Answer",
];

/// The counts, in the order in which they are written.
#[derive(Debug)]
pub(crate) struct ExtensionCounts {
    /// The time at which all counts were 0, in Unix seconds.
    created: f64,
    /// Counts by extension; those of an extension are sorted by result.
    counts: BTreeMap<SmolStr, Vec<Count>>,
    /// The text of the counts, unless they have changed since it was written.
    blocks: PerFormat<Option<Blocks>>,
}

/// The count of one series. Both numbers are short, since there can be 50,000.
#[derive(Debug)]
struct Count {
    result: CallResult,
    count: u32,
    /// A time at which the count was 0, in whole seconds after that of all counts.
    created: u32,
}

impl ExtensionCounts {
    /// Creates an empty table. All counts are 0 at the time `created`, in Unix seconds.
    pub(crate) fn new(created: f64) -> Self {
        Self {
            created,
            counts: BTreeMap::new(),
            blocks: PerFormat::default(),
        }
    }

    /// Adds the series of an extension that start at zero and are not present, at the time `now`, in Unix seconds.
    pub(crate) fn insert(&mut self, extension: &str, now: f64) {
        let created = self.created_in_seconds(now);
        if !self.counts.contains_key(extension) {
            let results = Vec::with_capacity(INITIAL_RESULTS.len());
            self.counts.insert(extension.into(), results);
        }
        let Some(results) = self.counts.get_mut(extension) else {
            return;
        };
        for result in INITIAL_RESULTS {
            if let Err(index) = search(results, result)
                && let Some(result) = CallResult::parse(result)
            {
                let count = Count {
                    result,
                    count: 0,
                    created,
                };
                results.insert(index, count);
                self.blocks = PerFormat::default();
            }
        }
    }

    /// Counts a call that ended at the time `now`, in Unix seconds.
    pub(crate) fn increment(&mut self, extension: SmolStr, result: &CallResult, now: f64) {
        let created = self.created_in_seconds(now);
        self.blocks = PerFormat::default();
        let results = self.counts.entry(extension).or_default();
        match search(results, result.as_str()) {
            Ok(index) => {
                if let Some(count) = results.get_mut(index) {
                    count.count = count.count.saturating_add(1);
                }
            }
            Err(index) => {
                let count = Count {
                    result: result.clone(),
                    count: 1,
                    created,
                };
                results.insert(index, count);
            }
        }
    }

    /// Returns the samples as text.
    pub(crate) fn samples(
        &mut self,
        desc: &FamilyDesc,
        account: &str,
        format: TextFormat,
    ) -> Blocks {
        if let Some(blocks) = self.blocks.get(format) {
            return blocks.clone();
        }
        let blocks = self.write_samples(desc, account, format);
        *self.blocks.get_mut(format) = Some(blocks.clone());
        blocks
    }

    fn write_samples(&self, desc: &FamilyDesc, account: &str, format: TextFormat) -> Blocks {
        let mut writer = BlockWriter::new(format);
        for (extension, results) in &self.counts {
            for count in results {
                let labels = [
                    ("account", account),
                    ("extension", extension),
                    ("result", count.result.as_str()),
                ];
                let created = self.created + f64::from(count.created);
                writer.add_counter(desc, &labels, f64::from(count.count), created);
            }
        }
        writer.finish()
    }

    /// Returns the time at which a series was 0 that appears now, in whole seconds after that of all counts, rounded down.
    fn created_in_seconds(&self, now: f64) -> u32 {
        (zero_at(self.created, now) - self.created) as u32
    }
}

/// Returns the index of a result, or the one at which it has to be inserted.
fn search(results: &[Count], result: &str) -> Result<usize, usize> {
    results.binary_search_by(|known| known.result.as_str().cmp(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_format::{FamilyTexts, families};

    families! {
        counter DESC = "ended_total": "Ended.";
    }

    fn text(counts: &mut ExtensionCounts, format: TextFormat) -> String {
        let mut families = FamilyTexts::new(format);
        families.add_blocks(&DESC, counts.samples(&DESC, "a", format));
        crate::text_format::Exposition::new(format, vec![families.share()]).into_text()
    }

    #[test]
    fn counted_extension_gets_other_results_at_zero() {
        let format = TextFormat::Prometheus;
        let mut counts = ExtensionCounts::new(0.0);
        assert_eq!(text(&mut counts, format), "");
        for result in ["Voicemail", "Busy", "Voicemail", "Odd"] {
            counts.increment("102".into(), &CallResult::parse(result).unwrap(), 0.0);
        }
        let before = text(&mut counts, format);
        for extension in ["102", "101", "102"] {
            counts.insert(extension, 0.0);
        }
        let after = text(&mut counts, format);
        assert_ne!(after, before);
        let mut expected = "# HELP ended_total Ended.\n# TYPE ended_total counter\n".to_owned();
        for (extension, result, count) in [
            ("101", "Accepted", 0),
            ("101", "Call connected", 0),
            ("101", "Missed", 0),
            ("101", "No Answer", 0),
            ("101", "Voicemail", 0),
            ("102", "Accepted", 0),
            ("102", "Busy", 1),
            ("102", "Call connected", 0),
            ("102", "Missed", 0),
            ("102", "No Answer", 0),
            ("102", "Odd", 1),
            ("102", "Voicemail", 2),
        ] {
            let labels = format!("account=\"a\",extension=\"{extension}\",result=\"{result}\"");
            expected += &format!("ended_total{{{labels}}} {count}\n");
        }
        assert_eq!(after, expected);
    }

    #[test]
    fn series_keeps_the_time_at_which_it_was_0() {
        let format = TextFormat::OpenMetrics;
        let busy = CallResult::parse("Busy").unwrap();
        let mut counts = ExtensionCounts::new(1_000.5);
        counts.insert("101", 1_000.5);
        // The clock was set back before the second one.
        for (extension, now) in [("101", 1_120.9), ("102", 900.0), ("101", 1_190.0)] {
            counts.increment(extension.into(), &busy, now);
        }
        let text = text(&mut counts, format);
        for (extension, result, created) in [
            ("101", "Accepted", "1000.5"),
            ("101", "Busy", "1059.5"),
            ("102", "Busy", "1000.5"),
        ] {
            let labels = format!("{{account=\"a\",extension=\"{extension}\",result=\"{result}\"}}");
            let line = format!("\nended_created{labels} {created}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
