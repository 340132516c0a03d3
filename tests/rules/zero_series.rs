//! Rules, dashboards and the runbook ask only for counters that exist with 0 from the start: `increase()` and `rate()` do
//! not count the calls with which a series appears.
//!
//! The series are those of an exporter's first exposition. A selector without a matcher of their labels is a total of all
//! series, which misses at most the first calls of a rare result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::common::markdown;
use crate::common::promql::{self, MatchType, Matcher, Selector, selectors};
use crate::metrics::{Metrics, template_queries};
use crate::rule_files;

/// Labels with a closed set of values.
const CLOSED_LABELS: [&str; 8] = [
    "direction",
    "result",
    "outcome",
    "operation",
    "reason",
    "from",
    "to",
    "telephony_status",
];
/// Suffixes of the series of counters and histograms.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_bucket", "_count", "_sum"];

/// Values of the closed labels of a series.
type LabelSet = BTreeMap<String, String>;

/// Counters that exist from the start.
struct ZeroSeries {
    by_metric: BTreeMap<String, BTreeSet<LabelSet>>,
    documented_results: BTreeSet<String>,
}

impl ZeroSeries {
    /// Reads the first exposition of an exporter.
    async fn from_exporter() -> Self {
        let mut by_metric: BTreeMap<String, BTreeSet<LabelSet>> = BTreeMap::new();
        let text = Metrics::first_exposition().await;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let series = line.rsplit_once(' ').unwrap().0;
            let series = selectors(&promql::parse(series).unwrap()).remove(0);
            let labels = closed_labels(&series).map(|matcher| (matcher.label, matcher.value));
            let labels = labels.collect();
            by_metric.entry(series.metric).or_default().insert(labels);
        }
        Self {
            by_metric,
            documented_results: documented_results(),
        }
    }

    /// Returns the label sets that can occur, whether or not they exist from the start. The direction `Unknown`, of a record
    /// without one, is included for a selector with a matcher of `direction`.
    fn possible_sets(&self, selector: &Selector) -> BTreeSet<LabelSet> {
        let has_matcher = |label: &str| {
            selector
                .matchers
                .iter()
                .any(|matcher| matcher.label == label)
        };
        let directions = ["Inbound", "Outbound", "Unknown"];
        let directions = &directions[..if has_matcher("direction") { 3 } else { 2 }];
        let mut possible = self.by_metric[&selector.metric].clone();
        for set in &self.by_metric[&selector.metric] {
            for result in &self.documented_results {
                for direction in directions {
                    let mut other = set.clone();
                    replace(&mut other, "result", result);
                    replace(&mut other, "direction", direction);
                    possible.insert(other);
                }
            }
        }
        possible
    }

    /// Returns what is wrong with a selector of a counter.
    fn problem(&self, selector: &Selector) -> Option<String> {
        let mut suffixes = COUNTER_SUFFIXES.iter();
        let is_counter = suffixes.any(|suffix| selector.metric.ends_with(suffix));
        let matchers: Vec<_> = closed_labels(selector).collect();
        if !is_counter || matchers.is_empty() {
            return None;
        }
        let possible = self.possible_sets(selector);
        for matcher in &matchers {
            for value in alternatives(matcher) {
                if !possible.iter().any(|set| set[&matcher.label] == value) {
                    return Some(format!("undocumented value {value:?} in {selector}"));
                }
            }
        }
        let is_selected = |set: &&LabelSet| {
            matchers
                .iter()
                .all(|matcher| matcher.is_match(&set[&matcher.label]))
        };
        let selected: BTreeSet<_> = possible.iter().filter(is_selected).collect();
        if selected.is_empty() {
            return Some(format!("{selector} selects nothing"));
        }
        let missing = selected
            .into_iter()
            .find(|set| !self.by_metric[&selector.metric].contains(*set))?;
        Some(format!("no 0 from the start for {missing:?} in {selector}"))
    }

    /// Returns what is wrong with the selectors of a query.
    fn problems(&self, query: &str) -> Vec<String> {
        let expr = promql::parse(query).unwrap_or_else(|error| panic!("{error}: {query}"));
        let selectors = selectors(&expr);
        selectors.iter().filter_map(|it| self.problem(it)).collect()
    }
}

/// Replaces the value of a label that the set has.
fn replace(set: &mut LabelSet, label: &str, value: &str) {
    if let Some(current) = set.get_mut(label) {
        value.clone_into(current);
    }
}

/// Returns the matchers of the closed labels.
fn closed_labels(selector: &Selector) -> impl Iterator<Item = Matcher> {
    let matchers = selector.matchers.clone().into_iter();
    matchers.filter(|matcher| CLOSED_LABELS.contains(&matcher.label.as_str()))
}

