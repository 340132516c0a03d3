//! Tests of invalid web configurations at startup: one line on standard error and exit code 2.

use crate::common::exporter_process::{command, output};
use crate::harness::{TLS, TestExporter};
use crate::pki::Pki;

/// Runs `serve` and `demo` with this web configuration and returns the error of the latter.
pub async fn startup_error(pki: &Pki, web: &str) -> String {
    pki.write("web.yml", web);
    let file = pki.arg("web.yml");
    for subcommand in ["serve", "demo"] {
        let mut command = command(&[
            subcommand,
            "--web.listen-address=127.0.0.1:0",
            "--web.config.file",
            &file,
        ]);
        command
            .env("RC_CLIENT_ID", "id")
            .env("RC_CLIENT_SECRET", "secret")
            .env("RC_JWT", "jwt");
        let (code, stdout, error) = output(command).await;
        assert_eq!(
            (code, stdout.as_str(), error.lines().count()),
            (Some(2), "", 1),
            "{error}"
        );
        if subcommand == "demo" {
            let line = error
                .trim_end()
                .strip_prefix("ringcentral-exporter: --web.config.file: ")
                .unwrap();
            return line.replace(&format!("{}/", pki.folder().display()), "");
        }
    }
    unreachable!()
}

#[tokio::test]
async fn unusable_tls_file_error_names_key_and_file() {
    let pki = Pki::new();
    pki.issue_server("other");
    pki.write("empty.pem", " \n");
    pki.write("junk.pem", "sesame\n");
    pki.run("sed 's/^/    /' server.crt >indented.crt; sed 's/^/  /' server.key >indented.key; sed 's/^-----BEGIN/cert: &/' server.crt >after-text.crt");
    pki.write(
        "broken.crt",
        "-----BEGIN CERTIFICATE-----\nsesame\n-----END CERTIFICATE-----\n",
    );
    pki.write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let (certificates, key) = (
        "certificates in PEM format",
        "one unencrypted private key in PEM format: RSA with 2048 to 4096 bits, ECDSA P-256 or P-384, or Ed25519",
    );
    let cases = [
        ("missing.crt", "server.key", format!("cert_file: missing.crt: cannot read the file: No such file or directory (os error 2): expected {certificates}")),
        ("empty.pem", "server.key", format!("cert_file: empty.pem: the PEM text is empty: expected {certificates}")),
        ("junk.pem", "server.key", format!("cert_file: junk.pem: contains no certificate: expected {certificates}")),
        ("indented.crt", "server.key", format!("cert_file: indented.crt: contains no certificate, but a certificate with text or blanks before its first line: expected {certificates}")),
        ("after-text.crt", "server.key", format!("cert_file: after-text.crt: contains no certificate, but a certificate with text or blanks before its first line: expected {certificates}")),
        ("server.crt", "indented.key", format!("key_file: indented.key: contains no usable private key, but a private key with text or blanks before its first line: expected {key}")),
        ("broken.crt", "server.key", format!("cert_file: broken.crt: contains an invalid certificate: expected {certificates}")),
        ("server.crt", "missing.key", format!("key_file: missing.key: cannot read the file: No such file or directory (os error 2): expected {key}")),
        ("server.crt", "empty.pem", format!("key_file: empty.pem: the PEM text is empty: expected {key}")),
        ("server.crt", "server.crt", format!("key_file: server.crt: contains no usable private key, but a certificate: expected {key}")),
        ("server.crt", "encrypted.key", format!("key_file: encrypted.key: contains no usable private key, but an encrypted private key: expected {key}")),
        ("server.crt", "other.key", "key_file: other.key: does not match the certificate: expected the key of --web.config.file: web.yml line 2: tls_server_config.cert_file: server.crt".to_owned()),
    ];
    for (certificate, key, message) in cases {
        let web = format!("tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n");
        let line = if message.starts_with("cert") { 2 } else { 3 };
        assert_eq!(
            startup_error(&pki, &web).await,
            format!("web.yml line {line}: tls_server_config.{message}")
        );
    }
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: junk.pem\n"
    );
    let expected = format!(
        "web.yml line 5: tls_server_config.client_ca_file: junk.pem: contains no certificate: expected {certificates}"
    );
    assert_eq!(startup_error(&pki, &web).await, expected);
}

