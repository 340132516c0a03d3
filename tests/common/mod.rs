//! What the test programs share.

#![allow(dead_code, reason = "not every test program uses all of it")]

pub mod clock;
pub mod daemon;
pub mod demo;
pub mod documents;
pub mod exposition;
pub mod program;
pub mod prometheus;
pub mod promql;
pub mod promtool;
pub mod scraped;
pub mod truth;

use ringcentral_exporter::ringcentral::transport::http_client;

/// A client for loopback.
pub fn http() -> reqwest::Client {
    http_client(&"http://127.0.0.1".parse().unwrap(), None).unwrap()
}

/// The body at an address.
pub async fn get(url: &str) -> String {
    http().get(url).send().await.unwrap().text().await.unwrap()
}
