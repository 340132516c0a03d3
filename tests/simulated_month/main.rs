//! The whole exporter over a month that takes minutes: HTTP server, observer, client, budget and ledger in this process,
//! over loopback, against the simulated account, with a clock that the test moves.
//!
//! tokio's clock is paused, and moved from scrape to scrape; while requests are under way it stands, so an answer takes
//! no simulated time unless it is made to. The simulated account has the same clock. Only the wall clock is the machine's: no
//! decision depends on it, and what shows it (timestamps) is not looked at here.
//!
//! `world` has the clock and the scrapes, `troubles` what goes wrong and when, `judge` what must hold hour by hour.
//! `SOAK_DAYS=30` is the long form; else it is a day. Needs the feature `test-clock`: `make sim-month`.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;
mod judge;
#[allow(dead_code, reason = "another test program's, which uses all of it")]
#[path = "../exporter/rig.rs"]
mod rig;
mod troubles;
mod world;

use judge::Judge;
use world::World;

/// A pair of Prometheus servers at 30 s, by turns.
const INTERVAL_S: i64 = 15;

#[tokio::test]
async fn a_month_is_counted_exactly_and_breaks_no_limit() {
    let days = std::env::var("SOAK_DAYS")
        .ok()
        .map_or(1, |days| days.parse::<i64>().unwrap());
    let began = std::time::SystemTime::now();
    let mut world = World::start().await;
    let mut judge = Judge::default();
    for second in (0..days * 86_400).step_by(INTERVAL_S as usize) {
        troubles::befall(&mut world, second);
        let seen = world.scrape(judge::looks_at(second)).await;
        judge.look_at(&world, &seen, second).await;
        world.sleep(INTERVAL_S).await;
    }
    let took = began.elapsed().unwrap();
    println!("{}", judge.report(&world, days, took));
    world.stop().await;
    assert!(judge.wrong.is_empty(), "{:#?}", judge.wrong);
}
