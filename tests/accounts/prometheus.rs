//! Tests with a Prometheus server that discovers the accounts at `/sd`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};
use serde_json::Value;
use tokio::time::sleep;

use crate::common::MAX_WAIT;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::common::promtool::run_shell;
use crate::harness::{TestAccount, TestExporter, company};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// The interval and the timeout of scrapes.
const INTERVAL: Duration = Duration::from_secs(5);

/// Returns the service discovery of a scrape job, in YAML's flow style.
fn discovery_config(exporter: &TestExporter) -> String {
    format!(
        "http_sd_configs: [{{url: \"{}/sd\", refresh_interval: 1s}}]",
        exporter.url
    )
}

/// Starts a Prometheus server that scrapes the targets of `/sd`.
async fn start_prometheus(exporter: &TestExporter) -> PrometheusServer {
    PrometheusBuilder::new(&[], INTERVAL)
        .job_options(&discovery_config(exporter))
        .start()
        .await
}

/// Returns the address of an exporter, `HOST:PORT`.
fn host(exporter: &TestExporter) -> &str {
    exporter.url.strip_prefix("http://").unwrap()
}

/// Returns the label `instance` of each account.
fn instances(exporter: &TestExporter, names: &[&str]) -> BTreeSet<String> {
    names
        .iter()
        .map(|name| format!("{}/{name}", host(exporter)))
        .collect()
}

/// Returns the values of an expression by the label `instance`.
async fn values_by_instance(server: &PrometheusServer, expression: &str) -> BTreeMap<String, f64> {
    let values = server
        .values_by_labels(expression, ["instance", "job"])
        .await;
    values
        .into_iter()
        .map(|((instance, _), value)| (instance, value))
        .collect()
}

