//! A YAML file as keys, values and lines.
//!
//! Owns: that a mistake names its file, line and key path, that a key which nobody asked for is a mistake, and that no
//! value is repeated unless the one who asked for it wants that. Refuses to know: which keys there are.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::config::ConfigError;
use crate::config::setting::Setting;

/// A mapping, of which keys are taken one by one.
pub struct Section {
    place: Place,
    entries: Entries,
    known: Vec<&'static str>,
}

/// Where something stands.
#[derive(Clone)]
pub struct Place {
    file: String,
    /// None for the whole file, and for what is not there.
    line: Option<u64>,
    /// Empty, or a path that ends with a dot.
    path: String,
}

type Entries = Vec<(Spanned<String>, Spanned<Value>)>;

enum Value {
    Nothing,
    Scalar(String),
    /// What YAML takes for a number or a truth; only while it is read.
    Typed(String),
    List(Vec<Spanned<Value>>),
    Map(Entries),
}

impl Section {
    /// Reads a document, which is a mapping or empty. `file` is what complaints begin with.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let place = Place {
            file: file.to_owned(),
            line: None,
            path: String::new(),
        };
        let section = |entries| Self {
            place,
            entries,
            known: Vec::new(),
        };
        let mut root: Spanned<Value> = match serde_saphyr::from_str(text) {
            Ok(root) => root,
            Err(error) if matches!(error.without_snippet(), serde_saphyr::Error::Eof { .. }) => {
                return Ok(section(Vec::new()));
            }
            Err(error) => return Err(not_yaml(file, &error)),
        };
        as_written(&mut root, text);
        match root.value {
            Value::Nothing => Ok(section(Vec::new())),
            Value::Map(entries) => Ok(section(entries)),
            Value::Scalar(_) | Value::Typed(_) | Value::List(_) => Err(ConfigError(format!(
                "{file}: no keys; accepted is a mapping in YAML"
            ))),
        }
    }

    /// Whether nothing is left in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A text; without a value, or with an empty one, it counts as left out.
    pub fn text(&mut self, key: &'static str) -> Result<Option<Setting>, ConfigError> {
        let Some((place, value)) = self.take(key) else {
            return Ok(None);
        };
        match value.value {
            Value::Nothing => Ok(None),
            Value::Scalar(value) => {
                Ok(Some(place.setting(value)).filter(|setting| !setting.value.is_empty()))
            }
            Value::Typed(_) | Value::List(_) | Value::Map(_) => Err(place.accepts("one value")),
        }
    }

    /// `true` or `false`.
    pub fn switch(&mut self, key: &'static str, unsaid: bool) -> Result<bool, ConfigError> {
        match self.text(key)? {
            None => Ok(unsaid),
            Some(setting) => setting
                .value
                .parse()
                .map_err(|_| setting.invalid("true or false")),
        }
    }

    /// A list of texts.
    pub fn list(&mut self, key: &'static str) -> Result<Vec<Setting>, ConfigError> {
        self.items(key, |item, place| match item {
            Value::Scalar(value) => Ok(place.setting(value)),
            Value::Nothing | Value::Typed(_) | Value::List(_) | Value::Map(_) => {
                Err(place.accepts("one value"))
            }
        })
    }

    /// A list of mappings.
    pub fn sections(&mut self, key: &'static str) -> Result<Vec<Self>, ConfigError> {
        self.items(key, |item, place| match item {
            Value::Map(entries) => Ok(Self {
                place,
                entries,
                known: Vec::new(),
            }),
            Value::Nothing | Value::Scalar(_) | Value::Typed(_) | Value::List(_) => {
                Err(place.accepts("a mapping"))
            }
        })
    }

    fn items<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Value, Place) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some((place, value)) = self.take(key) else {
            return Ok(Vec::new());
        };
        let items = match value.value {
            Value::Nothing => return Ok(Vec::new()),
            Value::List(items) => items,
            Value::Scalar(_) | Value::Typed(_) | Value::Map(_) => {
                return Err(place.accepts("a list"));
            }
        };
        let place = |n: usize, line| self.place.inner(&format!("{key}[{n}]"), line);
        let items = items.into_iter().enumerate();
        items
            .map(|(n, item)| read(item.value, place(n, item.referenced.line())))
            .collect()
    }

    /// A mapping inside; one that is left out is empty.
    pub fn section(&mut self, key: &'static str) -> Result<Self, ConfigError> {
        let absent = Place {
            line: None,
            ..self.place.inner(key, 0)
        };
        let (place, value) = self
            .take(key)
            .map_or((absent, Value::Nothing), |(place, value)| {
                (place, value.value)
            });
        match value {
            Value::Nothing => Ok(Self {
                place,
                entries: Vec::new(),
                known: Vec::new(),
            }),
            Value::Map(entries) => Ok(Self {
                place,
                entries,
                known: Vec::new(),
            }),
            Value::Scalar(_) | Value::Typed(_) | Value::List(_) => Err(place.accepts("a mapping")),
        }
    }

    /// All keys and their texts, where the keys are the user's own.
    pub fn texts(self) -> Result<Vec<(String, Setting)>, ConfigError> {
        let text = |(key, value): &(Spanned<String>, Spanned<Value>)| {
            let place = self.place_of(key);
            match &value.value {
                Value::Scalar(text) => Ok((key.value.clone(), place.setting(text.clone()))),
                Value::Nothing => Ok((key.value.clone(), place.setting(String::new()))),
                Value::Typed(_) | Value::List(_) | Value::Map(_) => Err(place.accepts("one value")),
            }
        };
        self.entries.iter().map(text).collect()
    }

    /// Nothing more is asked for: a key that is left is a mistake.
    pub fn end(self) -> Result<(), ConfigError> {
        let Some((key, _)) = self.entries.first() else {
            return Ok(());
        };
        let known = self.known.join(", ");
        Err(self
            .place_of(key)
            .wrong(&format!("there is no such key; accepted are {known}")))
    }

    /// A complaint about the whole.
    pub fn wrong(&self, what: &str) -> ConfigError {
        self.place.wrong(what)
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    fn take(&mut self, key: &'static str) -> Option<(Place, Spanned<Value>)> {
        self.known.push(key);
        let at = self
            .entries
            .iter()
            .position(|(present, _)| present.value == key)?;
        let (present, value) = self.entries.remove(at);
        Some((self.place_of(&present), value))
    }

    fn place_of(&self, key: &Spanned<String>) -> Place {
        self.place.inner(shown(&key.value), key.referenced.line())
    }
}

