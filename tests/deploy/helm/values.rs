//! The values of the chart: `values.yaml`, the schema, the effect of each value, and the errors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{CHART, RELEASES, helm, render, single, try_render};
use crate::common::markdown::code_blocks;
use crate::tools::{read, read_yaml, run, run_ok};

/// Name of a Secret.
const SECRET: &str = "some-secret";

/// Reads the schema of the values.
pub fn schema() -> Value {
    serde_json::from_str(&read(format!("{CHART}/values.schema.json"))).unwrap()
}

/// Reads the default values.
pub fn defaults() -> Value {
    read_yaml(format!("{CHART}/values.yaml"))
}

/// Returns the single values of a schema with their descriptions, by path; `[]` is an item of a list. Without `global`,
/// which only a parent chart uses.
pub fn leaves(schema: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    add_leaves(schema, "", &mut found);
    found.remove("global");
    found
}

/// Adds the single values below a schema.
fn add_leaves<'a>(schema: &'a Value, path: &str, found: &mut BTreeMap<String, &'a Value>) {
    let (properties, prefix) = match schema["items"]["properties"].as_object() {
        Some(properties) => (Some(properties), format!("{path}[].")),
        None if path.is_empty() => (schema["properties"].as_object(), String::new()),
        None => (schema["properties"].as_object(), format!("{path}.")),
    };
    let Some(properties) = properties else {
        found.insert(path.to_owned(), schema);
        return;
    };
    for (name, property) in properties {
        add_leaves(property, &format!("{prefix}{name}"), found);
    }
}

/// Calls a function for each schema of an object, list or single value.
fn for_each_schema(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        for_each_schema(property, &format!("{path}.{name}"), visit);
    }
    if schema["items"]["properties"].is_object() {
        for_each_schema(&schema["items"], &format!("{path}[]"), visit);
    }
}

#[test]
fn schema_describes_every_value_and_allows_no_other() {
    for_each_schema(&schema(), "", &mut |path, schema| {
        let is_named = !path.is_empty() && !path.ends_with("[]");
        assert!(!is_named || schema["description"].is_string(), "{path}");
        let has_keys = schema["properties"].is_object();
        assert!(
            !has_keys || schema["additionalProperties"] == false,
            "{path}"
        );
        assert!(schema["type"].is_string(), "{path}");
    });
}

/// A section without lines in `values.yaml` removes the defaults of its values, and the templates fail without a name.
#[test]
fn each_section_that_templates_read_is_required() {
    let schema = schema();
    let required = schema["required"].as_array().unwrap();
    for (name, section) in schema["properties"].as_object().unwrap() {
        // These are copied to the objects as a whole.
        let is_optional = ["podSecurityContext", "resources"].contains(&name.as_str());
        let is_read = section["properties"].is_object() && !is_optional;
        assert_eq!(required.contains(&json!(name)), is_read, "{name}");
    }
}

#[test]
fn defaults_have_exactly_the_values_of_the_schema() {
    let schema = schema();
    let defaults = defaults();
    for path in leaves(&schema).keys() {
        let path = path.split("[]").next().unwrap();
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(
            defaults.pointer(&pointer).is_some(),
            "{path} has no default"
        );
    }
    // The schema rejects every default that it does not have.
    render(&one_account());
}

/// Returns values with one account and every object that it can have.
fn one_account() -> Value {
    json!({
        "account": {"secret": {"name": SECRET}},
        "ca": {"configMap": "company-ca"},
        "state": {"claim": {"create": true}},
        "serviceMonitor": {"enabled": true},
        "rules": {"enabled": true},
        "dashboards": {"enabled": true},
        "networkPolicy": {"enabled": true},
        "webTls": {"enabled": true},
    })
}

/// Returns values with two accounts, of which the second has its own Secret.
fn many_accounts() -> Value {
    json!({
        "accounts": [
            {"name": "acme", "clientId": "id-of-acme"},
            {"name": "globex", "clientId": "id-of-globex", "secret": {"name": "globex-secret"}},
        ],
        "accountsSecret": SECRET,
        "ca": {"configMap": "company-ca"},
        "scrapeConfig": {"enabled": true},
    })
}

/// Returns another value for each path.
fn other_values() -> Map<String, Value> {
    let values = read_yaml("tests/deploy/helm/other_values.yml");
    values.as_object().unwrap().clone()
}

