//! The documents say what there is, and nothing else.

use std::collections::BTreeSet;

use ringcentral_exporter::simulator::Scenario;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::get;
use crate::rig::loopback;

/// The families of an exposition.
fn exposed(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// The families that have a heading of their own in `docs/METRICS.md`.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../docs/METRICS.md");
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    headings.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_metric_exists() {
    let busy = Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    };
    let simulator =
        ringcentral_exporter::simulator::Simulator::start(loopback().await, busy, 1).unwrap();
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &[
            "--web.listen-address=127.0.0.1:0",
            "--ringcentral.concurrent-calls-limit=50",
            "--metrics.extension-info",
            "--metrics.extension-calls",
        ],
    ));
    let url = program.wait_for_url().await;
    assert_eq!(exposed(&get(&format!("{url}/metrics")).await), documented());
}

#[test]
fn the_readme_names_no_metric_that_does_not_exist() {
    let known = documented();
    let readme = include_str!("../../README.md");
    let names = readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    for name in
        names.filter(|name| name.starts_with("ringcentral_") && *name != "ringcentral_exporter")
    {
        let is_known = known.contains(name)
            || known
                .iter()
                .any(|known| name.ends_with('_') && known.starts_with(name));
        assert!(is_known, "{name}");
    }
}

/// Words in backquotes: a path of a source file, and after it on the same line the tests that it has.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let mut named = 0;
    for line in include_str!("../../docs/SECURITY.md").lines() {
        let mut source = None;
        for word in line.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                source = Some(
                    std::fs::read_to_string(word).unwrap_or_else(|_| panic!("{word} is not there")),
                );
            } else if let Some(source) = &source {
                assert!(source.contains(&format!("fn {word}(")), "{word} in {line}");
                named += 1;
            }
        }
    }
    assert!(named > 50, "{named}");
}

#[test]
fn every_dependency_that_ships_has_its_row_in_the_list_of_what_each_brings() {
    let (ships, _) = include_str!("../../Cargo.toml")
        .split_once("[dev-dependencies]")
        .unwrap();
    let ships = ships
        .split_once("[dependencies]")
        .unwrap()
        .1
        .lines()
        .filter(|line| !line.starts_with('['));
    let asked: BTreeSet<_> = ships
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    let list = include_str!("../../docs/PERFORMANCE.md")
        .split("| dependency |")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next();
    let rows = list
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), asked);
}
