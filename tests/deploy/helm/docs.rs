//! The README of the chart: its commands, files of values and table; and the notes after an installation.

use serde_json::Value;

use super::values::{defaults, schema};
use super::{CHART, NAME, RELEASES, example, helm, single};
use crate::common::markdown::code_blocks;
use crate::docs::{SECRET_COMMANDS, commands, create_secret, write_secret};
use crate::overlays::{self, Overlay, parse_objects};
use crate::tools::{read, run_ok, shell};

/// README of the chart.
const README: &str = "deploy/helm/README.md";
/// Text before commands that no test runs.
const UNTESTED: &str = "<!-- untested: needs a cluster -->";

/// Runs a helm command of the README as `helm template`, with these values in its folder.
fn run_documented(line: &str, values: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    std::os::unix::fs::symlink(format!("{root}/deploy"), folder.path().join("deploy")).unwrap();
    std::fs::write(folder.path().join("values.yaml"), values).unwrap();
    let words: Vec<_> = line.split(' ').skip(2).collect();
    let program = std::fs::canonicalize(helm(RELEASES[1]).get_program()).unwrap();
    let line = format!("{} template {}", program.display(), words.join(" "));
    parse_objects(&run_ok(shell(&line).current_dir(folder.path())))
}

/// Checks that a Secret of the README has the files that the commands before it wrote.
fn check_secret(secret: &Value) {
    assert_eq!(secret["metadata"]["namespace"], NAME);
    let data = secret["data"].as_object().unwrap();
    let keys: Vec<_> = data.keys().map(String::as_str).collect();
    let expected: &[&str] = match secret["metadata"]["name"].as_str().unwrap() {
        "ringcentral-exporter" => &["client-id", "client-secret", "jwt"],
        "ringcentral-exporter-accounts" => &[
            "acme.client-secret",
            "acme.jwt",
            "globex.client-secret",
            "globex.jwt",
        ],
        "initech" => &["client-secret", "jwt"],
        "ringcentral-exporter-proxy" => &["url"],
        other => panic!("{other} is not tested"),
    };
    assert_eq!(keys, expected);
    let written = [("url", "c2VjcmV0"), ("jwt", "c2VjcmV0Cg==")];
    for (key, value) in written.iter().filter(|(key, _)| data.contains_key(*key)) {
        assert_eq!(data[*key], *value, "{key}");
    }
}

#[test]
fn readme_commands_work_or_are_marked_untested() {
    let blocks = code_blocks(&read(README), "yaml");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), "certificate").unwrap();
    for command in commands(README) {
        let line = command.line.as_str();
        let verb = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        if command.preceding_text == UNTESTED {
            continue;
        }
        match verb.as_str() {
            // Secrets come from the standard input, never from the command.
            verb if SECRET_COMMANDS.contains(&verb) => write_secret(line, folder.path()),
            "kubectl create" => {
                let object = create_secret(line, overlays::RELEASES[0], folder.path());
                match object["kind"].as_str().unwrap() {
                    "Secret" => check_secret(&object),
                    "Namespace" => assert_eq!(object["metadata"]["name"], NAME),
                    _ => assert_eq!(object["data"]["ca.crt"], "certificate"),
                }
            }
            "helm install" | "helm upgrade" | "helm template" => {
                for values in &blocks {
                    assert!(!run_documented(line, values).is_empty(), "{line}");
                }
            }
            _ => panic!("{line} is not tested"),
        }
    }
    assert!(read(README).contains("**Tests have no cluster.**"));
}

#[test]
fn documented_installation_equals_the_minimal_overlay() {
    let commands = commands(README);
    let install = commands
        .iter()
        .find(|command| command.line.starts_with("helm install"));
    let values = &code_blocks(&read(README), "yaml")[0];
    let objects = run_documented(&install.unwrap().line, values);
    let kinds = |objects: &[Value]| {
        let mut kinds: Vec<_> = objects
            .iter()
            .map(|object| object["kind"].to_string())
            .collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&objects), kinds(&Overlay::named("minimal").objects));
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        *image,
        format!("registry.example.com/ringcentral-exporter:{version}")
    );
}

