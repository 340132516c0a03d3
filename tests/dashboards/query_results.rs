//! Results of all dashboard queries from a real Prometheus, queried as Grafana queries it.
//!
//! Prometheus monitors three accounts for 100 seconds. Then all queries run for the same instant and everything is
//! stopped. `queries` has the expected results.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::common;
use crate::common::markdown;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::common::promql::{self, Selector};
use crate::harness::{TestAccount, run_on_new_runtime};
use crate::model::{self, Dashboard, Panel, Target};

/// Results of all queries, computed on first use.
pub static RESULTS: LazyLock<Vec<QueryResult>> =
    LazyLock::new(|| run_on_new_runtime(run_all_queries()));

/// Time before the failing account fails, long enough for two fetches.
const HEALTHY_TIME: Duration = Duration::from_secs(15);
/// Time for which the account fails: its calls expire after 15 s, and a minute later they are in no rate.
const FAILING_TIME: Duration = Duration::from_secs(85);
/// Time range of the dashboards in seconds.
const RANGE: u32 = 900;
/// Default scrape interval of a Grafana data source in seconds.
const SCRAPE_INTERVAL: u32 = 15;

/// Accounts chosen with the dashboard variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    Busy,
    Quiet,
    Failing,
    /// All three accounts.
    All,
    /// One extension of the busy account.
    Extension,
}

/// Query of a panel, variable or annotation, and its result.
#[derive(Debug)]
pub struct QueryResult {
    pub selection: Selection,
    pub dashboard: String,
    pub source: QuerySource,
    pub panel: String,
    pub query: String,
    /// Selectors in the query.
    pub selectors: Vec<Selector>,
    /// Values at the instant; for a variable, 1.0 for each of its values.
    pub instant: Result<Vec<f64>, String>,
    /// Values over the time range, if the query is a range query.
    pub range: Option<Result<Vec<f64>, String>>,
}

/// Origin of a query.
#[derive(Debug)]
pub enum QuerySource {
    Panel { kind: String, has_no_value: bool },
    Variable,
    Annotation,
}

/// Values of the dashboard variables.
struct Variables {
    selection: Selection,
    instance: String,
    account: String,
    extension: String,
}

/// Value of a variable when all values are chosen.
const ALL: &str = ".+";

impl Variables {
    /// Creates the variables for one account.
    fn for_account(selection: Selection, account: &TestAccount) -> Self {
        let instance = escape(account.instance());
        Self {
            selection,
            instance,
            account: account.name.to_owned(),
            extension: ALL.to_owned(),
        }
    }

    /// Creates the variables for all accounts.
    fn for_all() -> Self {
        let all = || ALL.to_owned();
        Self {
            selection: Selection::All,
            instance: all(),
            account: all(),
            extension: all(),
        }
    }

    /// Replaces the variables in a query with this step in seconds.
    fn replace_in(&self, text: &str, step: u32) -> String {
        let seconds = |number: u32| format!("{number}s");
        let (interval, range) = (seconds(step), seconds(RANGE));
        let rate_interval = seconds((step + SCRAPE_INTERVAL).max(4 * SCRAPE_INTERVAL));
        let variables = [
            ("job", ALL),
            ("instance", &self.instance),
            ("account", &self.account),
            ("extension", &self.extension),
            ("__interval", &interval),
            ("__rate_interval", &rate_interval),
            ("__range", &range),
        ];
        promql::substitute_variables(text, &variables)
    }
}

/// Escapes a value as Grafana does: for the regular expression, and again for the PromQL string.
fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for c in value.chars() {
        if "\\^$.*+?()[]{}|'".contains(c) {
            escaped.push_str("\\\\");
        }
        escaped.push(c);
    }
    escaped
}

/// Runs the accounts and Prometheus, then all queries.
async fn run_all_queries() -> Vec<QueryResult> {
    let (busy, quiet, failing) = tokio::join!(
        TestAccount::busy(),
        TestAccount::quiet(),
        TestAccount::failing()
    );
    let exporters = [&busy, &quiet, &failing].map(|account| account.url.as_str());
    // A Prometheus usually scrapes other programs too, and one of them is down here.
    let other = PrometheusServer::start(&[], Duration::from_secs(5)).await;
    let setup = PrometheusBuilder::new(&exporters, Duration::from_secs(5))
        .other_targets(&[other.url(), "http://127.0.0.1:9"]);
    let prometheus = setup.rule_files(&rules()).start().await;
    sleep(HEALTHY_TIME).await;
    failing.start_failing();
    sleep(FAILING_TIME).await;
    let client = QueryClient::new(&prometheus);
    let extension = client.extension_in_call().await;
    let selections = [
        Variables::for_account(Selection::Busy, &busy),
        Variables::for_account(Selection::Quiet, &quiet),
        Variables::for_account(Selection::Failing, &failing),
        Variables::for_all(),
        Variables {
            extension,
            ..Variables::for_account(Selection::Extension, &busy)
        },
    ];
    client.run_queries(&selections).await
}

