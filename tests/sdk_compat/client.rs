//! Client programs in other languages, built on RingCentral's SDKs.

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

/// Far more than any scenario takes.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(180);

/// The language of a client.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    JavaScript,
    Python,
}

impl Language {
    /// Runs a scenario, which may have arguments, against an account and returns the results of the client. Calls `on_wait`
    /// when the client waits for the test.
    pub async fn run(self, scenario: &str, account: &Simulator, on_wait: impl Fn()) -> Value {
        let mut child = self.spawn(scenario, account);
        let mut stderr = child.stderr.take().unwrap();
        let mut errors = String::new();
        let output = async {
            tokio::join!(
                read_output(&mut child, on_wait),
                stderr.read_to_string(&mut errors)
            )
        };
        let Ok((lines, _)) = timeout(SCENARIO_TIMEOUT, output).await else {
            panic!("{self:?} client timed out in scenario {scenario}: {errors}");
        };
        let status = child.wait().await.unwrap();
        assert!(
            status.success(),
            "{self:?} client failed in scenario {scenario}: {status}\n{}\n{errors}",
            lines.join("\n")
        );
        serde_json::from_str(lines.last().expect("the client prints its results")).unwrap()
    }

    fn spawn(self, scenario: &str, account: &Simulator) -> Child {
        self.assert_sdk_installed();
        let program = match self {
            Language::JavaScript => PathBuf::from("node"),
            Language::Python => self.install_dir().join("bin/python"),
        };
        let mut command = Command::new(&program);
        command
            .arg(self.source_dir().join(self.script()))
            .args(scenario.split(' '))
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("NODE_PATH", self.install_dir().join("node_modules"))
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
                panic!("{} is not installed: run `make tools`", program.display())
            }
            _ => panic!("cannot run {}: {error}", program.display()),
        })
    }

    /// Asserts that the SDK is installed in the locked version.
    fn assert_sdk_installed(self) {
        let locked = fs::read(self.source_dir().join(self.lock_file())).unwrap();
        let installed = fs::read(self.install_dir().join("installed"));
        assert!(
            installed.is_ok_and(|installed| installed == locked),
            "the SDK for {self:?} is not installed in the locked version: run `make sdk-compat`"
        );
    }

    fn source_dir(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sdk_compat")
            .join(self.dir_name())
    }

    /// Returns the folder in which the Makefile installs the SDK, with a copy of the lock file.
    fn install_dir(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(".cache/sdk-compat")
            .join(self.dir_name())
    }

    fn dir_name(self) -> &'static str {
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

    fn lock_file(self) -> &'static str {
        match self {
            Language::JavaScript => "package-lock.json",
            Language::Python => "requirements.txt",
        }
    }
}

/// Reads the output of a client to its end. At the line `waiting`, calls `on_wait` and lets the
/// client continue.
async fn read_output(child: &mut Child, on_wait: impl Fn()) -> Vec<String> {
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    while let Some(line) = stdout.next_line().await.unwrap() {
        if line == "waiting" {
            on_wait();
            stdin.write_all(b"continue\n").await.unwrap();
        }
        lines.push(line);
    }
    lines
}
