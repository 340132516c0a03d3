//! `/metrics?account=NAME`: a target of its own, and `/-/metrics`: the exporter's own.

use std::collections::BTreeSet;
use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};

use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::fleet::{Fleet, Member, company, eventually, up};

/// Companies whose clock stands.
async fn still(names: &[&str]) -> Vec<Member> {
    Member::several(names, |place| ManualClock::new().attach_to(company(place))).await
}

/// The accounts of an exposition; the exporter's own series have none.
fn accounts(scraped: &ScrapeResponse) -> BTreeSet<String> {
    let series = scraped.samples().into_keys();
    let account = |series: String| {
        Some(
            series
                .split_once("account=\"")?
                .1
                .split('"')
                .next()?
                .to_owned(),
        )
    };
    series
        .map(|series| account(series).unwrap_or_default())
        .collect()
}

#[track_caller]
fn is_of(scraped: &ScrapeResponse, names: &[&str]) {
    let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        (scraped.status, accounts(scraped)),
        (200, names),
        "{}",
        scraped.text
    );
}

#[tokio::test]
async fn one_account_is_answered_at_once_and_exactly_while_twenty_others_hang() {
    let names: Vec<_> = (0..20)
        .map(|place| format!("hanging-{place:02}"))
        .chain(["a".to_owned()])
        .collect();
    let fleet =
        Fleet::start(still(&names.iter().map(String::as_str).collect::<Vec<_>>()).await).await;
    let hang =
        |member: &Member| member.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    fleet.members[..20].iter().for_each(hang);
    let all = fleet.scraping("/metrics", 10);
    let hangs = |member: &Member| member.count(Operation::ActiveCalls) == 1;
    eventually("sixteen hang", || {
        fleet.members.iter().filter(|member| hangs(member)).count() >= 16
    })
    .await;
    let one = fleet.get("/metrics?account=a").await;
    assert!(
        !all.is_finished() && one.elapsed < Duration::from_secs(3),
        "{:?}",
        one.elapsed
    );
    is_of(&one, &["a"]);
    fleet.is_exact("a", &one).await;
}

#[tokio::test]
async fn accounts_that_are_named_are_asked_and_no_others() {
    let fleet = Fleet::start(still(&["a", "b", "c", "d"]).await).await;
    is_of(
        &fleet.get("/metrics?account=c&account=a").await,
        &["a", "c"],
    );
    for (name, untouched) in [("a", false), ("b", true), ("c", false), ("d", true)] {
        assert_eq!(fleet.member(name).is_untouched(), untouched, "{name}");
    }
    is_of(&fleet.scrape().await, &["", "a", "b", "c", "d"]);
}

#[tokio::test]
async fn an_account_that_is_named_twice_is_shown_once() {
    let fleet = Fleet::start(still(&["a", "b"]).await).await;
    let scraped = fleet.get("/metrics?account=a&account=a").await;
    is_of(&scraped, &["a"]);
    assert_eq!(
        scraped.text.matches("ringcentral_up{").count(),
        1,
        "{}",
        scraped.text
    );
    assert_eq!(fleet.member("a").count(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn an_unknown_name_is_404_and_asks_nothing_of_anybody() {
    let fleet = Fleet::start(still(&["a", "b"]).await).await;
    for query in ["account=z", "account=a&account=z", "account=", "account=A"] {
        assert_eq!(
            fleet.get(&format!("/metrics?{query}")).await.status,
            404,
            "{query}"
        );
    }
    assert!(fleet.members.iter().all(Member::is_untouched));
}

#[tokio::test]
async fn the_exporters_own_series_are_had_without_a_fetch() {
    let fleet = Fleet::start(still(&["a", "b"]).await).await;
    let own = fleet.get("/-/metrics").await;
    is_of(&own, &[""]);
    for family in [
        "ringcentral_exporter_build_info",
        "ringcentral_exporter_config_last_reload_successful",
        "process_",
    ] {
        assert!(
            own.samples()
                .keys()
                .any(|series| series.starts_with(family)),
            "{family} in {}",
            own.text
        );
    }
    assert!(fleet.members.iter().all(Member::is_untouched));
    let types = fleet.scrape().await.headers["content-type"].clone();
    assert_eq!(own.headers["content-type"], types);
    assert_eq!(
        fleet.request("HEAD", "/-/metrics").await,
        (200, String::new())
    );
    assert_eq!(fleet.request("POST", "/-/metrics").await.0, 405);
}

/// All of an account but its calls, which are another company's.
#[tokio::test]
async fn an_account_has_the_same_families_alone_and_among_others() {
    let fleet = Fleet::start(still(&["a", "b"]).await).await;
    let (all, alone) = (fleet.scrape().await, fleet.get("/metrics?account=a").await);
    assert_eq!(
        all.account_samples("a").into_keys().collect::<Vec<_>>(),
        alone.account_samples("a").into_keys().collect::<Vec<_>>()
    );
    assert_eq!(up(&all, "b"), 1.0);
}

#[tokio::test]
async fn each_account_has_its_own_level_limit_and_server() {
    let mut members = still(&["a", "b"]).await;
    members[1] = Member::new(
        "b",
        Scenario {
            admin: false,
            ..company(1)
        },
        2,
    )
    .await;
    members[0].more = ", concurrent_calls_limit: 40".to_owned();
    members[1].more = format!(
        ", level: extension, account_id: '{}'",
        members[1].simulator.account_id()
    );
    let fleet = Fleet::start(members).await;
    let scraped = fleet.scrape().await;
    assert_eq!(
        scraped.value("ringcentral_concurrent_calls_limit{account=\"a\"}"),
        40.0
    );
    assert!(
        !scraped
            .account_samples("b")
            .keys()
            .any(|series| series.starts_with("ringcentral_concurrent_calls_limit"))
    );
    for (name, level) in [("a", "account"), ("b", "extension")] {
        let (id, url) = (
            fleet.member(name).simulator.account_id(),
            fleet.member(name).simulator.url(),
        );
        let labels =
            format!("account=\"{name}\",account_id=\"{id}\",level=\"{level}\",server=\"{url}\"");
        assert_eq!(
            scraped.value(&format!("ringcentral_account_info{{{labels}}}")),
            1.0
        );
        assert_eq!(up(&scraped, name), 1.0);
    }
    assert_eq!(
        fleet.member("b").count(Operation::Extensions),
        0,
        "a user who is no admin may not read it"
    );
}

#[tokio::test]
async fn a_stop_gives_all_tokens_back_and_waits_for_none_that_hangs() {
    let names: Vec<_> = (0..30).map(|place| format!("a{place:02}")).collect();
    let mut fleet =
        Fleet::start(still(&names.iter().map(String::as_str).collect::<Vec<_>>()).await).await;
    fleet.scrape().await;
    fleet.members[3].inject(Fault::always(Operation::Revoke, FaultKind::Hang));
    fleet.stop().await;
    for member in &fleet.members {
        assert_eq!(member.count(Operation::Revoke), 1, "{}", member.name);
    }
}
