//! End-to-end tests of the alerts: the demo, Prometheus with the shipped rules, Alertmanager and a webhook.
//!
//! The tests use copies of the rules in which every `for` and `keep_firing_for` is a few seconds. promtool's unit tests
//! in `deploy/prometheus/tests` cover the real durations and the thresholds.
//!
//! Requires `prometheus`, `promtool` and `prometheus-alertmanager` on the path (`make tools` installs them). Takes about
//! five minutes, because the surge of the demo has to rise and the outage has to last.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod alertmanager;
mod backfill;
#[path = "../common/mod.rs"]
mod common;
mod harness;
mod notification;
mod rules;
mod webhook;

use std::time::Duration;

use common::exporter_process::{ExporterProcess, command_for_simulator};
use common::prometheus::{PrometheusBuilder, PrometheusServer};
use common::{demo, get};
use harness::{AlertPipeline, INTERVAL, TIMEOUT};
use notification::{has_name, numbers, problems};
use ringcentral_exporter::simulator::{Scenario, Simulator};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// Alert on unusually many calls.
const VOLUME: &str = "RingCentralCallVolumeHigh";
/// Alert on failing API requests.
const FAILING: &str = "RingCentralAPIFailing";
/// Alert on presence that is not current.
const PRESENCE: &str = "RingCentralPresenceDown";
/// Metric of the calls in progress.
const CALLS: &str = "ringcentral_call_sessions_in_progress";

/// Usual calls in progress of a normal account. The demo has about 27, between 16 and 46, and more than 60 in its surge.
const USUAL: f64 = 25.0;
/// Usual calls in progress of a busy account, for which the surge of the demo is not unusual.
const USUAL_WHEN_BUSY: f64 = 60.0;

#[tokio::test]
async fn surge_and_outage_are_notified_and_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules::copy_with_short_durations(folder.path());
    let (surge, url, _) = demo::start(&["--demo.scenario", "surge"]).await;
    wait_for_surge(&url).await;
    let usual_data = backfill::create(folder.path(), "usual", USUAL);
    let pipeline = AlertPipeline::start(&url, &usual_data, &rules).await;
    let busy_data = backfill::create(folder.path(), "busy", USUAL_WHEN_BUSY);
    let busy = PrometheusBuilder::new(&[&url], INTERVAL)
        .rule_files(&rules)
        .data_dir(&busy_data)
        .start()
        .await;

    assert_surge_notified(&pipeline).await;
    assert_no_alert_where_surge_is_usual(&busy).await;
    drop(busy);
    let outage = replace_with_outage(surge, &url).await;
    tokio::join!(
        pipeline.wait_for_resolved(VOLUME),
        assert_outage_notified_and_resolved(&pipeline)
    );
    drop(outage);

    let notifications = pipeline.notifications();
    notifications.iter().for_each(print_summary);
    let problems: Vec<_> = notifications.iter().flat_map(problems).collect();
    assert!(
        problems.is_empty(),
        "{problems:#?}\n{}",
        pipeline.diagnostics().await
    );
}

/// The app of this account lacks *Read Presence*.
#[tokio::test]
async fn missing_presence_is_notified_while_calls_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules::copy_with_short_durations(folder.path());
    let scenario = Scenario {
        read_presence: false,
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, scenario, 1).unwrap();
    let flags = [
        "--web.listen-address=127.0.0.1:0",
        "--ringcentral.presence=events",
    ];
    let mut exporter = ExporterProcess::start(command_for_simulator(&simulator, &flags));
    let url = exporter.wait_for_url().await;
    let data = backfill::create(folder.path(), "usual", USUAL);
    let pipeline = AlertPipeline::start(&url, &data, &rules).await;
    let alert = pipeline.wait_for_notification(PRESENCE, "firing").await;
    assert_eq!(pipeline.up_at(&alert["startsAt"]).await, [1.0], "{alert:#}");
    let description = alert["annotations"]["description"].as_str().unwrap();
    assert!(description.contains("It has not been read"), "{alert:#}");
    assert_eq!(problems(&alert), [""; 0]);
}

