//! All that runs between an exporter and the phone, and how to wait for what it does.
//!
//! Refuses to know what the exporter shows, and why.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::alertmanager::Alertmanager;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::notification::{is, same};
use crate::webhook::Webhook;

/// Between two scrapes, and two evaluations of the rules.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Longer than the demo takes for anything.
pub const PATIENCE: Duration = Duration::from_secs(200);

pub struct Stage {
    prometheus: PrometheusServer,
    alertmanager: Alertmanager,
    webhook: Webhook,
    since: Instant,
}

impl Stage {
    /// Watches this exporter, with a store and rules that exist.
    pub async fn set(exporter: &str, data: &Path, rules: &[PathBuf]) -> Self {
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(webhook.url()).await;
        let setup = PrometheusBuilder::new(&[exporter], INTERVAL)
            .data_dir(data)
            .rule_files(rules)
            .alertmanager(alertmanager.address());
        Self {
            prometheus: setup.start().await,
            alertmanager,
            webhook,
            since: Instant::now(),
        }
    }

    /// Waits until Prometheus has the alert in this state.
    pub async fn alert(&self, name: &str, state: &str) {
        let wanted = |alert: &Value| is(alert, name) && alert["state"] == state;
        let ask = async || {
            self.alerts()
                .await
                .as_array()
                .unwrap()
                .iter()
                .any(wanted)
                .then_some(())
        };
        self.until(&format!("{name} {state} in Prometheus"), ask)
            .await;
    }

    /// Waits until the webhook has had the alert with this status, and gives it.
    pub async fn arrives(&self, name: &str, status: &str) -> Value {
        let wanted = |alert: &Value| is(alert, name) && alert["status"] == status;
        let ask = async || self.arrived().into_iter().find(wanted);
        self.until(&format!("{name} {status} at the webhook"), ask)
            .await
    }

    /// Waits until all alerts of this name that arrived have arrived as resolved.
    pub async fn ends(&self, name: &str) {
        let ask = async || {
            let arrived = self.arrived();
            let (begun, ended): (Vec<_>, Vec<_>) = arrived
                .iter()
                .filter(|alert| is(alert, name))
                .partition(|alert| alert["status"] == "firing");
            let all = begun
                .iter()
                .all(|alert| ended.iter().any(|end| same(alert, end)));
            (all && !begun.is_empty()).then_some(())
        };
        self.until(&format!("all of {name} resolved at the webhook"), ask)
            .await;
    }

    /// Whether RingCentral answered the exporter, by the latest scrape.
    pub async fn up(&self) -> Vec<f64> {
        self.prometheus
            .values("ringcentral_up")
            .await
            .into_values()
            .collect()
    }

    /// The alerts that arrived, one by one, in their order.
    pub fn arrived(&self) -> Vec<Value> {
        self.webhook.alerts()
    }

    /// All that there is to see when something went wrong.
    pub async fn seen(&self) -> String {
        let (logs, other) = (self.prometheus.log(), self.alertmanager.log());
        let (alerts, arrived) = (self.alerts().await, Value::Array(self.arrived()));
        format!(
            "In Prometheus: {alerts:#}\nArrived: {arrived:#}\nPrometheus:\n{logs}\nAlertmanager:\n{other}"
        )
    }

    async fn alerts(&self) -> Value {
        self.prometheus.get_api("alerts", &[]).await["alerts"].clone()
    }

    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                println!("after {:>3} s: {what}", self.since.elapsed().as_secs());
                return answer;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {what}\n{}",
                self.seen().await
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
}
