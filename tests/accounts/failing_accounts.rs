//! Tests of scrapes in which some accounts fail or hang: the other accounts stay exact, and no
//! scrape is late.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};
use tokio::time::{Instant, interval};

use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, company, up};

/// The deadline of a scrape without a timeout header. The deadlines of the tests are at least 3 s
/// shorter, which is more than a busy machine adds.
const DEFAULT_DEADLINE: Duration = Duration::from_millis(9_500);

/// The penalty of refused requests, which does not end during a test.
const PENALTY: Duration = Duration::from_secs(3600);
/// The exporter's back-off after a refused login.
const LOGIN_BACKOFF: Duration = Duration::from_secs(60);

/// Returns the faults of eight failing accounts, by account name.
fn faults() -> [(&'static str, Fault); 8] {
    use Operation::{ActiveCalls, Token};
    let drip = FaultKind::Drip {
        pieces: 40,
        pause: Duration::from_millis(500),
    };
    let login_page = FaultKind::Body("<html>Log in here</html>".into());
    let gzip_bomb = FaultKind::GzipBomb(64 * 1024 * 1024);
    [
        ("list-hangs", Fault::always(ActiveCalls, FaultKind::Hang)),
        ("login-hangs", Fault::always(Token, FaultKind::Hang)),
        (
            "rate-limited",
            Fault::always(
                ActiveCalls,
                SimResponse::too_many_requests(Some(PENALTY.as_secs())),
            ),
        ),
        (
            "unavailable",
            Fault::always(ActiveCalls, SimResponse::unavailable(500)),
        ),
        ("captive-portal", Fault::always(ActiveCalls, login_page)),
        ("cut", Fault::always(ActiveCalls, FaultKind::Truncate)),
        ("drips", Fault::always(ActiveCalls, drip)),
        ("gzip-bomb", Fault::always(ActiveCalls, gzip_bomb)),
    ]
}

/// Starts ten accounts, each with a failure of its own.
async fn failing_accounts(clock: &ManualClock) -> Vec<TestAccount> {
    let mut accounts = Vec::new();
    for (index, (name, fault)) in faults().into_iter().enumerate() {
        let scenario = clock.attach_to(company(index));
        let account = TestAccount::new(name, scenario, 100 + index as u64).await;
        account.inject(fault);
        accounts.push(account);
    }
    let other_client = Some(OtherClient {
        requests: 1_000_000,
        first: Duration::ZERO,
        every: Duration::from_secs(3600),
    });
    let mut exhausted = clock.attach_to(Scenario {
        other_client,
        ..company(8)
    });
    exhausted.limits.heavy.penalty = PENALTY;
    accounts.push(TestAccount::new("group-exhausted", exhausted, 108).await);
    let refused = TestAccount::new("login-refused", clock.attach_to(company(9)), 109).await;
    accounts.push(TestAccount {
        client_secret: "not-the-secret".to_owned(),
        ..refused
    });
    accounts
}

/// Starts accounts without faults.
async fn healthy_accounts(count: usize, clock: &ManualClock) -> Vec<TestAccount> {
    let names: Vec<_> = (0..count)
        .map(|index| format!("healthy-{index:02}"))
        .collect();
    TestAccount::start_many(&names, |index| clock.attach_to(company(index))).await
}

/// Distributes the first list evenly over the second.
fn interleave(few: Vec<TestAccount>, many: Vec<TestAccount>) -> Vec<TestAccount> {
    let stride = many.len() / few.len();
    let (mut accounts, mut many) = (Vec::new(), many.into_iter());
    for account in few {
        accounts.push(account);
        accounts.extend(many.by_ref().take(stride));
    }
    accounts.extend(many);
    accounts
}

/// Asserts that healthy accounts are exact, and that the others have `up` 0 and no calls.
async fn assert_only_healthy_up(exporter: &TestExporter, scraped: &ScrapeResponse) {
    assert_eq!(scraped.status, 200);
    for account in &exporter.accounts {
        let name = &account.name;
        if name.starts_with("healthy") {
            exporter.assert_exact(name, scraped).await;
        } else {
            assert_eq!(
                (up(scraped, name), scraped.account_call_samples(name)),
                (0.0, Default::default()),
                "{name}"
            );
        }
    }
}

/// Asserts that an account received at most one login, one request for the extension list, and one
/// for the call list per scrape, and none during a penalty. A login that timed out may be repeated, and a
/// refused one after the back-off.
fn assert_minimal_requests(account: &TestAccount, scrapes: usize, started: Instant) {
    let (name, journal) = (&account.name, account.simulator.journal());
    assert!(
        journal.iter().all(|entry| !entry.in_penalty),
        "{name}: {journal:?}"
    );
    let logins = account.request_count(Operation::Token);
    let lists = account.request_count(Operation::ActiveCalls);
    let extensions = account.request_count(Operation::Extensions);
    let minimal = match name.as_str() {
        "login-refused" => lists == 0 && extensions == 0 && logins <= scrapes,
        "login-hangs" => logins <= scrapes && lists == 0 && extensions == 0,
        "rate-limited" => lists == 1 && extensions == 0,
        "group-exhausted" => lists == 1 && extensions <= 1,
        name if name.starts_with("healthy") => lists == scrapes && extensions == 1,
        _ => (1..=scrapes).contains(&lists) && extensions <= 1,
    };
    let may_repeat_login = match name.as_str() {
        "login-hangs" => true,
        "login-refused" => started.elapsed() > LOGIN_BACKOFF,
        _ => false,
    };
    assert!(
        minimal && (logins == 1 || may_repeat_login),
        "{name}: {journal:?}"
    );
}

#[tokio::test]
async fn ten_failing_accounts_leave_forty_exact() {
    let clock = ManualClock::new();
    let accounts = interleave(
        failing_accounts(&clock).await,
        healthy_accounts(40, &clock).await,
    );
    assert_eq!(accounts.len(), 50);
    let started = Instant::now();
    let exporter = TestExporter::start(accounts).await;
    for scrape in 1..=2 {
        let scraped = exporter.scrape().await;
        assert_only_healthy_up(&exporter, &scraped).await;
        for account in &exporter.accounts {
            assert_minimal_requests(account, scrape, started);
        }
        clock.advance(Duration::from_secs(35));
    }
}

/// Scrapes the healthy accounts, so that further scrapes need only one request of each: a scrape with a
/// short timeout must fetch all of them on a busy machine, too.
async fn log_in_healthy(exporter: &TestExporter) {
    let names = exporter.accounts.iter().map(|account| &account.name);
    let healthy = names.filter(|name| name.starts_with("healthy"));
    let query: String = healthy.map(|name| format!("account={name}&")).collect();
    let scraped = exporter.get(&format!("/metrics?{query}")).await;
    assert_eq!(scraped.status, 200, "{}", scraped.text);
}

/// Asserts that 30 hanging accounts do not affect 20 others. At most 16 accounts are fetched
/// concurrently, so the exporter has to start further fetches while some hang.
async fn assert_hanging_accounts_do_not_block(timeout: u32, scrape_interval: Duration) {
    let clock = ManualClock::new();
    let mut accounts = healthy_accounts(50, &clock).await;
    for account in &mut accounts[..30] {
        account.name = account.name.replace("healthy", "hanging");
        account.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    }
    let exporter = TestExporter::start(accounts).await;
    log_in_healthy(&exporter).await;
    let mut ticks = interval(scrape_interval);
    for _ in 0..3 {
        ticks.tick().await;
        clock.advance(Duration::from_secs(35));
        let scraped = exporter.scrape_with_timeout(timeout).await;
        assert_only_healthy_up(&exporter, &scraped).await;
        assert!(
            scraped.elapsed < DEFAULT_DEADLINE,
            "{:?} with a timeout of {timeout} s",
            scraped.elapsed
        );
    }
}

/// A request times out after 10 s: between two scrapes, but not during one.
#[tokio::test]
async fn thirty_hanging_accounts_leave_twenty_exact() {
    assert_hanging_accounts_do_not_block(7, Duration::from_secs(13)).await;
}

/// The requests of the first scrape are still pending when the second scrape ends.
#[tokio::test]
async fn hanging_accounts_with_short_scrapes_leave_others_exact() {
    assert_hanging_accounts_do_not_block(5, Duration::from_secs(5)).await;
}

/// 39 accounts with a latency of 2 s, 16 at a time, take longer than a scrape of 3.5 s.
#[tokio::test]
async fn new_account_is_fetched_among_slow_accounts() {
    let slow = |index| Scenario {
        latency: Duration::from_secs(2),
        ..company(index)
    };
    let names: Vec<_> = (0..40).map(|n| format!("slow-{n}")).collect();
    let mut accounts = TestAccount::start_many(&names, slow).await;
    let new = accounts.pop().unwrap();
    let mut exporter = TestExporter::start(accounts).await;
    for _ in 0..3 {
        exporter.scrape_with_timeout(4).await;
    }
    exporter.accounts.push(new);
    exporter.reload().await;
    for _ in 0..4 {
        exporter.scrape_with_timeout(4).await;
    }
    assert!(
        exporter
            .account("slow-39")
            .request_count(Operation::ActiveCalls)
            > 0
    );
}