/// Returns whether a value has an effect only with many accounts, or without a claim.
fn is_of_many_accounts(path: &str) -> bool {
    ["accounts", "scrapeConfig", "state.sizeLimit"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// Sets a value; `[]` is the second account, or the first item of another list.
fn set(values: &mut Value, path: &str, new: Value) {
    let path = path.replace("accounts[]", "accounts.1").replace("[]", ".0");
    let mut field = values;
    for part in path.split('.') {
        field = match part.parse::<usize>() {
            Ok(index) => {
                if field.is_null() {
                    *field = json!([{"name": "NAME"}]);
                }
                &mut field[index]
            }
            Err(_) => &mut field[part],
        };
    }
    *field = new;
}

/// Returns the given values with every other value that applies to them.
fn with_all_values(mut values: Value, many: bool) -> Value {
    for (path, new) in other_values() {
        // Without switches, which are on, and the alternative of another value.
        let is_used = !new.is_boolean() && path != "extraEnv[].valueFrom";
        if is_used && is_of_many_accounts(&path) == many {
            set(&mut values, &path, new);
        }
    }
    values
}

/// Returns values with one account in which each value is another than the default.
pub fn all_values_of_one_account() -> Value {
    with_all_values(one_account(), false)
}

/// Returns values with several accounts in which each value that only they have is another than the default.
pub fn all_values_of_many_accounts() -> Value {
    with_all_values(many_accounts(), true)
}

/// Returns the values in which another value of this path has an effect. Without rules and dashboards for other paths,
/// because rendering them takes longer than all other objects.
fn base_for(path: &str) -> Value {
    if is_of_many_accounts(path) {
        return many_accounts();
    }
    let mut values = one_account();
    for large in ["dashboards", "rules"] {
        if !path.starts_with(large) {
            values.as_object_mut().unwrap().remove(large);
        }
    }
    values
}

#[test]
fn every_value_has_an_effect() {
    let mut rendered = BTreeMap::new();
    for (path, new) in &other_values() {
        let mut values = base_for(path);
        let before = rendered.entry(values.to_string());
        let before = before.or_insert_with(|| render(&values)).clone();
        set(&mut values, path, new.clone());
        let text = render(&values);
        assert_ne!(text, before, "{path} has no effect");
        if let Some(new) = new.as_str() {
            assert!(text.contains(new), "{path}: {new} is not in the objects");
        }
    }
    let schema = schema();
    assert!(other_values().keys().eq(leaves(&schema).keys()));
}

#[test]
fn invalid_values_fail_with_one_clear_sentence() {
    let cases = read_yaml("tests/deploy/helm/errors.yml");
    for case in cases.as_array().unwrap() {
        let mut values = one_account();
        for (path, new) in case["set"].as_object().unwrap() {
            set(&mut values, path, new.clone());
        }
        for (release, name) in RELEASES.iter().zip(["helm3", "helm4"]) {
            let expected = case["error"].as_str().or(case[name].as_str()).unwrap();
            let error = try_render(release, &values).expect_err(expected);
            assert!(error.contains(expected), "{expected} in {error}");
            for secret in ["eyJsecret", "user:secret"] {
                assert!(!error.contains(secret), "{error}");
            }
            // A wrong value has one error, not a list in which the cause is lost.
            let lines = error.lines().filter(|line| line.starts_with("- "));
            assert!(lines.count() <= 1, "{error}");
        }
    }
}

#[test]
fn account_flag_without_a_value_is_accepted() {
    let mut values = one_account();
    set(&mut values, "account.presence", json!("events"));
    let flag = "--ringcentral.presence-audit=5m";
    set(&mut values, "extraArgs", json!([flag]));
    assert!(render(&values).contains(flag));
}

#[test]
fn empty_labels_and_annotations_equal_none() {
    let mut values = one_account();
    let none = render(&values);
    for path in [
        "commonLabels",
        "commonAnnotations",
        "podLabels",
        "podAnnotations",
    ] {
        set(&mut values, path, Value::Null);
    }
    assert!(render(&values) == none);
}

#[test]
fn documented_values_for_openshift_set_no_ids() {
    let blocks = code_blocks(&read(format!("{CHART}/README.md")), "yaml");
    let block = blocks.iter().find(|block| block.contains("openshift"));
    let values = serde_saphyr::from_str(block.unwrap()).unwrap();
    for release in RELEASES {
        let text = try_render(release, &values).unwrap();
        let deployment = single(&text, "Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        let expected = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(pod["securityContext"], expected, "helm {release}");
        let container = pod["containers"][0]["securityContext"].to_string();
        assert!(!container.contains("runAs"), "{container}");
    }
}

#[test]
fn changed_account_changes_the_pod_template() {
    let template = |values: &Value| {
        let deployment = single(&render(values), "Deployment");
        deployment["spec"]["template"].clone()
    };
    let mut changed = many_accounts();
    set(&mut changed, "accounts[].level", json!("extension"));
    assert_ne!(template(&changed), template(&many_accounts()));
}

#[test]
fn lint_finds_nothing_in_the_examples() {
    for release in RELEASES {
        for name in crate::overlays::NAMES {
            let file = super::example(name);
            run_ok(helm(release).args(["lint", "--strict", CHART, "--values", &file]));
        }
    }
    let file = super::example("minimal");
    let invalid = ["--values", &file, "--set", "replicas=2"];
    let lint = run(helm(RELEASES[1])
        .args(["lint", "--strict", CHART])
        .args(invalid));
    assert!(!lint.status.success());
}

#[test]
fn older_kubernetes_is_rejected() {
    for release in RELEASES {
        let mut command = super::template(release, CHART, &super::example("minimal"));
        assert!(
            run(command.args(["--kube-version", "1.28.0"]))
                .status
                .success()
        );
        let mut command = super::template(release, CHART, &super::example("minimal"));
        assert!(
            !run(command.args(["--kube-version", "1.27.9"]))
                .status
                .success()
        );
    }
}
