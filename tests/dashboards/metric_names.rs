//! Queries, legends and variables use only metrics and labels that exist.
//!
//! Known are those of a real exposition and those that Prometheus adds. `mutations` proves that each check can fail.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::common::exposition::Exposition;
use crate::common::markdown;
use crate::common::promql::labels::{self, LabelAnalysis, Labels};
use crate::common::promql::{self, Expr, MatchType, Selector};
use crate::harness::{TestAccount, run_on_new_runtime};
use crate::model::{Dashboard, assert_no_problems};

/// Exposition of a busy account with every optional metric, after its presence was read.
static EXPOSITION: LazyLock<Exposition> = LazyLock::new(|| {
    run_on_new_runtime(async {
        let busy = TestAccount::busy().await;
        let last = "ringcentral_extension_telephony_status";
        Exposition::parse(&busy.wait_for_series(last).await)
    })
});

/// Labels that Prometheus adds to every scraped series.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// Returns the labels that the series of a metric can have, or `None` if the metric is unknown.
fn known_labels(selector: &Selector) -> Option<Labels> {
    let own: Labels = match selector.metric.as_str() {
        "up" | "scrape_duration_seconds" | "scrape_samples_scraped" => Labels::new(),
        // The labels of all alerts of this project, and `account`, which most of them have.
        "ALERTS" => ["alertname", "alertstate", "severity", "account"]
            .map(str::to_owned)
            .into(),
        name => EXPOSITION.labels(name)?.clone(),
    };
    Some(
        own.into_iter()
            .chain(TARGET_LABELS.map(str::to_owned))
            .collect(),
    )
}

/// Query with its location and legend.
struct Query {
    location: String,
    text: String,
    legend: String,
}

/// Returns the queries of panels and annotations.
fn queries(dashboard: &Dashboard) -> Vec<Query> {
    let targets = dashboard
        .panels()
        .flat_map(|panel| panel.targets.iter().map(move |target| (panel, target)));
    let targets = targets.map(|(panel, target)| Query {
        location: format!("panel {:?}, query {}", panel.title, target.ref_id),
        text: target.expr.clone(),
        legend: target.legend_format.clone(),
    });
    let annotations = dashboard.query_annotations().map(|annotation| Query {
        location: format!("annotation {:?}", annotation.name),
        text: annotation.expr.clone(),
        legend: format!(
            "{} {} {}",
            annotation.title_format,
            annotation.text_format,
            legend_of_tags(&annotation.tag_keys)
        ),
    });
    targets.chain(annotations).collect()
}

/// Formats a comma-separated list of labels as a legend.
fn legend_of_tags(keys: &str) -> String {
    keys.split(',')
        .filter(|key| !key.is_empty())
        .map(|key| format!("{{{{{}}}}}", key.trim()))
        .collect()
}

/// Parses a query after replacing its variables.
pub fn parse(text: &str) -> Result<Expr, String> {
    let variables = [
        ("__rate_interval", "1m"),
        ("__interval", "15s"),
        ("__range", "1h"),
    ];
    promql::parse(&promql::substitute_variables(text, &variables))
}

/// Returns the labels of the result of a query and its unknown names.
pub fn outcome(text: &str) -> LabelAnalysis {
    match parse(text) {
        Ok(expr) => labels::analyse(&expr, &known_labels),
        Err(error) => LabelAnalysis {
            labels: Labels::new(),
            errors: vec![error],
        },
    }
}

/// Lists the unknown names in queries; each operation keeps labels as in Prometheus.
pub fn query_names(dashboard: &Dashboard) -> Vec<String> {
    let problems = |query: &Query| {
        outcome(&query.text)
            .errors
            .into_iter()
            .map(|mistake| format!("{}: {mistake}", query.location))
            .collect::<Vec<_>>()
    };
    queries(dashboard).iter().flat_map(problems).collect()
}

#[test]
fn queries_use_only_existing_names() {
    assert_no_problems(query_names);
}

/// Lists the legends with a label that the result of the query does not have.
pub fn legends(dashboard: &Dashboard) -> Vec<String> {
    let mut problems = Vec::new();
    for query in queries(dashboard) {
        let labels = outcome(&query.text).labels;
        for rest in query.legend.split("{{").skip(1) {
            let label = rest.split("}}").next().unwrap().trim();
            if !labels.contains(label) {
                problems.push(format!(
                    "{}: the legend uses {label:?}, which is not one of {labels:?}",
                    query.location
                ));
            }
        }
    }
    problems
}

#[test]
fn legends_use_only_labels_of_the_result() {
    assert_no_problems(legends);
}

/// Lists the variables whose `label_values` query is invalid.
pub fn variables(dashboard: &Dashboard) -> Vec<String> {
    let mut problems = Vec::new();
    for variable in dashboard.query_variables() {
        let name = &variable.name;
        let Some((selector, label)) = variable.label_values() else {
            problems.push(format!("variable {name}: not a label_values query"));
            continue;
        };
        let LabelAnalysis { labels, mut errors } = outcome(selector);
        if !labels.contains(label) {
            errors.push(format!("unknown label {label:?}"));
        }
        for mistake in errors {
            problems.push(format!("variable {name}: {mistake}"));
        }
    }
    problems
}

#[test]
fn variables_list_existing_labels() {
    assert_no_problems(variables);
}

/// Lists the queries without a filter by the chosen accounts.
///
/// Variables after `account` in the list also need the filter.
pub fn account_filters(dashboard: &Dashboard) -> Vec<String> {
    let targets = dashboard.panels().flat_map(|panel| {
        panel.targets.iter().map(|target| {
            (
                format!("panel {:?}, query {}", panel.title, target.ref_id),
                &target.expr[..],
            )
        })
    });
    let later = dashboard
        .query_variables()
        .skip_while(|variable| variable.name != "account")
        .skip(1);
    let later = later.filter_map(|variable| {
        Some((
            format!("variable {}", variable.name),
            variable.label_values()?.0,
        ))
    });
    targets
        .chain(later)
        .flat_map(|(location, text)| unfiltered(&location, text))
        .collect()
}

/// Lists the selectors of account series without a filter by the chosen accounts.
fn unfiltered(location: &str, text: &str) -> Vec<String> {
    let selectors = parse(text)
        .map(|expr| promql::selectors(&expr))
        .unwrap_or_default();
    let has_account = |selector: &Selector| {
        known_labels(selector).is_some_and(|labels| labels.contains("account"))
    };
    let unfiltered = selectors.iter().filter(|selector| {
        has_account(selector) && !selector.has("account", MatchType::Regex, "$account")
    });
    unfiltered
        .map(|selector| format!("{location}: {selector} is not filtered by $account"))
        .collect()
}

#[test]
fn account_queries_are_filtered_by_account() {
    assert_no_problems(account_filters);
}

/// The checks above are only meaningful if the exposition is complete.
#[test]
fn exposition_has_every_documented_family() {
    let exposed: BTreeSet<_> = EXPOSITION.types().keys().cloned().collect();
    assert_eq!(exposed, markdown::all_metric_families());
}
