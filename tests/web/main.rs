//! Tests of `--web.config.file` and of configuration reloads, with curl, openssl and Prometheus as
//! clients.
//!
//! `harness` starts the exporter process for a simulated account, `pki` issues certificates, `curl`
//! sends requests. `docs` and `guides` run the commands of the documents.

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

mod basic_auth;
mod client_ca;
mod client_certs;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod curl;
mod docs;
mod file_changes;
mod guides;
mod harness;
mod health;
mod password_flood;
mod pki;
mod plain_http;
mod prometheus;
mod reload;
mod requests;
mod server_keys;
mod startup_errors;
mod task_limit;
mod tls;
