//! Tests of configuration reloads: added, removed and changed accounts, while the other accounts
//! keep running.
//!
//! `accounts`, `secrets` and `files` change one thing each, `during_fetch` during a fetch,
//! `penalties` during a penalty. `presence` changes how presence is read.

mod accounts;
mod during_fetch;
mod files;
mod penalties;
mod presence;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::Operation;

use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, assert_up, company};

/// Starts an exporter for these accounts and scrapes it once. The clock stands still.
async fn start_and_scrape(names: &[&str], clock: &ManualClock) -> TestExporter {
    let accounts = TestAccount::start_many(names, |index| clock.attach_to(company(index))).await;
    let exporter = TestExporter::start(accounts).await;
    let scraped = exporter.scrape().await;
    assert_up(&scraped, names);
    exporter
}

/// Advances the clock until the exporter has counted ended calls of each account, and returns the
/// last scrape.
async fn advance_until_calls_end(exporter: &TestExporter, clock: &ManualClock) -> ScrapeResponse {
    for _ in 0..3 {
        clock.advance(Duration::from_secs(60));
        exporter.scrape().await;
    }
    let scraped = exporter.scrape().await;
    for account in &exporter.accounts {
        let name = &account.name;
        assert!(ended_calls(&scraped, name) > 0.0, "{name}");
    }
    scraped
}

/// Returns the number of calls of an account that the exporter counted as ended.
fn ended_calls(scraped: &ScrapeResponse, name: &str) -> f64 {
    let mut samples = scraped.account_samples(name);
    samples.retain(|series, _| series.starts_with("ringcentral_calls_ended_total{"));
    samples.values().sum()
}

/// Returns the counters of an account.
fn counters(scraped: &ScrapeResponse, name: &str) -> BTreeMap<String, f64> {
    let mut samples = scraped.account_samples(name);
    samples.retain(|series, _| series.contains("_total{"));
    samples
}

/// Scrapes, and asserts that the account logged in only once, that no counter decreased and that
/// its samples are exact.
async fn assert_kept_running(exporter: &TestExporter, name: &str, before: &ScrapeResponse) {
    let scraped = exporter.scrape().await;
    let account = exporter.account(name);
    assert_eq!(
        (
            account.request_count(Operation::Token),
            account.request_count(Operation::Revoke)
        ),
        (1, 0),
        "{name} must keep its token"
    );
    assert_eq!(
        account.request_count(Operation::Extensions),
        1,
        "{name} must keep its extension list"
    );
    let now = counters(&scraped, name);
    for (series, value) in counters(before, name) {
        assert!(
            now[&series] >= value,
            "{series}: {value}, then {}",
            now[&series]
        );
    }
    exporter.assert_exact(name, &scraped).await;
}
