//! Tests of the file watch: changed files are applied without a signal or a request.

use tokio::time::Instant;

use crate::common::MAX_WAIT;
use crate::curl::CurlResponse;
use crate::harness::{TLS, TestExporter, basic_auth_config};
use crate::pki::Pki;

const RELOAD_SUCCESSFUL: &str = "ringcentral_exporter_config_last_reload_successful";
const RELOAD_TIMESTAMP: &str = "ringcentral_exporter_config_last_reload_success_timestamp_seconds";

/// Returns whether curl received a certificate with this subject and status 200.
fn has_certificate(response: &CurlResponse, subject: &str) -> bool {
    response.status == 200 && response.error.contains(&format!("subject: CN={subject}\n"))
}

#[tokio::test]
async fn new_certificate_is_used_for_new_connections() {
    let exporter = TestExporter::start(TLS, &[]).await;
    assert!(has_certificate(
        &exporter.curl("/metrics", &["--verbose"]).await,
        "server"
    ));
    exporter.pki.issue_server("renewed");
    for suffix in ["crt", "key"] {
        std::fs::rename(
            exporter.pki.path(&format!("renewed.{suffix}")),
            exporter.pki.path(&format!("server.{suffix}")),
        )
        .unwrap();
    }
    exporter
        .curl_until("/metrics", &["--verbose"], |response| {
            has_certificate(response, "renewed")
        })
        .await;
}

#[tokio::test]
async fn changed_password_replaces_old_password() {
    let exporter = TestExporter::start(
        &(TLS.to_owned() + &basic_auth_config("alice", "sesame", 4)),
        &[],
    )
    .await;
    let (old, new): (&[&str], &[&str]) = (&["--user", "alice:sesame"], &["--user", "alice:open"]);
    assert_eq!(exporter.curl("/metrics", old).await.status, 200);
    assert_eq!(exporter.curl("/metrics", new).await.status, 401);
    exporter.write_web_config(&(TLS.to_owned() + &basic_auth_config("alice", "open", 4)));
    exporter
        .curl_until("/metrics", new, |response| response.status == 200)
        .await;
    assert_eq!(exporter.curl("/metrics", old).await.status, 401);
}

#[tokio::test]
async fn kept_alive_connection_uses_new_users() {
    let exporter = TestExporter::start(&basic_auth_config("alice", "sesame", 4), &[]).await;
    let client = crate::common::http();
    let send = || {
        client
            .get(exporter.url("/"))
            .basic_auth("alice", Some("sesame"))
            .send()
    };
    assert_eq!(send().await.unwrap().status(), 200);
    exporter.write_web_config(&basic_auth_config("alice", "open", 4));
    let deadline = Instant::now() + MAX_WAIT;
    while Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        if send().await.unwrap().status() == 401 {
            return;
        }
    }
    panic!("the old password still works");
}

