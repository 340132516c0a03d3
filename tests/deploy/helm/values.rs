//! The values of the chart: `values.yaml`, the schema, the effect of each value, and the errors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{CHART, RELEASES, helm, render, try_render};
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

/// Returns another value for each path, other than switches.
fn other_values() -> Vec<(&'static str, Value)> {
    let label = || json!({"team": "voice"});
    let node = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]}}});
    let peer = json!([{"podSelector": {"matchLabels": {"role": "scraper"}}}]);
    let proxy = json!([{"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 3128}]}]);
    let url = json!({"secretKeyRef": {"name": "proxy", "key": "url"}});
    vec![
        ("account.accountId", json!("12345")),
        ("account.clientId", json!("id-of-app")),
        ("account.concurrentCallsLimit", json!(1_000_000)),
        ("account.level", json!("account")),
        ("account.name", json!("initech")),
        ("account.presence", json!("poll")),
        ("account.secret.clientIdKey", json!("other-id")),
        ("account.secret.clientSecretKey", json!("other-secret")),
        ("account.secret.jwtKey", json!("other-jwt")),
        ("account.secret.name", json!("other")),
        (
            "account.serverUrl",
            json!("https://platform.ringcentral.biz"),
        ),
        ("accounts[].accountId", json!("12345")),
        ("accounts[].clientId", json!("id-of-app")),
        ("accounts[].concurrentCallsLimit", json!(1_000_000)),
        ("accounts[].level", json!("account")),
        ("accounts[].name", json!("initech")),
        ("accounts[].presence", json!("events")),
        ("accounts[].secret.clientSecretKey", json!("other-secret")),
        ("accounts[].secret.jwtKey", json!("other-jwt")),
        ("accounts[].secret.name", json!("other")),
        (
            "accounts[].serverUrl",
            json!("https://platform.ringcentral.biz"),
        ),
        ("accountsSecret", json!("other")),
        ("affinity", node),
        ("ca.configMap", json!("other-ca")),
        ("ca.key", json!("root.pem")),
        ("commonAnnotations", label()),
        ("commonLabels", label()),
        ("dashboards.annotations", label()),
        ("dashboards.labels", label()),
        ("dashboards.namespace", json!("grafana")),
        ("extraArgs", json!(["--metrics.extension-calls"])),
        ("extraEnv[].name", json!("NO_PROXY")),
        ("extraEnv[].value", json!("10.0.0.0/8")),
        ("extraEnv[].valueFrom", url),
        ("fullnameOverride", json!("calls")),
        ("image.digest", json!(format!("sha256:{}", "0".repeat(64)))),
        ("image.pullPolicy", json!("Always")),
        ("image.repository", json!("registry.example.com/exporter")),
        ("image.tag", json!("edge")),
        ("imagePullSecrets[].name", json!("registry")),
        ("networkPolicy.extraEgress", proxy),
        ("networkPolicy.ingressFrom", peer),
        ("nodeSelector", json!({"pool": "small"})),
        ("podAnnotations", label()),
        ("podLabels", label()),
        ("priorityClassName", json!("high")),
        ("resources.limits", json!({"memory": "128Mi"})),
        ("resources.requests", json!({"cpu": "20m"})),
        ("rules.labels", label()),
        ("scrapeConfig.interval", json!("20s")),
        ("scrapeConfig.labels", label()),
        ("scrapeConfig.scrapeTimeout", json!("9s")),
        ("serviceAccount.name", json!("caller")),
        ("serviceAnnotations", label()),
        ("serviceMonitor.interval", json!("20s")),
        ("serviceMonitor.labels", label()),
        ("serviceMonitor.scrapeTimeout", json!("9s")),
        ("state.claim.name", json!("kept")),
        ("state.claim.size", json!("1Gi")),
        ("state.claim.storageClassName", json!("fast")),
        ("state.sizeLimit", json!("1Gi")),
        (
            "tolerations",
            json!([{"key": "small", "operator": "Exists"}]),
        ),
        ("webTls.caKey", json!("root.crt")),
        ("webTls.certificateSecret", json!("other-tls")),
        ("webTls.configKey", json!("config.yaml")),
        ("webTls.configSecret", json!("other-web")),
        ("webTls.loginSecret", json!("other-login")),
        ("webTls.passwordKey", json!("pass")),
        ("webTls.serverName", json!("calls.example.com")),
        ("webTls.usernameKey", json!("user")),
    ]
}

/// Switches, whose value is the opposite.
const SWITCHES: [&str; 8] = [
    "dashboards.enabled",
    "networkPolicy.enabled",
    "rules.enabled",
    "scrapeConfig.enabled",
    "serviceAccount.create",
    "serviceMonitor.enabled",
    "state.claim.create",
    "webTls.enabled",
];

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
        if is_of_many_accounts(path) == many && path != "extraEnv[].valueFrom" {
            set(&mut values, path, new);
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

/// Returns the opposite of a switch in the given values.
fn opposite(values: &Value, path: &str) -> Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    let default = defaults().pointer(&pointer).cloned();
    json!(values.pointer(&pointer).cloned().or(default) != Some(json!(true)))
}

#[test]
fn every_value_has_an_effect() {
    let switches = SWITCHES.map(|path| (path, opposite(&base_for(path), path)));
    let mut tested = BTreeSet::new();
    let mut rendered = BTreeMap::new();
    for (path, new) in other_values().into_iter().chain(switches) {
        let mut values = base_for(path);
        let before = rendered.entry(values.to_string());
        let before = before.or_insert_with(|| render(&values)).clone();
        set(&mut values, path, new.clone());
        let text = render(&values);
        assert_ne!(text, before, "{path} has no effect");
        if let Some(new) = new.as_str() {
            assert!(text.contains(new), "{path}: {new} is not in the objects");
        }
        tested.insert(path.to_owned());
    }
    let schema = schema();
    assert_eq!(tested, leaves(&schema).into_keys().collect());
}

/// Returns changes of the values of one account: path, value, and what the errors of both releases contain.
fn errors() -> Vec<(&'static str, Value, [&'static str; 2])> {
    let both = |text| [text, text];
    let own = |index: usize| many_accounts()["accounts"][index].clone();
    let account = |key: &str, value: Value| {
        let mut account = own(1);
        account[key] = value;
        json!([account])
    };
    let mut without_secret = own(1);
    without_secret.as_object_mut().unwrap().remove("secret");
    vec![
        (
            "account.secret.name",
            json!(""),
            both("account.secret.name: expected the name of an existing Secret"),
        ),
        (
            "account.secret.clientIdKey",
            json!(""),
            both("account.clientId: expected the client id of the app"),
        ),
        (
            "account.secret.jwtKey",
            json!(""),
            [
                "account.secret.jwtKey: Does not match pattern",
                "'/account/secret/jwtKey': '' does not match pattern",
            ],
        ),
        (
            "account.level",
            json!("user"),
            [
                "account.level must be one of",
                "'/account/level': value must be one of",
            ],
        ),
        (
            "account.colour",
            json!("red"),
            [
                "account: Additional property colour",
                "'/account': additional properties 'colour'",
            ],
        ),
        (
            "replicas",
            json!(2),
            [
                "Additional property replicas",
                "additional properties 'replicas'",
            ],
        ),
        (
            "image",
            json!("exporter:1"),
            ["image: Invalid type", "'/image': got string, want object"],
        ),
        (
            "extraEnv",
            json!([{"name": "RC_LEVEL"}]),
            both("extraEnv: unexpected variable RC_LEVEL"),
        ),
        (
            "extraArgs",
            json!(["--config.file=/a"]),
            both("extraArgs: unexpected flag --config.file=/a"),
        ),
        (
            "extraArgs",
            json!(["--ringcentral.level=account"]),
            both("extraArgs: unexpected flag --ringcentral.level"),
        ),
        (
            "scrapeConfig.enabled",
            json!(true),
            both("scrapeConfig.enabled: conflicts with serviceMonitor.enabled"),
        ),
        (
            "networkPolicy.ingressFrom",
            json!([]),
            [
                "networkPolicy.ingressFrom: Array must have at least 1",
                "'/networkPolicy/ingressFrom': minItems",
            ],
        ),
        (
            "networkPolicy.ingressFrom",
            json!(null),
            ["ingressFrom is required", "missing property 'ingressFrom'"],
        ),
        (
            "webTls.configSecret",
            json!(""),
            both("webTls.configSecret: expected the name of an existing Secret"),
        ),
        (
            "webTls.certificateSecret",
            json!(""),
            both("webTls.certificateSecret: expected the name of an existing Secret"),
        ),
        (
            "accounts",
            json!([own(1)]),
            both("account.secret.name: conflicts with accounts"),
        ),
        (
            "account",
            json!({"presence": "poll", "level": "extension", "secret": {"name": "a"}}),
            both(
                "account.presence: invalid value \"poll\": expected off, since account.level is extension",
            ),
        ),
        (
            "-accounts",
            json!([own(1), own(1)]),
            both("accounts[1].name: expected another name than \"globex\""),
        ),
        (
            "-accounts",
            account("clientId", json!("")),
            both("accounts[0].clientId: expected the client id of the app of \"globex\""),
        ),
        (
            "-accounts",
            json!([without_secret]),
            both("accounts[0].secret.name: expected the name of an existing Secret of \"globex\""),
        ),
        (
            "-accounts",
            json!([{"name": "a"}]),
            [
                "accounts.0: clientId is required",
                "'/accounts/0': missing property 'clientId'",
            ],
        ),
        (
            "-accounts",
            account("name", json!("a b")),
            [
                "accounts.0.name: Does not match pattern",
                "'/accounts/0/name': 'a b' does not match",
            ],
        ),
        (
            "-accounts",
            account("jwt", json!("secret")),
            [
                "accounts.0: Additional property jwt",
                "'/accounts/0': additional properties 'jwt'",
            ],
        ),
    ]
}

#[test]
fn invalid_values_fail_with_one_clear_sentence() {
    for (path, value, expected) in errors() {
        let mut values = one_account();
        if path.starts_with('-') {
            values.as_object_mut().unwrap().remove("account");
        }
        set(&mut values, path.trim_start_matches('-'), value.clone());
        for (release, expected) in RELEASES.iter().zip(expected) {
            let error = try_render(release, &values).expect_err(&value.to_string());
            assert!(error.contains(expected), "{path}, helm {release}: {error}");
            // A wrong value has one error, not a list in which the cause is lost.
            let lines = error.lines().filter(|line| line.starts_with("- "));
            assert!(lines.count() <= 1, "{path}, helm {release}: {error}");
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
