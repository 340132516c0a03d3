//! Clients that show a certificate, and those that do not.

use rcgen::{CertificateParams, SanType, date_time_ymd};

use crate::curl::Answer;
use crate::pki::Pki;
use crate::stage::{Stage, TLS};

/// A program that asks for certificates by this policy, and a folder of clients.
async fn stage(policy: &str, more: &str) -> Stage {
    let pki = Pki::new();
    pki.stranger("stranger");
    pki.client("expired", "prometheus.example", |params| {
        params.not_after = date_time_ymd(2021, 2, 3)
    });
    let names = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![
            SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::URI("spiffe://example/prometheus".try_into().unwrap()),
        ];
    };
    pki.client("names", "unused", names);
    let ca = if policy.contains("Verify") {
        "ca.crt"
    } else {
        ""
    };
    let web = format!("{TLS}  client_auth_type: {policy}\n  client_ca_file: {ca}\n{more}");
    Stage::around(pki, &web, &[]).await
}

/// What a client with this certificate gets, in both versions alike.
async fn shows(stage: &Stage, client: &str) -> Answer {
    let (certificate, key) = (
        stage.pki.arg(&format!("{client}.crt")),
        stage.pki.arg(&format!("{client}.key")),
    );
    let arguments = ["--cert", &certificate, "--key", &key];
    let older = stage
        .curl(
            "/metrics",
            &[&arguments[..], &["--tls-max", "1.2"]].concat(),
        )
        .await;
    let newer = stage.curl("/metrics", &arguments).await;
    assert_eq!(older.status, newer.status, "{client}: {older:?} {newer:?}");
    newer
}

#[tokio::test]
async fn only_certificates_of_our_ca_are_let_in_where_they_are_required_and_verified() {
    let stage = stage("RequireAndVerifyClientCert", "").await;
    assert_eq!(shows(&stage, "client").await.status, 200);
    assert_eq!(
        stage.curl("/metrics", &[]).await.status,
        0,
        "no certificate"
    );
    assert_eq!(
        stage.curl("/-/healthy", &[]).await.status,
        0,
        "probes need one too"
    );
    for client in ["expired", "stranger"] {
        let refused = shows(&stage, client).await;
        assert_eq!(refused.status, 0, "{client}: {refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_verified_only_if_given_where_the_policy_says_so() {
    let stage = stage("VerifyClientCertIfGiven", "").await;
    assert_eq!(shows(&stage, "client").await.status, 200);
    assert_eq!(stage.curl("/metrics", &[]).await.status, 200);
    assert_eq!(shows(&stage, "stranger").await.status, 0);
}

#[tokio::test]
async fn any_certificate_will_do_where_the_policy_says_so() {
    let required = stage("RequireAnyClientCert", "").await;
    let requested = stage("RequestClientCert", "").await;
    for client in ["client", "stranger", "expired"] {
        assert_eq!(shows(&required, client).await.status, 200, "{client}");
        assert_eq!(shows(&requested, client).await.status, 200, "{client}");
    }
    assert_eq!(required.curl("/metrics", &[]).await.status, 0);
    assert_eq!(requested.curl("/metrics", &[]).await.status, 200);
}

#[tokio::test]
async fn only_allowed_names_are_let_in() {
    let right = stage(
        "RequireAndVerifyClientCert",
        "  client_allowed_sans: [other.example, prometheus.example]\n",
    )
    .await;
    assert_eq!(shows(&right, "client").await.status, 200);
    assert_eq!(shows(&right, "names").await.status, 0);
    assert_eq!(
        shows(&right, "stranger").await.status,
        0,
        "the right name of the wrong authority"
    );
    for name in [
        "ops@example.com",
        "192.0.2.7",
        "spiffe://example/prometheus",
    ] {
        let stage = stage(
            "RequireAndVerifyClientCert",
            &format!("  client_allowed_sans: ['{name}']\n"),
        )
        .await;
        assert_eq!(shows(&stage, "names").await.status, 200, "{name}");
        assert_eq!(shows(&stage, "client").await.status, 0, "{name}");
    }
}

#[tokio::test]
async fn without_a_certificate_no_name_is_allowed() {
    let stage = stage(
        "VerifyClientCertIfGiven",
        "  client_allowed_sans: [prometheus.example]\n",
    )
    .await;
    assert_eq!(shows(&stage, "client").await.status, 200);
    assert_eq!(stage.curl("/metrics", &[]).await.status, 0);
}
