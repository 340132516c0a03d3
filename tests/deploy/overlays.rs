//! The Kubernetes overlays as kubectl renders them, and the examples of the Helm chart, with functions that find an object.

use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::helm;
use crate::tools::{read_yaml, run_ok, tool};

/// Folder of the overlays.
pub const FOLDER: &str = "deploy/kubernetes/overlays";
/// Names of all overlays.
pub const NAMES: [&str; 4] = ["accounts", "hardened", "kube-prometheus-stack", "minimal"];
/// Names of the same overlays as the Helm chart renders them.
const CHART_NAMES: [&str; 4] = [
    "helm/accounts",
    "helm/hardened",
    "helm/kube-prometheus-stack",
    "helm/minimal",
];
/// Oldest supported and a recent release of kubectl.
pub const RELEASES: [&str; 2] = ["1.28", "1.37"];

/// Rendered overlay.
pub struct Overlay {
    pub name: &'static str,
    pub text: String,
    pub objects: Vec<Value>,
}

/// All overlays, rendered by the oldest kubectl and by the oldest helm.
pub static ALL: LazyLock<Vec<Overlay>> = LazyLock::new(|| {
    let names = NAMES.into_iter().chain(CHART_NAMES);
    names.map(Overlay::render).collect()
});

impl Overlay {
    /// Renders an overlay with the oldest kubectl, or an example of the chart with the oldest helm.
    fn render(name: &'static str) -> Self {
        let text = match name.strip_prefix("helm/") {
            Some(example) => helm::render_example(example),
            None => render(RELEASES[0], &format!("{FOLDER}/{name}")),
        };
        let objects = parse_objects(&text);
        Self {
            name,
            text,
            objects,
        }
    }

    /// Returns the overlay of this name.
    pub fn named(name: &str) -> &'static Self {
        ALL.iter().find(|overlay| overlay.name == name).unwrap()
    }

    /// Returns the only object of this kind.
    pub fn single(&self, kind: &str) -> &Value {
        let found: Vec<_> = self.all(kind).collect();
        assert_eq!(found.len(), 1, "{kind} in {}", self.name);
        found[0]
    }

    /// Returns the objects of this kind.
    pub fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// Returns the pod template of the Deployment.
    pub fn pod(&self) -> &Value {
        &self.single("Deployment")["spec"]["template"]
    }

    /// Returns the only container of the pod.
    pub fn container(&self) -> &Value {
        let containers = self.pod()["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "{}", self.name);
        &containers[0]
    }
}

/// Returns the overlays with one account in environment variables.
pub fn with_one_account() -> impl Iterator<Item = &'static Overlay> {
    ALL.iter()
        .filter(|overlay| !overlay.name.ends_with("accounts"))
}

/// Returns the overlays for the Prometheus operator.
pub fn with_operator() -> impl Iterator<Item = &'static Overlay> {
    ALL.iter()
        .filter(|overlay| !overlay.name.ends_with("minimal"))
}

/// Returns the overlays with a ServiceMonitor.
pub fn with_service_monitor() -> impl Iterator<Item = &'static Overlay> {
    with_operator().filter(|overlay| !overlay.name.ends_with("accounts"))
}

/// Creates a kubectl command of this release.
pub fn kubectl(release: &str) -> Command {
    tool(&format!("kubectl-{release}"))
}

/// Renders a folder with `kubectl kustomize`.
pub fn render(release: &str, folder: &str) -> String {
    run_ok(kubectl(release).args(["kustomize", folder]))
}

/// Parses the objects in a rendered text.
pub fn parse_objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[test]
fn every_overlay_is_tested() {
    let folders = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    assert_eq!(folders, NAMES);
}

#[test]
fn oldest_and_recent_kubectl_render_the_same() {
    for name in NAMES {
        assert_eq!(
            render(RELEASES[1], &format!("{FOLDER}/{name}")),
            Overlay::named(name).text,
            "{name}"
        );
    }
}

#[test]
fn every_component_is_used_by_an_overlay() {
    let used: String = NAMES
        .iter()
        .map(|name| read_yaml(format!("{FOLDER}/{name}/kustomization.yaml")).to_string())
        .collect();
    for entry in std::fs::read_dir("deploy/kubernetes/components").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(used.contains(&format!("components/{name}\"")), "{name}");
    }
}
