//! `docs/CHECK.md` has every message, and no other.

use std::collections::BTreeSet;

use ringcentral_exporter::account::warning::Warning;
use ringcentral_exporter::ringcentral::Cause;

const DOCUMENT: &str = include_str!("../../../docs/CHECK.md");

fn row(name: &str, meaning: &str, advice: &str) -> String {
    format!("| `{name}` | {meaning} | {advice} |")
}

#[test]
fn check_document_lists_every_message() {
    let causes = Cause::ALL
        .iter()
        .map(|it| row(it.as_str(), it.summary(), it.hint()));
    let warnings = Warning::ALL
        .iter()
        .map(|it| row(it.as_str(), it.summary(), it.hint()));
    let said: BTreeSet<_> = causes.chain(warnings).collect();
    let written: BTreeSet<_> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = said.difference(&written).collect();
    let strange: Vec<_> = written.difference(&said).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "missing {missing:#?}\nstrange {strange:#?}"
    );
}

/// A file that is read at the start and gone at the login is met by the running exporter alone, and at level `extension`
/// or with a list that may be read there is no such failure.
#[test]
fn golden_files_cover_every_message() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/check");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let seen = files.collect::<Vec<_>>().concat();
    let names = Cause::ALL
        .iter()
        .map(|it| it.as_str())
        .chain(Warning::ALL.iter().map(|it| it.as_str()));
    for name in names.filter(|name| *name != "secret_unreadable") {
        assert!(seen.contains(&format!("{name}: ")), "{name}");
    }
}
