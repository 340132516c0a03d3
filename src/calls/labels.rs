//! Values of the labels `extension` and `result`, and the limits on their number.
//!
//! The values seen first stay for the life of the process; later ones are folded into `other`.

use std::sync::Arc;

use foldhash::{HashSet, HashSetExt};
use smol_str::{SmolStr, ToSmolStr};

use crate::calls::unknown_extensions::UnknownExtensions;
use crate::calls::{CallResult, Directory, Extension, NewExtensions};

/// The maximum number of distinct undocumented results.
const MAX_UNDOCUMENTED_RESULTS: usize = 64;
/// The value of everything beyond the limits.
pub(crate) const OTHER: &str = "other";
/// The value of a record without an extension.
const NONE: &str = "none";

/// The content of the label `extension` (`--metrics.extension-label`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionLabel {
    /// The extension number, else the id.
    Number,
    /// RingCentral's internal id.
    Id,
    /// No label; the counts of all extensions are summed.
    Off,
}

/// Limits the cardinality of labels. Holds the values seen so far and the directory that maps ids to numbers.
#[derive(Clone, Debug)]
pub struct LabelLimiter {
    mode: ExtensionLabel,
    max_extensions: usize,
    extensions: HashSet<SmolStr>,
    undocumented_results: HashSet<CallResult>,
    directory: Option<Arc<Directory>>,
    /// The extensions that records name and the directory lacks.
    unknown: UnknownExtensions,
}

impl LabelLimiter {
    /// Creates a limiter that allows `max_extensions` distinct values of `extension` besides `none` and `other`.
    #[must_use]
    pub fn new(mode: ExtensionLabel, max_extensions: usize) -> Self {
        Self {
            mode,
            max_extensions,
            extensions: HashSet::new(),
            undocumented_results: HashSet::new(),
            directory: None,
            unknown: UnknownExtensions::default(),
        }
    }

    /// Sets the directory that maps ids to numbers. Returns what it has of the extensions for which
    /// [`has_new_extension`](Self::has_new_extension) was true.
    pub fn set_directory(&mut self, directory: Arc<Directory>) -> NewExtensions {
        let new = self.unknown.apply(&directory);
        self.directory = Some(directory);
        new
    }

    /// Returns whether a record has named an extension that may be newer than the directory.
    #[must_use]
    pub fn has_new_extension(&self) -> bool {
        self.unknown.has_new()
    }

    /// Records that the directory was read after the records that have named unknown extensions until now.
    pub(crate) fn confirm_missing_extensions(&mut self) {
        if let Some(directory) = &self.directory {
            self.unknown.apply(directory);
        }
    }

    /// Returns the value of the label `result`. An undocumented one is reserved if there is room, else
    /// folded into `other`.
    pub fn admit_result(&mut self, result: &CallResult) -> CallResult {
        if !result.is_documented() && !self.undocumented_results.contains(result) {
            if self.undocumented_results.len() == MAX_UNDOCUMENTED_RESULTS {
                return CallResult::OTHER;
            }
            self.undocumented_results.insert(result.clone());
        }
        result.clone()
    }

    /// Returns the value of the label `extension`, `None` if the label is off. A new value is reserved
    /// if there is room, else folded into `other`.
    pub fn admit_extension(&mut self, extension: Option<&Extension>) -> Option<SmolStr> {
        // Looked up in every mode, so that an id that is not in the directory is noticed.
        let number = extension.and_then(|extension| self.number(extension));
        let id = || self.id(extension?);
        let value = match self.mode {
            ExtensionLabel::Off => return None,
            ExtensionLabel::Number => number.or_else(id),
            ExtensionLabel::Id => id(),
        };
        match value {
            Some(value) => Some(self.limit(value)),
            None => Some(SmolStr::new_static(NONE)),
        }
    }

    fn limit(&mut self, value: SmolStr) -> SmolStr {
        if !self.extensions.contains(&value) {
            if self.extensions.len() >= self.max_extensions {
                return SmolStr::new_static(OTHER);
            }
            self.extensions.insert(value.clone());
        }
        value
    }

    /// Returns the number by the directory, else by the record.
    fn number(&mut self, extension: &Extension) -> Option<SmolStr> {
        if let (Some(directory), Some(id)) = (&self.directory, &extension.id) {
            match directory.by_id(id) {
                Some(entry) => {
                    if let Some(number) = &entry.number {
                        return Some(number.clone());
                    }
                }
                None => self.unknown.insert(id),
            }
        }
        extension.number.clone()
    }

