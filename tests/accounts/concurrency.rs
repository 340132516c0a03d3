//! Tests of concurrent fetches: how long many accounts take, and how many are fetched at a time.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};

use crate::harness::{TestAccount, TestExporter, company, up, wait_until};

/// The latency of each API request.
const LATENCY: Duration = Duration::from_millis(200);
/// The number of accounts that the exporter fetches concurrently.
const MAX_CONCURRENT: usize = 16;
/// The number of measurements, because load on the machine during a scrape distorts them.
const MAX_ATTEMPTS: usize = 5;

/// Returns the scenario of a small company, so that the latency dominates the duration of a fetch.
fn slow_company(_index: usize) -> Scenario {
    Scenario {
        extensions: 15,
        calls_per_minute: 1.0,
        latency: LATENCY,
        ..company(0)
    }
}

/// Starts an exporter for accounts with latency.
async fn start_slow(count: usize) -> TestExporter {
    let names: Vec<_> = (0..count).map(|index| format!("a{index:02}")).collect();
    TestExporter::start(TestAccount::start_many(&names, slow_company).await).await
}

/// Returns the duration of a scrape of 50 accounts relative to that of one. Each fetch includes
/// login, call list and extension list.
async fn measure_ratio() -> f64 {
    let exporter = start_slow(51).await;
    let one = exporter.get("/metrics?account=a00").await;
    assert_eq!(up(&one, "a00"), 1.0);
    assert!(
        one.elapsed >= 3 * LATENCY,
        "three requests took only {:?}",
        one.elapsed
    );
    let others: Vec<_> = exporter.accounts[1..]
        .iter()
        .map(|account| format!("account={}", account.name))
        .collect();
    let fifty = exporter
        .get(&format!("/metrics?{}", others.join("&")))
        .await;
    for account in &exporter.accounts[1..] {
        assert_eq!(up(&fifty, &account.name), 1.0, "{}", account.name);
    }
    println!("one {:?}, fifty {:?}", one.elapsed, fifty.elapsed);
    fifty.elapsed.as_secs_f64() / one.elapsed.as_secs_f64()
}

#[tokio::test]
async fn fifty_accounts_take_at_most_six_times_one() {
    let mut ratios = Vec::new();
    while ratios.len() < MAX_ATTEMPTS {
        ratios.push(measure_ratio().await);
        if ratios.last().is_some_and(|ratio| *ratio <= 6.0) {
            return;
        }
    }
    panic!("{ratios:?}");
}

/// Returns the time from the first login to the 17th, while none is answered.
async fn measure_wait_for_a_place() -> Duration {
    let exporter = start_slow(50).await;
    for account in &exporter.accounts {
        account.inject(Fault::always(Operation::Token, FaultKind::Hang));
    }
    let arrivals = || {
        let accounts = exporter.accounts.iter();
        let requests = accounts.filter_map(|account| account.requests(Operation::Token).pop());
        requests.map(|entry| entry.arrived_ms).collect::<Vec<_>>()
    };
    let _scrape = exporter.spawn_scrape("/metrics", 60);
    wait_until("an account has waited for a place", || {
        arrivals().len() > MAX_CONCURRENT
    })
    .await;
    let mut arrivals = arrivals();
    arrivals.sort_unstable();
    Duration::from_millis((arrivals[MAX_CONCURRENT] - arrivals[0]) as u64)
}

/// A fetch leaves its place to another one after a second. Load on the machine can delay the first
/// login.
#[tokio::test]
async fn at_most_sixteen_accounts_fetch_concurrently() {
    let mut waits = Vec::new();
    while waits.len() < MAX_ATTEMPTS {
        waits.push(measure_wait_for_a_place().await);
        if waits.last().is_some_and(|wait| wait.as_millis() >= 500) {
            return;
        }
    }
    panic!("{waits:?}");
}
