//! A long-running program that a test starts, such as Prometheus, with its log.
//!
//! The program has to log to standard error, its listening address included.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::MAX_WAIT;

type Log = Arc<Mutex<String>>;

/// A running program, killed on drop.
pub struct BackgroundProcess {
    log: Log,
    log_reader: JoinHandle<()>,
    child: Child,
}

impl BackgroundProcess {
    /// Starts the program, which `make tools` installs.
    pub fn start(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .expect("program not installed: run `make tools`");
        let log = Log::default();
        let log_reader = tokio::spawn(read_log(child.stderr.take().unwrap(), log.clone()));
        Self {
            log,
            log_reader,
            child,
        }
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a log line that contains `text` and returns the line.
    pub async fn wait_for_log(&self, text: &str) -> String {
        let search = async {
            loop {
                let exited = self.log_reader.is_finished();
                if let Some(line) = self.log().lines().find(|line| line.contains(text)) {
                    return line.to_owned();
                }
                assert!(!exited, "exited without logging {text:?}: {}", self.log());
                sleep(Duration::from_millis(20)).await;
            }
        };
        let line = timeout(MAX_WAIT, search).await;
        line.unwrap_or_else(|_| panic!("did not log {text:?} within a minute: {}", self.log()))
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until the program exits.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        timeout(MAX_WAIT, self.child.wait())
            .await
            .expect("the program did not exit within a minute")
            .unwrap()
    }

    /// Waits until the exporter listens and returns its URL.
    pub async fn wait_for_url(&self) -> String {
        url_from_log(&self.wait_for_log("msg=listening").await)
    }

    /// Waits until Prometheus or Alertmanager listens and returns its address, `HOST:PORT`.
    pub async fn wait_for_address(&self) -> String {
        // Prometheus 3 logs its component between the two.
        let line = self.wait_for_log("msg=\"Listening on\" ").await;
        line.split_once(" address=").unwrap().1.trim().to_owned()
    }
}

/// Returns the URL in the exporter's log line `listening`.
pub fn url_from_log(line: &str) -> String {
    let (_, rest) = line.split_once("address=").unwrap();
    let address = rest.split(' ').next().unwrap();
    format!("http://{}", address.trim_matches('"'))
}

/// Reads standard error to its end, so that the program never blocks on a full pipe.
async fn read_log(stderr: ChildStderr, log: Log) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line);
        log.push('\n');
    }
}
