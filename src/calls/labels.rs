//! Label values, kept in bounds for the life of the process.
//!
//! Owns: which name of an extension is shown, and how many distinct values the labels `extension` and `result` may take:
//! those first seen stay, later ones fold into `other`. Refuses to know: metrics.

use std::collections::HashSet;
use std::sync::Arc;

use smol_str::{SmolStr, ToSmolStr};

use crate::calls::{CallResult, Directory, Extension};

/// Results outside the documented list that are kept.
const MAX_UNDOCUMENTED_RESULTS: usize = 64;
/// The value of all that is beyond the bounds.
const OTHER: &str = "other";
/// The value where a record names no extension.
const NONE: &str = "none";

/// Which name of an extension the label `extension` shows (`--metrics.extension-label`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionLabel {
    /// The number that people dial, else the id.
    Number,
    /// RingCentral's internal id.
    Id,
    /// No label: the counts add up.
    Off,
}

/// The values that labels have taken so far, and the directory that they are taken from.
#[derive(Clone, Debug)]
pub struct LabelLimiter {
    shown: ExtensionLabel,
    max_extensions: usize,
    extensions: HashSet<SmolStr>,
    undocumented_results: HashSet<CallResult>,
    directory: Option<Arc<Directory>>,
    has_unknown_extension: bool,
}

/// A label value, and whether it was folded.
pub type Folded<T> = (T, bool);

impl LabelLimiter {
    /// No value yet, and no directory.
    #[must_use]
    pub fn new(shown: ExtensionLabel, most: usize) -> Self {
        let (extensions, strangers) = (HashSet::new(), HashSet::new());
        Self {
            shown,
            max_extensions: most,
            extensions,
            undocumented_results: strangers,
            directory: None,
            has_unknown_extension: false,
        }
    }

    /// From now on names are taken from this directory.
    pub fn set_directory(&mut self, directory: Arc<Directory>) {
        self.directory = Some(directory);
        self.has_unknown_extension = false;
    }

    /// Whether a record has named an extension that the directory lacks.
    #[must_use]
    pub fn has_unknown_extension(&self) -> bool {
        self.has_unknown_extension
    }

    /// The value of `result`.
    pub fn result(&mut self, result: &CallResult) -> Folded<CallResult> {
        if result.is_documented() || self.undocumented_results.contains(result) {
            return (result.clone(), false);
        }
        if self.undocumented_results.len() == MAX_UNDOCUMENTED_RESULTS {
            return (CallResult::OTHER, true);
        }
        self.undocumented_results.insert(result.clone());
        (result.clone(), false)
    }

    /// The value of `extension`; none where the label is off.
    pub fn extension(&mut self, extension: Option<&Extension>) -> Option<Folded<SmolStr>> {
        // Whatever is shown, an id that the directory lacks is noticed.
        let number = extension.and_then(|extension| self.number(extension));
        let id = || self.id(extension?);
        let shown = match self.shown {
            ExtensionLabel::Off => return None,
            ExtensionLabel::Number => number.or_else(id),
            ExtensionLabel::Id => id(),
        };
        Some(shown.map_or_else(
            || (SmolStr::new_static(NONE), false),
            |shown| self.limit(shown),
        ))
    }

    /// What tells extensions apart, whatever is shown: the id, else the number.
    pub fn identity(&mut self, extension: &Extension) -> Option<SmolStr> {
        self.id(extension).or_else(|| self.number(extension))
    }

    fn limit(&mut self, shown: SmolStr) -> Folded<SmolStr> {
        if self.extensions.contains(&shown) {
            return (shown, false);
        }
        if self.extensions.len() >= self.max_extensions {
            return (SmolStr::new_static(OTHER), true);
        }
        self.extensions.insert(shown.clone());
        (shown, false)
    }

    /// The number by the account's list, else as the record has it.
    fn number(&mut self, extension: &Extension) -> Option<SmolStr> {
        let listed = match (&self.directory, &extension.id) {
            (Some(directory), Some(id)) => {
                let entry = directory.by_id(id);
                self.has_unknown_extension |= entry.is_none();
                entry.and_then(|entry| entry.number.as_deref())
            }
            _ => None,
        };
        listed.map(Into::into).or_else(|| extension.number.clone())
    }

    /// The id as the record has it, else by the account's list.
    fn id(&self, extension: &Extension) -> Option<SmolStr> {
        let listed = || {
            let entry = self
                .directory
                .as_ref()?
                .by_number(extension.number.as_deref()?)?;
            Some(entry.id.to_smolstr())
        };
        extension.id.clone().or_else(listed)
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

    fn mode(labels: &mut LabelLimiter, id: &str, number: &str) -> String {
        labels
            .extension(extension(id, number).as_ref())
            .map_or("off".to_owned(), |(value, _)| value.into())
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
    fn without_a_directory_the_record_speaks_for_itself() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        assert_eq!(mode(&mut labels, "5", "700"), "700");
        assert_eq!(mode(&mut labels, "5", ""), "5");
        assert_eq!(mode(&mut labels, "", ""), "none");
        let mut labels = LabelLimiter::new(ExtensionLabel::Id, 10);
        assert_eq!(mode(&mut labels, "5", "700"), "5");
        assert_eq!(mode(&mut labels, "", "700"), "none");
        assert_eq!(
            mode(&mut LabelLimiter::new(ExtensionLabel::Off, 10), "5", "700"),
            "off"
        );
    }

    #[test]
    fn the_directory_goes_before_the_record() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        labels.set_directory(directory());
        assert_eq!(mode(&mut labels, "5", "700"), "101");
        assert_eq!(mode(&mut labels, "9", "700"), "700");
        let mut labels = LabelLimiter::new(ExtensionLabel::Id, 10);
        labels.set_directory(directory());
        assert_eq!(mode(&mut labels, "", "102"), "6");
    }

    #[test]
    fn an_id_that_the_directory_lacks_is_noticed() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        mode(&mut labels, "9", "");
        assert!(!labels.has_unknown_extension(), "there is no directory");
        labels.set_directory(directory());
        mode(&mut labels, "5", "");
        assert!(!labels.has_unknown_extension());
        mode(&mut labels, "9", "");
        assert!(labels.has_unknown_extension());
    }

    #[test]
    fn extensions_first_seen_stay_and_later_ones_fold() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 2);
        assert_eq!(mode(&mut labels, "", "101"), "101");
        assert_eq!(mode(&mut labels, "", "102"), "102");
        assert_eq!(
            labels.extension(extension("", "103").as_ref()),
            Some(("other".into(), true))
        );
        assert_eq!(
            labels.extension(extension("", "101").as_ref()),
            Some(("101".into(), false))
        );
        assert_eq!(
            labels.extension(None),
            Some(("none".into(), false)),
            "none is no extension"
        );
    }

    #[test]
    fn the_first_sixty_four_strange_results_stay_and_later_ones_fold() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 2);
        for n in 0..64 {
            let strange = CallResult::parse(&format!("Strange {n}")).unwrap();
            assert_eq!(labels.result(&strange), (strange, false));
        }
        let late = CallResult::parse("Strange 64").unwrap();
        assert_eq!(labels.result(&late), (CallResult::OTHER, true));
        let early = CallResult::parse("Strange 3").unwrap();
        assert_eq!(labels.result(&early), (early, false));
        assert_eq!(
            labels.result(&CallResult::IN_PROGRESS),
            (CallResult::IN_PROGRESS, false)
        );
    }
}
