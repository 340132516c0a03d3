//! Targets and labels of the configurations for many accounts, in a real Prometheus.
//!
//! The exporters are fakes on loopback addresses: they list the accounts at `/sd` and record the requested paths.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::common::markdown::read;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::rule_files::FOLDER;

/// Number of accounts.
const ACCOUNTS: usize = 20;
/// Prefix of the addresses of the fake exporters, followed by their number.
const ADDRESS_PREFIX: &str = "127.0.1.";

/// Number of an exporter and a path that it was requested for.
type Requests = Arc<Mutex<BTreeSet<(u8, String)>>>;

/// Returns the names of all accounts.
fn accounts() -> BTreeSet<String> {
    (0..ACCOUNTS)
        .map(|number| format!("account-{number}"))
        .collect()
}

/// Returns the response at `/sd` to a request with this `Host` header.
fn discovery_response(host: &str) -> Value {
    let group = |account: &String| {
        let instance = format!("{host}/{account}");
        let labels = json!({"__param_account": account, "__scheme__": "http", "__metrics_path__": "/metrics", "instance": instance});
        json!({"targets": [host], "labels": labels})
    };
    accounts().iter().map(group).collect()
}

/// Fake exporters on one port, each with its own loopback address.
struct FakeExporters {
    port: u16,
    requests: Requests,
}

impl FakeExporters {
    /// Starts exporters with these numbers.
    async fn start(numbers: &[u8]) -> Self {
        let requests = Requests::default();
        let mut port = 0;
        for number in numbers {
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 1, *number), port))
                .await
                .unwrap();
            port = listener.local_addr().unwrap().port();
            tokio::spawn(serve(listener, *number, requests.clone()));
        }
        Self { port, requests }
    }

    /// Returns the `host:port` address of an exporter.
    fn address(&self, number: u8) -> String {
        format!("{ADDRESS_PREFIX}{number}:{}", self.port)
    }

    /// Returns the paths that were requested from an exporter.
    fn requested_paths(&self, number: u8) -> BTreeSet<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|(exporter, _)| *exporter == number)
            .map(|(_, path)| path.clone())
            .collect()
    }
}

/// Accepts connections of one fake exporter.
async fn serve(listener: TcpListener, number: u8, requests: Requests) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(respond(stream, number, requests.clone()));
    }
}

/// Records one request and sends the response.
async fn respond(mut stream: TcpStream, number: u8, requests: Requests) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n")
        && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0)
    {}
    let head = String::from_utf8(head).unwrap();
    let Some(path) = head.split(' ').nth(1) else {
        return;
    };
    let host = head
        .lines()
        .find_map(|line| line.strip_prefix("Host: "))
        .unwrap();
    requests.lock().unwrap().insert((number, path.to_owned()));
    let (content_type, body) = response_body(path, host);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close",
        body.len()
    );
    _ = stream
        .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
        .await;
}

/// Returns content type and body of a response.
fn response_body(path: &str, host: &str) -> (&'static str, String) {
    const TEXT: &str = "text/plain; version=0.0.4";
    match path.split_once("?account=") {
        Some((_, account)) => (TEXT, format!("ringcentral_up{{account=\"{account}\"}} 1\n")),
        None if path == "/sd" => ("application/json", discovery_response(host).to_string()),
        None => (
            TEXT,
            "ringcentral_exporter_config_last_reload_successful 1\n".to_owned(),
        ),
    }
}

/// Returns a shipped configuration with the addresses of the fake exporters and intervals of one second.
fn test_config(file: &str, exporters: &FakeExporters) -> String {
    let mut config = read(&format!("{FOLDER}/{file}"))
        .replace("localhost:10072", &exporters.address(0))
        .replace("ringcentral-exporter-", ADDRESS_PREFIX)
        .replace(":10072", &format!(":{}", exporters.port));
    for interval in [": 15s", ": 10s", ": 30s"] {
        config = config.replace(interval, ": 1s");
    }
    config
}

