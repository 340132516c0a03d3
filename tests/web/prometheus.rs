//! Tests with a Prometheus server that scrapes over TLS, with a password and with a client
//! certificate.

use std::time::Duration;

use tokio::time::Instant;

use crate::common::MAX_WAIT;
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::harness::{TLS, TestExporter, basic_auth_config};
use crate::pki::Pki;

/// The interval and the timeout of scrapes, with time for a slow TLS handshake.
const INTERVAL: Duration = Duration::from_secs(5);

/// Starts a Prometheus server that scrapes, with further keys of the job in YAML's flow style.
async fn start_prometheus(exporter: &TestExporter, job: &str) -> PrometheusServer {
    PrometheusBuilder::new(&[&exporter.url("")], INTERVAL)
        .job_options(job)
        .start()
        .await
}

/// Waits up to a minute and returns whether a scrape succeeded.
async fn is_scraped(server: &PrometheusServer) -> bool {
    let deadline = Instant::now() + MAX_WAIT;
    while Instant::now() < deadline {
        if server.values("ringcentral_up == 1").await.len() == 1 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

/// Waits up to a minute and returns whether scrapes failed and none succeeded.
async fn is_never_scraped(server: &PrometheusServer) -> bool {
    let deadline = Instant::now() + MAX_WAIT;
    while Instant::now() < deadline {
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
async fn prometheus_scrapes_with_password_over_tls() {
    let exporter = TestExporter::start(
        &(TLS.to_owned() + &basic_auth_config("prometheus", "sesame", 10)),
        &[],
    )
    .await;
    let ca = exporter.pki.arg("ca.crt");
    let job = |password: &str| {
        format!(
            "scheme: https, tls_config: {{ca_file: {ca:?}}}, basic_auth: {{username: prometheus, password: {password:?}}}"
        )
    };
    assert!(is_scraped(&start_prometheus(&exporter, &job("sesame")).await).await);
    assert!(is_never_scraped(&start_prometheus(&exporter, &job("sesam")).await).await);
}

#[tokio::test]
async fn prometheus_scrapes_only_with_client_certificate() {
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
         client_allowed_sans: [prometheus.example]\n  min_version: TLS13\n"
    );
    let pki = Pki::new();
    pki.issue_client("other", "other.example", |_| {});
    let exporter = TestExporter::start_with_pki(pki, &web, &[]).await;
    let ca = exporter.pki.arg("ca.crt");
    let job = |client: &str| {
        let (certificate, key) = (
            exporter.pki.arg(&format!("{client}.crt")),
            exporter.pki.arg(&format!("{client}.key")),
        );
        format!(
            "scheme: https, tls_config: {{ca_file: {ca:?}, cert_file: {certificate:?}, key_file: {key:?}}}"
        )
    };
    assert!(is_scraped(&start_prometheus(&exporter, &job("client")).await).await);
    assert!(is_never_scraped(&start_prometheus(&exporter, &job("other")).await).await);
    let no_cert = format!("scheme: https, tls_config: {{ca_file: {ca:?}}}");
    assert!(is_never_scraped(&start_prometheus(&exporter, &no_cert).await).await);
}

#[tokio::test]
async fn prometheus_scrapes_across_certificate_change() {
    let exporter = TestExporter::start(TLS, &[]).await;
    let job = format!(
        "scheme: https, tls_config: {{ca_file: {:?}}}",
        exporter.pki.arg("ca.crt")
    );
    let server = start_prometheus(&exporter, &job).await;
    assert!(is_scraped(&server).await);
    exporter.pki.issue_server("server");
    tokio::time::sleep(3 * INTERVAL).await;
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
