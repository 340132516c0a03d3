//! The accounts of a configuration file, their simulated companies, and the program that serves them.
//!
//! Owns: what is written to the file and beside it. What should come of it is for the tests to say.

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
use tokio::time::sleep;

use crate::common::exporter_process::{ExporterProcess, command};
use crate::common::oracle;
use crate::common::scrape_response::ScrapeResponse;

const TIMEOUT: &str = "X-Prometheus-Scrape-Timeout-Seconds";
/// For whatever comes without our waiting for it, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// An account of the file.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub simulator: Arc<Simulator>,
    /// What its secret files hold.
    pub secret: String,
    pub jwt: String,
    /// Where they are, below the folder of the file.
    pub files: String,
    /// Further keys: `, level: extension`.
    pub more: String,
}

/// A program and its accounts, in the order of the file.
pub struct Fleet {
    pub members: Vec<Member>,
    pub program: ExporterProcess,
    pub url: String,
    pub http: reqwest::Client,
    folder: TempDir,
}

/// Limits under which every scrape may fetch, and every reload log in.
pub fn unlimited() -> Limits {
    let many = |limit: Limit| Limit {
        requests: 1_000_000,
        ..limit
    };
    let limits = Limits::default();
    Limits {
        light: many(limits.light),
        medium: many(limits.medium),
        heavy: many(limits.heavy),
        auth: many(limits.auth),
    }
}

/// A company of this place in a row: no two have the same size, calls or people.
pub fn company(place: usize) -> Scenario {
    Scenario {
        extensions: 15 + 3 * place,
        calls_per_minute: 3.0 + place as f64 / 10.0,
        limits: unlimited(),
        ..Scenario::normal()
    }
}

/// Writes the file and the secrets of its accounts.
pub fn write(folder: &Path, members: &[Member]) -> PathBuf {
    let mut text = "accounts:\n".to_owned();
    for member in members {
        std::fs::create_dir_all(folder.join(&member.files)).unwrap();
        put(&folder.join(&member.files).join("secret"), &member.secret);
        put(&folder.join(&member.files).join("jwt"), &member.jwt);
        text.push_str(&member.entry());
    }
    let file = folder.join("accounts.yml");
    put(&file, &text);
    file
}

/// Exchanges a file whole: a login under way may read it now.
fn put(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Waits until it is so.
pub async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, wait)
        .await
        .unwrap_or_else(|_| panic!("it never came to that: {what}"));
}

// === impl Member ===

impl Member {
    pub async fn new(name: &str, scenario: Scenario, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::of(
            name,
            Arc::new(Simulator::start(listener, scenario, seed).unwrap()),
        )
    }

    /// An account by the newest JWT of its user.
    pub fn of(name: &str, simulator: Arc<Simulator>) -> Self {
        let (secret, jwt) = (simulator.client_secret(), simulator.jwt());
        Self {
            name: name.to_owned(),
            simulator,
            secret,
            jwt,
            files: name.to_owned(),
            more: String::new(),
        }
    }

    /// Companies of these names, each another one.
    pub async fn several(names: &[&str], scenario: impl Fn(usize) -> Scenario) -> Vec<Self> {
        let mut members = Vec::new();
        for (place, name) in names.iter().enumerate() {
            members.push(Self::new(name, scenario(place), place as u64 + 1).await);
        }
        members
    }

    fn entry(&self) -> String {
        let Self {
            name, files, more, ..
        } = self;
        let (url, id) = (self.simulator.url(), self.simulator.client_id());
        let secrets = format!("client_secret_file: {files}/secret, jwt_file: {files}/jwt");
        format!("- {{name: {name}, server_url: \"{url}\", client_id: {id}, {secrets}{more}}}\n")
    }

    pub fn inject(&self, fault: Fault) {
        self.simulator.inject(fault);
    }

    /// The requests that its API saw.
    pub fn requests(&self, operation: Operation) -> Vec<JournalEntry> {
        let journal = self.simulator.journal().into_iter();
        journal
            .filter(|entry| entry.operation == Some(operation))
            .collect()
    }

    pub fn count(&self, operation: Operation) -> usize {
        self.requests(operation).len()
    }

    /// Whether nothing was asked of it.
    pub fn is_untouched(&self) -> bool {
        self.simulator.journal().is_empty()
    }

    /// What the families about its calls must hold now, while its clock stands.
    pub async fn truth(&self) -> BTreeMap<String, f64> {
        oracle::of(&self.simulator, &self.name).await
    }
}

// === impl Fleet ===

impl Fleet {
    pub async fn start(members: Vec<Member>) -> Self {
        Self::with(members, &[]).await
    }

    /// With these flags besides.
    pub async fn with(members: Vec<Member>, flags: &[&str]) -> Self {
        Self::within(tempfile::tempdir().unwrap(), members, flags).await
    }

