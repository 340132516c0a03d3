//! The queries of the dashboards, asked of a real Prometheus as Grafana asks them, and what came back.
//!
//! Three accounts are watched for a minute and a half; then all is asked at once, of the same instant, and all that ran
//! is ended. Owns how variables are filled in; what the answers should be is for `queries` to say.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::account::{Account, on_a_runtime};
use crate::common;
use crate::common::markdown;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::common::promql::{self, Selector};
use crate::model::{self, Dashboard, Panel, Target};

/// All answers.
pub static ANSWERS: LazyLock<Vec<Answer>> = LazyLock::new(|| on_a_runtime(watch_and_ask()));

/// The failing account answers for so long: two fetches.
const GOOD: Duration = Duration::from_secs(15);
/// Then it fails for so long: its calls are forgotten after 15 s, and a minute later no rate knows of them.
const BAD: Duration = Duration::from_secs(85);
/// The time range of the dashboards.
const RANGE: u32 = 900;
/// What Grafana is told of the scrape interval, by default.
const SCRAPE: u32 = 15;

/// Whose series were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    Busy,
    Quiet,
    Failing,
    /// All three.
    All,
    /// One extension of the busy one.
    Extension,
}

/// A query of a panel, or a variable's list, and its answer.
#[derive(Debug)]
pub struct Answer {
    pub chosen: Chosen,
    pub dashboard: String,
    pub kind: Kind,
    pub panel: String,
    pub query: String,
    /// What it selects.
    pub selectors: Vec<Selector>,
    /// The numbers that there are at the instant; a variable's, one for each value.
    pub now: Result<Vec<f64>, String>,
    /// Those over the time range, if that is asked for.
    pub ranged: Option<Result<Vec<f64>, String>>,
}

/// What asks.
#[derive(Debug)]
pub enum Kind {
    Panel { kind: String, has_no_value: bool },
    Variable,
    Annotation,
}

/// The variables as text for a query.
struct Choice {
    chosen: Chosen,
    instance: String,
    account: String,
    extension: String,
}

/// Everything that is.
const ALL: &str = ".+";

impl Choice {
    fn of(chosen: Chosen, account: &Account) -> Self {
        let instance = escaped(account.instance());
        Self {
            chosen,
            instance,
            account: account.name.to_owned(),
            extension: ALL.to_owned(),
        }
    }

    fn all() -> Self {
        let all = || ALL.to_owned();
        Self {
            chosen: Chosen::All,
            instance: all(),
            account: all(),
            extension: all(),
        }
    }

    fn fill(&self, text: &str, step: u32) -> String {
        let seconds = |number: u32| format!("{number}s");
        let (interval, range) = (seconds(step), seconds(RANGE));
        let rate_interval = seconds((step + SCRAPE).max(4 * SCRAPE));
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

/// Grafana escapes for the expression, and once more for the string in which it stands.
fn escaped(value: &str) -> String {
    let special = |c: char| "\\^$.*+?()[]{}|'".contains(c);
    value
        .chars()
        .flat_map(|c| {
            special(c)
                .then_some("\\\\")
                .into_iter()
                .flat_map(str::chars)
                .chain([c])
        })
        .collect()
}

async fn watch_and_ask() -> Vec<Answer> {
    let (busy, quiet, failing) =
        tokio::join!(Account::busy(), Account::quiet(), Account::failing());
    let exporters = [&busy, &quiet, &failing].map(|account| account.url.as_str());
    // Whoever runs Prometheus scrapes other programs with it, and one of them is always down.
    let other = PrometheusServer::start(&[], Duration::from_secs(5)).await;
    let setup = PrometheusBuilder::new(&exporters, Duration::from_secs(5))
        .other_targets(&[other.url(), "http://127.0.0.1:9"]);
    let prometheus = setup.rule_files(&rules()).start().await;
    sleep(GOOD).await;
    failing.fails();
    sleep(BAD).await;
    let asker = Asker::new(&prometheus);
    let extension = asker.extension_in_a_call().await;
    let choices = [
        Choice::of(Chosen::Busy, &busy),
        Choice::of(Chosen::Quiet, &quiet),
        Choice::of(Chosen::Failing, &failing),
        Choice::all(),
        Choice {
            extension,
            ..Choice::of(Chosen::Extension, &busy)
        },
    ];
    asker.all(&choices).await
}

/// Those that are shipped.
fn rules() -> Vec<PathBuf> {
    // Prometheus has another working folder.
    markdown::files_with_suffix("deploy/prometheus/rules", ".yml")
        .iter()
        .map(|file| file.canonicalize().unwrap())
        .collect()
}

/// Asks all about the same instant.
struct Asker<'a> {
    prometheus: &'a PrometheusServer,
    http: reqwest::Client,
    at: f64,
}

impl<'a> Asker<'a> {
    fn new(prometheus: &'a PrometheusServer) -> Self {
        let at = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
        Self {
            prometheus,
            http: common::http(),
            at,
        }
    }

