//! A counter that first appears with 1: Prometheus 3 with created timestamps sees its increase, without them it does not.
//!
//! `make prometheus-3` runs these tests, with Prometheus 3.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::common::{MAX_WAIT, call_list, unlimited_requests};

const FEATURE: &str = "--enable-feature=created-timestamp-zero-ingestion";
const SERIES: &str = "{__name__=~\"ringcentral_(extension_)?calls_ended_total\",result=\"Odd\"}";
/// The file with the step that drops the created times as series.
const SHIPPED_CONFIG: &str = include_str!("../../deploy/prometheus/prometheus.yml");

/// Returns the step of the shipped file, in YAML's flow style.
fn drop_created() -> String {
    let (_, steps) = SHIPPED_CONFIG
        .split_once("metric_relabel_configs:")
        .unwrap();
    let mut fields = Vec::new();
    for line in steps.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line
            .trim_start_matches([' ', '-'])
            .split_once(": ")
            .unwrap();
        let value = if name == "regex" {
            format!("{value:?}")
        } else {
            value.to_owned()
        };
        fields.push(format!("{name}: {value}"));
    }
    format!("metric_relabel_configs: [{{{}}}]", fields.join(", "))
}

/// Returns an account whose limit allows a fetch for every scrape.
async fn simulator() -> Simulator {
    let scenario = Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 1).unwrap()
}

/// Responds to all further requests with a list of one call with this result, and waits for three of them.
async fn list_call(simulator: &Simulator, result: &str) {
    let body = FaultKind::Body(call_list(result).into());
    simulator.clear_faults();
    simulator.inject(Fault::always(Operation::ActiveCalls, body));
    let count = || simulator.journal().len();
    let deadline = Instant::now() + MAX_WAIT;
    let before = count();
    while count() < before + 3 {
        assert!(Instant::now() < deadline, "no further fetches");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Returns the values of a function over the counters of the last minute, after three samples of each.
async fn values(prometheus: &PrometheusServer, function: &str) -> Vec<f64> {
    let enough = format!("count_over_time({SERIES}[1m]) >= 3");
    let deadline = Instant::now() + MAX_WAIT;
    while prometheus.values(&enough).await.len() < 2 {
        assert!(Instant::now() < deadline, "too few samples");
        sleep(Duration::from_millis(200)).await;
    }
    let values = prometheus
        .values(&format!("{function}({SERIES}[1m])"))
        .await;
    values.into_values().collect()
}

#[tokio::test]
async fn created_time_shows_the_first_increase() {
    let compose = include_str!("../../deploy/compose/compose.yaml");
    assert!(compose.contains(FEATURE));
    let simulator = simulator().await;
    let flags = [
        "--web.listen-address",
        "127.0.0.1:0",
        "--metrics.extension-calls",
    ];
    let mut exporter = ExporterProcess::start(command_for_simulator(&simulator, &flags));
    let url = exporter.wait_for_url().await;
    let server = || {
        let builder = PrometheusBuilder::new(&[&url], Duration::from_secs(1));
        builder.version_3().job_options(&drop_created())
    };
    let with = server().flag(FEATURE).start().await;
    let without = server().start().await;
    list_call(&simulator, "In Progress").await;
    list_call(&simulator, "Odd").await;
    assert_eq!(values(&with, "min_over_time").await, [0.0, 0.0]);
    assert_eq!(values(&without, "min_over_time").await, [1.0, 1.0]);
    // Prometheus extrapolates, but not below 0.
    let increases = values(&with, "increase").await;
    assert!(
        increases.iter().all(|it| (0.9..2.0).contains(it)),
        "{increases:?}"
    );
    assert_eq!(values(&without, "increase").await, [0.0, 0.0]);
    for server in [&with, &without] {
        for family in [
            "ringcentral_calls_ended",
            "ringcentral_api_requests",
            "process_cpu_seconds",
        ] {
            let resets = server
                .values(&format!("resets({family}_total[5m]) > 0"))
                .await;
            assert!(resets.is_empty(), "{resets:?}");
        }
        let names = server.values("{__name__=~\".+_created\"}").await;
        assert!(names.is_empty(), "{names:?}");
    }
}
