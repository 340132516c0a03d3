//! The `demo` command as a process of its own, with the credentials that it prints.

use std::collections::BTreeMap;

use tokio::io::AsyncBufReadExt;
use tokio::time::timeout;

use super::MAX_WAIT;
use super::exporter_process::{ExporterProcess, command};

/// Starts a demo on a free port and returns the process, its URL and the variables that it printed.
pub async fn start(arguments: &[&str]) -> (ExporterProcess, String, BTreeMap<String, String>) {
    start_at("127.0.0.1:0", arguments).await
}

/// Starts a demo whose exporter listens on `address`.
pub async fn start_at(
    address: &str,
    arguments: &[&str],
) -> (ExporterProcess, String, BTreeMap<String, String>) {
    let arguments = [&["demo", "--web.listen-address", address], arguments].concat();
    let mut demo = ExporterProcess::start(command(&arguments));
    let variables = read_variables(&mut demo).await;
    let url = demo.wait_for_url().await;
    (demo, url, variables)
}

/// Reads the `NAME=value` lines with which another exporter can log in to the simulated account of
/// a demo.
pub async fn read_variables(demo: &mut ExporterProcess) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    while !variables.contains_key("RC_JWT") {
        let mut line = String::new();
        let length = timeout(MAX_WAIT, demo.stdout.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        assert!(length > 0, "the demo exited before it printed RC_JWT");
        if let Some((name, value)) = line.trim().split_once('=') {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    variables
}
