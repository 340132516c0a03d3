//! The response to a scrape, with its samples.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::oracle::CALL_FAMILIES;

/// The response to a scrape.
#[derive(Debug)]
pub struct ScrapeResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The time from the start of the request to the end of the body.
    pub elapsed: Duration,
}

impl ScrapeResponse {
    /// Sends a GET request with these headers and reads the response.
    #[allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
    pub async fn get(http: &reqwest::Client, url: &str, headers: &[(&str, &str)]) -> Self {
        let started = Instant::now();
        let mut request = http.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
            elapsed: started.elapsed(),
        }
    }

    /// Returns all samples, by name and labels as written.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let mut samples = BTreeMap::new();
        for line in self.text.lines() {
            if line.starts_with('#') {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            samples.insert(series.to_owned(), value.parse().unwrap());
        }
        samples
    }

    /// Returns the value of the series with exactly this text.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        self.samples()
            .get(series)
            .copied()
            .unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// Returns the samples of one account.
    pub fn account_samples(&self, account: &str) -> BTreeMap<String, f64> {
        let label = format!("{{account=\"{account}\"");
        let mut samples = self.samples();
        samples.retain(|series, _| series.contains(&label));
        samples
    }

    /// Returns the samples of the call families.
    pub fn call_samples(&self) -> BTreeMap<String, f64> {
        retain_call_families(self.samples())
    }

    /// Returns the samples of the call families of one account.
    pub fn account_call_samples(&self, account: &str) -> BTreeMap<String, f64> {
        retain_call_families(self.account_samples(account))
    }
}

/// Removes the samples that do not belong to a call family.
fn retain_call_families(mut samples: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    samples.retain(|series, _| {
        let family = series.split('{').next().unwrap_or_default();
        CALL_FAMILIES.contains(&family)
    });
    samples
}
