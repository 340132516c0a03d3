//! The exporter's binary as a process of its own, with its log.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};

use ringcentral_exporter::simulator::Simulator;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::MAX_WAIT;
use super::background_process::url_from_log;

/// A running exporter, killed on drop.
pub struct ExporterProcess {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub stdout: BufReader<ChildStdout>,
    /// The part of the log that was read so far.
    pub log: String,
}

/// Returns the path of the binary: the one that was compiled with the tests, or the release build
/// that the Makefile names in `RINGCENTRAL_EXPORTER_UNDER_TEST`.
pub fn binary() -> OsString {
    std::env::var_os("RINGCENTRAL_EXPORTER_UNDER_TEST")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_ringcentral-exporter").into())
}

/// Returns a command that runs the binary with an empty environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Returns a command that runs the binary for a simulated account, which four variables name.
pub fn command_for_simulator(simulator: &Simulator, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command
        .env("RC_SERVER_URL", simulator.url())
        .env("RC_CLIENT_ID", simulator.client_id())
        .env("RC_CLIENT_SECRET", simulator.client_secret())
        .env("RC_JWT", simulator.jwt());
    command
}

/// Runs a command until it exits and returns its exit code, standard output and standard error.
pub async fn output(mut command: Command) -> (Option<i32>, String, String) {
    let output = timeout(MAX_WAIT, command.output())
        .await
        .expect("the command did not exit within a minute")
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

impl ExporterProcess {
    /// Starts a command with its output piped.
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

    /// Reads the log up to a line that contains `text` and returns the line.
    pub async fn wait_for_log(&mut self, text: &str) -> String {
        let search = async {
            loop {
                let mut line = String::new();
                let length = self.stderr.read_line(&mut line).await.unwrap();
                assert!(length > 0, "exited without logging {text:?}: {}", self.log);
                self.log.push_str(&line);
                if line.contains(text) {
                    return line;
                }
            }
        };
        timeout(MAX_WAIT, search)
            .await
            .unwrap_or_else(|_| panic!("did not log {text:?} within a minute"))
    }

    /// Waits until the exporter listens and returns its URL.
    pub async fn wait_for_url(&mut self) -> String {
        url_from_log(&self.wait_for_log("msg=listening").await)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal, named without `SIG`.
    pub async fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until the exporter exits and reads the rest of its log.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        let status = timeout(MAX_WAIT, self.child.wait())
            .await
            .expect("the exporter did not exit within a minute")
            .unwrap();
        self.stderr.read_to_string(&mut self.log).await.unwrap();
        status
    }
}