/// Returns the values that a matcher names.
fn alternatives(matcher: &Matcher) -> Vec<&str> {
    match matcher.match_type {
        MatchType::Equal | MatchType::NotEqual => vec![&matcher.value],
        MatchType::Regex | MatchType::NotRegex => matcher.value.split('|').collect(),
    }
}

/// Returns the results in the table of outcomes.
fn documented_results() -> BTreeSet<String> {
    let table = markdown::table(&markdown::read("docs/METRICS.md"), "outcome");
    let cells: Vec<_> = table.rows.iter().map(|row| row[1].clone()).collect();
    let names = cells.iter().flat_map(|cell| cell.split(','));
    names
        .map(|name| name.trim().trim_start_matches("such as ").to_owned())
        .collect()
}

/// Returns all queries in a dashboard, with a value for each variable.
fn dashboard_queries(json: &Value) -> Vec<String> {
    let mut queries = Vec::new();
    match json {
        Value::Array(items) => items
            .iter()
            .for_each(|item| queries.extend(dashboard_queries(item))),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("expr", Value::String(query)) => queries.push(without_variables(query)),
                    _ => queries.extend(dashboard_queries(value)),
                }
            }
        }
        _ => {}
    }
    queries
}

/// Replaces Grafana's variables.
fn without_variables(query: &str) -> String {
    let ranges = ["__rate_interval", "__interval", "__range"].map(|name| (name, "5m"));
    promql::substitute_variables(query, &ranges)
}

/// Returns the queries of rules, annotations, dashboards and the runbook, each with its origin.
fn shipped_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for rule in rule_files::rules() {
        let in_annotations = rule
            .annotations
            .values()
            .flat_map(|it| template_queries(it));
        let all = in_annotations.chain([rule.expr.clone()]);
        queries.extend(all.map(|query| (rule.name().to_owned(), query)));
    }
    for file in markdown::files_with_suffix(Path::new("dashboards"), ".json") {
        let json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let all = dashboard_queries(&json).into_iter();
        queries.extend(all.map(|query| (file.display().to_string(), query)));
    }
    for query in markdown::queries(&markdown::read("docs/RUNBOOK.md")) {
        queries.push(("docs/RUNBOOK.md".to_owned(), query));
    }
    queries
}

#[tokio::test]
async fn counters_in_queries_start_at_zero() {
    let series = ZeroSeries::from_exporter().await;
    let queries = shipped_queries();
    assert!(queries.len() > 150, "{}", queries.len());
    let mut problems = Vec::new();
    for (origin, query) in &queries {
        for problem in series.problems(query) {
            problems.push(format!("{origin}: {problem}"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Queries and the problem of each.
const WRONG_QUERIES: [(&str, &str); 9] = [
    (
        r#"increase(ringcentral_calls_ended_total{result="No Calling Credit"}[5m])"#,
        "no 0 from the start",
    ),
    (
        r#"increase(ringcentral_calls_ended_total{direction="Outbound",result="Missed"}[5m])"#,
        "no 0 from the start",
    ),
    (
        r#"rate(ringcentral_calls_ended_total{direction="Inbound",result=~"Missed|Blocked"}[5m])"#,
        "no 0 from the start",
    ),
    (
        r#"increase(ringcentral_calls_ended_total{direction="Inbound",result!="Missed"}[5m])"#,
        "no 0 from the start",
    ),
    (
        r#"increase(ringcentral_calls_ended_total{direction="Inbound",result!~"Missed|Busy"}[5m])"#,
        "no 0 from the start",
    ),
    (
        r#"increase(ringcentral_extension_calls_ended_total{result="Abandoned"}[5m])"#,
        "no 0 from the start",
    ),
    (
        r#"increase(ringcentral_calls_ended_total{direction="Inbound",result=~"Missed|Mised"}[5m])"#,
        "undocumented",
    ),
    (
        r#"increase(ringcentral_call_sessions_ended_total{outcome="unanswered"}[5m])"#,
        "undocumented",
    ),
    (
        r#"increase(ringcentral_extension_status_changes_total{from="Ringing",to="Talking"}[5m])"#,
        "undocumented",
    ),
];

#[tokio::test]
async fn query_without_zero_series_is_detected() {
    let series = ZeroSeries::from_exporter().await;
    for (query, expected) in WRONG_QUERIES {
        let problems = series.problems(query).join("\n");
        assert!(problems.contains(expected), "{query}: {problems}");
    }
    let right = r#"increase(ringcentral_calls_ended_total{direction=~"Inbound|Outbound",result="Busy"}[5m])"#;
    assert_eq!(series.problems(right), [""; 0]);
    assert_eq!(
        series.problems("increase(ringcentral_calls_ended_total[5m])"),
        [""; 0]
    );
}
