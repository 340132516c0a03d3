//! RingCentral's own clients against the simulated account: what it says must be the API's dialect, and not one that
//! only this exporter understands.
//!
//! The clients are programs in `javascript/` and `python/`, written as RingCentral's guide shows. They play a scene and
//! tell what they saw; whether that was right is decided here, by the account's own records. `make dialect` installs
//! what they need.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod rig;
mod scenes;

use client::Language::{JavaScript, Python};

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
