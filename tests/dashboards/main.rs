//! The dashboards: as files, and on real data.
//!
//! `conventions` and `linter` read the files; `exists` compares their queries with an exposition; `fleet` asks what they say
//! of fifty accounts; `queries` runs them. The last two need `prometheus` on the path, and `queries` two minutes of the clock.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod account;
mod asked;
#[path = "../common/mod.rs"]
mod common;
mod conventions;
mod exists;
mod fleet;
mod linter;
mod model;
mod mutations;
mod queries;
