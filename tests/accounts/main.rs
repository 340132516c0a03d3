//! Tests of `--config.file`: one exporter process for up to fifty simulated accounts.
//!
//! | module | subject |
//! |---|---|
//! | `harness` | the exporter process, its configuration file and its simulated accounts |
//! | `check`, `example` | the command `check`, the example file |
//! | `discovery`, `targets` | `/sd`, `/metrics?account=NAME` |
//! | `config_errors`, `conflicting_flags`, `same_user` | invalid files, flags and logins |
//! | `concurrency`, `failing_accounts` | scrapes of many accounts, some of them slow or failing |
//! | `reload`, `churn` | changes of the file while the exporter runs |
//! | `prometheus` | service discovery and scrapes by a Prometheus server |

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

mod check;
mod churn;
#[path = "../common/mod.rs"]
mod common;
mod concurrency;
mod config_errors;
mod conflicting_flags;
mod discovery;
mod example;
mod failing_accounts;
mod harness;
mod hostile_bodies;
mod prometheus;
mod reload;
mod same_user;
mod targets;
