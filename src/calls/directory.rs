//! The account's own list of extensions: which number an id has, and who it is.
//!
//! Owns: finding an extension by id or number in a list that may hold ten thousand, kept small. Refuses to know: how the
//! list is read and how old it is.

/// An extension as the account lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// RingCentral's internal id.
    pub id: u64,
    /// The number that people dial; an unassigned extension has none.
    pub number: Option<Box<str>>,
    /// A person's name, or what the extension is for: personal data.
    pub name: Box<str>,
    /// Like `User` or `Department`.
    pub kind: Box<str>,
    /// Like `Enabled`; empty where the list does not tell.
    pub status: Box<str>,
}

/// All extensions of an account.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// In the order of ids.
    entries: Vec<DirectoryEntry>,
    /// Places in `entries` of those with a number, in the order of numbers; of several with one number the one that
    /// stands for it comes first.
    by_number: Vec<u32>,
}

impl Directory {
    /// A directory of these entries; of two with one id the later one is newer.
    #[must_use]
    pub fn new(mut entries: Vec<DirectoryEntry>) -> Self {
        entries.reverse();
        entries.sort_by_key(|entry| entry.id);
        entries.dedup_by_key(|entry| entry.id);
        entries.shrink_to_fit();
        let numbered = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.number.is_some());
        let mut by_number: Vec<_> = numbered
            .map(|(place, entry)| (sort_key(entry), place as u32))
            .collect();
        by_number.sort_unstable();
        let by_number = by_number.into_iter().map(|(_, place)| place).collect();
        Self { entries, by_number }
    }

    /// The extension with this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&DirectoryEntry> {
        let id: u64 = id.parse().ok()?;
        let place = self
            .entries
            .binary_search_by_key(&id, |entry| entry.id)
            .ok()?;
        self.entries.get(place)
    }

    /// The extension that stands for this number: an enabled one before others, then the one with the lowest id.
    #[must_use]
    pub fn by_number(&self, number: &str) -> Option<&DirectoryEntry> {
        let place = self
            .by_number
            .partition_point(|place| self.number_at(*place) < Some(number));
        let entry = self.entries.get(*self.by_number.get(place)? as usize)?;
        (entry.number.as_deref() == Some(number)).then_some(entry)
    }

    /// All extensions, in the order of ids.
    #[must_use]
    pub fn entries(&self) -> &[DirectoryEntry] {
        &self.entries
    }

    fn number_at(&self, place: u32) -> Option<&str> {
        self.entries.get(place as usize)?.number.as_deref()
    }
}

/// The order among those with numbers.
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
    fn extensions_are_found_by_id_and_by_number() {
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
    fn of_several_with_one_number_the_enabled_one_with_the_lowest_id_stands_for_it() {
        let several = vec![
            entry(1, "101", "Disabled"),
            entry(3, "101", "Enabled"),
            entry(2, "101", "Enabled"),
        ];
        assert_eq!(id_of(&Directory::new(several), "101"), Some(2));
    }

    #[test]
    fn a_list_that_shifted_between_its_pages_has_no_extension_twice() {
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
