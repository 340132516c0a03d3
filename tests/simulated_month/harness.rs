//! The exporter, the simulator and their common clock.
//!
//! tokio advances a paused clock by itself when no task can run, and it takes a task that waits for
//! a socket for such. A blocking task that lasts as long as the test prevents that.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use ringcentral_exporter::clock::advance_wall_clock;
use ringcentral_exporter::config::{Config, Timeouts};
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tempfile::TempDir;

use crate::common::clock::ManualClock;
use crate::test_exporter;

/// Sample values by series.
pub type Samples = BTreeMap<String, f64>;

/// The result of a scrape.
pub struct Scrape {
    pub samples: Samples,
    /// Time of the list that the simulator had sent last, if it was requested.
    pub listed_at: Option<i64>,
}

/// Real time after which a pending response must be waiting for simulated time.
const REAL_TIMEOUT: Duration = Duration::from_millis(20);
/// Simulated time by which the clock advances while a response is pending.
const CLOCK_STEP: Duration = Duration::from_millis(500);

/// A running exporter with one simulated account.
pub struct TestExporter {
    pub inner: test_exporter::TestExporter,
    clock: ManualClock,
    /// The file of the JWT, and the state directory.
    folder: TempDir,
    /// Ends the blocking task when it is dropped.
    _blocking_task: mpsc::Sender<()>,
}

impl TestExporter {
    /// Starts the exporter and the simulator.
    pub async fn start() -> Self {
        let (blocking_task, dropped) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || dropped.recv());
        tokio::time::pause();
        let clock = ManualClock::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let inner =
            test_exporter::TestExporter::start_with(clock.attach_to(scenario()), |config| {
                if let SecretSource::Value(value) = &config.accounts[0].jwt {
                    let jwt = secrecy::ExposeSecret::expose_secret(value);
                    std::fs::write(folder.path().join("jwt"), jwt).unwrap();
                }
                configure(config, folder.path());
            });
        Self {
            inner: inner.await,
            clock,
            folder,
            _blocking_task: blocking_task,
        }
    }

    /// Returns whether it runs.
    pub fn is_running(&self) -> bool {
        self.inner.shutdown.is_some()
    }

    /// Starts it again.
    pub async fn start_again(&mut self) {
        let mut config = test_exporter::config(self.simulator());
        configure(&mut config, self.folder.path());
        let process = test_exporter::run(config).await;
        self.inner.url = process.url;
        self.inner.task = process.task;
        self.inner.shutdown = Some(process.shutdown);
    }

    /// Returns the simulator.
    pub fn simulator(&self) -> &Simulator {
        &self.inner.simulator
    }

    /// Replaces the JWT and its file, and ends the sessions.
    pub fn rotate_jwt(&self) {
        std::fs::write(
            self.folder.path().join("jwt"),
            self.simulator().rotate_jwt(),
        )
        .unwrap();
        self.simulator().evict_tokens();
    }

    /// Scrapes and waits until all requests of the exporter have ended. Copies the long journal
    /// only for `with_list_time`.
    pub async fn scrape(&self, with_list_time: bool) -> Scrape {
        let samples = self.get().await;
        let mut listed_at = None;
        if with_list_time {
            let journal = self.simulator().journal();
            listed_at = journal.iter().rev().find_map(|entry| entry.listed_at_ms);
        }
        self.wait_for_requests().await;
        Scrape { samples, listed_at }
    }

    /// Advances the clock.
    pub async fn sleep(&self, seconds: i64) {
        self.advance(Duration::from_secs(seconds as u64)).await;
    }

    /// Stops the exporter.
    pub async fn stop(&mut self) {
        self.inner.stop().await;
    }

    /// Scrapes until no request is in progress. These scrapes cause no fetch, except after one that
    /// had to wait.
    async fn wait_for_requests(&self) {
        for attempt in 1.. {
            let samples = self.get().await;
            if sum(&samples, "ringcentral_api_requests_total")
                == sum(&samples, "ringcentral_api_request_duration_seconds_count")
            {
                return;
            }
            if attempt % 20 == 0 {
                self.advance(CLOCK_STEP).await;
            }
        }
    }

    /// Sends a scrape. The clock advances only if the response takes so long that it must be
    /// waiting for simulated time.
    pub async fn get(&self) -> Samples {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        tokio::select! {
            (_, body) = self.inner.send_raw(request) => parse(&String::from_utf8(body).unwrap()),
            () = self.advance_slowly() => unreachable!("the loop has no end"),
        }
    }

    async fn advance_slowly(&self) {
        loop {
            tokio::task::spawn_blocking(|| std::thread::sleep(REAL_TIMEOUT))
                .await
                .unwrap();
            self.advance(CLOCK_STEP).await;
        }
    }

    async fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
        advance_wall_clock(duration);
        tokio::time::advance(duration).await;
    }
}

fn configure(config: &mut Config, folder: &Path) {
    config.accounts[0].jwt = SecretSource::File(folder.join("jwt"));
    config.settings.timeouts = Timeouts::default();
    config.settings.state.directory = Some(folder.join("state"));
}

/// Returns a scenario in which another client uses the whole limit every three hours.
fn scenario() -> Scenario {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let other_client = Some(OtherClient {
        requests: 10,
        first: hours(1),
        every: hours(3),
    });
    Scenario {
        other_client,
        ..Scenario::normal()
    }
}

fn parse(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        samples.insert(series.to_owned(), value.parse().unwrap());
    }
    samples
}

/// Returns the sum of a family.
pub fn sum(samples: &Samples, family: &str) -> f64 {
    samples
        .iter()
        .filter(|(series, _)| series.split('{').next() == Some(family))
        .map(|(_, value)| value)
        .sum()
}
