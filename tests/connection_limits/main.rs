//! Tests of the HTTP server under load and attack: the exporter process with the descriptor limit
//! that systemd sets.
//!
//! `harness` starts the exporter and sends requests from any loopback address, `flood_client` holds
//! thousands of connections open. During each flood scrapes must be answered, with bounded memory and
//! descriptors.

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
mod flood_client;
mod flood_tests;
mod harness;
mod many_scrapers;
mod requests;
mod unread_responses;
