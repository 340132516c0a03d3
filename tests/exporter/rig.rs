//! An exporter and its simulated account, in this process, on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::{
    Account, Config, Level, Log, LogFormat, Metrics, Scrape, Settings, Timeouts, Web,
};
use ringcentral_exporter::reload::Reloader;
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::{JournalEntry, Operation, Scenario, Simulator};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::common::oracle;
pub use crate::common::scrape_response::ScrapeResponse;

/// A running pair.
pub struct Rig {
    pub simulator: Simulator,
    pub url: String,
    pub http: reqwest::Client,
    exporter: JoinHandle<anyhow::Result<()>>,
    stop: Option<oneshot::Sender<()>>,
}

pub async fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Defaults, but for a back-off short enough to wait for.
pub fn common() -> Settings {
    Settings {
        web: Web {
            listen_addresses: Vec::new(),
            telemetry_path: "/metrics".to_owned(),
            config_file: None,
            enable_lifecycle: false,
        },
        scrape: Scrape {
            min_interval: Duration::ZERO,
            timeout_offset: Duration::from_millis(500),
            max_age: Duration::from_secs(120),
        },
        metrics: Metrics {
            extension_label: ExtensionLabel::Number,
            extension_info: false,
            extension_calls: false,
            max_extensions: 10_000,
        },
        log: Log {
            level: tracing::Level::DEBUG,
            format: LogFormat::Logfmt,
        },
        timeouts: Timeouts {
            login_backoff_min: Duration::from_millis(500),
            ..Timeouts::default()
        },
    }
}

pub fn account(simulator: &Simulator) -> Account {
    let secret = |text: &str| SecretSource::Value(SecretString::from(text));
    Account {
        name: "default".to_owned(),
        server: simulator.url().parse().unwrap(),
        client_id: simulator.client_id(),
        client_secret: secret(&simulator.client_secret()),
        jwt: secret(&simulator.jwt()),
        account_id: "~".to_owned(),
        level: Level::Account,
        concurrent_calls_limit: None,
        ca: None,
    }
}

impl Rig {
    pub async fn start(scenario: Scenario) -> Self {
        Self::configured(scenario, |_| {}).await
    }

    /// A pair whose configuration is changed first.
    pub async fn configured(scenario: Scenario, change: impl FnOnce(&mut Config)) -> Self {
        Self::around(
            Simulator::start(loopback().await, scenario, 1).unwrap(),
            change,
        )
        .await
    }

    /// An exporter for a simulated account that is there already.
    pub async fn around(simulator: Simulator, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            accounts: vec![account(&simulator)],
            accounts_file: None,
            settings: common(),
        };
        change(&mut config);
        let listener = loopback().await;
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let reloader = Arc::new(Reloader::new(&config.settings, None).unwrap());
        let exporter = ringcentral_exporter::run(config, reloader, vec![listener], async {
            drop(stopped.await)
        });
        let http = crate::common::http();
        Self {
            simulator,
            url,
            http,
            exporter: tokio::spawn(exporter),
            stop: Some(stop),
        }
    }

    pub async fn scrape(&self) -> ScrapeResponse {
        self.get("/metrics", &[]).await
    }

    /// A scrape that Prometheus would wait for so many seconds.
    pub async fn scrape_within(&self, seconds: &str) -> ScrapeResponse {
        self.get(
            "/metrics",
            &[("X-Prometheus-Scrape-Timeout-Seconds", seconds)],
        )
        .await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> ScrapeResponse {
        ScrapeResponse::get(&self.http, &format!("{}{path}", self.url), headers).await
    }

    /// Sends these bytes on a connection of their own; gives the head and the body of what comes back.
    pub async fn raw(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        let end = reply
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        let body = reply.split_off(end);
        (String::from_utf8(reply).unwrap(), body)
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("http://").unwrap())
            .await
            .unwrap()
    }

    /// Scrapes until a fetch has succeeded, for at most `patience`.
    pub async fn recovers(&self, patience: Duration) -> ScrapeResponse {
        let deadline = Instant::now() + patience;
        loop {
            let scraped = self.scrape().await;
            if scraped.up() == 1.0 {
                return scraped;
            }
            assert!(
                Instant::now() < deadline,
                "no recovery within {patience:?}: {}",
                scraped.text
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the families about calls must hold now, while the account's clock stands.
    pub async fn truth(&self) -> BTreeMap<String, f64> {
        oracle::expected_samples(&self.simulator, "default").await
    }

    /// The account's numbers by id.
    pub fn numbers(&self) -> oracle::ExtensionNumbers {
        oracle::extension_numbers(&self.simulator)
    }

    /// The requests that the simulated account saw.
    pub fn requests(&self, operation: Operation) -> Vec<JournalEntry> {
        let journal = self.simulator.journal().into_iter();
        journal
            .filter(|entry| entry.operation == Some(operation))
            .collect()
    }

    pub fn count(&self, operation: Operation) -> usize {
        self.requests(operation).len()
    }

    /// Asks the exporter to stop and waits until it has.
    pub async fn stop(&mut self) {
        self.tell_to_stop();
        (&mut self.exporter).await.unwrap().unwrap();
    }

    pub fn tell_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }
}

impl ScrapeResponse {
    #[track_caller]
    pub fn up(&self) -> f64 {
        self.value("ringcentral_up{account=\"default\"}")
    }

    #[track_caller]
    pub fn failures(&self, operation: &str, reason: &str) -> f64 {
        let labels =
            format!("{{account=\"default\",operation=\"{operation}\",reason=\"{reason}\"}}");
        self.value(&format!("ringcentral_api_request_failures_total{labels}"))
    }

    #[track_caller]
    pub fn blocked_until(&self, operation: &str) -> f64 {
        let labels = format!("{{account=\"default\",operation=\"{operation}\"}}");
        self.value(&format!(
            "ringcentral_api_blocked_until_timestamp_seconds{labels}"
        ))
    }
}
