//! What the manifests promise beside the restricted profile: one process, secrets as files, probes that ask nobody else, names that
//! find each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::overlays::{ALL, Overlay, with_one_account};
use crate::tools::{files, read, read_yaml};

/// The labels that Kubernetes recommends.
const RECOMMENDED: [&str; 4] = [
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
];
const SECRETS: &str = "/etc/ringcentral-exporter/secret";
const USER: u64 = 65_532;

#[test]
fn there_is_one_process_and_never_two_for_a_moment() {
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
fn no_secret_is_shipped_and_none_is_in_a_variable() {
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
            BTreeSet::from(["RC_CLIENT_ID", "RC_CLIENT_SECRET_FILE", "RC_JWT_FILE"])
        );
    }
}

#[test]
fn secrets_are_files_that_only_the_exporters_user_can_read() {
    for overlay in ALL.iter() {
        let spec = &overlay.pod()["spec"];
        let context = &spec["securityContext"];
        assert_eq!(
            [
                &context["runAsUser"],
                &context["runAsGroup"],
                &context["fsGroup"]
            ],
            [&json!(USER); 3]
        );
        let kinds = spec["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| [&volume["secret"], &volume["projected"]]);
        let given = kinds.map(|kinds| kinds.into_iter().find(|kind| !kind.is_null()).unwrap());
        assert!(
            given.into_iter().all(|kind| kind["defaultMode"] == 0o400),
            "{}",
            overlay.name
        );
        let mounts = overlay.container()["volumeMounts"].as_array().unwrap();
        assert!(
            mounts
                .iter()
                .all(|mount| mount["readOnly"] == true && mount["subPath"].is_null()),
            "{}",
            overlay.name
        );
    }
}

/// The keys of the Secret that the pod needs, and where its variables say the files are.
fn secret_of(overlay: &Overlay) -> (BTreeSet<String>, BTreeSet<String>) {
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
    (
        keys,
        items
            .into_iter()
            .map(|(_, path)| format!("{SECRETS}/{path}"))
            .collect(),
    )
}

#[test]
fn the_example_of_the_secret_has_the_keys_that_the_pod_asks_for() {
    let example = read_yaml("deploy/kubernetes/base/secret.example.yaml");
    let keys: BTreeSet<_> = example["stringData"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    for overlay in with_one_account() {
        let (asked, files) = secret_of(overlay);
        assert_eq!(asked, keys, "{}", overlay.name);
        let variables = overlay.container()["env"].as_array().unwrap().iter();
        let told: BTreeSet<_> = variables
            .filter_map(|variable| variable["value"].as_str())
            .map(str::to_owned)
            .collect();
        assert_eq!(told, files, "{}", overlay.name);
    }
    assert!(!read("deploy/kubernetes/base/kustomization.yaml").contains("- secret"));
}

#[test]
fn probes_ask_the_exporter_alone_and_for_a_connection_where_it_may_ask_for_certificates() {
    for (name, ready, healthy) in [
        (
            "minimal",
            json!({"path": "/-/ready", "port": "metrics"}),
            json!({"path": "/-/healthy", "port": "metrics"}),
        ),
        ("hardened", Value::Null, Value::Null),
    ] {
        let container = Overlay::named(name).container();
        let probes = [&container["readinessProbe"], &container["livenessProbe"]];
        assert_eq!(
            probes.map(|probe| &probe["httpGet"]),
            [&ready, &healthy],
            "{name}"
        );
        let connection = if ready.is_null() {
            json!({"port": "metrics"})
        } else {
            Value::Null
        };
        assert_eq!(
            probes.map(|probe| &probe["tcpSocket"]),
            [&connection; 2],
            "{name}"
        );
        assert!(
            container["startupProbe"].is_null(),
            "it is ready in milliseconds"
        );
    }
}

#[test]
fn memory_is_limited_and_cpu_is_not() {
    for overlay in ALL.iter() {
        let wanted =
            json!({"requests": {"cpu": "10m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}});
        assert_eq!(overlay.container()["resources"], wanted, "{}", overlay.name);
    }
}

#[test]
fn every_object_has_the_recommended_labels_and_none_that_the_operator_sets() {
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
                RECOMMENDED.iter().all(|label| labels.contains_key(*label)),
                "{metadata:#}"
            );
            let plain: BTreeSet<_> = labels
                .keys()
                .filter(|label| !label.contains('/'))
                .map(String::as_str)
                .collect();
            assert!(
                plain.is_subset(&BTreeSet::from(["grafana_dashboard", "release"])),
                "{plain:?}"
            );
        }
    }
}

#[test]
fn the_service_finds_the_pod_and_its_port() {
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
                "a selector cannot be changed"
            );
        }
        let port = &overlay.single("Service")["spec"]["ports"][0];
        assert_eq!(
            (&port["name"], &port["targetPort"], &port["port"]),
            (&json!("metrics"), &json!("metrics"), &json!(10_072))
        );
        let own = json!([{"name": "metrics", "containerPort": 10_072, "protocol": "TCP"}]);
        assert_eq!(overlay.container()["ports"], own);
    }
}

#[test]
fn image_and_label_have_the_version_of_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    for overlay in ALL.iter() {
        assert_eq!(
            overlay.container()["image"],
            format!("ringcentral-exporter:{version}")
        );
        assert_eq!(
            overlay.pod()["metadata"]["labels"]["app.kubernetes.io/version"],
            version
        );
    }
}

#[test]
fn the_network_policy_admits_prometheus_and_lets_out_to_names_and_tls_only() {
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
    let out = spec["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap());
    let out: Vec<_> = out
        .map(|port| {
            (
                port["port"].as_u64().unwrap(),
                port["protocol"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(out, [(53, "UDP"), (53, "TCP"), (443, "TCP")]);
    let rules = ["ingress", "egress"]
        .into_iter()
        .flat_map(|side| spec[side].as_array().unwrap());
    assert!(
        rules
            .into_iter()
            .all(|rule| rule["from"].is_array() || rule["to"].is_array()),
        "none is for everyone"
    );
}

#[test]
fn the_namespace_of_the_hardened_overlay_admits_restricted_pods_alone() {
    let overlay = Overlay::named("hardened");
    let labels = &overlay.single("Namespace")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let name = &overlay.single("Namespace")["metadata"]["name"];
    let others = overlay
        .objects
        .iter()
        .filter(|object| object["kind"] != "Namespace");
    assert!(
        others
            .into_iter()
            .all(|object| object["metadata"]["namespace"] == *name)
    );
}

#[test]
fn the_example_of_the_web_configuration_names_files_that_are_mounted() {
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
fn every_file_of_the_base_is_used_or_called_an_example() {
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
            let used = kustomization.contains(&format!("- {name}"))
                || kustomization.contains(&format!("path: {name}"));
            assert!(
                used || name == "kustomization.yaml" || name.ends_with(".example.yaml"),
                "{}",
                file.display()
            );
        }
    }
}
