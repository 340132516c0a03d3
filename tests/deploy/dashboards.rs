//! The dashboards as ConfigMaps: by the kustomization beside them, and by the commands of their README. Neither may change a byte.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::overlays::{Overlay, RELEASES, kubectl, objects, rendered, with_operator};
use crate::tools::{files, installed, printed, shell, text};

/// `kubectl apply` keeps what it applied in an annotation, and annotations may have this many bytes in all.
const ANNOTATIONS: usize = 256 * 1024;

/// The dashboards by the names of their files.
fn shipped() -> BTreeMap<String, String> {
    let files = files("dashboards", ".json").into_iter();
    files
        .map(|file| {
            (
                file.file_name().unwrap().to_str().unwrap().to_owned(),
                text(&file),
            )
        })
        .collect()
}

/// What is in these ConfigMaps.
fn data<'a>(maps: impl Iterator<Item = &'a Value>) -> BTreeMap<String, String> {
    let entries = maps.flat_map(|map| map["data"].as_object().unwrap());
    entries
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn each_dashboard_is_a_config_map_byte_for_byte() {
    for overlay in with_operator() {
        // The other one is the file of accounts.
        let maps = || {
            overlay
                .all("ConfigMap")
                .filter(|map| map["data"]["accounts.yml"].is_null())
        };
        assert_eq!(data(maps()), shipped(), "{}", overlay.name);
        for map in maps() {
            assert_eq!(map["data"].as_object().unwrap().len(), 1, "one each");
            assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        }
    }
}

#[test]
fn each_is_small_enough_for_kubectl_apply() {
    for map in Overlay::of("hardened").all("ConfigMap") {
        let bytes = map.to_string().len();
        assert!(
            bytes < ANNOTATIONS * 3 / 4,
            "{bytes} bytes of {}",
            map["metadata"]["name"]
        );
    }
}

#[test]
fn the_folder_of_the_dashboards_renders_by_itself() {
    for release in RELEASES {
        assert_eq!(
            data(objects(&rendered(release, "dashboards")).iter()),
            shipped(),
            "{release}"
        );
    }
}

/// The commands in the README, made to print what they would create. Kubectl needs a cluster for anything but that.
fn commands() -> Vec<String> {
    let readme = text("dashboards/README.md").replace("\\\n", " ");
    let lines = readme
        .lines()
        .filter(|line| line.starts_with("    kubectl create configmap"))
        .map(str::trim);
    lines
        .map(|line| format!("{line} --dry-run=client --output=json"))
        .collect()
}

#[test]
fn the_command_of_the_readme_makes_the_same_config_map() {
    let commands = commands();
    assert_eq!(commands.len(), 1, "{commands:?}");
    for release in RELEASES {
        let program = installed(&format!("kubectl-{release}"))
            .get_program()
            .to_str()
            .unwrap()
            .to_owned();
        let made = printed(&mut shell(&commands[0].replacen("kubectl", &program, 1)));
        let made: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(data([&made].into_iter()), shipped(), "{release}");
        label(release, &made);
    }
}

/// The second command of the README, on what the first one made.
fn label(release: &str, map: &Value) {
    let readme = text("dashboards/README.md");
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
    let labelled = printed(
        kubectl(release)
            .args(["label", "--local", "--output=json", &file])
            .args(&words[4..]),
    );
    let labelled: Value = serde_json::from_str(&labelled).unwrap();
    assert_eq!(labelled["metadata"]["labels"]["grafana_dashboard"], "1");
}
