//! The exporter, exercised as a whole: real HTTP on both sides, to the simulated account and from the scraper.
//!
//! `exporter` starts both on loopback; `common::oracle` says what a list amounts to, by rules that are written a second
//! time, so that no mistake can agree with itself.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod binary;
mod check;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod demo;
mod directory;
mod documents;
mod faults;
mod fixtures;
mod flags;
mod health;
mod limits;
mod network;
mod paths;
mod exporter;
mod scrapes;
