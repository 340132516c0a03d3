//! `--web.config.file` and the lifecycle, with real clients: curl, openssl and Prometheus against the program itself.
//!
//! `pki` makes certificates, `stage` starts the program beside a simulated account, `curl` asks it.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod curl;
mod documents;
mod flood;
mod health;
mod login;
mod pki;
mod prometheus;
mod reload;
mod requests;
mod stage;
mod start;
mod swaps;
mod tls;
