//! Files of accounts: the example, the Kubernetes overlay and component, and the exporter reading a mounted file.
//!
//! The modules `compose` and `systemd` test the files of accounts of their deployments.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, command};
use crate::common::get;
use crate::common::markdown::{inline_code, table};
use crate::docs::{ACCOUNTS_SECRET, kustomizations, render_overlay, secret_keys};
use crate::overlays::{Overlay, RELEASES, parse_objects};
use crate::tools::{read, read_yaml};

/// Example of a file of accounts.
pub const EXAMPLE: &str = "deploy/accounts.example.yml";
/// File of accounts of the Kubernetes component.
const KUBERNETES_FILE: &str = "deploy/kubernetes/components/accounts/accounts.yml";
/// Required keys of an account.
const REQUIRED_KEYS: [&str; 4] = ["client_id", "client_secret_file", "jwt_file", "name"];
/// Optional keys of an account.
const OPTIONAL_KEYS: [&str; 6] = [
    "account_id",
    "ca_file",
    "concurrent_calls_limit",
    "level",
    "presence",
    "server_url",
];

/// Returns the accounts of a file.
pub fn accounts(file: &Value) -> &Vec<Value> {
    file["accounts"].as_array().unwrap()
}

/// Returns the secret and certificate files that a file of accounts names.
pub fn referenced_files(file: &Value) -> BTreeSet<String> {
    let fields = accounts(file)
        .iter()
        .flat_map(|account| account.as_object().unwrap());
    let files = fields.filter(|(key, _)| key.ends_with("_file"));
    files
        .map(|(_, path)| path.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn example_has_every_key_and_optional_keys_once() {
    let example = read_yaml(EXAMPLE);
    let mut counts = BTreeMap::<_, usize>::new();
    let keys = accounts(&example)
        .iter()
        .flat_map(|account| account.as_object().unwrap().keys());
    keys.for_each(|key| *counts.entry(key.as_str()).or_default() += 1);
    let required = REQUIRED_KEYS.map(|key| (key, accounts(&example).len()));
    assert_eq!(
        counts,
        required
            .into_iter()
            .chain(OPTIONAL_KEYS.map(|key| (key, 1)))
            .collect()
    );
    let names: BTreeSet<_> = accounts(&example)
        .iter()
        .map(|account| account["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), accounts(&example).len());
}

#[test]
fn accounts_guide_documents_every_key() {
    let rows = table(&read("docs/ACCOUNTS.md"), "key").rows;
    let keys: BTreeSet<_> = rows.iter().flat_map(|row| inline_code(&row[0])).collect();
    assert_eq!(
        keys,
        REQUIRED_KEYS
            .into_iter()
            .chain(OPTIONAL_KEYS)
            .map(str::to_owned)
            .collect()
    );
    let required: BTreeSet<_> = rows
        .iter()
        .filter(|row| row[2] == "required")
        .flat_map(|row| inline_code(&row[0]))
        .collect();
    assert_eq!(required, REQUIRED_KEYS.map(str::to_owned).into());
}

/// Lists what prevents rendered objects from serving only the accounts of their file, with a Secret of these keys.
fn problems(objects: &[Value], keys: &BTreeSet<String>) -> Vec<String> {
    let pod = &objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap()["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let (variables, flags) = (
        string_fields(&container["env"], "name"),
        strings(&container["args"]),
    );
    let leftover = variables.into_iter().filter(|name| name.starts_with("RC_"));
    let leftover = leftover.chain(
        flags
            .iter()
            .copied()
            .filter(|flag| flag.starts_with("--ringcentral.")),
    );
    let mut problems: Vec<_> = leftover
        .map(|name| format!("{name} is still set"))
        .collect();
    let Some(path) = flags
        .iter()
        .find_map(|flag| flag.strip_prefix("--config.file="))
    else {
        return [problems, vec!["--config.file is missing".to_owned()]].concat();
    };
    let mounted = mounted_files(pod, objects, keys);
    let referenced = mounted
        .get(path)
        .map_or_else(BTreeSet::new, |file| referenced_paths(path, file));
    let missing = referenced
        .iter()
        .filter(|file| !mounted.contains_key(*file))
        .map(|file| format!("{file} is missing"));
    problems.extend(missing);
    problems.extend(
        referenced
            .is_empty()
            .then(|| format!("{path} is empty or missing")),
    );
    problems
}

/// Returns the absolute paths that a file of accounts at this path refers to.
fn referenced_paths(path: &str, file: &str) -> BTreeSet<String> {
    let folder = Path::new(path).parent().unwrap();
    let files = referenced_files(&serde_saphyr::from_str(file).unwrap());
    files
        .iter()
        .map(|file| folder.join(file).to_str().unwrap().to_owned())
        .collect()
}

/// Returns the files in the container with their contents; the contents of Secrets are empty.
fn mounted_files(
    pod: &Value,
    objects: &[Value],
    keys: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
        let volume = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|volume| volume["name"] == mount["name"])
            .unwrap();
        for source in volume["projected"]["sources"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let folder = mount["mountPath"].as_str().unwrap();
            files.extend(
                source_files(source, objects, keys)
                    .into_iter()
                    .map(|(key, text)| (format!("{folder}/{key}"), text)),
            );
        }
    }
    files
}

/// Returns the files of a volume source.
fn source_files(
    source: &Value,
    objects: &[Value],
    keys: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    if source["secret"]["name"] == ACCOUNTS_SECRET {
        return keys
            .iter()
            .map(|key| (key.clone(), String::new()))
            .collect();
    }
    let is_source = |object: &&Value| {
        object["kind"] == "ConfigMap" && object["metadata"]["name"] == source["configMap"]["name"]
    };
    let map = objects
        .iter()
        .find(is_source)
        .map(|map| map["data"].as_object().unwrap());
    map.into_iter()
        .flatten()
        .map(|(key, text)| (key.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}

/// Returns a text field of each object in a list.
fn string_fields<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry[field].as_str().unwrap())
        .collect()
}

/// Returns the texts in a list.
fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry.as_str().unwrap())
        .collect()
}

