//! RingCentral's own SDKs against the simulator: its responses must be those of the API, and not a
//! dialect that only this exporter accepts.
//!
//! The clients in `javascript/` and `python/` follow RingCentral's guide. They run a scenario and
//! print their results, which are compared with the records of the simulator. The exporters of
//! `benches/comparison` use the same SDKs and are tested in the same way. `make sdk-compat`
//! installs the SDKs.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod comparison_exporters;
mod events;
mod harness;
#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../../benches/comparison/parsed_metrics.rs"]
mod parsed_metrics;
#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../../benches/comparison/program.rs"]
mod program;
mod scenarios;
#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../../benches/process/simulated.rs"]
mod simulated;

use client::Language::{JavaScript, Python};
use program::{JAVASCRIPT, PYTHON};

#[tokio::test]
async fn javascript_reads_every_page() {
    scenarios::assert_reads_every_page(JavaScript).await;
}

#[tokio::test]
async fn python_reads_every_page() {
    scenarios::assert_reads_every_page(Python).await;
}

#[tokio::test]
async fn javascript_waits_for_retry_after() {
    scenarios::assert_waits_for_retry_after(JavaScript).await;
}

#[tokio::test]
async fn python_waits_for_retry_after() {
    scenarios::assert_waits_for_retry_after(Python).await;
}

#[tokio::test]
async fn javascript_logs_in_after_token_expiry() {
    scenarios::assert_logs_in_after_token_expiry(JavaScript).await;
}

#[tokio::test]
async fn python_logs_in_after_token_expiry() {
    scenarios::assert_logs_in_after_token_expiry(Python).await;
}

#[tokio::test]
async fn javascript_receives_every_event() {
    events::assert_receives_every_event(JavaScript, "events").await;
}

#[tokio::test]
async fn javascript_subscriptions_receive_every_event() {
    events::assert_receives_every_event(JavaScript, "subscriptions").await;
}

#[tokio::test]
async fn python_receives_every_event() {
    events::assert_receives_every_event(Python, "events").await;
}

#[tokio::test]
async fn javascript_exporter_shows_listed_calls() {
    comparison_exporters::assert_shows_listed_calls(JAVASCRIPT).await;
}

#[tokio::test]
async fn python_exporter_shows_listed_calls() {
    comparison_exporters::assert_shows_listed_calls(PYTHON).await;
}

#[tokio::test]
async fn javascript_exporter_waits_out_penalty() {
    comparison_exporters::assert_waits_out_penalty(JAVASCRIPT).await;
}

#[tokio::test]
async fn python_exporter_waits_out_penalty() {
    comparison_exporters::assert_waits_out_penalty(PYTHON).await;
}
