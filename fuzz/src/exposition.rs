//! A strict parser of the text format 0.0.4.
//!
//! It also rejects what Prometheus accepts and the exporter must never write: a family in two
//! places, a sample before its type, an unknown escape, a control character, a label twice, a value
//! that is not finite.

use std::collections::{BTreeMap, HashSet};

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A whole exposition.
#[derive(Debug, Default)]
pub struct Exposition {
    pub samples: Vec<Sample>,
    families: HashSet<String>,
    series: HashSet<(String, BTreeMap<String, String>)>,
    /// Name of the current family.
    family: String,
    /// Type of the current family, `None` before its `# TYPE` line.
    kind: Option<String>,
}

type ParseResult<T> = Result<T, &'static str>;

impl Exposition {
    /// Parses a text.
    ///
    /// # Errors
    /// Returns an error with the first invalid line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut exposition = Self::default();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line has no newline".to_owned());
        }
        for line in text.split_terminator('\n') {
            exposition
                .parse_line(line)
                .map_err(|error| format!("{error}: {line:?}"))?;
        }
        Ok(exposition)
    }

    /// Returns the samples of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }

    /// Returns the sum of the samples of this name.
    pub fn sum(&self, name: &str) -> f64 {
        self.named(name).map(|sample| sample.value).sum()
    }

    /// Returns the distinct values of a label, in all families.
    pub fn label_values(&self, label: &str) -> HashSet<&str> {
        let mut values = HashSet::new();
        for sample in &self.samples {
            if let Some(value) = sample.labels.get(label) {
                values.insert(value.as_str());
            }
        }
        values
    }

    fn parse_line(&mut self, line: &str) -> ParseResult<()> {
        if line.contains(char::is_control) {
            return Err("a control character");
        }
        if let Some(help) = line.strip_prefix("# HELP ") {
            self.parse_help(help)
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            self.parse_type(kind)
        } else {
            self.parse_sample(line)
        }
    }

    fn parse_help(&mut self, rest: &str) -> ParseResult<()> {
        let (name, help) = rest.split_once(' ').ok_or("missing help")?;
        unescape(help, "\\n")?;
        if !is_name(name) {
            return Err("an invalid family name");
        }
        if !self.families.insert(name.to_owned()) {
            return Err("a repeated family");
        }
        self.family = name.to_owned();
        self.kind = None;
        Ok(())
    }

    fn parse_type(&mut self, rest: &str) -> ParseResult<()> {
        let (name, kind) = rest.split_once(' ').ok_or("missing type")?;
        if name != self.family || self.kind.is_some() {
            return Err("a repeated type, or that of another family");
        }
        if !["counter", "gauge", "histogram"].contains(&kind) {
            return Err("an unknown type");
        }
        self.kind = Some(kind.to_owned());
        Ok(())
    }

    fn parse_sample(&mut self, line: &str) -> ParseResult<()> {
        let end = line.find(['{', ' ']).ok_or("missing value")?;
        let (name, rest) = line.split_at(end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let value = parse_value(rest.strip_prefix(' ').ok_or("missing value")?)?;
        if !self.is_in_family(name) {
            return Err("a sample outside its family");
        }
        if !self.series.insert((name.to_owned(), labels.clone())) {
            return Err("a repeated series");
        }
        self.samples.push(Sample {
            name: name.to_owned(),
            labels,
            value,
        });
        Ok(())
    }

    /// Returns whether a sample of this name belongs to the current family.
    fn is_in_family(&self, name: &str) -> bool {
        let Some(kind) = &self.kind else {
            return false;
        };
        match name.strip_prefix(&self.family) {
            Some("") => kind != "histogram",
            Some("_bucket" | "_sum" | "_count") => kind == "histogram",
            _ => false,
        }
    }
}

/// Parses the labels up to the closing brace, and returns them with the text after it.
fn parse_labels(mut rest: &str) -> ParseResult<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, value) = rest.split_once("=\"").ok_or("missing label")?;
        let end = closing_quote(value).ok_or("an unterminated label")?;
        let (value, after) = value.split_at(end);
        if !is_name(name) || name.contains(':') || name.starts_with("__") {
            return Err("an invalid label name");
        }
        let value = unescape(value, "\\n\"")?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err("a repeated label");
        }
        match after.strip_prefix("\",") {
            Some(more) => rest = more,
            None => {
                let after = after.strip_prefix("\"}").ok_or("unterminated labels")?;
                return Ok((labels, after));
            }
        }
    }
}

/// Returns the position of the first quote that is not escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Returns the text without its escapes; `known` are the characters that may follow a backslash.
fn unescape(text: &str, known: &str) -> ParseResult<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some(c) if known.contains(c) => plain.push(c),
                _ => return Err("an unknown escape"),
            },
            '"' if known.contains('"') => return Err("an unescaped quote"),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

fn parse_value(text: &str) -> ParseResult<f64> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.e".contains(&byte);
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && text.bytes().all(is_plain) => Ok(value),
        _ => Err("an invalid value"),
    }
}

fn is_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_valid)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# HELP a b\n# TYPE a gauge\n";

    #[test]
    fn valid_exposition_is_parsed() {
        let text = format!(
            "{HEADER}a{{b=\"x\\\"\\\\\\n,}}\",c=\"\"}} 1\na 2.5\n# HELP h \\\\\n# TYPE h histogram\nh_sum 1e3\n"
        );
        let exposition = Exposition::parse(&text).unwrap();
        assert_eq!(exposition.samples[0].labels["b"], "x\"\\\n,}");
        assert_eq!(exposition.sum("a"), 3.5);
        assert_eq!(exposition.sum("h_sum"), 1000.0);
    }

    #[test]
    fn invalid_exposition_is_rejected() {
        let samples = [
            "a 1",
            "a\n",
            "\n",
            "a NaN\n",
            "a 1 5\n",
            "a{} 1\n",
            "b 1\n",
            "a{b=\"\\t\"} 1\n",
            "a{b=\"\t\"} 1\n",
            "a{b=\"1\",b=\"2\"} 1\n",
            "a{__b=\"1\"} 1\n",
            "a{b=\"1\"} 1\na{b=\"1\"} 2\n",
            "a_sum 1\n",
            "a{b=\"1} 1\n",
            "# TYPE a gauge\na 1\n",
            "# HELP a b\n# TYPE a gauge\na 1\n",
            "# HELP c d\nc 1\n",
            "a{1=\"1\"} 1\n",
        ];
        for sample in samples {
            assert!(
                Exposition::parse(&format!("{HEADER}{sample}")).is_err(),
                "{sample:?}"
            );
        }
    }
}