/// Returns the absolute paths of the shipped rule files.
fn rules() -> Vec<PathBuf> {
    // The working folder of Prometheus is different.
    markdown::files_with_suffix("deploy/prometheus/rules", ".yml")
        .iter()
        .map(|file| file.canonicalize().unwrap())
        .collect()
}

/// Client that queries Prometheus for one instant.
struct QueryClient<'a> {
    prometheus: &'a PrometheusServer,
    http: reqwest::Client,
    at: f64,
}

impl<'a> QueryClient<'a> {
    /// Creates a client whose instant is now.
    fn new(prometheus: &'a PrometheusServer) -> Self {
        let at = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
        Self {
            prometheus,
            http: common::http(),
            at,
        }
    }

    /// Runs all queries with each of the selections.
    async fn run_queries(&self, selections: &[Variables]) -> Vec<QueryResult> {
        let mut results = Vec::new();
        for dashboard in model::all() {
            for variables in selections {
                results.extend(self.run_panels(&dashboard, variables).await);
                results.extend(self.run_variables(&dashboard, variables).await);
                results.extend(self.run_annotations(&dashboard, variables).await);
            }
        }
        results
    }

    /// Runs the queries of all panels.
    async fn run_panels(&self, dashboard: &Dashboard, variables: &Variables) -> Vec<QueryResult> {
        let mut results = Vec::new();
        for panel in dashboard.panels() {
            for target in &panel.targets {
                results.push(self.run_target(dashboard, panel, target, variables).await);
            }
        }
        results
    }

    /// Runs one query of a panel.
    async fn run_target(
        &self,
        dashboard: &Dashboard,
        panel: &Panel,
        target: &Target,
        variables: &Variables,
    ) -> QueryResult {
        let step = step(panel, target);
        let text = variables.replace_in(&target.expr, step);
        let has_no_value = panel.field_config.defaults.no_value.is_some();
        let source = QuerySource::Panel {
            kind: panel.kind.clone(),
            has_no_value,
        };
        let range = if target.range {
            Some(self.run_range(&text, step).await)
        } else {
            None
        };
        let instant = self.run_instant(&text).await;
        new_result(
            variables,
            dashboard,
            source,
            [&panel.title, &target.ref_id],
            &text,
            instant,
            range,
        )
    }

    /// Runs the queries of all annotations.
    async fn run_annotations(
        &self,
        dashboard: &Dashboard,
        variables: &Variables,
    ) -> Vec<QueryResult> {
        let mut results = Vec::new();
        for annotation in dashboard.query_annotations() {
            let text = variables.replace_in(&annotation.expr, SCRAPE_INTERVAL);
            let range = Some(self.run_range(&text, 60).await);
            let instant = self.run_instant(&text).await;
            results.push(new_result(
                variables,
                dashboard,
                QuerySource::Annotation,
                [&annotation.name, ""],
                &text,
                instant,
                range,
            ));
        }
        results
    }

    /// Runs the queries of all variables.
    async fn run_variables(
        &self,
        dashboard: &Dashboard,
        variables: &Variables,
    ) -> Vec<QueryResult> {
        let mut results = Vec::new();
        for variable in dashboard.query_variables() {
            let (selector, label) = variable.label_values().unwrap();
            let text = variables.replace_in(selector, SCRAPE_INTERVAL);
            let values = self.run_label_values(&text, label).await;
            results.push(new_result(
                variables,
                dashboard,
                QuerySource::Variable,
                [&variable.name, ""],
                &text,
                values,
                None,
            ));
        }
        results
    }

    /// Returns the values of an instant query.
    async fn run_instant(&self, text: &str) -> Result<Vec<f64>, String> {
        Ok(numbers(
            &self
                .get("query", &[("query", text), ("time", &self.at.to_string())])
                .await?["result"],
        ))
    }

