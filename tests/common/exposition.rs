//! The names in an exposition: its series, their labels and the types of the families. Values are
//! not parsed.

use std::collections::{BTreeMap, BTreeSet};

/// The series names of an exposition as Prometheus stores them: a histogram is `_bucket`, `_sum`
/// and `_count`.
pub struct Exposition {
    labels: BTreeMap<String, BTreeSet<String>>,
    types: BTreeMap<String, String>,
}

impl Exposition {
    /// Parses the text of `/metrics`.
    pub fn parse(text: &str) -> Self {
        let mut types = BTreeMap::new();
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines() {
            if let Some(declaration) = line.strip_prefix("# TYPE ") {
                let (family, kind) = declaration.split_once(' ').unwrap();
                types.insert(family.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (series, label_names) = parse_names(line);
                labels
                    .entry(series.to_owned())
                    .or_default()
                    .extend(label_names);
            }
        }
        Self { labels, types }
    }

    /// Returns the names of the series.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }

    /// Returns the label names of the series with this name, or `None` if there is no such series.
    pub fn labels(&self, series: &str) -> Option<&BTreeSet<String>> {
        self.labels.get(series)
    }

    /// Returns the type of each family: `gauge`, `counter` or `histogram`.
    pub fn types(&self) -> &BTreeMap<String, String> {
        &self.types
    }
}

/// Returns the name of a sample and the names of its labels.
fn parse_names(line: &str) -> (&str, Vec<String>) {
    let name = line.split(['{', ' ']).next().unwrap();
    let mut labels = Vec::new();
    let mut rest = line[name.len()..].strip_prefix('{').unwrap_or_default();
    while let Some((label, value)) = rest.split_once("=\"") {
        labels.push(label.trim_start_matches(',').to_owned());
        rest = &value[quoted_len(value)..];
    }
    (name, labels)
}

/// Returns the length of a quoted value, with its closing quote.
fn quoted_len(value: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in value.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return index + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    panic!("unterminated label value: {value}");
}
