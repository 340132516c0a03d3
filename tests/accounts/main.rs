//! One exporter for many accounts: the program itself with `--config.file`, beside as many simulated accounts.
//!
//! `fleet` writes the file and starts the program. `ailing`, `pace` and `targets` scrape it, `reload` and `churn` change
//! the file under it, `mistakes` starts it with files that it must refuse, `example` with the one that is shipped, `check` runs the command of that name, and
//! `prometheus` has a real Prometheus discover the accounts.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod ailing;
mod beside;
mod check;
mod churn;
#[path = "../common/mod.rs"]
mod common;
mod discovery;
mod example;
mod fleet;
mod mistakes;
mod pace;
mod prometheus;
mod reload;
mod same_user;
mod targets;
