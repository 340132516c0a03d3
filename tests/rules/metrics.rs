//! The rules use metrics and labels that exist: the exporter's, started with every flag, Prometheus' own, and what the rules record.

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::exposition::Exposition;
use crate::common::markdown::queries;
use crate::common::promql::labels::{self, LabelAnalysis, Labels};
use crate::common::promql::{self, Expr, Selector};
use crate::common::{get, markdown};
use crate::conventions::templates;
use crate::shipped::{self, Rule};

const FLAGS: [&str; 4] = [
    "--web.listen-address=127.0.0.1:0",
    "--ringcentral.concurrent-calls-limit=50",
    "--metrics.extension-info",
    "--metrics.extension-calls",
];

/// What there is to select.
pub struct Metrics {
    exposed: Exposition,
    records: Vec<Rule>,
}

impl Metrics {
    /// Asks an exporter whose account is busy, so that it has a series of every family.
    pub async fn of_the_exporter() -> Self {
        let busy = Scenario {
            calls_per_minute: 60.0,
            ..Scenario::normal()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, busy, 1).unwrap();
        let mut program = ExporterProcess::start(command_for_simulator(&simulator, &FLAGS));
        let url = program.wait_for_url().await;
        let exposed = Exposition::parse(&get(&format!("{url}/metrics")).await);
        Self {
            exposed,
            records: shipped::records(),
        }
    }

    /// The labels of what is selected; `None` if there is no such series. A name may be several with bars between.
    pub fn selected(&self, selector: &Selector) -> Option<Labels> {
        let each = selector.metric.split('|').map(|name| self.series(name));
        Some(
            each.collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect(),
        )
    }

    fn series(&self, name: &str) -> Option<Labels> {
        let by_prometheus = Labels::from(["job".to_owned(), "instance".to_owned()]);
        if name == "up" {
            return Some(by_prometheus);
        }
        let recorded: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.name() == name)
            .collect();
        match (self.exposed.labels(name), recorded.is_empty()) {
            (Some(exposed), _) => Some(exposed | &by_prometheus),
            (None, false) => Some(
                recorded
                    .into_iter()
                    .flat_map(|record| self.labels_of(record))
                    .collect(),
            ),
            (None, true) => None,
        }
    }

    /// The labels that the result of a rule has, those that the rule itself gives included, but for the severity.
    pub fn labels_of(&self, rule: &Rule) -> Labels {
        let own = rule
            .labels
            .keys()
            .filter(|label| *label != "severity")
            .cloned();
        self.looked_at(&rule.parsed())
            .labels
            .into_iter()
            .chain(own)
            .collect()
    }

    /// What an expression gives, and what it names that is not there.
    pub fn looked_at(&self, expr: &Expr) -> LabelAnalysis {
        labels::analyse(expr, &|selector| self.selected(selector))
    }

    fn assert_has(&self, query: &str, place: &str) {
        let expr = promql::parse(query).unwrap_or_else(|error| panic!("{place}: {error}\n{query}"));
        let errors = self.looked_at(&expr).errors;
        assert!(errors.is_empty(), "{place}: {errors:#?}\n{query}");
    }
}

/// The queries within a text, with some label in the place of each that is filled in.
fn queries_within(text: &str) -> Vec<String> {
    let queries = templates(text)
        .into_iter()
        .filter(|template| template.contains("| query"));
    queries
        .map(|template| template.split('"').nth(1).unwrap().replace("%q", "\"x\""))
        .collect()
}

#[tokio::test]
async fn no_rule_and_no_text_uses_a_metric_or_label_that_does_not_exist() {
    let metrics = Metrics::of_the_exporter().await;
    let rules = shipped::rules();
    assert!(rules.len() > 35, "{}", rules.len());
    for rule in &rules {
        metrics.assert_has(&rule.expr, rule.name());
        for query in rule
            .annotations
            .values()
            .flat_map(|text| queries_within(text))
        {
            metrics.assert_has(&query, rule.name());
        }
    }
    let in_texts = rules
        .iter()
        .flat_map(|rule| rule.annotations.values())
        .flat_map(|text| queries_within(text));
    assert!(in_texts.count() >= 5, "queries in texts are found");
}

#[tokio::test]
async fn no_query_of_the_runbook_uses_a_metric_or_label_that_does_not_exist() {
    let metrics = Metrics::of_the_exporter().await;
    for query in queries(&markdown::read("docs/RUNBOOK.md")) {
        metrics.assert_has(&query, "the runbook");
    }
}

#[tokio::test]
async fn a_metric_or_label_that_does_not_exist_is_found() {
    let metrics = Metrics::of_the_exporter().await;
    for wrong in [
        "ringcentral_calls",
        "sum by (queue) (ringcentral_up)",
        "ringcentral_up{state=\"ok\"}",
    ] {
        let errors = metrics.looked_at(&promql::parse(wrong).unwrap()).errors;
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
    }
}
