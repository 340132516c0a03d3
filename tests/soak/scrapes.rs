//! Scrapes as the two Prometheus servers have stored them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::prometheus::PrometheusServer;

/// The families that the checks use.
const FAMILIES: [&str; 18] = [
    "up",
    "scrape_duration_seconds",
    "process_resident_memory_bytes",
    "process_open_fds",
    "ringcentral_up",
    "ringcentral_snapshot_timestamp_seconds",
    "ringcentral_active_calls",
    "ringcentral_calls_in_progress",
    "ringcentral_call_sessions_in_progress",
    "ringcentral_extensions_in_call",
    "ringcentral_oldest_call_in_progress_start_timestamp_seconds",
    "ringcentral_calls_ended_total",
    "ringcentral_call_duration_seconds_count",
    "ringcentral_calls_lost_total",
    "ringcentral_coverage_gaps_total",
    "ringcentral_api_blocked_until_timestamp_seconds",
    "ringcentral_api_requests_total",
    "ringcentral_api_request_failures_total",
];

/// Label names in the order of the exposition.
const LABELS: [&str; 7] = [
    "account",
    "direction",
    "result",
    "outcome",
    "extension",
    "operation",
    "reason",
];

/// A scrape by one server.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// Index of the server.
    pub server: usize,
    pub at_ms: i64,
    /// Sample values by series.
    pub samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Returns the value of the first series of a family.
    pub fn value(&self, family: &str) -> Option<f64> {
        self.family(family).map(|(_, value)| value).next()
    }

    /// Returns the samples of a family.
    pub fn family(&self, family: &str) -> impl Iterator<Item = (&String, f64)> {
        self.samples
            .iter()
            .filter(move |(series, _)| series.split('{').next() == Some(family))
            .map(|(series, value)| (series, *value))
    }

    /// Returns the time of the response, rounded up.
    pub fn answered_ms(&self) -> i64 {
        self.at_ms + (self.value("scrape_duration_seconds").unwrap_or(0.0) * 1000.0).ceil() as i64
    }
}

/// Returns the scrapes of a server in this number of seconds until now, in order.
pub async fn recent(servers: &[PrometheusServer], server: usize, seconds: u64) -> Vec<Scrape> {
    let families = FAMILIES.join("|");
    let query = format!("{{job=\"ringcentral\",__name__=~\"{families}\"}}[{seconds}s]");
    let result = servers[server].query(&query, &[]).await;
    let mut scrapes: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
    for series in result.as_array().unwrap() {
        let name = series_name(&series["metric"]);
        for sample in series["values"].as_array().unwrap() {
            let at_ms = (sample[0].as_f64().unwrap() * 1000.0).round() as i64;
            let value = sample[1].as_str().unwrap().parse().unwrap();
            scrapes
                .entry(at_ms)
                .or_default()
                .insert(name.clone(), value);
        }
    }
    scrapes
        .into_iter()
        .map(|(at_ms, samples)| Scrape {
            server,
            at_ms,
            samples,
        })
        .collect()
}

/// Formats a series as the exposition does.
fn series_name(metric: &Value) -> String {
    let mut labels = Vec::new();
    for name in LABELS {
        if let Some(value) = metric[name].as_str() {
            labels.push(format!("{name}=\"{value}\""));
        }
    }
    format!(
        "{}{{{}}}",
        metric["__name__"].as_str().unwrap(),
        labels.join(",")
    )
}
