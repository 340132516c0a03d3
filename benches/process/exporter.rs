//! The exporter's process, and what its `process_*` series report.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Client;
use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::simulator::Simulator;

pub const BINARY: &str = env!("CARGO_BIN_EXE_ringcentral-exporter");

/// A running exporter; dropping it kills the process.
pub struct Exporter {
    pub url: String,
    child: Child,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    /// Starts an exporter for one account and waits until it listens.
    pub fn of(simulator: &Simulator) -> Self {
        let mut command = command();
        command
            .env("RC_SERVER_URL", simulator.url())
            .env("RC_CLIENT_ID", simulator.client_id())
            .env("RC_CLIENT_SECRET", simulator.client_secret())
            .env("RC_JWT", simulator.jwt());
        Self::start(command)
    }

    /// Starts an exporter for the accounts of a file.
    pub fn of_file(file: &Path) -> Self {
        let mut command = command();
        command.arg("--config.file").arg(file);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        // The log is read to the end, since a full pipe would block the exporter.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let address = line
            .split("address=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        Self {
            url: format!("http://{address}"),
            child,
        }
    }

    pub async fn scrape(&self, http: &Client) -> String {
        get(http.clone(), format!("{}/metrics", self.url)).await
    }

    /// Returns a value from `/-/metrics`, which causes no fetch.
    pub async fn cpu_seconds(&self, http: &Client) -> f64 {
        self.own(http, "process_cpu_seconds_total").await
    }

    /// Returns a value from `/-/metrics`, which causes no fetch.
    pub async fn resident_mib(&self, http: &Client) -> f64 {
        self.own(http, "process_resident_memory_bytes").await / 1024.0 / 1024.0
    }

    async fn own(&self, http: &Client, series: &str) -> f64 {
        value(
            &get(http.clone(), format!("{}/-/metrics", self.url)).await,
            series,
        )
    }
}

/// Returns the value of the first series with this prefix.
pub fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

pub fn http() -> Client {
    http_client(&"http://127.0.0.1".parse().unwrap(), None).unwrap()
}

pub async fn get(http: Client, url: String) -> String {
    http.get(url)
        .header("Accept-Encoding", "identity")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

fn command() -> Command {
    let mut command = Command::new(BINARY);
    command.args([
        "--web.listen-address=127.0.0.1:0",
        "--scrape.min-interval=1ms",
    ]);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}
