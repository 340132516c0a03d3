//! Metric families, made for one scrape or kept for the next.
//!
//! Owns: putting samples into families, one family a name, in the order of names; and their text. A sample is written as text
//! at once: a registry of gauges would keep what is gone, and a family of values takes more time and memory to build than its
//! text does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::proto::{LabelPair, Metric, MetricFamily};

/// A family's name, help and type. The help has neither line breaks nor backslashes.
pub struct FamilyDesc {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
}

impl FamilyDesc {
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: "gauge",
        }
    }

    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: "counter",
        }
    }

    fn write_head(&self, text: &mut String) {
        let Self { name, help, kind } = self;
        // To write to memory does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// The text of families by name. Accounts add to it one after the other.
#[derive(Debug, Default)]
pub struct FamilyTexts(BTreeMap<Cow<'static, str>, String>);

/// All that a scrape is told: what is written for it, and what was written before.
#[derive(Debug, Default)]
pub struct Exposition {
    /// For this scrape.
    pub own: FamilyTexts,
    kept: Vec<Arc<FamilyTexts>>,
}

impl FamilyTexts {
    /// One sample.
    pub fn add(&mut self, family: &FamilyDesc, labels: &[(&str, &str)], value: f64) {
        let text = self.0.entry(Cow::Borrowed(family.name)).or_default();
        if text.is_empty() {
            family.write_head(text);
        }
        text.push_str(family.name);
        let mut before = '{';
        for (name, value) in labels {
            text.push(before);
            add_label(text, name, value);
            before = ',';
        }
        text.push_str(if labels.is_empty() { " " } else { "} " });
        // To write to memory does not fail.
        let _ = writeln!(text, "{value}");
    }

    /// Families that were made elsewhere, in the order of their labels: instruments keep none.
    ///
    /// # Errors
    /// When the encoder finds a family without a name or a metric.
    pub fn write(&mut self, made: Vec<MetricFamily>) -> prometheus::Result<()> {
        for mut family in made {
            family
                .mut_metric()
                .sort_by(|one, other| label_values(one).cmp(label_values(other)));
            let text = self
                .0
                .entry(Cow::Owned(family.name().to_owned()))
                .or_default();
            TextEncoder::new().encode_utf8(&[family], text)?;
        }
        Ok(())
    }

    /// Empty, in the memory of these if nobody else has them.
    pub fn anew(families: Arc<Self>) -> Self {
        let mut families = Arc::into_inner(families).unwrap_or_default();
        families.0.values_mut().for_each(String::clear);
        families
    }
}

impl Exposition {
    /// All samples of these, which are copied into the text alone.
    pub fn append(&mut self, kept: Arc<FamilyTexts>) {
        self.kept.push(kept);
    }

    /// The text, family by family.
    pub fn text(&self) -> String {
        let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, text) in self.texts().filter(|(_, text)| !text.is_empty()) {
            texts.entry(name).or_default().push(text);
        }
        let mut whole =
            String::with_capacity(texts.values().flatten().map(|text| text.len()).sum());
        for (first, others) in texts.values().filter_map(|texts| texts.split_first()) {
            whole.push_str(first);
            others.iter().for_each(|text| whole.push_str(samples(text)));
        }
        whole
    }

    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.kept.iter().map(Arc::as_ref).chain([&self.own]);
        all.flat_map(|families| {
            families
                .0
                .iter()
                .map(|(name, text)| (name.as_ref(), text.as_str()))
        })
    }
}

fn label_values(metric: &Metric) -> impl Iterator<Item = &str> {
    metric.get_label().iter().map(LabelPair::value)
}

fn add_label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    if value.contains(['\\', '"', '\n']) {
        text.push_str(
            &value
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n"),
        );
    } else {
        text.push_str(value);
    }
    text.push('"');
}

/// What follows a family's lines of help and type, which no family may have twice.
fn samples(family: &str) -> &str {
    family.splitn(3, '\n').last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prometheus::proto::{Gauge, MetricType};

    use super::*;

    const FAMILY: FamilyDesc = FamilyDesc::gauge("a_family", "Of \"this\" and that.");

    /// The same sample, as the library writes it.
    fn by_the_library(labels: &[(&str, &str)], value: f64) -> String {
        let pair = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut metric = Metric::from_label(labels.iter().map(pair).collect());
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
        let mut family = MetricFamily::default();
        family.set_name(FAMILY.name.to_owned());
        family.set_help(FAMILY.help.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.mut_metric().push(metric);
        TextEncoder::new().encode_to_string(&[family]).unwrap()
    }

    fn text(own: FamilyTexts) -> String {
        Exposition {
            own,
            ..Exposition::default()
        }
        .text()
    }

    #[test]
    fn a_sample_is_written_as_the_library_writes_it() {
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
                let mut families = FamilyTexts::default();
                families.add(&FAMILY, &labels, number);
                assert_eq!(text(families), by_the_library(&labels, number));
            }
        }
        let mut families = FamilyTexts::default();
        families.add(&FAMILY, &[], 7.0);
        assert_eq!(text(families), by_the_library(&[], 7.0));
    }
}
