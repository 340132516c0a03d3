//! Metric families as text, in Prometheus' text format 0.0.4 or in OpenMetrics 1.0, and their assembly to one exposition.
//!
//! A sample is written as text immediately. A registry of gauges would keep series that no longer exist, and a family of
//! values takes more time and memory than its text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use prometheus::Opts;
use prometheus::core::Collector;
use prometheus::proto::{Histogram, LabelPair, Metric};

use crate::deflate::{BLOCK_LEN, Block, Blocks};

/// The formats of an exposition. Names and values are the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus' text format 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0: also has units, and the time at which each counter was 0.
    OpenMetrics,
}

/// A value for each format.
#[derive(Debug, Default)]
pub struct PerFormat<T> {
    prometheus: T,
    open_metrics: T,
}

/// The name, help and type of a family. The help contains neither line breaks nor backslashes.
#[derive(Debug)]
pub(crate) struct FamilyDesc {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: &'static str,
}

/// The whole numbers below this have exactly one representation as `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// The length of a line besides its name and labels, for which memory is allocated: a suffix, a bound and a value.
const LINE_REST_LEN: usize = 24;
/// Spare capacity in bytes that is not worth a reallocation, and has room for a sample.
const SMALL_REST: usize = 128;
/// The units of families, which are the ends of their names.
const UNITS: [&str; 2] = ["seconds", "bytes"];

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

/// The text of metric families by name, each with its header: the lines HELP, TYPE and, in OpenMetrics, UNIT.
#[derive(Debug)]
pub(crate) struct FamilyTexts {
    format: TextFormat,
    texts: BTreeMap<&'static str, String>,
    /// Samples that follow the text of their family.
    blocks: BTreeMap<&'static str, Blocks>,
}

/// Writes the samples of one family.
pub(crate) struct FamilyWriter<'a> {
    format: TextFormat,
    desc: &'a FamilyDesc,
    text: &'a mut String,
}

/// The labels of a series as text, written once.
#[derive(Debug)]
pub(crate) struct LabelText(Box<str>);

/// The labels of a series.
pub(crate) trait Labels {
    /// Writes the labels and the space before the value.
    fn write_to(&self, text: &mut String);
}

/// The finished text of metric families, which scrapes share, ordered by name.
#[derive(Debug)]
pub(crate) struct SharedTexts(Vec<SharedText>);

#[derive(Debug)]
struct SharedText {
    name: &'static str,
    /// The header, and the samples that are not in blocks.
    text: Bytes,
    /// Length of the header.
    header_len: usize,
    blocks: Blocks,
}

/// Writes the samples of a large family into compressed blocks.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    format: TextFormat,
    text: String,
    blocks: Vec<Arc<Block>>,
}

/// An exposition in pieces that other expositions share: the families of all parts, ordered by name. Families of one
/// name become one, since no name may appear twice. Each piece is found when it is needed, so that a response to a slow
/// client takes little memory.
#[derive(Debug)]
pub(crate) struct Exposition {
    parts: Vec<Arc<SharedTexts>>,
    /// The position of what follows the current text.
    position: Position,
    /// The rest of the current text, and the blocks after it.
    text: Bytes,
    blocks: Blocks,
    block: usize,
    /// What follows the last family.
    end: &'static str,
}

/// A position in parts that are merged by name.
#[derive(Debug)]
struct Position {
    /// The number of families of each part that are before it.
    taken: Vec<usize>,
    /// The current name.
    name: &'static str,
    /// Index of the next part to search for the current name.
    part: usize,
    /// Whether the current name has its header.
    has_header: bool,
}

/// A piece of an exposition.
#[derive(Debug)]
pub(crate) enum Piece {
    /// At most [`BLOCK_LEN`] bytes.
    Text(Bytes),
    Block(Arc<Block>),
}

impl TextFormat {
    /// Returns what follows the last family.
    fn end(self) -> &'static str {
        match self {
            Self::Prometheus => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }

