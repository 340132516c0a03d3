//! The page at `/` in a real browser: Debian's Chromium, which `make tools` installs.
//!
//! `browser` starts it, `document` says what a sound document is, `states` has the states of an account, `phone` a narrow
//! window. Pictures of all of them are left in `target/tmp/`, for eyes.

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
mod document;
mod phone;
#[path = "../exporter/rig.rs"]
#[allow(dead_code, reason = "the other program uses all of it")]
mod rig;
mod states;
