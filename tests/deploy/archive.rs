//! The release archive: its files, checksums and licences, and its reproducibility.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::dead_links;
use crate::tools::{read, run_ok};

/// Files that the archive must contain. All other files are below `dashboards`, `deploy` or `docs`.
const REQUIRED_FILES: [&str; 25] = [
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
    "dashboards/ringcentral-people.json",
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

/// Returns the name of the archive and of its only folder.
fn archive_name() -> String {
    format!(
        "ringcentral-exporter-{}-x86_64-linux",
        env!("CARGO_PKG_VERSION")
    )
}

/// Creates the archive in a folder and returns its path.
fn create_archive(folder: &Path) -> PathBuf {
    run_ok(Command::new("deploy/archive").arg(folder));
    folder.join(format!("{}.tar.gz", archive_name()))
}

/// Returns the relative paths of all files below a folder.
fn list_files(folder: &Path) -> BTreeSet<String> {
    let files = run_ok(
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
fn archive_has_required_files_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let archive = create_archive(folder.path());
    run_ok(
        Command::new("tar")
            .arg("xzf")
            .arg(&archive)
            .current_dir(folder.path()),
    );
    let root = folder.path().join(archive_name());
    let files = list_files(&root);
    let missing: Vec<_> = REQUIRED_FILES
        .iter()
        .filter(|file| !files.contains(**file))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {files:?}");
    for document in files.iter().filter(|file| file.ends_with(".md")) {
        assert_eq!(dead_links(&root, document), [""; 0]);
    }
    let folders = ["dashboards/", "deploy/", "docs/"];
    assert!(
        files
            .iter()
            .all(|file| REQUIRED_FILES.contains(&file.as_str())
                || folders.iter().any(|folder| file.starts_with(folder)))
    );

    let checked = run_ok(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&root),
    );
    assert_eq!(
        checked
            .lines()
            .filter(|line| line.ends_with(": OK"))
            .count(),
        files.len() - 1,
        "every file except SHA256SUMS has a checksum"
    );
    let version = run_ok(
        Command::new(root.join("ringcentral-exporter"))
            .arg("--version")
            .current_dir(&root),
    );
    let expected = format!(
        "ringcentral-exporter {} (revision ",
        env!("CARGO_PKG_VERSION")
    );
    assert!(version.starts_with(&expected), "{version}");
}

#[test]
fn same_program_gives_an_identical_archive() {
    let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let archive = create_archive(first.path());
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(
        fs::read(&archive).unwrap(),
        fs::read(create_archive(second.path())).unwrap()
    );
    let listed = run_ok(
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
        names.iter().all(|name| name.starts_with(&archive_name())),
        "all files are in one folder"
    );
}

#[test]
fn changed_file_fails_the_checksum() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(
        Command::new("tar")
            .arg("xzf")
            .arg(create_archive(folder.path()))
            .current_dir(folder.path()),
    );
    let root = folder.path().join(archive_name());
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
fn archive_has_the_licences_of_dependencies() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(
        Command::new("tar")
            .arg("xzf")
            .arg(create_archive(folder.path()))
            .current_dir(folder.path()),
    );
    let licences = read(folder.path().join(archive_name()).join("THIRD-PARTY.txt"));
    for dependency in ["hyper", "prometheus", "reqwest", "ring", "rustls", "tokio"] {
        assert!(
            licences
                .lines()
                .any(|line| line.starts_with(&format!("{dependency} "))),
            "{dependency}"
        );
        assert!(
            licences
                .lines()
                .any(|line| line.split(", ").any(|name| name == dependency)),
            "licence text of {dependency}"
        );
    }
}

#[test]
fn program_contains_no_paths_of_the_build_machine() {
    let program = fs::read(crate::static_program::PROGRAM).unwrap();
    let home = std::env::var("HOME").unwrap();
    for path in [env!("CARGO_MANIFEST_DIR"), &format!("{home}/")] {
        let path = path.as_bytes();
        assert!(
            !program.windows(path.len()).any(|bytes| bytes == path),
            "{}",
            String::from_utf8_lossy(path)
        );
    }
}
