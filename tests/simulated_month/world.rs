//! The exporter, the simulated account and their clock.
//!
//! Owns moving time. tokio moves a paused clock by itself whenever nothing is left to do, which it takes waiting for a socket
//! for; a blocking task that lasts as long as the test forbids it that.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use ringcentral_exporter::config::Timeouts;
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tempfile::TempDir;

use crate::common::clock::ManualClock;
use crate::rig::Rig;

/// What a scrape got, by series.
pub type Samples = BTreeMap<String, f64>;

/// A scrape, and which list the API had answered last when it was answered.
pub struct Seen {
    pub samples: Samples,
    pub listed_at: Option<i64>,
}

/// In real time, far more than an answer takes.
const REAL_PATIENCE: Duration = Duration::from_millis(20);
/// By so much time moves while something waits for it.
const STEP: Duration = Duration::from_millis(500);

pub struct World {
    pub rig: Rig,
    clock: ManualClock,
    folder: TempDir,
    /// Dropped, it lets the blocking task end.
    _standstill: mpsc::Sender<()>,
}

impl World {
    pub async fn start() -> Self {
        let (standstill, end) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || end.recv());
        tokio::time::pause();
        let clock = ManualClock::new();
        let folder = tempfile::tempdir().unwrap();
        let jwt = folder.path().join("jwt");
        let rig = Rig::configured(clock.attach_to(scenario()), |config| {
            if let SecretSource::Value(value) = &config.accounts[0].jwt {
                std::fs::write(&jwt, secrecy::ExposeSecret::expose_secret(value)).unwrap();
            }
            config.accounts[0].jwt = SecretSource::File(jwt);
            config.settings.timeouts = Timeouts::default();
        });
        Self {
            rig: rig.await,
            clock,
            folder,
            _standstill: standstill,
        }
    }

    pub fn simulator(&self) -> &Simulator {
        &self.rig.simulator
    }

    /// The JWT changes, and so does its file; the sessions end.
    pub fn rotate_jwt(&self) {
        std::fs::write(
            self.folder.path().join("jwt"),
            self.simulator().rotate_jwt(),
        )
        .unwrap();
        self.simulator().evict_tokens();
    }

    /// A scrape, and all that the exporter does beside it. The journal is looked at only on request: it is long.
    pub async fn scrape(&self, looks: bool) -> Seen {
        let samples = self.get().await;
        let journal = if looks {
            self.simulator().journal()
        } else {
            Vec::new()
        };
        self.settle().await;
        Seen {
            samples,
            listed_at: journal.iter().rev().find_map(|entry| entry.listed_at_ms),
        }
    }

    /// Lets time go by.
    pub async fn sleep(&self, seconds: i64) {
        self.pass(Duration::from_secs(seconds as u64)).await;
    }

    pub async fn stop(&mut self) {
        self.rig.stop().await;
    }

    /// Asks until no request is under way. A second scrape of an instant may not fetch; one that had to wait may, which is
    /// as well.
    async fn settle(&self) {
        for ask in 1.. {
            let samples = self.get().await;
            if sum(&samples, "ringcentral_api_requests_total")
                == sum(&samples, "ringcentral_api_request_duration_seconds_count")
            {
                return;
            }
            if ask % 20 == 0 {
                self.pass(STEP).await;
            }
        }
    }

    /// Time stands while this is answered, unless it takes so long that it must be waiting for time.
    async fn get(&self) -> Samples {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        tokio::select! {
            (_, body) = self.rig.raw(request) => read(&String::from_utf8(body).unwrap()),
            () = self.push() => unreachable!("it pushes for ever"),
        }
    }

    async fn push(&self) {
        loop {
            tokio::task::spawn_blocking(|| std::thread::sleep(REAL_PATIENCE))
                .await
                .unwrap();
            self.pass(STEP).await;
        }
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        tokio::time::advance(duration).await;
    }
}

/// Another tool empties the limit every three hours.
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

fn read(text: &str) -> Samples {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

/// The sum over a family.
pub fn sum(samples: &Samples, family: &str) -> f64 {
    let of_family = samples
        .iter()
        .filter(|(series, _)| series.split('{').next() == Some(family));
    of_family.map(|(_, value)| value).sum()
}
