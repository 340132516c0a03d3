//! Many accounts: the example of their file, and what each deployment makes of one.
//!
//! Owns the agreement between a file of accounts, the files that it names and what is mounted, and that the program finds them there.
//! Compose and systemd have theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, command};
use crate::common::get;
use crate::common::markdown::{inline_code, table};
use crate::documents::{ACCOUNTS, kustomizations, overlay, secret_keys};
use crate::overlays::{Overlay, RELEASES, objects};
use crate::tools::{text, yaml};

pub const EXAMPLE: &str = "deploy/accounts.example.yml";
const OF_KUBERNETES: &str = "deploy/kubernetes/components/accounts/accounts.yml";
const NEEDED: [&str; 4] = ["client_id", "client_secret_file", "jwt_file", "name"];
const POSSIBLE: [&str; 5] = [
    "account_id",
    "ca_file",
    "concurrent_calls_limit",
    "level",
    "server_url",
];

/// The accounts of a file.
pub fn accounts(file: &Value) -> &Vec<Value> {
    file["accounts"].as_array().unwrap()
}

/// The files that it names.
pub fn named_files(file: &Value) -> BTreeSet<String> {
    let fields = accounts(file)
        .iter()
        .flat_map(|account| account.as_object().unwrap());
    let files = fields.filter(|(key, _)| key.ends_with("_file"));
    files
        .map(|(_, path)| path.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_example_has_every_key_and_those_that_an_account_may_lack_once() {
    let example = yaml(EXAMPLE);
    let mut times = BTreeMap::<_, usize>::new();
    let keys = accounts(&example)
        .iter()
        .flat_map(|account| account.as_object().unwrap().keys());
    keys.for_each(|key| *times.entry(key.as_str()).or_default() += 1);
    let needed = NEEDED.map(|key| (key, accounts(&example).len()));
    assert_eq!(
        times,
        needed
            .into_iter()
            .chain(POSSIBLE.map(|key| (key, 1)))
            .collect()
    );
    let names: BTreeSet<_> = accounts(&example)
        .iter()
        .map(|account| account["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), accounts(&example).len());
}

#[test]
fn the_guide_has_every_key_of_the_example() {
    let rows = table(&text("docs/ACCOUNTS.md"), "key").rows;
    let keys: BTreeSet<_> = rows.iter().flat_map(|row| inline_code(&row[0])).collect();
    assert_eq!(
        keys,
        NEEDED
            .into_iter()
            .chain(POSSIBLE)
            .map(str::to_owned)
            .collect()
    );
    let needed: BTreeSet<_> = rows
        .iter()
        .filter(|row| row[2] == "needed")
        .flat_map(|row| inline_code(&row[0]))
        .collect();
    assert_eq!(needed, NEEDED.map(str::to_owned).into());
}

/// Where what is rendered would not serve the accounts of its file, with a Secret of these keys.
fn problems(objects: &[Value], keys: &BTreeSet<String>) -> Vec<String> {
    let pod = &objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap()["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let (variables, flags) = (
        words(&container["env"], "name"),
        strings(&container["args"]),
    );
    let left = variables.into_iter().filter(|name| name.starts_with("RC_"));
    let left = left.chain(
        flags
            .iter()
            .copied()
            .filter(|flag| flag.starts_with("--ringcentral.")),
    );
    let mut problems: Vec<_> = left.map(|name| format!("{name} is left")).collect();
    let Some(path) = flags
        .iter()
        .find_map(|flag| flag.strip_prefix("--config.file="))
    else {
        return [problems, vec!["no file of accounts".to_owned()]].concat();
    };
    let mounted = mounted(pod, objects, keys);
    let wanted = mounted
        .get(path)
        .map_or_else(BTreeSet::new, |file| asked_for(path, file));
    let missing = wanted
        .iter()
        .filter(|file| !mounted.contains_key(*file))
        .map(|file| format!("{file} is not there"));
    problems.extend(missing);
    problems.extend(
        wanted
            .is_empty()
            .then(|| format!("{path} is empty or not there")),
    );
    problems
}

/// The files that a file of accounts at this path asks for.
fn asked_for(path: &str, file: &str) -> BTreeSet<String> {
    let folder = Path::new(path).parent().unwrap();
    let files = named_files(&serde_saphyr::from_str(file).unwrap());
    files
        .iter()
        .map(|file| folder.join(file).to_str().unwrap().to_owned())
        .collect()
}

/// The files that the container sees, and what is in them as far as it is known here.
fn mounted(pod: &Value, objects: &[Value], keys: &BTreeSet<String>) -> BTreeMap<String, String> {
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
                given(source, objects, keys)
                    .into_iter()
                    .map(|(key, text)| (format!("{folder}/{key}"), text)),
            );
        }
    }
    files
}

/// The keys of a source of a volume.
fn given(source: &Value, objects: &[Value], keys: &BTreeSet<String>) -> BTreeMap<String, String> {
    if source["secret"]["name"] == ACCOUNTS {
        return keys
            .iter()
            .map(|key| (key.clone(), String::new()))
            .collect();
    }
    let is_it = |object: &&Value| {
        object["kind"] == "ConfigMap" && object["metadata"]["name"] == source["configMap"]["name"]
    };
    let map = objects
        .iter()
        .find(is_it)
        .map(|map| map["data"].as_object().unwrap());
    map.into_iter()
        .flatten()
        .map(|(key, text)| (key.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}

fn words<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry[field].as_str().unwrap())
        .collect()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry.as_str().unwrap())
        .collect()
}

