//! Ended calls by extension and result: `ringcentral_extension_calls_ended_total`.
//!
//! With 10,000 extensions there are 50,000 series, for which the collectors of the library need 80 MiB.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::calls::CallResult;
use crate::deflate::Blocks;
use crate::text_format::{BlockWriter, FamilyDesc};

/// Results that start at zero.
const INITIAL_RESULTS: [&str; 5] = [
    "Accepted",
    "Call connected",
    "Missed",
    "Voicemail",
    "No Answer",
];

/// The counts, in the order in which they are written.
#[derive(Debug, Default)]
pub(crate) struct ExtensionCounts {
    /// Counts by extension; those of an extension are sorted by result.
    counts: BTreeMap<SmolStr, Vec<(CallResult, u64)>>,
    /// The text of the counts, unless they have changed since it was written.
    blocks: Option<Blocks>,
}

impl ExtensionCounts {
    /// Adds the series of an extension that start at zero and are not present.
    pub(crate) fn insert(&mut self, extension: &str) {
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
                results.insert(index, (result, 0));
                self.blocks = None;
            }
        }
    }

    /// Counts an ended call.
    pub(crate) fn increment(&mut self, extension: SmolStr, result: &CallResult) {
        self.blocks = None;
        let results = self.counts.entry(extension).or_default();
        match search(results, result.as_str()) {
            Ok(index) => {
                if let Some((_, count)) = results.get_mut(index) {
                    *count += 1;
                }
            }
            Err(index) => results.insert(index, (result.clone(), 1)),
        }
    }

    /// Returns the samples as text, `None` if there are none.
    pub(crate) fn samples(&mut self, desc: &FamilyDesc, account: &str) -> Option<Blocks> {
        if self.counts.is_empty() {
            return None;
        }
        if self.blocks.is_none() {
            self.blocks = Some(self.write_samples(desc, account));
        }
        self.blocks.clone()
    }

    fn write_samples(&self, desc: &FamilyDesc, account: &str) -> Blocks {
        let mut writer = BlockWriter::default();
        for (extension, results) in &self.counts {
            for (result, count) in results {
                let labels = [
                    ("account", account),
                    ("extension", extension),
                    ("result", result.as_str()),
                ];
                writer.add_sample(desc, &labels, *count as f64);
            }
        }
        writer.finish()
    }
}

/// Returns the index of a result, or the one at which it has to be inserted.
fn search(results: &[(CallResult, u64)], result: &str) -> Result<usize, usize> {
    results.binary_search_by(|(known, _)| known.as_str().cmp(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_format::{FamilyTexts, families};

    families! {
        counter DESC = "ended": "Ended.";
    }

    fn text(counts: &mut ExtensionCounts) -> String {
        let mut families = FamilyTexts::default();
        if let Some(samples) = counts.samples(&DESC, "a") {
            families.add_blocks(&DESC, samples);
        }
        crate::text_format::Exposition::new(vec![families.share()]).into_text()
    }

    #[test]
    fn counted_extension_gets_other_results_at_zero() {
        let mut counts = ExtensionCounts::default();
        assert_eq!(text(&mut counts), "");
        for result in ["Voicemail", "Busy", "Voicemail", "Odd"] {
            counts.increment("102".into(), &CallResult::parse(result).unwrap());
        }
        let before = text(&mut counts);
        for extension in ["102", "101", "102"] {
            counts.insert(extension);
        }
        let after = text(&mut counts);
        assert_ne!(after, before);
        let mut expected = "# HELP ended Ended.\n# TYPE ended counter\n".to_owned();
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
            expected += &format!("ended{{{labels}}} {count}\n");
        }
        assert_eq!(after, expected);
    }
}
