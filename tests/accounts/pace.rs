//! Accounts are asked side by side, and not too many at once.

use std::time::Duration;

use ringcentral_exporter::simulator::Scenario;

use crate::fleet::{Fleet, Member, company, up};

const LATENCY: Duration = Duration::from_millis(100);
/// So many accounts are asked at once.
const AT_ONCE: usize = 16;
/// A machine that is busy during one of two measurements spoils their ratio.
const ATTEMPTS: usize = 3;

/// Small companies, so that it is the API that takes the time.
fn far_away(_place: usize) -> Scenario {
    Scenario {
        extensions: 15,
        calls_per_minute: 1.0,
        latency: LATENCY,
        ..company(0)
    }
}

async fn far_fleet(count: usize) -> Fleet {
    let names: Vec<_> = (0..count).map(|place| format!("a{place:02}")).collect();
    Fleet::start(
        Member::several(
            &names.iter().map(String::as_str).collect::<Vec<_>>(),
            far_away,
        )
        .await,
    )
    .await
}

/// How many times as long as one account all the others take, each from login to the list of extensions.
async fn ratio() -> f64 {
    let fleet = far_fleet(51).await;
    let alone = fleet.get("/metrics?account=a00").await;
    assert_eq!(up(&alone, "a00"), 1.0);
    assert!(
        alone.elapsed >= 3 * LATENCY,
        "login, list and extensions: {:?}",
        alone.elapsed
    );
    let others: Vec<_> = fleet.members[1..]
        .iter()
        .map(|member| format!("account={}", member.name))
        .collect();
    let whole = fleet.get(&format!("/metrics?{}", others.join("&"))).await;
    fleet.members[1..]
        .iter()
        .for_each(|member| assert_eq!(up(&whole, &member.name), 1.0, "{}", member.name));
    println!("alone {:?}, fifty {:?}", alone.elapsed, whole.elapsed);
    whole.elapsed.as_secs_f64() / alone.elapsed.as_secs_f64()
}

#[tokio::test]
async fn fifty_accounts_take_at_most_six_times_as_long_as_one() {
    let mut ratios = Vec::new();
    while ratios.len() < ATTEMPTS {
        ratios.push(ratio().await);
        if ratios.last().is_some_and(|ratio| *ratio <= 6.0) {
            return;
        }
    }
    panic!("{ratios:?}");
}

/// The most requests that the accounts together had in hand at one time, by their journals.
fn most_at_once(fleet: &Fleet) -> usize {
    let journals = fleet
        .members
        .iter()
        .flat_map(|member| member.simulator.journal());
    let mut steps: Vec<_> = journals
        .flat_map(|entry| [(entry.arrived_ms, 1), (entry.answered_ms.unwrap(), -1)])
        .collect();
    // An end comes before a beginning of the same millisecond.
    steps.sort_unstable();
    let mut now = 0;
    steps
        .iter()
        .map(|(_, step)| {
            now += step;
            now
        })
        .max()
        .unwrap() as usize
}

#[tokio::test]
async fn sixteen_accounts_are_asked_at_once_and_no_more() {
    let fleet = far_fleet(50).await;
    let scraped = fleet.scrape().await;
    fleet
        .members
        .iter()
        .for_each(|member| assert_eq!(up(&scraped, &member.name), 1.0, "{}", member.name));
    let most = most_at_once(&fleet);
    assert!(
        (AT_ONCE * 3 / 4..=AT_ONCE).contains(&most),
        "{most} at once"
    );
}