#[test]
fn the_overlay_for_accounts_serves_its_file_with_the_secret_of_the_readme_and_no_other_account() {
    let overlay = Overlay::of("accounts");
    assert_eq!(problems(&overlay.objects, &secret_keys(ACCOUNTS)), [""; 0]);
    assert!(
        !overlay.text.contains("RC_CLIENT") && !overlay.text.contains("RC_JWT"),
        "not even elsewhere"
    );
    assert_eq!(
        named_files(&yaml(OF_KUBERNETES)),
        secret_keys(ACCOUNTS),
        "and the Secret has no key too many"
    );
}

/// A place in the Deployment, what is written there, and what that breaks.
fn mutations() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "env",
            json!([{"name": "RC_CLIENT_ID", "value": "id"}]),
            "RC_CLIENT_ID is left",
        ),
        (
            "env",
            json!([{"name": "RC_LEVEL", "value": "account"}]),
            "RC_LEVEL is left",
        ),
        ("args", json!(["serve"]), "no file of accounts"),
        (
            "args",
            json!(["serve", "--config.file=/accounts.yml"]),
            "/accounts.yml is empty or not there",
        ),
        (
            "args/1",
            json!("--ringcentral.level=account"),
            "--ringcentral.level=account is left",
        ),
        (
            "volumeMounts/0/mountPath",
            json!("/accounts"),
            "accounts.yml is empty or not there",
        ),
        (
            "volumeMounts/0/name",
            json!("none"),
            "accounts.yml is empty or not there",
        ),
    ]
}

#[test]
fn an_account_that_is_left_and_a_file_that_is_not_mounted_are_found() {
    let (shipped, keys) = (&Overlay::of("accounts").objects, secret_keys(ACCOUNTS));
    for (place, value, broken) in mutations() {
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
        match container.pointer_mut(&format!("/{place}")) {
            Some(field) => *field = value,
            None => container[place] = value,
        }
        let found = problems(&objects, &keys);
        assert!(
            found.iter().any(|problem| problem.ends_with(broken)),
            "{place}: {found:?}"
        );
    }
    for key in &keys {
        let fewer = keys.iter().filter(|other| *other != key).cloned().collect();
        let missing = format!("/etc/ringcentral-exporter/accounts/{key} is not there");
        assert_eq!(problems(shipped, &fewer), [missing]);
    }
}

#[test]
fn the_overlay_of_one_s_own_with_one_s_own_accounts_is_as_the_readme_has_it() {
    let file = "accounts: [{name: mine, client_id: id, client_secret_file: mine.secret, jwt_file: mine.jwt}]\n";
    for release in RELEASES {
        let objects = objects(&overlay(&kustomizations()[1], file, release));
        let keys = BTreeSet::from(["mine.secret", "mine.jwt"].map(str::to_owned));
        assert_eq!(problems(&objects, &keys), [""; 0]);
        let found = |kind: &str| {
            objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            [found("ServiceMonitor").len(), found("NetworkPolicy").len()],
            [0, 1]
        );
        let spec = &found("ScrapeConfig")[0]["spec"];
        over_tls_with_login(spec);
        let arguments =
            &found("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"];
        assert!(
            strings(arguments)
                .contains(&"--web.config.file=/etc/ringcentral-exporter/web/web.yaml")
        );
    }
}

