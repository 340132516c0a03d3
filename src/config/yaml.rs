//! YAML files whose errors name the file, the line and the key path.
//!
//! No error repeats a value or a key that may be a secret, so the parser's own messages are not used.

use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_path_to_error::{Path, Segment};
use serde_saphyr::{Error, Spanned};

use crate::config::ConfigError;
use crate::config::setting::Setting;

/// A value with its line. The default, with line 0, is a key that is absent.
#[derive(Default, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) line: u64,
}

/// A scalar as it is written, such as `0042` or `yes`.
pub(crate) type Text = Located<Option<String>>;
/// A list of scalars.
pub(crate) type List = Located<Option<Vec<Located<String>>>>;
/// A mapping with arbitrary keys.
pub(crate) type TextMap = Located<Option<BTreeMap<String, Text>>>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            line: spanned.referenced.line(),
        })
    }
}

/// The place of a mapping in a file.
#[derive(Clone)]
pub(crate) struct Section {
    /// The start of every error, which names the file.
    pub(crate) file: String,
    /// The key path, empty for the whole file.
    pub(crate) path: String,
    pub(crate) line: u64,
}

impl Section {
    /// Returns the place of a value under a key of this mapping.
    pub(crate) fn child(&self, key: &str, line: u64) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        Self {
            file: self.file.clone(),
            path: format!("{}{separator}{}", self.path, redact_key(key)),
            line,
        }
    }

    /// Returns a scalar; an empty one counts as absent.
    pub(crate) fn text(&self, key: &str, text: Text) -> Option<Setting> {
        let value = text.value.filter(|value| !value.is_empty())?;
        Some(self.child(key, text.line).setting(value))
    }

    /// Returns the items of a list.
    pub(crate) fn list(&self, key: &str, list: List) -> Vec<Setting> {
        let mut settings = Vec::new();
        for (n, item) in list.value.unwrap_or_default().into_iter().enumerate() {
            let place = self.child(&format!("{key}[{n}]"), item.line);
            settings.push(place.setting(item.value));
        }
        settings
    }

    /// Returns the keys and values of a mapping with arbitrary keys; a value that is absent is empty.
    pub(crate) fn entries(&self, key: &str, map: TextMap) -> Vec<(String, Setting)> {
        let section = self.child(key, map.line);
        let mut entries = Vec::new();
        for (key, text) in map.value.unwrap_or_default() {
            let place = section.child(&key, text.line);
            entries.push((key, place.setting(text.value.unwrap_or_default())));
        }
        entries
    }

    /// Returns an error about the mapping as a whole.
    pub(crate) fn invalid(&self, reason: &str) -> ConfigError {
        ConfigError(format!("{}: {reason}", self.origin()))
    }

    fn setting(&self, value: String) -> Setting {
        Setting {
            origin: self.origin(),
            value,
        }
    }

    fn origin(&self) -> String {
        let line = match self.line {
            0 => String::new(),
            line => format!(" line {line}"),
        };
        let separator = if self.path.is_empty() { "" } else { ": " };
        format!("{}{line}{separator}{}", self.file, self.path)
    }
}

/// Parses a document, which is a mapping or empty. `file` is the start of every error.
pub(crate) fn parse<T: DeserializeOwned + Default>(
    file: &str,
    text: &str,
) -> Result<T, ConfigError> {
    let mut path = String::new();
    let document = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = key_path(error.path());
            error.into_inner()
        })
    });
    match document {
        Ok(document) => Ok(Option::unwrap_or_default(document)),
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            let file = file.to_owned();
            eprintln!("{path} {error:?}");
            Err(Section { file, path, line }.invalid(&describe(&error)))
        }
    }
}

/// Returns the path without the fields of [`Spanned`], in which every value is wrapped.
fn key_path(path: &Path) -> String {
    let mut keys = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => keys.push_str(&format!("[{index}]")),
            Segment::Map { key } if key != "value" => {
                if !keys.is_empty() {
                    keys.push('.');
                }
                keys.push_str(redact_key(key));
            }
            _ => {}
        }
    }
    keys
}

fn describe(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField {
            field, expected, ..
        } => format!(
            "unknown key `{}`: expected one of {}",
            redact_key(field),
            expected.join(", ")
        ),
        Error::DuplicateMappingKey { .. } => "duplicate key".to_owned(),
        _ => "invalid YAML".to_owned(),
    }
}

/// Returns the key for an error message; one with unusual characters may be a secret in the wrong place.
fn redact_key(key: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-@[]".contains(&b);
    if key.len() <= 64 && key.bytes().all(plain) {
        key
    } else {
        "(a key)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Doc {
        a: Text,
        b: List,
        c: TextMap,
        d: Located<Option<Vec<Located<Inner>>>>,
        e: Located<Option<Inner>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        f: Text,
    }

    #[test]
    fn probe() {
        for text in [
            "",
            "{}",
            "~",
            "---\n",
            "# x\n",
            "sesame\nsesame\n",
            "- a\n",
            "a: 1\nb: [x\n\n",
            "a: 1\na: 2\n",
            "a: [1]\n",
            "b: 1\n",
            "b: {x: 1}\n",
            "b: [[1]]\n",
            "b: [~]\n",
            "b:\n- x\n-\n",
            "c: 1",
            "c: [1]",
            "c: {x: [1]}",
            "c: {x: }",
            "d: 1",
            "d: {f: 1}",
            "d: [x]",
            "d:\n- f: 1\n-\n",
            "d: [{f: 1, g: 2}]",
            "d: [{f: [1]}]",
            "e: x",
            "e: [x]",
            "e:\n  f: 1\n  z: 2\n",
            "z: 1",
            "eyJ0.eyJ/sesame: 1",
            "a: &x 1\nb: *x\n",
            "a: *y\n",
            "a: 1\n---\na: 2\n",
            "a: \"x\n",
            "\t- x: [",
            "e: {f: 1, f: 2}",
            "a: |\n  two\n  lines\n",
            "<<: {a: 1}\nb: [1]\n",
            "a: !!int 3",
            "a: !!null x",
            "a: !!binary aGk=",
            "1: 2",
            "[a]: 1",
            "? {a: b}\n: c",
            "e: &e {f: *e}",
            "c: {eyJ0.eyJ/sesame: [1]}",
        ] {
            match parse::<Doc>("web.yml", text) {
                Ok(d) => eprintln!(
                    "{text:?} ok a={:?}@{} b={:?}@{}",
                    d.a.value,
                    d.a.line,
                    d.b.value
                        .map(|v| v.into_iter().map(|i| (i.value, i.line)).collect::<Vec<_>>()),
                    d.b.line
                ),
                Err(e) => eprintln!("{text:?} -> {e}"),
            }
        }
        panic!();
    }
}
