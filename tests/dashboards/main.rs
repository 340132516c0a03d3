//! Tests of the Grafana dashboards, as files and with real data.
//!
//! | module | content |
//! |---|---|
//! | [`model`] | parser for the dashboard files |
//! | [`conventions`] | conventions of this project |
//! | [`linter`] | the rules of Grafana's dashboard linter |
//! | [`metric_names`] | every metric and label in a query exists |
//! | [`fifty_accounts`] | the dashboards are usable with 50 accounts |
//! | [`harness`], [`query_results`] | simulated accounts, and the results of all queries on them |
//! | [`queries`] | expected results of the queries |
//! | [`mutations`] | every check fails on a modified dashboard |
//!
//! `fifty_accounts` requires `promtool` on the path and `query_results` requires `prometheus`. `queries` takes two minutes.

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
mod conventions;
mod fifty_accounts;
mod harness;
mod linter;
mod metric_names;
mod model;
mod mutations;
mod queries;
mod query_results;
