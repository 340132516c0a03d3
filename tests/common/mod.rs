//! What the test programs share.

#![allow(dead_code, reason = "not every test program uses all of it")]

pub mod background_process;
pub mod clock;
pub mod demo;
pub mod exporter_process;
pub mod exposition;
pub mod markdown;
pub mod oracle;
pub mod prometheus;
pub mod promql;
pub mod promtool;
pub mod scrape_response;

/// A client for loopback. It keeps no connection: the exporter closes idle ones, perhaps just as the next request leaves.
pub fn http() -> reqwest::Client {
    // A second call finds the provider there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .pool_max_idle_per_host(0);
    builder
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// The body at an address.
pub async fn get(url: &str) -> String {
    http().get(url).send().await.unwrap().text().await.unwrap()
}
