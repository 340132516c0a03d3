//! An exporter with one account, and the plain GETs that a scrape is compared with.

use reqwest::Client;
use ringcentral_exporter::simulator::Simulator;
use tokio::time::sleep;

use crate::LEAST_INTERVAL;
use crate::exporter::{Exporter, http, value};
use crate::simulated::{Size, simulator};

pub struct Pair {
    pub simulator: Simulator,
    pub exporter: Exporter,
    pub http: Client,
    bearer: String,
}

impl Pair {
    pub async fn start(size: &Size) -> Self {
        Self::of(simulator(size).await).await
    }

    pub async fn of(simulator: Simulator) -> Self {
        let (exporter, http) = (Exporter::of(&simulator), http());
        let login = http.post(format!("{}/restapi/oauth/token", simulator.url()));
        let login = login.basic_auth(simulator.client_id(), Some(simulator.client_secret()));
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &simulator.jwt()),
        ];
        let reply = login
            .form(&form)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        let bearer = reply["access_token"].as_str().unwrap().to_owned();
        Self {
            simulator,
            exporter,
            http,
            bearer,
        }
    }

    /// Sends the plain GETs and returns their number.
    pub async fn fetch_all(&self) -> u32 {
        let mut next = Some(format!(
            "{}/restapi/v1.0/account/~/active-calls?perPage=1000",
            self.simulator.url()
        ));
        let mut pages = 0;
        while let Some(url) = next {
            let request = self
                .http
                .get(url)
                .bearer_auth(&self.bearer)
                .header("Accept-Encoding", "identity");
            let body = request.send().await.unwrap().bytes().await.unwrap();
            pages += 1;
            next = next_page(&body);
        }
        pages
    }

    /// Scrapes; the exporter fetches if the minimum interval has passed.
    pub async fn scrape(&self) -> String {
        let text = self.exporter.scrape(&self.http).await;
        assert!(
            text.contains("\nringcentral_up{account=\"default\"} 1\n"),
            "{text}"
        );
        text
    }

    /// Returns the requests so far; reading the counter causes one more.
    pub async fn fetches(&self) -> f64 {
        sleep(LEAST_INTERVAL).await;
        value(
            &self.scrape().await,
            "ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}",
        )
    }

    pub async fn cpu_seconds(&self) -> f64 {
        self.exporter.cpu_seconds(&self.http).await
    }

    pub async fn resident_mib(&self) -> f64 {
        self.exporter.resident_mib(&self.http).await
    }
}

/// Finds the URL of the next page without parsing the body, since a plain GET parses nothing.
fn next_page(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).unwrap();
    let (_, rest) = text.split_once("\"nextPage\":{\"uri\":\"")?;
    rest.split('"').next().map(str::to_owned)
}