    /// Returns the id by the record, else by the directory.
    pub(crate) fn id(&self, extension: &Extension) -> Option<SmolStr> {
        if let Some(id) = &extension.id {
            return Some(id.clone());
        }
        let number = extension.number.as_deref()?;
        let entry = self.directory.as_ref()?.by_number(number)?;
        Some(entry.id.to_smolstr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::directory::DirectoryEntry;

    fn extension(id: &str, number: &str) -> Option<Extension> {
        let given = |text: &str| (!text.is_empty()).then(|| text.into());
        Extension::new(given(id), given(number))
    }

    fn label(labels: &mut LabelLimiter, id: &str, number: &str) -> String {
        labels
            .admit_extension(extension(id, number).as_ref())
            .map_or("off".to_owned(), Into::into)
    }

    fn directory() -> Arc<Directory> {
        let entry = |id, number: &str| {
            let status = "Enabled".into();
            DirectoryEntry {
                id,
                number: Some(number.into()),
                name: "".into(),
                kind: "User".into(),
                status,
            }
        };
        Arc::new(Directory::new(vec![entry(5, "101"), entry(6, "102")]))
    }

    #[test]
    fn record_is_used_without_a_directory() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        assert_eq!(label(&mut labels, "5", "700"), "700");
        assert_eq!(label(&mut labels, "5", ""), "5");
        assert_eq!(label(&mut labels, "", ""), "none");
        let mut labels = LabelLimiter::new(ExtensionLabel::Id, 10);
        assert_eq!(label(&mut labels, "5", "700"), "5");
        assert_eq!(label(&mut labels, "", "700"), "none");
        assert_eq!(
            label(&mut LabelLimiter::new(ExtensionLabel::Off, 10), "5", "700"),
            "off"
        );
    }

    #[test]
    fn directory_takes_precedence_over_record() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        labels.set_directory(directory());
        assert_eq!(label(&mut labels, "5", "700"), "101");
        assert_eq!(label(&mut labels, "9", "700"), "700");
        let mut labels = LabelLimiter::new(ExtensionLabel::Id, 10);
        labels.set_directory(directory());
        assert_eq!(label(&mut labels, "", "102"), "6");
    }

    #[test]
    fn extension_missing_from_directory_is_noticed() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        label(&mut labels, "9", "");
        assert!(!labels.has_new_extension(), "there is no directory");
        labels.set_directory(directory());
        label(&mut labels, "5", "");
        assert!(!labels.has_new_extension());
        label(&mut labels, "9", "");
        assert!(labels.has_new_extension());
        assert_eq!(labels.set_directory(directory()), NewExtensions::Missing);
        label(&mut labels, "9", "");
        assert!(
            !labels.has_new_extension(),
            "a later directory lacks it too"
        );
    }

    #[test]
    fn records_older_than_directory_cause_no_read() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        labels.set_directory(directory());
        label(&mut labels, "9", "");
        labels.confirm_missing_extensions();
        label(&mut labels, "9", "");
        assert!(!labels.has_new_extension());
    }

    #[test]
    fn extensions_beyond_the_limit_are_folded() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 2);
        assert_eq!(label(&mut labels, "", "101"), "101");
        assert_eq!(label(&mut labels, "", "102"), "102");
        assert_eq!(
            labels.admit_extension(extension("", "103").as_ref()),
            Some("other".into())
        );
        assert_eq!(
            labels.admit_extension(extension("", "101").as_ref()),
            Some("101".into())
        );
        assert_eq!(
            labels.admit_extension(None),
            Some("none".into()),
            "none does not count as an extension"
        );
    }

    #[test]
    fn undocumented_results_beyond_64_are_folded() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 2);
        for n in 0..64 {
            let result = CallResult::parse(&format!("Undocumented {n}")).unwrap();
            assert_eq!(labels.admit_result(&result), result);
        }
        let late = CallResult::parse("Undocumented 64").unwrap();
        assert_eq!(labels.admit_result(&late), CallResult::OTHER);
        let early = CallResult::parse("Undocumented 3").unwrap();
        assert_eq!(labels.admit_result(&early), early);
        assert_eq!(
            labels.admit_result(&CallResult::IN_PROGRESS),
            CallResult::IN_PROGRESS
        );
    }
}
