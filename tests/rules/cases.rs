//! Each rule has its unit tests. The name of a block says which rule it tests, and how.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::promql::{self, Expr};
use crate::shipped::{self, Case, Rule};

const KINDS: [&str; 4] = ["fires", "silent", "trap", "value"];

/// The rule and the kind that the name of a block tells.
fn told(case: &Case) -> (&str, &str) {
    let (rule, rest) = case
        .name
        .split_once(" [")
        .unwrap_or_else(|| panic!("no kind: {}", case.name));
    let (kind, what) = rest
        .split_once("]: ")
        .unwrap_or_else(|| panic!("no kind: {}", case.name));
    assert!(KINDS.contains(&kind) && !what.is_empty(), "{}", case.name);
    (rule, kind)
}

#[test]
fn each_block_names_a_rule_and_asks_about_it() {
    let names: BTreeSet<_> = shipped::rules()
        .iter()
        .map(|rule| rule.name().to_owned())
        .collect();
    for case in shipped::cases() {
        let (rule, kind) = told(&case);
        assert!(names.contains(rule), "no such rule: {}", case.name);
        let asked = case.alerts.iter().any(|alert| alert.alertname == rule);
        let evaluated = case.values.iter().any(|value| value.expr.contains(rule));
        assert!(
            if kind == "value" { evaluated } else { asked },
            "it does not ask about it: {}",
            case.name
        );
    }
}

#[test]
fn each_alert_is_seen_to_fire_to_be_silent_and_to_avoid_a_trap() {
    let cases = shipped::cases();
    for alert in shipped::alerts() {
        for kind in ["fires", "silent", "trap"] {
            let found = cases.iter().any(|case| told(case) == (alert.name(), kind));
            assert!(found, "no block [{kind}] of {}", alert.name());
        }
        let fires = cases
            .iter()
            .filter(|case| told(case) == (alert.name(), "fires"));
        assert!(
            fires
                .flat_map(severities)
                .any(|severity| severity == alert.severity()),
            "{alert:?}"
        );
    }
}

/// The severities of the alerts that a block expects under its own name.
fn severities(case: &Case) -> Vec<&str> {
    let own = case
        .alerts
        .iter()
        .filter(|alert| alert.alertname == told(case).0);
    own.flat_map(|alert| &alert.expected)
        .filter_map(|one| one.labels.get("severity"))
        .map(String::as_str)
        .collect()
}

#[test]
fn a_silent_block_expects_its_alert_to_be_absent_or_one_of_two_severities() {
    let alerts = shipped::alerts();
    for case in shipped::cases()
        .iter()
        .filter(|case| told(case).1 == "silent")
    {
        let rule = told(case).0;
        let severities = alerts.iter().filter(|alert| alert.name() == rule).count();
        let silent = case
            .alerts
            .iter()
            .any(|alert| alert.alertname == rule && alert.expected.len() < severities);
        assert!(silent, "it never is: {}", case.name);
    }
}

/// promtool compares whole series, so the labels that a block expects are those that there are.
#[test]
fn each_record_is_evaluated_and_has_the_labels_of_its_name() {
    let mut seen: BTreeMap<String, BTreeSet<BTreeSet<String>>> = BTreeMap::new();
    for case in shipped::cases()
        .iter()
        .filter(|case| told(case).1 == "value")
    {
        for sample in case.values.iter().flat_map(|value| &value.samples) {
            if let Some((name, labels)) = series(&sample.labels) {
                seen.entry(name).or_default().insert(labels);
            }
        }
    }
    for record in shipped::records() {
        let level = record
            .name()
            .split(':')
            .next()
            .unwrap()
            .split('_')
            .map(str::to_owned)
            .collect();
        assert_eq!(
            seen.get(record.name()),
            Some(&BTreeSet::from([level])),
            "{}",
            record.name()
        );
    }
}

/// The name of a series and those of its labels, if it has a name.
fn series(text: &str) -> Option<(String, BTreeSet<String>)> {
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

/// One rule of several weeks must not stand for the others.
#[test]
fn each_rule_of_a_record_with_labels_of_its_own_is_seen() {
    let samples: Vec<_> = shipped::cases()
        .into_iter()
        .flat_map(|case| case.values)
        .flat_map(|value| value.samples)
        .collect();
    let is_seen = |record: &Rule, label: &str, value: &str| {
        let wanted = format!("{label}=\"{value}\"");
        samples
            .iter()
            .any(|one| one.labels.starts_with(record.name()) && one.labels.contains(&wanted))
    };
    for record in shipped::records() {
        for (label, value) in &record.labels {
            assert!(
                is_seen(&record, label, value),
                "{} of {label} {value}",
                record.name()
            );
        }
    }
}
