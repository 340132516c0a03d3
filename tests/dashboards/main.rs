//! The dashboards: as files, and on real data.
//!
//! `conventions` and `linter` read the files; `exists` compares their queries with an exposition; `queries` runs them.
//! That last one needs `prometheus` on the path, and two minutes of the clock.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod account;
mod asked;
#[path = "../common/mod.rs"]
mod common;
mod conventions;
mod exists;
mod linter;
mod model;
mod mutations;
mod queries;
