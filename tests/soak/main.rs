//! Soak test: the exporter under changing faults of the network and the API, for 90 s or for
//! `SOAK_MINUTES`.
//!
//! With `make` it runs the release build. Two real Prometheus servers scrape it, and it fetches
//! from the simulator through a TCP proxy that loses, delays, truncates and resets.
//! `fault_schedule` draws the faults from the seed `SOAK_SEED`, `harness` runs all programs and
//! injects the faults, and `event_log` records them. `metrics_check`, `request_check` and
//! `resource_usage` check the exporter during the run and at its end, and `report` prints a
//! summary. A SIGTERM ends a run early, with its report.
//!
//! Needs `prometheus` on the path, which `make tools` installs.

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
mod docs;
mod event_log;
mod fault_schedule;
mod harness;
mod metrics_check;
mod proxy;
mod report;
mod request_check;
mod resource_usage;
mod scrapes;
mod verifier;

use std::time::Duration;

use harness::Harness;
use tokio::signal::unix::{SignalKind, signal};
use verifier::Verifier;

/// Returns the system time, which the simulator uses too.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Returns the value of an environment variable, `None` if it is unset or empty.
fn env_number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    if text.is_empty() {
        return None;
    }
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{variable}: invalid value \"{text}\": {error}"),
    }
}

#[tokio::test]
async fn metrics_and_limits_hold_under_changing_faults() {
    let seed = env_number("SOAK_SEED").unwrap_or(1);
    let duration = match env_number("SOAK_MINUTES") {
        Some(minutes) => Duration::from_secs(60 * minutes),
        None => Duration::from_secs(90),
    };
    let mut harness = Harness::start(seed, duration).await;
    let mut verifier = Verifier::new(harness::lists_per_minute(duration));
    let phases = fault_schedule::phases(seed, duration);
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        () = harness.run_phases(&phases) => {}
        () = verifier.run(&harness) => {}
        _ = terminated.recv() => {}
    }
    let exit_code = harness.stop().await;
    verifier.finish(&harness).await;
    std::fs::write(
        concat!(env!("CARGO_TARGET_TMPDIR"), "/soak.log"),
        harness.exporter.log(),
    )
    .unwrap();
    println!(
        "{}",
        report::report(
            seed,
            &verifier,
            &harness.events(),
            &harness.proxy.exchanges()
        )
    );
    assert_eq!(exit_code, Some(0));
    assert!(verifier.violations.is_empty(), "{:#?}", verifier.violations);
}
