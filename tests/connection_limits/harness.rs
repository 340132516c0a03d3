//! The test harness: an exporter process with a descriptor limit, and clients that choose their
//! address and their bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::common::MAX_WAIT;
use crate::common::exporter_process::{ExporterProcess, command_for_simulator};

/// The address of floods.
pub const FLOOD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// The address of a client that takes no part in a flood.
pub const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The descriptor limit that systemd sets by default.
const DESCRIPTOR_LIMIT: &str = "1024";
pub const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/// The number of connections until one must not be evicted.
const MAX_ATTEMPTS: usize = 4;
const MIB: f64 = 1024.0 * 1024.0;
/// 1,050 connections, the files of the exporter and the connections to RingCentral.
const MAX_DESCRIPTORS: f64 = 1_080.0;
/// hyper allocates 16 KiB for an idle connection and 24 KiB more for an incomplete head: 41 MiB for
/// 1,050 connections. The memory limit of the container is 64 MiB, of which 15 MiB are in use
/// without connections.
const MAX_GROWTH_MIB: f64 = 44.0;

/// A running exporter and its simulated account.
pub struct TestExporter {
    pub address: SocketAddr,
    pub simulator: Simulator,
    tls: Option<TlsConnector>,
    process: ExporterProcess,
}

/// A connection with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A response to a raw request.
#[derive(Debug)]
pub struct Response {
    pub head: String,
    pub body: String,
    /// The time from before the connection is opened until it is closed.
    pub elapsed: Duration,
}

impl TestExporter {
    /// Starts an exporter without TLS.
    pub async fn start() -> Self {
        Self::start_with(&[], None).await
    }

    /// Starts an exporter that fetches once a minute.
    pub async fn start_with_long_interval() -> Self {
        Self::start_with(&["--scrape.min-interval=60s"], None).await
    }

    /// Starts an exporter with TLS and a self-signed certificate.
    pub async fn start_with_tls() -> Self {
        Self::start_account(Scenario::normal(), &[], true).await
    }

    /// Starts an exporter of this account, with TLS if `tls`.
    pub async fn start_account(account: Scenario, flags: &[&str], tls: bool) -> Self {
        if !tls {
            return Self::start_scenario(account, flags, None).await;
        }
        let (folder, tls) = create_web_config();
        let file = folder.path().join("web.yml");
        let flags = [flags, &["--web.config.file", file.to_str().unwrap()]].concat();
        Self::start_scenario(account, &flags, Some(tls)).await
    }

    async fn start_with(flags: &[&str], tls: Option<TlsConnector>) -> Self {
        Self::start_scenario(Scenario::normal(), flags, tls).await
    }

