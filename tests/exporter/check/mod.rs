//! The command `check`: its whole words, for whatever may be wrong.
//!
//! Each message stands in a file of its own under `tests/golden/check/`, as a user sees it. `UPDATE_GOLDEN=1` rewrites
//! them: read the difference. What differs from run to run is masked.

mod documents;
mod faults;
mod network;
mod well;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::process::Command;

use crate::common::clock::ManualClock;
use crate::common::exporter_process::{command_for_simulator, output};
use crate::rig::loopback;

/// Words that must never be seen: a proxy's password, and how every simulated access token begins.
const SECRETS: [&str; 2] = ["sesame", "U0pDMTFQ"];

/// An account at a standing hour, so that its calls stay the same; its JWT has no end.
fn still() -> Scenario {
    ManualClock::new().attach_to(Scenario {
        jwt_lifetime: None,
        ..Scenario::normal()
    })
}

async fn simulator(scenario: Scenario) -> Simulator {
    Simulator::start(loopback().await, scenario, 1).unwrap()
}

fn check(simulator: &Simulator, arguments: &[&str]) -> Command {
    command_for_simulator(simulator, &[&["check"], arguments].concat())
}

/// Runs a check: it must end like this, say all of this file, and nothing else.
async fn says(command: Command, code: i32, name: &str) {
    let (ended, words, errors) = output(command).await;
    assert_eq!(
        (ended, errors.as_str()),
        (Some(code), ""),
        "{name}: {words}"
    );
    for secret in SECRETS {
        assert!(!words.contains(secret), "{name}: {words}");
    }
    pinned(&masked(&words), name);
}

fn pinned(words: &str, name: &str) {
    let path = format!(
        "{}/tests/golden/check/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, words).unwrap();
    }
    assert_eq!(
        words,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{path}"
    );
}

/// Ports, dates and request ids are of this run alone.
fn masked(words: &str) -> String {
    let mut lines: Vec<_> = words.lines().map(masked_line).collect();
    lines.push(String::new());
    lines.join("\n")
}

fn masked_line(line: &str) -> String {
    let masks = [
        ("  request id    ", "ID"),
        ("  JWT           expires in ", "N days (DATE)"),
        ("  last fetch    failed after ", "N ms"),
        ("  extensions    200 extensions, fetched ", "N s ago"),
    ];
    for (start, mask) in masks {
        if line.starts_with(start) {
            return format!("{start}{mask}");
        }
    }
    if line.starts_with("  last fetch    ")
        && let Some((fetched, _)) = line.rsplit_once(" in ")
    {
        return format!("{fetched} in N ms");
    }
    match line
        .rsplit_once("127.0.0.1:")
        .or_else(|| line.rsplit_once("localhost:"))
    {
        Some((before, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{before}LOOPBACK:PORT")
        }
        _ => line.to_owned(),
    }
}
