//! The package of the chart, as `make chart` builds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CHART, RELEASES, example, helm, template};
use crate::overlays::NAMES;
use crate::tools::{files, read, read_yaml, run_ok, shell};

/// Program that builds the package.
const PROGRAM: &str = "deploy/helm/package";
/// Maximum size of the Secret in which Helm stores a release with its chart: that of an object in etcd, with a margin.
const MAX_RELEASE_BYTES: usize = 1024 * 1024 * 3 / 4;

/// Builds the package.
fn package(folder: &Path) -> PathBuf {
    run_ok(Command::new(PROGRAM).arg(folder));
    let version = env!("CARGO_PKG_VERSION");
    folder.join(format!("ringcentral-exporter-{version}.tgz"))
}

#[test]
fn package_renders_the_same_as_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path());
    for release in RELEASES {
        for name in NAMES {
            let [from_package, from_folder] = [package.to_str().unwrap(), CHART]
                .map(|chart| run_ok(&mut template(release, chart, &example(name))));
            assert!(from_package == from_folder, "{name}, helm {release}");
        }
    }
}

#[test]
fn package_has_the_files_and_the_same_bytes_again() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [package, again] = [0, 1].map(|n| package(folders[n].path()));
    assert!(std::fs::read(&package).unwrap() == std::fs::read(again).unwrap());
    let unpack = format!(
        "tar -xzf {} -C {}",
        package.display(),
        folders[0].path().display()
    );
    run_ok(&mut shell(&unpack));
    let chart = folders[0].path().join("ringcentral-exporter");
    let names: BTreeSet<_> = std::fs::read_dir(&chart)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        "Chart.yaml",
        "README.md",
        "dashboards",
        "rules",
        "templates",
    ];
    let expected = expected
        .into_iter()
        .chain(["values.schema.json", "values.yaml"]);
    assert_eq!(names, expected.map(str::to_owned).collect());
    let sources = [
        ("rules", "deploy/prometheus/rules", ".yml"),
        ("dashboards", "dashboards", ".json"),
    ];
    for (name, source, suffix) in sources {
        let packed = files(chart.join(name).to_str().unwrap(), "");
        assert_eq!(packed.len(), files(source, suffix).len(), "{packed:?}");
        for file in files(source, suffix) {
            assert_eq!(
                read(chart.join(name).join(file.file_name().unwrap())),
                read(&file)
            );
        }
    }
}

#[test]
fn chart_and_application_have_the_package_version() {
    let chart = read_yaml(format!("{CHART}/Chart.yaml"));
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn release_fits_into_a_secret() {
    let mut command = helm(RELEASES[1]);
    command.args([
        "install",
        "release",
        CHART,
        "--dry-run=client",
        "--output=json",
        "--values",
    ]);
    let release = run_ok(command.arg(example("hardened")));
    assert!(
        release.contains("rules/ringcentral.alerts.yml"),
        "the chart is part of the release"
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, release.as_bytes()).unwrap();
    // Base64 twice: Helm encodes the release, and Kubernetes the data of a Secret.
    let bytes = gzip.finish().unwrap().len() * 16 / 9;
    assert!(bytes < MAX_RELEASE_BYTES, "{bytes}");
}
