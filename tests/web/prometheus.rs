//! A real Prometheus that scrapes us over TLS, with a password, and with a certificate.

use std::time::Duration;

use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::pki::Pki;
use crate::stage::{Stage, TLS, users};

/// A Prometheus that scrapes once a second, by this further YAML of its job.
async fn prometheus(stage: &Stage, job: &str) -> PrometheusServer {
    PrometheusBuilder::new(&[&stage.url("")], Duration::from_secs(1))
        .job_options(job)
        .start()
        .await
}

/// Whether it has seen us up, within ten seconds.
async fn sees_up(server: &PrometheusServer) -> bool {
    for _ in 0..50 {
        if server.values("ringcentral_up == 1").await.len() == 1 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

/// Whether it has tried and never succeeded.
async fn sees_down(server: &PrometheusServer) -> bool {
    for _ in 0..50 {
        if server
            .query("up == 0", &[])
            .await
            .as_array()
            .is_some_and(|series| !series.is_empty())
        {
            return server
                .query("max_over_time(up[10m]) == 0", &[])
                .await
                .as_array()
                .unwrap()
                .len()
                == 1;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

#[tokio::test]
async fn it_scrapes_over_tls_with_a_password() {
    let stage = Stage::start(&(TLS.to_owned() + &users("prometheus", "sesame", 10)), &[]).await;
    let ca = stage.pki.arg("ca.crt");
    let job = |password: &str| {
        format!(
            "scheme: https, tls_config: {{ca_file: {ca:?}}}, basic_auth: {{username: prometheus, password: {password:?}}}"
        )
    };
    assert!(sees_up(&prometheus(&stage, &job("sesame")).await).await);
    assert!(sees_down(&prometheus(&stage, &job("sesam")).await).await);
}

#[tokio::test]
async fn it_scrapes_with_a_client_certificate_and_not_without() {
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
         client_allowed_sans: [prometheus.example]\n  min_version: TLS13\n"
    );
    let pki = Pki::new();
    pki.client("other", "other.example", |_| {});
    let stage = Stage::around(pki, &web, &[]).await;
    let ca = stage.pki.arg("ca.crt");
    let job = |client: &str| {
        let (certificate, key) = (
            stage.pki.arg(&format!("{client}.crt")),
            stage.pki.arg(&format!("{client}.key")),
        );
        format!(
            "scheme: https, tls_config: {{ca_file: {ca:?}, cert_file: {certificate:?}, key_file: {key:?}}}"
        )
    };
    assert!(sees_up(&prometheus(&stage, &job("client")).await).await);
    assert!(sees_down(&prometheus(&stage, &job("other")).await).await);
    let none = format!("scheme: https, tls_config: {{ca_file: {ca:?}}}");
    assert!(sees_down(&prometheus(&stage, &none).await).await);
}

#[tokio::test]
async fn it_goes_on_scraping_when_the_certificate_is_exchanged() {
    let stage = Stage::start(TLS, &[]).await;
    let job = format!(
        "scheme: https, tls_config: {{ca_file: {:?}}}",
        stage.pki.arg("ca.crt")
    );
    let server = prometheus(&stage, &job).await;
    assert!(sees_up(&server).await);
    stage.pki.server("server");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        server
            .query("min_over_time(up[10m]) == 1", &[])
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let successful = "ringcentral_exporter_config_last_reload_successful";
    assert_eq!(
        server
            .values(successful)
            .await
            .into_values()
            .collect::<Vec<_>>(),
        [1.0]
    );
    assert_eq!(
        server
            .query(&format!("changes({successful}[10m]) == 0"), &[])
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
