//! The exporter over a simulated month that takes minutes.
//!
//! HTTP server, collector, client, budget and call tracker run in this process, over loopback,
//! against the simulator, with a clock that the test sets. tokio's clock is paused and advanced
//! from scrape to scrape. It does not advance while requests are in progress, so a response takes
//! no simulated time unless a fault delays it. The simulator has the same clock, and the wall clock
//! advances with it. The exporter is stopped and started again, with a state directory.
//!
//! `SOAK_DAYS=30` sets the number of days, default 1: `make sim-month`.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
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
mod fault_schedule;
mod harness;
mod invariants;
#[allow(dead_code, reason = "another test program's, which uses all of it")]
#[path = "../exporter/harness.rs"]
mod test_exporter;

use harness::TestExporter;
use invariants::Invariants;

/// The effective interval of two Prometheus servers that scrape every 30 s.
const INTERVAL_S: i64 = 15;

#[tokio::test]
async fn month_is_counted_exactly_within_all_limits() {
    let days = match std::env::var("SOAK_DAYS") {
        Ok(days) => days.parse().unwrap(),
        Err(_) => 1,
    };
    let began = std::time::SystemTime::now();
    let mut exporter = TestExporter::start().await;
    let mut invariants = Invariants::default();
    for second in (0..days * 86_400).step_by(INTERVAL_S as usize) {
        fault_schedule::apply(&mut exporter, second);
        fault_schedule::restart(&mut exporter, &mut invariants, second).await;
        if exporter.is_running() {
            let scrape = exporter.scrape(invariants::needs_list_time(second)).await;
            invariants.check(&exporter, &scrape, second).await;
        }
        exporter.sleep(INTERVAL_S).await;
    }
    let took = began.elapsed().unwrap();
    println!("{}", invariants.report(&exporter, days, took));
    exporter.stop().await;
    assert!(
        invariants.violations.is_empty(),
        "{:#?}",
        invariants.violations
    );
}
