//! The test harness: an exporter process with `--config.file`, and one simulated account per entry
//! of the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, JournalEntry, Operation, Scenario, Simulator};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::common::MAX_WAIT;
use crate::common::exporter_process::{ExporterProcess, command};
use crate::common::oracle;
use crate::common::scrape_response::ScrapeResponse;

const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";

/// An entry of the configuration file, with its simulated account.
#[derive(Clone)]
pub struct TestAccount {
    pub name: String,
    pub simulator: Arc<Simulator>,
    /// The content of the file `client_secret_file`.
    pub client_secret: String,
    /// The content of the file `jwt_file`.
    pub jwt: String,
    /// The folder of both files, relative to the configuration file.
    pub secrets_dir: String,
    /// Further keys of the entry, such as `, level: extension`.
    pub extra_keys: String,
}

/// A running exporter and its accounts, in the order of the configuration file.
pub struct TestExporter {
    pub accounts: Vec<TestAccount>,
    pub process: ExporterProcess,
    pub url: String,
    pub http: reqwest::Client,
    folder: TempDir,
}

/// Returns rate limits under which each scrape may fetch and each reload may log in.
pub fn unlimited() -> Limits {
    let raise = |limit: Limit| Limit {
        requests: 1_000_000,
        ..limit
    };
    let limits = Limits::default();
    Limits {
        light: raise(limits.light),
        medium: raise(limits.medium),
        heavy: raise(limits.heavy),
        auth: raise(limits.auth),
    }
}

/// Returns the scenario of a simulated company. The number of extensions and of calls depends on
/// `index`.
pub fn company(index: usize) -> Scenario {
    Scenario {
        extensions: 15 + 3 * index,
        calls_per_minute: 3.0 + index as f64 / 10.0,
        limits: unlimited(),
        ..Scenario::normal()
    }
}

/// Writes the configuration file and the secret files of the accounts, and returns the path of the
/// former.
pub fn write_config(folder: &Path, accounts: &[TestAccount]) -> PathBuf {
    let mut text = "accounts:\n".to_owned();
    for account in accounts {
        let secrets_dir = folder.join(&account.secrets_dir);
        std::fs::create_dir_all(&secrets_dir).unwrap();
        replace_file(&secrets_dir.join("secret"), &account.client_secret);
        replace_file(&secrets_dir.join("jwt"), &account.jwt);
        text.push_str(&account.entry());
    }
    let file = folder.join("accounts.yml");
    replace_file(&file, &text);
    file
}

