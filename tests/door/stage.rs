//! The program, its limits, and clients that choose their address and every byte that they send.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::common::program::{Program, pointed_at};

pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
pub const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What systemd gives a service, unless its unit says otherwise.
const DESCRIPTORS: &str = "1024";
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const MIB: f64 = 1024.0 * 1024.0;

/// A running program beside a simulated account.
pub struct Stage {
    pub address: SocketAddr,
    pub simulator: Simulator,
    _program: Program,
}

/// What came back, and how long it took from before the connection to its end.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: String,
    pub took: Duration,
}

impl Stage {
    pub async fn start(flags: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, Scenario::normal(), 1).unwrap();
        let all = [&["--web.listen-address", "127.0.0.1:0"], flags].concat();
        let mut program = Program::start(limited(&pointed_at(&simulator, &all)));
        let address = program.url().await.rsplit("//").next().unwrap().parse().unwrap();
        Self { address, simulator, _program: program }
    }

    pub async fn connect(&self, from: Ipv4Addr) -> std::io::Result<TcpStream> {
        connect(self.address, from).await
    }

    /// Sends this at once, from a new connection, and reads to the end; at most for ten seconds.
    pub async fn ask(&self, from: Ipv4Addr, request: &[u8]) -> Answer {
        let started = Instant::now();
        let asked = async {
            let mut stream = self.connect(from).await.expect("a connection");
            stream.write_all(request).await.expect("the request leaves");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("an answer");
            String::from_utf8(bytes).unwrap()
        };
        let text = timeout(Duration::from_secs(10), asked).await.expect("an answer within ten seconds");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        Answer { head: head.to_owned(), body: body.to_owned(), took: started.elapsed() }
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
                slowest[place] = slowest[place].max(answer.took.as_secs_f64());
                memory = memory.max(answer.value("process_resident_memory_bytes"));
                descriptors = descriptors.max(answer.value("process_open_fds"));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let grown = (memory - memory_before) / MIB;
        println!("{flood}: slowest {slowest:.3?} s, {grown:.1} MiB more, {descriptors} descriptors");
        assert!(slowest.iter().all(|seconds| *seconds < 3.0), "elsewhere and from the same address: {slowest:?}");
        assert!(descriptors < MOST_DESCRIPTORS, "{descriptors}");
        assert!(grown < MOST_MIB, "{grown}");
    }

    pub async fn memory(&self) -> f64 {
        self.scrape(HONEST).await.value("process_resident_memory_bytes")
    }
}

/// A thousand and fifty connections, and a few files.
const MOST_DESCRIPTORS: f64 = 1_100.0;
/// A thousand connections, each with a head of 16 KiB that is not finished, are 16 MiB, and as much again is what an
/// allocator may waste. The container's limit is 64 MiB, of which some 15 are there at rest.
const MOST_MIB: f64 = 36.0;

impl Answer {
    pub fn is(&self, status: u16) -> bool {
        self.head.starts_with(&format!("HTTP/1.1 {status} "))
    }

    /// A whole scrape of an account that is well.
    #[track_caller]
    pub fn is_right(&self) {
        assert!(self.is(200), "{}", self.head);
        let length = self.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), self.body.len());
        assert!(self.body.contains("\nringcentral_up{account=\"default\"} 1\n"), "{}", self.body);
    }

    #[track_caller]
    pub fn value(&self, name: &str) -> f64 {
        let line = self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.body)).parse().unwrap()
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
    limited.arg(format!("--nofile={DESCRIPTORS}:")).arg(plain.get_program()).args(plain.get_args()).env_clear();
    limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.stdin(Stdio::null()).kill_on_drop(true);
    limited
}
