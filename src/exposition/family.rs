//! Metric families, made for one scrape.
//!
//! Owns: putting samples into families, one family a name, in the order of names. They are built straight from their
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

    /// Families that were made elsewhere join those of their name.
    pub fn merge(&mut self, families: Vec<MetricFamily>) {
        for mut family in families {
            match self.0.entry(family.name().to_owned()) {
                Entry::Vacant(place) => drop(place.insert(family)),
                Entry::Occupied(mut present) => present.get_mut().mut_metric().extend(family.take_metric()),
            }
        }
    }

    /// The text, family by family.
    pub fn into_text(self) -> prometheus::Result<String> {
        let families: Vec<_> = self.0.into_values().collect();
        TextEncoder::new().encode_to_string(&families)
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

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
