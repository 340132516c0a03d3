//! Reloads in the middle of a fetch.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};

use super::{calls_end, is_undisturbed, scraped_once};
use crate::common::clock::ManualClock;
use crate::fleet::{Member, are_up, company, eventually};

#[tokio::test]
async fn a_fetch_under_way_is_not_disturbed_by_what_comes_and_goes_beside_it() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b", "gone"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    clock.advance(Duration::from_secs(30));
    let seen = fleet.member("a").count(Operation::ActiveCalls);
    let late = || {
        Fault::once(
            Operation::ActiveCalls,
            FaultKind::Delay(Duration::from_secs(2)),
        )
    };
    fleet
        .members
        .iter()
        .for_each(|member| member.inject(late()));
    let scrape = fleet.scraping("/metrics", 15);
    let last = fleet.member("gone").simulator.clone();
    eventually("all are asked", || {
        last.journal()
            .last()
            .is_some_and(|entry| entry.answered_ms.is_none())
    })
    .await;
    fleet.remove("gone");
    fleet
        .members
        .push(Member::new("new", clock.attach_to(company(5)), 50).await);
    fleet.reload().await;
    assert!(!scrape.is_finished());
    let scraped = scrape.await.unwrap();
    for name in ["a", "b"] {
        fleet.is_exact(name, &scraped).await;
        assert_eq!(
            fleet.member(name).count(Operation::ActiveCalls),
            seen + 1,
            "{name}: its fetch was not begun again"
        );
    }
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
    fleet.is_exact("new", &fleet.scrape().await).await;
}

#[tokio::test]
async fn a_scrape_that_waits_for_an_account_that_goes_or_changes_gets_its_answer() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "gone", "changed", "rotated"], &clock).await;
    let late = || {
        Fault::once(
            Operation::ActiveCalls,
            FaultKind::Delay(Duration::from_secs(2)),
        )
    };
    fleet
        .members
        .iter()
        .for_each(|member| member.inject(late()));
    let scrape = fleet.scraping("/metrics", 15);
    let last = fleet.member("rotated").simulator.clone();
    eventually("all are asked", || {
        last.journal()
            .last()
            .is_some_and(|entry| entry.answered_ms.is_none())
    })
    .await;
    fleet.remove("gone");
    fleet.member_mut("changed").more = ", level: extension".to_owned();
    fleet.member_mut("rotated").jwt = fleet.member("rotated").simulator.issue_jwt();
    fleet.reload().await;
    let scraped = scrape.await.unwrap();
    assert!(
        scraped.status == 200 && scraped.elapsed < Duration::from_secs(14),
        "{:?}",
        scraped.elapsed
    );
    fleet.is_exact("a", &scraped).await;
    let next = fleet.scrape().await;
    are_up(&next, &["a", "changed", "rotated"]);
}
