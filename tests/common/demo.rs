//! The demo, started as a user starts it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::time::timeout;

use super::exporter_process::{ExporterProcess, command};

/// A running demo and the lines that it printed.
pub async fn start(arguments: &[&str]) -> (ExporterProcess, String, BTreeMap<String, String>) {
    start_at("127.0.0.1:0", arguments).await
}

/// A running demo whose exporter has this address.
pub async fn start_at(
    address: &str,
    arguments: &[&str],
) -> (ExporterProcess, String, BTreeMap<String, String>) {
    let all = [&["demo", "--web.listen-address", address], arguments].concat();
    let mut program = ExporterProcess::start(command(&all));
    let variables = variables(&mut program).await;
    let url = program.url().await;
    (program, url, variables)
}

/// The lines that a demo prints to let another exporter in.
pub async fn variables(program: &mut ExporterProcess) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    while !variables.contains_key("RC_JWT") {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(20), program.stdout.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "the demo ended");
        if let Some((name, value)) = line.trim().split_once('=') {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    variables
}
