//! Runs all checks during the run and at its end.
//!
//! A scrape or a request is checked after a delay, when everything that belongs to it is known.

use std::time::Duration;

use tokio::time::sleep;

use crate::harness::Harness;
use crate::metrics_check::{MetricsCheck, Sources};
use crate::now_ms;
use crate::request_check::RequestCheck;
use crate::resource_usage::ResourceUsage;
use crate::scrapes::{self, Scrape};

/// Time after which every exchange has ended.
const SETTLED_MS: i64 = 20_000;
const CHECK_INTERVAL: Duration = Duration::from_secs(20);

/// The checks and the violations that they have found.
#[derive(Default)]
pub struct Verifier {
    pub metrics: MetricsCheck,
    pub requests: RequestCheck,
    pub resources: ResourceUsage,
    pub violations: Vec<String>,
    /// The latest samples of `ringcentral_api_request_failures_total`.
    pub failures: Vec<(String, f64)>,
    /// Time of the latest checked scrape of each server.
    checked_until: [i64; 2],
}

impl Verifier {
    /// Creates a verifier for an API with this limit of the call list.
    pub fn new(lists_per_minute: u32) -> Self {
        Self {
            requests: RequestCheck::new(lists_per_minute),
            ..Self::default()
        }
    }

    /// Checks new scrapes and requests until the future is dropped.
    pub async fn run(&mut self, harness: &Harness) {
        loop {
            sleep(CHECK_INTERVAL).await;
            self.check_until(harness, now_ms() - SETTLED_MS).await;
        }
    }

    /// Checks the rest of the scrapes and requests, and the resource usage of the whole run.
    pub async fn finish(&mut self, harness: &Harness) {
        self.check_until(harness, i64::MAX).await;
        let violations = self.resources.check();
        self.record_violations(violations);
    }

    async fn check_until(&mut self, harness: &Harness, until_ms: i64) {
        let journal = harness.simulator.journal();
        let events = harness.events().clone();
        let violations =
            self.requests
                .check(&journal, until_ms, &harness.proxy.exchanges(), &events);
        self.record_violations(violations);
        let sources = Sources {
            simulator: &harness.simulator,
            journal: &journal,
            events: &events,
        };
        let stopped = events.stopped_ms.unwrap_or(i64::MAX).min(until_ms);
        for scrape in self.new_scrapes(harness, stopped).await {
            self.resources.record(&scrape);
            self.failures = scrape
                .family("ringcentral_api_request_failures_total")
                .map(|(series, count)| (series.clone(), count))
                .collect();
            let violations = self.metrics.check(&scrape, &sources).await;
            self.record_violations(violations);
        }
    }

    /// Returns the unchecked scrapes of both servers that were answered before this time, in order.
    async fn new_scrapes(&mut self, harness: &Harness, until_ms: i64) -> Vec<Scrape> {
        let mut new = Vec::new();
        for (server, checked_until) in self.checked_until.iter_mut().enumerate() {
            let after = *checked_until;
            for scrape in scrapes::recent(&harness.servers, server, 120).await {
                if scrape.at_ms > after && scrape.answered_ms() < until_ms {
                    *checked_until = scrape.at_ms;
                    new.push(scrape);
                }
            }
        }
        new.sort_by_key(|scrape| scrape.at_ms);
        new
    }

    fn record_violations(&mut self, violations: Vec<String>) {
        for violation in &violations {
            println!("VIOLATION {violation}");
        }
        self.violations.extend(violations);
    }
}
