//! promtool accepts the shipped rules and configurations, and the unit tests of the rules pass.

use std::path::Path;
use std::process::Command;

use crate::common::markdown;
use crate::common::promtool::run_promtool;
use crate::rule_files::FOLDER;

/// Runs a promtool command on all files of a folder that have this suffix.
fn promtool_on(command: [&str; 2], folder: &str, suffix: &str) -> String {
    let files = markdown::files_with_suffix(Path::new(FOLDER).join(folder), suffix);
    let files = files.iter().map(|file| file.to_str().unwrap());
    run_promtool(&command.into_iter().chain(files).collect::<Vec<_>>())
}

#[test]
fn promtool_finds_no_error_or_duplicate_in_rules() {
    let output = promtool_on(["check", "rules"], "rules", ".yml");
    assert!(!output.contains("duplicate"), "{output}");
}

#[test]
fn promtool_unit_tests_pass() {
    let output = promtool_on(["test", "rules"], "tests", ".test.yml");
    assert!(!output.contains("FAILED"), "{output}");
}

/// Names of the shipped Prometheus configurations.
const CONFIGURATIONS: [&str; 3] = [
    "prometheus.accounts.yml",
    "prometheus.sharded.yml",
    "prometheus.yml",
];

#[test]
fn promtool_accepts_configurations_with_both_rule_files() {
    let shipped = markdown::files_with_suffix(FOLDER, ".yml");
    let names = shipped
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap());
    assert_eq!(
        names
            .filter(|name| name.starts_with("prometheus"))
            .collect::<Vec<_>>(),
        CONFIGURATIONS
    );
    for file in CONFIGURATIONS {
        let output = run_promtool(&["check", "config", &format!("{FOLDER}/{file}")]);
        assert!(output.contains("2 rule files found"), "{file}: {output}");
    }
}

#[test]
fn promtool_rejects_invalid_configurations() {
    let folder = tempfile::tempdir().unwrap();
    for (file, original, replacement) in [
        ("prometheus.accounts.yml", "http_sd_configs:", "http_sds:"),
        ("prometheus.accounts.yml", "url: http:", "url: "),
        ("prometheus.sharded.yml", "modulus: 3", "modulus: three"),
        ("prometheus.sharded.yml", "        modulus: 3\n", ""),
        (
            "prometheus.yml",
            "scrape_timeout: 10s",
            "scrape_timeout: 20s",
        ),
    ] {
        let text = markdown::read(&format!("{FOLDER}/{file}"));
        let broken = folder.path().join("broken.yml");
        assert!(text.contains(original), "{original} in {file}");
        std::fs::write(&broken, text.replacen(original, replacement, 1)).unwrap();
        let output = Command::new("promtool")
            .args(["check", "config"])
            .arg(&broken)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{replacement} in {file}");
    }
}
