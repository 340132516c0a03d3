//! One record of the extension list.

use std::borrow::Cow;

use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult};
use crate::ringcentral::wire::lenient::{Field, json_object};
use crate::ringcentral::wire::record::is_digits;

/// The documented length of a name, in characters.
const MAX_NAME_CHARS: usize = 129;
/// More than any documented type or status has.
const MAX_KEYWORD_CHARS: usize = 40;

json_object! {
    /// The fields of an extension that the directory uses.
    struct ExtensionRecord<'a> {
        id: Cow<'a, str> = "id",
        extension_number: Cow<'a, str> = "extensionNumber",
        name: Cow<'a, str> = "name",
        kind: Cow<'a, str> = "type",
        status: Cow<'a, str> = "status",
    }
}

impl ExtensionRecord<'_> {
    /// Returns the directory entry, `None` without a valid id.
    pub(crate) fn to_entry(&self) -> Option<DirectoryEntry> {
        let number = self.extension_number.text();
        let number = number.filter(|number| is_digits(number, 8));
        Some(DirectoryEntry {
            id: self.id.text()?.parse().ok()?,
            number: number.map(Into::into),
            name: printable(&self.name, MAX_NAME_CHARS),
            kind: printable(&self.kind, MAX_KEYWORD_CHARS).into(),
            status: printable(&self.status, MAX_KEYWORD_CHARS).into(),
        })
    }
}

/// Returns the text without control characters, cut to `max_chars`.
fn printable(field: &Field<Cow<'_, str>>, max_chars: usize) -> Box<str> {
    let text = field.text().unwrap_or_default();
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(max_chars).collect::<String>().into()
}
