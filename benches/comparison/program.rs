//! The compared exporters: how each is started, and its size on disk.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use ringcentral_exporter::simulator::Simulator;
use tokio::time::{sleep, timeout};

use crate::simulated::binary;

/// Prometheus' default scrape timeout.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
pub enum Language {
    Rust,
    Python,
    JavaScript,
}

/// An exporter program and its arguments.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub language: Language,
    pub arguments: &'static [&'static str],
    pub variables: &'static [(&'static str, &'static str)],
}

pub const OURS: Program = plain("ringcentral-exporter", Language::Rust);
pub const PYTHON: Program = plain("Python", Language::Python);
pub const JAVASCRIPT: Program = plain("JavaScript", Language::JavaScript);

const fn plain(name: &'static str, language: Language) -> Program {
    Program {
        name,
        language,
        arguments: &[],
        variables: &[],
    }
}

/// A running exporter; dropping it kills the process.
pub struct Exporter {
    url: String,
    child: Child,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts the exporter for an account, without waiting until it listens.
    pub fn start(self, account: &Simulator) -> Exporter {
        let port = free_port();
        let mut command = self.command(port);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("NODE_PATH", self.installed().join("node_modules"))
            .env("PORT", port.to_string())
            .env("RC_SERVER_URL", account.url())
            .env("RC_CLIENT_ID", account.client_id())
            .env("RC_CLIENT_SECRET", account.client_secret())
            .env("RC_JWT", account.jwt())
            .envs(self.variables.iter().copied())
            .args(self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Exporter {
            url: format!("http://127.0.0.1:{port}/metrics"),
            child: command.spawn().unwrap(),
        }
    }

    fn command(self, port: u16) -> Command {
        let (mut command, argument) = match self.language {
            Language::Rust => (
                Command::new(binary()),
                format!("--web.listen-address=127.0.0.1:{port}").into(),
            ),
            Language::Python => (
                Command::new(self.installed().join("bin/python")),
                self.sources("exporter.py"),
            ),
            Language::JavaScript => (Command::new("node"), self.sources("exporter.js")),
        };
        self.insist_on_libraries();
        command.arg(argument);
        command
    }

    /// Returns the size of the program and its libraries, without the interpreter.
    pub fn mebibytes_on_disk(self) -> f64 {
        let bytes = match self.language {
            Language::Rust => size(Path::new(&binary())),
            Language::Python => size(&self.installed().join("lib")) - self.tools_of_installation(),
            Language::JavaScript => size(&self.installed().join("node_modules")),
        };
        bytes as f64 / 1024.0 / 1024.0
    }

    /// Packages that are only needed to install others; an image does not need them.
    fn tools_of_installation(self) -> u64 {
        let packages = self
            .installed()
            .join("lib")
            .read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let entries = packages
            .join("site-packages")
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap());
        let tools = [
            "pip",
            "setuptools",
            "pkg_resources",
            "_distutils_hack",
            "distutils",
        ];
        let is_tool = |name: &str| tools.iter().any(|tool| name.starts_with(tool));
        entries
            .filter(|entry| is_tool(&entry.file_name().to_string_lossy()))
            .map(|entry| size(&entry.path()))
            .sum()
    }

    /// Checks that the installed libraries have the locked versions.
    fn insist_on_libraries(self) {
        let asked_for = match self.language {
            Language::Rust => return,
            Language::Python => self.sources("requirements.txt"),
            Language::JavaScript => self.sources("package-lock.json"),
        };
        let installed = fs::read(self.installed().join("installed"));
        let agrees = installed.is_ok_and(|installed| installed == fs::read(asked_for).unwrap());
        assert!(
            agrees,
            "the libraries of {} are not installed as asked for: `make comparison-deps` does it",
            self.name
        );
    }

    fn sources(self, file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benches/comparison")
            .join(self.directory())
            .join(file)
    }

    /// Returns the folder in which the Makefile installs the libraries and their lock file.
    fn installed(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(".cache/comparison")
            .join(self.directory())
    }

    fn directory(self) -> &'static str {
        match self.language {
            Language::Rust => "",
            Language::Python => "python",
            Language::JavaScript => "javascript",
        }
    }
}

impl Exporter {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Scrapes without gzip; `None` if the response fails or is late.
    pub async fn scrape(&self, http: &Client) -> Option<String> {
        let request = http.get(&self.url).header("Accept-Encoding", "identity");
        let request = request
            .header(
                "X-Prometheus-Scrape-Timeout-Seconds",
                SCRAPE_TIMEOUT.as_secs(),
            )
            .timeout(SCRAPE_TIMEOUT);
        request
            .send()
            .await
            .ok()?
            .error_for_status()
            .ok()?
            .text()
            .await
            .ok()
    }

    /// Waits until the exporter shows the account's calls.
    pub async fn first_scrape(&self, http: &Client) -> String {
        let scrapes = async {
            loop {
                match self.scrape(http).await {
                    Some(text) if is_up(&text) => return text,
                    _ => sleep(Duration::from_millis(1)).await,
                }
            }
        };
        timeout(SCRAPE_TIMEOUT, scrapes)
            .await
            .expect("it shows calls soon after its start")
    }
}

pub fn is_up(text: &str) -> bool {
    text.lines().any(|line| {
        line.starts_with("ringcentral_up") && matches!(line.rsplit(' ').next(), Some("1" | "1.0"))
    })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Returns the size of a file, or of all files below a directory.
fn size(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.len();
    }
    path.read_dir()
        .unwrap()
        .map(|entry| size(&entry.unwrap().path()))
        .sum()
}