/// Prints an alert: which further alerts arrive depends on the time of day.
fn print_summary(alert: &Value) {
    let [status, summary] = [&alert["status"], &alert["annotations"]["summary"]];
    let [status, summary] = [status, summary].map(|text| text.as_str().unwrap_or_default());
    println!(
        "{status:>8}: {} {summary}",
        alert["labels"]["alertname"].as_str().unwrap()
    );
}

/// Waits until there are more than twice the usual calls.
///
/// Prometheus starts only then, so that the ten-minute average has no low samples at first and falls soon afterwards.
async fn wait_for_surge(url: &str) {
    let calls = async || {
        let text = get(&format!("{url}/metrics")).await;
        let line = text.lines().find(|line| line.starts_with(CALLS))?;
        line.rsplit(' ').next().unwrap().parse::<f64>().ok()
    };
    let surge = async {
        while calls().await.is_none_or(|calls| calls <= 2.2 * USUAL) {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(TIMEOUT, surge).await.expect("the surge rises");
}

/// Asserts that the surge is notified, with the current and the usual number of calls.
async fn assert_surge_notified(pipeline: &AlertPipeline) {
    pipeline.wait_until_firing(VOLUME).await;
    let alert = pipeline.wait_for_notification(VOLUME, "firing").await;
    pipeline.assert_was_pending(VOLUME, &alert).await;
    let numbers = numbers(&alert["annotations"]["description"]);
    let names_both = numbers.contains(&USUAL) && numbers.iter().any(|calls| *calls >= 2.0 * USUAL);
    assert!(
        names_both,
        "current and usual calls are in the description: {alert:#}"
    );
}

/// Asserts that the surge causes no alert in a Prometheus where this number of calls is usual.
async fn assert_no_alert_where_surge_is_usual(busy: &PrometheusServer) {
    let usual = busy
        .values(&format!("job_account:{CALLS}:median_max_avg1h"))
        .await;
    assert_eq!(usual.into_values().collect::<Vec<_>>(), [USUAL_WHEN_BUSY]);
    // It scrapes and evaluates the rules independently of the other Prometheus, and may be behind.
    let surge = format!("job_account:{CALLS}:avg10m > {}", 1.5 * USUAL);
    let recorded = async {
        while busy.values(&surge).await.len() != 1 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(TIMEOUT, recorded)
        .await
        .expect("Prometheus records the surge");
    let alerts = busy.get_api("alerts", &[]).await;
    assert!(
        alerts["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|alert| !has_name(alert, VOLUME)),
        "{alerts:#}"
    );
}

/// Replaces the demo by the outage scenario at the same address, which Prometheus sees as a restart.
async fn replace_with_outage(mut surge: ExporterProcess, url: &str) -> ExporterProcess {
    surge.signal("TERM").await;
    surge.wait_for_exit().await;
    let address = url.strip_prefix("http://").unwrap();
    let (outage, ..) = demo::start_at(address, &["--demo.scenario", "outage"]).await;
    outage
}

/// Asserts that the outage is notified with its reason and resolves afterwards.
async fn assert_outage_notified_and_resolved(pipeline: &AlertPipeline) {
    pipeline.wait_until_firing(FAILING).await;
    let alert = pipeline.wait_for_notification(FAILING, "firing").await;
    pipeline.assert_was_pending(FAILING, &alert).await;
    assert_eq!(
        pipeline.up_at(&alert["startsAt"]).await,
        [0.0],
        "the alert fires during the outage\n{}",
        pipeline.diagnostics().await
    );
    let reason = alert["labels"]["reason"].as_str().unwrap();
    assert!(
        alert["annotations"]["summary"]
            .as_str()
            .unwrap()
            .contains(reason),
        "{alert:#}"
    );
    assert!(
        numbers(&alert["annotations"]["description"])
            .iter()
            .any(|failures| *failures >= 1.0),
        "{alert:#}"
    );
    let resolved = pipeline.wait_for_resolved(FAILING).await;
    assert_eq!(
        pipeline.up_at(&resolved["endsAt"]).await,
        [1.0],
        "the alert resolves when RingCentral answers again\n{}",
        pipeline.diagnostics().await
    );
}
