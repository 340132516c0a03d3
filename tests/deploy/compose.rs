//! The Compose files, as Docker Compose itself resolves them: it needs no engine for that, and none runs them here.
//!
//! What is mounted into Prometheus and Alertmanager is laid out as they will see it, for promtool and amtool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::tools::{all_output, files, read_yaml, run, run_ok, tool};

const FOLDER: &str = "deploy/compose";
const DEMO: [&str; 1] = ["compose.yaml"];
const ACCOUNT: [&str; 2] = ["compose.yaml", "compose.account.yaml"];
const ACCOUNTS: [&str; 2] = ["compose.yaml", "compose.accounts.yaml"];

/// These files together.
fn compose(files: &[&str]) -> Command {
    let mut command = tool("docker-compose");
    command
        .env("COMPOSE_ENV_FILES", "/dev/null")
        .env_remove("RC_CLIENT_ID");
    files
        .iter()
        .for_each(|file| _ = command.args(["--file", &format!("{FOLDER}/{file}")]));
    command
}

/// What they come to.
fn resolved(files: &[&str]) -> Value {
    let mut command = compose(files);
    let command = command
        .env("RC_CLIENT_ID", "id")
        .args(["config", "--format=json"]);
    serde_json::from_str(&run_ok(command)).unwrap()
}

fn all() -> [Value; 3] {
    [resolved(&DEMO), resolved(&ACCOUNT), resolved(&ACCOUNTS)]
}

fn services(project: &Value) -> BTreeMap<&str, &Value> {
    project["services"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, service)| (name.as_str(), service))
        .collect()
}

fn list<'a>(service: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    service[field].as_array().into_iter().flatten()
}

#[test]
fn four_services_come_up() {
    for project in all() {
        let names: BTreeSet<_> = services(&project).into_keys().collect();
        assert_eq!(
            names,
            BTreeSet::from(["alertmanager", "exporter", "grafana", "prometheus"])
        );
    }
}

#[test]
fn every_foreign_image_has_a_whole_version() {
    let project = resolved(&DEMO);
    for (name, service) in services(&project) {
        let (_, tag) = service["image"]
            .as_str()
            .unwrap()
            .split_once(':')
            .expect(name);
        let parts: Vec<_> = tag
            .trim_start_matches('v')
            .split('.')
            .map(str::parse::<u32>)
            .collect();
        assert!(
            parts.len() == 3 && parts.iter().all(Result::is_ok),
            "{name}: {tag}"
        );
    }
    let own = &project["services"]["exporter"];
    assert_eq!(
        own["image"],
        format!("ringcentral-exporter:{}", env!("CARGO_PKG_VERSION"))
    );
    let file = Path::new(own["build"]["context"].as_str().unwrap())
        .join(own["build"]["dockerfile"].as_str().unwrap());
    assert!(
        file.ends_with("deploy/docker/Dockerfile") && file.exists(),
        "{}",
        file.display()
    );
}

#[test]
fn every_mount_exists_is_read_only_and_is_the_one_source() {
    for project in all() {
        for (name, service) in services(&project) {
            for mount in list(service, "volumes").filter(|mount| mount["type"] == "bind") {
                let source = mount["source"].as_str().unwrap();
                assert!(
                    Path::new(source).exists() || is_users(mount),
                    "{name}: {source}"
                );
                assert_eq!(mount["read_only"], true, "{name}: {source}");
            }
            let kept = list(service, "volumes").filter(|mount| mount["type"] == "volume");
            assert!(kept.into_iter().all(|mount| {
                project["volumes"]
                    .get(mount["source"].as_str().unwrap())
                    .is_some()
            }));
        }
    }
    let project = resolved(&DEMO);
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        source(&project, "prometheus", "/etc/prometheus/rules"),
        here.join("deploy/prometheus/rules").to_str().unwrap()
    );
    assert_eq!(
        source(&project, "grafana", "/dashboards"),
        here.join("dashboards").to_str().unwrap()
    );
}

/// Whether it is the folder that a user makes, and that Compose misses where it is not there.
fn is_users(mount: &Value) -> bool {
    let source = mount["source"].as_str().unwrap();
    source.ends_with(&format!("/{FOLDER}/accounts")) && mount["bind"]["create_host_path"] == false
}

/// What is mounted there.
fn source<'a>(project: &'a Value, service: &str, target: &str) -> &'a str {
    let mut mounts = list(&project["services"][service], "volumes");
    mounts
        .find(|mount| mount["target"] == target)
        .expect(target)["source"]
        .as_str()
        .unwrap()
}