/// Replaces a file atomically, because the exporter can read it for a login at any time.
fn replace_file(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Waits until `condition` holds; panics with `description` after a minute.
pub async fn wait_until(description: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(MAX_WAIT, poll)
        .await
        .unwrap_or_else(|_| panic!("timed out waiting until {description}"));
}

// === impl TestAccount ===

impl TestAccount {
    /// Starts a simulated account for this scenario.
    pub async fn new(name: &str, scenario: Scenario, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, scenario, seed).unwrap();
        Self::from_simulator(name, Arc::new(simulator))
    }

    /// Creates an entry for a simulated account, with the newest JWT of its user.
    pub fn from_simulator(name: &str, simulator: Arc<Simulator>) -> Self {
        Self {
            name: name.to_owned(),
            client_secret: simulator.client_secret(),
            jwt: simulator.jwt(),
            simulator,
            secrets_dir: name.to_owned(),
            extra_keys: String::new(),
        }
    }

    /// Starts a simulated account per name, each with the scenario for its index and a seed of its
    /// own.
    pub async fn start_many<S: AsRef<str>>(
        names: &[S],
        scenario: impl Fn(usize) -> Scenario,
    ) -> Vec<Self> {
        let mut accounts = Vec::new();
        for (index, name) in names.iter().enumerate() {
            accounts.push(Self::new(name.as_ref(), scenario(index), index as u64 + 1).await);
        }
        accounts
    }

    /// Returns the entry of the configuration file.
    fn entry(&self) -> String {
        let Self {
            name,
            secrets_dir,
            extra_keys,
            ..
        } = self;
        let (url, id) = (self.simulator.url(), self.simulator.client_id());
        let secrets =
            format!("client_secret_file: {secrets_dir}/secret, jwt_file: {secrets_dir}/jwt");
        format!(
            "- {{name: {name}, server_url: \"{url}\", client_id: {id}, {secrets}{extra_keys}}}\n"
        )
    }

    /// Adds a fault to the simulated account.
    pub fn inject(&self, fault: Fault) {
        self.simulator.inject(fault);
    }

    /// Returns the requests of an operation that the simulated account received.
    pub fn requests(&self, operation: Operation) -> Vec<JournalEntry> {
        let mut requests = self.simulator.journal();
        requests.retain(|entry| entry.operation == Some(operation));
        requests
    }

    /// Returns the number of requests of an operation.
    pub fn request_count(&self, operation: Operation) -> usize {
        self.requests(operation).len()
    }

    /// Returns whether the simulated account received no request at all.
    pub fn has_no_requests(&self) -> bool {
        self.simulator.journal().is_empty()
    }

    /// Returns whether the latest request is not answered yet.
    pub fn has_pending_request(&self) -> bool {
        match self.simulator.journal().last() {
            Some(entry) => entry.answered_ms.is_none(),
            None => false,
        }
    }

    /// Returns the samples of the call families that an exposition must contain now. The clock has
    /// to stand still.
    pub async fn expected_samples(&self) -> BTreeMap<String, f64> {
        oracle::expected_samples(&self.simulator, &self.name).await
    }
}

// === impl TestExporter ===

impl TestExporter {
    /// Starts an exporter for these accounts.
    pub async fn start(accounts: Vec<TestAccount>) -> Self {
        Self::start_with_flags(accounts, &[]).await
    }

