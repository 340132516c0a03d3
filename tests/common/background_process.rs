//! Another program that serves and goes on serving, such as Prometheus: its process and its log.
//!
//! Knows nothing of what it serves, only that it logs to standard error and tells its address there.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

type Log = Arc<Mutex<String>>;

/// A running program; it is killed when this is dropped.
pub struct BackgroundProcess {
    log: Log,
    reading: JoinHandle<()>,
    child: Child,
}

impl BackgroundProcess {
    /// Starts it; `make tools` installs what it needs.
    pub fn start(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .expect("it is installed: `make tools` does it");
        let log = Log::default();
        let reading = tokio::spawn(read(child.stderr.take().unwrap(), log.clone()));
        Self {
            log,
            reading,
            child,
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a line that holds this, and gives the line.
    pub async fn logs(&self, wanted: &str) -> String {
        let search = async {
            loop {
                let ended = self.reading.is_finished();
                if let Some(line) = self.log().lines().find(|line| line.contains(wanted)) {
                    return line.to_owned();
                }
                assert!(!ended, "it ended without saying {wanted:?}: {}", self.log());
                sleep(Duration::from_millis(20)).await;
            }
        };
        let line = timeout(Duration::from_secs(30), search).await;
        line.unwrap_or_else(|_| panic!("it never said {wanted:?}: {}", self.log()))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for its end.
    pub async fn ends(&mut self) -> ExitStatus {
        timeout(Duration::from_secs(20), self.child.wait())
            .await
            .expect("it ends")
            .unwrap()
    }

    /// Waits until it listens, and gives its address as the exporter logs it.
    pub async fn says_where(&self) -> String {
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

    /// Waits until it listens, and gives its address as Prometheus' programs log it.
    pub async fn address(&self) -> String {
        let wanted = "msg=\"Listening on\" address=";
        let line = self.logs(wanted).await;
        line.split(wanted).nth(1).unwrap().trim().to_owned()
    }
}

/// Reads to the end, so that the pipe never fills.
async fn read(stderr: ChildStderr, log: Log) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line);
        log.push('\n');
    }
}
