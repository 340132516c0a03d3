//! Prometheus text format 0.0.4: metric families as text, and their assembly to one exposition.
//!
//! A sample is written as text immediately. A registry of gauges would keep series that no longer exist, and a family of
//! values takes more time and memory than its text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use prometheus::proto::{LabelPair, Metric, MetricFamily};
use prometheus::{Opts, TextEncoder};

use crate::deflate::{BLOCK_LEN, Block, Blocks};

/// The name, help and type of a family. The help contains neither line breaks nor backslashes.
#[derive(Debug)]
pub(crate) struct FamilyDesc {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: &'static str,
}

/// Defines constants of the type [`FamilyDesc`] from a table of types, names and helps.
macro_rules! families {
    ($($kind:ident $constant:ident = $name:literal: $help:literal;)*) => {
        $(const $constant: $crate::text_format::FamilyDesc = $crate::text_format::FamilyDesc {
            name: $name,
            help: $help,
            kind: stringify!($kind),
        };)*
    };
}
pub(crate) use families;

/// The text of metric families by name, each with its lines HELP and TYPE.
#[derive(Debug, Default)]
pub(crate) struct FamilyTexts {
    texts: BTreeMap<Cow<'static, str>, String>,
    /// Samples that follow the text of their family.
    blocks: BTreeMap<&'static str, Blocks>,
}

/// The finished text of metric families, which scrapes share.
#[derive(Debug)]
pub(crate) struct SharedTexts(BTreeMap<Cow<'static, str>, SharedText>);

#[derive(Debug)]
struct SharedText {
    /// The lines HELP and TYPE, and the samples that are not in blocks.
    text: Bytes,
    /// Length of the lines HELP and TYPE.
    header_len: usize,
    blocks: Blocks,
}

/// Writes the samples of a large family into compressed blocks.
#[derive(Debug, Default)]
pub(crate) struct BlockWriter {
    text: String,
    blocks: Vec<Arc<Block>>,
}

/// An exposition in pieces that other expositions share: the families of all parts, ordered by name. Families of one
/// name become one, since no name may appear twice. Each piece is found when it is needed, so that a response to a slow
/// client takes little memory.
#[derive(Debug)]
pub(crate) struct Exposition {
    parts: Vec<Arc<SharedTexts>>,
    names: Vec<Cow<'static, str>>,
    /// Index of the current name.
    name: usize,
    /// Index of the next part to search for the current name.
    part: usize,
    /// Whether the current family has its lines HELP and TYPE.
    has_header: bool,
    /// The rest of the current text, and the blocks after it.
    text: Bytes,
    blocks: Blocks,
    block: usize,
}

/// A piece of an exposition.
#[derive(Debug)]
pub(crate) enum Piece {
    /// At most [`BLOCK_LEN`] bytes.
    Text(Bytes),
    Block(Arc<Block>),
}

impl FamilyDesc {
    /// Returns the options of a collector for one account.
    pub(crate) fn opts(&self, account: &str) -> Opts {
        Opts::new(self.name, self.help).const_label("account", account)
    }
}

impl FamilyTexts {
    /// Adds one sample to its family.
    pub(crate) fn add_sample(&mut self, desc: &FamilyDesc, labels: &[(&str, &str)], value: f64) {
        push_sample(self.text_of(desc), desc.name, labels, value);
    }

    /// Adds the samples of a family, unless there are none.
    pub(crate) fn add_blocks(&mut self, desc: &FamilyDesc, blocks: Blocks) {
        if !blocks.is_empty() {
            self.text_of(desc);
            self.blocks.insert(desc.name, blocks);
        }
    }

    /// Returns the text of a family, which begins with the lines HELP and TYPE.
    fn text_of(&mut self, desc: &FamilyDesc) -> &mut String {
        let FamilyDesc { name, help, kind } = *desc;
        let text = self.texts.entry(Cow::Borrowed(name)).or_default();
        if text.is_empty() {
            *text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
        text
    }

    /// Encodes collected families, with samples in the order of their label values, since collectors have no order.
    ///
    /// # Errors
    /// Returns an error if a family has no name or no sample.
    pub(crate) fn encode(&mut self, families: Vec<MetricFamily>) -> prometheus::Result<()> {
        for mut family in families {
            family
                .mut_metric()
                .sort_by(|one, other| label_values(one).cmp(label_values(other)));
            let name = family.name().to_owned();
            let text = TextEncoder::new().encode_to_string(&[family])?;
            self.texts.insert(Cow::Owned(name), text);
        }
        Ok(())
    }

    /// Returns the finished texts, which scrapes share.
    pub(crate) fn share(mut self) -> Arc<SharedTexts> {
        let mut shared = BTreeMap::new();
        for (name, text) in self.texts {
            let blocks = self.blocks.remove(&*name).unwrap_or_default();
            shared.insert(name, SharedText::new(text, blocks));
        }
        Arc::new(SharedTexts(shared))
    }
}

impl SharedText {
    fn new(text: String, blocks: Blocks) -> Self {
        let header: usize = text.split_inclusive('\n').take(2).map(str::len).sum();
        Self {
            // Without the capacity that is left, since the text is kept.
            text: text.into_bytes().into_boxed_slice().into(),
            header_len: header,
            blocks,
        }
    }
}

impl BlockWriter {
    /// Adds one sample.
    pub(crate) fn add_sample(&mut self, desc: &FamilyDesc, labels: &[(&str, &str)], value: f64) {
        push_sample(&mut self.text, desc.name, labels, value);
        if self.text.len() >= BLOCK_LEN {
            self.end_block();
        }
    }

    /// Returns all samples.
    pub(crate) fn finish(mut self) -> Blocks {
        if !self.text.is_empty() {
            self.end_block();
        }
        self.blocks.into()
    }

    fn end_block(&mut self) {
        let block = Block::compress(self.text.as_bytes());
        self.blocks.push(Arc::new(block));
        self.text.clear();
    }
}

impl Exposition {
    /// Creates the exposition of these parts.
    pub(crate) fn new(parts: Vec<Arc<SharedTexts>>) -> Self {
        let names: BTreeSet<_> = parts.iter().flat_map(|part| part.0.keys()).collect();
        Self {
            names: names.into_iter().cloned().collect(),
            parts,
            name: 0,
            part: 0,
            has_header: false,
            text: Bytes::new(),
            blocks: Blocks::default(),
            block: 0,
        }
    }

    /// Returns the length of the text in bytes, before the first piece is taken.
    pub(crate) fn text_len(&self) -> u64 {
        let mut len = 0;
        for name in &self.names {
            let mut has_header = false;
            for family in self.parts.iter().filter_map(|part| part.0.get(name)) {
                len += family.text.len();
                if has_header {
                    len -= family.header_len;
                }
                has_header = true;
                len += family.blocks.iter().map(|it| it.text_len()).sum::<usize>();
            }
        }
        len as u64
    }

    /// Returns the whole text.
    pub(crate) fn into_text(self) -> String {
        let mut text = Vec::with_capacity(self.text_len() as usize);
        for piece in self {
            text.extend_from_slice(&piece.into_text());
        }
        // Valid, since only the pieces are split at any byte.
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Moves to the next family, of the same name in another part or of the next name. Returns whether there is one.
    fn advance(&mut self) -> bool {
        while let Some(name) = self.names.get(self.name) {
            let Some(part) = self.parts.get(self.part) else {
                self.name += 1;
                self.part = 0;
                self.has_header = false;
                continue;
            };
            self.part += 1;
            if let Some(family) = part.0.get(name) {
                let start = if self.has_header {
                    family.header_len
                } else {
                    0
                };
                self.has_header = true;
                self.text = family.text.slice(start..);
                self.blocks = family.blocks.clone();
                self.block = 0;
                return true;
            }
        }
        false
    }
}

impl Iterator for Exposition {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            if !self.text.is_empty() {
                let len = self.text.len().min(BLOCK_LEN);
                return Some(Piece::Text(self.text.split_to(len)));
            }
            if let Some(block) = self.blocks.get(self.block) {
                self.block += 1;
                return Some(Piece::Block(block.clone()));
            }
            if !self.advance() {
                return None;
            }
        }
    }
}

impl Piece {
    /// Returns the text, decompressed if necessary.
    pub(crate) fn into_text(self) -> Bytes {
        match self {
            Self::Text(text) => text,
            Self::Block(block) => block.decompress(),
        }
    }
}

fn push_sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    text.push_str(name);
    let mut separator = '{';
    for (name, value) in labels {
        text.push(separator);
        push_label(text, name, value);
        separator = ',';
    }
    text.push_str(if labels.is_empty() { " " } else { "} " });
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{value}");
}

