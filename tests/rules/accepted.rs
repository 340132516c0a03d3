//! Prometheus' own tool accepts what is shipped.

use std::path::Path;
use std::process::Command;

use crate::common::markdown;
use crate::common::promtool::run_promtool;
use crate::shipped::FOLDER;

/// Has promtool look at all files of a folder.
fn promtool_on(what: [&str; 2], folder: &str, ending: &str) -> String {
    let files = markdown::files_with_suffix(Path::new(FOLDER).join(folder), ending);
    let files = files.iter().map(|file| file.to_str().unwrap());
    run_promtool(&what.into_iter().chain(files).collect::<Vec<_>>())
}

#[test]
fn promtool_accepts_the_rules_and_finds_none_twice() {
    let said = promtool_on(["check", "rules"], "rules", ".yml");
    assert!(!said.contains("duplicate"), "{said}");
}

#[test]
fn promtool_s_unit_tests_of_the_rules_pass() {
    let said = promtool_on(["test", "rules"], "tests", ".test.yml");
    assert!(!said.contains("FAILED"), "{said}");
}

/// The configurations to start from.
const CONFIGURATIONS: [&str; 3] = [
    "prometheus.accounts.yml",
    "prometheus.sharded.yml",
    "prometheus.yml",
];

#[test]
fn promtool_accepts_every_configuration_and_finds_both_files_of_rules() {
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
        let said = run_promtool(&["check", "config", &format!("{FOLDER}/{file}")]);
        assert!(said.contains("2 rule files found"), "{file}: {said}");
    }
}

#[test]
fn a_mistake_in_a_configuration_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for (file, right, wrong) in [
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
        let (text, broken) = (
            markdown::read(&format!("{FOLDER}/{file}")),
            folder.path().join("broken.yml"),
        );
        assert!(text.contains(right), "{right} in {file}");
        std::fs::write(&broken, text.replacen(right, wrong, 1)).unwrap();
        let verdict = Command::new("promtool")
            .args(["check", "config"])
            .arg(&broken)
            .output()
            .unwrap();
        assert!(!verdict.status.success(), "{wrong} in {file}");
    }
}
