//! Tests of OpenMetrics 1.0 over HTTP: which clients get it, what is the same as in text format 0.0.4, and created times.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use ringcentral_exporter::config::{Config, PresenceMode};
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};
use tokio::time::timeout;

use crate::common::clock::ManualClock;
use crate::common::unlimited_requests;
use crate::common::{MAX_WAIT, call_list};
use crate::harness::{ScrapeResponse, TestExporter};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const ACCEPT: (&str, &str) = ("Accept", "application/openmetrics-text");
/// The header of Prometheus 2.
const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
/// The header of Prometheus 3 with created timestamps.
const PROMETHEUS_3: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

fn all_flags(config: &mut Config) {
    config.accounts[0].presence = PresenceMode::Events;
    let metrics = &mut config.settings.metrics;
    metrics.extension_info = true;
    metrics.extension_calls = true;
    metrics.extension_presence = true;
}

/// Returns the samples, without created times and with bounds as in text format 0.0.4.
fn text_samples(response: &ScrapeResponse) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for (series, value) in response.samples() {
        if !series.split('{').next().unwrap().ends_with("_created") {
            samples.insert(series.replace(".0\"}", "\"}"), value);
        }
    }
    samples
}

/// Returns the created time of a counter.
#[track_caller]
fn created(response: &ScrapeResponse, series: &str) -> f64 {
    response.value(&series.replacen("_total", "_created", 1))
}

#[tokio::test]
async fn accept_header_selects_the_format() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    for path in ["/metrics", "/metrics?account=default", "/-/metrics"] {
        for (accept, content_type) in [
            ("*/*", TEXT),
            ("text/html, application/*;q=0.9", TEXT),
            ("text/plain;version=0.0.4", TEXT),
            ("application/openmetrics-text;version=0.0.1", TEXT),
            ("application/openmetrics-text, text/plain", TEXT),
            ("application/openmetrics-text;q=0, text/plain;q=0", TEXT),
            ("application/openmetrics-text", OPEN_METRICS),
            (PROMETHEUS_2, OPEN_METRICS),
            (PROMETHEUS_3, OPEN_METRICS),
        ] {
            let response = exporter.get(path, &[("Accept", accept)]).await;
            assert_eq!(response.status, 200);
            let headers = &response.headers;
            assert_eq!(headers["content-type"], content_type, "{path} {accept}");
            assert_eq!(headers["vary"], "Accept, Accept-Encoding");
            let has_end = response.text.ends_with("\n# EOF\n");
            assert_eq!(has_end, content_type == OPEN_METRICS, "{path} {accept}");
        }
        let without = exporter.get(path, &[]).await;
        assert_eq!(without.headers["content-type"], TEXT);
    }
}

