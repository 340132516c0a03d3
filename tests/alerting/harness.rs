//! Prometheus, Alertmanager and a webhook connected to one exporter, with functions that wait for alerts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::alertmanager::Alertmanager;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::notification::{has_name, is_same_alert};
use crate::rules::SHORT_DURATION;
use crate::webhook::Webhook;

/// Interval of the scrapes and of the rule evaluations.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Longest wait for one state, longer than any phase of the demo.
pub const TIMEOUT: Duration = Duration::from_secs(400);

/// Running Prometheus and Alertmanager that deliver the alerts of one exporter to a webhook.
pub struct AlertPipeline {
    prometheus: PrometheusServer,
    alertmanager: Alertmanager,
    webhook: Webhook,
    started: Instant,
}

impl AlertPipeline {
    /// Starts the pipeline for an exporter, with existing Prometheus data and rule files.
    pub async fn start(exporter_url: &str, data: &Path, rules: &[PathBuf]) -> Self {
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(webhook.url()).await;
        let setup = PrometheusBuilder::new(&[exporter_url], INTERVAL)
            .data_dir(data)
            .rule_files(rules)
            .alertmanager(alertmanager.address());
        Self {
            prometheus: setup.start().await,
            alertmanager,
            webhook,
            started: Instant::now(),
        }
    }

    /// Waits until Prometheus fires or has fired the alert, which can last for one evaluation.
    pub async fn wait_until_firing(&self, name: &str) {
        let count =
            format!("count_over_time(ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}[10m])");
        let find = async || self.prometheus.values(&count).await.pop_first();
        self.wait_until(&format!("{name} firing in Prometheus"), find)
            .await;
    }

    /// Asserts that the expression of a notified alert was true for the time of its `for` before it fired. Prometheus does
    /// not store the state `pending` of its first evaluations, but since when the expression was true.
    pub async fn assert_was_pending(&self, name: &str, alert: &Value) {
        let fired: Timestamp = alert["startsAt"].as_str().unwrap().parse().unwrap();
        let fired = fired.as_millisecond() as f64 / 1000.0;
        let since = format!("min_over_time(ALERTS_FOR_STATE{{alertname=\"{name}\"}}[10m])");
        let since = self.prometheus.values(&since).await.pop_first();
        let (_, since) = since.expect("Prometheus stores since when the expression is true");
        // The stored time is a whole second.
        let shortest = SHORT_DURATION.as_secs_f64() - 1.0;
        assert!(
            fired - since >= shortest,
            "{name} fired at {fired}, true since {since}"
        );
    }

    /// Waits until the webhook has received the alert with this status and returns the alert.
    pub async fn wait_for_notification(&self, name: &str, status: &str) -> Value {
        let find = async || {
            self.notifications()
                .into_iter()
                .find(|alert| has_name(alert, name) && alert["status"] == status)
        };
        self.wait_until(&format!("{name} {status} at the webhook"), find)
            .await
    }

    /// Waits until every received alert of this name has also been received as resolved, and returns the
    /// resolution of the first.
    pub async fn wait_for_resolved(&self, name: &str) -> Value {
        let find = async || {
            let notifications = self.notifications();
            let (firing, resolved): (Vec<_>, Vec<_>) = notifications
                .iter()
                .filter(|alert| has_name(alert, name))
                .partition(|alert| alert["status"] == "firing");
            for alert in &firing {
                if !resolved.iter().any(|end| is_same_alert(alert, end)) {
                    return None;
                }
            }
            resolved.first().map(|alert| (*alert).clone())
        };
        self.wait_until(&format!("all of {name} resolved at the webhook"), find)
            .await
    }

    /// Returns the values of `ringcentral_up` in the latest scrape before a time of a notification, which
    /// can arrive late.
    pub async fn up_at(&self, time: &Value) -> Vec<f64> {
        let time: Timestamp = time.as_str().unwrap().parse().unwrap();
        let seconds = time.as_millisecond() as f64 / 1000.0;
        let values = self.prometheus.values_at("ringcentral_up", seconds).await;
        values.into_values().collect()
    }

    /// Returns the alerts that the webhook has received, in order.
    pub fn notifications(&self) -> Vec<Value> {
        self.webhook.alerts()
    }

    /// Describes all alerts and logs, for assertion messages.
    pub async fn diagnostics(&self) -> String {
        let (prometheus_log, alertmanager_log) = (self.prometheus.log(), self.alertmanager.log());
        let alerts = self.prometheus_alerts().await;
        let received = Value::Array(self.notifications());
        format!(
            "In Prometheus: {alerts:#}\nReceived: {received:#}\nPrometheus:\n{prometheus_log}\nAlertmanager:\n{alertmanager_log}"
        )
    }

    async fn prometheus_alerts(&self) -> Value {
        self.prometheus.get_api("alerts", &[]).await["alerts"].clone()
    }

    /// Polls until `find` returns a value; panics with the diagnostics after [`TIMEOUT`].
    async fn wait_until<T>(&self, what: &str, find: impl AsyncFn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = find().await {
                println!("after {:>3} s: {what}", self.started.elapsed().as_secs());
                return found;
            }
            assert!(
                start.elapsed() < TIMEOUT,
                "timed out waiting for {what}\n{}",
                self.diagnostics().await
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
}
