//! The exporter's process, and what its `process_*` series report.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Client;
use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::simulator::Simulator;

use crate::simulated::binary;

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
        Self::with_flags(simulator, &[])
    }

    /// Starts an exporter for one account with further flags.
    pub fn with_flags(simulator: &Simulator, flags: &[&str]) -> Self {
        let mut command = command();
        command.args(flags);
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

    /// Returns a size from the status of the process, for example `VmHWM`, the maximum of resident memory.
    pub fn memory_mib(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
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
    String::from_utf8(get_encoded(http, url, "identity").await).unwrap()
}

/// Returns the body as it is sent.
pub async fn get_encoded(http: Client, url: String, encoding: &str) -> Vec<u8> {
    let request = http.get(url).header("Accept-Encoding", encoding);
    let response = request.send().await.unwrap();
    response.bytes().await.unwrap().into()
}

fn command() -> Command {
    let mut command = Command::new(binary());
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
