//! A Prometheus server on a free port, with a configuration and a store of its own.
//!
//! Knows how to start one and to ask it. What is scraped, and what the answers should be, is for the tests to say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::background_process::BackgroundProcess;

/// What a server is to do.
pub struct Setup {
    targets: Vec<String>,
    job: String,
    others: Vec<String>,
    interval: Duration,
    rules: Vec<PathBuf>,
    alertmanager: Option<String>,
    data: Option<PathBuf>,
    whole: Option<String>,
}

/// A running server; it is killed when this is dropped.
pub struct Server {
    url: String,
    daemon: BackgroundProcess,
    _folder: TempDir,
}

impl Setup {
    /// Scrapes these exporters as the job `ringcentral`, and nothing else.
    pub fn new(exporters: &[&str], interval: Duration) -> Self {
        let targets = addresses(exporters);
        let (job, others, rules) = (String::new(), Vec::new(), Vec::new());
        Self {
            targets,
            job,
            others,
            interval,
            rules,
            alertmanager: None,
            data: None,
            whole: None,
        }
    }

    /// Does what this configuration says, and nothing else.
    pub fn configured(whole: &str) -> Self {
        Self {
            whole: Some(whole.to_owned()),
            ..Self::new(&[], Duration::from_secs(60))
        }
    }

    /// Scrapes these programs too, as the job `other`.
    pub fn others(mut self, programs: &[&str]) -> Self {
        self.others = addresses(programs);
        self
    }

    /// Scrapes by this too: further keys of the job, in YAML's flow style.
    pub fn job(mut self, keys: &str) -> Self {
        self.job = format!(", {keys}");
        self
    }

    /// Evaluates these files of rules, as often as it scrapes.
    pub fn rules(mut self, files: &[PathBuf]) -> Self {
        self.rules = files.to_vec();
        self
    }

    /// Sends alerts to the Alertmanager at this address.
    pub fn alertmanager(mut self, address: &str) -> Self {
        self.alertmanager = Some(address.to_owned());
        self
    }

    /// Goes on with the store in this folder.
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(self) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, self.config()).unwrap();
        let data = self.data.unwrap_or_else(|| folder.path().join("data"));
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args([
                "--storage.tsdb.retention.time=30d",
                "--web.listen-address=127.0.0.1:0",
                "--web.enable-lifecycle",
            ]);
        let daemon = BackgroundProcess::start(&mut command);
        let url = format!("http://{}", daemon.address().await);
        daemon.logs("Server is ready").await;
        Server {
            url,
            daemon,
            _folder: folder,
        }
    }

    fn config(&self) -> String {
        self.whole.clone().unwrap_or_else(|| self.put_together())
    }

    fn put_together(&self) -> String {
        let (targets, rules, seconds, job) = (
            &self.targets,
            &self.rules,
            self.interval.as_secs(),
            &self.job,
        );
        let others = &self.others;
        let mut config = format!(
            "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s, evaluation_interval: {seconds}s}}\n\
             scrape_configs: [{{job_name: ringcentral, static_configs: [{{targets: {targets:?}}}]{job}}}, \
             {{job_name: other, static_configs: [{{targets: {others:?}}}]}}]\n\
             rule_files: {rules:?}\n"
        );
        if let Some(address) = &self.alertmanager {
            let manager = format!("{{static_configs: [{{targets: [{address:?}]}}]}}");
            writeln!(config, "alerting: {{alertmanagers: [{manager}]}}").unwrap();
        }
        config
    }
}

fn addresses(urls: &[&str]) -> Vec<String> {
    urls.iter()
        .map(|url| url.split_once("://").unwrap().1.to_owned())
        .collect()
}

impl Server {
    /// Scrapes these exporters, and no more.
    pub async fn start(exporters: &[&str], interval: Duration) -> Self {
        Setup::new(exporters, interval).start().await
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The latest samples of an expression, by series as the exporter wrote them.
    pub async fn values(&self, expression: &str) -> BTreeMap<String, f64> {
        self.instant(expression, &[]).await
    }

    /// The samples of a family at a scrape.
    pub async fn values_at(&self, family: &str, at: f64) -> BTreeMap<String, f64> {
        self.instant(family, &[("time", &format!("{at:.3}"))]).await
    }

    /// The values of an expression by two of its labels.
    pub async fn by_labels(
        &self,
        expression: &str,
        names: [&str; 2],
    ) -> BTreeMap<(String, String), f64> {
        let result = self.query(expression, &[]).await;
        let series = result.as_array().unwrap().iter();
        let label = |series: &Value, name: &str| {
            series["metric"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        series
            .map(|series| {
                (
                    (label(series, names[0]), label(series, names[1])),
                    number(&series["value"][1]),
                )
            })
            .collect()
    }

    /// When a family of one series was scraped, and what its value was.
    pub async fn scrapes(&self, family: &str) -> Vec<(f64, f64)> {
        let result = self.query(&format!("{family}[10m]"), &[]).await;
        let samples = result[0]["values"].as_array().unwrap().iter();
        samples
            .map(|sample| (sample[0].as_f64().unwrap(), number(&sample[1])))
            .collect()
    }

    async fn instant(&self, expression: &str, more: &[(&str, &str)]) -> BTreeMap<String, f64> {
        let result = self.query(expression, more).await;
        let series = result.as_array().unwrap().iter();
        series
            .map(|series| (written(&series["metric"]), number(&series["value"][1])))
            .collect()
    }

    /// The result of an expression.
    pub async fn query(&self, expression: &str, more: &[(&str, &str)]) -> Value {
        self.api("query", &[&[("query", expression)], more].concat())
            .await["result"]
            .clone()
    }

    /// The data that it answers at a path of its API, such as `alerts`.
    pub async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let parameters = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let reply = super::get(&format!("{}/api/v1/{path}?{parameters}", self.url)).await;
        let reply: Value =
            serde_json::from_str(&reply).unwrap_or_else(|_| panic!("{path}?{parameters}: {reply}"));
        assert_eq!(reply["status"], "success", "{path}?{parameters}: {reply}");
        reply["data"].clone()
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// The series with the labels that the exporter gave, in its order.
fn written(metric: &Value) -> String {
    let order = ["account", "direction", "result", "extension"];
    let label = |name: &&str| {
        metric[*name]
            .as_str()
            .map(|value| format!("{name}=\"{value}\""))
    };
    let labels: Vec<_> = order.iter().filter_map(label).collect();
    format!(
        "{}{{{}}}",
        metric["__name__"].as_str().unwrap_or_default(),
        labels.join(",")
    )
}
