//! The Compose files as Docker Compose resolves them, which requires no container engine.
//!
//! promtool and amtool check the mounted configurations in a copy of the file system of the containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::tools::{all_output, files, read_yaml, run, run_ok, tool};

/// Folder of the Compose files.
const FOLDER: &str = "deploy/compose";
/// Files for the demo.
const DEMO: [&str; 1] = ["compose.yaml"];
/// Files for one account.
const ACCOUNT: [&str; 2] = ["compose.yaml", "compose.account.yaml"];
/// Files for many accounts.
const ACCOUNTS: [&str; 2] = ["compose.yaml", "compose.accounts.yaml"];

/// Creates a Docker Compose command with these files.
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

/// Resolves the files into one project.
fn resolve(files: &[&str]) -> Value {
    let mut command = compose(files);
    let command = command
        .env("RC_CLIENT_ID", "id")
        .args(["config", "--format=json"]);
    serde_json::from_str(&run_ok(command)).unwrap()
}

/// Resolves the three projects.
fn all_projects() -> [Value; 3] {
    [resolve(&DEMO), resolve(&ACCOUNT), resolve(&ACCOUNTS)]
}

/// Returns the services of a project by name.
fn services(project: &Value) -> BTreeMap<&str, &Value> {
    project["services"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, service)| (name.as_str(), service))
        .collect()
}

/// Returns the items of a list field.
fn list<'a>(service: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    service[field].as_array().into_iter().flatten()
}

#[test]
fn every_project_has_four_services() {
    for project in all_projects() {
        let names: BTreeSet<_> = services(&project).into_keys().collect();
        assert_eq!(
            names,
            BTreeSet::from(["alertmanager", "exporter", "grafana", "prometheus"])
        );
    }
}

#[test]
fn third_party_images_have_a_full_version() {
    let project = resolve(&DEMO);
    for (name, service) in services(&project) {
        let (_, tag) = service["image"]
            .as_str()
            .unwrap()
            .split_once(':')
            .expect(name);
        // A digest may follow.
        let version = tag.split('@').next().unwrap();
        let parts: Vec<_> = version
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
fn mounts_exist_and_are_read_only() {
    for project in all_projects() {
        for (name, service) in services(&project) {
            for mount in list(service, "volumes").filter(|mount| mount["type"] == "bind") {
                let source = mount["source"].as_str().unwrap();
                assert!(
                    Path::new(source).exists() || is_accounts_folder(mount),
                    "{name}: {source}"
                );
                assert_eq!(mount["read_only"], true, "{name}: {source}");
            }
            let mut named = list(service, "volumes").filter(|mount| mount["type"] == "volume");
            assert!(named.all(|mount| {
                project["volumes"]
                    .get(mount["source"].as_str().unwrap())
                    .is_some()
            }));
        }
    }
    let project = resolve(&DEMO);
    let package = std::env::current_dir().unwrap();
    assert_eq!(
        mount_source(&project, "prometheus", "/etc/prometheus/rules"),
        package.join("deploy/prometheus/rules").to_str().unwrap()
    );
    assert_eq!(
        mount_source(&project, "grafana", "/dashboards"),
        package.join("dashboards").to_str().unwrap()
    );
}

/// Returns whether the mount is the folder of accounts, which the user creates and Compose does not.
fn is_accounts_folder(mount: &Value) -> bool {
    let source = mount["source"].as_str().unwrap();
    source.ends_with(&format!("/{FOLDER}/accounts")) && mount["bind"]["create_host_path"] == false
}

/// Returns the source of the mount at a path of a service.
fn mount_source<'a>(project: &'a Value, service: &str, target: &str) -> &'a str {
    let mut mounts = list(&project["services"][service], "volumes");
    mounts
        .find(|mount| mount["target"] == target)
        .expect(target)["source"]
        .as_str()
        .unwrap()
}

#[test]
fn ports_are_distinct_and_bound_to_loopback() {
    let project = resolve(&DEMO);
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
fn healthchecks_use_a_port_of_their_service() {
    let project = resolve(&DEMO);
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
        "the image has its own health check"
    );
}

#[test]
fn exporter_is_restricted_as_in_kubernetes() {
    for project in all_projects() {
        let exporter = &project["services"]["exporter"];
        assert_eq!(
            [&exporter["read_only"], &exporter["cap_drop"]],
            [&json!(true), &json!(["ALL"])]
        );
        assert_eq!(exporter["security_opt"], json!(["no-new-privileges:true"]));
        assert_eq!(exporter["mem_limit"], (64 * 1024 * 1024).to_string());
        // Compose leaves out zeros.
        assert_eq!(exporter["ulimits"], json!({"core": {}}));
    }
}

