//! Tests that compare the documents with the program, its tests and its dependencies.

use std::collections::BTreeSet;
use std::time::Duration;

use ringcentral_exporter::simulator::{Scenario, Simulator};

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::get;
use crate::common::markdown::all_metric_families;
use crate::harness::bind_loopback;

/// Returns the families of an exposition.
fn exposed_families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn metrics_match_documentation() {
    let busy = Scenario {
        calls_per_minute: 60.0,
        ..Scenario::normal()
    };
    let simulator = Simulator::start(bind_loopback().await, busy, 1).unwrap();
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &[
            "--web.listen-address=127.0.0.1:0",
            "--ringcentral.concurrent-calls-limit=50",
            "--metrics.extension-info",
            "--metrics.extension-calls",
            "--ringcentral.presence=events",
            "--metrics.extension-presence",
        ],
    ));
    let url = program.wait_for_url().await;
    let mut text = get(&format!("{url}/metrics")).await;
    while !text.contains("ringcentral_extensions{") {
        tokio::time::sleep(Duration::from_millis(100)).await;
        text = get(&format!("{url}/metrics")).await;
    }
    assert_eq!(exposed_families(&text), all_metric_families());
}

#[test]
fn readme_metrics_exist() {
    let families = all_metric_families();
    let readme = include_str!("../../README.md");
    for name in readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        if !name.starts_with("ringcentral_") || name == "ringcentral_exporter" {
            continue;
        }
        let is_prefix =
            name.ends_with('_') && families.iter().any(|family| family.starts_with(name));
        assert!(families.contains(name) || is_prefix, "{name}");
    }
}

/// In each line, the path of a source file in backquotes is followed by the names of its tests.
#[test]
fn tests_named_in_threat_model_exist() {
    let mut tests = 0;
    for line in include_str!("../../docs/dev/THREAT_MODEL.md").lines() {
        let mut source = None;
        for word in line.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                source = Some(
                    std::fs::read_to_string(word)
                        .unwrap_or_else(|error| panic!("cannot read {word}: {error}")),
                );
            } else if let Some(source) = &source {
                assert!(source.contains(&format!("fn {word}(")), "{word} in {line}");
                tests += 1;
            }
        }
    }
    assert!(tests > 50, "{tests}");
}

#[test]
fn dependencies_are_listed_in_measurements() {
    let manifest = include_str!("../../Cargo.toml");
    let (_, sections) = manifest.split_once("[dependencies]").unwrap();
    let (sections, _) = sections.split_once("[dev-dependencies]").unwrap();
    let mut dependencies = BTreeSet::new();
    for line in sections.lines().filter(|line| !line.starts_with('[')) {
        if let Some((name, _)) = line.split_once(" = ") {
            dependencies.insert(name);
        }
    }
    let document = include_str!("../../docs/dev/MEASUREMENTS.md");
    let (_, table) = document.split_once("| dependency |").unwrap();
    let table = table.split("\n\n").next().unwrap();
    let documented: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(documented, dependencies);
}