    async fn all(&self, choices: &[Choice]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for dashboard in model::all() {
            for choice in choices {
                answers.extend(self.panels(&dashboard, choice).await);
                answers.extend(self.variables(&dashboard, choice).await);
                answers.extend(self.annotations(&dashboard, choice).await);
            }
        }
        answers
    }

    async fn panels(&self, dashboard: &Dashboard, choice: &Choice) -> Vec<Answer> {
        let mut answers = Vec::new();
        for panel in dashboard.panels() {
            for target in &panel.targets {
                answers.push(self.target(dashboard, panel, target, choice).await);
            }
        }
        answers
    }

    async fn target(
        &self,
        dashboard: &Dashboard,
        panel: &Panel,
        target: &Target,
        choice: &Choice,
    ) -> Answer {
        let step = step(panel, target);
        let text = choice.fill(&target.expr, step);
        let has_no_value = panel.field_config.defaults.no_value.is_some();
        let kind = Kind::Panel {
            kind: panel.kind.clone(),
            has_no_value,
        };
        let ranged = if target.range {
            Some(self.over_the_range(&text, step).await)
        } else {
            None
        };
        let now = self.now(&text).await;
        answer(
            choice,
            dashboard,
            kind,
            [&panel.title, &target.ref_id],
            &text,
            now,
            ranged,
        )
    }

    async fn annotations(&self, dashboard: &Dashboard, choice: &Choice) -> Vec<Answer> {
        let mut answers = Vec::new();
        for annotation in dashboard.asked() {
            let text = choice.fill(&annotation.expr, SCRAPE);
            let ranged = Some(self.over_the_range(&text, 60).await);
            let now = self.now(&text).await;
            answers.push(answer(
                choice,
                dashboard,
                Kind::Annotation,
                [&annotation.name, ""],
                &text,
                now,
                ranged,
            ));
        }
        answers
    }

    async fn variables(&self, dashboard: &Dashboard, choice: &Choice) -> Vec<Answer> {
        let mut answers = Vec::new();
        for variable in dashboard.queried() {
            let (selector, label) = variable.label_values().unwrap();
            let text = choice.fill(selector, SCRAPE);
            let values = self.values(&text, label).await;
            answers.push(answer(
                choice,
                dashboard,
                Kind::Variable,
                [&variable.name, ""],
                &text,
                values,
                None,
            ));
        }
        answers
    }

    async fn now(&self, text: &str) -> Result<Vec<f64>, String> {
        Ok(numbers(
            &self
                .ask("query", &[("query", text), ("time", &self.at.to_string())])
                .await?["result"],
        ))
    }

    /// The last step is now. Grafana's is the last whole one: at steps of an hour, up to an hour ago.
    async fn over_the_range(&self, text: &str, step: u32) -> Result<Vec<f64>, String> {
        let start = (self.at - f64::from(RANGE.max(step))).to_string();
        let parameters = [
            ("query", text),
            ("start", &start),
            ("end", &self.at.to_string()),
            ("step", &step.to_string()),
        ];
        Ok(numbers(
            &self.ask("query_range", &parameters).await?["result"],
        ))
    }

