//! The shell commands of the README and the guides, run in order against a simulated account.
//!
//! Replaced are the port, the client id, and `cargo`: the program was built with the tests. Secrets
//! come from a pipe and not from a terminal. Starting the exporter does not wait for its end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::common::exporter_process::binary;
use crate::common::markdown::{code_blocks, read};
use crate::common::promtool::run_promtool;
use crate::common::shell_blocks::shell_blocks;

/// Name of the program.
const PROGRAM: &str = "ringcentral-exporter";
/// Programs that a guide may run on the machine of the tests.
const ALLOWED_PROGRAMS: [&str; 7] = [
    "(umask", "cargo", "curl", "export", "install", "promtool", PROGRAM,
];
/// Commands that end by themselves.
const SHORT_COMMANDS: [&str; 5] = ["check", "completions", "health", "man", "--version"];
/// Functions of the script: `start` runs an exporter in the background, in place of the last one.
const PRELUDE: &str = r#"
exporter=
stop() {
    if [ -n "$exporter" ]; then kill "$exporter"; wait "$exporter" || true; exporter=; fi
}
trap stop EXIT
start() {
    stop
    "$@" "--web.listen-address=127.0.0.1:$PORT" >>log 2>&1 &
    exporter=$!
    for _ in $(seq 100); do
        if curl -sf "http://localhost:$PORT/-/ready" >ready; then return; fi
        sleep 0.1
    done
    cat log
    exit 1
}
"#;

/// A folder in which the commands of a guide run, and their account.
struct Guide {
    folder: TempDir,
    simulator: Simulator,
    port: u16,
}

impl Guide {
    /// Starts the account. Its login limit is higher than RingCentral's, since commands do not wait.
    async fn new() -> Self {
        let mut limits = Limits::default();
        limits.auth.requests = 100;
        let scenario = Scenario {
            limits,
            ..Scenario::normal()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, scenario, 1).unwrap();
        let guide = Self {
            folder: tempfile::tempdir().unwrap(),
            simulator,
            port: free_port(),
        };
        guide.link_program("target/release");
        guide
    }

    /// Links the program in a folder.
    fn link_program(&self, folder: &str) {
        let folder = self.folder.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let program = std::fs::canonicalize(Path::new(&binary())).unwrap();
        std::os::unix::fs::symlink(program, folder.join(PROGRAM)).unwrap();
    }

    /// Makes the program a command, as after an installation.
    fn install(self) -> Self {
        self.link_program(".local/bin");
        self
    }

    /// Replaces what is particular to a user's system in a command.
    fn adapt(&self, line: &str) -> String {
        let line = line
            .replace(
                "cargo run --release --",
                "target/release/ringcentral-exporter",
            )
            .replace("localhost:10072", &format!("localhost:{}", self.port))
            .replace(
                "RC_CLIENT_ID=...",
                &format!("RC_CLIENT_ID={}", self.simulator.client_id()),
            );
        let command = line.split(" #").next().unwrap().trim();
        let (program, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let first = arguments.split(' ').next().unwrap();
        if command.starts_with("cargo build") {
            String::new()
        } else if program.ends_with(PROGRAM) && !SHORT_COMMANDS.contains(&first) {
            format!("start {command}")
        } else if command.starts_with("(umask 077 && cat >") {
            let secret = if command.ends_with("jwt)") {
                self.simulator.jwt()
            } else {
                self.simulator.client_secret()
            };
            format!("printf %s '{secret}' | {command}")
        } else {
            line
        }
    }

    /// Runs the commands of a document that are not marked as untested, and returns the output.
    async fn run(&self, document: &str, variables: &[(&str, String)], first: &str) -> String {
        let mut script = format!("PORT={}\n{PRELUDE}{first}\n", self.port);
        let mut blocks = 0;
        for block in shell_blocks(&read(document)) {
            if block.is_untested {
                continue;
            }
            blocks += 1;
            for command in block.text.replace("\\\n", " ").lines() {
                assert_is_allowed(command, document);
                script += &format!("{}\n", self.adapt(command));
            }
        }
        assert!(blocks > 0, "{document}");
        let path = std::env::var("PATH").unwrap();
        let home = self.folder.path().to_str().unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &script])
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", home)
            .env("PATH", format!("{home}/.local/bin:{path}"))
            .env("NO_PROXY", "localhost,127.0.0.1")
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(Duration::from_secs(300), bash.output()).await;
        let output = output
            .expect("the commands take longer than 5 minutes")
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        let text = text.concat();
        assert!(output.status.success(), "{script}\n{text}");
        text
    }

    /// Returns the variables of the simulated account.
    fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("RC_SERVER_URL", self.simulator.url()),
            ("RC_CLIENT_ID", self.simulator.client_id()),
            ("RC_CLIENT_SECRET", self.simulator.client_secret()),
            ("RC_JWT", self.simulator.jwt()),
        ]
    }

    /// Writes a file in the folder of the guide and returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Returns a port that is unused and that no client gets: systems give clients ports from 32,768 on.
fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(20_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asserts that a command is a comment or runs an allowed program.
fn assert_is_allowed(command: &str, document: &str) {
    let program = command.split_whitespace().next().unwrap_or("#");
    assert!(
        program == "#" || ALLOWED_PROGRAMS.contains(&program),
        "{document}: mark as untested, or allow {program}: {command}"
    );
}

#[tokio::test]
async fn readme_commands_work() {
    let guide = Guide::new().await;
    let server = ("RC_SERVER_URL", guide.simulator.url());
    let output = guide.run("README.md", &[server], "").await;
    assert!(output.contains("\nringcentral_call_sessions_in_progress{account=\"default\"} "));
    assert!(output.contains("OK: account default can be read."));
    assert!(output.contains("\nringcentral_up{account=\"default\"} 1\n"));

    let configurations = code_blocks(&read("README.md"), "yaml");
    assert_eq!(configurations.len(), 1);
    let file = guide.write("prometheus.yml", &configurations[0]);
    run_promtool(&["check", "config", &file]);
}

#[tokio::test]
async fn deployment_overview_commands_work() {
    let guide = Guide::new().await.install();
    guide.run("deploy/README.md", &[], "").await;
}

#[tokio::test]
async fn accounts_guide_commands_work() {
    let guide = Guide::new().await.install();
    let blocks = code_blocks(&read("docs/ACCOUNTS.md"), "yaml");
    let example = blocks
        .iter()
        .find(|block| block.contains("accounts:\n"))
        .unwrap();
    let mut accounts = String::new();
    for line in example.lines() {
        if line.trim_start().starts_with("client_id:") {
            let (id, url) = (guide.simulator.client_id(), guide.simulator.url());
            accounts += &format!("    client_id: {id}\n    server_url: {url}\n");
        } else {
            accounts += &format!("{line}\n");
        }
    }
    guide.write("accounts.yml", &accounts);
    let output = guide.run("docs/ACCOUNTS.md", &[], "").await;
    assert_eq!(output.matches("OK: account acme can be read.").count(), 2);
    assert!(output.contains("\nringcentral_up{account=\"acme\"} 1\n"));
    assert!(output.contains("\"__param_account\":\"acme\""));
}

#[tokio::test]
async fn runbook_commands_work() {
    let guide = Guide::new().await.install();
    let running = "start ringcentral-exporter --web.enable-lifecycle\n\
                   curl -sf http://localhost:$PORT/metrics >metrics";
    let variables = guide.variables();
    guide.run("docs/RUNBOOK.md", &variables, running).await;
}
