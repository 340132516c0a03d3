//! Prometheus text format 0.0.4: metric families as text, and their assembly to one exposition.
//!
//! A sample is written as text immediately. A registry of gauges would keep series that no longer exist, and a family of
//! values takes more time and memory than its text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use prometheus::proto::{LabelPair, Metric, MetricFamily};
use prometheus::{Opts, TextEncoder};

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
pub(crate) struct FamilyTexts(BTreeMap<Cow<'static, str>, String>);

impl FamilyDesc {
    /// Returns the options of a collector for one account.
    pub(crate) fn opts(&self, account: &str) -> Opts {
        Opts::new(self.name, self.help).const_label("account", account)
    }
}

impl FamilyTexts {
    /// Adds one sample to its family.
    pub(crate) fn add_sample(&mut self, desc: &FamilyDesc, labels: &[(&str, &str)], value: f64) {
        let FamilyDesc { name, help, kind } = *desc;
        let text = self.0.entry(Cow::Borrowed(name)).or_default();
        if text.is_empty() {
            *text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
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
            self.0.insert(Cow::Owned(name), text);
        }
        Ok(())
    }
}

/// Returns the families of all parts, ordered by name. Families of one name become one, since no name may appear twice.
pub(crate) fn merge(parts: &[&FamilyTexts]) -> String {
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut len = 0;
    for part in parts {
        for (name, text) in &part.0 {
            len += text.len();
            families.entry(name).or_default().push(text);
        }
    }
    let mut merged = String::with_capacity(len);
    for texts in families.values() {
        for (index, text) in texts.iter().enumerate() {
            let samples = text.splitn(3, '\n').nth(2).unwrap_or_default();
            merged.push_str(if index == 0 { text } else { samples });
        }
    }
    merged
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
        merge(&[&families])
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
