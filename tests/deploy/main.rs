//! What is shipped to run the exporter: manifests, units, images and archives, as far as they can be tried without a cluster,
//! a container engine or a running systemd.
//!
//! Needs what `make deploy` sees to: two releases of kubectl and the Kubernetes schemas in `.cache/deploy`, the static program,
//! and Debian's `systemd`, `prometheus` and `prometheus-alertmanager`. `empty_root` and `systemd` must be run by root.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;
// What Kubernetes is given: each overlay as it is rendered.
mod kubernetes;
mod overlays;
// The profile `restricted` of Pod Security, field by field.
mod restricted;
// The Kubernetes schemas of three releases.
mod schemas;
// The objects of the Prometheus operator.
mod operator;
// The ConfigMaps of Grafana's sidecar.
mod dashboards;
// Its example of a web configuration.
mod web;
// A file of accounts in place of one account's variables: its example, in Kubernetes, and read by the program.
mod accounts;
// The image.
mod docker;
// The same beside Prometheus, Alertmanager and Grafana.
mod compose;
// The unit of systemd.
mod systemd;
// The program without libraries.
mod static_program;
// That in an empty root, within the memory of the manifests.
mod empty_root;
// The archive of a release.
mod archive;
// What the documents tell a user to do.
mod documents;
// How programs are run and files are read.
mod tools;
