//! Tests of the shipped rules and configurations for Prometheus and Alertmanager, and of their documents.
//!
//! | module | content |
//! |---|---|
//! | [`rule_files`] | parser for the rules and their unit tests |
//! | [`promtool`] | promtool accepts rules and configurations, and the unit tests pass |
//! | [`conventions`] | names, labels and annotations follow one pattern |
//! | [`metrics`] | every metric and label in a query exists |
//! | [`alert_design`] | alerts avoid unreliable metrics and ratios of few calls |
//! | [`zero_series`] | queries ask only for counters that start at 0 |
//! | [`unit_tests`] | every rule has unit tests |
//! | [`runbook`] | every alert has its section and index entry, and the queries there are valid |
//! | [`readme_table`] | the table of alerts matches the rules |
//! | [`time_zones`], [`calendar`] | business hours match a real calendar in every documented time zone |
//! | [`business_hours_variants`] | the other documented edits of the business hours work |
//! | [`routing`] | Alertmanager routes and inhibits as documented |
//! | [`sharding`] | Prometheus scrapes each account once with the configurations for many accounts |
//! | [`readme_commands`] | the documented commands work, including the backfill |
//!
//! promtool's unit tests in `deploy/prometheus/tests` check the result of each rule. The target `alerting` checks the
//! delivery of alerts.
//!
//! Requires `prometheus`, `promtool`, `prometheus-alertmanager` and `amtool` on the path (`make tools` installs them).
//! `make rules` repeats [`promtool`] with Prometheus 3, whose folder it puts first on the path.
//! Takes about three minutes.

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

mod alert_design;
mod business_hours_variants;
mod calendar;
#[path = "../common/mod.rs"]
mod common;
mod conventions;
mod metrics;
mod promtool;
mod readme_commands;
mod readme_table;
mod routing;
mod rule_files;
mod runbook;
mod sharding;
mod time_zones;
mod unit_tests;
mod zero_series;
