//! Which series an exposition has, and with which labels: the text of `/metrics` as a reader of names sees it.
//!
//! Knows names alone; what the samples should be is for `truth` to say.

use std::collections::{BTreeMap, BTreeSet};

/// The series of an exposition by name, as Prometheus keeps them: a histogram is `_bucket`, `_sum` and `_count`.
pub struct Exposition {
    labels: BTreeMap<String, BTreeSet<String>>,
    kinds: BTreeMap<String, String>,
}

impl Exposition {
    pub fn read(text: &str) -> Self {
        let kinds = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let kinds = kinds
            .map(|(family, kind)| (family.to_owned(), kind.to_owned()))
            .collect();
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let (series, named) = sample(line);
            labels.entry(series.to_owned()).or_default().extend(named);
        }
        Self { labels, kinds }
    }

    /// The names of the series.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }

    /// The labels that series of this name have; `None` if there is no such series.
    pub fn labels(&self, series: &str) -> Option<&BTreeSet<String>> {
        self.labels.get(series)
    }

    /// The families, and whether each is a gauge, a counter or a histogram.
    pub fn kinds(&self) -> &BTreeMap<String, String> {
        &self.kinds
    }
}

/// The name of a sample and those of its labels.
fn sample(line: &str) -> (&str, Vec<String>) {
    let name = line.split(['{', ' ']).next().unwrap();
    let mut names = Vec::new();
    let mut rest = line[name.len()..].strip_prefix('{').unwrap_or_default();
    while let Some((label, value)) = rest.split_once("=\"") {
        names.push(label.trim_start_matches(',').to_owned());
        rest = &value[end_of_value(value)..];
    }
    (name, names)
}

/// Where a quoted value is over, its quote included.
fn end_of_value(value: &str) -> usize {
    let mut escaped = false;
    let end = value.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.expect("a value has an end") + 1
}
