//! Metric families, made for one scrape.
//!
//! Owns: putting samples into families, one family a name, in the order of names; and their text. They are built straight from their
//! values: a registry of gauges would keep what is gone, and hash what is already grouped.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A family's name, help and type.
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricType,
}

impl Family {
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        let kind = MetricType::GAUGE;
        Self { name, help, kind }
    }

    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        let kind = MetricType::COUNTER;
        Self { name, help, kind }
    }
}

/// Families by name.
#[derive(Default)]
pub struct Families(BTreeMap<String, MetricFamily>);

impl Families {
    /// One sample.
    pub fn add(&mut self, family: &Family, labels: &[(&str, &str)], value: f64) {
        let mut metric = Metric::from_label(labels.iter().map(|(name, value)| label(name, value)).collect());
        if family.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.family(family).mut_metric().push(metric);
    }

    /// Families that were made elsewhere, in the order of their labels: instruments keep none.
    pub fn take_in(&mut self, families: Vec<MetricFamily>) {
        for mut family in families {
            family.mut_metric().sort_by_cached_key(|metric| {
                let values = metric.get_label().iter().map(LabelPair::value);
                values.map(str::to_owned).collect::<Vec<_>>()
            });
            self.0.insert(family.name().to_owned(), family);
        }
    }

    fn family(&mut self, family: &Family) -> &mut MetricFamily {
        if !self.0.contains_key(family.name) {
            let mut made = MetricFamily::default();
            made.set_name(family.name.to_owned());
            made.set_help(family.help.to_owned());
            made.set_field_type(family.kind);
            self.0.insert(family.name.to_owned(), made);
        }
        self.0.entry(family.name.to_owned()).or_default()
    }
}

/// The text of families, to which accounts add one after the other: the samples of fifty accounts are far smaller as
/// text than as families.
#[derive(Default)]
pub struct Text(BTreeMap<String, String>);

impl Text {
    /// Adds samples. A family that is there already has its name, help and type, and no family may have them twice.
    pub fn add(&mut self, families: Families) -> prometheus::Result<()> {
        for (name, family) in families.0 {
            match self.0.entry(name) {
                Entry::Vacant(place) => {
                    TextEncoder::new().encode_utf8(&[family], place.insert(String::new()))?;
                }
                Entry::Occupied(mut present) => {
                    let text = TextEncoder::new().encode_to_string(&[family])?;
                    present.get_mut().push_str(samples(&text));
                }
            }
        }
        Ok(())
    }

    /// The whole, family by family.
    pub fn whole(self) -> String {
        let mut whole = String::with_capacity(self.0.values().map(String::len).sum());
        for text in self.0.into_values() {
            whole.push_str(&text);
        }
        whole
    }
}

/// What follows a family's lines of help and type.
fn samples(family: &str) -> &str {
    family.splitn(3, '\n').last().unwrap_or_default()
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
