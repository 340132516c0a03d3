//! The clients: programs of another language that RingCentral's own library serves.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ringcentral_exporter::simulator::Simulator;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Far more than any scene takes.
const PATIENCE: Duration = Duration::from_secs(50);

#[derive(Clone, Copy, Debug)]
pub enum Language {
    JavaScript,
    Python,
}

impl Language {
    /// Plays a scene at an account and gives what the client saw; `pause` is called when it waits for something.
    pub async fn play(self, scene: &str, account: &Simulator, pause: impl Fn()) -> Value {
        let mut child = self.spawn(scene, account);
        let mut stderr = child.stderr.take().unwrap();
        let mut complaint = String::new();
        let both = async {
            tokio::join!(
                converse(&mut child, pause),
                stderr.read_to_string(&mut complaint)
            )
        };
        let ended = timeout(PATIENCE, both).await;
        let (said, _) = ended
            .unwrap_or_else(|_| panic!("{self:?} does not come to an end of {scene}: {complaint}"));
        let status = child.wait().await.unwrap();
        assert!(
            status.success(),
            "{self:?} fails at {scene}: {status}\n{}\n{complaint}",
            said.join("\n")
        );
        serde_json::from_str(said.last().expect("it says what it saw")).unwrap()
    }

    fn spawn(self, scene: &str, account: &Simulator) -> Child {
        self.insist_on_libraries();
        let program = match self {
            Language::JavaScript => PathBuf::from("node"),
            Language::Python => self.installed().join("bin/python"),
        };
        let mut command = Command::new(&program);
        command
            .arg(self.sources().join(self.script()))
            .arg(scene)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("NODE_PATH", self.installed().join("node_modules"))
            .env("RC_SERVER_URL", account.url())
            .env("RC_CLIENT_ID", account.client_id())
            .env("RC_CLIENT_SECRET", account.client_secret())
            .env("RC_JWT", account.jwt())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => {
                panic!("{} is missing: `make tools` installs it", program.display())
            }
            _ => panic!("{} cannot be run: {error}", program.display()),
        })
    }

    /// Libraries that are missing, or of other versions than are asked for, would prove nothing.
    fn insist_on_libraries(self) {
        let asked_for = fs::read(self.sources().join(self.versions())).unwrap();
        let installed = fs::read(self.installed().join("installed"));
        let agrees = installed.is_ok_and(|installed| installed == asked_for);
        assert!(
            agrees,
            "RingCentral's library for {self:?} is not installed as asked for: `make sdk-compat` does it"
        );
    }

    fn sources(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sdk_compat")
            .join(self.directory())
    }

    /// Where the Makefile puts the libraries, and beside them the list of their versions.
    fn installed(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(".cache/sdk-compat")
            .join(self.directory())
    }

    fn directory(self) -> &'static str {
        match self {
            Language::JavaScript => "javascript",
            Language::Python => "python",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Language::JavaScript => "client.js",
            Language::Python => "client.py",
        }
    }

    fn versions(self) -> &'static str {
        match self {
            Language::JavaScript => "package-lock.json",
            Language::Python => "requirements.txt",
        }
    }
}

/// Reads what a client says to its end. At `waiting` it is kept waiting for `pause`.
async fn converse(child: &mut Child, pause: impl Fn()) -> Vec<String> {
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "waiting" {
            pause();
            stdin.write_all(b"go on\n").await.unwrap();
        }
        said.push(line);
    }
    said
}
