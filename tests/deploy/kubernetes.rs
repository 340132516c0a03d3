//! The Kubernetes manifests: one replica, Secrets as files, probes, resources, labels and network policy.
//!
//! `pod_security` tests the security context.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::overlays::{ALL, Overlay, with_one_account};
use crate::tools::{files, read, read_yaml};

/// Labels that Kubernetes recommends.
const RECOMMENDED_LABELS: [&str; 4] = [
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
];
/// Folder in which the Secret is mounted.
const SECRET_FOLDER: &str = "/etc/ringcentral-exporter/secret";
/// User and group id of the exporter.
const USER_ID: u64 = 65_532;

#[test]
fn deployment_never_runs_two_pods() {
    for overlay in ALL.iter() {
        let spec = &overlay.single("Deployment")["spec"];
        assert_eq!(
            (&spec["replicas"], &spec["strategy"]),
            (&json!(1), &json!({"type": "Recreate"})),
            "{}",
            overlay.name
        );
    }
}

#[test]
fn no_secret_is_shipped_or_in_a_variable() {
    for overlay in ALL.iter() {
        assert_eq!(overlay.all("Secret").count(), 0, "{}", overlay.name);
        assert!(overlay.container()["envFrom"].is_null());
    }
    for overlay in with_one_account() {
        let container = overlay.container();
        let variables = container["env"].as_array().unwrap();
        let names: BTreeSet<_> = variables
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            BTreeSet::from([
                "RC_CLIENT_ID",
                "RC_CLIENT_SECRET_FILE",
                "RC_JWT_FILE",
                "STATE_DIRECTORY",
            ])
        );
    }
}

#[test]
fn secret_files_are_readable_only_by_the_exporter() {
    for overlay in ALL.iter() {
        let spec = &overlay.pod()["spec"];
        let context = &spec["securityContext"];
        assert_eq!(
            [
                &context["runAsUser"],
                &context["runAsGroup"],
                &context["fsGroup"]
            ],
            [&json!(USER_ID); 3]
        );
        let volumes = spec["volumes"].as_array().unwrap().iter();
        let kinds = volumes
            .filter(|volume| volume["name"] != "state")
            .map(|volume| [&volume["secret"], &volume["projected"]]);
        let mut secret_volumes =
            kinds.map(|kinds| kinds.into_iter().find(|kind| !kind.is_null()).unwrap());
        assert!(
            secret_volumes.all(|kind| kind["defaultMode"] == 0o400),
            "{}",
            overlay.name
        );
        let mounts = overlay.container()["volumeMounts"].as_array().unwrap();
        assert!(
            mounts
                .iter()
                .filter(|mount| mount["name"] != "state")
                .all(|mount| mount["readOnly"] == true && mount["subPath"].is_null()),
            "{}",
            overlay.name
        );
    }
}

/// References of a pod to its Secret.
struct SecretReferences {
    /// Keys that the pod requires.
    keys: BTreeSet<String>,
    /// Paths of the mounted files.
    files: BTreeSet<String>,
}

/// Returns the references of the pod to its Secret.
fn secret_references(overlay: &Overlay) -> SecretReferences {
    let spec = &overlay.pod()["spec"];
    let volumes = spec["volumes"].as_array().unwrap().iter();
    let items =
        volumes.flat_map(|volume| volume["secret"]["items"].as_array().into_iter().flatten());
    let items: Vec<_> = items
        .map(|item| (&item["key"], item["path"].as_str().unwrap()))
        .collect();
    let variables = overlay.container()["env"].as_array().unwrap();
    let id = variables
        .iter()
        .map(|variable| &variable["valueFrom"]["secretKeyRef"]["key"]);
    let keys = id
        .chain(items.iter().map(|(key, _)| *key))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let files = items
        .into_iter()
        .map(|(_, path)| format!("{SECRET_FOLDER}/{path}"))
        .collect();
    SecretReferences { keys, files }
}

