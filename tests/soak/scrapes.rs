//! What the two Prometheus servers have kept of each scrape.
//!
//! Owns asking them, and putting the samples of a scrape together again. Judges nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::prometheus::PrometheusServer;

/// The families that are looked at.
const WANTED: &str = "up|scrape_duration_seconds|process_resident_memory_bytes|process_open_fds|ringcentral_up|\
    ringcentral_snapshot_timestamp_seconds|ringcentral_active_calls|ringcentral_calls_in_progress|\
    ringcentral_call_sessions_in_progress|ringcentral_extensions_in_call|\
    ringcentral_oldest_call_in_progress_start_timestamp_seconds|ringcentral_calls_ended_total|\
    ringcentral_call_duration_seconds_count|ringcentral_calls_lost_total|ringcentral_coverage_gaps_total|\
    ringcentral_api_blocked_until_timestamp_seconds|ringcentral_api_requests_total|\
    ringcentral_api_request_failures_total";

/// The order in which the exporter writes labels.
const LABELS: [&str; 7] = [
    "account",
    "direction",
    "result",
    "outcome",
    "extension",
    "operation",
    "reason",
];

/// One scrape by one server.
#[derive(Clone, Debug)]
pub struct Scrape {
    pub server: usize,
    pub at_ms: i64,
    pub samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// The one sample of a family without labels but the account's.
    pub fn value(&self, family: &str) -> Option<f64> {
        self.family(family).map(|(_, value)| value).next()
    }

    /// The samples of a family, by series.
    pub fn family(&self, family: &str) -> impl Iterator<Item = (&String, f64)> {
        let is_of = move |series: &&String| series.split('{').next() == Some(family);
        self.samples
            .keys()
            .filter(is_of)
            .map(|series| (series, self.samples[series]))
    }

    /// When it was answered, and rounded up.
    pub fn answered_ms(&self) -> i64 {
        self.at_ms + (self.value("scrape_duration_seconds").unwrap_or(0.0) * 1000.0).ceil() as i64
    }
}

/// All scrapes by a server in the seconds up to now, in order.
pub async fn of_late(pair: &[PrometheusServer], server: usize, seconds: u64) -> Vec<Scrape> {
    let query = format!("{{job=\"ringcentral\",__name__=~\"{WANTED}\"}}[{seconds}s]");
    let result = pair[server].query(&query, &[]).await;
    let mut scrapes: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
    for series in result.as_array().unwrap() {
        let name = written(&series["metric"]);
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

fn written(metric: &Value) -> String {
    let label = |name: &&str| {
        metric[*name]
            .as_str()
            .map(|value| format!("{name}=\"{value}\""))
    };
    let labels: Vec<_> = LABELS.iter().filter_map(label).collect();
    format!(
        "{}{{{}}}",
        metric["__name__"].as_str().unwrap(),
        labels.join(",")
    )
}