/// Returns the active targets, after Prometheus has discovered and scraped all of them.
async fn wait_for_targets(server: &PrometheusServer) -> Vec<Value> {
    let targets = async {
        loop {
            let targets = server.get_api("targets", &[]).await["activeTargets"]
                .as_array()
                .unwrap()
                .clone();
            if targets.len() > ACCOUNTS
                && targets.iter().all(|target| target["health"] != "unknown")
            {
                return targets;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    // Prometheus applies discovered targets every five seconds.
    sleep(Duration::from_secs(7)).await;
    timeout(crate::common::MAX_WAIT, targets)
        .await
        .expect("Prometheus discovers the accounts")
}

/// Targets grouped by what they scrape.
#[derive(Default)]
struct GroupedTargets {
    /// Addresses that are scraped for each account.
    accounts: BTreeMap<String, Vec<String>>,
    /// URLs of the exporters' own series, by `instance`.
    exporters: BTreeMap<String, String>,
}

/// Groups the targets by account.
fn group_targets(targets: &[Value]) -> GroupedTargets {
    let mut groups = GroupedTargets::default();
    for target in targets {
        let url = target["scrapeUrl"]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        let instance = target["labels"]["instance"].as_str().unwrap().to_owned();
        match url.split_once("/metrics?account=") {
            Some((address, account)) => groups
                .accounts
                .entry(account.to_owned())
                .or_default()
                .push(address.to_owned()),
            None => _ = groups.exporters.insert(instance, url),
        }
    }
    groups
}

/// Lists where the targets differ from README.md: each account on one exporter, one target for the own series of each
/// exporter, and identifying labels.
fn problems(targets: &[Value], exporters: &FakeExporters, numbers: &[u8]) -> Vec<&'static str> {
    let groups = group_targets(targets);
    let addresses: BTreeSet<_> = numbers
        .iter()
        .map(|number| exporters.address(*number))
        .collect();
    let used: BTreeSet<_> = groups.accounts.values().flatten().cloned().collect();
    let expected = addresses
        .iter()
        .map(|address| (address.clone(), format!("{address}/-/metrics")))
        .collect();
    let checks = [
        (
            "an account is missing",
            groups.accounts.keys().cloned().collect::<BTreeSet<_>>() == accounts(),
        ),
        (
            "an account is fetched twice",
            groups
                .accounts
                .values()
                .all(|addresses| addresses.len() == 1),
        ),
        (
            "an exporter without an account, or an unknown one",
            used == addresses,
        ),
        ("an exporter's own series", groups.exporters == expected),
        ("labels", targets.iter().all(has_expected_labels)),
    ];
    checks
        .into_iter()
        .filter(|(_, passed)| !passed)
        .map(|(problem, _)| problem)
        .collect()
}

/// Returns whether the labels of a target are only job and instance, with the expected values.
fn has_expected_labels(target: &Value) -> bool {
    let url = target["scrapeUrl"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    let instance = url
        .replace("/-/metrics", "")
        .replace("/metrics?account=", "/");
    target["labels"] == json!({"job": "ringcentral", "instance": instance})
}

/// Starts Prometheus with a configuration and returns its targets.
async fn start_prometheus(config: &str) -> (PrometheusServer, Vec<Value>) {
    let server = PrometheusBuilder::from_config(config).start().await;
    let targets = wait_for_targets(&server).await;
    (server, targets)
}

#[tokio::test]
async fn accounts_config_has_a_target_per_account() {
    let exporters = FakeExporters::start(&[0]).await;
    let (server, targets) =
        start_prometheus(&test_config("prometheus.accounts.yml", &exporters)).await;
    assert_eq!(
        problems(&targets, &exporters, &[0]),
        [""; 0],
        "{targets:#?}"
    );
    let series_count = async |expression: &str| {
        server
            .query(expression, &[])
            .await
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        series_count("up{job=\"ringcentral\"} == 1").await,
        ACCOUNTS + 1
    );
    assert_eq!(
        series_count("count by (instance, account) (ringcentral_up)").await,
        ACCOUNTS
    );
    assert_eq!(
        series_count("ringcentral_exporter_config_last_reload_successful").await,
        1
    );
    assert!(
        !exporters.requested_paths(0).contains("/metrics"),
        "a request without an account fetches all accounts"
    );
}

#[tokio::test]
async fn sharded_config_scrapes_each_account_once() {
    let exporters = FakeExporters::start(&[0, 1, 2]).await;
    let (_server, targets) =
        start_prometheus(&test_config("prometheus.sharded.yml", &exporters)).await;
    assert_eq!(
        problems(&targets, &exporters, &[0, 1, 2]),
        [""; 0],
        "{targets:#?}"
    );
    let paths = [0, 1, 2].map(|number| exporters.requested_paths(number));
    assert!(
        paths
            .iter()
            .all(|paths| paths.contains("/sd") && paths.contains("/-/metrics")),
        "{paths:?}"
    );
    assert!(
        paths.iter().all(|paths| !paths.contains("/metrics")),
        "a request without an account fetches all accounts"
    );
    let account_requests = paths
        .iter()
        .flatten()
        .filter(|path| path.contains("account="))
        .count();
    assert_eq!(
        account_requests, ACCOUNTS,
        "each account is scraped from one exporter: {paths:?}"
    );
}

#[tokio::test]
async fn one_running_exporter_suffices_for_discovery() {
    let exporters = FakeExporters::start(&[1]).await;
    let (_server, targets) =
        start_prometheus(&test_config("prometheus.sharded.yml", &exporters)).await;
    assert_eq!(
        problems(&targets, &exporters, &[0, 1, 2]),
        [""; 0],
        "{targets:#?}"
    );
    let running = exporters.address(1);
    let is_up_if_running = |target: &Value| {
        (target["health"] == "up") == target["scrapeUrl"].as_str().unwrap().contains(&running)
    };
    assert!(targets.iter().all(is_up_if_running), "{targets:#?}");
}

#[tokio::test]
async fn additional_exporter_moves_most_accounts() {
    let exporters = FakeExporters::start(&[0, 1, 2]).await;
    let three_shards = test_config("prometheus.sharded.yml", &exporters);
    let two_shards = three_shards.replace("modulus: 3", "modulus: 2");
    let ((_server, three), (_other_server, two)) = tokio::join!(
        start_prometheus(&three_shards),
        start_prometheus(&two_shards)
    );
    let three = group_targets(&three).accounts;
    let two = group_targets(&two).accounts;
    let moved = three
        .iter()
        .filter(|(account, addresses)| two[*account] != **addresses)
        .count();
    assert!(
        (ACCOUNTS / 2..ACCOUNTS).contains(&moved),
        "{moved} accounts moved, expected about two thirds"
    );
}

/// Text of the configuration, its replacement, and the problem that this causes.
const MUTATIONS: [(&str, &str, &str); 5] = [
    (
        "regex: .+;(.+)",
        "regex: .*;(.+)",
        "an exporter's own series",
    ),
    (
        "target_label: instance",
        "target_label: other",
        "an account is fetched twice",
    ),
    (
        "modulus: 3",
        "modulus: 2",
        "an exporter without an account, or an unknown one",
    ),
    (
        "__metrics_path__: /-/metrics",
        "__metrics_path__: /metrics",
        "an exporter's own series",
    ),
    (
        "target_label: __address__",
        "target_label: address",
        "an account is fetched twice",
    ),
];

#[tokio::test]
async fn wrong_relabelling_step_is_detected() {
    let exporters = FakeExporters::start(&[0, 1, 2]).await;
    let shipped = test_config("prometheus.sharded.yml", &exporters);
    for (original, replacement, expected) in MUTATIONS {
        assert!(shipped.contains(original), "{original}");
        let (_server, targets) =
            start_prometheus(&shipped.replacen(original, replacement, 1)).await;
        let problems = problems(&targets, &exporters, &[0, 1, 2]);
        assert!(
            problems.contains(&expected),
            "{replacement}: {problems:?} in {targets:#?}"
        );
    }
}
