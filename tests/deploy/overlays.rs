//! The overlays, rendered, and how to find an object among what comes out.
//!
//! Refuses to know what an object should say.

use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::tools::{installed, printed, yaml};

pub const FOLDER: &str = "deploy/kubernetes/overlays";
pub const NAMES: [&str; 4] = ["accounts", "hardened", "kube-prometheus-stack", "minimal"];
/// The oldest that the manifests are for, and a new one.
pub const RELEASES: [&str; 2] = ["1.28", "1.37"];

/// An overlay as kubectl renders it.
pub struct Overlay {
    pub name: &'static str,
    pub text: String,
    pub objects: Vec<Value>,
}

/// All of them, by the older kubectl.
pub static ALL: LazyLock<Vec<Overlay>> =
    LazyLock::new(|| NAMES.into_iter().map(Overlay::render).collect());

impl Overlay {
    fn render(name: &'static str) -> Self {
        let text = rendered(RELEASES[0], &format!("{FOLDER}/{name}"));
        let objects = objects(&text);
        Self {
            name,
            text,
            objects,
        }
    }

    /// The overlay of this name.
    pub fn of(name: &str) -> &'static Self {
        ALL.iter().find(|overlay| overlay.name == name).unwrap()
    }

    /// Its only object of this kind.
    pub fn only(&self, kind: &str) -> &Value {
        let found: Vec<_> = self.all(kind).collect();
        assert_eq!(found.len(), 1, "{kind} in {}", self.name);
        found[0]
    }

    /// Its objects of this kind.
    pub fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// The pod of its only Deployment.
    pub fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]
    }

    /// The only container of that.
    pub fn container(&self) -> &Value {
        let containers = self.pod()["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "{}", self.name);
        &containers[0]
    }
}

/// Those that serve one account, told by variables.
pub fn of_one_account() -> impl Iterator<Item = &'static Overlay> {
    ALL.iter().filter(|overlay| overlay.name != "accounts")
}

/// Those for the Prometheus operator.
pub fn with_operator() -> impl Iterator<Item = &'static Overlay> {
    ALL.iter().filter(|overlay| overlay.name != "minimal")
}

/// Of those, the ones that are scraped as a whole.
pub fn with_monitor() -> impl Iterator<Item = &'static Overlay> {
    with_operator().filter(|overlay| overlay.name != "accounts")
}

/// kubectl of this release.
pub fn kubectl(release: &str) -> Command {
    installed(&format!("kubectl-{release}"))
}

/// What that renders from a folder.
pub fn rendered(release: &str, folder: &str) -> String {
    printed(kubectl(release).args(["kustomize", folder]))
}

/// The objects in a text.
pub fn objects(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[test]
fn every_overlay_is_known_here() {
    let folders = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    assert_eq!(folders, NAMES);
}

#[test]
fn the_oldest_kubectl_and_a_new_one_render_the_same() {
    for overlay in ALL.iter() {
        assert_eq!(
            rendered(RELEASES[1], &format!("{FOLDER}/{}", overlay.name)),
            overlay.text,
            "{}",
            overlay.name
        );
    }
}

#[test]
fn every_component_is_in_an_overlay() {
    let used: String = NAMES
        .iter()
        .map(|name| yaml(format!("{FOLDER}/{name}/kustomization.yaml")).to_string())
        .collect();
    for entry in std::fs::read_dir("deploy/kubernetes/components").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(used.contains(&format!("components/{name}\"")), "{name}");
    }
}