#[test]
fn ports_are_distinct_and_open_on_this_machine_alone() {
    let project = resolved(&DEMO);
    let ports: Vec<_> = services(&project)
        .into_values()
        .flat_map(|service| list(service, "ports"))
        .collect();
    assert!(ports.iter().all(|port| port["host_ip"] == "127.0.0.1"));
    let published: BTreeSet<_> = ports
        .iter()
        .map(|port| port["published"].as_str().unwrap())
        .collect();
    assert_eq!(published, BTreeSet::from(["10072", "3000", "9090", "9093"]));
    assert_eq!(ports.len(), published.len());
}

#[test]
fn every_service_is_asked_for_its_health_at_a_port_that_it_has() {
    let project = resolved(&DEMO);
    for (name, service) in services(&project)
        .into_iter()
        .filter(|(name, _)| *name != "exporter")
    {
        let test: Vec<_> = list(&service["healthcheck"], "test")
            .map(|word| word.as_str().unwrap())
            .collect();
        let port = list(service, "ports").next().unwrap()["target"]
            .as_u64()
            .unwrap();
        assert_eq!(test[0], "CMD", "{name}");
        assert!(
            test.last()
                .unwrap()
                .starts_with(&format!("http://localhost:{port}/")),
            "{name}: {test:?}"
        );
    }
    assert!(
        project["services"]["exporter"]["healthcheck"].is_null(),
        "the image has its own"
    );
}

#[test]
fn the_exporter_has_no_more_rights_than_in_kubernetes() {
    for project in all() {
        let exporter = &project["services"]["exporter"];
        assert_eq!(
            [&exporter["read_only"], &exporter["cap_drop"]],
            [&json!(true), &json!(["ALL"])]
        );
        assert_eq!(exporter["security_opt"], json!(["no-new-privileges:true"]));
        assert_eq!(exporter["mem_limit"], (64 * 1024 * 1024).to_string());
    }
}

#[test]
fn the_demo_needs_no_account_and_the_account_is_no_demo() {
    let [demo, account, _] = all();
    assert_eq!(demo["services"]["exporter"]["command"][0], "demo");
    assert!(demo["secrets"].is_null());
    let exporter = &account["services"]["exporter"];
    assert_eq!(exporter["command"][0], "serve");
    for (variable, secret) in [
        ("RC_CLIENT_SECRET_FILE", "client-secret"),
        ("RC_JWT_FILE", "jwt"),
    ] {
        let target = exporter["environment"][variable].as_str().unwrap();
        let given = list(exporter, "secrets")
            .find(|given| given["source"] == secret)
            .unwrap();
        assert_eq!(given["target"], target);
        let file = account["secrets"][secret]["file"].as_str().unwrap();
        assert!(
            file.ends_with(&format!("/{FOLDER}/secrets/{secret}")),
            "{file}"
        );
    }
    let without = run(compose(&ACCOUNT).args(["config", "--quiet"]));
    assert!(
        !without.status.success()
            && all_output(&without).contains("set it to the client id of the app")
    );
}

/// Where a project does not serve the accounts of its file alone.
fn accounts_problems(project: &Value) -> Vec<&'static str> {
    let exporter = &project["services"]["exporter"];
    let folder = list(exporter, "volumes").find(|mount| is_users(mount));
    let target = folder.map_or("", |mount| mount["target"].as_str().unwrap());
    let rules = [
        ("no folder of accounts", folder.is_some()),
        (
            "no file of accounts",
            list(exporter, "command")
                .any(|word| *word == format!("--config.file={target}/accounts.yml")),
        ),
        ("it does not serve", exporter["command"][0] == "serve"),
        (
            "an account is left",
            exporter["environment"]
                .as_object()
                .is_none_or(Map::is_empty),
        ),
    ];
    rules
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(rule, _)| rule)
        .collect()
}

#[test]
fn the_accounts_are_those_of_a_file_in_a_folder_and_no_other() {
    let shipped = resolved(&ACCOUNTS);
    assert_eq!(accounts_problems(&shipped), [""; 0]);
    assert!(shipped["secrets"].is_null());
    for (place, value, broken) in [
        (
            "volumes/0/bind/create_host_path",
            json!(true),
            "no folder of accounts",
        ),
        (
            "volumes/0/target",
            json!("/accounts"),
            "no file of accounts",
        ),
        ("command", json!(["serve"]), "no file of accounts"),
        ("command/0", json!("demo"), "it does not serve"),
        (
            "environment",
            json!({"RC_CLIENT_ID": "id"}),
            "an account is left",
        ),
    ] {
        let mut project = shipped.clone();
        project["services"]["exporter"]["environment"] = json!({});
        *project
            .pointer_mut(&format!("/services/exporter/{place}"))
            .unwrap() = value;
        assert!(
            accounts_problems(&project).contains(&broken),
            "{place}: {:?}",
            accounts_problems(&project)
        );
    }
    let [account, accounts] = [&ACCOUNT[..], &ACCOUNTS[..]].map(resolved);
    assert!(!accounts_problems(&account).is_empty());
    assert_eq!(
        accounts["services"]["grafana"],
        account["services"]["grafana"]
    );
}

