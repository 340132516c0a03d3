//! Secrets that are exchanged, in their files or with them.

use std::time::Duration;

use ringcentral_exporter::simulator::Operation;
use tokio::time::{Instant, sleep};

use super::{calls_end, ended, is_undisturbed, scraped_once};
use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::fleet::{Fleet, Member, blocked_until, company, eventually, requests_total, up};

#[tokio::test]
async fn a_secret_that_changes_in_its_file_costs_a_login_and_no_count() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.member_mut("a").jwt = fleet.member("a").simulator.rotate_jwt();
    fleet.reload().await;
    logs_in_anew_and_goes_on_counting(&fleet, "a", &before).await;
    is_undisturbed(&fleet, "b", &before).await;
}

#[tokio::test]
async fn a_secret_in_another_file_costs_a_login_and_no_count() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    let jwt = fleet.member("a").simulator.issue_jwt();
    let member = fleet.member_mut("a");
    (member.jwt, member.files) = (jwt, "elsewhere".to_owned());
    fleet.reload().await;
    logs_in_anew_and_goes_on_counting(&fleet, "a", &before).await;
    is_undisturbed(&fleet, "b", &before).await;
}

/// At the next scrape, and not before.
async fn logs_in_anew_and_goes_on_counting(fleet: &Fleet, name: &str, before: &ScrapeResponse) {
    assert_eq!(
        fleet.member(name).count(Operation::Token),
        1,
        "only a scrape asks"
    );
    let scraped = fleet.scrape().await;
    assert_eq!(fleet.member(name).count(Operation::Token), 2, "{name}");
    fleet.is_exact(name, &scraped).await;
    assert_eq!(ended(&scraped, name), ended(before, name));
    let more = requests_total(&scraped, name, "active_calls")
        - requests_total(before, name, "active_calls");
    assert_eq!(more, 1.0, "its counters go on");
}

/// The same secret in another place is no other secret.
#[tokio::test]
async fn a_secret_that_moves_to_another_file_costs_nothing() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.member_mut("a").files = "elsewhere".to_owned();
    fleet.reload().await;
    is_undisturbed(&fleet, "a", &before).await;
}

#[tokio::test]
async fn a_repaired_secret_ends_the_wait_after_a_refused_login() {
    let mut members = Member::several(&["a", "b"], company).await;
    let right = std::mem::replace(&mut members[0].jwt, "e30.e30.d3Jvbmc".to_owned());
    let mut fleet = Fleet::start(members).await;
    let refused = fleet.scrape().await;
    assert!(up(&refused, "a") == 0.0 && blocked_until(&refused, "a", "token") > 0.0);
    fleet.reload().await;
    assert_eq!(up(&fleet.scrape().await, "a"), 0.0);
    assert_eq!(
        fleet.member("a").count(Operation::Token),
        1,
        "what has not changed would be refused again"
    );
    fleet.member_mut("a").jwt = right;
    fleet.reload().await;
    let repaired = recovers(&fleet, "a").await;
    assert_eq!(fleet.member("a").count(Operation::Token), 2);
    assert_eq!(blocked_until(&repaired, "a", "token"), 0.0);
    assert_eq!(fleet.member("b").count(Operation::Token), 1);
}

/// Scrapes until it is up, for much less than the minute of a refused login. A walk that failed at its login has spent
/// its turn, and the next is 7.5 s away as long as no answer has told another pace.
async fn recovers(fleet: &Fleet, name: &str) -> ScrapeResponse {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let scraped = fleet.scrape().await;
        if up(&scraped, name) == 1.0 {
            return scraped;
        }
        assert!(Instant::now() < deadline, "{}", scraped.text);
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_token_of_an_account_that_goes_with_its_files_is_given_back() {
    let mut fleet = Fleet::start(Member::several(&["a", "b"], company).await).await;
    fleet.scrape().await;
    let gone = fleet.remove("a");
    std::fs::remove_dir_all(fleet.path("a")).unwrap();
    fleet.reload().await;
    eventually("its token is given back", || {
        gone.count(Operation::Revoke) == 1
    })
    .await;
    assert_eq!(gone.requests(Operation::Revoke)[0].status, Some(200));
}

/// The old token goes back by the secret that it was had by: another server's secret is none of the old one's business.
#[tokio::test]
async fn a_secret_for_another_server_is_not_sent_to_the_old_one() {
    let mut fleet = Fleet::start(Member::several(&["a"], company).await).await;
    fleet.scrape().await;
    let elsewhere = Member::new("a", company(7), 7).await;
    let old = std::mem::replace(&mut fleet.members[0], elsewhere);
    fleet.reload().await;
    assert_eq!(up(&fleet.scrape().await, "a"), 1.0);
    eventually("the old token is given back", || {
        old.count(Operation::Revoke) == 1
    })
    .await;
    assert_eq!(old.requests(Operation::Revoke)[0].status, Some(200));
}