/// Both clients of a ScrapeConfig know the certificate and the password, as the ServiceMonitor of the hardened overlay does.
fn over_tls_with_login(spec: &Value) {
    let endpoint = &Overlay::of("hardened").only("ServiceMonitor")["spec"]["endpoints"][0];
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

/// An overlay with the component, and nothing else.
fn with_component(base: &str) -> Vec<Value> {
    let folder = "../ringcentral-exporter/deploy/kubernetes";
    // Without a namespace the generated name would not reach a pod that has one.
    let kustomization = format!(
        "namespace: ringcentral-exporter\nresources: [{folder}/overlays/{base}]\ncomponents: [{folder}/components/accounts]\n"
    );
    objects(&overlay(&kustomization, "", RELEASES[0]))
}

/// What is neither the exporter nor its accounts, wherever it is.
fn others(objects: &[Value]) -> Vec<Value> {
    let is_other = |object: &&Value| {
        object["kind"] != "Deployment" && object["data"]["accounts.yml"].is_null()
    };
    let mut others: Vec<_> = objects.iter().filter(is_other).cloned().collect();
    others.iter_mut().for_each(|object| {
        _ = object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace")
    });
    others
}

#[test]
fn the_component_stands_on_every_other_overlay_and_leaves_the_rest_as_it_was() {
    for base in ["hardened", "kube-prometheus-stack", "minimal"] {
        let with = with_component(base);
        assert_eq!(problems(&with, &secret_keys(ACCOUNTS)), [""; 0], "{base}");
        assert_eq!(others(&with), others(&Overlay::of(base).objects), "{base}");
    }
}

#[test]
fn other_accounts_have_another_name_so_that_the_pod_is_replaced() {
    let [one, two] = ["accounts: [1]\n", "accounts: [2]\n"].map(|file| {
        let objects = objects(&overlay(&kustomizations()[1], file, RELEASES[0]));
        let deployment = objects
            .iter()
            .find(|object| object["kind"] == "Deployment")
            .unwrap();
        deployment["spec"]["template"].to_string()
    });
    assert_ne!(one, two);
}

/// A folder as the kubelet mounts it: each file is a link, through a link that it exchanges at once when one has changed.
fn mount(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir(folder.join("..2026")).unwrap();
    symlink("..2026", folder.join("..data")).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join("..2026").join(name), content).unwrap();
        symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
    }
}

/// The example, for a simulated account: one that is right, and one that no login helps.
fn for_simulator(account: &Simulator) -> String {
    let entry = |id: &str| format!("client_id: {id}\n    server_url: {}", account.url());
    text(OF_KUBERNETES)
        .replace(
            "client_id: CLIENT-ID-OF-ACMES-APP",
            &entry(&account.client_id()),
        )
        .replace("client_id: CLIENT-ID-OF-GLOBEX-APP", &entry("unknown"))
}

#[tokio::test]
async fn the_program_reads_the_file_and_its_secrets_as_they_are_mounted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let account = Simulator::start(listener, Scenario::normal(), 1).unwrap();
    let (folder, file) = (tempfile::tempdir().unwrap(), for_simulator(&account));
    let (secret, jwt) = (account.client_secret(), account.jwt());
    let right = [
        ("acme.client-secret", secret.as_str()),
        ("acme.jwt", jwt.as_str()),
    ];
    let wrong = [("globex.client-secret", "wrong"), ("globex.jwt", "wrong")];
    mount(
        folder.path(),
        &[&[("accounts.yml", file.as_str())][..], &right, &wrong].concat(),
    );
    let path = folder.path().join("accounts.yml");
    let flags = [
        "serve",
        "--web.listen-address=127.0.0.1:0",
        "--config.file",
        path.to_str().unwrap(),
    ];
    let mut program = ExporterProcess::start(command(&flags));
    let scraped = get(&format!("{}/metrics", program.wait_for_url().await)).await;
    for line in [
        "ringcentral_up{account=\"acme\"} 1",
        "ringcentral_up{account=\"globex\"} 0",
    ] {
        assert!(
            scraped.lines().any(|scraped| scraped == line),
            "{line} in {scraped}"
        );
    }
}
