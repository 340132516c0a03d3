//! One extension, to an entry of the directory.
//!
//! Owns: what is kept of it, and that it is safe to show: no control characters, and no longer than the documents allow.

use serde::Deserialize;

use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::lenient::Text;
use crate::ringcentral::wire::record::is_digits;

/// The documented length of a name, in characters.
const NAME_CHARS: usize = 129;
/// More than any documented type or status has.
const WORD_CHARS: usize = 40;

/// An extension as sent, as far as we read it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExtensionRecord<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    extension_number: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
}

impl ExtensionRecord<'_> {
    /// The entry that it makes; none without an id.
    pub fn into_entry(self) -> Option<DirectoryEntry> {
        let number = self
            .extension_number
            .as_deref()
            .filter(|number| is_digits(number, 8));
        Some(DirectoryEntry {
            id: self.id.as_deref()?.parse().ok()?,
            number: number.map(Into::into),
            name: printable(&self.name, NAME_CHARS),
            kind: printable(&self.kind, WORD_CHARS),
            status: printable(&self.status, WORD_CHARS),
        })
    }
}

fn printable(text: &Text<'_>, most: usize) -> Box<str> {
    let text = text.as_deref().unwrap_or_default();
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect::<String>()
        .into()
}
