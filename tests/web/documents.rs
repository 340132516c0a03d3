//! `docs/WEB.md`, done as it says: its files are written, its commands run, in its order.

use std::path::Path;

use tokio::process::Command;

use crate::common::exporter_process::{ExporterProcess, pointed_at};
use crate::stage::simulator;

const PASSWORD: &str = "correct horse";

/// The fenced blocks: language and text.
fn blocks(document: &str) -> Vec<(String, String)> {
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

/// What the reader is left to fill in, filled in.
fn completed(yaml: &str, folder: &Path) -> String {
    let hash = std::fs::read_to_string(folder.join("hash")).unwrap_or_default();
    yaml.replace("$2b$10$...", hash.trim())
}

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
async fn the_page_about_the_web_configuration_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = simulator().await;
    let mut running: Option<(ExporterProcess, String)> = None;
    let mut scrapes = 0;
    for (language, text) in blocks(include_str!("../../docs/WEB.md")) {
        let yaml = completed(&text, folder.path());
        if language == "sh" {
            let said = run(
                &text,
                folder.path(),
                running.as_ref().map(|(_, port)| port.as_str()),
            )
            .await;
            scrapes += usize::from(said.contains("\nringcentral_up{account=\"default\"} 1\n"));
        } else if text.starts_with("# web.yml") {
            std::fs::write(folder.path().join("web.yml"), yaml).unwrap();
            match &mut running {
                Some((program, _)) => {
                    program.signal("HUP").await;
                    program.logs("configuration reloaded").await;
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

async fn start(
    simulator: &ringcentral_exporter::simulator::Simulator,
    folder: &Path,
) -> (ExporterProcess, String) {
    let mut command = pointed_at(
        simulator,
        &[
            "--web.listen-address",
            "127.0.0.1:0",
            "--web.config.file",
            "web.yml",
        ],
    );
    command.current_dir(folder);
    let mut program = ExporterProcess::start(command);
    let port = program.url().await.rsplit_once(':').unwrap().1.to_owned();
    (program, port)
}