    /// Returns the end of the labels of a bucket with this upper bound, which has a decimal point in OpenMetrics.
    fn bucket_end(self, bound: f64) -> String {
        match self {
            Self::Prometheus => format!("le=\"{bound}\"}} "),
            Self::OpenMetrics => format!("le=\"{bound:?}\"}} "),
        }
    }
}

impl<T> PerFormat<T> {
    /// Returns the value for a format.
    pub fn get(&self, format: TextFormat) -> &T {
        match format {
            TextFormat::Prometheus => &self.prometheus,
            TextFormat::OpenMetrics => &self.open_metrics,
        }
    }

    /// Returns the value for a format, to change it.
    pub fn get_mut(&mut self, format: TextFormat) -> &mut T {
        match format {
            TextFormat::Prometheus => &mut self.prometheus,
            TextFormat::OpenMetrics => &mut self.open_metrics,
        }
    }
}

impl FamilyDesc {
    /// Returns the options of a collector for one account.
    pub(crate) fn opts(&self, account: &str) -> Opts {
        Opts::new(self.name, self.help).const_label("account", account)
    }

    /// Returns the name of the family in OpenMetrics: that of its samples without `_total`.
    fn base_name(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    /// Returns the lines before the samples.
    fn header(&self, format: TextFormat) -> String {
        let Self { name, help, kind } = *self;
        if format == TextFormat::Prometheus {
            // With room for a sample, since each scrape writes some families that have one.
            let mut header = String::with_capacity(3 * name.len() + help.len() + SMALL_REST);
            header.extend([
                "# HELP ",
                name,
                " ",
                help,
                "\n# TYPE ",
                name,
                " ",
                kind,
                "\n",
            ]);
            return header;
        }
        let (name, help) = (self.base_name(), help.replace('"', "\\\""));
        let mut header = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for unit in UNITS {
            if name.ends_with(&format!("_{unit}")) {
                header.push_str(&format!("# UNIT {name} {unit}\n"));
            }
        }
        header
    }
}

impl FamilyTexts {
    /// Creates an empty text in a format.
    pub(crate) fn new(format: TextFormat) -> Self {
        Self {
            format,
            texts: BTreeMap::new(),
            blocks: BTreeMap::new(),
        }
    }

    /// Returns the format of the text.
    pub(crate) fn format(&self) -> TextFormat {
        self.format
    }

    /// Opens a family. One that stays without samples is left out.
    pub(crate) fn open_family<'a>(&'a mut self, desc: &'a FamilyDesc) -> FamilyWriter<'a> {
        let text = self.texts.entry(desc.name).or_default();
        if text.is_empty() {
            *text = desc.header(self.format);
        }
        FamilyWriter {
            format: self.format,
            desc,
            text,
        }
    }

    /// Adds one sample of a family that has no counters.
    pub(crate) fn add_sample(&mut self, desc: &FamilyDesc, labels: &[(&str, &str)], value: f64) {
        self.open_family(desc).add_sample(labels, value);
    }

    /// Adds the samples of a family, which may be none.
    pub(crate) fn add_blocks(&mut self, desc: &FamilyDesc, blocks: Blocks) {
        self.open_family(desc);
        self.blocks.insert(desc.name, blocks);
    }

    /// Adds the counters of a collector, which were 0 at the time `created`, in Unix seconds.
    pub(crate) fn add_counters(
        &mut self,
        desc: &FamilyDesc,
        collector: &impl Collector,
        created: f64,
    ) {
        let mut family = self.open_family(desc);
        for metric in sorted_metrics(collector) {
            let value = metric.get_counter().get_value();
            family.add_counter(labels_of(&metric).as_slice(), value, created);
        }
    }

