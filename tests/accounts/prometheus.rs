//! A real Prometheus that is told of the accounts by the exporter itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};
use serde_json::Value;
use tokio::time::sleep;

use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::common::promtool::run_shell;
use crate::fleet::{Fleet, Member, company};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const SOON: Duration = Duration::from_secs(30);

fn discovery(fleet: &Fleet) -> String {
    format!(
        "http_sd_configs: [{{url: \"{}/sd\", refresh_interval: 1s}}]",
        fleet.url
    )
}

/// Scrapes once a second what `/sd` tells.
async fn prometheus(fleet: &Fleet) -> PrometheusServer {
    PrometheusBuilder::new(&[], Duration::from_secs(1))
        .job_options(&discovery(fleet))
        .start()
        .await
}

/// An exporter's address without a scheme.
fn host(fleet: &Fleet) -> &str {
    fleet.url.strip_prefix("http://").unwrap()
}

fn instances(fleet: &Fleet, names: &[&str]) -> BTreeSet<String> {
    names
        .iter()
        .map(|name| format!("{}/{name}", host(fleet)))
        .collect()
}

/// The values of an expression by `instance`.
async fn by_instance(server: &PrometheusServer, expression: &str) -> BTreeMap<String, f64> {
    let values = server
        .values_by_labels(expression, ["instance", "job"])
        .await;
    values
        .into_iter()
        .map(|((instance, _), value)| (instance, value))
        .collect()
}

/// Waits until the targets that are up are these.
async fn sees(server: &PrometheusServer, wanted: &BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + SOON;
    while tokio::time::Instant::now() < deadline {
        seen = by_instance(server, "up == 1").await.into_keys().collect();
        if seen == *wanted {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("wanted {wanted:?}, seen {seen:?}: {}", server.log());
}

/// The targets that are scraped: name of the account and address.
async fn targets(server: &PrometheusServer) -> Vec<(String, String)> {
    let data = server.get_api("targets", &[("state", "active")]).await;
    let targets = data["activeTargets"].as_array().unwrap().iter();
    targets
        .map(|target| {
            (
                parameter(target),
                target["scrapeUrl"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn parameter(target: &Value) -> String {
    target["discoveredLabels"]["__param_account"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_account_is_a_target_with_an_up_of_its_own_and_its_series_alone() {
    let fleet = Fleet::start(Member::several(&NAMES, company).await).await;
    let server = prometheus(&fleet).await;
    sees(&server, &instances(&fleet, &NAMES)).await;
    let accounts = server
        .values_by_labels("ringcentral_up", ["instance", "account"])
        .await;
    let expected: BTreeSet<_> = NAMES
        .iter()
        .map(|name| (format!("{}/{name}", host(&fleet)), (*name).to_owned()))
        .collect();
    assert_eq!(accounts.into_keys().collect::<BTreeSet<_>>(), expected);
    for (name, url) in targets(&server).await {
        assert_eq!(url, format!("{}/metrics?account={name}", fleet.url));
    }
}

#[tokio::test]
async fn accounts_that_a_reload_brings_and_takes_are_followed() {
    let mut fleet = Fleet::start(Member::several(&["a", "b"], company).await).await;
    let server = prometheus(&fleet).await;
    sees(&server, &instances(&fleet, &["a", "b"])).await;
    fleet.members.push(Member::new("new", company(4), 40).await);
    fleet.reload().await;
    sees(&server, &instances(&fleet, &["a", "b", "new"])).await;
    fleet.remove("a");
    fleet.reload().await;
    sees(&server, &instances(&fleet, &["b", "new"])).await;
    let steady = by_instance(&server, "min_over_time(up[10m])").await;
    assert_eq!(steady[&format!("{}/b", host(&fleet))], 1.0);
}

#[tokio::test]
async fn an_account_that_hangs_and_one_whose_server_has_gone_leave_the_others_up() {
    let mut fleet = Fleet::start(Member::several(&NAMES, company).await).await;
    let server = prometheus(&fleet).await;
    sees(&server, &instances(&fleet, &NAMES)).await;
    fleet
        .member("a")
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    drop(fleet.remove("b"));
    let asked = fleet.member("a").count(Operation::ActiveCalls);
    crate::fleet::eventually("one hangs", || {
        fleet.member("a").count(Operation::ActiveCalls) > asked
    })
    .await;
    sleep(Duration::from_secs(4)).await;
    let up = by_instance(&server, "min_over_time(up[10m])").await;
    assert_eq!(
        up,
        instances(&fleet, &NAMES)
            .into_iter()
            .map(|instance| (instance, 1.0))
            .collect()
    );
    let fresh = "timestamp(ringcentral_up) - ringcentral_snapshot_timestamp_seconds < 3";
    let fresh: BTreeSet<_> = by_instance(&server, fresh).await.into_keys().collect();
    assert_eq!(fresh, instances(&fleet, &NAMES[2..]));
}

/// The second step writes the exporter that has been chosen into the address.
fn shards(exporters: &[&Fleet; 2]) -> String {
    let choose = "{source_labels: [__param_account], modulus: 2, target_label: __tmp_shard, action: hashmod}";
    let address = |shard: usize| {
        let host = host(exporters[shard]);
        format!(
            "{{source_labels: [__tmp_shard], regex: \"{shard}\", target_label: __address__, replacement: \"{host}\"}}"
        )
    };
    format!(
        "relabel_configs: [{choose}, {}, {}]",
        address(0),
        address(1)
    )
}

#[tokio::test]
async fn two_exporters_share_the_accounts_by_hashmod_and_each_is_asked_by_one() {
    let first = Fleet::start(Member::several(&NAMES, company).await).await;
    let second = Fleet::start(first.members.clone()).await;
    let job = format!("{}, {}", discovery(&first), shards(&[&first, &second]));
    let server = PrometheusBuilder::new(&[], Duration::from_secs(1))
        .job_options(&job)
        .start()
        .await;
    sees(&server, &instances(&first, &NAMES)).await;
    let targets = targets(&server).await;
    let names: Vec<_> = targets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (names.len(), names.into_iter().collect::<BTreeSet<_>>()),
        (NAMES.len(), BTreeSet::from(NAMES))
    );
    let of = |fleet: &Fleet| {
        targets
            .iter()
            .filter(|(_, url)| url.starts_with(&fleet.url))
            .count()
    };
    assert!(
        of(&first) > 0 && of(&second) > 0 && of(&first) + of(&second) == NAMES.len(),
        "{targets:?}"
    );
    for member in &first.members {
        assert_eq!(
            member.count(Operation::Token),
            1,
            "{}: each exporter would log in by itself",
            member.name
        );
    }
}

#[tokio::test]
async fn what_all_accounts_together_show_is_to_promtools_liking() {
    let fleet = Fleet::start(Member::several(&NAMES, company).await).await;
    let folder = tempfile::tempdir().unwrap();
    for (file, path) in [
        ("all", "/metrics"),
        ("some", "/metrics?account=a&account=b"),
        ("own", "/-/metrics"),
    ] {
        std::fs::write(folder.path().join(file), fleet.get(path).await.text).unwrap();
        assert_eq!(
            run_shell(folder.path(), &format!("promtool check metrics < {file}")),
            "",
            "{path}"
        );
    }
}
