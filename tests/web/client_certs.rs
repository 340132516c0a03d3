//! Tests of client certificates, by `client_auth_type`.

use rcgen::{CertificateParams, SanType, date_time_ymd};

use crate::curl::CurlResponse;
use crate::harness::{TLS, TestExporter};
use crate::pki::Pki;

/// Starts an exporter with this `client_auth_type` and further keys, and issues client
/// certificates.
async fn start(policy: &str, extra_keys: &str) -> TestExporter {
    let pki = Pki::new();
    pki.issue_untrusted_client("untrusted");
    pki.issue_client("expired", "prometheus.example", |params| {
        params.not_after = date_time_ymd(2021, 2, 3)
    });
    let add_names = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![
            SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::URI("spiffe://example/prometheus".try_into().unwrap()),
        ];
    };
    pki.issue_client("names", "unused", add_names);
    let ca = if policy.contains("Verify") {
        "ca.crt"
    } else {
        ""
    };
    let web = format!("{TLS}  client_auth_type: {policy}\n  client_ca_file: {ca}\n{extra_keys}");
    TestExporter::start_with_pki(pki, &web, &[]).await
}

/// Scrapes with a client certificate over TLS 1.2 and 1.3. Asserts that the statuses agree, and
/// returns the second response.
async fn scrape_with_cert(exporter: &TestExporter, client: &str) -> CurlResponse {
    let (certificate, key) = (
        exporter.pki.arg(&format!("{client}.crt")),
        exporter.pki.arg(&format!("{client}.key")),
    );
    let arguments = ["--cert", &certificate, "--key", &key];
    let tls_1_2 = exporter
        .curl(
            "/metrics",
            &[&arguments[..], &["--tls-max", "1.2"]].concat(),
        )
        .await;
    let tls_1_3 = exporter.curl("/metrics", &arguments).await;
    assert_eq!(
        tls_1_2.status, tls_1_3.status,
        "{client}: {tls_1_2:?} {tls_1_3:?}"
    );
    tls_1_3
}

#[tokio::test]
async fn required_certificate_must_be_signed_by_client_ca() {
    let exporter = start("RequireAndVerifyClientCert", "").await;
    assert_eq!(scrape_with_cert(&exporter, "client").await.status, 200);
    assert_eq!(
        exporter.curl("/metrics", &[]).await.status,
        0,
        "no certificate"
    );
    assert_eq!(
        exporter.curl("/-/healthy", &[]).await.status,
        0,
        "health endpoints require a certificate too"
    );
    for client in ["expired", "untrusted"] {
        let rejected = scrape_with_cert(&exporter, client).await;
        assert_eq!(rejected.status, 0, "{client}: {rejected:?}");
    }
}

#[tokio::test]
async fn optional_certificate_is_verified_if_given() {
    let exporter = start("VerifyClientCertIfGiven", "").await;
    assert_eq!(scrape_with_cert(&exporter, "client").await.status, 200);
    assert_eq!(exporter.curl("/metrics", &[]).await.status, 200);
    assert_eq!(scrape_with_cert(&exporter, "untrusted").await.status, 0);
}

#[tokio::test]
async fn unverified_policies_accept_any_certificate() {
    let required = start("RequireAnyClientCert", "").await;
    let requested = start("RequestClientCert", "").await;
    for client in ["client", "untrusted", "expired"] {
        assert_eq!(
            scrape_with_cert(&required, client).await.status,
            200,
            "{client}"
        );
        assert_eq!(
            scrape_with_cert(&requested, client).await.status,
            200,
            "{client}"
        );
    }
    assert_eq!(required.curl("/metrics", &[]).await.status, 0);
    assert_eq!(requested.curl("/metrics", &[]).await.status, 200);
}

#[tokio::test]
async fn only_allowed_sans_are_accepted() {
    let exporter = start(
        "RequireAndVerifyClientCert",
        "  client_allowed_sans: [other.example, prometheus.example]\n",
    )
    .await;
    assert_eq!(scrape_with_cert(&exporter, "client").await.status, 200);
    assert_eq!(scrape_with_cert(&exporter, "names").await.status, 0);
    assert_eq!(
        scrape_with_cert(&exporter, "untrusted").await.status,
        0,
        "allowed name, untrusted authority"
    );
    for name in [
        "ops@example.com",
        "192.0.2.7",
        "spiffe://example/prometheus",
    ] {
        let exporter = start(
            "RequireAndVerifyClientCert",
            &format!("  client_allowed_sans: ['{name}']\n"),
        )
        .await;
        assert_eq!(
            scrape_with_cert(&exporter, "names").await.status,
            200,
            "{name}"
        );
        assert_eq!(
            scrape_with_cert(&exporter, "client").await.status,
            0,
            "{name}"
        );
    }
}

#[tokio::test]
async fn allowed_sans_require_a_certificate() {
    let exporter = start(
        "VerifyClientCertIfGiven",
        "  client_allowed_sans: [prometheus.example]\n",
    )
    .await;
    assert_eq!(scrape_with_cert(&exporter, "client").await.status, 200);
    assert_eq!(exporter.curl("/metrics", &[]).await.status, 0);
}
