//! The example of a web configuration, laid out as the hardened overlay mounts it: the exporter takes it, and speaks TLS.

use std::fs;
use std::path::Path;

use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, output, pointed_at};
use crate::tools::read;

const EXAMPLE: &str = "deploy/kubernetes/components/web-tls/web.example.yaml";
const PASSWORD: &str = "change me";
/// The name that the ServiceMonitor asks for stands beside the one that can be reached here.
const NAMES: [&str; 2] = ["ringcentral-exporter", "localhost"];

/// The two Secrets as folders; gives the certificate.
fn mounted(folder: &Path, web: &str) -> String {
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

async fn account() -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, Scenario::normal(), 1).unwrap()
}

#[tokio::test]
async fn the_example_with_a_hash_of_ones_own_gives_tls_and_a_login() {
    let (folder, account) = (tempfile::tempdir().unwrap(), account().await);
    let web = read(EXAMPLE).replace("HASH", &bcrypt::hash(PASSWORD, 10).unwrap());
    let certificate = mounted(folder.path(), &web);
    let file = folder.path().join("web/web.yaml");
    let arguments = [
        "serve",
        "--web.listen-address=127.0.0.1:0",
        "--web.config.file",
        file.to_str().unwrap(),
    ];
    let mut program = ExporterProcess::start(pointed_at(&account, &arguments));
    let port = program.url().await.rsplit_once(':').unwrap().1.to_owned();
    let client = http_client(
        &"https://localhost".parse().unwrap(),
        Some(certificate.as_bytes()),
    )
    .unwrap();
    let ask = |path: &str| client.get(format!("https://localhost:{port}{path}"));
    assert_eq!(ask("/metrics").send().await.unwrap().status(), 401);
    assert_eq!(ask("/-/healthy").send().await.unwrap().status(), 200);
    let scraped = ask("/metrics")
        .basic_auth("prometheus", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert!(
        scraped
            .text()
            .await
            .unwrap()
            .contains("\nringcentral_up{account=\"default\"} 1\n")
    );
}

#[tokio::test]
async fn the_example_as_it_is_admits_nobody() {
    let (folder, account) = (tempfile::tempdir().unwrap(), account().await);
    mounted(folder.path(), &read(EXAMPLE));
    let file = folder.path().join("web/web.yaml");
    let arguments = [
        "serve",
        "--web.listen-address=127.0.0.1:0",
        "--web.config.file",
        file.to_str().unwrap(),
    ];
    let (code, _, log) = output(pointed_at(&account, &arguments)).await;
    assert_eq!(code, Some(2));
    assert!(log.contains("basic_auth_users"), "{log}");
}
