//! The documents of the deployments: each command in them is run by a test, or called untested where it stands.
//!
//! Owns which commands a document has, and those of Kubernetes. systemd's are run by `systemd`, the dashboards' by `dashboards`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::overlays::{Overlay, RELEASES, kubectl, objects, rendered};
use crate::tools::{printed, shell, text};

const KUBERNETES: &str = "deploy/kubernetes/README.md";
/// The Secret for many accounts.
pub const ACCOUNTS: &str = "ringcentral-exporter-accounts";

/// The commands of a document, each on one line, and the text that stands before it up to the command before.
fn commands(document: &str) -> Vec<(String, String)> {
    let outside = text(document)
        .replace("\\\n", " ")
        .split("```")
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\n");
    let (mut found, mut before) = (Vec::new(), String::new());
    for line in outside.lines() {
        match line.strip_prefix("    ") {
            Some(command) => found.push((
                command.split_whitespace().collect::<Vec<_>>().join(" "),
                before.clone(),
            )),
            None if line.trim().is_empty() => {}
            None => before = line.to_owned(),
        }
    }
    // Text of a list is indented less; what is indented is a command.
    found
}

#[test]
fn commands_that_need_a_container_engine_are_called_untested() {
    for document in ["deploy/docker/README.md", "deploy/compose/README.md"] {
        let commands = commands(document);
        assert!(commands.len() >= 2, "{document}");
        for (command, before) in commands {
            assert!(before.contains("(untested)"), "{command}: {before}");
        }
        assert!(text(document).contains("**Not tested: there was no container engine"));
    }
}

/// Commands of Kubernetes' README that begin so.
fn kubernetes(beginning: &str) -> Vec<String> {
    let commands = commands(KUBERNETES).into_iter().map(|(command, _)| command);
    commands
        .filter(|command| command.starts_with(beginning))
        .collect()
}

#[test]
fn every_command_for_kubernetes_is_tested_or_called_untested() {
    let known = ["kubectl create ", "kubectl kustomize ", "make manifests"];
    let untested: Vec<_> = commands(KUBERNETES)
        .into_iter()
        .map(|(command, _)| command)
        .filter(|command| !known.iter().any(|beginning| command.starts_with(beginning)))
        .collect();
    for command in untested {
        let verb = command.split(' ').take(2).collect::<Vec<_>>().join(" ");
        assert!(
            text(KUBERNETES).contains(&format!("`{verb}`")),
            "{verb} is not called untested"
        );
    }
    assert!(text("Makefile").contains("manifests:\n\tdeploy/kubernetes/generate\n"));
}

/// What a command for a Secret makes, from files with these names.
fn secret(command: &str, release: &str, folder: &Path) -> Value {
    let program = fs::canonicalize(kubectl(release).get_program()).unwrap();
    let line = command.replacen("kubectl", program.to_str().unwrap(), 1)
        + " --dry-run=client --output=json";
    serde_json::from_str(&printed(shell(&line).current_dir(folder))).unwrap()
}

/// The files that the commands for Secrets read.
fn secret_files(folder: &Path) {
    let own = [
        "client-secret",
        "jwt",
        "web.yaml",
        "tls.crt",
        "tls.key",
        "ca.crt",
        "password",
    ];
    let accounts = [
        "acme.client-secret",
        "acme.jwt",
        "globex.client-secret",
        "globex.jwt",
    ];
    own.into_iter()
        .chain(accounts)
        .for_each(|file| fs::write(folder.join(file), file).unwrap());
}

