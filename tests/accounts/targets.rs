//! Tests of `/metrics?account=NAME`, the metrics of chosen accounts, and `/-/metrics`, those of the
//! exporter only.

use std::collections::BTreeSet;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};

use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, company, up, wait_until};

/// Starts accounts whose clock stands still.
async fn accounts_without_clock<S: AsRef<str>>(names: &[S]) -> Vec<TestAccount> {
    TestAccount::start_many(names, |index| ManualClock::new().attach_to(company(index))).await
}

/// Returns the values of the label `account` in an exposition; an empty one stands for series
/// without the label.
fn account_labels(scraped: &ScrapeResponse) -> BTreeSet<String> {
    let mut accounts = BTreeSet::new();
    for series in scraped.samples().into_keys() {
        let account = match series.split_once("account=\"") {
            Some((_, rest)) => rest.split('"').next().unwrap().to_owned(),
            None => String::new(),
        };
        accounts.insert(account);
    }
    accounts
}

/// Asserts the values of the label `account` in an exposition.
#[track_caller]
fn assert_account_labels(scraped: &ScrapeResponse, names: &[&str]) {
    let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        (scraped.status, account_labels(scraped)),
        (200, names),
        "{}",
        scraped.text
    );
}

#[tokio::test]
async fn single_target_is_fast_while_twenty_hang() {
    let names: Vec<_> = (0..20)
        .map(|index| format!("hanging-{index:02}"))
        .chain(["a".to_owned()])
        .collect();
    let exporter = TestExporter::start(accounts_without_clock(&names).await).await;
    for account in &exporter.accounts[..20] {
        account.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    }
    let all = exporter.spawn_scrape("/metrics", 60);
    let is_fetched = |account: &TestAccount| account.request_count(Operation::ActiveCalls) == 1;
    wait_until("sixteen accounts hang", || {
        exporter
            .accounts
            .iter()
            .filter(|account| is_fetched(account))
            .count()
            >= 16
    })
    .await;
    let one = exporter.get("/metrics?account=a").await;
    assert!(!all.is_finished(), "{:?}", one.elapsed);
    assert_account_labels(&one, &["a"]);
    exporter.assert_exact("a", &one).await;
}

#[tokio::test]
async fn only_named_accounts_are_fetched() {
    let exporter = TestExporter::start(accounts_without_clock(&["a", "b", "c", "d"]).await).await;
    assert_account_labels(
        &exporter.get("/metrics?account=c&account=a").await,
        &["a", "c"],
    );
    for (name, is_unused) in [("a", false), ("b", true), ("c", false), ("d", true)] {
        assert_eq!(
            exporter.account(name).has_no_requests(),
            is_unused,
            "{name}"
        );
    }
    assert_account_labels(&exporter.scrape().await, &["", "a", "b", "c", "d"]);
}

#[tokio::test]
async fn account_named_twice_is_shown_once() {
    let exporter = TestExporter::start(accounts_without_clock(&["a", "b"]).await).await;
    let scraped = exporter.get("/metrics?account=a&account=a").await;
    assert_account_labels(&scraped, &["a"]);
    assert_eq!(
        scraped.text.matches("ringcentral_up{").count(),
        1,
        "{}",
        scraped.text
    );
    assert_eq!(
        exporter.account("a").request_count(Operation::ActiveCalls),
        1
    );
}

#[tokio::test]
async fn unknown_account_is_404_without_fetch() {
    let exporter = TestExporter::start(accounts_without_clock(&["a", "b"]).await).await;
    for query in ["account=z", "account=a&account=z", "account=", "account=A"] {
        assert_eq!(
            exporter.get(&format!("/metrics?{query}")).await.status,
            404,
            "{query}"
        );
    }
    assert!(exporter.accounts.iter().all(TestAccount::has_no_requests));
}

#[tokio::test]
async fn own_metrics_endpoint_does_not_fetch() {
    let exporter = TestExporter::start(accounts_without_clock(&["a", "b"]).await).await;
    let own = exporter.get("/-/metrics").await;
    assert_account_labels(&own, &[""]);
    for family in [
        "ringcentral_exporter_build_info",
        "ringcentral_exporter_config_last_reload_successful",
        "process_",
    ] {
        assert!(
            own.samples()
                .keys()
                .any(|series| series.starts_with(family)),
            "{family} in {}",
            own.text
        );
    }
    assert!(exporter.accounts.iter().all(TestAccount::has_no_requests));
    let content_type = exporter.scrape().await.headers["content-type"].clone();
    assert_eq!(own.headers["content-type"], content_type);
    assert_eq!(
        exporter.request("HEAD", "/-/metrics").await,
        (200, String::new())
    );
    assert_eq!(exporter.request("POST", "/-/metrics").await.0, 405);
}

/// The values are not compared.
#[tokio::test]
async fn single_target_has_same_families_as_full_scrape() {
    let exporter = TestExporter::start(accounts_without_clock(&["a", "b"]).await).await;
    let (all, single) = (
        exporter.scrape().await,
        exporter.get("/metrics?account=a").await,
    );
    assert_eq!(
        all.account_samples("a").into_keys().collect::<Vec<_>>(),
        single.account_samples("a").into_keys().collect::<Vec<_>>()
    );
    assert_eq!(up(&all, "b"), 1.0);
}

#[tokio::test]
async fn each_account_has_its_own_settings() {
    let mut accounts = accounts_without_clock(&["a", "b"]).await;
    accounts[1] = TestAccount::new(
        "b",
        Scenario {
            admin: false,
            ..company(1)
        },
        2,
    )
    .await;
    accounts[0].extra_keys = ", concurrent_calls_limit: 40".to_owned();
    accounts[1].extra_keys = format!(
        ", level: extension, account_id: '{}'",
        accounts[1].simulator.account_id()
    );
    let exporter = TestExporter::start(accounts).await;
    let scraped = exporter.scrape().await;
    assert_eq!(
        scraped.value("ringcentral_concurrent_calls_limit{account=\"a\"}"),
        40.0
    );
    assert!(
        !scraped
            .account_samples("b")
            .keys()
            .any(|series| series.starts_with("ringcentral_concurrent_calls_limit"))
    );
    for (name, level) in [("a", "account"), ("b", "extension")] {
        let (id, url) = (
            exporter.account(name).simulator.account_id(),
            exporter.account(name).simulator.url(),
        );
        let labels =
            format!("account=\"{name}\",account_id=\"{id}\",level=\"{level}\",server=\"{url}\"");
        assert_eq!(
            scraped.value(&format!("ringcentral_account_info{{{labels}}}")),
            1.0
        );
        assert_eq!(up(&scraped, name), 1.0);
    }
    assert_eq!(
        exporter.account("b").request_count(Operation::Extensions),
        0,
        "at the level extension the list is not fetched"
    );
}

#[tokio::test]
async fn shutdown_revokes_all_tokens_despite_hang() {
    let names: Vec<_> = (0..30).map(|index| format!("a{index:02}")).collect();
    let mut exporter = TestExporter::start(accounts_without_clock(&names).await).await;
    exporter.scrape().await;
    exporter.accounts[3].inject(Fault::always(Operation::Revoke, FaultKind::Hang));
    exporter.stop().await;
    for account in &exporter.accounts {
        assert_eq!(
            account.request_count(Operation::Revoke),
            1,
            "{}",
            account.name
        );
    }
}
