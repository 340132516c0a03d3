//! The archive of a release: what is in it, that its sums are right, and that the same program gives the same bytes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{printed, text};

/// What nobody may miss in it. All else is below a folder of these.
const WANTED: [&str; 24] = [
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "SHA256SUMS",
    "THIRD-PARTY.txt",
    "dashboards/README.md",
    "dashboards/ringcentral-calls.json",
    "dashboards/ringcentral-exporter.json",
    "dashboards/ringcentral-extensions.json",
    "deploy/README.md",
    "deploy/accounts.example.yml",
    "deploy/prometheus/prometheus.accounts.yml",
    "deploy/prometheus/prometheus.sharded.yml",
    "deploy/prometheus/prometheus.yml",
    "deploy/prometheus/rules/ringcentral.alerts.yml",
    "deploy/prometheus/rules/ringcentral.recording.yml",
    "deploy/systemd/README.md",
    "deploy/systemd/accounts.conf",
    "deploy/systemd/ringcentral-exporter.service",
    "docs/ACCOUNTS.md",
    "docs/METRICS.md",
    "ringcentral-exporter",
];

fn name() -> String {
    format!(
        "ringcentral-exporter-{}-x86_64-linux",
        env!("CARGO_PKG_VERSION")
    )
}

/// Makes it, in a folder.
fn make(folder: &Path) -> PathBuf {
    printed(Command::new("deploy/archive").arg(folder));
    folder.join(format!("{}.tar.gz", name()))
}

/// The files below a folder, by their paths.
fn tree(folder: &Path) -> BTreeSet<String> {
    let files = printed(
        Command::new("find")
            .args([".", "-type", "f"])
            .current_dir(folder),
    );
    files
        .lines()
        .map(|file| file.trim_start_matches("./").to_owned())
        .collect()
}

#[test]
fn it_unpacks_to_what_a_user_needs_and_the_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let archive = make(folder.path());
    printed(
        Command::new("sha256sum")
            .args(["--check", "--quiet"])
            .arg(format!("{}.sha256", archive.display()))
            .current_dir(folder.path()),
    );
    printed(
        Command::new("tar")
            .arg("xzf")
            .arg(&archive)
            .current_dir(folder.path()),
    );
    let root = folder.path().join(name());
    let files = tree(&root);
    let missing: Vec<_> = WANTED
        .iter()
        .filter(|file| !files.contains(**file))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {files:?}");
    let tops = ["dashboards/", "deploy/", "docs/"];
    assert!(files.iter().all(
        |file| WANTED.contains(&file.as_str()) || tops.iter().any(|top| file.starts_with(top))
    ));

    let said = printed(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&root),
    );
    assert_eq!(
        said.lines().filter(|line| line.ends_with(": OK")).count(),
        files.len() - 1,
        "all but the list itself"
    );
    let version = printed(
        Command::new(root.join("ringcentral-exporter"))
            .arg("--version")
            .current_dir(&root),
    );
    assert_eq!(
        version,
        format!("ringcentral-exporter {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let [one, two] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let archive = make(one.path());
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(
        fs::read(&archive).unwrap(),
        fs::read(make(two.path())).unwrap()
    );
    let listed = printed(
        Command::new("tar")
            .args([
                "--list",
                "--verbose",
                "--numeric-owner",
                "--full-time",
                "--file",
            ])
            .arg(&archive),
    );
    let times: BTreeSet<_> = listed
        .lines()
        .map(|line| line.split_whitespace().skip(3).take(2).collect::<Vec<_>>())
        .collect();
    assert_eq!(times.len(), 1, "{times:?}");
    assert!(
        listed.lines().all(|line| line.contains(" 0/0 ")),
        "{listed}"
    );
    let names: Vec<_> = listed
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert!(
        names.iter().all(|line| line.starts_with(&name())),
        "one folder"
    );
}

#[test]
fn a_changed_file_is_found_by_its_sum() {
    let folder = tempfile::tempdir().unwrap();
    printed(
        Command::new("tar")
            .arg("xzf")
            .arg(make(folder.path()))
            .current_dir(folder.path()),
    );
    let root = folder.path().join(name());
    fs::set_permissions(root.join("README.md"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(root.join("README.md"), "other").unwrap();
    let output = crate::tools::run(
        Command::new("sha256sum")
            .args(["--check", "SHA256SUMS"])
            .current_dir(&root),
    );
    assert!(!output.status.success());
}

#[test]
fn the_licences_of_all_that_is_linked_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    printed(
        Command::new("tar")
            .arg("xzf")
            .arg(make(folder.path()))
            .current_dir(folder.path()),
    );
    let licences = text(folder.path().join(name()).join("THIRD-PARTY.txt"));
    for linked in ["hyper", "prometheus", "reqwest", "ring", "rustls", "tokio"] {
        assert!(
            licences
                .lines()
                .any(|line| line.starts_with(&format!("{linked} "))),
            "{linked}"
        );
        assert!(
            licences
                .lines()
                .any(|line| line.split(", ").any(|name| name == linked)),
            "the text of {linked}"
        );
    }
}

#[test]
fn the_program_tells_nothing_of_the_machine_that_built_it() {
    let program = fs::read(crate::static_program::PROGRAM).unwrap();
    let home = std::env::var("HOME").unwrap();
    for place in [env!("CARGO_MANIFEST_DIR"), &format!("{home}/")] {
        let place = place.as_bytes();
        assert!(
            !program.windows(place.len()).any(|bytes| bytes == place),
            "{}",
            String::from_utf8_lossy(place)
        );
    }
}
