//! Accounts that come, go and become others.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};

use super::{calls_end, ended, is_undisturbed, scraped_once};
use crate::common::clock::ManualClock;
use crate::fleet::{Member, company, eventually, up};

#[tokio::test]
async fn an_account_that_is_added_is_there_at_the_next_scrape() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet
        .members
        .insert(1, Member::new("new", clock.attach_to(company(7)), 70).await);
    fleet.reload().await;
    assert!(
        fleet.member("new").is_untouched(),
        "there is no timer: only a scrape asks"
    );
    let scraped = fleet.scrape().await;
    fleet.is_exact("new", &scraped).await;
    assert_eq!(
        ended(&scraped, "new"),
        0.0,
        "what its first list shows as ended is the baseline"
    );
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
}

#[tokio::test]
async fn an_account_that_is_removed_is_gone_at_the_next_scrape_and_gives_its_token_back() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "gone", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    let gone = fleet.remove("gone");
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert!(!scraped.text.contains("\"gone\""), "{}", scraped.text);
    assert_eq!(fleet.get("/metrics?account=gone").await.status, 404);
    eventually("its token is revoked", || {
        gone.count(Operation::Revoke) == 1
    })
    .await;
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
}

#[tokio::test]
async fn an_account_that_comes_back_begins_anew() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    calls_end(&fleet, &clock).await;
    let away = fleet.remove("b");
    fleet.reload().await;
    eventually("its token is revoked", || {
        away.count(Operation::Revoke) == 1
    })
    .await;
    fleet.members.push(away);
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert_eq!(
        (
            ended(&scraped, "b"),
            fleet.member("b").count(Operation::Token)
        ),
        (0.0, 2)
    );
    fleet.is_exact("b", &scraped).await;
}

/// What the log says of a reload in numbers: the accounts that run, and those that came and went.
#[tokio::test]
async fn a_reload_says_how_many_accounts_came_and_went() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b", "c"], &clock).await;
    assert_tells(&fleet.reload().await, "accounts=3 added=0 removed=0");
    fleet.remove("a");
    fleet.remove("b");
    fleet
        .members
        .push(Member::new("new", clock.attach_to(company(7)), 70).await);
    assert_tells(&fleet.reload().await, "accounts=2 added=1 removed=2");
    let text = std::fs::read_to_string(fleet.file()).unwrap();
    assert!(
        !fleet
            .refuses(&text.replace("name: c", "name: new"))
            .await
            .contains("added=")
    );
}

fn assert_tells(line: &str, counts: &str) {
    assert!(line.contains(counts), "{counts} in {line}");
}

#[tokio::test]
async fn another_level_is_another_account() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.member_mut("a").more = ", level: extension".to_owned();
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert_eq!(
        (up(&scraped, "a"), ended(&scraped, "a")),
        (1.0, 0.0),
        "its counters begin anew"
    );
    let asked = fleet
        .member("a")
        .requests(Operation::ActiveCalls)
        .pop()
        .unwrap();
    assert!(asked.target.contains("/extension/"), "{}", asked.target);
    assert!(scraped.text.contains("level=\"extension\""));
    is_undisturbed(&fleet, "b", &before).await;
}

#[tokio::test]
async fn another_server_is_another_account() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    let moved = Member::new("a", clock.attach_to(company(9)), 90).await;
    let old = std::mem::replace(fleet.member_mut("a"), moved);
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert_eq!(ended(&scraped, "a"), 0.0);
    fleet.is_exact("a", &scraped).await;
    eventually("the old token is revoked", || {
        old.count(Operation::Revoke) == 1
    })
    .await;
    is_undisturbed(&fleet, "b", &before).await;
}

#[tokio::test]
async fn another_name_is_another_account() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.member_mut("a").name = "c".to_owned();
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert!(!scraped.text.contains("account=\"a\""), "{}", scraped.text);
    fleet.is_exact("c", &scraped).await;
    is_undisturbed(&fleet, "b", &before).await;
}

#[tokio::test]
async fn another_limit_is_shown_and_disturbs_nothing() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.member_mut("a").more = ", concurrent_calls_limit: 77".to_owned();
    fleet.reload().await;
    is_undisturbed(&fleet, "a", &before).await;
    assert_eq!(
        fleet
            .scrape()
            .await
            .value("ringcentral_concurrent_calls_limit{account=\"a\"}"),
        77.0
    );
}

/// A request that nobody waits for is left, and not waited for.
#[tokio::test]
async fn an_account_that_hangs_can_be_removed_and_gives_its_token_back_at_once() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "hangs"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet
        .member("hangs")
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    let seen = fleet.member("hangs").count(Operation::ActiveCalls);
    let scrape = fleet.scraping("/metrics", 60);
    eventually("it hangs", || {
        fleet.member("hangs").count(Operation::ActiveCalls) > seen
    })
    .await;
    let gone = fleet.remove("hangs");
    fleet.reload().await;
    let scraped = tokio::time::timeout(Duration::from_secs(5), scrape).await;
    fleet
        .is_exact(
            "a",
            &scraped.expect("it waits for nobody who has gone").unwrap(),
        )
        .await;
    eventually("its token is revoked", || {
        gone.count(Operation::Revoke) == 1
    })
    .await;
    is_undisturbed(&fleet, "a", &before).await;
}

#[tokio::test]
async fn two_accounts_that_exchange_their_names_exchange_their_calls() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b", "c"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.members[0].name = "b".to_owned();
    fleet.members[1].name = "a".to_owned();
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    for name in ["a", "b"] {
        fleet.is_exact(name, &scraped).await;
        assert_eq!(ended(&scraped, name), 0.0, "{name}");
    }
    is_undisturbed(&fleet, "c", &before).await;
}
