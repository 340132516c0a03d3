//! Tests that `docs/CHECK.md` and the golden files contain every message of `check`.

use std::collections::BTreeSet;

use ringcentral_exporter::account::warning::Warning;
use ringcentral_exporter::ringcentral::Cause;

const DOCUMENT: &str = include_str!("../../../docs/CHECK.md");

/// Returns the row of a message in the tables of the document.
fn table_row(name: &str, summary: &str, hint: &str) -> String {
    format!("| `{name}` | {summary} | {hint} |")
}

#[test]
fn check_document_lists_every_message() {
    let mut expected = BTreeSet::new();
    for cause in Cause::ALL {
        expected.insert(table_row(cause.as_str(), cause.summary(), cause.hint()));
    }
    for warning in Warning::ALL {
        expected.insert(table_row(
            warning.as_str(),
            warning.summary(),
            warning.hint(),
        ));
    }
    let documented: BTreeSet<_> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = expected.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:#?}\nunknown {unknown:#?}"
    );
}

/// `secret_unreadable` has no golden file: it needs a secret file that disappears between start and
/// login, which `endpoints::missing_secret_file_is_read_again_later` covers.
#[test]
fn golden_files_cover_every_message() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/check");
    let mut reports = String::new();
    for file in std::fs::read_dir(folder).unwrap() {
        reports += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    let causes = Cause::ALL.iter().map(|cause| cause.as_str());
    let warnings = Warning::ALL.iter().map(|warning| warning.as_str());
    for name in causes.chain(warnings) {
        let is_covered = reports.contains(&format!("{name}: "));
        assert!(is_covered || name == "secret_unreadable", "{name}");
    }
}
