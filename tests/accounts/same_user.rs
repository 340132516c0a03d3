//! Tests of two entries that log in as the same user: they share its rate limit and sessions, so
//! the log has a warning.

use crate::harness::{TestAccount, TestExporter, assert_up, company};

const WARNING: &str = "same user";

/// Starts two accounts: `berlin` and `paris` log in as the same user with different JWTs,
/// `colleague` as another user.
async fn accounts_with_same_user() -> Vec<TestAccount> {
    let mut accounts = TestAccount::start_many(&["berlin", "colleague"], company).await;
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
