//! The Helm chart, rendered by two releases of helm.
//!
//! Its examples correspond to the kustomize overlays. [`crate::overlays`] renders both, so the tests of the overlays cover
//! the chart too.
//!
//! | module | content |
//! |---|---|
//! | [`compare`] | the objects of the chart and of the overlays |
//! | [`values`] | the schema of the values, the effect of each, and the errors |
//! | [`package`] | the package of the chart |
//! | [`exporter`] | the exporter with the settings of a rendered chart |
//! | [`docs`] | the commands and the table of values in the README, and the notes |

mod compare;
mod docs;
mod exporter;
mod package;
mod values;

use std::process::Command;

use serde_json::Value;

use crate::overlays::parse_objects;
use crate::tools::{run, run_ok, tool};

pub use values::{all_values_of_many_accounts, all_values_of_one_account};

/// Helm 3 and 4.
const RELEASES: [&str; 2] = ["3.16", "4.3"];
/// Folder of the chart.
const CHART: &str = "deploy/helm";
/// Name of the release and of its namespace, which makes the names of the objects those of the overlays.
const NAME: &str = "ringcentral-exporter";

/// Creates a helm command of this release.
fn helm(release: &str) -> Command {
    tool(&format!("helm-{release}"))
}

/// Creates a command that renders a chart with a file of values.
fn template(release: &str, chart: &str, values: &str) -> Command {
    let mut command = helm(release);
    command.args([
        "template",
        NAME,
        chart,
        "--namespace",
        NAME,
        "--values",
        values,
    ]);
    command
}

/// Returns the file of an example.
fn example(name: &str) -> String {
    format!("{CHART}/examples/{name}.yaml")
}

/// Renders an example with Helm 3.
pub fn render_example(name: &str) -> String {
    run_ok(&mut template(RELEASES[0], CHART, &example(name)))
}

/// Renders the chart with these values, or returns the error.
fn try_render(release: &str, values: &Value) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    std::fs::write(&file, values.to_string()).unwrap();
    let output = run(&mut template(release, CHART, file.to_str().unwrap()));
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

/// Renders the chart with these values by Helm 3.
pub fn render(values: &Value) -> String {
    try_render(RELEASES[0], values).unwrap_or_else(|error| panic!("{error}\n{values:#}"))
}

/// Returns the only object of a kind in a rendered text.
fn single(text: &str, kind: &str) -> Value {
    let mut objects = parse_objects(text);
    objects.retain(|object| object["kind"] == kind);
    assert_eq!(objects.len(), 1, "{kind}");
    objects.remove(0)
}
