//! A Prometheus server on a free port, with a configuration and a store of its own.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::common::http;

/// A running server; it is killed when this is dropped.
pub struct Server {
    url: String,
    _child: Child,
    _folder: TempDir,
}

impl Server {
    /// Scrapes these exporters as the job `ringcentral`.
    pub async fn start(exporters: &[&str], interval: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let targets: Vec<_> = exporters.iter().map(|url| url.strip_prefix("http://").unwrap()).collect();
        let config = format!(
            "global: {{scrape_interval: {0}s, scrape_timeout: {0}s}}\n\
             scrape_configs: [{{job_name: ringcentral, static_configs: [{{targets: {targets:?}}}]}}]\n",
            interval.as_secs()
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is installed: `make tools` does it");
        let address = timeout(Duration::from_secs(30), ready(&mut child)).await.expect("Prometheus starts");
        Self { url: format!("http://{address}"), _child: child, _folder: folder }
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
    pub async fn by_labels(&self, expression: &str, names: [&str; 2]) -> BTreeMap<(String, String), f64> {
        let result = self.query(expression, &[]).await;
        let series = result.as_array().unwrap().iter();
        let label = |series: &Value, name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
        series.map(|series| ((label(series, names[0]), label(series, names[1])), number(&series["value"][1]))).collect()
    }

    /// When a family of one series was scraped, and what its value was.
    pub async fn scrapes(&self, family: &str) -> Vec<(f64, f64)> {
        let result = self.query(&format!("{family}[10m]"), &[]).await;
        let samples = result[0]["values"].as_array().unwrap().iter();
        samples.map(|sample| (sample[0].as_f64().unwrap(), number(&sample[1]))).collect()
    }

    async fn instant(&self, expression: &str, more: &[(&str, &str)]) -> BTreeMap<String, f64> {
        let result = self.query(expression, more).await;
        let series = result.as_array().unwrap().iter();
        series.map(|series| (written(&series["metric"]), number(&series["value"][1]))).collect()
    }

    async fn query(&self, expression: &str, more: &[(&str, &str)]) -> Value {
        let form = [&[("query", expression)], more].concat();
        let reply = http().post(format!("{}/api/v1/query", self.url)).form(&form).send().await.unwrap();
        let reply: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        assert_eq!(reply["status"], "success", "{expression}: {reply}");
        reply["data"]["result"].clone()
    }
}

/// Reads the log until the server is ready; gives its address, and goes on reading so that the pipe never fills.
async fn ready(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut address = None;
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, rest)) = line.split_once("msg=\"Listening on\" address=") {
            address = Some(rest.trim().to_owned());
        }
        if line.contains("Server is ready") {
            break;
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    address.expect("it tells its address")
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// The series with the labels that the exporter gave, in its order.
fn written(metric: &Value) -> String {
    let order = ["account", "direction", "result", "extension"];
    let label = |name: &&str| metric[*name].as_str().map(|value| format!("{name}=\"{value}\""));
    let labels: Vec<_> = order.iter().filter_map(label).collect();
    format!("{}{{{}}}", metric["__name__"].as_str().unwrap_or_default(), labels.join(","))
}
