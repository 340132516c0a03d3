//! Fixtures that several test programs share.

#![allow(dead_code, reason = "no test program uses every fixture")]

pub mod background_process;
pub mod clock;
pub mod demo;
pub mod exporter_process;
pub mod exposition;
pub mod markdown;
pub mod notifications;
pub mod oracle;
pub mod prometheus;
pub mod promql;
pub mod promtool;
pub mod scrape_response;
pub mod shell_blocks;

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;

/// The time after which a test fails because something hangs. It is many times longer than a correct
/// run takes on a busy machine, since no test measures speed.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// Returns an HTTP client for loopback. It opens a connection per request: the exporter closes idle
/// connections, possibly in the moment in which the client would reuse one.
pub fn http() -> reqwest::Client {
    // A second call returns an error because the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Fetches a URL and returns the body.
pub async fn get(url: &str) -> String {
    http().get(url).send().await.unwrap().text().await.unwrap()
}

/// Returns limits under which every scrape may start a fetch.
pub fn unlimited_requests() -> Limits {
    let heavy = Limit {
        requests: 1_000_000,
        ..Limits::default().heavy
    };
    Limits {
        heavy,
        ..Limits::default()
    }
}

/// Returns the body of a list with one inbound call of extension 4711, which has this result. It is live with
/// `In Progress`.
pub fn call_list(result: &str) -> String {
    let record = serde_json::json!({
        "id": "a",
        "sessionId": "1",
        "startTime": "2026-11-24T10:00:00.000Z",
        "duration": 5,
        "type": "Voice",
        "direction": "Inbound",
        "result": result,
        "to": {"extensionNumber": "4711"},
    });
    let uri = "https://platform.ringcentral.com/restapi/v1.0/account/1/active-calls";
    serde_json::json!({"uri": uri, "records": [record], "navigation": {}}).to_string()
}