impl Place {
    /// A complaint about what stands there.
    pub fn wrong(&self, what: &str) -> ConfigError {
        ConfigError(format!("{self}: {what}"))
    }

    /// The place for somebody who knows which file it is.
    pub fn here(&self) -> String {
        let line = self
            .line
            .map_or(String::new(), |line| format!(" on line {line}"));
        format!("{}{line}", self.path.trim_end_matches('.'))
    }

    fn inner(&self, key: &str, line: u64) -> Self {
        Self {
            file: self.file.clone(),
            line: Some(line),
            path: format!("{}{key}.", self.path),
        }
    }

    fn setting(&self, value: String) -> Setting {
        Setting {
            origin: self.to_string(),
            value,
        }
    }

    fn accepts(&self, accepted: &str) -> ConfigError {
        self.wrong(&format!("accepted is {accepted}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self
            .line
            .map_or(String::new(), |line| format!(" line {line}"));
        write!(
            f,
            "{}{line}: {}",
            self.file,
            self.path.trim_end_matches('.')
        )
    }
}

/// To YAML `0042` is 42 and `yes` is true. Here every value is a text, as it was written.
fn as_written(value: &mut Spanned<Value>, text: &str) {
    let span = value.defined.span();
    let source = span
        .byte_offset()
        .zip(span.byte_len())
        .and_then(|(start, length)| {
            let start = usize::try_from(start).ok()?;
            text.get(start..start + usize::try_from(length).ok()?)
        });
    match &mut value.value {
        Value::Nothing | Value::Scalar(_) => {}
        Value::Typed(read) => {
            value.value = Value::Scalar(source.map_or(std::mem::take(read), str::to_owned))
        }
        Value::List(items) => items.iter_mut().for_each(|item| as_written(item, text)),
        Value::Map(entries) => entries
            .iter_mut()
            .for_each(|(_, item)| as_written(item, text)),
    }
}

/// A key that is no name may be a secret in the wrong place.
fn shown(key: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-@[]".contains(&b);
    if key.len() <= 64 && key.bytes().all(plain) {
        key
    } else {
        "(a key)"
    }
}

/// The parser's own words are left out, since they may repeat what stands in the file.
fn not_yaml(file: &str, error: &serde_saphyr::Error) -> ConfigError {
    let what = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { .. } => "a key stands there twice",
        _ => "this is not YAML as we read it",
    };
    match error.location() {
        Some(location) => ConfigError(format!("{file} line {}: {what}", location.line())),
        None => ConfigError(format!("{file}: {what}")),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Section {
        Section::parse("web.yml", text).unwrap()
    }

    fn complaint(text: &str) -> String {
        Section::parse("web.yml", text).err().unwrap().0
    }

    #[test]
    fn scalars_of_any_kind_are_texts() {
        let mut section = parse("a: 1\nb: true\nc: 'x: y'\nd: |\n  two\n  lines\ne:\nf: ''\n");
        let mut text = |key| section.text(key).unwrap().map(|setting| setting.value);
        assert_eq!(text("a").as_deref(), Some("1"));
        assert_eq!(text("b").as_deref(), Some("true"));
        assert_eq!(text("c").as_deref(), Some("x: y"));
        assert_eq!(text("d").as_deref(), Some("two\nlines\n"));
        assert_eq!((text("e"), text("f"), text("g")), (None, None, None));
        section.end().unwrap();
    }

    #[test]
    fn a_scalar_is_what_was_written_whatever_yaml_takes_it_for() {
        let written = [
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
        for text in written {
            let mut section = parse(&format!(
                "# ä\na: {text}  # b\nb: [{text}, {text}]\nc: &x {text}\nd: *x\n"
            ));
            let mut value = |key| section.text(key).unwrap().map(|setting| setting.value);
            assert_eq!(
                [value("a"), value("c"), value("d")],
                [(); 3].map(|()| Some(text.to_owned())),
                "{text}"
            );
            let listed: Vec<_> = section
                .list("b")
                .unwrap()
                .into_iter()
                .map(|setting| setting.value)
                .collect();
            assert_eq!(listed, [text, text]);
        }
    }

    #[test]
    fn a_setting_names_file_line_and_path() {
        let mut section = parse("# a comment\nouter:\n  inner:\n  - one\n  - two\n");
        let list = section.section("outer").unwrap().list("inner").unwrap();
        assert_eq!(list[1].origin, "web.yml line 5: outer.inner[1]");
    }

    #[test]
    fn a_key_that_nobody_asks_for_is_told_with_those_that_there_are() {
        let mut section = parse("a: 1\ncolour: red\n");
        section.text("a").unwrap();
        section.text("b").unwrap();
        assert_eq!(
            section.end().unwrap_err().0,
            "web.yml line 2: colour: there is no such key; accepted are a, b"
        );
    }

    #[test]
    fn a_key_that_may_be_a_secret_is_not_repeated() {
        let complaint = parse("$2y$10$mDwo.lAisC94iLAyP81MC: alice\n")
            .end()
            .unwrap_err()
            .0;
        assert!(
            complaint.starts_with("web.yml line 1: (a key): there is no such key"),
            "{complaint}"
        );
    }

    #[test]
    fn an_empty_document_has_no_keys() {
        for text in ["", "# nothing\n", "---\n", "{}"] {
            assert!(parse(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_told_by_its_line_and_never_repeated() {
        assert_eq!(
            complaint("a: 1\nb: [sesame\n\n"),
            "web.yml line 2: this is not YAML as we read it"
        );
        assert_eq!(
            complaint("a: 1\na: sesame\n"),
            "web.yml line 2: a key stands there twice"
        );
        assert_eq!(
            complaint("sesame\nsesame\n"),
            "web.yml: no keys; accepted is a mapping in YAML"
        );
    }

    #[test]
    fn a_value_of_another_kind_is_told() {
        let mut section = parse("a: [1]\nb: 1\nc: {d: 1}\n");
        assert_eq!(
            section.text("a").unwrap_err().0,
            "web.yml line 1: a: accepted is one value"
        );
        assert_eq!(
            section.list("b").unwrap_err().0,
            "web.yml line 2: b: accepted is a list"
        );
        assert!(section.list("c").is_err());
    }
}