    /// In a folder that has other files already.
    pub async fn within(folder: TempDir, members: Vec<Member>, flags: &[&str]) -> Self {
        let file = write(folder.path(), &members);
        let own = [
            "--config.file",
            file.to_str().unwrap(),
            "--web.listen-address",
            "127.0.0.1:0",
        ];
        let mut program = ExporterProcess::start(command(&[own.as_slice(), flags].concat()));
        let url = program.url().await;
        Self {
            members,
            program,
            url,
            http: crate::common::http(),
            folder,
        }
    }

    /// The account of this name.
    pub fn member(&self, name: &str) -> &Member {
        self.members
            .iter()
            .find(|member| member.name == name)
            .unwrap()
    }

    pub fn member_mut(&mut self, name: &str) -> &mut Member {
        self.members
            .iter_mut()
            .find(|member| member.name == name)
            .unwrap()
    }

    /// Takes an account out of the file that is written next.
    pub fn remove(&mut self, name: &str) -> Member {
        let place = self
            .members
            .iter()
            .position(|member| member.name == name)
            .unwrap();
        self.members.remove(place)
    }

    /// Writes the file anew, for the accounts that there are now.
    pub fn write(&self) {
        write(self.folder.path(), &self.members);
    }

    /// The place of something beside the file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file itself.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("accounts.yml")
    }

    /// Has the program read the file anew, for the accounts that there are now; gives the line that it logged.
    pub async fn reload(&mut self) -> String {
        self.write();
        self.program.signal("HUP").await;
        self.program.logs("configuration reloaded").await
    }

    /// The same with this text for a file, which must not be taken.
    pub async fn refuses(&mut self, text: &str) -> String {
        std::fs::write(self.file(), text).unwrap();
        self.program.signal("HUP").await;
        self.program.logs("configuration reload failed").await
    }

    pub async fn scrape(&self) -> ScrapeResponse {
        self.get("/metrics").await
    }

    /// A scrape that Prometheus would wait for so many seconds.
    pub async fn scrape_within(&self, seconds: u32) -> ScrapeResponse {
        self.scraping("/metrics", seconds).await.unwrap()
    }

    /// The same, under way.
    pub fn scraping(&self, path: &str, seconds: u32) -> JoinHandle<ScrapeResponse> {
        let (http, url) = (self.http.clone(), format!("{}{path}", self.url));
        tokio::spawn(async move {
            ScrapeResponse::get(&http, &url, &[(TIMEOUT, &seconds.to_string())]).await
        })
    }

    pub async fn get(&self, path: &str) -> ScrapeResponse {
        ScrapeResponse::get(&self.http, &format!("{}{path}", self.url), &[]).await
    }

    /// Status and body of a request by this method.
    pub async fn request(&self, method: &str, path: &str) -> (u16, String) {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What comes back to a request with these lines for a head.
    pub async fn raw(&self, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap())
            .await
            .unwrap();
        let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    /// Has the program end, and gives its log.
    pub async fn stop(&mut self) -> &str {
        self.program.signal("TERM").await;
        assert!(self.program.ends().await.success());
        &self.program.log
    }

    /// This account was fetched by this scrape, and all is shown as it is.
    pub async fn is_exact(&self, name: &str, scraped: &ScrapeResponse) {
        let truth = self.member(name).truth().await;
        assert_eq!(scraped.calls_of(name), truth, "{name}");
        assert_eq!(up(scraped, name), 1.0, "{name}");
    }
}

#[track_caller]
pub fn up(scraped: &ScrapeResponse, account: &str) -> f64 {
    scraped.value(&format!("ringcentral_up{{account=\"{account}\"}}"))
}

#[track_caller]
pub fn are_up(scraped: &ScrapeResponse, accounts: &[&str]) {
    for account in accounts {
        assert_eq!(
            up(scraped, account),
            1.0,
            "{account}: {:?}",
            failures(scraped, account)
        );
    }
}

/// What has failed so far.
fn failures(scraped: &ScrapeResponse, account: &str) -> BTreeMap<String, f64> {
    let mut samples = scraped.about(account);
    samples.retain(|series, value| {
        series.starts_with("ringcentral_api_request_failures_total{") && *value > 0.0
    });
    samples
}

#[track_caller]
pub fn requests_total(scraped: &ScrapeResponse, account: &str, operation: &str) -> f64 {
    let labels = format!("account=\"{account}\",operation=\"{operation}\"");
    scraped.value(&format!("ringcentral_api_requests_total{{{labels}}}"))
}

#[track_caller]
pub fn blocked_until(scraped: &ScrapeResponse, account: &str, operation: &str) -> f64 {
    let labels = format!("account=\"{account}\",operation=\"{operation}\"");
    scraped.value(&format!(
        "ringcentral_api_blocked_until_timestamp_seconds{{{labels}}}"
    ))
}
