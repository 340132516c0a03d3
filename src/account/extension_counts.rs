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
    /// Adds an extension that has no ended call yet, if it is not present.
    pub(crate) fn insert(&mut self, extension: &str) {
        if self.counts.contains_key(extension) {
            return;
        }
        let mut results: Vec<_> = INITIAL_RESULTS
            .iter()
            .filter_map(|result| Some((CallResult::parse(result)?, 0)))
            .collect();
        results.sort_unstable();
        self.counts.insert(extension.into(), results);
        self.blocks = None;
    }

    /// Counts an ended call.
    pub(crate) fn increment(&mut self, extension: SmolStr, result: &CallResult) {
        let results = self.counts.entry(extension).or_default();
        match results.binary_search_by(|(known, _)| known.cmp(result)) {
            Ok(index) => {
                if let Some((_, count)) = results.get_mut(index) {
                    *count += 1;
                }
            }
            Err(index) => results.insert(index, (result.clone(), 1)),
        }
        self.blocks = None;
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
