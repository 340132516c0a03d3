//! The document of what goes wrong names tests that there are.

use crate::common::markdown::{inline_code, read};

/// `exporter/limits::NAME` is in `tests/exporter/limits.rs`, `src/...` beside the code.
fn source(path: &str) -> String {
    let folder = if path.starts_with("src/") {
        ""
    } else {
        "tests/"
    };
    read(&format!("{folder}{path}.rs"))
}

#[test]
fn every_test_that_the_document_of_reliability_names_exists() {
    let text = read("docs/RELIABILITY.md");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(inline_code);
    let named: Vec<_> = rows
        .filter_map(|code| {
            code.rsplit_once("::")
                .map(|(path, name)| (path.to_owned(), name.to_owned()))
        })
        .collect();
    assert!(named.len() > 60, "{}", named.len());
    for (path, name) in named {
        assert!(
            source(&path).contains(&format!("fn {name}(")),
            "{path} has no test {name}"
        );
    }
}
