//! Kubernetes' own schemas, strictly: a field that a release does not know is an error.
//!
//! The operator's objects are not among them: `operator` looks at those.

use std::path::Path;

use serde_json::Value;

use crate::overlays::{ALL, Overlay};
use crate::tools::{all_output, run, tool};

/// The oldest that kubectl of `overlays::RELEASES` is for, one between, and a new one.
const RELEASES: [&str; 3] = ["1.28", "1.33", "1.37"];
const OPERATOR: &str = "monitoring.coreos.com/";

/// What the validator says of a file, line by line, and whether it is content.
fn verdict(file: &Path, release: &str) -> (bool, String) {
    let output = run(tool("kubernetes-validate")
        .args(["--strict", "-k", release])
        .arg(file));
    (output.status.success(), all_output(&output))
}

fn validate(overlay: &Overlay, release: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay.yaml");
    std::fs::write(&file, &overlay.text).unwrap();
    let (content, said) = verdict(&file, release);
    assert!(content, "{} in {release}\n{said}", overlay.name);
    let is_foreign = |object: &&Value| object["apiVersion"].as_str().unwrap().starts_with(OPERATOR);
    let (foreign, own): (Vec<_>, Vec<_>) = overlay.objects.iter().partition(is_foreign);
    let passed = format!(" against version {release}");
    assert_eq!(
        said.lines().filter(|line| line.ends_with(&passed)).count(),
        own.len(),
        "{said}"
    );
    let unknown = said
        .lines()
        .filter(|line| line.contains("Couldn't find schema"));
    assert_eq!(
        unknown.filter(|line| line.contains(OPERATOR)).count(),
        foreign.len(),
        "{said}"
    );
    assert_eq!(said.lines().count(), overlay.objects.len(), "{said}");
}

#[test]
fn every_object_is_what_three_releases_of_kubernetes_expect() {
    for overlay in ALL.iter() {
        RELEASES
            .iter()
            .for_each(|release| validate(overlay, release));
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay.yaml");
    let overlay = &Overlay::named("minimal").text;
    let mistakes = [
        ("runAsNonRoot:", "runAsNonroot:"),
        ("periodSeconds: 10", "periodSeconds: ten"),
        ("port: 10072", "prot: 10072"),
    ];
    for (right, wrong) in mistakes {
        assert!(overlay.contains(right), "{right}");
        std::fs::write(&file, overlay.replacen(right, wrong, 1)).unwrap();
        for release in RELEASES {
            assert!(!verdict(&file, release).0, "{wrong} in {release}");
        }
    }
}
