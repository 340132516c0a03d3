//! The account's list of extensions, searchable by id and by number, compact for tens of thousands of them.

use smol_str::SmolStr;

/// An extension of the account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// RingCentral's internal id.
    pub id: u64,
    /// Extension number; absent while the extension is unassigned.
    pub number: Option<SmolStr>,
    /// Name of a person or purpose of the extension: personal data.
    pub name: Box<str>,
    /// Type, like `User` or `Department`.
    pub kind: SmolStr,
    /// Status, like `Enabled`; empty if absent.
    pub status: SmolStr,
}

/// All extensions of an account.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// All extensions, sorted by id.
    entries: Vec<DirectoryEntry>,
    /// Indices in `entries` of the extensions with a number, sorted by number; of several with the same number the
    /// preferred one is first.
    by_number: Vec<u32>,
}

impl Directory {
    /// Creates a directory; of several entries with the same id the last one is kept, since it is newer.
    #[must_use]
    pub fn new(mut entries: Vec<DirectoryEntry>) -> Self {
        entries.reverse();
        entries.sort_by_key(|entry| entry.id);
        entries.dedup_by_key(|entry| entry.id);
        entries.shrink_to_fit();
        let mut sorted = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if entry.number.is_some() {
                sorted.push((sort_key(entry), index as u32));
            }
        }
        sorted.sort_unstable();
        let by_number = sorted.into_iter().map(|(_, index)| index).collect();
        Self { entries, by_number }
    }

    /// Returns the extension with this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&DirectoryEntry> {
        self.by_internal_id(id.parse().ok()?)
    }

    /// Returns the extension with this id, as a number.
    #[must_use]
    pub fn by_internal_id(&self, id: u64) -> Option<&DirectoryEntry> {
        let index = self.entries.binary_search_by_key(&id, |entry| entry.id);
        self.entries.get(index.ok()?)
    }

    /// Returns the preferred extension with this number: an enabled one, then the one with the lowest id.
    #[must_use]
    pub fn by_number(&self, number: &str) -> Option<&DirectoryEntry> {
        let position = self
            .by_number
            .partition_point(|index| self.number_at(*index) < Some(number));
        let index = *self.by_number.get(position)?;
        let entry = self.entries.get(index as usize)?;
        (entry.number.as_deref() == Some(number)).then_some(entry)
    }

    /// Returns all extensions, sorted by id.
    #[must_use]
    pub fn entries(&self) -> &[DirectoryEntry] {
        &self.entries
    }

    fn number_at(&self, index: u32) -> Option<&str> {
        self.entries.get(index as usize)?.number.as_deref()
    }
}

/// Returns the sort key of an extension with a number.
fn sort_key(entry: &DirectoryEntry) -> (Option<&str>, bool, u64) {
    (
        entry.number.as_deref(),
        &*entry.status != "Enabled",
        entry.id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, number: &str, status: &str) -> DirectoryEntry {
        let number = (!number.is_empty()).then(|| number.into());
        DirectoryEntry {
            id,
            number,
            name: "".into(),
            kind: "User".into(),
            status: status.into(),
        }
    }

    fn id_of(directory: &Directory, number: &str) -> Option<u64> {
        directory.by_number(number).map(|entry| entry.id)
    }

    #[test]
    fn extensions_are_found_by_id_and_number() {
        let directory = Directory::new(vec![
            entry(62_264_425_016, "101", "Enabled"),
            entry(7, "1000", ""),
            entry(9, "", ""),
        ]);
        assert_eq!(
            directory
                .by_id("62264425016")
                .and_then(|entry| entry.number.as_deref()),
            Some("101")
        );
        assert_eq!(
            directory.by_id("9").map(|entry| entry.number.is_none()),
            Some(true)
        );
        assert_eq!((directory.by_id("8"), directory.by_id("x")), (None, None));
        assert_eq!(
            (id_of(&directory, "1000"), id_of(&directory, "101")),
            (Some(7), Some(62_264_425_016))
        );
        assert_eq!(
            (id_of(&directory, "10"), id_of(&directory, "9999")),
            (None, None)
        );
    }

    #[test]
    fn enabled_extension_with_lowest_id_is_preferred() {
        let several = vec![
            entry(1, "101", "Disabled"),
            entry(3, "101", "Enabled"),
            entry(2, "101", "Enabled"),
        ];
        assert_eq!(id_of(&Directory::new(several), "101"), Some(2));
    }

    #[test]
    fn extension_listed_twice_is_kept_once() {
        let directory = Directory::new(vec![
            entry(1, "101", "Disabled"),
            entry(1, "101", "Enabled"),
        ]);
        assert_eq!(directory.entries().len(), 1);
        assert_eq!(
            &*directory.entries()[0].status,
            "Enabled",
            "the later one is newer"
        );
    }
}
