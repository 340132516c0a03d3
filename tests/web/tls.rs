//! Tests of TLS versions, cipher suites and server certificates.

use std::process::Stdio;

use tokio::process::Command;

use crate::curl::CurlResponse;
use crate::harness::{TLS, TestExporter};
use crate::pki::Pki;

/// Runs `openssl s_client` with further arguments and returns its output.
async fn openssl(exporter: &TestExporter, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    let ca = exporter.pki.arg("ca.crt");
    command.args([
        "s_client",
        "-connect",
        &exporter.address,
        "-CAfile",
        &ca,
        "-cipher",
        "ALL:@SECLEVEL=0",
    ]);
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("openssl is not installed: run `make tools`");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Returns whether the response is a scrape with `up` 1.
fn is_up(response: &CurlResponse) -> bool {
    response.status == 200
        && response
            .text
            .contains("\nringcentral_up{account=\"default\"} 1\n")
}

#[tokio::test]
async fn scrape_works_over_tls_1_2_and_1_3() {
    let mut exporter = TestExporter::start(TLS, &[]).await;
    for arguments in [&["--tlsv1.3"] as &[_], &["--tls-max", "1.2"]] {
        assert!(
            is_up(&exporter.curl("/metrics", arguments).await),
            "{arguments:?}"
        );
    }
    assert!(
        exporter.process.log.contains("tls=true basic_auth=false"),
        "{}",
        exporter.process.log
    );
    let plain = crate::curl::curl(&[&format!("http://{}/metrics", exporter.address)]).await;
    assert_eq!(plain.status, 400, "{plain:?}");
    exporter
        .process
        .wait_for_log("level=debug msg=\"HTTP request on the TLS port\"")
        .await;
    exporter.process.signal("TERM").await;
    exporter.process.wait_for_exit().await;
    assert!(
        !exporter.process.log.contains("level=error")
            && !exporter.process.log.contains("level=warn")
    );
}

#[tokio::test]
async fn tls_1_1_is_rejected() {
    let exporter = TestExporter::start(TLS, &[]).await;
    let output = openssl(&exporter, &["-tls1_1"]).await;
    assert!(
        output.contains("alert") && output.contains("Cipher is (NONE)"),
        "{output}"
    );
    let output = openssl(&exporter, &["-tls1_2"]).await;
    assert!(output.contains("Verify return code: 0 (ok)"), "{output}");
    let response = exporter.curl("/metrics", &["--tls-max", "1.1"]).await;
    assert_eq!(response.status, 0, "{response:?}");
}

#[tokio::test]
async fn min_and_max_tls_version_are_enforced() {
    let exporter = TestExporter::start(&format!("{TLS}  min_version: TLS13\n"), &[]).await;
    assert_eq!(
        exporter
            .curl("/metrics", &["--tls-max", "1.2"])
            .await
            .status,
        0
    );
    assert!(is_up(&exporter.curl("/metrics", &[]).await));
    let exporter = TestExporter::start(&format!("{TLS}  max_version: TLS12\n"), &[]).await;
    assert_eq!(exporter.curl("/metrics", &["--tlsv1.3"]).await.status, 0);
    assert!(is_up(&exporter.curl("/metrics", &[]).await));
}

#[tokio::test]
async fn cipher_suites_and_curves_follow_config() {
    let exporter = TestExporter::start(
        &format!(
            "{TLS}  max_version: TLS12\n  curve_preferences: [CurveP384]\n  cipher_suites:\n  \
             - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n"
        ),
        &[],
    )
    .await;
    let output = openssl(
        &exporter,
        &[
            "-cipher",
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        ],
    )
    .await;
    assert!(
        output.contains("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384") && output.contains("secp384r1"),
        "{output}"
    );
    let output = openssl(&exporter, &["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]).await;
    assert!(output.contains("Cipher is (NONE)"), "{output}");
    let output = openssl(&exporter, &["-groups", "X25519"]).await;
    assert!(output.contains("Cipher is (NONE)"), "{output}");
}

#[tokio::test]
async fn inline_certificate_and_key_are_accepted() {
    let pki = Pki::new();
    let indented = |name: &str| {
        std::fs::read_to_string(pki.path(name))
            .unwrap()
            .replace('\n', "\n    ")
    };
    let (certificate, key) = (indented("server.crt"), indented("server.key"));
    let web = format!("tls_server_config:\n  cert: |\n    {certificate}\n  key: |\n    {key}\n");
    let exporter = TestExporter::start_with_pki(pki, &web, &[]).await;
    assert!(is_up(&exporter.curl("/metrics", &[]).await));
}

#[tokio::test]
async fn expired_server_certificate_logs_warning() {
    let pki = Pki::new();
    pki.issue_expired_server("old");
    let web = "tls_server_config: {cert_file: old.crt, key_file: old.key}\n";
    let exporter = TestExporter::start_with_pki(pki, web, &[]).await;
    let warning = exporter
        .process
        .log
        .lines()
        .find(|line| line.contains("level=warn"))
        .unwrap();
    assert!(
        warning.contains("old.crt: the certificate expired at 2021-02-03"),
        "{warning}"
    );
    assert!(is_up(&exporter.curl("/metrics", &["--insecure"]).await));
    assert_eq!(exporter.curl("/metrics", &[]).await.status, 0);
}

#[tokio::test]
async fn demo_serves_tls() {
    let pki = Pki::new();
    pki.write("web.yml", TLS);
    let file = pki.arg("web.yml");
    let (exporter, url, _) = crate::common::demo::start(&["--web.config.file", &file]).await;
    let url = url.replace("http://", "https://");
    let response =
        crate::curl::curl(&["--cacert", &pki.arg("ca.crt"), &format!("{url}/metrics")]).await;
    assert!(is_up(&response), "{response:?}");
    drop(exporter);
}
