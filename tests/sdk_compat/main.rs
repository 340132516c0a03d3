//! RingCentral's own clients against the simulated account: what it says must be the API's dialect, and not one that
//! only this exporter understands.
//!
//! The clients are programs in `javascript/` and `python/`, written as RingCentral's guide shows. They play a scene and
//! tell what they saw; whether that was right is decided here, by the account's own records. So are the exporters of
//! `benches/comparison`, which are built on the same libraries. `make sdk-compat` installs what they need.

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
mod harness;
#[allow(dead_code, reason = "the comparison uses the rest")]
#[path = "../../benches/comparison/parsed_metrics.rs"]
mod parsed_metrics;
#[allow(dead_code, reason = "the comparison uses the rest")]
#[path = "../../benches/comparison/program.rs"]
mod program;
mod scenarios;

use client::Language::{JavaScript, Python};
use program::{JAVASCRIPT, PYTHON};

#[tokio::test]
async fn javascript_reads_every_page() {
    scenarios::every_page(JavaScript).await;
}

#[tokio::test]
async fn python_reads_every_page() {
    scenarios::every_page(Python).await;
}

#[tokio::test]
async fn javascript_is_told_to_wait_and_goes_on() {
    scenarios::one_too_many(JavaScript).await;
}

#[tokio::test]
async fn python_is_told_to_wait_and_goes_on() {
    scenarios::one_too_many(Python).await;
}

#[tokio::test]
async fn javascript_logs_in_again_when_the_token_has_expired() {
    scenarios::an_expired_token(JavaScript).await;
}

#[tokio::test]
async fn python_logs_in_again_when_the_token_has_expired() {
    scenarios::an_expired_token(Python).await;
}

#[tokio::test]
async fn the_javascript_peer_shows_what_is_listed() {
    comparison_exporters::shows_what_is_listed(JAVASCRIPT).await;
}

#[tokio::test]
async fn the_python_peer_shows_what_is_listed() {
    comparison_exporters::shows_what_is_listed(PYTHON).await;
}

#[tokio::test]
async fn the_javascript_peer_waits_out_a_penalty() {
    comparison_exporters::waits_out_a_penalty(JAVASCRIPT).await;
}

#[tokio::test]
async fn the_python_peer_waits_out_a_penalty() {
    comparison_exporters::waits_out_a_penalty(PYTHON).await;
}
