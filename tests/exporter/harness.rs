//! The test harness: an exporter and its simulated account, both in this process and on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::{
    Account, Config, Level, Log, LogFormat, Metrics, Network, Presence, PresenceMode, Scrape,
    Settings, State, Timeouts, Web,
};
use ringcentral_exporter::reload::Reloader;
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::{JournalEntry, Operation, Scenario, Simulator};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::common::MAX_WAIT;
use crate::common::oracle;
pub use crate::common::scrape_response::ScrapeResponse;

/// A running exporter and its simulated account.
pub struct TestExporter {
    pub simulator: Simulator,
    pub url: String,
    pub http: reqwest::Client,
    pub task: JoinHandle<anyhow::Result<()>>,
    pub shutdown: Option<oneshot::Sender<()>>,
}

/// Binds a listener to a free port of 127.0.0.1.
pub async fn bind_loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Returns the default settings, with a login back-off that is short enough to wait for.
pub fn default_settings() -> Settings {
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
            extension_presence: false,
            max_extensions: 10_000,
        },
        presence: Presence { audit: None },
        state: State::default(),
        log: Log {
            level: tracing::Level::DEBUG,
            format: LogFormat::Logfmt,
        },
        timeouts: Timeouts {
            login_backoff_min: Duration::from_millis(500),
            ..Timeouts::default()
        },
        network: Network::default(),
    }
}

/// Returns the configuration of the simulated account.
pub fn account_config(simulator: &Simulator) -> Account {
    let secret = |text: &str| SecretSource::Value(SecretString::from(text));
    Account {
        name: "default".to_owned(),
        server: simulator.url().parse().unwrap(),
        client_id: simulator.client_id(),
        client_secret: secret(&simulator.client_secret()),
        jwt: secret(&simulator.jwt()),
        account_id: "~".to_owned(),
        level: Level::Account,
        presence: PresenceMode::Off,
        concurrent_calls_limit: None,
        ca: None,
    }
}

/// Returns the default configuration with a simulated account.
pub fn config(simulator: &Simulator) -> Config {
    Config {
        accounts: vec![account_config(simulator)],
        accounts_file: None,
        settings: default_settings(),
    }
}

/// An exporter that runs in this process.
pub struct Running {
    pub url: String,
    pub task: JoinHandle<anyhow::Result<()>>,
    pub shutdown: oneshot::Sender<()>,
}

/// Runs an exporter.
pub async fn run(config: Config) -> Running {
    let listener = bind_loopback().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (shutdown, shutdown_requested) = oneshot::channel();
    let reloader = Arc::new(Reloader::new(&config.settings, None).unwrap());
    let exporter = ringcentral_exporter::run(config, reloader, vec![listener], async {
        drop(shutdown_requested.await)
    });
    Running {
        url,
        task: tokio::spawn(exporter),
        shutdown,
    }
}

