//! The configurations for many accounts, in a real Prometheus: who is asked for which account, and by which labels it is known.
//!
//! The exporters are stand-ins on loopback: they list the accounts as `/sd` promises, and note what they are asked for.

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
use crate::shipped::FOLDER;

const ACCOUNTS: usize = 20;
/// How the stand-ins' addresses begin; their numbers follow.
const NETWORK: &str = "127.0.1.";

/// Who was asked for which path.
type Asked = Arc<Mutex<BTreeSet<(u8, String)>>>;

fn accounts() -> BTreeSet<String> {
    (0..ACCOUNTS)
        .map(|number| format!("account-{number}"))
        .collect()
}

/// What an exporter answers at `/sd` to a request to this host.
fn listed(host: &str) -> Value {
    let group = |account: &String| {
        let instance = format!("{host}/{account}");
        let labels = json!({"__param_account": account, "__scheme__": "http", "__metrics_path__": "/metrics", "instance": instance});
        json!({"targets": [host], "labels": labels})
    };
    accounts().iter().map(group).collect()
}

/// Exporters with these numbers, on one port.
struct Exporters {
    port: u16,
    asked: Asked,
}

impl Exporters {
    async fn start(numbers: &[u8]) -> Self {
        let asked = Asked::default();
        let mut port = 0;
        for number in numbers {
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 1, *number), port))
                .await
                .unwrap();
            port = listener.local_addr().unwrap().port();
            tokio::spawn(serve(listener, *number, asked.clone()));
        }
        Self { port, asked }
    }

    fn address(&self, number: u8) -> String {
        format!("{NETWORK}{number}:{}", self.port)
    }

    /// The paths that this one was asked for.
    fn paths(&self, number: u8) -> BTreeSet<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(who, _)| *who == number)
            .map(|(_, path)| path.clone())
            .collect()
    }
}

async fn serve(listener: TcpListener, number: u8, asked: Asked) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, number, asked.clone()));
    }
}

async fn answer(mut stream: TcpStream, number: u8, asked: Asked) {
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
    asked.lock().unwrap().insert((number, path.to_owned()));
    let (kind, body) = body(path, host);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close",
        body.len()
    );
    _ = stream
        .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
        .await;
}

fn body(path: &str, host: &str) -> (&'static str, String) {
    const TEXT: &str = "text/plain; version=0.0.4";
    match path.split_once("?account=") {
        Some((_, account)) => (TEXT, format!("ringcentral_up{{account=\"{account}\"}} 1\n")),
        None if path == "/sd" => ("application/json", listed(host).to_string()),
        None => (
            TEXT,
            "ringcentral_exporter_config_last_reload_successful 1\n".to_owned(),
        ),
    }
}

/// A shipped configuration with the stand-ins' addresses, and in a hurry.
fn hurried(file: &str, exporters: &Exporters) -> String {
    let names = [
        ("localhost:10072", exporters.address(0)),
        ("ringcentral-exporter-", NETWORK.to_owned()),
    ];
    let names = names
        .into_iter()
        .chain([(":10072", format!(":{}", exporters.port))]);
    let times = [": 15s", ": 10s", ": 30s"].map(|time| (time, ": 1s".to_owned()));
    names.chain(times).fold(
        read(&format!("{FOLDER}/{file}")),
        |text, (name, address)| text.replace(name, &address),
    )
}

/// What Prometheus makes of it, once it has scraped all that it found.
async fn targets(server: &PrometheusServer) -> Vec<Value> {
    let settle = async {
        loop {
            let found = server.get_api("targets", &[]).await["activeTargets"]
                .as_array()
                .unwrap()
                .clone();
            if found.len() > ACCOUNTS && found.iter().all(|target| target["health"] != "unknown") {
                return found;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    // What it finds, it takes over every five seconds.
    sleep(Duration::from_secs(7)).await;
    timeout(Duration::from_secs(20), settle)
        .await
        .expect("it finds the accounts")
}

/// The addresses that are scraped for each account, and those that are scraped for themselves, by `instance`.
fn by_account(targets: &[Value]) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, String>) {
    let (mut accounts, mut own) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
    for target in targets {
        let url = target["scrapeUrl"]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        let instance = target["labels"]["instance"].as_str().unwrap().to_owned();
        match url.split_once("/metrics?account=") {
            Some((address, account)) => accounts
                .entry(account.to_owned())
                .or_default()
                .push(address.to_owned()),
            None => _ = own.insert(instance, url),
        }
    }
    (accounts, own)
}

/// Where it is not as README.md has it: each account on one exporter, every exporter with its own series, and labels that tell.
fn problems(targets: &[Value], exporters: &Exporters, numbers: &[u8]) -> Vec<&'static str> {
    let (found, own) = by_account(targets);
    let addresses: BTreeSet<_> = numbers
        .iter()
        .map(|number| exporters.address(*number))
        .collect();
    let used: BTreeSet<_> = found.values().flatten().cloned().collect();
    let wanted = addresses
        .iter()
        .map(|address| (address.clone(), format!("{address}/-/metrics")))
        .collect();
    let rules = [
        (
            "an account is missing",
            found.keys().cloned().collect::<BTreeSet<_>>() == accounts(),
        ),
        (
            "an account is fetched twice",
            found.values().all(|addresses| addresses.len() == 1),
        ),
        ("an exporter has no account, or is none", used == addresses),
        ("an exporter's own series", own == wanted),
        ("instance", targets.iter().all(is_named)),
    ];
    rules
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(rule, _)| rule)
        .collect()
}

