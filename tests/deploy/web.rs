//! The exporter with the example web configuration, in the folders that the hardened overlay mounts.

use std::fs;
use std::path::Path;

use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator, output};
use crate::tools::read;

/// Example web configuration.
const EXAMPLE: &str = "deploy/kubernetes/components/web-tls/web.example.yaml";
/// Password of the scraper.
const PASSWORD: &str = "change me";
/// Names in the certificate: that of the ServiceMonitor and the one that the test uses.
const NAMES: [&str; 2] = ["ringcentral-exporter", "localhost"];

/// Writes the two Secrets as folders and returns the certificate.
fn write_secrets(folder: &Path, web: &str) -> String {
    let key = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).unwrap();
    let files = [
        ("web/web.yaml", web),
        ("tls/tls.crt", &key.cert.pem()),
        ("tls/tls.key", &key.signing_key.serialize_pem()),
    ];
    for (name, content) in files {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
    key.cert.pem()
}

/// Starts a simulated account.
async fn start_simulator() -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, Scenario::normal(), 1).unwrap()
}

#[tokio::test]
async fn example_with_own_hash_enables_tls_and_basic_auth() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = start_simulator().await;
    let web = read(EXAMPLE).replace("HASH", &bcrypt::hash(PASSWORD, 10).unwrap());
    let certificate = write_secrets(folder.path(), &web);
    let file = folder.path().join("web/web.yaml");
    let arguments = [
        "serve",
        "--web.listen-address=127.0.0.1:0",
        "--web.config.file",
        file.to_str().unwrap(),
    ];
    let mut exporter = ExporterProcess::start(command_for_simulator(&simulator, &arguments));
    let port = exporter
        .wait_for_url()
        .await
        .rsplit_once(':')
        .unwrap()
        .1
        .to_owned();
    let client = http_client(
        &"https://localhost".parse().unwrap(),
        Some(certificate.as_bytes()),
    )
    .unwrap();
    let request = |path: &str| client.get(format!("https://localhost:{port}{path}"));
    assert_eq!(request("/metrics").send().await.unwrap().status(), 401);
    assert_eq!(request("/-/healthy").send().await.unwrap().status(), 200);
    let response = request("/metrics")
        .basic_auth("prometheus", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("\nringcentral_up{account=\"default\"} 1\n")
    );
}

#[tokio::test]
async fn unmodified_example_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = start_simulator().await;
    write_secrets(folder.path(), &read(EXAMPLE));
    let file = folder.path().join("web/web.yaml");
    let arguments = [
        "serve",
        "--web.listen-address=127.0.0.1:0",
        "--web.config.file",
        file.to_str().unwrap(),
    ];
    let (code, _, log) = output(command_for_simulator(&simulator, &arguments)).await;
    assert_eq!(code, Some(2));
    assert!(log.contains("basic_auth_users"), "{log}");
}
