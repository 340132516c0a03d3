//! The text format 0.0.4, read strictly.
//!
//! Owns: what Prometheus would refuse, and what it would take and we never want: a family in two places, a sample
//! before its type, an escape that none knows, a control character, a label twice.

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
    family: String,
    kind: String,
    is_open: bool,
}

impl Exposition {
    /// Reads a text, or says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut exposition = Self::default();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        for line in text.split_terminator('\n') {
            exposition
                .line(line)
                .map_err(|why| format!("{why}: {line:?}"))?;
        }
        Ok(exposition)
    }

    /// The samples of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }

    /// The sum of the samples of this name.
    pub fn sum(&self, name: &str) -> f64 {
        self.named(name).map(|sample| sample.value).sum()
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.contains(char::is_control) {
            return Err("a control character");
        }
        match (line.strip_prefix("# HELP "), line.strip_prefix("# TYPE ")) {
            (Some(help), _) => self.help(help),
            (_, Some(kind)) => self.kind(kind),
            _ => self.sample(line),
        }
    }

    fn help(&mut self, rest: &str) -> Result<(), &'static str> {
        let (name, help) = rest.split_once(' ').ok_or("no help")?;
        unescaped(help, "\\n")?;
        if !is_name(name) || !self.families.insert(name.to_owned()) {
            return Err("no name, or a family that was there before");
        }
        (self.family, self.kind, self.is_open) = (name.to_owned(), String::new(), false);
        Ok(())
    }

    fn kind(&mut self, rest: &str) -> Result<(), &'static str> {
        let (name, kind) = rest.split_once(' ').ok_or("no type")?;
        if name != self.family || self.is_open || !["counter", "gauge", "histogram"].contains(&kind)
        {
            return Err("a type that is not its family's, comes twice, or is none");
        }
        (self.kind, self.is_open) = (kind.to_owned(), true);
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let end = line.find(['{', ' ']).ok_or("no value")?;
        let (name, rest) = line.split_at(end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let value = rest.strip_prefix(' ').and_then(number).ok_or("no value")?;
        if !self.is_open || !self.belongs(name) {
            return Err("a sample outside its family");
        }
        if !self.series.insert((name.to_owned(), labels.clone())) {
            return Err("a series twice");
        }
        self.samples.push(Sample {
            name: name.to_owned(),
            labels,
            value,
        });
        Ok(())
    }

    fn belongs(&self, name: &str) -> bool {
        match name.strip_prefix(&self.family) {
            Some("") => self.kind != "histogram",
            Some("_bucket" | "_sum" | "_count") => self.kind == "histogram",
            _ => false,
        }
    }
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), &'static str> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, value) = rest.split_once("=\"").ok_or("no label")?;
        let (value, after) = value.split_at(closing_quote(value).ok_or("a label without end")?);
        if !is_name(name) || name.contains(':') || name.starts_with("__") {
            return Err("no name of a label");
        }
        if labels
            .insert(name.to_owned(), unescaped(value, "\\n\"")?)
            .is_some()
        {
            return Err("a label twice");
        }
        match after.strip_prefix("\",") {
            Some(more) => rest = more,
            None => {
                return Ok((
                    labels,
                    after.strip_prefix("\"}").ok_or("labels without end")?,
                ));
            }
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// The text without its escapes, of which these are known.
fn unescaped(text: &str, known: &str) -> Result<String, &'static str> {
    let (mut plain, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars
                .next()
                .filter(|c| known.contains(*c))
                .ok_or("an unknown escape")?
            {
                'n' => plain.push('\n'),
                c => plain.push(c),
            },
            '"' if known.contains('"') => return Err("a bare quote"),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.e".contains(&byte);
    text.bytes()
        .all(plain)
        .then(|| text.parse::<f64>().ok())
        .flatten()
        .filter(|value| value.is_finite())
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    !name.is_empty() && name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# HELP a b\n# TYPE a gauge\n";

    #[test]
    fn a_sound_text_is_read() {
        let text = format!(
            "{HEAD}a{{b=\"x\\\"\\\\\\n,}}\",c=\"\"}} 1\na 2.5\n# HELP h \\\\\n# TYPE h histogram\nh_sum 1e3\n"
        );
        let exposition = Exposition::read(&text).unwrap();
        assert_eq!(exposition.samples[0].labels["b"], "x\"\\\n,}");
        assert_eq!(
            (exposition.sum("a"), exposition.sum("h_sum")),
            (3.5, 1000.0)
        );
    }

    #[test]
    fn what_is_not_sound_is_refused() {
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
                Exposition::read(&format!("{HEAD}{sample}")).is_err(),
                "{sample:?}"
            );
        }
    }
}