    async fn values(&self, selector: &str, label: &str) -> Result<Vec<f64>, String> {
        let start = (self.at - f64::from(RANGE)).to_string();
        let parameters = [
            ("match[]", selector),
            ("start", &start),
            ("end", &self.at.to_string()),
        ];
        let values = self
            .ask(&format!("label/{label}/values"), &parameters)
            .await?;
        Ok(values.as_array().unwrap().iter().map(|_| 1.0).collect())
    }

    /// One that has a live record, and whose ended calls have been counted for a while: one sample is no increase.
    async fn extension_in_a_call(&self) -> String {
        let calls =
            r#"ringcentral_active_calls{account="busy",result="In Progress",extension=~"[0-9]+"}"#;
        let text = format!(
            "{calls} and on (extension) ringcentral_extension_calls_ended_total offset 30s"
        );
        let reply = self
            .ask("query", &[("query", &text), ("time", &self.at.to_string())])
            .await
            .unwrap();
        reply["result"][0]["metric"]["extension"]
            .as_str()
            .expect("a busy account has a call")
            .to_owned()
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
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
        let mut reply: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        if reply["status"] == "success" {
            Ok(reply["data"].take())
        } else {
            Err(text)
        }
    }
}

fn answer(
    choice: &Choice,
    dashboard: &Dashboard,
    kind: Kind,
    [panel, query]: [&str; 2],
    text: &str,
    now: Result<Vec<f64>, String>,
    ranged: Option<Result<Vec<f64>, String>>,
) -> Answer {
    let selectors = promql::parse(text)
        .map(|expr| promql::selectors(&expr))
        .unwrap_or_default();
    let (dashboard, panel, query) = (dashboard.stem.clone(), panel.to_owned(), query.to_owned());
    Answer {
        chosen: choice.chosen,
        dashboard,
        kind,
        panel,
        query,
        selectors,
        now,
        ranged,
    }
}

/// Seconds from point to point: Grafana's, on a screen that is wide enough.
fn step(panel: &Panel, target: &Target) -> u32 {
    let least = target.interval.as_ref().or(panel.interval.as_ref());
    least
        .map(|text| text.trim_start_matches('>'))
        .map_or(SCRAPE, seconds)
        .max(SCRAPE)
}

fn seconds(duration: &str) -> u32 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => panic!("a duration with another unit: {duration}"),
    };
    number.parse::<u32>().unwrap() * unit
}

/// All numbers of a result. What is not a number is drawn as nothing.
fn numbers(result: &Value) -> Vec<f64> {
    let series = result.as_array().into_iter().flatten();
    let samples = series.flat_map(|series| {
        let many = series["values"].as_array().into_iter().flatten();
        many.chain(series.get("value"))
            .filter_map(|sample| sample[1].as_str()?.parse::<f64>().ok())
            .collect::<Vec<_>>()
    });
    samples.filter(|number| !number.is_nan()).collect()
}

impl Answer {
    /// Where it stands.
    pub fn place(&self) -> String {
        format!(
            "{}, {:?} {}, {:?} chosen",
            self.dashboard, self.panel, self.query, self.chosen
        )
    }

    /// The numbers at the instant; none if there was an error.
    pub fn numbers(&self) -> &[f64] {
        self.now.as_deref().unwrap_or_default()
    }

    /// Whether a panel draws something.
    pub fn has_data(&self) -> bool {
        let ranged = self
            .ranged
            .as_ref()
            .is_none_or(|ranged| ranged.as_ref().is_ok_and(|numbers| !numbers.is_empty()));
        !self.numbers().is_empty() && ranged
    }

    pub fn is_of_panel(&self) -> bool {
        matches!(self.kind, Kind::Panel { .. })
    }
}
