//! What a scrape got: the answer, and the samples in it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::oracle::CALL_FAMILIES;

/// What a scrape got.
#[derive(Debug)]
pub struct ScrapeResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub took: Duration,
}

impl ScrapeResponse {
    /// Asks for this address with these headers.
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
            took: started.elapsed(),
        }
    }

    /// All samples, by name and labels as written.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                line.rsplit_once(' ')
                    .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
                    .unwrap()
            })
            .collect()
    }

    /// The one sample whose series reads like this.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        self.samples()
            .get(series)
            .copied()
            .unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// The samples of one account.
    pub fn about(&self, account: &str) -> BTreeMap<String, f64> {
        let label = format!("{{account=\"{account}\"");
        let mut samples = self.samples();
        samples.retain(|series, _| series.contains(&label));
        samples
    }

    /// The samples of the families about calls.
    pub fn calls(&self) -> BTreeMap<String, f64> {
        of_calls(self.samples())
    }

    /// The same of one account.
    pub fn calls_of(&self, account: &str) -> BTreeMap<String, f64> {
        of_calls(self.about(account))
    }
}

fn of_calls(mut samples: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    samples
        .retain(|series, _| CALL_FAMILIES.contains(&series.split('{').next().unwrap_or_default()));
    samples
}
