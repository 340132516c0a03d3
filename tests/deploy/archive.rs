//! The files of a release: archives, their files and licences, checksums, and reproducibility.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::docs::dead_links;
use crate::static_program::{ARM64_PROGRAM, PROGRAM};
use crate::tools::{read, run, run_ok};
use crate::workflows::make;

/// Files that the archive must contain. All other files are below `dashboards`, `deploy` or `docs`.
const REQUIRED_FILES: [&str; 26] = [
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SBOM.cdx.json",
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

/// Architectures of the archives.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Files of a release as `make dist` writes them, built once.
pub static RELEASE: LazyLock<TempDir> = LazyLock::new(build_release);

/// Builds the files of a release in a new folder.
fn build_release() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for script in ["deploy/archive", "deploy/debian/package"] {
        run_ok(Command::new(script).arg(folder.path()));
    }
    let dist = format!("DIST={}", folder.path().display());
    run_ok(&mut make(&["checksums", &dist]));
    folder
}

/// Returns the name of an archive and of its only folder.
pub fn archive_name(architecture: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("ringcentral-exporter-{version}-{architecture}-linux")
}

/// Returns the path of an archive.
fn archive(architecture: &str) -> PathBuf {
    RELEASE.path().join(archive_name(architecture) + ".tar.gz")
}

/// Unpacks an archive in a folder and returns the folder of its files.
fn unpack(architecture: &str, folder: &Path) -> PathBuf {
    run_ok(
        Command::new("tar")
            .arg("xzf")
            .arg(archive(architecture))
            .current_dir(folder),
    );
    folder.join(archive_name(architecture))
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
    let root = unpack("x86_64", folder.path());
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
    let first = run_ok(Command::new("cat").arg(RELEASE.path().join("SHA256SUMS")));
    let second = build_release();
    assert_eq!(first, read(second.path().join("SHA256SUMS")));
}

#[test]
fn checksums_name_all_files_of_a_release() {
    let version = env!("CARGO_PKG_VERSION");
    let mut expected = BTreeSet::from(["SHA256SUMS".to_owned()]);
    for architecture in ARCHITECTURES {
        expected.insert(archive_name(architecture) + ".tar.gz");
        expected.insert(archive_name(architecture) + ".cdx.json");
    }
    for architecture in ["amd64", "arm64"] {
        expected.insert(format!(
            "ringcentral-exporter_{version}-1_{architecture}.deb"
        ));
    }
    assert_eq!(list_files(RELEASE.path()), expected);
    let copy = tempfile::tempdir().unwrap();
    run_ok(
        Command::new("cp")
            .arg("-rT")
            .args([RELEASE.path(), copy.path()]),
    );
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(copy.path());
    let checked = run_ok(&mut check);
    assert_eq!(
        checked
            .lines()
            .filter(|line| line.ends_with(": OK"))
            .count(),
        expected.len() - 1
    );
    std::fs::write(copy.path().join(archive_name("x86_64") + ".cdx.json"), "{}").unwrap();
    assert!(!run(&mut check).status.success());
}

#[test]
fn both_archives_contain_the_same_files() {
    let [first, second] = ARCHITECTURES.map(|architecture| {
        let folder = tempfile::tempdir().unwrap();
        let root = unpack(architecture, folder.path());
        let program =
            format!("target/static/{architecture}-unknown-linux-musl/release/ringcentral-exporter");
        assert!(fs::read(root.join("ringcentral-exporter")).unwrap() == fs::read(program).unwrap());
        list_files(&root)
    });
    assert_eq!(first, second);
}

#[test]
fn archive_entries_have_one_time_owner_and_folder() {
    let listed = run_ok(
        Command::new("tar")
            .args([
                "--list",
                "--verbose",
                "--numeric-owner",
                "--full-time",
                "--file",
            ])
            .arg(archive("x86_64")),
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
        names
            .iter()
            .all(|name| name.starts_with(&archive_name("x86_64"))),
        "all files are in one folder"
    );
}

#[test]
fn changed_file_fails_the_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let root = unpack("x86_64", folder.path());
    fs::set_permissions(root.join("README.md"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(root.join("README.md"), "other").unwrap();
    let output = run(Command::new("sha256sum")
        .args(["--check", "SHA256SUMS"])
        .current_dir(&root));
    assert!(!output.status.success());
}

#[test]
fn archive_has_the_licences_of_dependencies() {
    let folder = tempfile::tempdir().unwrap();
    let licences = read(unpack("x86_64", folder.path()).join("THIRD-PARTY.txt"));
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
fn programs_contain_no_paths_of_the_build_machine() {
    let home = std::env::var("HOME").unwrap();
    for program in [PROGRAM, ARM64_PROGRAM] {
        let content = fs::read(program).unwrap();
        for path in [env!("CARGO_MANIFEST_DIR"), &format!("{home}/")] {
            let path = path.as_bytes();
            assert!(
                !content.windows(path.len()).any(|bytes| bytes == path),
                "{program}: {}",
                String::from_utf8_lossy(path)
            );
        }
    }
}