    async fn start_scenario(account: Scenario, flags: &[&str], tls: Option<TlsConnector>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, account, 1).unwrap();
        let flags = [&["--web.listen-address", "127.0.0.1:0"], flags].concat();
        let mut process = ExporterProcess::start(with_descriptor_limit(&command_for_simulator(
            &simulator, &flags,
        )));
        let address = process
            .wait_for_url()
            .await
            .rsplit("//")
            .next()
            .unwrap()
            .parse()
            .unwrap();
        Self {
            address,
            simulator,
            tls,
            process,
        }
    }

    /// Opens a connection from this address, with TLS if the exporter has it.
    pub async fn connect(&self, from: Ipv4Addr) -> std::io::Result<Box<dyn Stream>> {
        let stream = connect(self.address, from).await?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        Ok(Box::new(
            tls.connect(ServerName::try_from("localhost").unwrap(), stream)
                .await?,
        ))
    }

    /// Sends a request on a new connection and reads the response to its end, for at most a minute.
    pub async fn send(&self, from: Ipv4Addr, request: &[u8]) -> Response {
        let response = self.try_send(from, request).await;
        response.expect("the connection failed")
    }

    /// Sends a request like [`send`](Self::send).
    async fn try_send(&self, from: Ipv4Addr, request: &[u8]) -> std::io::Result<Response> {
        let started = Instant::now();
        let exchange = async {
            let mut stream = self.connect(from).await?;
            stream.write_all(request).await?;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await?;
            std::io::Result::Ok(String::from_utf8(bytes).unwrap())
        };
        let text = timeout(MAX_WAIT, exchange).await.expect("no response")?;
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("not a response: {text:?}"));
        Ok(Response {
            head: head.to_owned(),
            body: body.to_owned(),
            elapsed: started.elapsed(),
        })
    }

    /// Scrapes from this address.
    pub async fn scrape(&self, from: Ipv4Addr) -> Response {
        self.send(from, SCRAPE.as_bytes()).await
    }

    /// Scrapes from this address during a flood. On a busy machine the request can arrive more than 100 ms
    /// after the connection, which the exporter may then evict.
    async fn scrape_in_flood(&self, from: Ipv4Addr) -> Response {
        for _ in 1..MAX_ATTEMPTS {
            if let Ok(response) = self.try_send(from, SCRAPE.as_bytes()).await {
                return response;
            }
        }
        self.scrape(from).await
    }

    /// Scrapes three times from both addresses, during a flood that does not end: the exporter serves
    /// scrapes and the flood concurrently. Asserts and prints the most memory and descriptors.
    pub async fn assert_scrapes_work(&self, flood: &str, memory_before: f64) {
        let (mut slowest, mut memory, mut descriptors) = ([0.0_f64; 2], 0.0_f64, 0.0_f64);
        for _ in 0..3 {
            for (place, from) in [OTHER_ADDRESS, FLOOD_ADDRESS].into_iter().enumerate() {
                let response = self.scrape_in_flood(from).await;
                response.assert_up();
                slowest[place] = slowest[place].max(response.elapsed.as_secs_f64());
                memory = memory.max(response.value("process_resident_memory_bytes"));
                descriptors = descriptors.max(response.value("process_open_fds"));
            }
            sleep(Duration::from_millis(500)).await;
        }
        let growth = (memory - memory_before) / MIB;
        println!(
            "{flood}: slowest {slowest:.3?} s, {growth:.1} MiB more, {descriptors} descriptors"
        );
        assert!(descriptors < MAX_DESCRIPTORS, "{descriptors}");
        assert!(growth < MAX_GROWTH_MIB, "{growth}");
    }

    /// Returns the resident memory in KiB, without a request.
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse().unwrap()
    }

    /// Returns the resident memory in bytes.
    pub async fn memory(&self) -> f64 {
        self.scrape(OTHER_ADDRESS)
            .await
            .value("process_resident_memory_bytes")
    }
}

impl Response {
    /// Returns whether the response has this status.
    pub fn has_status(&self, status: u16) -> bool {
        self.head.starts_with(&format!("HTTP/1.1 {status} "))
    }

    /// Asserts that the response is a complete scrape with `up` 1.
    #[track_caller]
    pub fn assert_up(&self) {
        assert!(self.has_status(200), "{}", self.head);
        let length = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), self.body.len());
        assert!(
            self.body
                .contains("\nringcentral_up{account=\"default\"} 1\n"),
            "{}",
            self.body
        );
    }

    /// Returns the value of a series without labels.
    #[track_caller]
    pub fn value(&self, name: &str) -> f64 {
        let line = self
            .body
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.body))
            .parse()
            .unwrap()
    }
}

/// Opens a TCP connection from an address of loopback.
pub async fn connect(to: SocketAddr, from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Returns the command with the soft descriptor limit [`DESCRIPTOR_LIMIT`].
fn with_descriptor_limit(command: &Command) -> Command {
    let plain = command.as_std();
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--nofile={DESCRIPTOR_LIMIT}:"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear();
    limited.envs(
        plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    limited.stdin(Stdio::null()).kill_on_drop(true);
    limited
}

/// Creates a folder with `web.yml` and a self-signed certificate, and a client that trusts the
/// certificate.
fn create_web_config() -> (TempDir, TlsConnector) {
    let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write_file =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write_file("server.crt", &server.cert.pem());
    write_file("server.key", &server.signing_key.serialize_pem());
    write_file(
        "web.yml",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n",
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(server.cert.der().clone()).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (folder, TlsConnector::from(Arc::new(client)))
}
