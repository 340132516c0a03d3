//! Tests of two entries that log in as the same user: they share its rate limit and sessions, so
//! the log has a warning.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse, Simulator};

use crate::harness::{TestAccount, TestExporter, assert_up, company};

const WARNING: &str = "same user";

/// Starts two accounts: `berlin` and `paris` log in as the same user with different JWTs,
/// `colleague` as another user.
async fn accounts_with_same_user() -> Vec<TestAccount> {
    accounts_of(company).await
}

async fn accounts_of(scenario: impl Fn(usize) -> Scenario) -> Vec<TestAccount> {
    let mut accounts = TestAccount::start_many(&["berlin", "colleague"], scenario).await;
    let simulator = accounts[0].simulator.clone();
    simulator.issue_jwt();
    accounts.push(TestAccount::from_simulator("paris", simulator));
    accounts
}

/// Returns the warnings in a log.
fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(WARNING)).collect()
}

#[tokio::test]
async fn same_user_warning_names_accounts_once() {
    let mut exporter = TestExporter::start(accounts_with_same_user().await).await;
    for _ in 0..3 {
        let scraped = exporter.scrape().await;
        assert_up(&scraped, &["berlin", "paris", "colleague"]);
        // Forces another login at the next scrape.
        exporter.accounts[0].simulator.evict_tokens();
    }
    let line = exporter.process.wait_for_log(WARNING).await;
    for part in ["level=warn", "berlin", "paris"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let log = exporter.stop().await;
    assert_eq!(warnings(log).len(), 1, "{log}");
    assert!(!warnings(log)[0].contains("colleague"), "{log}");
}

#[tokio::test]
async fn same_user_warning_appears_after_reload() {
    let mut accounts = accounts_with_same_user().await;
    let paris = accounts.pop().unwrap();
    let mut exporter = TestExporter::start(accounts).await;
    exporter.scrape().await;
    exporter.accounts.push(paris);
    exporter.reload().await;
    assert!(
        warnings(&exporter.process.log).is_empty(),
        "{}",
        exporter.process.log
    );
    exporter.scrape().await;
    exporter.process.wait_for_log(WARNING).await;
}

#[tokio::test]
async fn different_users_cause_no_warning() {
    let mut exporter =
        TestExporter::start(TestAccount::start_many(&["a", "b"], company).await).await;
    exporter.scrape().await;
    let log = exporter.stop().await;
    assert!(!log.contains("level=warn"), "{log}");
}

#[tokio::test]
async fn penalty_of_one_account_holds_the_other() {
    let exporter = TestExporter::start(accounts_with_same_user().await).await;
    assert_up(&exporter.scrape().await, &["berlin", "paris", "colleague"]);
    let simulator = &exporter.accounts[0].simulator;
    let refusal = SimResponse::too_many_requests(Some(600)).with("X-Rate-Limit-Group", "heavy");
    simulator.inject(Fault::once(Operation::ActiveCalls, refusal));
    let scraped = loop {
        let scraped = exporter.scrape().await;
        if scraped.text.contains("reason=\"rate_limited\"} 1\n") {
            break scraped;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let requests = count_calls_requests(simulator);
    let now = jiff::Timestamp::now().as_second() as f64;
    for account in ["berlin", "paris"] {
        let blocked = format!(
            "ringcentral_api_blocked_until_timestamp_seconds{{account=\"{account}\",operation=\"active_calls\"}}"
        );
        assert!(scraped.value(&blocked) > now + 300.0, "{account}");
    }
    for _ in 0..3 {
        exporter.scrape().await;
    }
    assert_eq!(count_calls_requests(simulator), requests);
}

fn count_calls_requests(simulator: &Simulator) -> usize {
    let journal = simulator.journal().into_iter();
    journal
        .filter(|entry| entry.operation == Some(Operation::ActiveCalls))
        .count()
}

#[tokio::test]
async fn two_accounts_of_one_user_share_the_limit() {
    let exporter = TestExporter::start(accounts_of(|_| Scenario::normal()).await).await;
    exporter.scrape().await;
    let scraped = exporter.scrape().await;
    let next = |account: &str| {
        let series = format!("ringcentral_next_fetch_timestamp_seconds{{account=\"{account}\"}}");
        scraped.value(&series) - scraped.value(&series.replace("next_fetch", "snapshot"))
    };
    assert!((14.0..16.0).contains(&next("berlin")), "{}", next("berlin"));
    assert!(
        (7.0..8.0).contains(&next("colleague")),
        "{}",
        next("colleague")
    );
}
