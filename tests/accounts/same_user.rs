//! Two accounts of the file turn out to be one user, whose limit and sessions they then share.

use crate::fleet::{Fleet, Member, are_up, company};

const WARNING: &str = "same user";

/// A user under two names, by two JWTs, and a colleague.
async fn twins() -> Vec<Member> {
    let mut members = Member::several(&["berlin", "colleague"], company).await;
    let simulator = members[0].simulator.clone();
    simulator.issue_jwt();
    members.push(Member::of("paris", simulator));
    members
}

fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(WARNING)).collect()
}

#[tokio::test]
async fn two_accounts_of_one_user_are_told_once_by_their_names() {
    let mut fleet = Fleet::start(twins().await).await;
    for _ in 0..3 {
        let scraped = fleet.scrape().await;
        are_up(&scraped, &["berlin", "paris", "colleague"]);
        // Each scrape finds its session ended, and logs in anew.
        fleet.members[0].simulator.evict_tokens();
    }
    let line = fleet.program.wait_for_log(WARNING).await;
    for part in ["level=warn", "berlin", "paris"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let log = fleet.stop().await;
    assert_eq!(warnings(log).len(), 1, "{log}");
    assert!(!warnings(log)[0].contains("colleague"), "{log}");
}

#[tokio::test]
async fn two_accounts_of_one_user_are_told_again_if_a_reload_brings_them() {
    let mut members = twins().await;
    let paris = members.pop().unwrap();
    let mut fleet = Fleet::start(members).await;
    fleet.scrape().await;
    fleet.members.push(paris);
    fleet.reload().await;
    assert!(
        warnings(&fleet.program.log).is_empty(),
        "{}",
        fleet.program.log
    );
    fleet.scrape().await;
    fleet.program.wait_for_log(WARNING).await;
}

#[tokio::test]
async fn users_of_different_accounts_are_no_reason_to_warn() {
    let mut fleet = Fleet::start(Member::several(&["a", "b"], company).await).await;
    fleet.scrape().await;
    let log = fleet.stop().await;
    assert!(!log.contains("level=warn"), "{log}");
}
