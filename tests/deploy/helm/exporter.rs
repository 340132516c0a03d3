//! The exporter with the variables, the flags and the accounts file of a rendered chart.

use std::path::Path;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{render, single};
use crate::accounts::create_mounted_folder;
use crate::common::exporter_process::{ExporterProcess, command};
use crate::common::get;

/// Folder in which the chart mounts files.
const FOLDER: &str = "/etc/ringcentral-exporter";

/// Starts a simulated account.
async fn start_simulator() -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, Scenario::normal(), 1).unwrap()
}

/// Returns the optional settings of an account.
fn settings(simulator: &Simulator) -> Value {
    json!({
        "clientId": simulator.client_id(),
        "serverUrl": simulator.url(),
        "accountId": "~",
        "level": "account",
        "presence": "poll",
        "concurrentCallsLimit": 100,
    })
}

/// Runs the exporter as the container would, with the mounted files in another folder, and returns its metrics.
async fn metrics(text: &str, folder: &Path) -> String {
    let deployment = single(text, "Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let local = |value: &Value| {
        let value = value.as_str().unwrap();
        value
            .replace(FOLDER, folder.to_str().unwrap())
            .replace(":10072", "127.0.0.1:0")
    };
    let arguments: Vec<_> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(local)
        .collect();
    let mut command = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    for variable in container["env"].as_array().unwrap() {
        if variable["name"] != "STATE_DIRECTORY" {
            command.env(
                variable["name"].as_str().unwrap(),
                local(&variable["value"]),
            );
        }
    }
    let mut exporter = ExporterProcess::start(command);
    get(&format!("{}/metrics", exporter.wait_for_url().await)).await
}

/// Asserts that the metrics contain these lines.
fn assert_lines(metrics: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            metrics.lines().any(|sample| sample == *line),
            "{line} in {metrics}"
        );
    }
}

#[tokio::test]
async fn exporter_accepts_the_variables_of_one_account() {
    let simulator = start_simulator().await;
    let mut account = settings(&simulator);
    account["name"] = json!("acme");
    account["secret"] = json!({"name": "some-secret"});
    let text = render(&json!({"account": account, "extraArgs": ["--metrics.extension-calls"]}));
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    let (client_secret, jwt) = (simulator.client_secret(), simulator.jwt());
    create_mounted_folder(&secret, &[("client-secret", &client_secret), ("jwt", &jwt)]);
    let metrics = metrics(&text, folder.path()).await;
    let up = "ringcentral_up{account=\"acme\"} 1";
    let limit = "ringcentral_concurrent_calls_limit{account=\"acme\"} 100";
    assert_lines(&metrics, &[up, limit]);
}

#[tokio::test]
async fn exporter_accepts_the_generated_accounts_file() {
    let simulator = start_simulator().await;
    let mut acme = settings(&simulator);
    acme["name"] = json!("acme");
    let globex = json!({"name": "globex", "clientId": "0x10", "serverUrl": simulator.url(), "secret": {"name": "globex"}});
    let text = render(&json!({"accounts": [acme, globex], "accountsSecret": "accounts"}));
    let file = single(&text, "ConfigMap")["data"]["accounts.yml"]
        .as_str()
        .unwrap()
        .to_owned();
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts");
    std::fs::create_dir(&accounts).unwrap();
    let (client_secret, jwt) = (simulator.client_secret(), simulator.jwt());
    let files = [
        ("accounts.yml", file.as_str()),
        ("acme.client-secret", &client_secret),
        ("acme.jwt", &jwt),
        ("globex.client-secret", "wrong"),
        ("globex.jwt", "wrong"),
    ];
    create_mounted_folder(&accounts, &files);
    let metrics = metrics(&text, folder.path()).await;
    let limit = "ringcentral_concurrent_calls_limit{account=\"acme\"} 100";
    let up = [
        "ringcentral_up{account=\"acme\"} 1",
        "ringcentral_up{account=\"globex\"} 0",
        limit,
    ];
    assert_lines(&metrics, &up);
}