#[test]
fn every_account_is_a_target_of_its_own_as_in_the_configuration_for_prometheus() {
    let local =
        read_yaml("deploy/prometheus/prometheus.accounts.yml")["scrape_configs"][0].to_string();
    let mut local: Value = serde_json::from_str(&local.replace("localhost", "exporter")).unwrap();
    // Here the interval of all holds.
    local.as_object_mut().unwrap().remove("scrape_interval");
    let mounted = read_yaml(source(
        &resolved(&ACCOUNTS),
        "prometheus",
        "/etc/prometheus/prometheus.yml",
    ));
    assert_eq!(mounted["scrape_configs"][0], local);
    assert_eq!(
        mounted["alerting"],
        read_yaml(format!("{FOLDER}/prometheus.yml"))["alerting"]
    );
}

#[test]
fn the_secrets_are_kept_from_git() {
    for file in [
        "secrets/jwt",
        "secrets/client-secret",
        "accounts/accounts.yml",
        "accounts/acme.jwt",
        ".env",
    ] {
        run_ok(Command::new("git").args(["check-ignore", &format!("{FOLDER}/{file}")]));
    }
}

/// A container's files as they are mounted, in a folder.
fn laid_out(project: &Value, service: &str, root: &Path) {
    for mount in
        list(&project["services"][service], "volumes").filter(|mount| mount["type"] == "bind")
    {
        let target = root.join(mount["target"].as_str().unwrap().trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        run_ok(
            Command::new("cp")
                .arg("-rT")
                .arg(mount["source"].as_str().unwrap())
                .arg(target),
        );
    }
}

#[test]
fn prometheus_takes_its_configuration_with_all_rules_as_they_are_mounted() {
    for project in all() {
        let root = tempfile::tempdir().unwrap();
        laid_out(&project, "prometheus", root.path());
        let file = root.path().join("etc/prometheus/prometheus.yml");
        let said = run_ok(Command::new("promtool").args(["check", "config"]).arg(file));
        let rules = files("deploy/prometheus/rules", ".yml").len();
        assert!(
            said.contains(&format!("SUCCESS: {rules} rule files found")),
            "{said}"
        );
    }
}

#[test]
fn alertmanager_takes_its_configuration_as_it_is_mounted() {
    let root = tempfile::tempdir().unwrap();
    laid_out(&resolved(&DEMO), "alertmanager", root.path());
    run_ok(
        Command::new("amtool")
            .arg("check-config")
            .arg(root.path().join("etc/alertmanager/alertmanager.yml")),
    );
}

#[test]
fn the_services_find_each_other_by_names_and_ports_that_exist() {
    let project = resolved(&DEMO);
    let addresses: BTreeSet<_> = services(&project)
        .into_iter()
        .map(|(name, service)| {
            format!(
                "{name}:{}",
                list(service, "ports").next().unwrap()["target"]
            )
        })
        .collect();
    let prometheus = read_yaml(format!("{FOLDER}/prometheus.yml"));
    let scraped = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0];
    let alerted = &prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
    let source = read_yaml(format!("{FOLDER}/grafana/datasource.yaml"));
    let queried = source["datasources"][0]["url"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://");
    for address in [
        scraped.as_str().unwrap(),
        alerted.as_str().unwrap(),
        queried,
    ] {
        assert!(addresses.contains(address), "{address} in {addresses:?}");
    }
    assert!(
        prometheus["scrape_configs"][0]["job_name"]
            .as_str()
            .unwrap()
            .contains("ringcentral")
    );
    assert_eq!(
        source["datasources"][0]["jsonData"]["timeInterval"],
        prometheus["global"]["scrape_interval"]
    );
}

#[test]
fn grafana_is_told_where_the_dashboards_are_mounted() {
    let project = resolved(&DEMO);
    let grafana = &project["services"]["grafana"];
    let provider = read_yaml(format!("{FOLDER}/grafana/dashboards.yaml"));
    let path = provider["providers"][0]["options"]["path"]
        .as_str()
        .unwrap();
    let folder = source(&project, "grafana", path);
    let home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        .as_str()
        .unwrap();
    assert!(
        Path::new(folder)
            .join(home.strip_prefix(path).unwrap().trim_start_matches('/'))
            .exists(),
        "{home}"
    );
    for mount in [
        "datasources/ringcentral.yaml",
        "dashboards/ringcentral.yaml",
    ] {
        assert_eq!(
            read_yaml(source(
                &project,
                "grafana",
                &format!("/etc/grafana/provisioning/{mount}")
            ))["apiVersion"],
            1
        );
    }
}
