//! The tests that docs/dev/RELIABILITY.md names exist.

use crate::common::markdown::{inline_code, read};

/// Returns the source of a module: `exporter/limits` is `tests/exporter/limits.rs`, `src/…` is a
/// unit test.
fn source(path: &str) -> String {
    let folder = if path.starts_with("src/") {
        ""
    } else {
        "tests/"
    };
    read(&format!("{folder}{path}.rs"))
}

#[test]
fn tests_named_in_reliability_document_exist() {
    let text = read("docs/dev/RELIABILITY.md");
    let mut count = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        for code in inline_code(row) {
            let Some((path, name)) = code.rsplit_once("::") else {
                continue;
            };
            count += 1;
            assert!(
                source(path).contains(&format!("fn {name}(")),
                "{path} has no test {name}"
            );
        }
    }
    assert!(count > 60, "{count}");
}
