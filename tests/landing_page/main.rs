//! Tests of the landing page at `/` in Chromium, which `make tools` installs.
//!
//! `browser` runs Chromium, `html_checks` checks the document, `states` covers the states of an
//! account and `narrow_viewport` the width of a phone. The screenshots are left in `target/tmp/`.

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

mod browser;
#[path = "../common/mod.rs"]
mod common;
#[path = "../exporter/harness.rs"]
#[allow(dead_code, reason = "the test program `exporter` uses the rest")]
mod harness;
mod html_checks;
mod narrow_viewport;
mod states;