#[test]
fn demo_has_no_secrets_and_account_serves() {
    let [demo, account, _] = all_projects();
    assert_eq!(demo["services"]["exporter"]["command"][0], "demo");
    assert!(demo["secrets"].is_null());
    let exporter = &account["services"]["exporter"];
    assert_eq!(exporter["command"][0], "serve");
    for (variable, secret) in [
        ("RC_CLIENT_SECRET_FILE", "client-secret"),
        ("RC_JWT_FILE", "jwt"),
    ] {
        let target = exporter["environment"][variable].as_str().unwrap();
        let mounted = list(exporter, "secrets")
            .find(|mounted| mounted["source"] == secret)
            .unwrap();
        assert_eq!(mounted["target"], target);
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

/// Lists what prevents a project from serving only the accounts of its file.
fn accounts_problems(project: &Value) -> Vec<&'static str> {
    let exporter = &project["services"]["exporter"];
    let folder = list(exporter, "volumes").find(|mount| is_accounts_folder(mount));
    let target = folder.map_or("", |mount| mount["target"].as_str().unwrap());
    let checks = [
        ("the folder of accounts is not mounted", folder.is_some()),
        (
            "--config.file is missing",
            list(exporter, "command")
                .any(|word| *word == format!("--config.file={target}/accounts.yml")),
        ),
        (
            "the command is not serve",
            exporter["command"][0] == "serve",
        ),
        (
            "an account is still set",
            exporter["environment"]
                .as_object()
                .is_none_or(|variables| variables.keys().all(|name| !name.starts_with("RC_"))),
        ),
    ];
    checks
        .into_iter()
        .filter(|(_, passed)| !passed)
        .map(|(problem, _)| problem)
        .collect()
}

#[test]
fn accounts_project_serves_only_accounts_of_its_file() {
    let shipped = resolve(&ACCOUNTS);
    assert_eq!(accounts_problems(&shipped), [""; 0]);
    assert!(shipped["secrets"].is_null());
    for (path, value, expected) in [
        (
            "volumes/0/bind/create_host_path",
            json!(true),
            "the folder of accounts is not mounted",
        ),
        (
            "volumes/0/target",
            json!("/accounts"),
            "--config.file is missing",
        ),
        ("command", json!(["serve"]), "--config.file is missing"),
        ("command/0", json!("demo"), "the command is not serve"),
        (
            "environment",
            json!({"RC_CLIENT_ID": "id"}),
            "an account is still set",
        ),
    ] {
        let mut project = shipped.clone();
        project["services"]["exporter"]["environment"] = json!({});
        *project
            .pointer_mut(&format!("/services/exporter/{path}"))
            .unwrap() = value;
        assert!(
            accounts_problems(&project).contains(&expected),
            "{path}: {:?}",
            accounts_problems(&project)
        );
    }
    let [account, accounts] = [&ACCOUNT[..], &ACCOUNTS[..]].map(resolve);
    assert!(!accounts_problems(&account).is_empty());
    assert_eq!(
        accounts["services"]["grafana"],
        account["services"]["grafana"]
    );
}

#[test]
fn accounts_scrape_config_matches_the_shipped_one() {
    let local =
        read_yaml("deploy/prometheus/prometheus.accounts.yml")["scrape_configs"][0].to_string();
    let mut local: Value = serde_json::from_str(&local.replace("localhost", "exporter")).unwrap();
    // The Compose file uses the global interval.
    local.as_object_mut().unwrap().remove("scrape_interval");
    let mounted = read_yaml(mount_source(
        &resolve(&ACCOUNTS),
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
fn secrets_are_ignored_by_git() {
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

/// Copies the mounted files of a service into a folder, at their paths in the container.
fn copy_mounts(project: &Value, service: &str, root: &Path) {
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
fn promtool_accepts_the_mounted_configuration() {
    for project in all_projects() {
        let root = tempfile::tempdir().unwrap();
        copy_mounts(&project, "prometheus", root.path());
        let file = root.path().join("etc/prometheus/prometheus.yml");
        let output = run_ok(Command::new("promtool").args(["check", "config"]).arg(file));
        let rules = files("deploy/prometheus/rules", ".yml").len();
        assert!(
            output.contains(&format!("SUCCESS: {rules} rule files found")),
            "{output}"
        );
    }
}

#[test]
fn amtool_accepts_the_mounted_configuration() {
    let root = tempfile::tempdir().unwrap();
    copy_mounts(&resolve(&DEMO), "alertmanager", root.path());
    run_ok(
        Command::new("amtool")
            .arg("check-config")
            .arg(root.path().join("etc/alertmanager/alertmanager.yml")),
    );
}

#[test]
fn services_use_existing_names_and_ports() {
    let project = resolve(&DEMO);
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
    let exporter = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0];
    let alertmanager =
        &prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
    let source = read_yaml(format!("{FOLDER}/grafana/datasource.yaml"));
    let queried_prometheus = source["datasources"][0]["url"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://");
    for address in [
        exporter.as_str().unwrap(),
        alertmanager.as_str().unwrap(),
        queried_prometheus,
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
fn grafana_provider_path_has_the_dashboards() {
    let project = resolve(&DEMO);
    let grafana = &project["services"]["grafana"];
    let provider = read_yaml(format!("{FOLDER}/grafana/dashboards.yaml"));
    let path = provider["providers"][0]["options"]["path"]
        .as_str()
        .unwrap();
    let folder = mount_source(&project, "grafana", path);
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
            read_yaml(mount_source(
                &project,
                "grafana",
                &format!("/etc/grafana/provisioning/{mount}")
            ))["apiVersion"],
            1
        );
    }
}