/// Waits until exactly these targets are up.
async fn wait_for_targets(server: &PrometheusServer, expected: &BTreeSet<String>) {
    let mut up = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + MAX_WAIT;
    while tokio::time::Instant::now() < deadline {
        up = values_by_instance(server, "up == 1")
            .await
            .into_keys()
            .collect();
        if up == *expected {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("expected {expected:?}, up {up:?}: {}", server.log());
}

/// Returns the active targets: account name and URL.
async fn active_targets(server: &PrometheusServer) -> Vec<(String, String)> {
    let data = server.get_api("targets", &[("state", "active")]).await;
    let targets = data["activeTargets"].as_array().unwrap().iter();
    targets
        .map(|target| {
            (
                account_parameter(target),
                target["scrapeUrl"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// Returns the value of the URL parameter `account` of a target.
fn account_parameter(target: &Value) -> String {
    target["discoveredLabels"]["__param_account"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_account_is_a_target_with_its_own_series() {
    let exporter = TestExporter::start(TestAccount::start_many(&NAMES, company).await).await;
    let server = start_prometheus(&exporter).await;
    wait_for_targets(&server, &instances(&exporter, &NAMES)).await;
    let accounts = server
        .values_by_labels("ringcentral_up", ["instance", "account"])
        .await;
    let expected: BTreeSet<_> = NAMES
        .iter()
        .map(|name| (format!("{}/{name}", host(&exporter)), (*name).to_owned()))
        .collect();
    assert_eq!(accounts.into_keys().collect::<BTreeSet<_>>(), expected);
    for (name, url) in active_targets(&server).await {
        assert_eq!(url, format!("{}/metrics?account={name}", exporter.url));
    }
}

#[tokio::test]
async fn discovered_targets_follow_reloads() {
    let mut exporter =
        TestExporter::start(TestAccount::start_many(&["a", "b"], company).await).await;
    let server = start_prometheus(&exporter).await;
    wait_for_targets(&server, &instances(&exporter, &["a", "b"])).await;
    exporter
        .accounts
        .push(TestAccount::new("new", company(4), 40).await);
    exporter.reload().await;
    wait_for_targets(&server, &instances(&exporter, &["a", "b", "new"])).await;
    exporter.remove("a");
    exporter.reload().await;
    wait_for_targets(&server, &instances(&exporter, &["b", "new"])).await;
    let steady = values_by_instance(&server, "min_over_time(up[10m])").await;
    assert_eq!(steady[&format!("{}/b", host(&exporter))], 1.0);
}

#[tokio::test]
async fn failing_targets_leave_other_targets_fresh() {
    let accounts = TestAccount::start_many(&NAMES, company).await;
    // The deadline of a scrape leaves 3 s to a busy machine.
    let offset = &["--scrape.timeout-offset=3s"];
    let mut exporter = TestExporter::start_with_flags(accounts, offset).await;
    let server = start_prometheus(&exporter).await;
    wait_for_targets(&server, &instances(&exporter, &NAMES)).await;
    exporter
        .account("a")
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    drop(exporter.remove("b"));
    let count = exporter.account("a").request_count(Operation::ActiveCalls);
    crate::harness::wait_until("account a hangs", || {
        exporter.account("a").request_count(Operation::ActiveCalls) > count
    })
    .await;
    sleep(3 * INTERVAL).await;
    let up = values_by_instance(&server, "min_over_time(up[10m])").await;
    assert_eq!(
        up,
        instances(&exporter, &NAMES)
            .into_iter()
            .map(|instance| (instance, 1.0))
            .collect()
    );
    let fresh = "timestamp(ringcentral_up) - ringcentral_snapshot_timestamp_seconds < 5";
    let fresh: BTreeSet<_> = values_by_instance(&server, fresh)
        .await
        .into_keys()
        .collect();
    assert_eq!(fresh, instances(&exporter, &NAMES[2..]));
}

/// Returns relabelling rules that assign each account to one of two exporters and set its address.
fn shard_relabelling(exporters: &[&TestExporter; 2]) -> String {
    let hash = "{source_labels: [__param_account], modulus: 2, target_label: __tmp_shard, action: hashmod}";
    let address = |shard: usize| {
        let host = host(exporters[shard]);
        format!(
            "{{source_labels: [__tmp_shard], regex: \"{shard}\", target_label: __address__, replacement: \"{host}\"}}"
        )
    };
    format!("relabel_configs: [{hash}, {}, {}]", address(0), address(1))
}

#[tokio::test]
async fn hashmod_shards_accounts_over_two_exporters() {
    let first = TestExporter::start(TestAccount::start_many(&NAMES, company).await).await;
    let second = TestExporter::start(first.accounts.clone()).await;
    let job = format!(
        "{}, {}",
        discovery_config(&first),
        shard_relabelling(&[&first, &second])
    );
    let server = PrometheusBuilder::new(&[], INTERVAL)
        .job_options(&job)
        .start()
        .await;
    wait_for_targets(&server, &instances(&first, &NAMES)).await;
    let targets = active_targets(&server).await;
    let names: Vec<_> = targets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (names.len(), names.into_iter().collect::<BTreeSet<_>>()),
        (NAMES.len(), BTreeSet::from(NAMES))
    );
    let count_of = |exporter: &TestExporter| {
        targets
            .iter()
            .filter(|(_, url)| url.starts_with(&exporter.url))
            .count()
    };
    assert!(
        count_of(&first) > 0
            && count_of(&second) > 0
            && count_of(&first) + count_of(&second) == NAMES.len(),
        "{targets:?}"
    );
    for account in &first.accounts {
        assert_eq!(
            account.request_count(Operation::Token),
            1,
            "{}: only one exporter must log in",
            account.name
        );
    }
}

#[tokio::test]
async fn promtool_accepts_all_expositions() {
    let exporter = TestExporter::start(TestAccount::start_many(&NAMES, company).await).await;
    let folder = tempfile::tempdir().unwrap();
    for (file, path) in [
        ("all", "/metrics"),
        ("some", "/metrics?account=a&account=b"),
        ("own", "/-/metrics"),
    ] {
        std::fs::write(folder.path().join(file), exporter.get(path).await.text).unwrap();
        assert_eq!(
            run_shell(folder.path(), &format!("promtool check metrics < {file}")),
            "",
            "{path}"
        );
    }
}
