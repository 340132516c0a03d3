//! What ended is what Prometheus says has ended, the first call of each pair included.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::record::Direction;
use ringcentral_exporter::simulator::{Operation, Record, Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::prometheus::PrometheusServer;

/// The pair of a record, as the series has it.
fn pair(record: &Record) -> (String, String) {
    let direction = match record.direction {
        Direction::Inbound => "Inbound",
        Direction::Outbound => "Outbound",
    };
    (
        direction.to_owned(),
        record.result.replace("Hang up", "Hang Up"),
    )
}

fn by_pair(records: &[Record]) -> BTreeMap<(String, String), f64> {
    let mut pairs = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind != "Fax") {
        *pairs.entry(pair(record)).or_insert(0.0) += 1.0;
    }
    pairs
}

#[tokio::test]
async fn three_minutes_of_a_busy_account_increase_by_what_ended() {
    let busy = Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, busy, 3).unwrap();
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    let prometheus = PrometheusServer::start(&[&url], Duration::from_secs(10)).await;
    sleep(Duration::from_secs(170)).await;
    program.signal("TERM").await;
    program.wait_for_exit().await;

    let journal = simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.operation == Some(Operation::ActiveCalls));
    let listed: Vec<_> = journal.filter_map(|entry| entry.listed_at_ms).collect();
    let (first, last) = (listed[0], listed[listed.len() - 1]);
    let truth = by_pair(&simulator.switchboard().ended_between(first, last));
    assert!(
        truth.len() >= 8 && truth.values().sum::<f64>() > 100.0,
        "{truth:?}"
    );

    let counters = "ringcentral_calls_ended_total[10m]";
    let latest = prometheus
        .values_by_labels(
            &format!("last_over_time({counters})"),
            ["direction", "result"],
        )
        .await;
    let earliest = prometheus
        .values_by_labels(
            &format!("min_over_time({counters})"),
            ["direction", "result"],
        )
        .await;
    let increase = prometheus
        .values_by_labels(&format!("increase({counters})"), ["direction", "result"])
        .await;
    for (pair, ended) in &truth {
        let grown = latest[pair] - earliest[pair];
        // A pair outside the list begins with its first call, and not with zero.
        let begun = if earliest[pair] > 0.0 {
            earliest[pair]
        } else {
            0.0
        };
        assert_eq!(grown + begun, *ended, "{pair:?}");
        if begun == 0.0 {
            // Prometheus stretches what it saw to the ends of the range, by an interval at the most.
            let stretched = increase[pair] / ended;
            assert!(
                (0.999..1.2).contains(&stretched),
                "{pair:?}: {} of {ended}",
                increase[pair]
            );
        }
    }
    let all = |values: &BTreeMap<(String, String), f64>| values.values().sum::<f64>();
    assert_eq!(
        all(&latest),
        all(&truth),
        "nothing was counted that did not end"
    );
    let sessions = prometheus
        .values("sum by (account) (last_over_time(ringcentral_call_sessions_ended_total[10m]))")
        .await;
    assert!(
        sessions
            .values()
            .all(|sessions| *sessions > 50.0 && *sessions <= all(&truth)),
        "{sessions:?}"
    );
}
