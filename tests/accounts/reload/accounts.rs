//! Tests of reloads that add, remove or change accounts.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};

use super::{advance_until_calls_end, assert_kept_running, ended_calls, start_and_scrape};
use crate::common::clock::ManualClock;
use crate::harness::{TestAccount, company, up, wait_until};

#[tokio::test]
async fn added_account_is_in_next_scrape() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.accounts.insert(
        1,
        TestAccount::new("new", clock.attach_to(company(7)), 70).await,
    );
    exporter.reload().await;
    assert!(
        exporter.account("new").has_no_requests(),
        "only a scrape starts a fetch"
    );
    let scraped = exporter.scrape().await;
    exporter.assert_exact("new", &scraped).await;
    assert_eq!(
        ended_calls(&scraped, "new"),
        0.0,
        "calls that ended before the first fetch are the baseline"
    );
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
}

#[tokio::test]
async fn removed_account_is_not_in_next_scrape() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "gone", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    let removed = exporter.remove("gone");
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert!(!scraped.text.contains("\"gone\""), "{}", scraped.text);
    assert_eq!(exporter.get("/metrics?account=gone").await.status, 404);
    wait_until("the token is revoked", || {
        removed.request_count(Operation::Revoke) == 1
    })
    .await;
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
}

#[tokio::test]
async fn readded_account_starts_from_zero() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    advance_until_calls_end(&exporter, &clock).await;
    let removed = exporter.remove("b");
    exporter.reload().await;
    wait_until("the token is revoked", || {
        removed.request_count(Operation::Revoke) == 1
    })
    .await;
    exporter.accounts.push(removed);
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert_eq!(
        (
            ended_calls(&scraped, "b"),
            exporter.account("b").request_count(Operation::Token)
        ),
        (0.0, 2)
    );
    exporter.assert_exact("b", &scraped).await;
}

/// The log line counts the running, the added and the removed accounts.
#[tokio::test]
async fn reload_log_counts_added_and_removed_accounts() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b", "c"], &clock).await;
    assert_contains(&exporter.reload().await, "accounts=3 added=0 removed=0");
    exporter.remove("a");
    exporter.remove("b");
    exporter
        .accounts
        .push(TestAccount::new("new", clock.attach_to(company(7)), 70).await);
    assert_contains(&exporter.reload().await, "accounts=2 added=1 removed=2");
    let text = std::fs::read_to_string(exporter.config_file()).unwrap();
    assert!(
        !exporter
            .reload_invalid(&text.replace("name: c", "name: new"))
            .await
            .contains("added=")
    );
}

/// Asserts that the log line has these fields.
fn assert_contains(line: &str, counts: &str) {
    assert!(line.contains(counts), "{counts} in {line}");
}

#[tokio::test]
async fn changed_level_restarts_account() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").extra_keys = ", level: extension".to_owned();
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert_eq!(
        (up(&scraped, "a"), ended_calls(&scraped, "a")),
        (1.0, 0.0),
        "the counters start from zero"
    );
    let request = exporter
        .account("a")
        .requests(Operation::ActiveCalls)
        .pop()
        .unwrap();
    assert!(request.target.contains("/extension/"), "{}", request.target);
    assert!(scraped.text.contains("level=\"extension\""));
    assert_kept_running(&exporter, "b", &before).await;
}

#[tokio::test]
async fn changed_server_restarts_account() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    let other_server = TestAccount::new("a", clock.attach_to(company(9)), 90).await;
    let previous = std::mem::replace(exporter.account_mut("a"), other_server);
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert_eq!(ended_calls(&scraped, "a"), 0.0);
    exporter.assert_exact("a", &scraped).await;
    wait_until("the token of the previous server is revoked", || {
        previous.request_count(Operation::Revoke) == 1
    })
    .await;
    assert_kept_running(&exporter, "b", &before).await;
}

#[tokio::test]
async fn renamed_account_restarts() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").name = "c".to_owned();
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert!(!scraped.text.contains("account=\"a\""), "{}", scraped.text);
    exporter.assert_exact("c", &scraped).await;
    assert_kept_running(&exporter, "b", &before).await;
}

#[tokio::test]
async fn changed_limit_keeps_account_running() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").extra_keys = ", concurrent_calls_limit: 77".to_owned();
    exporter.reload().await;
    assert_kept_running(&exporter, "a", &before).await;
    assert_eq!(
        exporter
            .scrape()
            .await
            .value("ringcentral_concurrent_calls_limit{account=\"a\"}"),
        77.0
    );
}

/// The pending request of a removed account is cancelled.
#[tokio::test]
async fn removed_hanging_account_is_revoked_immediately() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "hangs"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter
        .account("hangs")
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    let count = exporter
        .account("hangs")
        .request_count(Operation::ActiveCalls);
    let scrape = exporter.spawn_scrape("/metrics", 60);
    wait_until("the account hangs", || {
        exporter
            .account("hangs")
            .request_count(Operation::ActiveCalls)
            > count
    })
    .await;
    let removed = exporter.remove("hangs");
    exporter.reload().await;
    let scraped = tokio::time::timeout(Duration::from_secs(8), scrape).await;
    exporter
        .assert_exact(
            "a",
            &scraped
                .expect("the scrape must not wait until the request times out after 10 s")
                .unwrap(),
        )
        .await;
    wait_until("the token is revoked", || {
        removed.request_count(Operation::Revoke) == 1
    })
    .await;
    assert_kept_running(&exporter, "a", &before).await;
}

#[tokio::test]
async fn swapped_names_swap_calls() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b", "c"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.accounts[0].name = "b".to_owned();
    exporter.accounts[1].name = "a".to_owned();
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    for name in ["a", "b"] {
        exporter.assert_exact(name, &scraped).await;
        assert_eq!(ended_calls(&scraped, name), 0.0, "{name}");
    }
    assert_kept_running(&exporter, "c", &before).await;
}