/// The keys of the Secret with this name, as the README makes it.
pub fn secret_keys(name: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    secret_files(folder.path());
    let commands = kubernetes("kubectl create secret");
    let command = commands
        .iter()
        .find(|command| command.contains(&format!(" {name} ")))
        .unwrap();
    secret(command, RELEASES[0], folder.path())["data"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn the_secrets_of_the_readme_have_the_names_and_keys_that_the_objects_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    secret_files(folder.path());
    let hardened = Overlay::of("hardened");
    let asked = hardened
        .objects
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    for release in RELEASES {
        let secrets = kubernetes("kubectl create secret");
        let secrets: Vec<_> = secrets
            .iter()
            .map(|command| secret(command, release, folder.path()))
            .collect();
        let names: BTreeSet<_> = secrets
            .iter()
            .map(|secret| secret["metadata"]["name"].as_str().unwrap())
            .collect();
        let wanted = ["", "-accounts", "-login", "-tls", "-web"]
            .map(|end| format!("ringcentral-exporter{end}"));
        assert_eq!(names, wanted.iter().map(String::as_str).collect());
        for secret in &secrets {
            assert_eq!(
                secret["metadata"]["namespace"],
                hardened.only("Namespace")["metadata"]["name"]
            );
            for key in secret["data"].as_object().unwrap().keys() {
                // Of those that are mounted whole no key is asked for; `accounts` looks at its own.
                let mounted = key == "web.yaml"
                    || key.starts_with("tls.")
                    || secret["metadata"]["name"] == ACCOUNTS;
                assert!(
                    mounted || asked.contains(&format!("\"key\":\"{key}\"")),
                    "{key}"
                );
            }
        }
    }
}

#[test]
fn the_namespace_of_the_readme_is_that_of_the_hardened_overlay() {
    let made: Vec<_> = kubernetes("kubectl create namespace")
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        made,
        [
            Overlay::of("hardened").only("Namespace")["metadata"]["name"]
                .as_str()
                .unwrap()
        ]
    );
}

/// An overlay beside this repository with this kustomization and this file of accounts, as a release renders it.
pub fn overlay(kustomization: &str, accounts: &str, release: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_MANIFEST_DIR"),
        folder.path().join("ringcentral-exporter"),
    )
    .unwrap();
    fs::write(mine.join("kustomization.yaml"), kustomization).unwrap();
    fs::write(mine.join("accounts.yml"), accounts).unwrap();
    rendered(release, mine.to_str().unwrap())
}

/// The kustomizations in the README.
pub fn kustomizations() -> Vec<String> {
    let readme = text(KUBERNETES);
    let blocks = readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let bare = |line: &str| format!("{}\n", line.strip_prefix("   ").unwrap_or(line));
    // In a list a block is indented, and its last line is that of the fence.
    let indented = |block: &str| block.starts_with("   ");
    blocks
        .map(|block| {
            if indented(block) {
                block.lines().map(bare).collect()
            } else {
                block.to_owned()
            }
        })
        .collect()
}

#[test]
fn an_overlay_of_ones_own_renders_as_the_readme_has_it() {
    for release in RELEASES {
        let objects = objects(&overlay(&kustomizations()[0], "", release));
        let deployment = objects
            .iter()
            .find(|object| object["kind"] == "Deployment")
            .unwrap();
        assert_eq!(deployment["metadata"]["namespace"], "ringcentral-exporter");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["image"],
            format!(
                "registry.example.com/ringcentral-exporter:{}",
                env!("CARGO_PKG_VERSION")
            )
        );
        assert_eq!(
            container["env"].as_array().unwrap().last().unwrap()["name"],
            "RC_CONCURRENT_CALLS_LIMIT"
        );
        assert_eq!(
            container["args"].as_array().unwrap().last().unwrap(),
            "--metrics.extension-calls"
        );
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let deploy = [
        "deploy",
        "deploy/docker",
        "deploy/compose",
        "deploy/kubernetes",
        "deploy/prometheus",
        "deploy/systemd",
    ];
    let documents = deploy
        .map(|folder| format!("{folder}/README.md"))
        .into_iter();
    let others = [
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs/ACCOUNTS.md",
        "docs/VERSIONING.md",
        "docs/WEB.md",
    ];
    for document in documents.chain(others.map(str::to_owned)) {
        let text = text(&document);
        let targets = text
            .split("](")
            .skip(1)
            .map(|rest| rest.split([')', '#']).next().unwrap());
        for target in targets.filter(|target| !target.is_empty() && !target.starts_with("http")) {
            let path = Path::new(&document).parent().unwrap().join(target);
            assert!(path.exists(), "{document}: {target}");
        }
    }
}
