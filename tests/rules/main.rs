//! The rules, alerts and configurations for Prometheus and Alertmanager as they are shipped, and what their documents say.
//!
//! | module | what it asks |
//! |---|---|
//! | [`shipped`] | nothing: it reads the rules and their unit tests |
//! | [`accepted`] | does Prometheus' own tool accept them, and do their unit tests pass? |
//! | [`conventions`] | do names, labels and texts follow one pattern? |
//! | [`metrics`] | does the exporter have every metric and label that they use? |
//! | [`caution`] | do alerts keep clear of what is unreliable, and of shares of next to nothing? |
//! | [`cases`] | is each of them tested? |
//! | [`runbook`] | does each alert have its section, and does each query there work? |
//! | [`table`] | does the table of alerts tell the truth? |
//! | [`zones`], [`calendar`] | are business hours those of a real calendar, in every time zone that is offered? |
//! | [`edited`] | do the other edits do what is promised? |
//! | [`routing`] | does the example for Alertmanager silence what it should? |
//! | [`spread`] | does a real Prometheus scrape each account of many as the shipped configurations say? |
//! | [`commands`] | do the commands work, the one that fills in the past too? |
//!
//! What each rule gives for which samples is for promtool's unit tests beside the rules; what becomes of an alert is for
//! the program `alerting`.
//!
//! Needs `prometheus`, `promtool`, `prometheus-alertmanager` and `amtool` on the path; `make tools` sees to them. Takes
//! about three minutes.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod accepted;
mod calendar;
mod cases;
mod caution;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod conventions;
mod edited;
mod metrics;
mod routing;
mod runbook;
mod shipped;
mod spread;
mod table;
mod zones;