/// Appends the row of each value: its path, default and meaning.
fn add_rows(rows: &mut String, schema: &Value, path: &str, default: &str, defaults: &Value) {
    if let Some(meaning) = schema["description"].as_str() {
        *rows += &format!("| `{path}` | {default} | {meaning} |\n");
    }
    let (object, prefix) = if schema["items"]["properties"].is_object() {
        (&schema["items"], format!("{path}[]."))
    } else if path.is_empty() {
        (schema, String::new())
    } else {
        (schema, format!("{path}."))
    };
    for (name, property) in object["properties"].as_object().into_iter().flatten() {
        let required = object["required"].as_array().into_iter().flatten();
        let default = match default_text(&defaults[name]) {
            text if text.is_empty() && required.into_iter().any(|key| key == name) => {
                "required".to_owned()
            }
            // The values of an object have their own rows.
            _ if property["properties"].is_object() => String::new(),
            text => text,
        };
        let path = format!("{prefix}{name}");
        add_rows(rows, property, &path, &default, &defaults[name]);
    }
}

/// Returns a default for the table. Empty texts, lists and objects have none.
fn default_text(default: &Value) -> String {
    match default {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => format!("`{other}`"),
    }
}

#[test]
fn table_of_values_matches_the_schema() {
    let document = read(README);
    let start = "<!-- generated: values -->\n";
    let (before, rest) = document.split_once(start).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let mut table = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    add_rows(&mut table, &schema(), "", "", &defaults());
    let expected = format!("{before}{start}\n{table}\n<!-- end -->{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(README, expected).unwrap();
        return;
    }
    assert!(
        document == expected,
        "{README} does not match the schema: run make chart-doc"
    );
}

/// Returns the notes after the installation of an example.
fn notes(name: &str) -> String {
    let mut command = helm(RELEASES[1]);
    command.args([
        "install",
        "calls",
        CHART,
        "--namespace",
        "voice",
        "--dry-run=client",
    ]);
    let output = run_ok(command.args(["--values", &example(name)]));
    output.split_once("NOTES:\n").unwrap().1.to_owned()
}

#[test]
fn notes_name_the_objects_and_the_next_steps() {
    let minimal = notes("minimal");
    let name = "--namespace voice deployment/calls-ringcentral-exporter";
    for text in [
        &format!("kubectl rollout status {name}\n"),
        &format!("kubectl exec {name} -- /ringcentral-exporter check\n"),
        "kubectl port-forward --namespace voice service/calls-ringcentral-exporter 10072\n",
        "reads one account.",
        "http://localhost:10072/",
        "calls-ringcentral-exporter.voice.svc:10072",
    ] {
        assert!(minimal.contains(text), "{text} in {minimal}");
    }
    let accounts = notes("accounts");
    let deployment = single(&super::render_example("accounts"), "Deployment");
    let flag = &deployment["spec"]["template"]["spec"]["containers"][0]["args"][2];
    for text in [
        &format!("check {}\n", flag.as_str().unwrap()),
        "reads 2 accounts.",
        "ScrapeConfig",
    ] {
        assert!(accounts.contains(text), "{text} in {accounts}");
    }
    let hardened = notes("hardened");
    for text in [
        "https://localhost:10072/",
        "network policy admits",
        "name: monitoring\n",
    ] {
        assert!(hardened.contains(text), "{text} in {hardened}");
    }
    assert!(!minimal.contains("network policy"), "{minimal}");
}

#[test]
fn readme_names_the_package_of_the_release() {
    let version = env!("CARGO_PKG_VERSION");
    let releases = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/download");
    let package = format!("ringcentral-exporter-{version}.tgz");
    for path in [
        format!("{releases}/v{version}/{package}"),
        format!("target/dist/{package}"),
    ] {
        assert!(read(README).contains(&format!("`{path}`")), "{path}");
    }
}