#[test]
fn accounts_overlay_serves_only_the_accounts_of_its_file() {
    let overlay = Overlay::named("accounts");
    assert_eq!(
        problems(&overlay.objects, &secret_keys(ACCOUNTS_SECRET)),
        [""; 0]
    );
    assert!(
        !overlay.text.contains("RC_CLIENT") && !overlay.text.contains("RC_JWT"),
        "no variables of a single account"
    );
    assert_eq!(
        referenced_files(&read_yaml(KUBERNETES_FILE)),
        secret_keys(ACCOUNTS_SECRET),
        "the Secret has exactly the referenced files"
    );
}

/// Returns changes of the Deployment: path, new value and the problem that this causes.
fn mutations() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "env",
            json!([{"name": "RC_CLIENT_ID", "value": "id"}]),
            "RC_CLIENT_ID is still set",
        ),
        (
            "env",
            json!([{"name": "RC_LEVEL", "value": "account"}]),
            "RC_LEVEL is still set",
        ),
        ("args", json!(["serve"]), "--config.file is missing"),
        (
            "args",
            json!(["serve", "--config.file=/accounts.yml"]),
            "/accounts.yml is empty or missing",
        ),
        (
            "args/1",
            json!("--ringcentral.level=account"),
            "--ringcentral.level=account is still set",
        ),
        (
            "volumeMounts/0/mountPath",
            json!("/accounts"),
            "accounts.yml is empty or missing",
        ),
        (
            "volumeMounts/0/name",
            json!("none"),
            "accounts.yml is empty or missing",
        ),
    ]
}

#[test]
fn leftover_account_or_missing_file_is_reported() {
    let shipped = &Overlay::named("accounts").objects;
    let keys = secret_keys(ACCOUNTS_SECRET);
    for (path, value, expected) in mutations() {
        let mut objects = shipped.clone();
        let deployment = objects
            .iter_mut()
            .find(|object| object["kind"] == "Deployment")
            .unwrap();
        let volumes = deployment
            .pointer_mut("/spec/template/spec/volumes")
            .unwrap()
            .as_array_mut()
            .unwrap();
        volumes.push(json!({"name": "none"}));
        let container = deployment
            .pointer_mut("/spec/template/spec/containers/0")
            .unwrap();
        match container.pointer_mut(&format!("/{path}")) {
            Some(field) => *field = value,
            None => container[path] = value,
        }
        let found = problems(&objects, &keys);
        assert!(
            found.iter().any(|problem| problem.ends_with(expected)),
            "{path}: {found:?}"
        );
    }
    for key in &keys {
        let fewer = keys.iter().filter(|other| *other != key).cloned().collect();
        let missing = format!("/etc/ringcentral-exporter/accounts/{key} is missing");
        assert_eq!(problems(shipped, &fewer), [missing]);
    }
}

#[test]
fn custom_overlay_serves_custom_accounts() {
    let file = "accounts: [{name: custom, client_id: id, client_secret_file: custom.secret, jwt_file: custom.jwt}]\n";
    for release in RELEASES {
        let objects = parse_objects(&render_overlay(&kustomizations()[1], file, release));
        let keys = BTreeSet::from(["custom.secret", "custom.jwt"].map(str::to_owned));
        assert_eq!(problems(&objects, &keys), [""; 0]);
        let objects_of_kind = |kind: &str| {
            objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            [
                objects_of_kind("ServiceMonitor").len(),
                objects_of_kind("NetworkPolicy").len()
            ],
            [0, 1]
        );
        let spec = &objects_of_kind("ScrapeConfig")[0]["spec"];
        assert_tls_and_basic_auth(spec);
        let arguments =
            &objects_of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"];
        assert!(
            strings(arguments)
                .contains(&"--web.config.file=/etc/ringcentral-exporter/web/web.yaml")
        );
    }
}

