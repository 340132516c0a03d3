//! The test that runs for each row of the table of faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, FaultKind, JournalEntry, Operation, Scenario};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use crate::common::unlimited_requests;
use crate::faults::log;
use crate::faults::table::{Row, Stage};
use crate::harness::{ScrapeResponse, TestExporter};

/// The maximum age of a snapshot, in which a row can scrape twice on a slow machine.
const MAX_AGE: Duration = Duration::from_secs(40);
/// The penalty of a response, in which a row can scrape twice on a slow machine.
pub const PENALTY_SECONDS: u64 = 15;
/// The maximum time until a fetch succeeds again. It takes 7.5 s between fetches if no response has
/// announced a limit and a back-off of 0.5 s, and a minute after a wrong back-off.
const MAX_RECOVERY: Duration = Duration::from_secs(50);

/// Runs the test of one row. `slots` limits the rows that fetch and fail concurrently, so that the
/// snapshots of all rows are younger than `MAX_AGE` then.
pub async fn run(row: Row, slots: Arc<Semaphore>) {
    let slot = slots.acquire().await.unwrap();
    log::capture();
    let name = row.name;
    let account = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let exporter = start_exporter(&account, row.stage).await;
    let starts_penalty = row.starts_penalty;
    let stage = row.stage;
    let previous = if stage == Stage::Login {
        BTreeMap::new()
    } else {
        exporter.scrape().await.call_samples()
    };
    let fetched_by = Instant::now();
    assert_scrape_reports_fault(&exporter, &account, row, previous).await;
    drop(slot);
    assert_snapshot_expires(&exporter, &account, name, fetched_by, starts_penalty).await;
    exporter.simulator.clear_faults();
    let recovered = wait_until_up(&exporter, &account).await;
    assert!(!recovered.call_samples().is_empty(), "{name}");
    let wanted = if stage == Stage::Login {
        "first fetch succeeded"
    } else {
        "fetch succeeded again"
    };
    assert!(
        log::account_lines(&account)
            .iter()
            .any(|line| line.contains(wanted)),
        "{name}"
    );
    if starts_penalty {
        assert_no_request_in_penalty(&exporter, name);
    }
}

/// Injects the fault and asserts its effects on one scrape. `previous` are the samples of the call
/// families before it.
async fn assert_scrape_reports_fault(
    exporter: &TestExporter,
    account: &str,
    row: Row,
    previous: BTreeMap<String, f64>,
) {
    let name = row.name;
    let operation = if row.stage == Stage::Login {
        Operation::Token
    } else {
        Operation::ActiveCalls
    };
    if row.stage == Stage::SecondPage {
        exporter
            .simulator
            .inject(Fault::once(operation, FaultKind::Delay(Duration::ZERO)));
    }
    exporter
        .simulator
        .inject(Fault::always(operation, row.fault));
    let before = exporter.count_requests(operation);
    let failed = exporter.scrape().await;
    assert_eq!((failed.status, up(&failed, account)), (200, 0.0), "{name}");
    assert_eq!(
        failed.call_samples(),
        previous,
        "{name}: the previous snapshot must be kept"
    );
    assert_eq!(
        failures(&failed, account, operation, row.reason),
        1.0,
        "{name}:\n{}",
        failed.text
    );
    assert_eq!(
        exporter.count_requests(operation),
        before + row.requests,
        "{name}"
    );
    if row.starts_penalty {
        let blocked_until =
            ["active_calls", "token"].map(|operation| blocked_until(&failed, account, operation));
        assert!(
            blocked_until.into_iter().any(|time| time > 0.0),
            "{name}: the end of the penalty must be exposed"
        );
    }
    let lines = log::account_lines(account);
    let failed_lines = lines
        .iter()
        .filter(|line| line.contains("fetch_log: fetch failed"))
        .collect::<Vec<_>>();
    assert!(
        failed_lines.len() == 1
            && failed_lines[0].contains(row.log)
            && failed_lines[0].contains(row.reason),
        "{name}: {lines:#?}"
    );
}