    /// Adds the histograms of a collector, which have the same buckets.
    pub(crate) fn add_histograms(&mut self, desc: &FamilyDesc, collector: &impl Collector) {
        let metrics = sorted_metrics(collector);
        let Some(first) = metrics.first() else {
            return;
        };
        let buckets = first.get_histogram().get_bucket().iter();
        let format = self.format;
        let bounds: Vec<_> = buckets
            .map(|bucket| format.bucket_end(bucket.upper_bound()))
            .collect();
        let mut family = self.open_family(desc);
        let lines = metrics.len() * (bounds.len() + 3);
        family.reserve(lines, LabelText::new(&labels_of(first)).0.len());
        for metric in &metrics {
            family.add_histogram(&labels_of(metric), metric.get_histogram(), &bounds);
        }
    }

    /// Returns the finished texts of the families that have samples, which scrapes share.
    pub(crate) fn share(mut self) -> Arc<SharedTexts> {
        let mut shared = Vec::with_capacity(self.texts.len());
        for (name, text) in self.texts {
            let blocks = self.blocks.remove(name).unwrap_or_default();
            let text = SharedText::new(name, text, blocks);
            if !text.is_empty() {
                shared.push(text);
            }
        }
        Arc::new(SharedTexts(shared))
    }
}

impl FamilyWriter<'_> {
    /// Allocates memory for this number of lines with labels of this length, so that the text is not copied in order to
    /// grow.
    fn reserve(&mut self, lines: usize, labels_len: usize) {
        let line = self.desc.name.len() + labels_len + LINE_REST_LEN;
        self.text.reserve(lines * line);
    }

    /// Allocates memory for this number of counters with labels like these.
    pub(crate) fn reserve_counters(&mut self, count: usize, labels: &LabelText) {
        let lines = match self.format {
            TextFormat::Prometheus => count,
            TextFormat::OpenMetrics => 2 * count,
        };
        self.reserve(lines, labels.0.len());
    }

    /// Adds one sample of a family that has no counters.
    pub(crate) fn add_sample(&mut self, labels: &[(&str, &str)], value: f64) {
        push_sample(self.text, self.desc.name, "", labels, value);
    }

    /// Returns what series begin with that have these labels and differ in a last one.
    pub(crate) fn series_start(&self, labels: &[(&str, &str)], last: &str) -> String {
        format!("{}=\"", start_with(self.desc.name, labels) + last)
    }

    /// Adds one sample whose series begins with `start`, see [`series_start`](Self::series_start).
    pub(crate) fn add_sample_after(&mut self, start: &str, last_value: &str, value: f64) {
        self.text.push_str(start);
        push_escaped(self.text, last_value);
        self.text.push_str("\"} ");
        push_value(self.text, value);
    }

    /// Adds a counter that was 0 at the time `created`, in Unix seconds. In OpenMetrics that time follows directly:
    /// Prometheus searches it only up to the next series.
    pub(crate) fn add_counter(
        &mut self,
        labels: &(impl Labels + ?Sized),
        value: f64,
        created: f64,
    ) {
        push_sample(self.text, self.desc.name, "", labels, value);
        if self.format == TextFormat::OpenMetrics {
            push_sample(
                self.text,
                self.desc.base_name(),
                "_created",
                labels,
                created,
            );
        }
    }

    /// Adds a histogram with these labels of the bounds.
    fn add_histogram(&mut self, labels: &[(&str, &str)], values: &Histogram, bounds: &[String]) {
        let name = self.desc.name;
        let count = values.get_sample_count() as f64;
        // What all buckets begin with is written once: most lines of an exposition are buckets.
        let start = start_with(&format!("{name}_bucket"), labels);
        for (bound, bucket) in bounds.iter().zip(values.get_bucket()) {
            self.text.push_str(&start);
            self.text.push_str(bound);
            push_value(self.text, bucket.cumulative_count() as f64);
        }
        self.text.push_str(&start);
        self.text.push_str("le=\"+Inf\"} ");
        push_value(self.text, count);
        push_sample(self.text, name, "_sum", labels, values.get_sample_sum());
        push_sample(self.text, name, "_count", labels, count);
    }
}

