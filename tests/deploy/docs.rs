//! Commands and links in the deployment documents.
//!
//! Each command is run by a test or marked as untested in the document. This module runs the commands for Kubernetes;
//! `systemd` and `dashboards` run theirs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::overlays::{Overlay, RELEASES, kubectl, parse_objects, render};
use crate::tools::{read, run_ok, shell};

/// Document for Kubernetes.
const KUBERNETES_README: &str = "deploy/kubernetes/README.md";
/// Name of the Secret for many accounts.
pub const ACCOUNTS_SECRET: &str = "ringcentral-exporter-accounts";

/// Beginnings of the commands that write secrets to files, in the order in which they work.
pub const SECRET_COMMANDS: [&str; 2] = ["install -d", "(umask 077"];

/// Command in a document.
pub struct DocumentedCommand {
    /// Command on one line.
    pub line: String,
    /// Last line of text before the command.
    pub preceding_text: String,
}

/// Parses the commands of a document.
pub fn commands(document: &str) -> Vec<DocumentedCommand> {
    let outside = read(document)
        .replace("\\\n", " ")
        .split("```")
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    let mut preceding_text = String::new();
    for line in outside.lines() {
        match line.strip_prefix("    ") {
            Some(command) => found.push(DocumentedCommand {
                line: command.split_whitespace().collect::<Vec<_>>().join(" "),
                preceding_text: preceding_text.clone(),
            }),
            None if line.trim().is_empty() => {}
            None => preceding_text = line.to_owned(),
        }
    }
    // List items are indented less than commands.
    found
}

#[test]
fn container_commands_are_marked_untested() {
    for document in ["deploy/docker/README.md", "deploy/compose/README.md"] {
        let commands = commands(document);
        assert!(commands.len() >= 2, "{document}");
        for command in commands {
            assert!(
                command.preceding_text.starts_with("<!-- untested: "),
                "{}: {}",
                command.line,
                command.preceding_text
            );
        }
        assert!(read(document).contains("**Tests have no container engine.**"));
    }
}

/// Users run these on machines of any kind, and `install` of macOS rejects `/dev/stdin`.
#[test]
fn commands_of_client_machines_work_on_macos() {
    for document in [
        "README.md",
        "docs/ACCOUNTS.md",
        "deploy/helm/README.md",
        KUBERNETES_README,
    ] {
        assert!(!read(document).contains("/dev/stdin"), "{document}");
    }
}

/// Returns the commands for Kubernetes with this prefix.
fn kubernetes_commands(prefix: &str) -> Vec<String> {
    let commands = commands(KUBERNETES_README)
        .into_iter()
        .map(|command| command.line);
    commands
        .filter(|command| command.starts_with(prefix))
        .collect()
}

#[test]
fn kubernetes_commands_are_tested_or_marked() {
    let tested = ["kubectl create ", "kubectl kustomize ", "make manifests"];
    let is_tested = |command: &String| {
        let mut prefixes = tested.iter().chain(&SECRET_COMMANDS);
        prefixes.any(|prefix| command.starts_with(prefix))
    };
    let untested: Vec<_> = commands(KUBERNETES_README)
        .into_iter()
        .map(|command| command.line)
        .filter(|command| !is_tested(command))
        .collect();
    for command in untested {
        let verb = command.split(' ').take(2).collect::<Vec<_>>().join(" ");
        assert!(
            read(KUBERNETES_README).contains(&format!("`{verb}`")),
            "{verb} is not marked as untested"
        );
    }
    assert!(read("Makefile").contains("manifests:\n\tdeploy/kubernetes/generate\n"));
}

/// Runs a command for a Secret as a dry run in a folder, which is the home too, and returns the Secret.
pub fn create_secret(command: &str, release: &str, folder: &Path) -> Value {
    let program = fs::canonicalize(kubectl(release).get_program()).unwrap();
    let line = command.replacen("kubectl", program.to_str().unwrap(), 1)
        + " --dry-run=client --output=json";
    let mut command = shell(&line);
    command.current_dir(folder).env("HOME", folder);
    serde_json::from_str(&run_ok(&mut command)).unwrap()
}

/// Runs a command that writes a secret to a file, with a folder as the home.
pub fn write_secret(command: &str, folder: &Path) {
    let mut command = shell(&format!("echo secret | {command}"));
    run_ok(command.current_dir(folder).env("HOME", folder));
}

/// Writes the files that the commands for Secrets read: secrets by the commands of the README, others empty.
fn write_secret_files(folder: &Path) {
    for prefix in SECRET_COMMANDS {
        let commands = kubernetes_commands(prefix);
        assert!(!commands.is_empty(), "{prefix}");
        commands.iter().for_each(|line| write_secret(line, folder));
    }
    for file in ["web.yaml", "tls.crt", "tls.key", "ca.crt"] {
        fs::write(folder.join(file), "").unwrap();
    }
}

