//! `increase()` in Prometheus equals the number of ended calls, including the first call of a
//! series.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::record::Direction;
use ringcentral_exporter::simulator::{Operation, Record, Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::prometheus::PrometheusServer;

/// Direction and result.
type Labels = (String, String);

/// Returns the label values of the series that counts a record.
fn labels(record: &Record) -> Labels {
    let direction = match record.direction {
        Direction::Inbound => "Inbound",
        Direction::Outbound => "Outbound",
    };
    (
        direction.to_owned(),
        record.result.replace("Hang up", "Hang Up"),
    )
}

fn count_by_labels(records: &[Record]) -> BTreeMap<Labels, f64> {
    let mut counts = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind != "Fax") {
        *counts.entry(labels(record)).or_insert(0.0) += 1.0;
    }
    counts
}

fn sum(values: &BTreeMap<Labels, f64>) -> f64 {
    values.values().sum()
}

/// Returns the values of an expression over `ringcentral_calls_ended_total` of the last ten
/// minutes.
async fn query(prometheus: &PrometheusServer, function: &str) -> BTreeMap<Labels, f64> {
    let expression = format!("{function}(ringcentral_calls_ended_total[10m])");
    prometheus
        .values_by_labels(&expression, ["direction", "result"])
        .await
}

#[tokio::test]
async fn increase_equals_ended_calls_of_busy_account() {
    let busy = Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, busy, 3).unwrap();
    let mut exporter = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = exporter.wait_for_url().await;
    let prometheus = PrometheusServer::start(&[&url], Duration::from_secs(10)).await;
    sleep(Duration::from_secs(170)).await;
    exporter.signal("TERM").await;
    exporter.wait_for_exit().await;

    let list_times: Vec<_> = simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.operation == Some(Operation::ActiveCalls))
        .filter_map(|entry| entry.listed_at_ms)
        .collect();
    let (first, last) = (list_times[0], list_times[list_times.len() - 1]);
    let expected = count_by_labels(&simulator.switchboard().ended_between(first, last));
    assert!(
        expected.len() >= 8 && sum(&expected) > 100.0,
        "{expected:?}"
    );

    let latest = query(&prometheus, "last_over_time").await;
    let earliest = query(&prometheus, "min_over_time").await;
    let increase = query(&prometheus, "increase").await;
    for (labels, ended) in &expected {
        assert_eq!(latest[labels], *ended, "{labels:?}");
        if earliest[labels] > 0.0 {
            continue;
        }
        // Prometheus extrapolates to the ends of the range, by at most one interval.
        let extrapolation = increase[labels] / ended;
        assert!(
            (0.999..1.2).contains(&extrapolation),
            "{labels:?}: {} of {ended}",
            increase[labels]
        );
    }
    assert_eq!(
        sum(&latest),
        sum(&expected),
        "calls were counted that did not end"
    );
    let sessions = prometheus
        .values("sum by (account) (last_over_time(ringcentral_call_sessions_ended_total[10m]))")
        .await;
    assert!(
        sessions
            .values()
            .all(|count| *count > 50.0 && *count <= sum(&expected)),
        "{sessions:?}"
    );
}
