//! Tests of reloads with changed secrets: in the same files or in other files.

use std::time::Duration;

use ringcentral_exporter::simulator::Operation;
use tokio::time::{Instant, sleep};

use super::{advance_until_calls_end, assert_kept_running, ended_calls, start_and_scrape};
use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{
    TestAccount, TestExporter, blocked_until, company, requests_total, up, wait_until,
};

#[tokio::test]
async fn changed_secret_causes_login_and_keeps_counters() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").jwt = exporter.account("a").simulator.rotate_jwt();
    exporter.reload().await;
    assert_relogin_keeps_counters(&exporter, "a", &before).await;
    assert_kept_running(&exporter, "b", &before).await;
}

#[tokio::test]
async fn secret_from_other_file_keeps_counters() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    let jwt = exporter.account("a").simulator.issue_jwt();
    let account = exporter.account_mut("a");
    (account.jwt, account.secrets_dir) = (jwt, "elsewhere".to_owned());
    exporter.reload().await;
    assert_relogin_keeps_counters(&exporter, "a", &before).await;
    assert_kept_running(&exporter, "b", &before).await;
}

/// Asserts that the account logs in again at the next scrape, not before, and that its counters
/// continue.
async fn assert_relogin_keeps_counters(
    exporter: &TestExporter,
    name: &str,
    before: &ScrapeResponse,
) {
    assert_eq!(
        exporter.account(name).request_count(Operation::Token),
        1,
        "only a scrape starts a login"
    );
    let scraped = exporter.scrape().await;
    assert_eq!(
        exporter.account(name).request_count(Operation::Token),
        2,
        "{name}"
    );
    exporter.assert_exact(name, &scraped).await;
    assert_eq!(ended_calls(&scraped, name), ended_calls(before, name));
    let new_requests = requests_total(&scraped, name, "active_calls")
        - requests_total(before, name, "active_calls");
    assert_eq!(new_requests, 1.0, "the counters must continue");
}

/// The content of the file counts, not its path.
#[tokio::test]
async fn moved_secret_causes_no_login() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.account_mut("a").secrets_dir = "elsewhere".to_owned();
    exporter.reload().await;
    assert_kept_running(&exporter, "a", &before).await;
}

#[tokio::test]
async fn corrected_secret_ends_login_backoff() {
    let mut accounts = TestAccount::start_many(&["a", "b"], company).await;
    let valid = std::mem::replace(&mut accounts[0].jwt, "e30.e30.d3Jvbmc".to_owned());
    let mut exporter = TestExporter::start(accounts).await;
    let refused = exporter.scrape().await;
    assert!(up(&refused, "a") == 0.0 && blocked_until(&refused, "a", "token") > 0.0);
    exporter.reload().await;
    assert_eq!(up(&exporter.scrape().await, "a"), 0.0);
    assert_eq!(
        exporter.account("a").request_count(Operation::Token),
        1,
        "an unchanged secret would be refused again"
    );
    exporter.account_mut("a").jwt = valid;
    exporter.reload().await;
    let recovered = scrape_until_up(&exporter, "a").await;
    assert_eq!(exporter.account("a").request_count(Operation::Token), 2);
    assert_eq!(blocked_until(&recovered, "a", "token"), 0.0);
    assert_eq!(exporter.account("b").request_count(Operation::Token), 1);
}

/// Scrapes until the account is up, for at most 50 s, less than the backoff of a minute after a
/// refused login. The fetch with the refused login used up its slot, so the next fetch starts 7.5 s
/// later.
async fn scrape_until_up(exporter: &TestExporter, name: &str) -> ScrapeResponse {
    let deadline = Instant::now() + Duration::from_secs(50);
    loop {
        let scraped = exporter.scrape().await;
        if up(&scraped, name) == 1.0 {
            return scraped;
        }
        assert!(Instant::now() < deadline, "{}", scraped.text);
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn token_is_revoked_after_account_files_are_removed() {
    let mut exporter =
        TestExporter::start(TestAccount::start_many(&["a", "b"], company).await).await;
    exporter.scrape().await;
    let removed = exporter.remove("a");
    std::fs::remove_dir_all(exporter.path("a")).unwrap();
    exporter.reload().await;
    wait_until("the token is revoked", || {
        removed.request_count(Operation::Revoke) == 1
    })
    .await;
    assert_eq!(removed.requests(Operation::Revoke)[0].status, Some(200));
}

/// The token is revoked at the previous server with the previous client secret.
#[tokio::test]
async fn new_secret_is_not_sent_to_previous_server() {
    let mut exporter = TestExporter::start(TestAccount::start_many(&["a"], company).await).await;
    exporter.scrape().await;
    let other_server = TestAccount::new("a", company(7), 7).await;
    let previous = std::mem::replace(&mut exporter.accounts[0], other_server);
    exporter.reload().await;
    assert_eq!(up(&exporter.scrape().await, "a"), 1.0);
    wait_until("the previous token is revoked", || {
        previous.request_count(Operation::Revoke) == 1
    })
    .await;
    assert_eq!(previous.requests(Operation::Revoke)[0].status, Some(200));
}