/// Asserts that both clients of a ScrapeConfig use the same TLS and basic auth as the hardened ServiceMonitor.
fn assert_tls_and_basic_auth(spec: &Value) {
    let endpoint = &Overlay::named("hardened").single("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(spec["scheme"], "HTTPS");
    assert!(
        spec["httpSDConfigs"][0]["url"]
            .as_str()
            .unwrap()
            .starts_with("https://")
    );
    for client in [spec, &spec["httpSDConfigs"][0]] {
        assert_eq!(
            [&client["tlsConfig"], &client["basicAuth"]],
            [&endpoint["tlsConfig"], &endpoint["basicAuth"]]
        );
    }
}

/// Renders another overlay with the accounts component.
fn render_with_component(base: &str) -> Vec<Value> {
    let folder = "../ringcentral-exporter/deploy/kubernetes";
    // kustomize updates the generated name in the pod only if both have the same namespace.
    let kustomization = format!(
        "namespace: ringcentral-exporter\nresources: [{folder}/overlays/{base}]\ncomponents: [{folder}/components/accounts]\n"
    );
    parse_objects(&render_overlay(&kustomization, "", RELEASES[0]))
}

/// Returns the objects other than the Deployment and the file of accounts, without their namespace.
fn other_objects(objects: &[Value]) -> Vec<Value> {
    let is_unrelated = |object: &&Value| {
        object["kind"] != "Deployment" && object["data"]["accounts.yml"].is_null()
    };
    let mut others: Vec<_> = objects.iter().filter(is_unrelated).cloned().collect();
    others.iter_mut().for_each(|object| {
        _ = object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace")
    });
    others
}

#[test]
fn component_changes_only_the_exporter_in_overlays() {
    for base in ["hardened", "kube-prometheus-stack", "minimal"] {
        let rendered = render_with_component(base);
        assert_eq!(
            problems(&rendered, &secret_keys(ACCOUNTS_SECRET)),
            [""; 0],
            "{base}"
        );
        assert_eq!(
            other_objects(&rendered),
            other_objects(&Overlay::named(base).objects),
            "{base}"
        );
    }
}

#[test]
fn changed_accounts_change_the_pod_template() {
    let [one, two] = ["accounts: [1]\n", "accounts: [2]\n"].map(|file| {
        let objects = parse_objects(&render_overlay(&kustomizations()[1], file, RELEASES[0]));
        let deployment = objects
            .iter()
            .find(|object| object["kind"] == "Deployment")
            .unwrap();
        deployment["spec"]["template"].to_string()
    });
    assert_ne!(one, two);
}

/// Creates a folder as the kubelet does: each file is a link through `..data`, which the kubelet replaces atomically.
pub fn create_mounted_folder(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir(folder.join("..2026")).unwrap();
    symlink("..2026", folder.join("..data")).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join("..2026").join(name), content).unwrap();
        symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
    }
}

/// Returns the example with a simulated account and an account with invalid credentials.
fn accounts_file_for(simulator: &Simulator) -> String {
    let entry = |id: &str| format!("client_id: {id}\n    server_url: {}", simulator.url());
    read(KUBERNETES_FILE)
        .replace(
            "client_id: CLIENT-ID-OF-ACMES-APP",
            &entry(&simulator.client_id()),
        )
        .replace("client_id: CLIENT-ID-OF-GLOBEX-APP", &entry("unknown"))
}

#[tokio::test]
async fn exporter_reads_mounted_accounts_and_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, Scenario::normal(), 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = accounts_file_for(&simulator);
    let (secret, jwt) = (simulator.client_secret(), simulator.jwt());
    let valid = [
        ("acme.client-secret", secret.as_str()),
        ("acme.jwt", jwt.as_str()),
    ];
    let invalid = [("globex.client-secret", "wrong"), ("globex.jwt", "wrong")];
    create_mounted_folder(
        folder.path(),
        &[&[("accounts.yml", file.as_str())][..], &valid, &invalid].concat(),
    );
    let path = folder.path().join("accounts.yml");
    let flags = [
        "serve",
        "--web.listen-address=127.0.0.1:0",
        "--config.file",
        path.to_str().unwrap(),
    ];
    let mut exporter = ExporterProcess::start(command(&flags));
    let metrics = get(&format!("{}/metrics", exporter.wait_for_url().await)).await;
    for line in [
        "ringcentral_up{account=\"acme\"} 1",
        "ringcentral_up{account=\"globex\"} 0",
    ] {
        assert!(
            metrics.lines().any(|sample| sample == line),
            "{line} in {metrics}"
        );
    }
}