#[test]
fn example_secret_has_the_keys_of_the_pod() {
    let example = read_yaml("deploy/kubernetes/base/secret.example.yaml");
    let keys: BTreeSet<_> = example["stringData"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    for overlay in with_one_account() {
        let references = secret_references(overlay);
        assert_eq!(references.keys, keys, "{}", overlay.name);
        let variables = overlay.container()["env"].as_array().unwrap().iter();
        let paths: BTreeSet<_> = variables
            .filter(|variable| variable["name"] != "STATE_DIRECTORY")
            .filter_map(|variable| variable["value"].as_str())
            .map(str::to_owned)
            .collect();
        assert_eq!(paths, references.files, "{}", overlay.name);
    }
    assert!(!read("deploy/kubernetes/base/kustomization.yaml").contains("- secret"));
}

#[test]
fn probes_use_tcp_where_client_certs_may_be_required() {
    for (name, ready, healthy) in [
        (
            "minimal",
            json!({"path": "/-/ready", "port": "metrics"}),
            json!({"path": "/-/healthy", "port": "metrics"}),
        ),
        ("hardened", Value::Null, Value::Null),
    ] {
        let container = Overlay::named(name).container();
        let probes =
            ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| &container[name]);
        assert_eq!(
            probes.map(|probe| &probe["httpGet"]),
            [&ready, &ready, &healthy],
            "{name}"
        );
        let tcp_probe = if ready.is_null() {
            json!({"port": "metrics"})
        } else {
            Value::Null
        };
        assert_eq!(
            probes.map(|probe| &probe["tcpSocket"]),
            [&tcp_probe; 3],
            "{name}"
        );
        assert_eq!(container["startupProbe"]["periodSeconds"], 1, "{name}");
    }
}