/// Returns the keys of a Secret that a command of the README creates.
pub fn secret_keys(name: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    write_secret_files(folder.path());
    let commands = kubernetes_commands("kubectl create secret");
    let command = commands
        .iter()
        .find(|command| command.contains(&format!(" {name} ")))
        .unwrap();
    create_secret(command, RELEASES[0], folder.path())["data"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn readme_secrets_match_the_referenced_names_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    write_secret_files(folder.path());
    let hardened = Overlay::named("hardened");
    let references = hardened
        .objects
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    for release in RELEASES {
        let secrets = kubernetes_commands("kubectl create secret");
        let secrets: Vec<_> = secrets
            .iter()
            .map(|command| create_secret(command, release, folder.path()))
            .collect();
        let names: BTreeSet<_> = secrets
            .iter()
            .map(|secret| secret["metadata"]["name"].as_str().unwrap())
            .collect();
        let expected = ["", "-accounts", "-login", "-tls", "-web"]
            .map(|suffix| format!("ringcentral-exporter{suffix}"));
        assert_eq!(names, expected.iter().map(String::as_str).collect());
        for secret in &secrets {
            assert_eq!(
                secret["metadata"]["namespace"],
                hardened.single("Namespace")["metadata"]["name"]
            );
            for key in secret["data"].as_object().unwrap().keys() {
                // Secrets that are mounted as a whole have no key references; `accounts` tests its own Secret.
                let is_mounted_whole = key == "web.yaml"
                    || key.starts_with("tls.")
                    || secret["metadata"]["name"] == ACCOUNTS_SECRET;
                assert!(
                    is_mounted_whole || references.contains(&format!("\"key\":\"{key}\"")),
                    "{key}"
                );
            }
        }
    }
}

#[test]
fn readme_namespace_equals_the_hardened_overlay() {
    let namespaces: Vec<_> = kubernetes_commands("kubectl create namespace")
        .iter()
        .map(|line| line.split(' ').nth(3).unwrap().to_owned())
        .collect();
    assert_eq!(
        namespaces,
        [
            Overlay::named("hardened").single("Namespace")["metadata"]["name"]
                .as_str()
                .unwrap()
        ]
    );
}

/// Renders an overlay outside this repository with a kustomization and a file of accounts.
pub fn render_overlay(kustomization: &str, accounts: &str, release: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("overlay");
    fs::create_dir(&overlay).unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_MANIFEST_DIR"),
        folder.path().join("ringcentral-exporter"),
    )
    .unwrap();
    fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
    fs::write(overlay.join("accounts.yml"), accounts).unwrap();
    render(release, overlay.to_str().unwrap())
}

/// Returns the kustomizations in the README.
pub fn kustomizations() -> Vec<String> {
    let readme = read(KUBERNETES_README);
    let blocks = readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let unindent = |line: &str| format!("{}\n", line.strip_prefix("   ").unwrap_or(line));
    // Blocks in a list are indented; the last line of such a block is the indentation of the fence.
    let is_indented = |block: &str| block.starts_with("   ");
    blocks
        .map(|block| {
            if is_indented(block) {
                block.lines().map(unindent).collect()
            } else {
                block.to_owned()
            }
        })
        .collect()
}

#[test]
fn custom_overlay_renders_as_documented() {
    for release in RELEASES {
        let objects = parse_objects(&render_overlay(&kustomizations()[0], "", release));
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
fn openshift_patch_leaves_user_ids_to_the_cluster() {
    let readme = read(KUBERNETES_README);
    let mut code = readme.split('`');
    let operation = code.find(|code| code.starts_with("- { op: remove"));
    let fields = ["runAsUser", "runAsGroup", "fsGroup"];
    let patched = fields.map(|field| operation.unwrap().replace("runAsUser", field));
    let overlay = kustomizations()[0].trim_end().to_owned();
    let overlay = format!("{overlay}\n      {}\n", patched.join("\n      "));
    for release in RELEASES {
        let objects = parse_objects(&render_overlay(&overlay, "", release));
        let mut deployments = objects.iter().filter(|it| it["kind"] == "Deployment");
        let spec = &deployments.next().unwrap()["spec"]["template"]["spec"];
        let context = spec["securityContext"].as_object().unwrap();
        assert_eq!(context["runAsNonRoot"], true);
        assert!(
            !fields.iter().any(|field| context.contains_key(*field)),
            "{context:?}"
        );
    }
}

/// Returns the links of a document in `root` whose file does not exist.
pub fn dead_links(root: &Path, document: &str) -> Vec<String> {
    let text = fs::read_to_string(root.join(document)).unwrap();
    let folder = root.join(document).parent().unwrap().to_owned();
    let mut dead = Vec::new();
    for rest in text.split("](").skip(1) {
        let target = rest.split([')', '#']).next().unwrap();
        if !target.is_empty() && !target.starts_with("http") && !folder.join(target).exists() {
            dead.push(format!("{document}: {target}"));
        }
    }
    dead
}

#[test]
fn every_link_in_the_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = run_ok(Command::new("git").args(["ls-files", "*.md"]));
    assert!(documents.lines().count() > 20, "{documents}");
    for document in documents.lines() {
        assert_eq!(dead_links(root, document), [""; 0]);
    }
}
