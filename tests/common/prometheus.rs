//! A Prometheus server on a free port, with a configuration and a data directory of its own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::background_process::BackgroundProcess;

/// Unpacked by `make tools`.
const PROMETHEUS_3: &str = ".cache/tools/prometheus-3/usr/bin/prometheus";

/// The configuration of a server that is not started yet.
pub struct PrometheusBuilder {
    program: PathBuf,
    flags: Vec<String>,
    targets: Vec<String>,
    job_options: String,
    other_targets: Vec<String>,
    interval: Duration,
    rule_files: Vec<PathBuf>,
    alertmanager: Option<String>,
    data_dir: Option<PathBuf>,
    /// The whole configuration file, in place of the fields above.
    config: Option<String>,
}

/// A running server, killed on drop.
pub struct PrometheusServer {
    url: String,
    process: BackgroundProcess,
    _folder: TempDir,
}

impl PrometheusBuilder {
    /// Creates a configuration that scrapes these exporters as the job `ringcentral`.
    pub fn new(exporters: &[&str], interval: Duration) -> Self {
        Self {
            program: "prometheus".into(),
            flags: Vec::new(),
            targets: addresses(exporters),
            job_options: String::new(),
            other_targets: Vec::new(),
            interval,
            rule_files: Vec::new(),
            alertmanager: None,
            data_dir: None,
            config: None,
        }
    }

    /// Creates a configuration from the text of a configuration file.
    pub fn from_config(config: &str) -> Self {
        Self {
            config: Some(config.to_owned()),
            ..Self::new(&[], Duration::from_secs(60))
        }
    }

    /// Runs Prometheus 3 in place of the one on the path.
    pub fn version_3(mut self) -> Self {
        self.program = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROMETHEUS_3);
        self
    }

    /// Adds a flag.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Adds targets of the job `other`.
    pub fn other_targets(mut self, urls: &[&str]) -> Self {
        self.other_targets = addresses(urls);
        self
    }

    /// Adds keys to the job `ringcentral`, in YAML's flow style.
    pub fn job_options(mut self, keys: &str) -> Self {
        self.job_options = format!(", {keys}");
        self
    }

    /// Evaluates these rule files at the scrape interval.
    pub fn rule_files(mut self, files: &[PathBuf]) -> Self {
        self.rule_files = files.to_vec();
        self
    }

    /// Sends alerts to the Alertmanager at this address.
    pub fn alertmanager(mut self, address: &str) -> Self {
        self.alertmanager = Some(address.to_owned());
        self
    }

    /// Uses an existing data directory in place of an empty one.
    pub fn data_dir(mut self, folder: &Path) -> Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(self) -> PrometheusServer {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, self.config_file()).unwrap();
        let data_dir = self.data_dir.unwrap_or_else(|| folder.path().join("data"));
        let mut command = Command::new(self.program);
        command
            .args(self.flags)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data_dir.display()))
            .args([
                "--storage.tsdb.retention.time=30d",
                "--web.listen-address=127.0.0.1:0",
                "--web.enable-lifecycle",
            ]);
        let process = BackgroundProcess::start(&mut command);
        let url = format!("http://{}", process.wait_for_address().await);
        process.wait_for_log("Server is ready").await;
        PrometheusServer {
            url,
            process,
            _folder: folder,
        }
    }

    /// Returns the text of the configuration file.
    fn config_file(&self) -> String {
        if let Some(config) = &self.config {
            return config.clone();
        }
        let Self {
            targets,
            job_options,
            other_targets,
            rule_files,
            ..
        } = self;
        let seconds = self.interval.as_secs();
        let mut config = format!(
            "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s, evaluation_interval: {seconds}s}}\n\
             scrape_configs: [{{job_name: ringcentral, static_configs: [{{targets: {targets:?}}}]{job_options}}}, \
             {{job_name: other, static_configs: [{{targets: {other_targets:?}}}]}}]\n\
             rule_files: {rule_files:?}\n"
        );
        if let Some(address) = &self.alertmanager {
            let manager = format!("{{static_configs: [{{targets: [{address:?}]}}]}}");
            writeln!(config, "alerting: {{alertmanagers: [{manager}]}}").unwrap();
        }
        config
    }
}

