//! The file changes under the program: what is new comes, what is gone goes, and nothing else is disturbed.
//!
//! Owns: what it means that an account is not disturbed. `accounts`, `secrets` and `files` change one thing each,
//! `midway` does so in the middle of a fetch, `penalties` inside a penalty.

mod accounts;
mod files;
mod midway;
mod penalties;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::Operation;

use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::fleet::{Fleet, Member, are_up, company};

/// A fleet of these accounts, scraped once; their clock stands.
async fn scraped_once(names: &[&str], clock: &ManualClock) -> Fleet {
    let fleet =
        Fleet::start(Member::several(names, |place| clock.attach_to(company(place))).await).await;
    let scraped = fleet.scrape().await;
    are_up(&scraped, names);
    fleet
}

/// Has some calls end and be counted.
async fn calls_end(fleet: &Fleet, clock: &ManualClock) -> ScrapeResponse {
    for _ in 0..3 {
        clock.advance(Duration::from_secs(60));
        fleet.scrape().await;
    }
    let scraped = fleet.scrape().await;
    fleet
        .members
        .iter()
        .for_each(|member| assert!(ended(&scraped, &member.name) > 0.0, "{}", member.name));
    scraped
}

/// All calls of an account that have been counted as ended.
fn ended(scraped: &ScrapeResponse, name: &str) -> f64 {
    let samples = scraped.account_samples(name).into_iter();
    samples
        .filter(|(series, _)| series.starts_with("ringcentral_calls_ended_total{"))
        .map(|(_, value)| value)
        .sum()
}

/// The counters of an account.
fn counters(scraped: &ScrapeResponse, name: &str) -> BTreeMap<String, f64> {
    let mut samples = scraped.account_samples(name);
    samples.retain(|series, _| series.contains("_total{"));
    samples
}

/// Scrapes: the account has logged in once in all, has lost none of its counts, and is exact.
async fn is_undisturbed(fleet: &Fleet, name: &str, before: &ScrapeResponse) {
    let scraped = fleet.scrape().await;
    let member = fleet.member(name);
    assert_eq!(
        (
            member.count(Operation::Token),
            member.count(Operation::Revoke)
        ),
        (1, 0),
        "{name} keeps its token"
    );
    assert_eq!(
        member.count(Operation::Extensions),
        1,
        "{name} keeps its list of extensions"
    );
    let now = counters(&scraped, name);
    for (series, value) in counters(before, name) {
        assert!(
            now[&series] >= value,
            "{series}: {value}, then {}",
            now[&series]
        );
    }
    fleet.is_exact(name, &scraped).await;
}