impl LabelText {
    /// Writes these labels.
    pub(crate) fn new(labels: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        labels.write_to(&mut text);
        Self(text.into())
    }
}

impl Labels for LabelText {
    fn write_to(&self, text: &mut String) {
        text.push_str(&self.0);
    }
}

impl Labels for [(&str, &str)] {
    fn write_to(&self, text: &mut String) {
        push_labels(text, self);
        text.push_str(if self.is_empty() { " " } else { "} " });
    }
}

impl SharedText {
    fn new(name: &'static str, mut text: String, blocks: Blocks) -> Self {
        let lines = text.split_inclusive('\n');
        let header = lines.take_while(|line| line.starts_with('#'));
        let header_len = header.map(str::len).sum();
        // Shared texts live until the next fetch, so large spare capacity is released.
        if text.capacity() > text.len() + SMALL_REST {
            text.shrink_to_fit();
        }
        Self {
            name,
            text: text.into(),
            header_len,
            blocks,
        }
    }

    /// Returns whether there are no samples.
    fn is_empty(&self) -> bool {
        self.text.len() == self.header_len && self.blocks.is_empty()
    }
}

impl BlockWriter {
    /// Creates a writer without samples.
    pub(crate) fn new(format: TextFormat) -> Self {
        Self {
            format,
            text: String::new(),
            blocks: Vec::new(),
        }
    }

    /// Adds one sample, which is not a counter.
    pub(crate) fn add_sample(&mut self, desc: &FamilyDesc, labels: &[(&str, &str)], value: f64) {
        push_sample(&mut self.text, desc.name, "", labels, value);
        self.end_full_block();
    }

    /// Adds a counter that was 0 at the time `created`, in Unix seconds.
    pub(crate) fn add_counter(
        &mut self,
        desc: &FamilyDesc,
        labels: &[(&str, &str)],
        value: f64,
        created: f64,
    ) {
        let mut family = FamilyWriter {
            format: self.format,
            desc,
            text: &mut self.text,
        };
        family.add_counter(labels, value, created);
        self.end_full_block();
    }

    /// Returns all samples.
    pub(crate) fn finish(mut self) -> Blocks {
        if !self.text.is_empty() {
            self.end_block();
        }
        self.blocks.into()
    }

    fn end_full_block(&mut self) {
        if self.text.len() >= BLOCK_LEN {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let block = Block::compress(self.text.as_bytes());
        self.blocks.push(Arc::new(block));
        self.text.clear();
    }
}

impl Exposition {
    /// Creates the exposition of these parts, which have this format.
    pub(crate) fn new(format: TextFormat, parts: Vec<Arc<SharedTexts>>) -> Self {
        Self {
            position: Position::new(&parts),
            parts,
            text: Bytes::new(),
            blocks: Blocks::default(),
            block: 0,
            end: format.end(),
        }
    }

