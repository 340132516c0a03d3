//! Prometheus' own tool accepts what is shipped.

use std::path::Path;

use crate::common::documents;
use crate::common::promtool::promtool;
use crate::shipped::FOLDER;

/// Has promtool look at all files of a folder.
fn promtool_on(what: [&str; 2], folder: &str, ending: &str) -> String {
    let files = documents::files(Path::new(FOLDER).join(folder), ending);
    let files = files.iter().map(|file| file.to_str().unwrap());
    promtool(&what.into_iter().chain(files).collect::<Vec<_>>())
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

#[test]
fn promtool_accepts_the_configuration_and_finds_both_files_of_rules() {
    let said = promtool(&["check", "config", &format!("{FOLDER}/prometheus.yml")]);
    assert!(said.contains("2 rule files found"), "{said}");
}
