//! Routing and inhibition of the shipped Alertmanager configuration, checked with amtool and a running Alertmanager.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::common::background_process::BackgroundProcess;
use crate::common::markdown;
use crate::common::promtool::run_shell;
use crate::common::{get, http};
use crate::rule_files::{FOLDER, parse_yaml};

#[test]
fn amtool_accepts_config_and_routes_by_severity() {
    let folder = Path::new(FOLDER);
    run_shell(folder, "amtool check-config alertmanager.yml");
    for (severity, receiver) in [("critical", "pager"), ("warning", "chat"), ("info", "chat")] {
        let routes = "amtool config routes test --config.file=alertmanager.yml";
        let output = run_shell(
            folder,
            &format!("{routes} --verify.receivers={receiver} severity={severity}"),
        );
        assert!(output.contains(receiver), "{output}");
    }
}

/// An outage of all accounts is one notification.
#[test]
fn alerts_of_all_accounts_are_grouped() {
    for file in [
        "deploy/prometheus/alertmanager.yml",
        "deploy/compose/alertmanager.yml",
    ] {
        let config: Value = parse_yaml(&markdown::read(file));
        assert_eq!(
            config["route"]["group_by"],
            json!(["alertname", "job"]),
            "{file}"
        );
    }
}

/// Creates an alert of the job `ringcentral`.
fn alert(name: &str, severity: &str, account: &str) -> Value {
    json!({ "labels": { "alertname": name, "severity": severity, "job": "ringcentral", "account": account } })
}

/// Creates an alert of another job, whose exporter is up.
fn alert_of_other_job(name: &str, severity: &str, account: &str) -> Value {
    let mut alert = alert(name, severity, account);
    alert["labels"]["job"] = json!("telephony");
    alert
}

/// Returns the alerts of six accounts.
///
/// The calls of `one` and `four` are unknown; the login of `four` is rejected. `five` is a separate target whose exporter
/// is down. `six` belongs to another job.
fn alerts() -> Vec<Value> {
    vec![
        alert("RingCentralDataStale", "critical", "one"),
        alert("RingCentralAPIFailing", "warning", "one"),
        alert("RingCentralBlockedLong", "warning", "one"),
        alert("RingCentralPresenceDown", "warning", "one"),
        alert("RingCentralCallsNearLimit", "critical", "one"),
        alert("RingCentralAPIFailing", "warning", "two"),
        alert("RingCentralPresenceDown", "warning", "two"),
        alert("RingCentralJWTExpiring", "warning", "two"),
        alert("RingCentralJWTExpiring", "critical", "two"),
        alert("RingCentralJWTExpiring", "warning", "three"),
        alert("RingCentralLoginFailing", "critical", "four"),
        alert("RingCentralDataStale", "critical", "four"),
        alert("RingCentralAPIFailing", "warning", "four"),
        alert("RingCentralBlockedLong", "warning", "four"),
        alert("RingCentralPresenceDown", "warning", "four"),
        json!({ "labels": { "alertname": "RingCentralExporterDown", "severity": "critical", "job": "ringcentral", "instance": "exporter-0:10072" } }),
        alert("RingCentralAccountMissing", "critical", "five"),
        alert_of_other_job("RingCentralAccountMissing", "critical", "six"),
    ]
}

/// Returns name, severity and account of each inhibited alert.
async fn inhibited(address: &str) -> Vec<String> {
    let body = get(&format!(
        "http://{address}/api/v2/alerts?active=false&silenced=false"
    ))
    .await;
    let alerts: Vec<Value> = serde_json::from_str(&body).unwrap();
    let mut inhibited = Vec::new();
    for alert in alerts {
        let labels = ["alertname", "severity", "account"]
            .map(|name| alert["labels"][name].as_str().unwrap());
        inhibited.push(labels.join(" "));
    }
    inhibited.sort();
    inhibited
}

#[tokio::test]
async fn only_redundant_alerts_of_an_account_are_inhibited() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command
        .args([
            &format!("--config.file={FOLDER}/alertmanager.yml"),
            "--web.listen-address=127.0.0.1:0",
        ])
        .args([
            &format!("--storage.path={}", folder.path().display()),
            "--cluster.listen-address=",
        ]);
    let alertmanager = BackgroundProcess::start(&mut command);
    let address = alertmanager.wait_for_address().await;
    let body = serde_json::to_string(&alerts()).unwrap();
    let request = http()
        .post(format!("http://{address}/api/v2/alerts"))
        .header("Content-Type", "application/json")
        .body(body);
    assert!(
        request.send().await.unwrap().status().is_success(),
        "{}",
        alertmanager.log()
    );
    let expected = [
        "RingCentralAPIFailing warning four",
        "RingCentralAPIFailing warning one",
        "RingCentralAccountMissing critical five",
        "RingCentralBlockedLong warning four",
        "RingCentralBlockedLong warning one",
        "RingCentralDataStale critical four",
        "RingCentralJWTExpiring warning two",
        "RingCentralPresenceDown warning four",
        "RingCentralPresenceDown warning one",
    ];
    assert_eq!(inhibited(&address).await, expected);
}