#[tokio::test]
async fn invalid_config_change_keeps_previous_config() {
    let valid = TLS.to_owned() + &basic_auth_config("alice", "sesame", 4);
    let mut exporter = TestExporter::start(&valid, &[]).await;
    let user: &[&str] = &["--user", "alice:sesame"];
    let before = exporter.curl("/metrics", user).await;
    assert_eq!(before.value(RELOAD_SUCCESSFUL), 1.0);

    exporter.write_web_config("basic_auth_users: {alice: sesame}\n");
    let invalid = exporter
        .curl_until("/metrics", user, |response| {
            response.value(RELOAD_SUCCESSFUL) == 0.0
        })
        .await;
    assert_eq!(
        invalid.value(RELOAD_TIMESTAMP),
        before.value(RELOAD_TIMESTAMP),
        "the previous configuration stays"
    );
    for _ in 0..12 {
        assert_eq!(
            exporter
                .curl("/metrics", user)
                .await
                .value(RELOAD_SUCCESSFUL),
            0.0
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    exporter.write_web_config(&valid);
    let corrected = exporter
        .curl_until("/metrics", user, |response| {
            response.value(RELOAD_SUCCESSFUL) == 1.0
        })
        .await;
    assert!(corrected.value(RELOAD_TIMESTAMP) > before.value(RELOAD_TIMESTAMP));

    exporter.process.signal("TERM").await;
    exporter.process.wait_for_exit().await;
    let errors: Vec<_> = exporter
        .process
        .log
        .lines()
        .filter(|line| line.contains("level=error"))
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("line 1: basic_auth_users.alice: not a bcrypt hash"),
        "{errors:?}"
    );
    assert!(!errors[0].contains("sesame"), "{errors:?}");
}

#[tokio::test]
async fn mismatched_key_keeps_previous_certificate() {
    let exporter = TestExporter::start(TLS, &[]).await;
    exporter.pki.issue_server("other");
    std::fs::copy(
        exporter.pki.path("other.key"),
        exporter.pki.path("server.key"),
    )
    .unwrap();
    let response = exporter
        .curl_until("/metrics", &["--verbose"], |response| {
            response.value(RELOAD_SUCCESSFUL) == 0.0
        })
        .await;
    assert!(has_certificate(&response, "server"));
    std::fs::copy(
        exporter.pki.path("other.crt"),
        exporter.pki.path("server.crt"),
    )
    .unwrap();
    exporter
        .curl_until("/metrics", &["--verbose"], |response| {
            has_certificate(response, "other") && response.value(RELOAD_SUCCESSFUL) == 1.0
        })
        .await;
}

#[tokio::test]
async fn truncated_file_does_not_disable_access_control() {
    let exporter = TestExporter::start(
        &(TLS.to_owned() + &basic_auth_config("alice", "sesame", 4)),
        &[],
    )
    .await;
    let user: &[&str] = &["--user", "alice:sesame"];
    for truncated in ["", TLS, &basic_auth_config("alice", "sesame", 4)] {
        exporter.write_web_config(truncated);
        exporter
            .curl_until("/metrics", user, |response| {
                response.status == 200 && response.value(RELOAD_SUCCESSFUL) == 0.0
            })
            .await;
        assert_eq!(
            exporter.curl("/metrics", &[]).await.status,
            401,
            "{truncated}"
        );
        exporter.write_web_config(&(TLS.to_owned() + &basic_auth_config("alice", "sesame", 4)));
        exporter
            .curl_until("/metrics", user, |response| {
                response.value(RELOAD_SUCCESSFUL) == 1.0
            })
            .await;
    }
}

#[tokio::test]
async fn truncated_file_keeps_client_cert_requirement() {
    let full = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus.example]\n"
    );
    let without_sans = full.rsplit_once("  client_allowed").unwrap().0.to_owned();
    let optional = without_sans.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    for truncated in [TLS, &without_sans, &optional] {
        let mut exporter = TestExporter::start(&full, &[]).await;
        let client = [
            "--cert",
            &exporter.pki.arg("client.crt"),
            "--key",
            &exporter.pki.arg("client.key"),
        ]
        .map(str::to_owned);
        let client = client.each_ref().map(String::as_str);
        assert_eq!(exporter.curl("/metrics", &client).await.status, 200);
        exporter.write_web_config(truncated);
        exporter
            .curl_until("/metrics", &client, |response| {
                response.value(RELOAD_SUCCESSFUL) == 0.0
            })
            .await;
        assert_eq!(
            exporter.curl("/metrics", &[]).await.status,
            0,
            "{truncated}"
        );
        exporter.process.signal("TERM").await;
        exporter.process.wait_for_exit().await;
        let errors: Vec<_> = exporter
            .process
            .log
            .lines()
            .filter(|line| line.contains("level=error"))
            .collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains("requiring less of clients requires a restart"),
            "{errors:?}"
        );
    }
}

#[tokio::test]
async fn new_client_ca_applies_to_new_connections() {
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n"
    );
    let (pki, other_pki) = (Pki::new(), Pki::new());
    std::fs::copy(pki.path("ca.crt"), pki.path("clients.crt")).unwrap();
    let (certificate, key) = (pki.arg("client.crt"), pki.arg("client.key"));
    let exporter = TestExporter::start_with_pki(pki, &web, &[]).await;
    let client: &[&str] = &["--cert", &certificate, "--key", &key];
    assert_eq!(exporter.curl("/metrics", client).await.status, 200);
    std::fs::copy(other_pki.path("ca.crt"), exporter.pki.path("clients.crt")).unwrap();
    exporter
        .curl_until("/metrics", client, |response| response.status == 0)
        .await;
    let (certificate, key) = (other_pki.arg("client.crt"), other_pki.arg("client.key"));
    assert_eq!(
        exporter
            .curl("/metrics", &["--cert", &certificate, "--key", &key])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn named_pipe_does_not_block_requests() {
    for name in ["web.yml", "server.key"] {
        let exporter = TestExporter::start(TLS, &[]).await;
        std::fs::remove_file(exporter.pki.path(name)).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(exporter.pki.path(name))
                .status()
                .unwrap()
                .success()
        );
        exporter
            .curl_until("/metrics", &[], |response| {
                response.status == 200 && response.value(RELOAD_SUCCESSFUL) == 0.0
            })
            .await;
    }
}
