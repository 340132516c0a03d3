//! ConfigMaps of the dashboards, from the kustomization and from the commands in `dashboards/README.md`.
//!
//! The dashboards in the ConfigMaps must be identical to the files.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::overlays::{Overlay, RELEASES, kubectl, parse_objects, render, with_operator};
use crate::tools::{files, read, run_ok, shell, tool};

/// Maximum total size of annotations; `kubectl apply` stores the applied object in one.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// Reads the dashboard files, by name.
fn dashboard_files() -> BTreeMap<String, String> {
    let files = files("dashboards", ".json").into_iter();
    files
        .map(|file| {
            (
                file.file_name().unwrap().to_str().unwrap().to_owned(),
                read(&file),
            )
        })
        .collect()
}

/// Returns the data of ConfigMaps.
fn data<'a>(maps: impl Iterator<Item = &'a Value>) -> BTreeMap<String, String> {
    let entries = maps.flat_map(|map| map["data"].as_object().unwrap());
    entries
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn config_maps_are_identical_to_the_files() {
    for overlay in with_operator() {
        // The remaining ConfigMap is the file of accounts.
        let maps = || {
            overlay
                .all("ConfigMap")
                .filter(|map| map["data"]["accounts.yml"].is_null())
        };
        assert_eq!(data(maps()), dashboard_files(), "{}", overlay.name);
        for map in maps() {
            assert_eq!(
                map["data"].as_object().unwrap().len(),
                1,
                "one dashboard per ConfigMap"
            );
            assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        }
    }
}

#[test]
fn config_maps_are_small_enough_for_kubectl_apply() {
    for map in Overlay::named("hardened").all("ConfigMap") {
        let bytes = map.to_string().len();
        assert!(
            bytes < MAX_ANNOTATION_BYTES * 3 / 4,
            "{bytes} bytes of {}",
            map["metadata"]["name"]
        );
    }
}

#[test]
fn dashboards_folder_renders_on_its_own() {
    for release in RELEASES {
        assert_eq!(
            data(parse_objects(&render(release, "dashboards")).iter()),
            dashboard_files(),
            "{release}"
        );
    }
}

/// Returns the `kubectl create` commands of the README as dry runs, which need no cluster.
fn create_commands() -> Vec<String> {
    let readme = read("dashboards/README.md").replace("\\\n", " ");
    let lines = readme
        .lines()
        .filter(|line| line.starts_with("    kubectl create configmap"))
        .map(str::trim);
    lines
        .map(|line| format!("{line} --dry-run=client --output=json"))
        .collect()
}

#[test]
fn readme_command_creates_the_same_config_map() {
    let commands = create_commands();
    assert_eq!(commands.len(), 1, "{commands:?}");
    for release in RELEASES {
        let program = tool(&format!("kubectl-{release}"))
            .get_program()
            .to_str()
            .unwrap()
            .to_owned();
        let created = run_ok(&mut shell(&commands[0].replacen("kubectl", &program, 1)));
        let created: Value = serde_json::from_str(&created).unwrap();
        assert_eq!(data([&created].into_iter()), dashboard_files(), "{release}");
        assert_label_command(release, &created);
    }
}

/// Asserts that the `kubectl label` command of the README labels this ConfigMap.
fn assert_label_command(release: &str, map: &Value) {
    let readme = read("dashboards/README.md");
    let line = readme
        .lines()
        .find(|line| line.starts_with("    kubectl label"))
        .unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        words[..4],
        [
            "kubectl",
            "label",
            "configmap",
            map["metadata"]["name"].as_str().unwrap()
        ]
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.json");
    std::fs::write(&file, map.to_string()).unwrap();
    let file = format!("--filename={}", file.display());
    let labelled = run_ok(
        kubectl(release)
            .args(["label", "--local", "--output=json", &file])
            .args(&words[4..]),
    );
    let labelled: Value = serde_json::from_str(&labelled).unwrap();
    assert_eq!(labelled["metadata"]["labels"]["grafana_dashboard"], "1");
}
