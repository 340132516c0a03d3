//! The command `health` where the exporter has a web configuration.

use crate::common::exporter_process::{command, output};
use crate::stage::{Stage, TLS, users};

async fn health(stage: &Stage) -> (Option<i32>, String) {
    let port = stage.address.rsplit_once(':').unwrap().1;
    let (file, address) = (stage.pki.arg("web.yml"), format!("127.0.0.1:{port}"));
    let mut command = command(&[
        "health",
        "--web.config.file",
        &file,
        "--web.listen-address",
        &address,
    ]);
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    let (code, printed, error) = output(command).await;
    assert_eq!(printed, "");
    (
        code,
        error
            .trim_end()
            .trim_start_matches("ringcentral-exporter: ")
            .to_owned(),
    )
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
    let line = "client certificate required, which `health` does not have: use a TCP probe";
    let (code, said) = health(&stage).await;
    assert!(
        code == Some(1) && said.starts_with("https://") && said.ends_with(line),
        "{said}"
    );
}

/// Such an exporter keeps what it has, and must not be killed for the file's sake: it could not start again.
#[tokio::test]
async fn a_file_that_has_gone_bad_makes_no_healthy_exporter_ill() {
    let stage = Stage::start(TLS, &[]).await;
    for bad in ["tls_server_config: [\n", ""] {
        stage.web(bad);
        assert_eq!(health(&stage).await, (Some(0), String::new()), "{bad:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_is_one_line_and_exit_1() {
    let mut stage = Stage::start(TLS, &[]).await;
    stage.program.signal("TERM").await;
    stage.program.ends().await;
    let (code, line) = health(&stage).await;
    assert_eq!(code, Some(1));
    assert!(
        line.starts_with("https://") && line.ends_with("Connection refused (os error 111)"),
        "{line}"
    );
}
