//! Tests of the deployment files: manifests, units, images and archives, without a cluster or a container engine.
//!
//! | module | content |
//! |---|---|
//! | [`overlays`] | rendered Kubernetes overlays |
//! | [`kubernetes`] | manifests, labels, probes and Secrets |
//! | [`helm`] | the Helm chart |
//! | [`pod_security`] | the Pod Security profile `restricted` |
//! | [`schemas`] | the Kubernetes schemas of three releases |
//! | [`operator`] | objects of the Prometheus operator |
//! | [`dashboards`] | ConfigMaps for the sidecar of Grafana |
//! | [`web`] | the example of a web configuration |
//! | [`accounts`] | files of accounts, in Kubernetes and read by the exporter |
//! | [`docker`] | the Dockerfile |
//! | [`compose`] | the Compose files |
//! | [`systemd`] | the systemd unit |
//! | [`debian`] | the Debian packages, installed by a real dpkg |
//! | [`static_program`] | the statically linked programs |
//! | [`scratch_container`] | that program in an empty root folder, within the memory limit |
//! | [`archive`] | the archives and checksums of a release |
//! | [`sbom`] | the SBOMs of a release |
//! | [`workflows`] | workflows, issue forms and settings of GitHub, and the make targets of a release |
//! | [`docs`] | commands and links in the documents |
//! | [`tools`] | functions that run programs and read files |
//!
//! Requires what `make deploy` installs: two releases of kubectl and helm, and the Kubernetes schemas, in
//! `.cache/deploy`, the static program, and Debian's `systemd`, `prometheus` and `prometheus-alertmanager`.
//! `scratch_container` and `systemd` require root.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod accounts;
mod archive;
#[path = "../common/mod.rs"]
mod common;
mod compose;
mod dashboards;
mod debian;
mod docker;
mod docs;
mod helm;
mod kubernetes;
mod operator;
mod overlays;
mod pod_security;
mod sbom;
mod schemas;
mod scratch_container;
mod static_program;
mod systemd;
mod tools;
mod web;
mod workflows;
