//! The exporter in bad weather, for a minute and a half or for as long as is asked for: with `make` the release build, a real pair of
//! Prometheus servers, and between it and the simulated API a network that loses, delays, tears and resets.
//!
//! `weather` draws from a seed what goes wrong and when; `stage` runs all programs and acts it out, through `proxy`;
//! `diary` says what was done. `numbers`, `requests` and `vitals` judge, all the while and at the end, and `report`
//! tells. `SOAK_MINUTES` and `SOAK_SEED` are the long form, which a SIGTERM ends early, with its report and its verdict.
//!
//! Needs `prometheus` on the path; `make tools` sees to it.

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
mod court;
mod diary;
mod document;
mod numbers;
mod proxy;
mod report;
mod requests;
mod scrapes;
mod stage;
mod vitals;
mod weather;

use std::time::Duration;

use court::Court;
use stage::Stage;
use tokio::signal::unix::{SignalKind, signal};

/// The system's clock, as the simulated account reads it.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable)
        .ok()
        .filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

#[tokio::test]
async fn in_bad_weather_no_number_is_wrong_no_limit_is_broken_and_no_scrape_is_unanswered() {
    let seed = number("SOAK_SEED").unwrap_or(1);
    let duration = number("SOAK_MINUTES").map_or(Duration::from_secs(90), |minutes| {
        Duration::from_secs(60 * minutes)
    });
    let mut stage = Stage::start(seed, duration).await;
    let mut court = Court::new(stage::lists_a_minute(duration));
    let phases = weather::phases(seed, duration);
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        () = stage.play(&phases) => {}
        () = court.sit(&stage) => {}
        _ = terminated.recv() => {}
    }
    let code = stage.stop().await;
    court.close(&stage).await;
    std::fs::write(
        concat!(env!("CARGO_TARGET_TMPDIR"), "/soak.log"),
        stage.exporter.log(),
    )
    .unwrap();
    println!(
        "{}",
        report::report(seed, &court, &stage.diary(), &stage.proxy.exchanges())
    );
    assert_eq!(code, Some(0));
    assert!(court.wrong.is_empty(), "{:#?}", court.wrong);
}
