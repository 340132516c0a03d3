//! No query asks for what is not there: metrics and labels are those of a real exposition, and Prometheus' own.
//!
//! Each check is a function from a dashboard to what is wrong with it; `mutations` proves that they can fail.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::account::{self, Account};
use crate::common;
use crate::common::exposition::Exposition;
use crate::common::promql::labels::{self, LabelAnalysis, Labels};
use crate::common::promql::{self, Expr, MatchType, Selector};
use crate::model::{self, Dashboard};

/// What a busy account shows with every flag.
static EXPOSITION: LazyLock<Exposition> = LazyLock::new(|| {
    account::on_a_runtime(async {
        let busy = Account::busy().await;
        Exposition::parse(&common::get(&format!("{}/metrics", busy.url)).await)
    })
});

/// Prometheus adds these to all that it scrapes.
const OF_A_TARGET: [&str; 2] = ["job", "instance"];

/// The labels that the series of a metric can have.
fn known(selector: &Selector) -> Option<Labels> {
    let own: Labels = match selector.metric.as_str() {
        "up" | "scrape_duration_seconds" | "scrape_samples_scraped" => Labels::new(),
        // Those that all alerts of this project have, and some of the others.
        "ALERTS" => ["alertname", "alertstate", "severity", "account"]
            .map(str::to_owned)
            .into(),
        name => EXPOSITION.labels(name)?.clone(),
    };
    Some(
        own.into_iter()
            .chain(OF_A_TARGET.map(str::to_owned))
            .collect(),
    )
}

/// A query, where it stands, and the text beside its results.
struct Query {
    place: String,
    text: String,
    legend: String,
}

/// Those of panels and annotations.
fn queries(dashboard: &Dashboard) -> Vec<Query> {
    let targets = dashboard
        .panels()
        .flat_map(|panel| panel.targets.iter().map(move |target| (panel, target)));
    let targets = targets.map(|(panel, target)| Query {
        place: format!("panel {:?}, query {}", panel.title, target.ref_id),
        text: target.expr.clone(),
        legend: target.legend_format.clone(),
    });
    let annotations = dashboard.asked().map(|annotation| Query {
        place: format!("annotation {:?}", annotation.name),
        text: annotation.expr.clone(),
        legend: format!(
            "{} {} {}",
            annotation.title_format,
            annotation.text_format,
            tags(&annotation.tag_keys)
        ),
    });
    targets.chain(annotations).collect()
}

/// Names of labels, written as in a legend.
fn tags(keys: &str) -> String {
    keys.split(',')
        .filter(|key| !key.is_empty())
        .map(|key| format!("{{{{{}}}}}", key.trim()))
        .collect()
}

/// A query with its variables filled in.
pub fn parsed(text: &str) -> Result<Expr, String> {
    let variables = [
        ("__rate_interval", "1m"),
        ("__interval", "15s"),
        ("__range", "1h"),
    ];
    promql::parse(&promql::substitute_variables(text, &variables))
}

/// What a query amounts to.
pub fn outcome(text: &str) -> LabelAnalysis {
    match parsed(text) {
        Ok(expr) => labels::analyse(&expr, &known),
        Err(error) => LabelAnalysis {
            labels: Labels::new(),
            errors: vec![error],
        },
    }
}

fn holds(check: fn(&Dashboard) -> Vec<String>) {
    let wrong = |dashboard: &Dashboard| {
        check(dashboard)
            .into_iter()
            .map(|what| format!("{}: {what}", dashboard.stem))
            .collect::<Vec<_>>()
    };
    let wrong: Vec<_> = model::all().iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Names of the query that are not there, by Prometheus' rules for what each operation keeps.
pub fn names(dashboard: &Dashboard) -> Vec<String> {
    let wrong = |query: &Query| {
        outcome(&query.text)
            .errors
            .into_iter()
            .map(|what| format!("{}: {what}", query.place))
            .collect::<Vec<_>>()
    };
    queries(dashboard).iter().flat_map(wrong).collect()
}

#[test]
fn every_metric_and_label_in_a_query_exists() {
    holds(names);
}

pub fn legends(dashboard: &Dashboard) -> Vec<String> {
    let wrong = |query: &Query| {
        let there = outcome(&query.text).labels;
        let named = query
            .legend
            .split("{{")
            .skip(1)
            .map(|rest| rest.split("}}").next().unwrap().trim().to_owned());
        let lacking: Vec<_> = named.filter(|label| !there.contains(label)).collect();
        (!lacking.is_empty())
            .then(|| format!("{}: the legend names {lacking:?} of {there:?}", query.place))
    };
    queries(dashboard).iter().filter_map(wrong).collect()
}

#[test]
fn every_label_in_a_legend_is_in_the_result() {
    holds(legends);
}

pub fn variables(dashboard: &Dashboard) -> Vec<String> {
    let wrong = |(name, query): (&str, Option<(&str, &str)>)| {
        let Some((selector, label)) = query else {
            return vec![format!("variable {name}: no label_values")];
        };
        let LabelAnalysis { labels, mut errors } = outcome(selector);
        if !labels.contains(label) {
            errors.push(format!("no label {label:?}"));
        }
        errors
            .into_iter()
            .map(|what| format!("variable {name}: {what}"))
            .collect()
    };
    dashboard
        .queried()
        .map(|variable| (variable.name.as_str(), variable.label_values()))
        .flat_map(wrong)
        .collect()
}

#[test]
fn every_variable_lists_a_label_that_exists() {
    holds(variables);
}

/// Variables that come after the account's are about it too.
pub fn accounts(dashboard: &Dashboard) -> Vec<String> {
    let targets = dashboard.panels().flat_map(|panel| {
        panel.targets.iter().map(|target| {
            (
                format!("panel {:?}, query {}", panel.title, target.ref_id),
                &target.expr[..],
            )
        })
    });
    let later = dashboard
        .queried()
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
        .flat_map(|(place, text)| unfiltered(&place, text))
        .collect()
}

fn unfiltered(place: &str, text: &str) -> Vec<String> {
    let selectors = parsed(text)
        .map(|expr| promql::selectors(&expr))
        .unwrap_or_default();
    let about = |one: &Selector| known(one).is_some_and(|labels| labels.contains("account"));
    let wrong = selectors
        .iter()
        .filter(|one| about(one) && !one.has("account", MatchType::Regex, "$account"));
    wrong
        .map(|one| format!("{place}: {one} is of every account, and not of those chosen"))
        .collect()
}

#[test]
fn every_query_about_an_account_is_about_the_chosen_ones() {
    holds(accounts);
}

/// Else the checks above would be about little.
#[test]
fn the_exposition_has_every_documented_family() {
    let document = include_str!("../../docs/METRICS.md");
    let documented: BTreeSet<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    let exposed: BTreeSet<_> = EXPOSITION.types().keys().map(String::as_str).collect();
    assert_eq!(exposed, documented);
}
