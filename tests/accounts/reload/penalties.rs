//! Tests of reloads during a penalty: RingCentral keeps the penalty, so the exporter must keep it
//! too.

use ringcentral_exporter::simulator::{Fault, Operation, SimResponse};

use crate::harness::{TestAccount, TestExporter, blocked_until, company, up};

/// Starts two accounts, the first of them in a penalty, and returns the end of the penalty in Unix
/// seconds.
async fn start_with_penalty() -> (TestExporter, f64) {
    let exporter = TestExporter::start(TestAccount::start_many(&["a", "b"], company).await).await;
    let refusal = SimResponse::too_many_requests(Some(60)).with("X-Rate-Limit-Group", "heavy");
    exporter
        .account("a")
        .inject(Fault::once(Operation::ActiveCalls, refusal));
    let scraped = exporter.scrape().await;
    assert_eq!((up(&scraped, "a"), up(&scraped, "b")), (0.0, 1.0));
    let until = blocked_until(&scraped, "a", "active_calls");
    (exporter, until)
}

/// Reloads, and asserts that the account sends no request and reports the same end of the penalty.
async fn assert_penalty_kept(exporter: &mut TestExporter, name: &str, until: f64) {
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert_eq!(
        exporter.account(name).request_count(Operation::ActiveCalls),
        1,
        "a request would prolong the penalty"
    );
    assert_eq!((up(&scraped, name), up(&scraped, "b")), (0.0, 1.0));
    let now = blocked_until(&scraped, name, "active_calls");
    assert!((now - until).abs() < 0.5, "expected {until}, got {now}");
}

#[tokio::test]
async fn penalty_survives_changed_level() {
    let (mut exporter, until) = start_with_penalty().await;
    for level in ["extension", "account", "extension"] {
        exporter.account_mut("a").extra_keys = format!(", level: {level}");
        assert_penalty_kept(&mut exporter, "a", until).await;
    }
}

#[tokio::test]
async fn penalty_survives_changed_account_id() {
    let (mut exporter, until) = start_with_penalty().await;
    exporter.account_mut("a").extra_keys = format!(
        ", account_id: '{}'",
        exporter.account("a").simulator.account_id()
    );
    assert_penalty_kept(&mut exporter, "a", until).await;
}

#[tokio::test]
async fn penalty_survives_rename() {
    let (mut exporter, until) = start_with_penalty().await;
    exporter.account_mut("a").name = "c".to_owned();
    assert_penalty_kept(&mut exporter, "c", until).await;
}

#[tokio::test]
async fn penalty_survives_rename_with_moved_files() {
    let (mut exporter, until) = start_with_penalty().await;
    let account = exporter.account_mut("a");
    (account.name, account.secrets_dir) = ("c".to_owned(), "c".to_owned());
    std::fs::remove_dir_all(exporter.path("a")).unwrap();
    assert_penalty_kept(&mut exporter, "c", until).await;
}

#[tokio::test]
async fn penalty_survives_changed_secret() {
    let (mut exporter, until) = start_with_penalty().await;
    exporter.account_mut("a").jwt = exporter.account("a").simulator.rotate_jwt();
    assert_penalty_kept(&mut exporter, "a", until).await;
}

#[tokio::test]
async fn penalty_survives_changed_name_and_level() {
    let (mut exporter, until) = start_with_penalty().await;
    let account = exporter.account_mut("a");
    (account.name, account.extra_keys) = ("c".to_owned(), ", level: extension".to_owned());
    assert_penalty_kept(&mut exporter, "c", until).await;
}

/// Users often change a file in two steps.
#[tokio::test]
async fn penalty_survives_brief_removal() {
    let (mut exporter, until) = start_with_penalty().await;
    let removed = exporter.remove("a");
    exporter.reload().await;
    exporter.accounts.push(removed);
    assert_penalty_kept(&mut exporter, "a", until).await;
}

/// A penalty belongs to the user that logs in: it holds all accounts with a JWT of that user,
/// before and after a reload.
#[tokio::test]
async fn swapped_jwts_of_one_user_keep_its_penalty() {
    let first = TestAccount::new("a", company(0), 1).await;
    first.simulator.issue_jwt();
    let second = TestAccount::from_simulator("b", first.simulator.clone());
    let mut exporter = TestExporter::start(vec![first, second]).await;
    exporter.scrape().await;
    exporter.account("a").inject(Fault::once(
        Operation::ActiveCalls,
        SimResponse::too_many_requests(Some(60)),
    ));
    let single = exporter.get("/metrics?account=a").await;
    let until = blocked_until(&single, "a", "active_calls");
    let requests = exporter.account("a").request_count(Operation::ActiveCalls);
    let jwts = ["a", "b"].map(|name| exporter.account(name).jwt.clone());
    (exporter.account_mut("b").jwt, exporter.account_mut("a").jwt) = jwts.into();
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    for name in ["a", "b"] {
        let blocked = blocked_until(&scraped, name, "active_calls");
        assert!((blocked - until).abs() < 0.5, "{name}: {blocked} {until}");
    }
    let count = exporter.account("a").request_count(Operation::ActiveCalls);
    assert_eq!(count, requests);
}

/// RingCentral locks a user after repeated logins with a wrong secret.
#[tokio::test]
async fn login_backoff_survives_brief_removal() {
    let mut exporter =
        TestExporter::start(TestAccount::start_many(&["a", "b"], company).await).await;
    exporter.account("a").inject(Fault::always(
        Operation::Token,
        SimResponse::invalid_grant("no"),
    ));
    let until = blocked_until(&exporter.scrape().await, "a", "token");
    let removed = exporter.remove("a");
    exporter.reload().await;
    exporter.accounts.push(removed);
    exporter.reload().await;
    let scraped = exporter.scrape().await;
    assert!((blocked_until(&scraped, "a", "token") - until).abs() < 0.5);
    assert_eq!(exporter.account("a").request_count(Operation::Token), 1);
}