#[test]
fn only_memory_is_limited() {
    for overlay in ALL.iter() {
        let expected =
            json!({"requests": {"cpu": "10m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}});
        assert_eq!(
            overlay.container()["resources"],
            expected,
            "{}",
            overlay.name
        );
    }
}

#[test]
fn objects_have_recommended_labels_and_no_others() {
    for overlay in ALL.iter() {
        let objects = overlay
            .objects
            .iter()
            .filter(|object| object["kind"] != "Namespace");
        for metadata in objects
            .map(|object| &object["metadata"])
            .chain([&overlay.pod()["metadata"]])
        {
            let labels = metadata["labels"].as_object().unwrap();
            assert!(
                RECOMMENDED_LABELS
                    .iter()
                    .all(|label| labels.contains_key(*label)),
                "{metadata:#}"
            );
            let unprefixed: BTreeSet<_> = labels
                .keys()
                .filter(|label| !label.contains('/'))
                .map(String::as_str)
                .collect();
            assert!(
                unprefixed.is_subset(&BTreeSet::from(["grafana_dashboard", "release"])),
                "{unprefixed:?}"
            );
        }
    }
}

#[test]
fn service_selects_the_pod_and_its_port() {
    for overlay in ALL.iter() {
        let labels = overlay.pod()["metadata"]["labels"].as_object().unwrap();
        let selectors = [
            &overlay.single("Service")["spec"]["selector"],
            &overlay.single("Deployment")["spec"]["selector"]["matchLabels"],
        ];
        for (label, value) in selectors
            .into_iter()
            .flat_map(|selector| selector.as_object().unwrap())
        {
            assert_eq!(labels.get(label), Some(value), "{}", overlay.name);
            assert_ne!(
                label, "app.kubernetes.io/version",
                "a selector is immutable"
            );
        }
        let port = &overlay.single("Service")["spec"]["ports"][0];
        assert_eq!(
            (&port["name"], &port["targetPort"], &port["port"]),
            (&json!("metrics"), &json!("metrics"), &json!(10_072))
        );
        let ports = json!([{"name": "metrics", "containerPort": 10_072, "protocol": "TCP"}]);
        assert_eq!(overlay.container()["ports"], ports);
    }
}

#[test]
fn image_and_label_have_the_package_version() {
    let version = env!("CARGO_PKG_VERSION");
    for overlay in ALL.iter() {
        // The chart has the image of a release, an overlay of the user sets its own.
        let registry = if overlay.name.starts_with("helm/") {
            "ghcr.io/ringcentral-exporter/"
        } else {
            ""
        };
        assert_eq!(
            overlay.container()["image"],
            format!("{registry}ringcentral-exporter:{version}")
        );
        assert_eq!(
            overlay.pod()["metadata"]["labels"]["app.kubernetes.io/version"],
            version
        );
    }
}

#[test]
fn network_policy_allows_only_metrics_dns_and_https() {
    let spec = &Overlay::named("hardened").single("NetworkPolicy")["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        spec["podSelector"],
        Overlay::named("hardened").single("Deployment")["spec"]["selector"]
    );
    assert_eq!(
        spec["ingress"][0]["ports"],
        json!([{"port": "metrics", "protocol": "TCP"}])
    );
    let ports = spec["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap());
    let ports: Vec<_> = ports
        .map(|port| {
            (
                port["port"].as_u64().unwrap(),
                port["protocol"].as_str().unwrap(),
            )
        })
        .collect();
    let name_servers = [(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")];
    assert_eq!(ports, [&name_servers[..], &[(443, "TCP")]].concat());
    let mut rules = ["ingress", "egress"]
        .into_iter()
        .flat_map(|direction| spec[direction].as_array().unwrap());
    assert!(
        rules.all(|rule| rule["from"].is_array() || rule["to"].is_array()),
        "every rule has a peer"
    );
}

#[test]
fn hardened_namespace_enforces_restricted_pods() {
    let overlay = Overlay::named("hardened");
    let labels = &overlay.single("Namespace")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let name = &overlay.single("Namespace")["metadata"]["name"];
    let mut others = overlay
        .objects
        .iter()
        .filter(|object| object["kind"] != "Namespace");
    assert!(others.all(|object| object["metadata"]["namespace"] == *name));
}

#[test]
fn example_web_config_refers_to_mounted_files() {
    let container = Overlay::named("hardened").container();
    let mounts = container["volumeMounts"].as_array().unwrap().iter();
    let mounts: BTreeMap<_, _> = mounts
        .map(|mount| (mount["name"].as_str().unwrap(), &mount["mountPath"]))
        .collect();
    assert_eq!(
        [mounts["web"], mounts["tls"]],
        [
            "/etc/ringcentral-exporter/web",
            "/etc/ringcentral-exporter/tls"
        ]
    );
    let argument = "--web.config.file=/etc/ringcentral-exporter/web/web.yaml";
    assert!(
        container["args"]
            .as_array()
            .unwrap()
            .contains(&json!(argument))
    );
    let example = read_yaml("deploy/kubernetes/components/web-tls/web.example.yaml");
    let server = &example["tls_server_config"];
    assert_eq!(
        [&server["cert_file"], &server["key_file"]],
        ["../tls/tls.crt", "../tls/tls.key"]
    );
}

#[test]
fn every_manifest_is_used_or_an_example() {
    let components = std::fs::read_dir("deploy/kubernetes/components")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let folders = components
        .map(|path| path.to_str().unwrap().to_owned())
        .filter(|path| !path.ends_with("/dashboards"));
    for folder in folders.chain(["deploy/kubernetes/base".to_owned()]) {
        let kustomization = read(format!("{folder}/kustomization.yaml"));
        for file in files(&folder, ".yaml") {
            let name = file.file_name().unwrap().to_str().unwrap();
            let is_used = kustomization.contains(&format!("- {name}"))
                || kustomization.contains(&format!("path: {name}"));
            assert!(
                is_used || name == "kustomization.yaml" || name.ends_with(".example.yaml"),
                "{}",
                file.display()
            );
        }
    }
}

/// A crash loop must not forget a penalty: the state outlives the container.
#[test]
fn state_directory_is_a_writable_volume() {
    for overlay in ALL.iter() {
        let volumes = overlay.pod()["spec"]["volumes"].as_array().unwrap();
        let state = volumes.iter().find(|volume| volume["name"] == "state");
        assert!(state.unwrap()["emptyDir"].is_object(), "{}", overlay.name);
        let container = overlay.container();
        let mounts = container["volumeMounts"].as_array().unwrap().iter();
        let mount = mounts
            .clone()
            .find(|mount| mount["name"] == "state")
            .unwrap();
        let variables = container["env"].as_array().unwrap().iter();
        let variable = variables
            .clone()
            .find(|variable| variable["name"] == "STATE_DIRECTORY");
        assert_eq!(
            variable.unwrap()["value"],
            mount["mountPath"],
            "{}",
            overlay.name
        );
        assert!(mount["readOnly"].is_null(), "{}", overlay.name);
    }
}
