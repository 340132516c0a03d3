//! Tests of the command `health` with a web configuration.

use crate::common::exporter_process::{command, output};
use crate::harness::{TLS, TestExporter, basic_auth_config};

/// Runs `health` and returns its exit code and its error without the program name.
async fn health(exporter: &TestExporter) -> (Option<i32>, String) {
    let file = exporter.pki.arg("web.yml");
    run_health(exporter, &["--web.config.file", &file]).await
}

async fn run_health(exporter: &TestExporter, arguments: &[&str]) -> (Option<i32>, String) {
    let port = exporter.address.rsplit_once(':').unwrap().1;
    let address = format!("127.0.0.1:{port}");
    let arguments = [&["health", "--web.listen-address", &address], arguments].concat();
    let mut command = command(&arguments);
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    let (code, stdout, error) = output(command).await;
    assert_eq!(stdout, "");
    (
        code,
        error
            .trim_end()
            .trim_start_matches("ringcentral-exporter: ")
            .to_owned(),
    )
}

#[tokio::test]
async fn health_check_skips_verification_and_basic_auth() {
    let exporter = TestExporter::start(
        &format!("{TLS}{}", basic_auth_config("prometheus", "sesame", 4)),
        &[],
    )
    .await;
    assert_eq!(health(&exporter).await, (Some(0), String::new()));
    let exporter = TestExporter::start(&basic_auth_config("prometheus", "sesame", 4), &[]).await;
    assert_eq!(health(&exporter).await, (Some(0), String::new()));
}

#[tokio::test]
async fn health_check_suggests_tcp_probe_for_client_certs() {
    let client_auth = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    let exporter = TestExporter::start(&format!("{TLS}{client_auth}"), &[]).await;
    let line = "client certificate required, which `health` does not have: use a TCP probe";
    let (code, error) = health(&exporter).await;
    assert!(
        code == Some(1) && error.starts_with("https://") && error.ends_with(line),
        "{error}"
    );
}

#[tokio::test]
async fn health_check_without_web_config_names_tls() {
    let client_auth = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    for config in [TLS.to_owned(), format!("{TLS}{client_auth}")] {
        let exporter = TestExporter::start(&config, &[]).await;
        let (code, error) = run_health(&exporter, &[]).await;
        assert!(
            code == Some(1) && error.ends_with("the exporter uses TLS: add --web.config.file"),
            "{error}"
        );
    }
}

/// The exporter keeps the previous configuration. An orchestrator must not restart it, because it
/// could not start again.
#[tokio::test]
async fn invalid_web_config_keeps_health_check_passing() {
    let exporter = TestExporter::start(TLS, &[]).await;
    for invalid in ["tls_server_config: [\n", ""] {
        exporter.write_web_config(invalid);
        assert_eq!(
            health(&exporter).await,
            (Some(0), String::new()),
            "{invalid:?}"
        );
    }
}

#[tokio::test]
async fn health_check_without_listener_exits_1() {
    let mut exporter = TestExporter::start(TLS, &[]).await;
    exporter.process.signal("TERM").await;
    exporter.process.wait_for_exit().await;
    let (code, line) = health(&exporter).await;
    assert_eq!(code, Some(1));
    assert!(
        line.starts_with("https://") && line.ends_with("Connection refused (os error 111)"),
        "{line}"
    );
}
