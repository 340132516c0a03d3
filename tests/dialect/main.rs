//! RingCentral's own clients against the simulated account: what it says must be the API's dialect, and not one that
//! only this exporter understands.
//!
//! The clients are programs in `javascript/` and `python/`, written as RingCentral's guide shows. They play a scene and
//! tell what they saw; whether that was right is decided here, by the account's own records. So are the exporters of
//! `benches/peers`, which are built on the same libraries. `make dialect` installs what they need.

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
mod peers;
#[allow(dead_code, reason = "the comparison uses the rest")]
#[path = "../../benches/peers/program.rs"]
mod program;
mod rig;
mod scenes;
#[allow(dead_code, reason = "the comparison uses the rest")]
#[path = "../../benches/peers/shown.rs"]
mod shown;

use client::Language::{JavaScript, Python};
use program::{JAVASCRIPT, PYTHON};

#[tokio::test]
async fn javascript_reads_every_page() {
    scenes::every_page(JavaScript).await;
}

#[tokio::test]
async fn python_reads_every_page() {
    scenes::every_page(Python).await;
}

#[tokio::test]
async fn javascript_is_told_to_wait_and_goes_on() {
    scenes::one_too_many(JavaScript).await;
}

#[tokio::test]
async fn python_is_told_to_wait_and_goes_on() {
    scenes::one_too_many(Python).await;
}

#[tokio::test]
async fn javascript_logs_in_again_when_the_token_has_expired() {
    scenes::an_expired_token(JavaScript).await;
}

#[tokio::test]
async fn python_logs_in_again_when_the_token_has_expired() {
    scenes::an_expired_token(Python).await;
}

#[tokio::test]
async fn the_javascript_peer_shows_what_is_listed() {
    peers::shows_what_is_listed(JAVASCRIPT).await;
}

#[tokio::test]
async fn the_python_peer_shows_what_is_listed() {
    peers::shows_what_is_listed(PYTHON).await;
}

#[tokio::test]
async fn the_javascript_peer_waits_out_a_penalty() {
    peers::waits_out_a_penalty(JAVASCRIPT).await;
}

#[tokio::test]
async fn the_python_peer_waits_out_a_penalty() {
    peers::waits_out_a_penalty(PYTHON).await;
}
