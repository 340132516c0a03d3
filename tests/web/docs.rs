//! A test of the examples in `docs/WEB.md`: writes the files and runs the commands, in order.

use std::path::Path;

use tokio::process::Command;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::harness::start_simulator;

const PASSWORD: &str = "correct horse";

/// Returns the fenced code blocks: language and text.
fn code_blocks(document: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language.to_owned(), text.join("\n") + "\n"));
        }
    }
    blocks
}

/// Replaces the placeholder of the password hash.
fn fill_in_hash(yaml: &str, folder: &Path) -> String {
    let hash = std::fs::read_to_string(folder.join("hash")).unwrap_or_default();
    yaml.replace("$2b$10$...", hash.trim())
}

/// Runs shell commands against the exporter on `port` and returns their output.
async fn run(commands: &str, folder: &Path, port: Option<&str>) -> String {
    let commands = commands.replace(
        "localhost:10072",
        &format!("localhost:{}", port.unwrap_or("10072")),
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-euc", &commands])
        .current_dir(folder)
        .env("PASSWORD", PASSWORD)
        .env("NO_PROXY", "localhost");
    let output = shell.output().await.unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{commands}\n{}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[tokio::test]
async fn web_guide_examples_work() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = start_simulator().await;
    let mut running: Option<(ExporterProcess, String)> = None;
    let mut scrapes = 0;
    for (language, text) in code_blocks(include_str!("../../docs/WEB.md")) {
        let yaml = fill_in_hash(&text, folder.path());
        if language == "sh" {
            let output = run(
                &text,
                folder.path(),
                running.as_ref().map(|(_, port)| port.as_str()),
            )
            .await;
            scrapes += usize::from(output.contains("\nringcentral_up{account=\"default\"} 1\n"));
        } else if text.starts_with("# web.yml") {
            std::fs::write(folder.path().join("web.yml"), yaml).unwrap();
            match &mut running {
                Some((exporter, _)) => {
                    exporter.signal("HUP").await;
                    exporter.wait_for_log("configuration reloaded").await;
                }
                None => running = Some(start(&simulator, folder.path()).await),
            }
        } else if text.starts_with("# prometheus.yml") {
            std::fs::write(folder.path().join("prometheus.yml"), yaml).unwrap();
            run("promtool check config prometheus.yml", folder.path(), None).await;
        } else {
            std::fs::write(folder.path().join("web.yml"), yaml).unwrap();
            start(&simulator, folder.path()).await;
        }
    }
    assert_eq!(scrapes, 3);
}

/// Starts an exporter with `web.yml` in `folder`, and returns the port too.
async fn start(
    simulator: &ringcentral_exporter::simulator::Simulator,
    folder: &Path,
) -> (ExporterProcess, String) {
    let mut command = command_for_simulator(
        simulator,
        &[
            "--web.listen-address",
            "127.0.0.1:0",
            "--web.config.file",
            "web.yml",
        ],
    );
    command.current_dir(folder);
    let mut exporter = ExporterProcess::start(command);
    let port = exporter
        .wait_for_url()
        .await
        .rsplit_once(':')
        .unwrap()
        .1
        .to_owned();
    (exporter, port)
}
