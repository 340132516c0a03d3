//! The extensions that call records name and the extension list lacks.
//!
//! Such an extension may be newer than the list, so it causes a read of the list before the next regular one. If the
//! list then lacks it as well (calls to the main number carry the account's own id), its id is remembered and causes no
//! further read.

use std::collections::HashSet;

use smol_str::SmolStr;

use crate::calls::Directory;

/// The maximum number of ids in each of the sets.
const MAX_IDS: usize = 1000;

/// The ids of unknown extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnknownExtensions {
    /// Ids that were first seen after the list was last read.
    new: HashSet<SmolStr>,
    /// Ids that a list lacked which was read after they had been seen.
    missing: HashSet<SmolStr>,
    /// Earlier ids of that kind, which are forgotten when `missing` is full.
    missing_before: HashSet<SmolStr>,
}

/// What a list has of the extensions that were new when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewExtensions {
    /// There was no new extension.
    None,
    /// At least one of them.
    Found,
    /// None of them.
    Missing,
}

impl NewExtensions {
    /// Returns what a list has of these and other extensions.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Found || other == Self::None {
            self
        } else {
            other
        }
    }
}

impl UnknownExtensions {
    /// Records that the present list lacks an extension.
    pub(crate) fn insert(&mut self, id: &SmolStr) {
        let is_missing = self.missing.contains(id) || self.missing_before.contains(id);
        if !is_missing && self.new.len() < MAX_IDS {
            self.new.insert(id.clone());
        }
    }

    /// Returns whether an extension should cause a read of the list.
    pub(crate) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// Compares the new extensions with a list that was read since. They are no longer new.
    pub(crate) fn apply(&mut self, directory: &Directory) -> NewExtensions {
        let mut result = NewExtensions::None;
        for id in std::mem::take(&mut self.new) {
            if directory.by_id(&id).is_some() {
                result = NewExtensions::Found;
                continue;
            }
            if result == NewExtensions::None {
                result = NewExtensions::Missing;
            }
            if self.missing.len() == MAX_IDS {
                self.missing_before = std::mem::take(&mut self.missing);
            }
            self.missing.insert(id);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::directory::DirectoryEntry;

    fn directory(ids: &[u64]) -> Directory {
        let entry = |id: &u64| DirectoryEntry {
            id: *id,
            number: None,
            name: "".into(),
            kind: "User".into(),
            status: "Enabled".into(),
        };
        Directory::new(ids.iter().map(entry).collect())
    }

    #[test]
    fn missing_extension_causes_only_one_read() {
        let mut unknown = UnknownExtensions::default();
        assert_eq!(unknown.apply(&directory(&[])), NewExtensions::None);
        unknown.insert(&"7".into());
        assert!(unknown.has_new());
        assert_eq!(unknown.apply(&directory(&[5])), NewExtensions::Missing);
        unknown.insert(&"7".into());
        assert!(!unknown.has_new());
    }

    #[test]
    fn found_extension_outweighs_missing_ones() {
        use NewExtensions::{Found, Missing, None};
        for (one, other, both) in [
            (None, None, None),
            (None, Missing, Missing),
            (None, Found, Found),
            (Missing, Missing, Missing),
            (Missing, Found, Found),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both));
        }
    }

    #[test]
    fn one_found_extension_is_enough() {
        let mut unknown = UnknownExtensions::default();
        for id in ["7", "5", "8"] {
            unknown.insert(&id.into());
        }
        assert_eq!(unknown.apply(&directory(&[5])), NewExtensions::Found);
        unknown.insert(&"8".into());
        assert!(!unknown.has_new());
    }

    #[test]
    fn ids_are_bounded_and_oldest_are_forgotten() {
        let mut unknown = UnknownExtensions::default();
        for batch in 0..3 {
            for id in 0..MAX_IDS + 5 {
                unknown.insert(&format!("{batch}0000{id}").into());
            }
            assert_eq!(unknown.new.len(), MAX_IDS);
            unknown.apply(&directory(&[]));
        }
        assert_eq!(
            unknown.missing.len() + unknown.missing_before.len(),
            2 * MAX_IDS
        );
        unknown.insert(&"200007".into());
        unknown.insert(&"100007".into());
        assert!(!unknown.has_new());
        unknown.insert(&"000007".into());
        assert!(unknown.has_new(), "the oldest ids are forgotten");
    }
}
