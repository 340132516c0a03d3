//! Strict validation of the manifests with the Kubernetes schemas: an unknown field is an error.
//!
//! The schemas do not include the objects of the Prometheus operator, which `operator` tests.

use std::path::Path;

use serde_json::Value;

use crate::helm;
use crate::overlays::{ALL, Overlay, parse_objects};
use crate::tools::{all_output, run, tool};

/// Kubernetes releases: the oldest supported, one in between and a recent one.
const RELEASES: [&str; 3] = ["1.28", "1.33", "1.37"];
/// API group of the Prometheus operator.
const OPERATOR: &str = "monitoring.coreos.com/";

/// Result of the validator.
struct Validation {
    /// Whether all objects are valid.
    passed: bool,
    /// One line for each object.
    output: String,
}

/// Validates a file for a release.
fn validate(file: &Path, release: &str) -> Validation {
    let output = run(tool("kubernetes-validate")
        .args(["--strict", "-k", release])
        .arg(file));
    Validation {
        passed: output.status.success(),
        output: all_output(&output),
    }
}

/// Asserts that a rendered text is valid for a release and that the schemas cover every other object.
fn assert_valid(text: &str, release: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, text).unwrap();
    let Validation { passed, output } = validate(&file, release);
    assert!(passed, "{release}\n{output}");
    let objects = parse_objects(text);
    let is_operator_object =
        |object: &&Value| object["apiVersion"].as_str().unwrap().starts_with(OPERATOR);
    let (operator_objects, kubernetes_objects): (Vec<_>, Vec<_>) =
        objects.iter().partition(is_operator_object);
    let valid_suffix = format!(" against version {release}");
    assert_eq!(
        output
            .lines()
            .filter(|line| line.ends_with(&valid_suffix))
            .count(),
        kubernetes_objects.len(),
        "{output}"
    );
    let unknown = output
        .lines()
        .filter(|line| line.contains("Couldn't find schema"));
    assert_eq!(
        unknown.filter(|line| line.contains(OPERATOR)).count(),
        operator_objects.len(),
        "{output}"
    );
    assert_eq!(output.lines().count(), objects.len(), "{output}");
}

#[test]
fn manifests_are_valid_for_three_kubernetes_releases() {
    let all_values = [
        helm::all_values_of_one_account(),
        helm::all_values_of_many_accounts(),
    ];
    let mut texts = all_values.map(|values| helm::render(&values)).to_vec();
    texts.extend(ALL.iter().map(|overlay| overlay.text.clone()));
    // One file, because starting the validator takes longer than its work.
    let text = texts.join("\n---\n");
    for release in RELEASES {
        assert_valid(&text, release);
    }
}

#[test]
fn unknown_field_or_wrong_type_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay.yaml");
    let overlay = &Overlay::named("minimal").text;
    let mutations = [
        ("runAsNonRoot:", "runAsNonroot:"),
        ("periodSeconds: 10", "periodSeconds: ten"),
        ("port: 10072", "prot: 10072"),
    ];
    for (original, replacement) in mutations {
        assert!(overlay.contains(original), "{original}");
        std::fs::write(&file, overlay.replacen(original, replacement, 1)).unwrap();
        for release in RELEASES {
            assert!(
                !validate(&file, release).passed,
                "{replacement} in {release}"
            );
        }
    }
}
