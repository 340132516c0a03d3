//! Tests of the `check` command and its complete report for each possible problem.
//!
//! Each report is in a file under `tests/golden/check/`, as a user sees it. `UPDATE_GOLDEN=1`
//! rewrites the files, so read the diff afterwards. Values that differ between runs are masked.

mod docs;
mod faults;
mod network;
mod presence;
mod success;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::process::Command;

use crate::common::clock::ManualClock;
use crate::common::exporter_process::{command_for_simulator, output};
use crate::harness::bind_loopback;

/// Texts that no report may contain: the password of a proxy, and the prefix of all simulated
/// access tokens.
const SECRETS: [&str; 2] = ["sesame", "U0pDMTFQ"];

/// Returns a scenario with a stopped clock, so that its calls do not change, and a JWT that does
/// not expire.
fn frozen_scenario() -> Scenario {
    ManualClock::new().attach_to(Scenario {
        jwt_lifetime: None,
        ..Scenario::normal()
    })
}

/// Starts a simulated account on loopback.
async fn start_simulator(scenario: Scenario) -> Simulator {
    Simulator::start(bind_loopback().await, scenario, 1).unwrap()
}

/// Returns a command that runs `check` for a simulated account.
fn check_command(simulator: &Simulator, arguments: &[&str]) -> Command {
    command_for_simulator(simulator, &[&["check"], arguments].concat())
}

/// Runs a check and asserts its exit code and that it prints exactly the golden file `name`.
async fn assert_output(command: Command, expected_code: i32, name: &str) {
    let (code, report, errors) = output(command).await;
    assert_eq!(
        (code, errors.as_str()),
        (Some(expected_code), ""),
        "{name}: {report}"
    );
    for secret in SECRETS {
        assert!(!report.contains(secret), "{name}: {report}");
    }
    assert_matches_golden(&mask(&report), name);
}

/// Asserts that a masked report equals the golden file `name`.
fn assert_matches_golden(report: &str, name: &str) {
    let path = format!(
        "{}/tests/golden/check/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, report).unwrap();
    }
    assert_eq!(
        report,
        std::fs::read_to_string(&path).unwrap_or_default(),
        "{path}"
    );
}

/// Replaces the values that differ between runs: ports, dates, durations and request ids.
fn mask(report: &str) -> String {
    let mut lines: Vec<_> = report.lines().map(mask_line).collect();
    lines.push(String::new());
    lines.join("\n")
}

/// Masks one line.
fn mask_line(line: &str) -> String {
    let masks = [
        ("  request id    ", "ID"),
        ("  JWT           expires in ", "N days (DATE)"),
        ("  last fetch    failed after ", "N ms"),
        ("  extensions    200 extensions, fetched ", "N s ago"),
        (
            "  events        connected for ",
            "N s, last message N s ago",
        ),
    ];
    for (start, mask) in masks {
        if line.starts_with(start) {
            return format!("{start}{mask}");
        }
    }
    if let Some((before, rest)) = line.split_once(" requests are blocked until ")
        && let Some((_, after)) = rest.split_once(" UTC")
    {
        return format!("{before} requests are blocked until DATE UTC{after}");
    }
    if let Some((state, _)) = line.split_once("; list read ") {
        return format!("{state}; list read N s ago");
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
        Some((before, after)) => {
            let rest = after.trim_start_matches(|char: char| char.is_ascii_digit());
            format!("{before}LOOPBACK:PORT{rest}")
        }
        _ => line.to_owned(),
    }
}
