//! The SBOMs: the packages in the static programs, by the schema of CycloneDX.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::archive::{RELEASE, archive_name};
use crate::tools::{all_output, read, run, run_ok, tool};

/// Python program that validates a file with the schema of CycloneDX 1.5.
const VALIDATE: &str = "import sys\n\
    from cyclonedx.schema import SchemaVersion\n\
    from cyclonedx.validation.json import JsonStrictValidator\n\
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())\n\
    sys.exit(str(error) if error else 0)\n";

/// Returns the path of an SBOM.
fn path(architecture: &str) -> PathBuf {
    RELEASE
        .path()
        .join(archive_name(architecture) + ".cdx.json")
}

/// Creates a command that validates a file.
fn validate(file: PathBuf) -> Command {
    let mut command = tool("python3");
    command.args(["-c", VALIDATE]).arg(file);
    command
}

/// Returns the names and versions of the packages that cargo links into a program.
fn linked_packages(architecture: &str) -> BTreeSet<String> {
    let target = format!("{architecture}-unknown-linux-musl");
    let tree = run_ok(Command::new(env!("CARGO")).args([
        "tree",
        "--locked",
        "--offline",
        "--target",
        &target,
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]));
    let lines = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    lines
        .filter(|line| !line.starts_with("ringcentral-exporter "))
        .collect()
}

#[test]
fn sbom_lists_exactly_the_linked_packages() {
    for architecture in ["x86_64", "aarch64"] {
        let sbom: Value = serde_json::from_str(&read(path(architecture))).unwrap();
        let mut listed = BTreeSet::new();
        for component in sbom["components"].as_array().unwrap() {
            let [name, version, purl] =
                ["name", "version", "purl"].map(|key| component[key].as_str().unwrap());
            assert!(
                purl.starts_with(&format!("pkg:cargo/{name}@{version}")),
                "{purl}"
            );
            assert!(!component["licenses"][0].is_null(), "{name}");
            let hash = component["hashes"][0]["content"].as_str().unwrap();
            assert!(
                read("Cargo.lock").contains(&format!("checksum = \"{hash}\"")),
                "{name}"
            );
            listed.insert(format!("{name} v{version}"));
        }
        assert_eq!(listed, linked_packages(architecture));
        assert_eq!(
            sbom["metadata"]["component"]["version"],
            env!("CARGO_PKG_VERSION")
        );
    }
}

#[test]
fn sbom_is_valid_and_names_no_folder_of_this_machine() {
    for architecture in ["x86_64", "aarch64"] {
        run_ok(&mut validate(path(architecture)));
        let text = read(path(architecture));
        assert!(
            !text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("file:"),
            "{text}"
        );
    }
}

#[test]
fn sbom_with_an_unknown_hash_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sbom.json");
    let text = read(path("x86_64")).replacen("\"SHA-256\"", "\"SHA-255\"", 1);
    std::fs::write(&file, text).unwrap();
    let output = run(&mut validate(file));
    assert!(
        all_output(&output).contains("'SHA-255' is not one of"),
        "{}",
        all_output(&output)
    );
}
