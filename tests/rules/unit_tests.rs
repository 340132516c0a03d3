//! Coverage of the rules by promtool unit tests.
//!
//! A unit test is named `RULE [KIND]: DESCRIPTION`, where the kind is one of [`KINDS`].

use std::collections::{BTreeMap, BTreeSet};

use crate::common::promql::{self, Expr};
use crate::rule_files::{self, Rule, UnitTest};

/// Kinds of unit tests.
const KINDS: [&str; 4] = ["fires", "silent", "trap", "value"];

/// Parses the name of a unit test into rule and kind.
fn rule_and_kind(test: &UnitTest) -> (&str, &str) {
    let (rule, rest) = test
        .name
        .split_once(" [")
        .unwrap_or_else(|| panic!("no kind in {}", test.name));
    let (kind, description) = rest
        .split_once("]: ")
        .unwrap_or_else(|| panic!("no kind in {}", test.name));
    assert!(
        KINDS.contains(&kind) && !description.is_empty(),
        "{}",
        test.name
    );
    (rule, kind)
}

#[test]
fn unit_test_evaluates_the_rule_in_its_name() {
    let names: BTreeSet<_> = rule_files::rules()
        .iter()
        .map(|rule| rule.name().to_owned())
        .collect();
    for test in rule_files::unit_tests() {
        let (rule, kind) = rule_and_kind(&test);
        assert!(names.contains(rule), "unknown rule in {}", test.name);
        let checks_alert = test.alerts.iter().any(|alert| alert.alertname == rule);
        let checks_value = test.values.iter().any(|value| value.expr.contains(rule));
        assert!(
            if kind == "value" {
                checks_value
            } else {
                checks_alert
            },
            "the test does not evaluate its rule: {}",
            test.name
        );
    }
}

#[test]
fn alert_has_fires_silent_and_trap_tests() {
    let unit_tests = rule_files::unit_tests();
    for alert in rule_files::alerts() {
        for kind in ["fires", "silent", "trap"] {
            let found = unit_tests
                .iter()
                .any(|test| rule_and_kind(test) == (alert.name(), kind));
            assert!(found, "no test [{kind}] of {}", alert.name());
        }
        let fires = unit_tests
            .iter()
            .filter(|test| rule_and_kind(test) == (alert.name(), "fires"));
        assert!(
            fires
                .flat_map(severities)
                .any(|severity| severity == alert.severity()),
            "{alert:?}"
        );
    }
}

/// Returns the severities that a unit test expects of the alert in its name.
fn severities(test: &UnitTest) -> Vec<&str> {
    let own = test
        .alerts
        .iter()
        .filter(|alert| alert.alertname == rule_and_kind(test).0);
    own.flat_map(|alert| &alert.expected)
        .filter_map(|alert| alert.labels.get("severity"))
        .map(String::as_str)
        .collect()
}

#[test]
fn silent_test_expects_fewer_alerts_than_severities() {
    let alerts = rule_files::alerts();
    for test in rule_files::unit_tests()
        .iter()
        .filter(|test| rule_and_kind(test).1 == "silent")
    {
        let rule = rule_and_kind(test).0;
        let severities = alerts.iter().filter(|alert| alert.name() == rule).count();
        let is_silent = test
            .alerts
            .iter()
            .any(|alert| alert.alertname == rule && alert.expected.len() < severities);
        assert!(is_silent, "the alert always fires: {}", test.name);
    }
}

/// promtool compares complete label sets, so the expected labels are the labels of the recorded series.
#[test]
fn record_value_test_has_the_labels_of_its_name() {
    let mut labels_by_record: BTreeMap<String, BTreeSet<BTreeSet<String>>> = BTreeMap::new();
    for test in rule_files::unit_tests()
        .iter()
        .filter(|test| rule_and_kind(test).1 == "value")
    {
        for sample in test.values.iter().flat_map(|value| &value.samples) {
            if let Some((name, labels)) = parse_series(&sample.labels) {
                labels_by_record.entry(name).or_default().insert(labels);
            }
        }
    }
    for record in rule_files::records() {
        let level = record
            .name()
            .split(':')
            .next()
            .unwrap()
            .split('_')
            .map(str::to_owned)
            .collect();
        assert_eq!(
            labels_by_record.get(record.name()),
            Some(&BTreeSet::from([level])),
            "{}",
            record.name()
        );
    }
}

/// Parses a series into its name and label names; returns `None` if the text has no metric name.
fn parse_series(text: &str) -> Option<(String, BTreeSet<String>)> {
    let Ok(expr @ Expr::VectorSelector(_)) = promql::parse(text) else {
        return None;
    };
    let selector = promql::selectors(&expr).pop()?;
    Some((
        selector.metric,
        selector
            .matchers
            .into_iter()
            .map(|matcher| matcher.label)
            .collect(),
    ))
}

/// A record can have several rules that differ in a label, such as the week; each needs its own sample.
#[test]
fn rule_with_own_label_has_an_expected_sample() {
    let samples: Vec<_> = rule_files::unit_tests()
        .into_iter()
        .flat_map(|test| test.values)
        .flat_map(|value| value.samples)
        .collect();
    let is_expected = |record: &Rule, label: &str, value: &str| {
        let wanted = format!("{label}=\"{value}\"");
        samples.iter().any(|sample| {
            sample.labels.starts_with(record.name()) && sample.labels.contains(&wanted)
        })
    };
    for record in rule_files::records() {
        for (label, value) in &record.labels {
            assert!(
                is_expected(&record, label, value),
                "{} of {label} {value}",
                record.name()
            );
        }
    }
}