/// Returns the `HOST:PORT` of each URL.
fn addresses(urls: &[&str]) -> Vec<String> {
    urls.iter()
        .map(|url| url.split_once("://").unwrap().1.to_owned())
        .collect()
}

impl PrometheusServer {
    /// Starts a server that scrapes these exporters.
    pub async fn start(exporters: &[&str], interval: Duration) -> Self {
        PrometheusBuilder::new(exporters, interval).start().await
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Returns the current values of an expression by series, as the exporter writes them.
    pub async fn values(&self, expression: &str) -> BTreeMap<String, f64> {
        self.instant_values(expression, &[]).await
    }

    /// Returns the values of a family at a time, in Unix seconds.
    pub async fn values_at(&self, family: &str, time: f64) -> BTreeMap<String, f64> {
        let time = format!("{time:.3}");
        self.instant_values(family, &[("time", &time)]).await
    }

    /// Returns the current values of an expression by two of its labels.
    pub async fn values_by_labels(
        &self,
        expression: &str,
        names: [&str; 2],
    ) -> BTreeMap<(String, String), f64> {
        let result = self.query(expression, &[]).await;
        let label = |series: &Value, name: &str| {
            let value = series["metric"][name].as_str();
            value.unwrap_or_default().to_owned()
        };
        let mut values = BTreeMap::new();
        for series in result.as_array().unwrap() {
            let labels = (label(series, names[0]), label(series, names[1]));
            values.insert(labels, parse_value(&series["value"][1]));
        }
        values
    }

    /// Returns the samples of the last ten minutes of a family with one series: (Unix seconds,
    /// value).
    pub async fn samples_with_times(&self, family: &str) -> Vec<(f64, f64)> {
        let result = self.query(&format!("{family}[10m]"), &[]).await;
        let samples = result[0]["values"].as_array().unwrap().iter();
        samples
            .map(|sample| (sample[0].as_f64().unwrap(), parse_value(&sample[1])))
            .collect()
    }

    /// Returns the values of an instant query by series.
    async fn instant_values(
        &self,
        expression: &str,
        parameters: &[(&str, &str)],
    ) -> BTreeMap<String, f64> {
        let result = self.query(expression, parameters).await;
        let mut values = BTreeMap::new();
        for series in result.as_array().unwrap() {
            values.insert(
                series_text(&series["metric"]),
                parse_value(&series["value"][1]),
            );
        }
        values
    }

    /// Returns the result of an expression, with further parameters of the query.
    pub async fn query(&self, expression: &str, parameters: &[(&str, &str)]) -> Value {
        self.get_api("query", &[&[("query", expression)], parameters].concat())
            .await["result"]
            .clone()
    }

    /// Returns the data at a path of the API, such as `alerts`.
    pub async fn get_api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let parameters = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let body = super::get(&format!("{}/api/v1/{path}?{parameters}", self.url)).await;
        let response: Value =
            serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}?{parameters}: {body}"));
        assert_eq!(
            response["status"], "success",
            "{path}?{parameters}: {response}"
        );
        response["data"].clone()
    }
}

/// Parses a sample value, which the API writes as a string.
fn parse_value(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Returns a series as the exporter writes it: its own labels, in its order.
fn series_text(metric: &Value) -> String {
    let mut labels = Vec::new();
    for name in ["account", "direction", "result", "extension"] {
        if let Some(value) = metric[name].as_str() {
            labels.push(format!("{name}=\"{value}\""));
        }
    }
    let name = metric["__name__"].as_str().unwrap_or_default();
    format!("{name}{{{}}}", labels.join(","))
}