fn label_values(metric: &Metric) -> impl Iterator<Item = &str> {
    metric.get_label().iter().map(LabelPair::value)
}

fn push_label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    if value.contains(['\\', '"', '\n']) {
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
        text.push_str(&escaped.replace('\n', r"\n"));
    } else {
        text.push_str(value);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use prometheus::proto::{Gauge, MetricType};

    use super::*;

    families! {
        gauge DESC = "a_family": "Of \"this\" and that.";
    }

    /// Encodes the same sample with the library.
    fn encoded_by_library(labels: &[(&str, &str)], value: f64) -> String {
        let mut pairs = Vec::new();
        for (name, value) in labels {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pairs.push(pair);
        }
        let mut metric = Metric::from_label(pairs);
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
        let mut family = MetricFamily::default();
        family.set_name(DESC.name.to_owned());
        family.set_help(DESC.help.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.mut_metric().push(metric);
        TextEncoder::new().encode_to_string(&[family]).unwrap()
    }

    fn encoded(labels: &[(&str, &str)], value: f64) -> String {
        let mut families = FamilyTexts::default();
        families.add_sample(&DESC, labels, value);
        Exposition::new(vec![families.share()]).into_text()
    }

    #[test]
    fn sample_text_equals_library_encoding() {
        for value in ["101", "", "a \"b\"", "\\n\n", "\\\"", "é\t"] {
            for number in [
                0.0,
                1.0,
                -1.5,
                1_795_514_400.123,
                1e21,
                1e-7,
                f64::NAN,
                f64::INFINITY,
            ] {
                let labels = [("account", "default"), ("extension", value)];
                assert_eq!(
                    encoded(&labels, number),
                    encoded_by_library(&labels, number)
                );
            }
        }
        assert_eq!(encoded(&[], 7.0), encoded_by_library(&[], 7.0));
    }
}
