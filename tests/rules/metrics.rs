//! The rules and the runbook use only existing metrics and labels.
//!
//! Known are the families of an exporter with every flag, those that Prometheus adds, and the recorded series.

use std::time::Duration;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::exposition::Exposition;
use crate::common::markdown::queries;
use crate::common::promql::labels::{self, LabelAnalysis, Labels};
use crate::common::promql::{self, Expr, Selector};
use crate::common::{MAX_WAIT, get, markdown};
use crate::conventions::templates;
use crate::rule_files::{self, Rule};

/// Flags with which the exporter shows every family.
const FLAGS: [&str; 6] = [
    "--web.listen-address=127.0.0.1:0",
    "--ringcentral.concurrent-calls-limit=50",
    "--metrics.extension-info",
    "--metrics.extension-calls",
    "--ringcentral.presence=events",
    "--metrics.extension-presence",
];
/// Series that appears last: after the first read of presence.
const LAST_SERIES: &str = "ringcentral_extension_telephony_status";

/// Metrics and labels that a query can select.
pub struct Metrics {
    exposed: Exposition,
    records: Vec<Rule>,
}

impl Metrics {
    /// Scrapes an exporter with a busy account until it has a series of every family.
    pub async fn from_exporter() -> Self {
        Self {
            exposed: Exposition::parse(&Self::exposition_with(LAST_SERIES).await),
            records: rule_files::records(),
        }
    }

    /// Returns the first exposition with calls, of an exporter with a busy account.
    pub async fn first_exposition() -> String {
        Self::exposition_with("ringcentral_call_sessions_in_progress").await
    }

    /// Returns the first exposition with this series, of an exporter with a busy account.
    async fn exposition_with(series: &str) -> String {
        let busy = Scenario {
            calls_per_minute: 60.0,
            ..Scenario::normal()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, busy, 1).unwrap();
        let mut exporter = ExporterProcess::start(command_for_simulator(&simulator, &FLAGS));
        let url = exporter.wait_for_url().await;
        let text = async {
            loop {
                let text = get(&format!("{url}/metrics")).await;
                if text.contains(&format!("\n{series}{{")) {
                    return text;
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(MAX_WAIT, text).await.expect(series)
    }

    /// Returns the labels of the selected series, or `None` if there are none.
    ///
    /// The metric of a selector can be several names separated by `|`.
    pub fn labels_of_selector(&self, selector: &Selector) -> Option<Labels> {
        let labels = selector
            .metric
            .split('|')
            .map(|name| self.labels_of_metric(name));
        Some(
            labels
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect(),
        )
    }

    /// Returns the labels of a metric, or `None` if it does not exist.
    fn labels_of_metric(&self, name: &str) -> Option<Labels> {
        let target_labels = Labels::from(["job".to_owned(), "instance".to_owned()]);
        if name == "up" {
            return Some(target_labels);
        }
        let recorded: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.name() == name)
            .collect();
        match (self.exposed.labels(name), recorded.is_empty()) {
            (Some(exposed), _) => Some(exposed | &target_labels),
            (None, false) => Some(
                recorded
                    .into_iter()
                    .flat_map(|record| self.labels_of_rule(record))
                    .collect(),
            ),
            (None, true) => None,
        }
    }

    /// Returns the labels of the result of a rule, including those that the rule adds, except the severity.
    pub fn labels_of_rule(&self, rule: &Rule) -> Labels {
        let own = rule
            .labels
            .keys()
            .filter(|label| *label != "severity")
            .cloned();
        self.analyse(&rule.parsed())
            .labels
            .into_iter()
            .chain(own)
            .collect()
    }

    /// Returns the labels of the result of an expression and its unknown names.
    pub fn analyse(&self, expr: &Expr) -> LabelAnalysis {
        labels::analyse(expr, &|selector| self.labels_of_selector(selector))
    }

    /// Asserts that a query uses only existing metrics and labels.
    fn assert_has_names(&self, query: &str, origin: &str) {
        let expr =
            promql::parse(query).unwrap_or_else(|error| panic!("{origin}: {error}\n{query}"));
        let errors = self.analyse(&expr).errors;
        assert!(errors.is_empty(), "{origin}: {errors:#?}\n{query}");
    }
}

/// Returns the queries in the templates of a text, with an arbitrary value for each label.
pub fn template_queries(text: &str) -> Vec<String> {
    let queries = templates(text)
        .into_iter()
        .filter(|template| template.contains("| query"));
    queries
        .map(|template| template.split('"').nth(1).unwrap().replace("%q", "\"x\""))
        .collect()
}

#[tokio::test]
async fn rules_use_only_existing_names() {
    let metrics = Metrics::from_exporter().await;
    let rules = rule_files::rules();
    assert!(rules.len() > 35, "{}", rules.len());
    for rule in &rules {
        metrics.assert_has_names(&rule.expr, rule.name());
        for query in rule
            .annotations
            .values()
            .flat_map(|text| template_queries(text))
        {
            metrics.assert_has_names(&query, rule.name());
        }
    }
    let template_queries = rules
        .iter()
        .flat_map(|rule| rule.annotations.values())
        .flat_map(|text| template_queries(text));
    assert!(template_queries.count() >= 5, "annotations contain queries");
}

#[tokio::test]
async fn runbook_queries_use_only_existing_names() {
    let metrics = Metrics::from_exporter().await;
    for query in queries(&markdown::read("docs/RUNBOOK.md")) {
        metrics.assert_has_names(&query, "the runbook");
    }
}

#[tokio::test]
async fn readme_queries_use_only_existing_names() {
    let metrics = Metrics::from_exporter().await;
    let readme = markdown::read("README.md");
    let rows = markdown::table(&readme, "question").rows;
    assert!(rows.len() >= 5, "{rows:?}");
    for row in rows {
        metrics.assert_has_names(&markdown::inline_code(&row[1])[0], "the README");
    }
}

#[tokio::test]
async fn unknown_metric_or_label_is_reported() {
    let metrics = Metrics::from_exporter().await;
    for query in [
        "ringcentral_calls",
        "sum by (queue) (ringcentral_up)",
        "ringcentral_up{state=\"ok\"}",
    ] {
        let errors = metrics.analyse(&promql::parse(query).unwrap()).errors;
        assert_eq!(errors.len(), 1, "{query}: {errors:?}");
    }
}
