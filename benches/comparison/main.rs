//! Compares the exporter with others: `cargo bench --bench comparison`, or `make bench-compare`, which installs what it needs.
//!
//! The other exporters (`python/`, `javascript/`) are what a user could write in an afternoon with RingCentral's SDKs. Each
//! program is a real process with its own simulated account, all of the same company, and they are measured by turns in one
//! run, since machines are noisy: read the ratios. Prints tables in Markdown. `-- cost` prints only that part; the others are
//! `start`, `shared`, `huge` and `limit` (three minutes).

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail"
)]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod baseline;
mod cost;
mod huge;
mod limit;
mod parsed_metrics;
mod process_stats;
mod program;
mod shared;
#[path = "../process/simulated.rs"]
mod simulated;
mod start;
mod stats;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let named: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wants = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wants("start") {
        start::table().await;
    }
    if wants("cost") {
        cost::tables().await;
    }
    if wants("shared") {
        shared::table().await;
    }
    if wants("huge") {
        huge::line().await;
    }
    if wants("limit") {
        limit::tables().await;
    }
}
