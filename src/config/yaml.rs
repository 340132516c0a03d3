//! YAML files whose errors name the file, the line and the key path.
//!
//! No error repeats a value or a key that may be a secret, so the parser's own messages are not
//! used.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};
use serde_saphyr::{Error, Spanned};

use crate::config::ConfigError;
use crate::config::setting::Setting;
use crate::secret::{may_be_secret, strip_byte_order_mark};

/// A value with its line. The default, with line 0, is a key that is absent.
#[derive(Default, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) line: u64,
}

/// A scalar as it is written, such as `0042` or `yes`.
pub(crate) type Text = Located<Option<String>>;
/// A boolean as it is written, or another scalar.
pub(crate) type Bool = Located<Option<RawBool>>;
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

/// A scalar where a boolean is expected. In quotes it is text, as in the exporter-toolkit.
#[derive(PartialEq)]
pub(crate) enum RawBool {
    Bool(bool),
    Text(String),
}

impl<'de> Deserialize<'de> for RawBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawBoolVisitor)
    }
}

struct RawBoolVisitor;

impl Visitor<'_> for RawBoolVisitor {
    type Value = RawBool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true or false")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<RawBool, E> {
        Ok(RawBool::Bool(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawBool, E> {
        Ok(RawBool::Text(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawBool, E> {
        Ok(RawBool::Text(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<RawBool, E> {
        Ok(RawBool::Text(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<RawBool, E> {
        Ok(RawBool::Text(number.to_string()))
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
    /// Returns the place of the whole file.
    pub(crate) fn root(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            path: String::new(),
            line: 0,
        }
    }

    /// Returns the place of a value under a key of this mapping.
    pub(crate) fn child(&self, key: &str, line: u64) -> Self {
        Self {
            file: self.file.clone(),
            path: join(&self.path, key),
            line,
        }
    }

    /// Returns a scalar; an empty one counts as absent.
    pub(crate) fn text(&self, key: &str, text: Text) -> Option<Setting> {
        let value = text.value.filter(|value| !value.is_empty())?;
        Some(self.child(key, text.line).setting(value))
    }

    /// Returns a scalar, or `default` if it is absent.
    pub(crate) fn text_or(&self, key: &str, text: Text, default: &str) -> Setting {
        let line = text.line;
        match self.text(key, text) {
            Some(setting) => setting,
            None => self.child(key, line).setting(default.to_owned()),
        }
    }

    /// Returns a boolean, or `default` if it is absent.
    ///
    /// # Errors
    /// Returns an error if it is other text, or in quotes.
    pub(crate) fn bool_or(
        &self,
        key: &str,
        value: Bool,
        default: bool,
    ) -> Result<bool, ConfigError> {
        match value.value {
            None => Ok(default),
            Some(RawBool::Bool(value)) => Ok(value),
            Some(RawBool::Text(text)) => {
                let setting = self.child(key, value.line).setting(text);
                Err(setting.invalid("true or false, without quotes"))
            }
        }
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

    /// Returns the keys and values of a mapping with arbitrary keys; a value that is absent is
    /// empty.
    pub(crate) fn entries(&self, key: &str, map: TextMap) -> Vec<(String, Setting)> {
        let section = self.child(key, map.line);
        let mut entries = Vec::new();
        for (key, text) in map.value.unwrap_or_default() {
            let place = section.child(&key, text.line);
            entries.push((key, place.setting(text.value.unwrap_or_default())));
        }
        entries
    }

    /// Returns the error about a key that the mapping does not have.
    pub(crate) fn unknown_key(&self, key: &str, line: u64, known: &[String]) -> ConfigError {
        let path = join(&self.path, key);
        let known = known.join(", ");
        let reason = format!("unknown key `{path}`: expected one of {known}");
        ConfigError(format!("{} line {line}: {reason}", self.file))
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
    let text = strip_byte_order_mark(text);
    // Booleans as in YAML 1.2, without `yes` and `on`.
    let options = serde_saphyr::options! { strict_booleans: true };
    let document =
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                path = key_path(error.path());
                error.into_inner()
            })
        });
    match document {
        Ok(document) => Ok(Option::unwrap_or_default(document)),
        Err(error) => {
            let line = match error.location() {
                Some(location) => format!(" line {}", location.line()),
                None => String::new(),
            };
            let reason = describe(&error, &path);
            Err(ConfigError(format!("{file}{line}: {reason}")))
        }
    }
}

/// Returns the path without the fields of [`Spanned`], in which every value is wrapped.
fn key_path(path: &Path) -> String {
    let mut keys = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => keys.push_str(&format!("[{index}]")),
            Segment::Map { key } if key != "value" => keys = join(&keys, key),
            _ => {}
        }
    }
    keys
}

/// Describes an error; an unknown key is the last one of the path.
fn describe(error: &Error, path: &str) -> String {
    let expected = match error.without_snippet() {
        Error::SerdeUnknownField { expected, .. } => {
            let keys = expected.join(", ");
            return format!("unknown key `{path}`: expected one of {keys}");
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = join(path, key.as_deref().unwrap_or_default());
            return format!("duplicate key `{key}`");
        }
        Error::Unexpected { expected, .. } => match *expected {
            "string scalar" => "a single value",
            "sequence start" => "a list",
            "mapping start" => "a mapping",
            _ => return "invalid YAML".to_owned(),
        },
        Error::NullIntoString { .. } => "a single value",
        Error::SerdeInvalidType { expected, .. } => expected.as_str(),
        _ => return "invalid YAML".to_owned(),
    };
    let separator = if path.is_empty() { "" } else { ": " };
    format!("{path}{separator}expected {expected}")
}

/// Appends a key to a path, unless it may be a secret in the wrong place, since it has unusual
/// characters.
fn join(path: &str, key: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-@[]".contains(&b);
    let is_shown = key.bytes().all(plain) && !may_be_secret(key);
    let key = if is_shown { key } else { "(redacted)" };
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Document {
        a: Text,
        b: List,
        c: TextMap,
        d: Located<Option<Vec<Located<Inner>>>>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        e: Text,
    }

    fn document(text: &str) -> Document {
        parse("web.yml", text).unwrap()
    }

    #[track_caller]
    fn error_of(text: &str) -> String {
        parse::<Document>("web.yml", text).err().unwrap().0
    }

    fn root() -> Section {
        Section::root("web.yml")
    }

    fn text_of(text: &str) -> Option<String> {
        root()
            .text("a", document(text).a)
            .map(|setting| setting.value)
    }

    #[test]
    fn scalars_of_any_type_are_text() {
        assert_eq!(text_of("a: 1").as_deref(), Some("1"));
        assert_eq!(text_of("a: true").as_deref(), Some("true"));
        assert_eq!(text_of("a: 'x: y'").as_deref(), Some("x: y"));
        assert_eq!(
            text_of("a: |\n  two\n  lines\n").as_deref(),
            Some("two\nlines\n")
        );
        for absent in ["a:\n", "a: ''\n", "b: []\n"] {
            assert_eq!(text_of(absent), None, "{absent}");
        }
    }

    #[test]
    fn scalar_keeps_its_spelling() {
        let spellings = [
            "0042",
            "1.10",
            "1e3",
            "1_000",
            "0x10",
            "yes",
            "True",
            "12345678901234567890123",
            "-0",
            ".5",
            "0o7",
        ];
        for text in spellings {
            let document = document(&format!(
                "# ä\na: &x {text}  # b\nb: [{text}, *x]\nc: {{k: {text}, l: *x}}\n"
            ));
            let listed = root().list("b", document.b);
            let mapped = root().entries("c", document.c);
            let mapped = mapped.into_iter().map(|(_, setting)| setting);
            let values: Vec<_> = listed
                .into_iter()
                .chain(mapped)
                .chain(root().text("a", document.a))
                .map(|setting| setting.value)
                .collect();
            assert_eq!(values, [text; 5]);
        }
    }

    #[test]
    fn origin_names_file_line_and_path() {
        let document = document("# a comment\nb:\n- one\n- two\nc:\n  k: 1\n");
        let list = root().list("b", document.b);
        assert_eq!(list[1].origin, "web.yml line 4: b[1]");
        let entries = root().entries("c", document.c);
        assert_eq!(entries[0].1.origin, "web.yml line 6: c.k");
    }

    #[test]
    fn unknown_key_is_an_error_with_the_known_keys() {
        assert_eq!(
            error_of("a: 1\ncolour: red\n"),
            "web.yml line 2: unknown key `colour`: expected one of a, b, c, d"
        );
        assert_eq!(
            error_of("d:\n- e: 1\n  f: 2\n"),
            "web.yml line 3: unknown key `d[0].f`: expected one of e"
        );
    }

    #[test]
    fn key_that_may_be_a_secret_is_redacted() {
        let hash = "$2y$10$mDwo.lAisC94iLAyP81MC";
        for text in [
            format!("{hash}: alice\n"),
            format!("{hash}: 1\n{hash}: 2\n"),
            format!("c:\n  {hash}: [alice]\n"),
            format!("c: {{{hash}: 1, {hash}: 2}}\n"),
        ] {
            let error = error_of(&text);
            assert!(
                error.contains("(redacted)") && !error.contains("mDwo"),
                "{error}"
            );
        }
    }

    #[test]
    fn empty_document_has_no_keys() {
        for text in ["", "# nothing\n", "---\n", "{}", "\u{feff}", "\u{feff}{}"] {
            assert!(document(text).a == Text::default(), "{text:?}");
        }
    }

    #[test]
    fn invalid_yaml_names_the_line_without_content() {
        let cases = [
            ("a: 1\nb: [sesame\n\n", "web.yml line 2: invalid YAML"),
            ("a: 1\na: sesame\n", "web.yml line 2: duplicate key `a`"),
            (
                "d: [{e: 1, e: sesame}]",
                "web.yml line 1: duplicate key `d[0].e`",
            ),
            ("sesame\nsesame\n", "web.yml line 1: expected a mapping"),
            ("a: *sesame\n", "web.yml line 1: invalid YAML"),
            ("a: 1\n---\na: sesame\n", "web.yml line 3: invalid YAML"),
        ];
        for (text, expected) in cases {
            assert_eq!(error_of(text), expected);
        }
    }

    #[test]
    fn value_of_another_type_is_an_error() {
        let cases = [
            ("a: [1]", "web.yml line 1: a: expected a single value"),
            ("a: 1\nb: 1", "web.yml line 2: b: expected a list"),
            ("b: {c: 1}", "web.yml line 1: b: expected a list"),
            ("b: [[1]]", "web.yml line 1: b[0]: expected a single value"),
            ("b: [~]", "web.yml line 1: b[0]: expected a single value"),
            ("c: [1]", "web.yml line 1: c: expected a mapping"),
            (
                "d: [{e: {}}]",
                "web.yml line 1: d[0].e: expected a single value",
            ),
            ("d:\n-\n", "web.yml line 2: d[0]: expected a mapping"),
        ];
        for (text, expected) in cases {
            assert_eq!(error_of(text), expected);
        }
    }
}