/// Waits until a simulated account has received this number of requests of an operation.
pub async fn wait_for_requests(simulator: &Simulator, operation: Operation, count: usize) {
    let is_operation = |entry: &JournalEntry| entry.operation == Some(operation);
    let received = || simulator.journal().into_iter().filter(is_operation).count();
    let poll = async {
        while received() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(MAX_WAIT, poll)
        .await
        .expect("the account receives the request");
}

impl TestExporter {
    /// Starts an exporter with the default settings and a simulated account.
    pub async fn start(scenario: Scenario) -> Self {
        Self::start_with(scenario, |_| {}).await
    }

    /// Starts an exporter whose configuration `change` modifies, and a simulated account.
    pub async fn start_with(scenario: Scenario, change: impl FnOnce(&mut Config)) -> Self {
        let simulator = Simulator::start(bind_loopback().await, scenario, 1).unwrap();
        Self::start_for_simulator(simulator, change).await
    }

    /// Starts an exporter for a simulated account that is running already.
    pub async fn start_for_simulator(
        simulator: Simulator,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config(&simulator);
        change(&mut config);
        let process = run(config).await;
        let http = crate::common::http();
        Self {
            simulator,
            url: process.url,
            http,
            task: process.task,
            shutdown: Some(process.shutdown),
        }
    }

    /// Scrapes with the longest timeout, so that the scrape waits for its fetch on a slow machine, too.
    pub async fn scrape(&self) -> ScrapeResponse {
        self.scrape_with_timeout("60").await
    }

    /// Scrapes with a timeout header of this many seconds.
    pub async fn scrape_with_timeout(&self, seconds: &str) -> ScrapeResponse {
        self.get(
            "/metrics",
            &[("X-Prometheus-Scrape-Timeout-Seconds", seconds)],
        )
        .await
    }

    /// Sends a GET request with these headers and reads the response.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> ScrapeResponse {
        ScrapeResponse::get(&self.http, &format!("{}{path}", self.url), headers).await
    }

    /// Sends these bytes on a new connection and returns the head and the body of the response.
    pub async fn send_raw(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let end_of_head = response
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap()
            + 4;
        let body = response.split_off(end_of_head);
        (String::from_utf8(response).unwrap(), body)
    }

    /// Opens a connection to the exporter.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("http://").unwrap())
            .await
            .unwrap()
    }

    /// Waits until the account has received this number of requests of an operation.
    pub async fn wait_for_requests(&self, operation: Operation, count: usize) {
        wait_for_requests(&self.simulator, operation, count).await;
    }

    /// Returns whether the latest request of an operation is not answered yet.
    pub fn has_pending_request(&self, operation: Operation) -> bool {
        let requests = self.requests(operation);
        requests
            .last()
            .is_some_and(|entry| entry.answered_ms.is_none())
    }

    /// Returns the time of the account in Unix seconds.
    pub fn now_seconds(&self) -> f64 {
        self.simulator.now() as f64 / 1000.0
    }

    /// Scrapes until a fetch has succeeded, for at most `max_wait`.
    pub async fn wait_until_up(&self, max_wait: Duration) -> ScrapeResponse {
        let deadline = Instant::now() + max_wait;
        loop {
            let response = self.scrape().await;
            if response.up() == 1.0 {
                return response;
            }
            assert!(
                Instant::now() < deadline,
                "no recovery within {max_wait:?}: {}",
                response.text
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the samples that the call families must contain now. The account's clock must be
    /// stopped.
    pub async fn expected_samples(&self) -> BTreeMap<String, f64> {
        oracle::expected_samples(&self.simulator, "default").await
    }

    /// Returns the extension numbers of the account by extension id.
    pub fn extension_numbers(&self) -> oracle::ExtensionNumbers {
        oracle::extension_numbers(&self.simulator)
    }

    /// Returns the requests of an operation that the simulated account received.
    pub fn requests(&self, operation: Operation) -> Vec<JournalEntry> {
        let journal = self.simulator.journal().into_iter();
        journal
            .filter(|entry| entry.operation == Some(operation))
            .collect()
    }

    /// Counts the requests of an operation that the simulated account received.
    pub fn count_requests(&self, operation: Operation) -> usize {
        self.requests(operation).len()
    }

    /// Requests a shutdown and waits until the exporter has stopped.
    pub async fn stop(&mut self) {
        let _ = self.shutdown.take().unwrap().send(());
        (&mut self.task).await.unwrap().unwrap();
    }
}

impl ScrapeResponse {
    /// Returns `ringcentral_up` of the account `default`.
    #[track_caller]
    pub fn up(&self) -> f64 {
        self.value("ringcentral_up{account=\"default\"}")
    }

    /// Returns the failed requests of an operation of the account `default`.
    #[track_caller]
    pub fn failures(&self, operation: &str, reason: &str) -> f64 {
        let labels =
            format!("{{account=\"default\",operation=\"{operation}\",reason=\"{reason}\"}}");
        self.value(&format!("ringcentral_api_request_failures_total{labels}"))
    }

    /// Returns the Unix time in seconds from which the account `default` may be fetched again.
    #[track_caller]
    pub fn next_fetch(&self) -> f64 {
        self.value("ringcentral_next_fetch_timestamp_seconds{account=\"default\"}")
    }

    /// Returns the Unix time in seconds until which an operation of the account `default` is
    /// blocked, or 0.
    #[track_caller]
    pub fn blocked_until(&self, operation: &str) -> f64 {
        let labels = format!("{{account=\"default\",operation=\"{operation}\"}}");
        self.value(&format!(
            "ringcentral_api_blocked_until_timestamp_seconds{labels}"
        ))
    }
}

/// Returns a pipe that is full, so that writing to it blocks while it is not read.
pub fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    use std::io::Write;

    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}