    /// Returns the values of a range query whose last step is the instant.
    ///
    /// Grafana's last step is a multiple of the step instead, which can be up to one step ago.
    async fn run_range(&self, text: &str, step: u32) -> Result<Vec<f64>, String> {
        let start = (self.at - f64::from(RANGE.max(step))).to_string();
        let parameters = [
            ("query", text),
            ("start", &start),
            ("end", &self.at.to_string()),
            ("step", &step.to_string()),
        ];
        Ok(numbers(
            &self.get("query_range", &parameters).await?["result"],
        ))
    }

    /// Returns 1.0 for each value of a label.
    async fn run_label_values(&self, selector: &str, label: &str) -> Result<Vec<f64>, String> {
        let start = (self.at - f64::from(RANGE)).to_string();
        let parameters = [
            ("match[]", selector),
            ("start", &start),
            ("end", &self.at.to_string()),
        ];
        let values = self
            .get(&format!("label/{label}/values"), &parameters)
            .await?;
        Ok(values.as_array().unwrap().iter().map(|_| 1.0).collect())
    }

    /// Returns an extension with a live record and counted calls.
    ///
    /// The counter must be older than one sample, because an increase needs two.
    async fn extension_in_call(&self) -> String {
        let calls =
            r#"ringcentral_active_calls{account="busy",result="In Progress",extension=~"[0-9]+"}"#;
        let text = format!(
            "{calls} and on (extension) ringcentral_extension_calls_ended_total offset 30s"
        );
        let data = self
            .get("query", &[("query", &text), ("time", &self.at.to_string())])
            .await
            .unwrap();
        data["result"][0]["metric"]["extension"]
            .as_str()
            .expect("a busy account has a call")
            .to_owned()
    }

    /// Calls the API of Prometheus and returns `data`.
    ///
    /// # Errors
    /// Returns the response text if Prometheus rejects the request.
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("{}/api/v1/{path}", self.prometheus.url());
        let parameters = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let text = self
            .http
            .get(format!("{url}?{parameters}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let mut response: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        if response["status"] == "success" {
            Ok(response["data"].take())
        } else {
            Err(text)
        }
    }
}

/// Creates the result of a query.
fn new_result(
    variables: &Variables,
    dashboard: &Dashboard,
    source: QuerySource,
    [panel, query]: [&str; 2],
    text: &str,
    instant: Result<Vec<f64>, String>,
    range: Option<Result<Vec<f64>, String>>,
) -> QueryResult {
    let selectors = promql::parse(text)
        .map(|expr| promql::selectors(&expr))
        .unwrap_or_default();
    let (dashboard, panel, query) = (dashboard.stem.clone(), panel.to_owned(), query.to_owned());
    QueryResult {
        selection: variables.selection,
        dashboard,
        source,
        panel,
        query,
        selectors,
        instant,
        range,
    }
}

/// Returns the step of a query in seconds, as Grafana chooses it on a wide screen.
fn step(panel: &Panel, target: &Target) -> u32 {
    let min_interval = target.interval.as_ref().or(panel.interval.as_ref());
    min_interval
        .map(|text| text.trim_start_matches('>'))
        .map_or(SCRAPE_INTERVAL, seconds)
        .max(SCRAPE_INTERVAL)
}

/// Parses a duration of one number and unit into seconds.
fn seconds(duration: &str) -> u32 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => panic!("unknown unit: {duration}"),
    };
    number.parse::<u32>().unwrap() * unit
}

/// Returns all values of a result except NaN, which Grafana does not draw.
fn numbers(result: &Value) -> Vec<f64> {
    let series = result.as_array().into_iter().flatten();
    let samples = series.flat_map(|series| {
        let range = series["values"].as_array().into_iter().flatten();
        range
            .chain(series.get("value"))
            .filter_map(|sample| sample[1].as_str()?.parse::<f64>().ok())
            .collect::<Vec<_>>()
    });
    samples.filter(|number| !number.is_nan()).collect()
}

impl QueryResult {
    /// Describes the query for assertion messages.
    pub fn location(&self) -> String {
        format!(
            "{}, {:?} {}, selection {:?}",
            self.dashboard, self.panel, self.query, self.selection
        )
    }

    /// Returns the values at the instant, empty if the query failed.
    pub fn values(&self) -> &[f64] {
        self.instant.as_deref().unwrap_or_default()
    }

    /// Returns whether a panel shows data.
    pub fn has_data(&self) -> bool {
        let has_range = self
            .range
            .as_ref()
            .is_none_or(|range| range.as_ref().is_ok_and(|numbers| !numbers.is_empty()));
        !self.values().is_empty() && has_range
    }

    /// Returns whether the query belongs to a panel.
    pub fn is_from_panel(&self) -> bool {
        matches!(self.source, QuerySource::Panel { .. })
    }
}
