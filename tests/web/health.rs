//! The command `health` where the exporter has a web configuration.

use crate::common::program::{command, output};
use crate::stage::{Stage, TLS, users};

async fn health(stage: &Stage) -> (Option<i32>, String) {
    let port = stage.address.rsplit_once(':').unwrap().1;
    let (file, address) = (stage.pki.arg("web.yml"), format!("127.0.0.1:{port}"));
    let mut command = command(&["health", "--web.config.file", &file, "--web.listen-address", &address]);
    command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let (code, printed, error) = output(command).await;
    assert_eq!(printed, "");
    (code, error.trim_end().trim_start_matches("ringcentral-exporter: ").to_owned())
}

#[tokio::test]
async fn our_own_certificate_is_not_verified_and_no_login_is_needed() {
    let stage = Stage::start(&format!("{TLS}{}", users("prometheus", "sesame", 4)), &[]).await;
    assert_eq!(health(&stage).await, (Some(0), String::new()));
    let stage = Stage::start(&users("prometheus", "sesame", 4), &[]).await;
    assert_eq!(health(&stage).await, (Some(0), String::new()));
}

#[tokio::test]
async fn where_clients_need_a_certificate_a_tcp_probe_is_advised() {
    let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
    let stage = Stage::start(&format!("{TLS}{clients}"), &[]).await;
    let line = "clients need a certificate, and a health check has none: use a TCP probe";
    assert_eq!(health(&stage).await, (Some(1), line.to_owned()));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_one_line_and_exit_1() {
    let stage = Stage::start(TLS, &[]).await;
    stage.web("tls_server_config: [\n");
    let (code, line) = health(&stage).await;
    assert_eq!(code, Some(1));
    assert!(line.starts_with("--web.config.file: ") && line.lines().count() == 1, "{line}");
}
