//! The example for Alertmanager: its own tool accepts it, and a real Alertmanager silences what it should and no more.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::common::background_process::BackgroundProcess;
use crate::common::markdown;
use crate::common::promtool::run_shell;
use crate::common::{get, http};
use crate::shipped::{FOLDER, yaml};

#[test]
fn amtool_accepts_the_example_and_routes_by_severity() {
    let folder = Path::new(FOLDER);
    run_shell(folder, "amtool check-config alertmanager.yml");
    for (severity, receiver) in [("critical", "pager"), ("warning", "chat"), ("info", "chat")] {
        let routes = "amtool config routes test --config.file=alertmanager.yml";
        let said = run_shell(
            folder,
            &format!("{routes} --verify.receivers={receiver} severity={severity}"),
        );
        assert!(said.contains(receiver), "{said}");
    }
}

/// An outage that all accounts have is one message.
#[test]
fn alerts_are_grouped_by_what_all_accounts_have() {
    for file in [
        "deploy/prometheus/alertmanager.yml",
        "deploy/compose/alertmanager.yml",
    ] {
        let config: Value = yaml(&markdown::read(file));
        assert_eq!(
            config["route"]["group_by"],
            json!(["alertname", "job"]),
            "{file}"
        );
    }
}

fn alert(name: &str, severity: &str, account: &str) -> Value {
    json!({ "labels": { "alertname": name, "severity": severity, "job": "ringcentral", "account": account } })
}

/// An alert of a job whose exporter is well.
fn elsewhere(name: &str, severity: &str, account: &str) -> Value {
    let mut alert = alert(name, severity, account);
    alert["labels"]["job"] = json!("telephony");
    alert
}

/// The alerts of five accounts. Of the first, calls are unknown; of the fourth too, since its login is refused. The fifth
/// is a target of its own, and its exporter is down.
fn alerts() -> Vec<Value> {
    vec![
        alert("RingCentralDataStale", "critical", "one"),
        alert("RingCentralAPIFailing", "warning", "one"),
        alert("RingCentralBlockedLong", "warning", "one"),
        alert("RingCentralCallsNearLimit", "critical", "one"),
        alert("RingCentralAPIFailing", "warning", "two"),
        alert("RingCentralJWTExpiring", "warning", "two"),
        alert("RingCentralJWTExpiring", "critical", "two"),
        alert("RingCentralJWTExpiring", "warning", "three"),
        alert("RingCentralLoginFailing", "critical", "four"),
        alert("RingCentralDataStale", "critical", "four"),
        alert("RingCentralAPIFailing", "warning", "four"),
        alert("RingCentralBlockedLong", "warning", "four"),
        json!({ "labels": { "alertname": "RingCentralExporterDown", "severity": "critical", "job": "ringcentral", "instance": "exporter-0:10072" } }),
        alert("RingCentralAccountMissing", "critical", "five"),
        elsewhere("RingCentralAccountMissing", "critical", "six"),
    ]
}

/// The name, severity and account of each alert that is inhibited.
async fn inhibited(address: &str) -> Vec<String> {
    let reply = get(&format!(
        "http://{address}/api/v2/alerts?active=false&silenced=false"
    ))
    .await;
    let alerts: Vec<Value> = serde_json::from_str(&reply).unwrap();
    let told = |alert: &Value| {
        ["alertname", "severity", "account"]
            .map(|name| alert["labels"][name].as_str().unwrap().to_owned())
    };
    let mut told: Vec<_> = alerts.iter().map(|alert| told(alert).join(" ")).collect();
    told.sort();
    told
}

#[tokio::test]
async fn what_says_the_same_of_the_same_account_is_inhibited_and_nothing_else() {
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
    let daemon = BackgroundProcess::start(&mut command);
    let address = daemon.wait_for_address().await;
    let body = serde_json::to_string(&alerts()).unwrap();
    let sent = http()
        .post(format!("http://{address}/api/v2/alerts"))
        .header("Content-Type", "application/json")
        .body(body);
    assert!(
        sent.send().await.unwrap().status().is_success(),
        "{}",
        daemon.log()
    );
    let expected = [
        "RingCentralAPIFailing warning four",
        "RingCentralAPIFailing warning one",
        "RingCentralAccountMissing critical five",
        "RingCentralBlockedLong warning four",
        "RingCentralBlockedLong warning one",
        "RingCentralDataStale critical four",
        "RingCentralJWTExpiring warning two",
    ];
    assert_eq!(inhibited(&address).await, expected);
}