/// Asserts that the call families are absent once the snapshot, which was fetched by `fetched_by`,
/// is older than `MAX_AGE`. In a penalty it scrapes frequently, so that a request in the penalty would
/// be noticed.
async fn assert_snapshot_expires(
    exporter: &TestExporter,
    account: &str,
    name: &str,
    fetched_by: Instant,
    starts_penalty: bool,
) {
    let penalty_ended = Instant::now() + Duration::from_secs(PENALTY_SECONDS + 1);
    while starts_penalty && Instant::now() < penalty_ended {
        exporter.scrape().await;
        sleep(Duration::from_millis(500)).await;
    }
    sleep_until(fetched_by + MAX_AGE + Duration::from_millis(500)).await;
    let stale = exporter.scrape().await;
    assert_eq!(
        (up(&stale, account), stale.call_samples().len()),
        (0.0, 0),
        "{name}: the call families must be absent after the maximum age"
    );
}

/// Asserts that no request follows a 429 or 503 within its penalty, or within 1 s if its end is given as
/// a date, which passes during the test.
fn assert_no_request_in_penalty(exporter: &TestExporter, name: &str) {
    let min_gap = if name.contains("date") {
        1000
    } else {
        PENALTY_SECONDS as i64 * 1000
    };
    let journal = exporter.simulator.journal();
    let starts_penalty = |entry: &&JournalEntry| matches!(entry.status, Some(429 | 500..=599));
    for refused in journal.iter().filter(starts_penalty) {
        // A penalty of the group `heavy` does not hold the extension list, which may take a while.
        let is_held = |entry: &&JournalEntry| {
            name == "429 without group" || entry.operation != Some(Operation::Extensions)
        };
        let mut later = journal
            .iter()
            .filter(|entry| entry.sequence > refused.sequence);
        let next = later.find(is_held).unwrap();
        let gap = next.arrived_ms - refused.arrived_ms;
        assert!(gap >= min_gap, "{name}: {gap} ms");
    }
}

/// Starts an exporter whose account has this name, with two or more pages for `SecondPage`.
async fn start_exporter(account: &str, stage: Stage) -> TestExporter {
    let max_per_page = if stage == Stage::SecondPage { 25 } else { 1000 };
    // The short login back-off of the tests needs more logins than the default limit allows.
    let auth = Limit {
        requests: 100,
        ..Limits::default().auth
    };
    let scenario = Scenario {
        limits: Limits {
            auth,
            ..unlimited_requests()
        },
        max_per_page,
        ..Scenario::normal()
    };
    let account = account.to_owned();
    TestExporter::start_with(scenario, |config| {
        config.accounts[0].name = account;
        config.settings.scrape.max_age = MAX_AGE;
        // No row is about a timeout, and a body of many MiB takes seconds in a debug build.
        config.settings.timeouts.request = Duration::from_secs(60);
        config.settings.timeouts.fetch = Duration::from_secs(60);
    })
    .await
}

/// Scrapes until a fetch has succeeded.
async fn wait_until_up(exporter: &TestExporter, account: &str) -> ScrapeResponse {
    let deadline = Instant::now() + MAX_RECOVERY;
    loop {
        let response = exporter.scrape().await;
        if up(&response, account) == 1.0 {
            return response;
        }
        assert!(
            Instant::now() < deadline,
            "{account}: no recovery\n{}",
            response.text
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// Returns `ringcentral_up` of an account.
fn up(response: &ScrapeResponse, account: &str) -> f64 {
    response.value(&format!("ringcentral_up{{account=\"{account}\"}}"))
}

/// Returns the Unix time in seconds until which an operation is blocked, or 0.
fn blocked_until(response: &ScrapeResponse, account: &str, operation: &str) -> f64 {
    let labels = format!("account=\"{account}\",operation=\"{operation}\"");
    response.value(&format!(
        "ringcentral_api_blocked_until_timestamp_seconds{{{labels}}}"
    ))
}

/// Returns the failed requests of an operation.
fn failures(response: &ScrapeResponse, account: &str, operation: Operation, reason: &str) -> f64 {
    let operation = if operation == Operation::Token {
        "token"
    } else {
        "active_calls"
    };
    let labels = format!("account=\"{account}\",operation=\"{operation}\",reason=\"{reason}\"");
    response.value(&format!(
        "ringcentral_api_request_failures_total{{{labels}}}"
    ))
}
