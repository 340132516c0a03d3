//! Tests of the whole exporter over HTTP, between a scraper and a simulated account on loopback.
//!
//! `harness` starts the exporter and the account. `common::oracle` computes the expected samples
//! with a second implementation of the contract's rules.

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

mod api_addresses;
mod api_connections;
mod api_redirects;
mod api_relay;
mod check;
#[path = "../common/mod.rs"]
mod common;
mod configuration_doc;
mod connections;
mod demo;
mod directory;
mod docs;
mod docs_commands;
mod docs_links;
mod docs_readme;
mod documentation;
mod endpoints;
mod event_families;
mod faults;
mod fixtures;
mod flags;
mod harness;
mod health;
mod http_requests;
mod limits;
mod log;
mod network;
mod openmetrics;
mod presence;
mod presence_events;
mod process;
mod responses;
mod scrapes;
mod state_directory;
mod status;
mod status_presence;