    /// Starts an exporter with further flags.
    pub async fn start_with_flags(accounts: Vec<TestAccount>, flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), accounts, flags).await
    }

    /// Starts an exporter whose configuration file is written to an existing folder.
    pub async fn start_in(folder: TempDir, accounts: Vec<TestAccount>, flags: &[&str]) -> Self {
        let file = write_config(folder.path(), &accounts);
        let required = [
            "--config.file",
            file.to_str().unwrap(),
            "--web.listen-address",
            "127.0.0.1:0",
        ];
        let mut process = ExporterProcess::start(command(&[required.as_slice(), flags].concat()));
        let url = process.wait_for_url().await;
        Self {
            accounts,
            process,
            url,
            http: crate::common::http(),
            folder,
        }
    }

    /// Returns the index of an account.
    fn index(&self, name: &str) -> usize {
        self.accounts
            .iter()
            .position(|account| account.name == name)
            .unwrap()
    }

    /// Returns an account by its name.
    pub fn account(&self, name: &str) -> &TestAccount {
        &self.accounts[self.index(name)]
    }

    /// Returns an account by its name, to change its entry. [`reload`](Self::reload) applies the
    /// change.
    pub fn account_mut(&mut self, name: &str) -> &mut TestAccount {
        let index = self.index(name);
        &mut self.accounts[index]
    }

    /// Removes an account from the entries that are written next.
    pub fn remove(&mut self, name: &str) -> TestAccount {
        self.accounts.remove(self.index(name))
    }

    /// Writes the configuration file for the current accounts.
    pub fn write_config(&self) {
        write_config(self.folder.path(), &self.accounts);
    }

    /// Returns the path of a file in the folder of the configuration file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the path of the configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.path("accounts.yml")
    }

    /// Writes the configuration file for the current accounts, reloads it with SIGHUP and returns
    /// the log line.
    pub async fn reload(&mut self) -> String {
        self.write_config();
        self.process.signal("HUP").await;
        self.process.wait_for_log("configuration reloaded").await
    }

    /// Reloads a configuration file that must be rejected, and returns the log line.
    pub async fn reload_invalid(&mut self, text: &str) -> String {
        std::fs::write(self.config_file(), text).unwrap();
        self.process.signal("HUP").await;
        self.process
            .wait_for_log("configuration reload failed")
            .await
    }

    /// Scrapes all accounts with the longest timeout, so that the scrape waits for all fetches on a slow
    /// machine, too.
    pub async fn scrape(&self) -> ScrapeResponse {
        self.scrape_with_timeout(60).await
    }

    /// Scrapes all accounts with a scrape timeout in seconds.
    pub async fn scrape_with_timeout(&self, timeout: u32) -> ScrapeResponse {
        self.spawn_scrape("/metrics", timeout).await.unwrap()
    }

    /// Starts a scrape in a task, with a scrape timeout in seconds.
    pub fn spawn_scrape(&self, path: &str, timeout: u32) -> JoinHandle<ScrapeResponse> {
        let (http, url) = (self.http.clone(), format!("{}{path}", self.url));
        tokio::spawn(async move {
            let timeout = timeout.to_string();
            ScrapeResponse::get(&http, &url, &[(TIMEOUT_HEADER, &timeout)]).await
        })
    }

    /// Sends a GET request with the longest scrape timeout.
    pub async fn get(&self, path: &str) -> ScrapeResponse {
        self.spawn_scrape(path, 60).await.unwrap()
    }

    /// Sends a request and returns the status and body of the response.
    pub async fn request(&self, method: &str, path: &str) -> (u16, String) {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends a request with these lines as its head and returns the response as text.
    pub async fn send_raw(&self, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap())
            .await
            .unwrap();
        let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    /// Stops the exporter with SIGTERM and returns its log.
    pub async fn stop(&mut self) -> &str {
        self.process.signal("TERM").await;
        assert!(self.process.wait_for_exit().await.success());
        &self.process.log
    }

    /// Asserts that this scrape fetched the account, and that its samples are those of the
    /// simulated account now.
    pub async fn assert_exact(&self, name: &str, scraped: &ScrapeResponse) {
        let expected = self.account(name).expected_samples().await;
        assert_eq!(scraped.account_call_samples(name), expected, "{name}");
        assert_eq!(up(scraped, name), 1.0, "{name}");
    }
}

/// Returns the value of `ringcentral_up` of an account.
#[track_caller]
pub fn up(scraped: &ScrapeResponse, account: &str) -> f64 {
    scraped.value(&format!("ringcentral_up{{account=\"{account}\"}}"))
}

/// Asserts that the latest fetch of each of these accounts succeeded.
#[track_caller]
pub fn assert_up<S: AsRef<str>>(scraped: &ScrapeResponse, accounts: &[S]) {
    for account in accounts {
        let account = account.as_ref();
        let failures = request_failures(scraped, account);
        assert_eq!(up(scraped, account), 1.0, "{account}: {failures:?}");
    }
}

/// Returns the counters of failed API requests that are above zero.
fn request_failures(scraped: &ScrapeResponse, account: &str) -> BTreeMap<String, f64> {
    let mut samples = scraped.account_samples(account);
    samples.retain(|series, value| {
        series.starts_with("ringcentral_api_request_failures_total{") && *value > 0.0
    });
    samples
}

/// Returns the number of API requests that the exporter counted for an operation.
#[track_caller]
pub fn requests_total(scraped: &ScrapeResponse, account: &str, operation: &str) -> f64 {
    let labels = format!("account=\"{account}\",operation=\"{operation}\"");
    scraped.value(&format!("ringcentral_api_requests_total{{{labels}}}"))
}

/// Returns the time until which the exporter sends no requests of an operation, in Unix seconds.
#[track_caller]
pub fn blocked_until(scraped: &ScrapeResponse, account: &str, operation: &str) -> f64 {
    let labels = format!("account=\"{account}\",operation=\"{operation}\"");
    scraped.value(&format!(
        "ringcentral_api_blocked_until_timestamp_seconds{{{labels}}}"
    ))
}