    /// Returns the length of the text in bytes, before the first piece is taken.
    pub(crate) fn text_len(&self) -> u64 {
        let mut len = self.end.len();
        let mut position = Position::new(&self.parts);
        while let Some((family, start)) = position.take_next(&self.parts) {
            len += family.text.len() - start;
            len += family.blocks.iter().map(|it| it.text_len()).sum::<usize>();
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

    /// Moves to the next family. Returns whether there is one.
    fn advance(&mut self) -> bool {
        let Some((family, start)) = self.position.take_next(&self.parts) else {
            return false;
        };
        self.text = family.text.slice(start..);
        self.blocks = family.blocks.clone();
        self.block = 0;
        true
    }
}

impl Position {
    fn new(parts: &[Arc<SharedTexts>]) -> Self {
        Self {
            taken: vec![0; parts.len()],
            name: "",
            part: parts.len(),
            has_header: false,
        }
    }

    /// Returns the next family, of the same name in another part or of the next name, and where its text starts: only
    /// the first one of a name has a header.
    fn take_next<'a>(&mut self, parts: &'a [Arc<SharedTexts>]) -> Option<(&'a SharedText, usize)> {
        loop {
            while let Some(taken) = self.taken.get_mut(self.part) {
                let family = parts.get(self.part)?.0.get(*taken);
                self.part += 1;
                if let Some(family) = family.filter(|family| family.name == self.name) {
                    *taken += 1;
                    let has_header = mem::replace(&mut self.has_header, true);
                    return Some((family, if has_header { family.header_len } else { 0 }));
                }
            }
            let families = parts.iter().zip(&self.taken);
            let next = families.filter_map(|(part, taken)| part.0.get(*taken));
            self.name = next.map(|family| family.name).min()?;
            self.part = 0;
            self.has_header = false;
        }
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
                self.text = Bytes::from_static(mem::take(&mut self.end).as_bytes());
                if self.text.is_empty() {
                    return None;
                }
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

fn push_sample(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &(impl Labels + ?Sized),
    value: f64,
) {
    text.push_str(name);
    text.push_str(suffix);
    labels.write_to(text);
    push_value(text, value);
}

/// Returns a name and labels, up to a further label.
fn start_with(name: &str, labels: &[(&str, &str)]) -> String {
    let mut start = name.to_owned();
    push_labels(&mut start, labels);
    start.push(if labels.is_empty() { '{' } else { ',' });
    start
}

/// Writes labels, without the brace that ends them.
fn push_labels(text: &mut String, labels: &[(&str, &str)]) {
    let mut separator = '{';
    for (name, value) in labels {
        text.push(separator);
        push_label(text, name, value);
        separator = ',';
    }
}

/// Writes a value and ends the line. Most values are whole numbers, which take much less time than others.
fn push_value(text: &mut String, value: f64) {
    let whole = value as u64;
    if whole as f64 == value && value.is_sign_positive() && value < EXACT {
        text.push_str(itoa::Buffer::new().format(whole));
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "{value}");
    }
    text.push('\n');
}

/// Returns the metrics of a collector in the order of their label values, since collectors have no order.
fn sorted_metrics(collector: &impl Collector) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for mut family in collector.collect() {
        metrics.append(family.mut_metric());
    }
    metrics.sort_by(|one, other| label_values(one).cmp(label_values(other)));
    metrics
}

fn label_values(metric: &Metric) -> impl Iterator<Item = &str> {
    metric.get_label().iter().map(LabelPair::value)
}

fn labels_of(metric: &Metric) -> Vec<(&str, &str)> {
    let pairs = metric.get_label().iter();
    pairs.map(|pair| (pair.name(), pair.value())).collect()
}

fn push_label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    push_escaped(text, value);
    text.push('"');
}

fn push_escaped(text: &mut String, value: &str) {
    if value
        .bytes()
        .any(|byte| matches!(byte, b'\\' | b'"' | b'\n'))
    {
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
        text.push_str(&escaped.replace('\n', r"\n"));
    } else {
        text.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, TextEncoder};

    use super::*;

    families! {
        gauge GAUGE = "a_gauge_bytes": "Of \"this\" and that.";
        counter COUNTER = "a_counter_total": "Counted.";
        histogram HISTOGRAM = "a_histogram_seconds": "Observed.";
    }

    const VALUES: [&str; 6] = ["101", "", "a \"b\"", "\\n\n", "\\\"", "é\t"];

    fn encoded_by_library(collector: &impl Collector) -> String {
        let mut text = Vec::new();
        let mut families = collector.collect();
        for family in &mut families {
            let metrics = family.mut_metric();
            metrics.sort_by(|one, other| label_values(one).cmp(label_values(other)));
        }
        TextEncoder::new().encode(&families, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn finish(families: FamilyTexts) -> String {
        let format = families.format();
        Exposition::new(format, vec![families.share()]).into_text()
    }

    fn encoded(format: TextFormat, desc: &FamilyDesc, collector: &impl Collector) -> String {
        let mut families = FamilyTexts::new(format);
        if desc.kind == "histogram" {
            families.add_histograms(desc, collector);
        } else {
            families.add_counters(desc, collector, 1_795_514_400.123);
        }
        finish(families)
    }

    fn counters() -> IntCounterVec {
        let counters = IntCounterVec::new(COUNTER.opts("a"), &["extension"]).unwrap();
        for (count, value) in VALUES.iter().enumerate() {
            counters.with_label_values(&[value]).inc_by(count as u64);
        }
        counters
    }

    fn histograms() -> HistogramVec {
        let opts = HistogramOpts::from(HISTOGRAM.opts("a")).buckets(vec![0.05, 1.0, 7200.0]);
        let histograms = HistogramVec::new(opts, &["outcome"]).unwrap();
        for (value, seconds) in [("busy", 1.0), ("busy", 0.01), ("a", 1e6)] {
            histograms.with_label_values(&[value]).observe(seconds);
        }
        histograms
    }

    #[test]
    fn text_format_equals_library_encoding() {
        let format = TextFormat::Prometheus;
        let (counters, histograms) = (counters(), histograms());
        assert_eq!(
            encoded(format, &COUNTER, &counters),
            encoded_by_library(&counters)
        );
        assert_eq!(
            encoded(format, &HISTOGRAM, &histograms),
            encoded_by_library(&histograms)
        );
    }

    #[test]
    fn gauge_text_equals_library_encoding() {
        let opts = GAUGE.opts("a");
        let gauges = prometheus::GaugeVec::new(opts, &["extension"]).unwrap();
        let mut families = FamilyTexts::new(TextFormat::Prometheus);
        let numbers = [
            0.0,
            -1.5,
            1_795_514_400.123,
            1e21,
            1e-7,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            u64::MAX as f64,
        ];
        for (n, number) in numbers.into_iter().enumerate() {
            let value = format!("{n:02}");
            gauges.with_label_values(&[&value]).set(number);
            families.add_sample(&GAUGE, &[("account", "a"), ("extension", &value)], number);
        }
        assert_eq!(finish(families), encoded_by_library(&gauges));
    }

    #[test]
    fn family_without_samples_is_left_out() {
        for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
            let mut families = FamilyTexts::new(format);
            families.open_family(&GAUGE);
            families.add_blocks(&COUNTER, BlockWriter::new(format).finish());
            assert_eq!(finish(families), format.end());
        }
    }

    #[test]
    fn openmetrics_has_unit_created_and_canonical_bounds() {
        let format = TextFormat::OpenMetrics;
        let mut gauge = FamilyTexts::new(format);
        gauge.add_sample(&GAUGE, &[], 7.0);
        assert_eq!(
            finish(gauge),
            "# HELP a_gauge_bytes Of \\\"this\\\" and that.\n# TYPE a_gauge_bytes gauge\n\
             # UNIT a_gauge_bytes bytes\na_gauge_bytes 7\n# EOF\n"
        );
        let text = encoded(format, &COUNTER, &counters());
        let expected = "# HELP a_counter Counted.\n# TYPE a_counter counter\n\
             a_counter_total{account=\"a\",extension=\"\"} 1\n\
             a_counter_created{account=\"a\",extension=\"\"} 1795514400.123\n";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.matches("_created{").count(), VALUES.len());
        let text = encoded(format, &HISTOGRAM, &histograms());
        let bounds = text.split("le=").skip(1);
        let bounds: Vec<_> = bounds.map(|rest| rest.split('}').next().unwrap()).collect();
        let expected = ["\"0.05\"", "\"1.0\"", "\"7200.0\"", "\"+Inf\""];
        assert_eq!(bounds, [expected, expected].concat());
        assert!(!text.contains("_created"), "{text}");
    }
}
