//! Compares the objects of the chart with those of the overlays.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{CHART, RELEASES, example, template};
use crate::overlays::{NAMES, Overlay, parse_objects};
use crate::tools::{read, run_ok, shell};

/// Labels that Helm sets on its objects, and the version, which kustomize sets only on the objects of the base.
/// `image_and_label_have_the_package_version` tests that of the pod.
const LABELS: [&str; 3] = [
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];
/// Name of the ConfigMap with the accounts. kustomize appends a hash of the contents.
const ACCOUNTS: &str = "ringcentral-exporter-accounts";

/// Returns the objects by kind and name, without the accepted differences.
fn comparable(objects: &[Value]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for object in objects {
        // Helm creates the namespace, with `--create-namespace`.
        if object["kind"] == "Namespace" {
            continue;
        }
        let mut object = object.clone();
        normalise_metadata(&mut object["metadata"]);
        normalise_accounts(&mut object);
        if object["kind"] == "Deployment" {
            normalise_pod(&mut object["spec"]["template"]);
        }
        let key = format!("{} {}", object["kind"], object["metadata"]["name"]);
        assert!(found.insert(key, object).is_none());
    }
    found
}

/// Removes the labels of Helm and the namespace, which an overlay of the user sets.
fn normalise_metadata(metadata: &mut Value) {
    let fields = metadata.as_object_mut().unwrap();
    fields.remove("namespace");
    let labels = fields["labels"].as_object_mut().unwrap();
    labels.retain(|label, _| !LABELS.contains(&label.as_str()));
}

/// Removes the hash in the name of the accounts, and the comments and quotes in the file.
fn normalise_accounts(object: &mut Value) {
    let Some(file) = object["data"]["accounts.yml"].as_str() else {
        return;
    };
    object["data"]["accounts.yml"] = serde_saphyr::from_str(file).unwrap();
    assert!(
        object["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with(ACCOUNTS)
    );
    object["metadata"]["name"] = ACCOUNTS.into();
}

/// Sorts lists whose order has no meaning, and removes what replaces the pod after a change of the accounts: kustomize's
/// hash and the chart's checksum.
fn normalise_pod(pod: &mut Value) {
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("checksum/accounts");
    let spec = &mut pod["spec"];
    sort_by_name(&mut spec["volumes"]);
    for list in ["env", "volumeMounts"] {
        sort_by_name(&mut spec["containers"][0][list]);
    }
    for volume in spec["volumes"].as_array_mut().unwrap() {
        if let Some(name) = volume.pointer_mut("/projected/sources/0/configMap/name") {
            assert!(name.as_str().unwrap().starts_with(ACCOUNTS));
            *name = ACCOUNTS.into();
        }
    }
}

/// Sorts a list by the names of its entries.
fn sort_by_name(list: &mut Value) {
    let list = list.as_array_mut().unwrap();
    list.sort_by_key(|entry| entry["name"].to_string());
}

#[test]
fn chart_objects_equal_those_of_each_overlay() {
    for name in NAMES {
        for release in RELEASES {
            let text = run_ok(&mut template(release, CHART, &example(name)));
            let chart = comparable(&parse_objects(&text));
            let overlay = comparable(&Overlay::named(name).objects);
            assert!(
                chart.keys().eq(overlay.keys()),
                "{name}: {:?}",
                chart.keys()
            );
            for (key, object) in &overlay {
                assert_eq!(chart[key], *object, "{key} of {name}, helm {release}");
            }
        }
    }
}

#[test]
fn every_object_has_the_namespace_of_the_release() {
    for name in NAMES {
        for object in &Overlay::named(&format!("helm/{name}")).objects {
            assert_eq!(object["metadata"]["namespace"], super::NAME);
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm");
        }
    }
}

#[test]
fn comparison_finds_a_changed_template() {
    let overlay = comparable(&Overlay::named("hardened").objects);
    for (file, original, replacement) in [
        ("deployment.yaml", "Recreate", "RollingUpdate"),
        ("_helpers.tpl", "tcpSocket", "grpc"),
        ("network-policy.yaml", "port: 443", "port: 80"),
        (
            "rules.yaml",
            "nindent 2",
            "replace \"5m\" \"6m\" | nindent 2",
        ),
        ("dashboards.yaml", "nindent 4", "upper | nindent 4"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let chart = folder.path().join("chart");
        run_ok(&mut shell(&format!("cp -rL {CHART} {}", chart.display())));
        replace(&chart.join("templates").join(file), original, replacement);
        let text = run_ok(&mut template(
            RELEASES[0],
            chart.to_str().unwrap(),
            &example("hardened"),
        ));
        assert_ne!(comparable(&parse_objects(&text)), overlay, "{replacement}");
    }
}

/// Replaces a text in a file, which must contain it.
fn replace(file: &Path, original: &str, replacement: &str) {
    let text = read(file);
    assert!(text.contains(original), "{original}");
    std::fs::write(file, text.replace(original, replacement)).unwrap();
}