#[tokio::test]
async fn both_formats_have_the_same_samples() {
    let clock = ManualClock::starting_now();
    let exporter = TestExporter::start_with(clock.attach_to(Scenario::normal()), all_flags).await;
    exporter.scrape().await;
    exporter.wait_for_requests(Operation::Presence, 1).await;
    let scrapes = async || loop {
        let before = exporter.get("/metrics?account=default", &[]).await;
        let open_metrics = exporter.get("/metrics?account=default", &[ACCEPT]).await;
        let after = exporter.get("/metrics?account=default", &[]).await;
        let is_up = before.value("ringcentral_presence_up{account=\"default\"}") == 1.0;
        // Otherwise something was counted in between.
        if is_up && before.text == after.text {
            return (before, open_metrics);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let (text, open_metrics) = timeout(MAX_WAIT, scrapes()).await.unwrap();
    assert_eq!(text_samples(&open_metrics), text.samples());
    let order = |response: &ScrapeResponse| {
        let lines = response
            .text
            .lines()
            .map(|line| line.replace(".0\"}", "\"}"));
        let samples = lines.filter(|line| !line.starts_with('#'));
        let samples = samples.filter(|line| !line.split('{').next().unwrap().ends_with("_created"));
        samples.collect::<Vec<_>>()
    };
    assert_eq!(order(&open_metrics), order(&text));
    let exporter_only = exporter.get("/-/metrics", &[ACCEPT]).await;
    let cpu_created = exporter_only.value("process_cpu_seconds_created");
    assert_eq!(
        cpu_created,
        exporter_only.value("process_start_time_seconds")
    );
}

#[tokio::test]
async fn created_line_follows_each_counter() {
    let exporter = TestExporter::start_with(Scenario::normal(), all_flags).await;
    exporter.scrape().await;
    let response = exporter.get("/metrics", &[ACCEPT]).await;
    let mut counters = 0;
    let mut lines = response.text.lines().peekable();
    while let Some(line) = lines.next() {
        let series = line.rsplit_once(' ').unwrap().0;
        let name = series.split('{').next().unwrap();
        if let Some(family) = name.strip_suffix("_total") {
            counters += 1;
            let created = format!("{family}_created{} ", &series[name.len()..]);
            assert!(lines.next().unwrap().starts_with(&created), "{line}");
        } else {
            assert!(!name.ends_with("_created"), "{line}");
        }
    }
    assert!(counters > 300, "{counters}");
}

#[tokio::test]
async fn number_of_created_series_is_documented() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    exporter.scrape().await;
    let response = exporter.get("/metrics", &[ACCEPT]).await;
    let samples = response.samples();
    let names = samples
        .keys()
        .map(|series| series.split('{').next().unwrap());
    let created = names.filter(|name| name.ends_with("_created")).count();
    for (document, text) in [
        (
            "METRICS.md",
            format!("series of its own: {created} for one account"),
        ),
        (
            "UPGRADING.md",
            format!("are {created} more series for one account"),
        ),
    ] {
        let path = format!("{}/docs/{document}", env!("CARGO_MANIFEST_DIR"));
        let document = std::fs::read_to_string(path).unwrap();
        assert!(document.contains(&text), "{text}");
    }
}

#[tokio::test]
async fn openmetrics_is_gzipped_and_announces_its_length() {
    let exporter = TestExporter::start_with(Scenario::normal(), all_flags).await;
    let request = |method: &str, headers: &str| {
        format!(
            "{method} /-/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Accept: application/openmetrics-text\r\n{headers}\r\n"
        )
    };
    let (head, body) = exporter.send_raw(&request("GET", "")).await;
    let len = body.len();
    let length = format!("content-length: {len}\r\n");
    assert!(head.to_lowercase().contains(&length), "{head}");
    let (head, body) = exporter.send_raw(&request("HEAD", "")).await;
    assert!(head.contains(OPEN_METRICS) && body.is_empty(), "{head}");
    // The text can differ in length from the one before, but not by half.
    let announced = head.to_lowercase();
    let announced = announced.split("content-length: ").nth(1).unwrap();
    let announced: usize = announced.lines().next().unwrap().parse().unwrap();
    assert!(announced > len / 2, "{announced}");
    let http = &exporter.http;
    let url = format!("{}/metrics", exporter.url);
    let scrape = http.get(url).header("Accept-Encoding", "gzip");
    let response = scrape.header(ACCEPT.0, ACCEPT.1).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let body = response.bytes().await.unwrap();
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    decoder.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
}

/// Returns the time of the list that a response shows.
fn snapshot(response: &ScrapeResponse) -> f64 {
    response.value("ringcentral_snapshot_timestamp_seconds{account=\"default\"}")
}

/// Scrapes until the response shows a list later than `time`.
async fn scrape_next(exporter: &TestExporter, time: f64) -> ScrapeResponse {
    let scrape = async || loop {
        let response = exporter.get("/metrics", &[ACCEPT]).await;
        if snapshot(&response) > time {
            return response;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    timeout(MAX_WAIT, scrape()).await.unwrap()
}

#[tokio::test]
async fn late_series_was_0_at_the_start() {
    let clock = ManualClock::starting_now();
    let scenario = clock.attach_to(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    });
    let exporter = TestExporter::start_with(scenario, all_flags).await;
    let list = |result: &str| {
        let body = FaultKind::Body(call_list(result).into());
        exporter.simulator.clear_faults();
        let fault = Fault::always(Operation::ActiveCalls, body);
        exporter.simulator.inject(fault);
    };
    let odd =
        "ringcentral_calls_ended_total{account=\"default\",direction=\"Inbound\",result=\"Odd\"}";
    let odd_by_extension = "ringcentral_extension_calls_ended_total{account=\"default\",extension=\"4711\",result=\"Odd\"}";
    let initial = "ringcentral_calls_ended_total{account=\"default\",direction=\"Inbound\",result=\"Missed\"}";
    let first = scrape_next(&exporter, 0.0).await;
    let start = created(&first, initial);
    assert!(snapshot(&first) >= start);
    list("In Progress");
    let previous = scrape_next(&exporter, snapshot(&first)).await;
    assert!(!previous.text.contains("Odd"));
    list("Odd");
    let ended = scrape_next(&exporter, snapshot(&previous)).await;
    let later = scrape_next(&exporter, snapshot(&ended)).await;
    for response in [&ended, &later] {
        assert_eq!(response.value(odd), 1.0);
        // The exporter is younger than the longest scrape.
        for series in [odd, odd_by_extension, initial] {
            assert_eq!(created(response, series), start, "{series}");
        }
    }
}
