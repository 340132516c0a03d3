//! Penalties: RingCentral counts on, whatever a file says.

use ringcentral_exporter::simulator::{Fault, Operation, SimResponse};

use crate::fleet::{Fleet, Member, blocked_until, company, up};

/// Two accounts, the first of them inside a penalty until this second.
async fn penalised() -> (Fleet, f64) {
    let fleet = Fleet::start(Member::several(&["a", "b"], company).await).await;
    let refusal = SimResponse::too_many_requests(Some(60)).with("X-Rate-Limit-Group", "heavy");
    fleet
        .member("a")
        .inject(Fault::once(Operation::ActiveCalls, refusal));
    let scraped = fleet.scrape().await;
    assert_eq!((up(&scraped, "a"), up(&scraped, "b")), (0.0, 1.0));
    let until = blocked_until(&scraped, "a", "active_calls");
    (fleet, until)
}

/// The account by this name now asks nothing, and says until when.
async fn is_kept(fleet: &mut Fleet, name: &str, until: f64) {
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert_eq!(
        fleet.member(name).count(Operation::ActiveCalls),
        1,
        "a request would start the penalty again"
    );
    assert_eq!((up(&scraped, name), up(&scraped, "b")), (0.0, 1.0));
    let still = blocked_until(&scraped, name, "active_calls");
    assert!((still - until).abs() < 0.5, "until {until}, now {still}");
}

#[tokio::test]
async fn a_penalty_outlives_another_level() {
    let (mut fleet, until) = penalised().await;
    for level in ["extension", "account", "extension"] {
        fleet.member_mut("a").more = format!(", level: {level}");
        is_kept(&mut fleet, "a", until).await;
    }
}

#[tokio::test]
async fn a_penalty_outlives_another_account_id() {
    let (mut fleet, until) = penalised().await;
    fleet.member_mut("a").more = format!(
        ", account_id: '{}'",
        fleet.member("a").simulator.account_id()
    );
    is_kept(&mut fleet, "a", until).await;
}

#[tokio::test]
async fn a_penalty_outlives_another_name() {
    let (mut fleet, until) = penalised().await;
    fleet.member_mut("a").name = "c".to_owned();
    is_kept(&mut fleet, "c", until).await;
}

#[tokio::test]
async fn a_penalty_outlives_another_name_whose_files_have_moved_along() {
    let (mut fleet, until) = penalised().await;
    let member = fleet.member_mut("a");
    (member.name, member.files) = ("c".to_owned(), "c".to_owned());
    std::fs::remove_dir_all(fleet.path("a")).unwrap();
    is_kept(&mut fleet, "c", until).await;
}

#[tokio::test]
async fn a_penalty_outlives_another_secret() {
    let (mut fleet, until) = penalised().await;
    fleet.member_mut("a").jwt = fleet.member("a").simulator.rotate_jwt();
    is_kept(&mut fleet, "a", until).await;
}

#[tokio::test]
async fn a_penalty_outlives_another_name_and_level_at_once() {
    let (mut fleet, until) = penalised().await;
    let member = fleet.member_mut("a");
    (member.name, member.more) = ("c".to_owned(), ", level: extension".to_owned());
    is_kept(&mut fleet, "c", until).await;
}

/// A file is often changed in two steps.
#[tokio::test]
async fn a_penalty_outlives_an_account_that_is_away_for_a_moment() {
    let (mut fleet, until) = penalised().await;
    let away = fleet.remove("a");
    fleet.reload().await;
    fleet.members.push(away);
    is_kept(&mut fleet, "a", until).await;
}

/// Two entries whose JWT files were mixed up: a penalty is the user's, not the name's.
#[tokio::test]
async fn accounts_that_exchange_their_jwts_exchange_their_penalties() {
    let first = Member::new("a", company(0), 1).await;
    first.simulator.issue_jwt();
    let second = Member::of("b", first.simulator.clone());
    let mut fleet = Fleet::start(vec![first, second]).await;
    fleet.member("a").inject(Fault::once(
        Operation::ActiveCalls,
        SimResponse::too_many_requests(Some(60)),
    ));
    let alone = fleet.get("/metrics?account=a").await;
    let until = blocked_until(&alone, "a", "active_calls");
    let jwts = ["a", "b"].map(|name| fleet.member(name).jwt.clone());
    (fleet.member_mut("b").jwt, fleet.member_mut("a").jwt) = jwts.into();
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert_eq!((up(&scraped, "a"), up(&scraped, "b")), (1.0, 0.0));
    assert!((blocked_until(&scraped, "b", "active_calls") - until).abs() < 0.5);
}

/// RingCentral locks a user out who tries the same wrong secret again and again.
#[tokio::test]
async fn a_back_off_outlives_an_account_that_is_away_for_a_moment() {
    let mut fleet = Fleet::start(Member::several(&["a", "b"], company).await).await;
    fleet.member("a").inject(Fault::always(
        Operation::Token,
        SimResponse::invalid_grant("no"),
    ));
    let until = blocked_until(&fleet.scrape().await, "a", "token");
    let away = fleet.remove("a");
    fleet.reload().await;
    fleet.members.push(away);
    fleet.reload().await;
    let scraped = fleet.scrape().await;
    assert!((blocked_until(&scraped, "a", "token") - until).abs() < 0.5);
    assert_eq!(fleet.member("a").count(Operation::Token), 1);
}
