//! A simulated account with a manual clock, and an HTTP client without redirects and decompression.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flate2::read::GzDecoder;
use reqwest::{Client, RequestBuilder, Response, redirect};
use ringcentral_exporter::simulator::{Scenario, Simulator};
use serde_json::Value;
use tokio::net::TcpListener;

/// 2026-09-15 10:20:00.123 UTC, a Tuesday.
pub const MORNING: i64 = 1_789_467_600_123;
pub const CALLS: &str = "/restapi/v1.0/account/~/active-calls";
pub const OWN_CALLS: &str = "/restapi/v1.0/account/~/extension/~/active-calls";
pub const EXTENSIONS: &str = "/restapi/v1.0/account/~/extension";

/// A running simulator with a manual clock.
pub struct TestSimulator {
    pub simulator: Simulator,
    pub http: Client,
    clock: Arc<AtomicI64>,
}

impl TestSimulator {
    pub async fn start(scenario: Scenario) -> TestSimulator {
        let clock = Arc::new(AtomicI64::new(MORNING));
        let time = Arc::clone(&clock);
        let scenario = Scenario {
            clock: Some(Arc::new(move || time.load(Ordering::SeqCst))),
            ..scenario
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, scenario, 7).unwrap();
        TestSimulator {
            simulator,
            http: client(),
            clock,
        }
    }

    pub async fn normal() -> TestSimulator {
        TestSimulator::start(Scenario::normal()).await
    }

    pub fn advance_seconds(&self, seconds: i64) {
        self.advance_millis(seconds * 1_000);
    }

    pub fn advance_millis(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn url(&self, path: &str) -> String {
        self.simulator.url() + path
    }

    /// Logs in with the given credentials.
    pub async fn log_in_with(&self, id: &str, secret: &str, jwt: &str) -> Response {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        self.post_form(
            id,
            secret,
            "token",
            &[("grant_type", grant), ("assertion", jwt)],
        )
        .await
    }

    pub async fn post_form(
        &self,
        id: &str,
        secret: &str,
        endpoint: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let request = self
            .http
            .post(self.url(&format!("/restapi/oauth/{endpoint}")));
        request
            .basic_auth(id, Some(secret))
            .form(form)
            .send()
            .await
            .unwrap()
    }

    /// Logs in with valid credentials.
    pub async fn log_in(&self) -> Response {
        let simulator = &self.simulator;
        let (id, secret) = (simulator.client_id(), simulator.client_secret());
        self.log_in_with(&id, &secret, &simulator.jwt()).await
    }

    pub async fn token(&self) -> String {
        let body = json(self.log_in().await).await;
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub fn request(&self, token: &str, path: &str) -> RequestBuilder {
        self.http.get(self.url(path)).bearer_auth(token)
    }

    pub async fn get(&self, token: &str, path: &str) -> Response {
        self.request(token, path).send().await.unwrap()
    }
}

pub fn client() -> Client {
    // Only the first test of the process installs it; the error of the others is harmless.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap()
}

pub async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Returns the status and the error code of an error response.
pub async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = json(response).await;
    (
        status,
        body["errors"][0]["errorCode"].as_str().unwrap().to_owned(),
    )
}

pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

pub fn decompress(gzip: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut body).unwrap();
    body
}
