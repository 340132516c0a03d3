//! The program, its limits, and clients that choose their address and every byte that they send.

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

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};

pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
pub const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What systemd gives a service, unless its unit says otherwise.
const DESCRIPTORS: &str = "1024";
pub const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const MIB: f64 = 1024.0 * 1024.0;
/// 1,050 connections, some files, and the account's own.
const MOST_DESCRIPTORS: f64 = 1_080.0;
/// hyper keeps 16 KiB for a connection that says nothing, and 24 more for a head that is not finished: 41 MiB for 1,050. The
/// container may have 64, of which 15 are there at rest.
const MOST_MIB: f64 = 44.0;

/// A running program beside a simulated account.
pub struct Stage {
    pub address: SocketAddr,
    pub simulator: Simulator,
    tls: Option<TlsConnector>,
    _program: ExporterProcess,
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What came back, and how long it took from before the connection to its end.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: String,
    pub elapsed: Duration,
}

impl Stage {
    pub async fn start() -> Self {
        Self::with(&[], None).await
    }

    /// With TLS, and a certificate that vouches for itself.
    pub async fn with_tls() -> Self {
        let (folder, tls) = web_configuration();
        let file = folder.path().join("web.yml");
        Self::with(&["--web.config.file", file.to_str().unwrap()], Some(tls)).await
    }

    async fn with(flags: &[&str], tls: Option<TlsConnector>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, Scenario::normal(), 1).unwrap();
        let all = [&["--web.listen-address", "127.0.0.1:0"], flags].concat();
        let mut program = ExporterProcess::start(limited(&command_for_simulator(&simulator, &all)));
        let address = program
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
            _program: program,
        }
    }

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

    /// Sends this on a new connection, and reads to the end; at most for ten seconds.
    pub async fn ask(&self, from: Ipv4Addr, request: &[u8]) -> Answer {
        self.ask_after(Duration::ZERO, from, request).await
    }

    /// The same by somebody who is slow to speak.
    pub async fn ask_after(&self, pause: Duration, from: Ipv4Addr, request: &[u8]) -> Answer {
        let started = Instant::now();
        let asked = async {
            let mut stream = self.connect(from).await.expect("a connection");
            sleep(pause).await;
            stream.write_all(request).await.expect("the request leaves");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("an answer");
            String::from_utf8(bytes).unwrap()
        };
        let text = timeout(Duration::from_secs(10), asked)
            .await
            .expect("an answer within ten seconds");
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        Answer {
            head: head.to_owned(),
            body: body.to_owned(),
            elapsed: started.elapsed(),
        }
    }

    pub async fn scrape(&self, from: Ipv4Addr) -> Answer {
        self.ask(from, SCRAPE.as_bytes()).await
    }

    /// Scrapes a few times, from both addresses, a second apart; prints the longest, and the most memory and descriptors.
    pub async fn is_well(&self, flood: &str, memory_before: f64) {
        let (mut slowest, mut memory, mut descriptors) = ([0.0_f64; 2], 0.0_f64, 0.0_f64);
        for _ in 0..3 {
            for (place, from) in [HONEST, ATTACKER].into_iter().enumerate() {
                let answer = self.scrape(from).await;
                answer.is_right();
                slowest[place] = slowest[place].max(answer.elapsed.as_secs_f64());
                memory = memory.max(answer.value("process_resident_memory_bytes"));
                descriptors = descriptors.max(answer.value("process_open_fds"));
            }
            sleep(Duration::from_millis(500)).await;
        }
        let grown = (memory - memory_before) / MIB;
        println!(
            "{flood}: slowest {slowest:.3?} s, {grown:.1} MiB more, {descriptors} descriptors"
        );
        assert!(
            slowest.iter().all(|seconds| *seconds < 3.0),
            "elsewhere and from the same address: {slowest:?}"
        );
        assert!(descriptors < MOST_DESCRIPTORS, "{descriptors}");
        assert!(grown < MOST_MIB, "{grown}");
    }

    pub async fn memory(&self) -> f64 {
        self.scrape(HONEST)
            .await
            .value("process_resident_memory_bytes")
    }
}

impl Answer {
    pub fn is(&self, status: u16) -> bool {
        self.head.starts_with(&format!("HTTP/1.1 {status} "))
    }

    /// A whole scrape of an account that is well.
    #[track_caller]
    pub fn is_right(&self) {
        assert!(self.is(200), "{}", self.head);
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

pub async fn connect(to: SocketAddr, from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// The same program with this soft limit of descriptors.
fn limited(command: &Command) -> Command {
    let plain = command.as_std();
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--nofile={DESCRIPTORS}:"))
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

/// A folder with `web.yml` and what it names, and a client that believes it.
fn web_configuration() -> (TempDir, TlsConnector) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("server.crt", &own.cert.pem());
    write("server.key", &own.signing_key.serialize_pem());
    write(
        "web.yml",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n",
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (folder, TlsConnector::from(Arc::new(client)))
}