/// Whether its labels say what is scraped, and nothing else.
fn is_named(target: &Value) -> bool {
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

/// Prometheus with this text, and what it scrapes.
async fn scraped(text: &str) -> (PrometheusServer, Vec<Value>) {
    let server = PrometheusBuilder::from_config(text).start().await;
    let found = targets(&server).await;
    (server, found)
}

#[tokio::test]
async fn each_account_of_one_exporter_is_a_target_of_its_own_and_the_exporter_is_one_more() {
    let exporters = Exporters::start(&[0]).await;
    let (server, found) = scraped(&hurried("prometheus.accounts.yml", &exporters)).await;
    assert_eq!(problems(&found, &exporters, &[0]), [""; 0], "{found:#?}");
    let number = async |expression: &str| {
        server
            .query(expression, &[])
            .await
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(number("up{job=\"ringcentral\"} == 1").await, ACCOUNTS + 1);
    assert_eq!(
        number("count by (instance, account) (ringcentral_up)").await,
        ACCOUNTS
    );
    assert_eq!(
        number("ringcentral_exporter_config_last_reload_successful").await,
        1
    );
    assert!(
        !exporters.paths(0).contains("/metrics"),
        "that would fetch all accounts"
    );
}

#[tokio::test]
async fn many_accounts_are_spread_over_the_exporters_and_each_is_asked_of_one() {
    let exporters = Exporters::start(&[0, 1, 2]).await;
    let (_server, found) = scraped(&hurried("prometheus.sharded.yml", &exporters)).await;
    assert_eq!(
        problems(&found, &exporters, &[0, 1, 2]),
        [""; 0],
        "{found:#?}"
    );
    let asked = [0, 1, 2].map(|number| exporters.paths(number));
    assert!(
        asked
            .iter()
            .all(|paths| paths.contains("/sd") && paths.contains("/-/metrics")),
        "{asked:?}"
    );
    assert!(
        asked.iter().all(|paths| !paths.contains("/metrics")),
        "that would fetch all accounts"
    );
    let twice = asked
        .iter()
        .flatten()
        .filter(|path| path.contains("account="))
        .count();
    assert_eq!(twice, ACCOUNTS, "each was asked of one: {asked:?}");
}

#[tokio::test]
async fn one_exporter_that_answers_is_enough_to_find_the_accounts_of_all() {
    let exporters = Exporters::start(&[1]).await;
    let (_server, found) = scraped(&hurried("prometheus.sharded.yml", &exporters)).await;
    assert_eq!(
        problems(&found, &exporters, &[0, 1, 2]),
        [""; 0],
        "{found:#?}"
    );
    let ours = exporters.address(1);
    let right = |target: &Value| {
        (target["health"] == "up") == target["scrapeUrl"].as_str().unwrap().contains(&ours)
    };
    assert!(found.iter().all(right), "{found:#?}");
}

#[tokio::test]
async fn with_one_exporter_more_most_accounts_move() {
    let exporters = Exporters::start(&[0, 1, 2]).await;
    let three = hurried("prometheus.sharded.yml", &exporters);
    let two = three.replace("modulus: 3", "modulus: 2");
    let ((_one, three), (_two, two)) = tokio::join!(scraped(&three), scraped(&two));
    let (three, two) = (by_account(&three).0, by_account(&two).0);
    let moved = three
        .iter()
        .filter(|(account, addresses)| two[*account] != **addresses)
        .count();
    assert!(
        (ACCOUNTS / 2..ACCOUNTS).contains(&moved),
        "{moved}: two in three, by and large"
    );
}

/// A piece of the configuration, what stands in its place, and what this breaks.
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
        "an exporter has no account, or is none",
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
async fn a_step_that_is_wrong_is_found() {
    let exporters = Exporters::start(&[0, 1, 2]).await;
    let shipped = hurried("prometheus.sharded.yml", &exporters);
    for (right, wrong, broken) in MUTATIONS {
        assert!(shipped.contains(right), "{right}");
        let (_server, found) = scraped(&shipped.replacen(right, wrong, 1)).await;
        let problems = problems(&found, &exporters, &[0, 1, 2]);
        assert!(
            problems.contains(&broken),
            "{wrong}: {problems:?} in {found:#?}"
        );
    }
}
