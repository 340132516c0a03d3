//! Tests of the rate limit and of configured response headers.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{TLS, TestExporter, basic_auth_config};

#[tokio::test]
async fn rate_limit_rejects_requests_but_not_probes() {
    let exporter = TestExporter::start("rate_limit: {interval: 10s, burst: 3}\n", &[]).await;
    let started = Instant::now();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(exporter.curl("/", &[]).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    let rejected = exporter.curl("/metrics", &[]).await;
    assert_eq!(rejected.status, 429, "{rejected:?}");
    let earliest = 10_u64.saturating_sub(started.elapsed().as_secs());
    assert!(
        (earliest..=10).any(|wait| rejected.has_header(&format!("Retry-After: {wait}"))),
        "{rejected:?}"
    );
    for path in ["/-/healthy", "/healthz", "/-/ready", "/readyz"] {
        assert_eq!(exporter.curl(path, &[]).await.status, 200, "{path}");
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(exporter.curl("/", &[]).await.status, 200);
}

#[tokio::test]
async fn rate_limit_applies_before_basic_auth() {
    let exporter = TestExporter::start(
        &(basic_auth_config("alice", "sesame", 4) + "rate_limit: {interval: 1m, burst: 1}\n"),
        &[],
    )
    .await;
    assert_eq!(exporter.curl("/", &[]).await.status, 401);
    assert_eq!(
        exporter.curl("/", &["--user", "alice:sesame"]).await.status,
        429
    );
}

#[tokio::test]
async fn configured_headers_are_on_every_response() {
    let headers = include_str!("files/toolkit-headers.yml");
    let web = format!(
        "{TLS}{headers}{}rate_limit: {{interval: 1m, burst: 4}}\n",
        basic_auth_config("alice", "sesame", 4)
    );
    let exporter = TestExporter::start(&web, &[]).await;
    let user: &[&str] = &["--user", "alice:sesame"];
    let post: &[&str] = &["--user", "alice:sesame", "--request", "POST"];
    let cases = [
        ("/", user, 200),
        ("/", &[], 401),
        ("/nothing", user, 404),
        ("/", post, 405),
        ("/", &[], 429),
        ("/healthz", &[], 200),
    ];
    for (path, arguments, status) in cases {
        let response = exporter.curl(path, arguments).await;
        assert_eq!(response.status, status, "{path}");
        for header in [
            "X-Frame-Options: deny",
            "Strict-Transport-Security: max-age=31536000; includeSubDomains",
            "X-Content-Type-Options: nosniff",
            "X-XSS-Protection: 1",
            "Content-Security-Policy: default-src 'self' *.test.example.net",
        ] {
            assert!(response.has_header(header), "{header} in {response:?}");
        }
    }
}
