//! The program, started as a user starts it.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ringcentral_exporter::simulator::Simulator;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// The program, running.
pub struct ExporterProcess {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub stdout: BufReader<ChildStdout>,
    /// What it has logged, as far as it was read.
    pub log: String,
}

/// The program that was compiled with the tests; or another one: what the Makefile has tested as a release is the one that users build.
fn binary() -> OsString {
    std::env::var_os("RINGCENTRAL_EXPORTER_UNDER_TEST")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_ringcentral-exporter").into())
}

/// The program with an empty environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The program pointed at a simulated account by four variables.
pub fn pointed_at(simulator: &Simulator, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command
        .env("RC_SERVER_URL", simulator.url())
        .env("RC_CLIENT_ID", simulator.client_id())
        .env("RC_CLIENT_SECRET", simulator.client_secret())
        .env("RC_JWT", simulator.jwt());
    command
}

/// Runs it to its end: exit code, standard output, standard error.
pub async fn output(mut command: Command) -> (Option<i32>, String, String) {
    let output = timeout(Duration::from_secs(20), command.output())
        .await
        .expect("it ends")
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

impl ExporterProcess {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stderr,
            stdout,
            log: String::new(),
        }
    }

    /// Reads the log up to a line that holds this, and gives the line.
    pub async fn logs(&mut self, wanted: &str) -> String {
        let search = async {
            loop {
                let mut line = String::new();
                let read = self.stderr.read_line(&mut line).await.unwrap();
                assert!(read > 0, "it ended without saying {wanted:?}: {}", self.log);
                self.log.push_str(&line);
                if line.contains(wanted) {
                    return line;
                }
            }
        };
        timeout(Duration::from_secs(20), search)
            .await
            .unwrap_or_else(|_| panic!("it never said {wanted:?}"))
    }

    /// Waits until it listens, and gives its address.
    pub async fn url(&mut self) -> String {
        let line = self.logs("message=listening").await;
        let address = line
            .split("address=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        format!("http://{}", address.trim_matches('"'))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub async fn ends(&mut self) -> ExitStatus {
        let status = timeout(Duration::from_secs(20), self.child.wait())
            .await
            .expect("it ends")
            .unwrap();
        self.stderr.read_to_string(&mut self.log).await.unwrap();
        status
    }
}
