//! One record of the extension list.

use std::borrow::Cow;

use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult};
use crate::ringcentral::wire::lenient::{Field, json_object};
use crate::ringcentral::wire::record::is_digits;

/// The documented length of a name, in characters.
const MAX_NAME_CHARS: usize = 129;
/// The maximum length of a name, in bytes: enough for each documented name in a script of up to two bytes per character,
/// and for names of 86 characters in any real script.
const MAX_NAME_LEN: usize = 258;
/// The maximum length of a type or a status, in bytes. The longest documented one has 20, and a `SmolStr` of up to 23
/// takes no memory of its own.
const MAX_KEYWORD_LEN: usize = 23;

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
            name: printable(&self.name, MAX_NAME_CHARS, MAX_NAME_LEN).into(),
            kind: printable(&self.kind, MAX_KEYWORD_LEN, MAX_KEYWORD_LEN).into(),
            status: printable(&self.status, MAX_KEYWORD_LEN, MAX_KEYWORD_LEN).into(),
        })
    }
}

/// Returns the text without control characters, cut to `max_chars` characters and `max_len` bytes.
fn printable(field: &Field<Cow<'_, str>>, max_chars: usize, max_len: usize) -> String {
    let text = field.text().unwrap_or_default();
    let mut printable = String::new();
    for c in text.chars().filter(|c| !c.is_control()).take(max_chars) {
        if printable.len() + c.len_utf8() > max_len {
            break;
        }
        printable.push(c);
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::wire::parse_extensions;

    fn entry(name: &str, keyword: &str) -> DirectoryEntry {
        let body = format!(
            r#"{{"records":[{{"id":1,"name":"{name}","type":"{keyword}","status":"{keyword}"}}]}}"#
        );
        let page = parse_extensions(body.as_bytes()).unwrap();
        page.entries.into_iter().next().unwrap()
    }

    #[test]
    fn texts_of_an_extension_are_short_in_every_script() {
        for (c, name_len) in [("a", 129), ("é", 258), ("漢", 258), ("😀", 256)] {
            let entry = entry(&c.repeat(1000), &c.repeat(1000));
            assert_eq!(entry.name.len(), name_len, "{c}");
            for keyword in [&entry.kind, &entry.status] {
                assert!(!keyword.is_heap_allocated() && keyword.len() > 19, "{c}");
            }
        }
    }

    #[test]
    fn documented_keywords_and_long_names_are_kept() {
        for keyword in [
            "User",
            "FlexibleUser",
            "ApplicationExtension",
            "DelegatedLinesGroup",
            "SharedLinesGroup",
            "NotActivated",
            "Unassigned",
        ] {
            let name = "漢字".repeat(43);
            let entry = entry(&name, keyword);
            assert_eq!((&*entry.kind, &*entry.status), (keyword, keyword));
            assert_eq!(*entry.name, name);
        }
    }
}
