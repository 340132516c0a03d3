//! Tests of reloads during a fetch.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};

use super::{advance_until_calls_end, assert_kept_running, start_and_scrape};
use crate::common::clock::ManualClock;
use crate::harness::{TestAccount, assert_up, company, wait_until};

#[tokio::test]
async fn fetch_continues_across_reload() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b", "gone"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    clock.advance(Duration::from_secs(30));
    let count = exporter.account("a").request_count(Operation::ActiveCalls);
    let delay = || {
        Fault::once(
            Operation::ActiveCalls,
            FaultKind::Delay(Duration::from_secs(6)),
        )
    };
    for account in &exporter.accounts {
        account.inject(delay());
    }
    let scrape = exporter.spawn_scrape("/metrics", 60);
    let last = exporter.account("gone").clone();
    wait_until("all accounts are fetched", || last.has_pending_request()).await;
    exporter.remove("gone");
    exporter
        .accounts
        .push(TestAccount::new("new", clock.attach_to(company(5)), 50).await);
    exporter.reload().await;
    assert!(!scrape.is_finished());
    let scraped = scrape.await.unwrap();
    for name in ["a", "b"] {
        exporter.assert_exact(name, &scraped).await;
        assert_eq!(
            exporter.account(name).request_count(Operation::ActiveCalls),
            count + 1,
            "{name}: the fetch must not restart"
        );
    }
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
    exporter.assert_exact("new", &exporter.scrape().await).await;
}

#[tokio::test]
async fn scrape_is_answered_when_awaited_account_changes() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "gone", "changed", "rotated"], &clock).await;
    let delay = || {
        Fault::once(
            Operation::ActiveCalls,
            FaultKind::Delay(Duration::from_secs(6)),
        )
    };
    for account in &exporter.accounts {
        account.inject(delay());
    }
    let scrape = exporter.spawn_scrape("/metrics", 60);
    let last = exporter.account("rotated").clone();
    wait_until("all accounts are fetched", || last.has_pending_request()).await;
    exporter.remove("gone");
    exporter.account_mut("changed").extra_keys = ", level: extension".to_owned();
    exporter.account_mut("rotated").jwt = exporter.account("rotated").simulator.issue_jwt();
    exporter.reload().await;
    let scraped = scrape.await.unwrap();
    assert!(
        scraped.status == 200 && scraped.elapsed < Duration::from_secs(40),
        "{:?}",
        scraped.elapsed
    );
    exporter.assert_exact("a", &scraped).await;
    let next = exporter.scrape().await;
    assert_up(&next, &["a", "changed", "rotated"]);
}