#[tokio::test]
async fn config_error_names_line_and_key() {
    let pki = Pki::new();
    let cases = [
        ("tls_server_config: {", "web.yml line 1: invalid YAML"),
        ("sesame", "web.yml line 1: expected a mapping"),
        (
            "tls_server_config:\n  cert_filse: server.crt\n  cert_file: server.crt\n  key_file: server.key\n",
            "web.yml line 2: unknown key `tls_server_config.cert_filse`: expected one of cert, cert_file, key, key_file, client_ca, client_ca_file, client_auth_type, client_allowed_sans, min_version, max_version, cipher_suites, prefer_server_cipher_suites, curve_preferences",
        ),
        (
            "tls_server_config:\n  min_version: TLS10\n  cert_file: server.crt\n  key_file: server.key\n",
            "web.yml line 2: tls_server_config.min_version: rustls does not support \"TLS10\": expected TLS12 or TLS13",
        ),
    ];
    for (web, message) in cases {
        assert_eq!(startup_error(&pki, web).await, message);
    }
    let hash = startup_error(&pki, "basic_auth_users:\n  alice: sesame\n").await;
    assert!(
        hash.starts_with("web.yml line 2: basic_auth_users.alice: not a bcrypt hash: expected"),
        "{hash}"
    );
    assert!(!hash.contains("sesame"), "{hash}");
}

#[tokio::test]
async fn cipher_suites_without_usable_version_are_rejected() {
    let pki = Pki::new();
    let web = format!("{TLS}  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n");
    assert_eq!(
        startup_error(&pki, &web).await,
        "web.yml line 5: tls_server_config.cipher_suites[0]: invalid value \"TLS_AES_128_GCM_SHA256\": expected at least one suite of TLS 1.2 if TLS 1.3 is disabled"
    );
}

#[tokio::test]
async fn cipher_suites_for_other_key_type_are_rejected() {
    let pki = Pki::new();
    let suites = "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]";
    let line = startup_error(&pki, &format!("{TLS}  max_version: TLS12\n  {suites}\n")).await;
    let expected = "no suite in cipher_suites can be used with this kind of key: expected ECDHE_RSA for RSA, ECDHE_ECDSA for others";
    assert_eq!(
        line,
        format!("web.yml line 3: tls_server_config.key_file: server.key: {expected}")
    );
    let exporter = TestExporter::start_with_pki(pki, &format!("{TLS}  {suites}\n"), &[]).await;
    assert_eq!(
        exporter.curl("/metrics", &[]).await.status,
        200,
        "TLS 1.3 is still possible"
    );
}

#[tokio::test]
async fn missing_web_config_is_rejected() {
    let pki = Pki::new();
    let file = pki.arg("nothing.yml");
    let (code, _, error) = output(command(&["demo", "--web.config.file", &file])).await;
    let expected = format!(
        "ringcentral-exporter: --web.config.file: {file}: cannot read the file: No such file or directory (os error 2): expected a file in the format of the Prometheus exporter-toolkit\n"
    );
    assert_eq!((code, error), (Some(2), expected));
}

#[tokio::test]
async fn open_web_config_logs_warning() {
    let warning = "neither TLS nor basic auth is configured";
    for (web, is_open) in [
        ("", true),
        ("rate_limit: {interval: 1s, burst: 9}", true),
        (TLS, false),
    ] {
        let mut exporter = TestExporter::start(web, &[]).await;
        exporter.process.signal("TERM").await;
        exporter.process.wait_for_exit().await;
        assert_eq!(
            exporter.process.log.contains(warning),
            is_open,
            "{web}: {}",
            exporter.process.log
        );
    }
}

#[tokio::test]
async fn exporter_toolkit_examples_are_accepted() {
    for (web, status) in [
        (include_str!("files/toolkit-sample.yml"), 401),
        (include_str!("files/toolkit-headers.yml"), 200),
        (include_str!("files/toolkit-whole.yml"), 0),
        ("", 200),
    ] {
        let exporter = TestExporter::start(web, &[]).await;
        assert_eq!(exporter.curl("/metrics", &[]).await.status, status, "{web}");
    }
}
