//! The rate limit, and headers on every answer.

use std::time::Duration;

use crate::stage::{Stage, TLS, users};

#[tokio::test]
async fn beyond_the_burst_requests_are_refused_and_probes_are_not() {
    let stage = Stage::start("rate_limit: {interval: 2s, burst: 3}\n", &[]).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(stage.curl("/", &[]).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    let refused = stage.curl("/metrics", &[]).await;
    assert!(
        refused.status == 429 && refused.has_header("Retry-After: 2"),
        "{refused:?}"
    );
    for path in ["/-/healthy", "/healthz", "/-/ready", "/readyz"] {
        assert_eq!(stage.curl(path, &[]).await.status, 200, "{path}");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.curl("/", &[]).await.status, 200);
}

#[tokio::test]
async fn the_rate_limit_comes_before_the_login() {
    let stage = Stage::start(
        &(users("alice", "sesame", 4) + "rate_limit: {interval: 1m, burst: 1}\n"),
        &[],
    )
    .await;
    assert_eq!(stage.curl("/", &[]).await.status, 401);
    assert_eq!(
        stage.curl("/", &["--user", "alice:sesame"]).await.status,
        429
    );
}

#[tokio::test]
async fn configured_headers_stand_on_every_answer() {
    let headers = include_str!("files/toolkit-headers.yml");
    let web = format!(
        "{TLS}{headers}{}rate_limit: {{interval: 1m, burst: 4}}\n",
        users("alice", "sesame", 4)
    );
    let stage = Stage::start(&web, &[]).await;
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
        let answer = stage.curl(path, arguments).await;
        assert_eq!(answer.status, status, "{path}");
        for header in [
            "X-Frame-Options: deny",
            "Strict-Transport-Security: max-age=31536000; includeSubDomains",
            "X-Content-Type-Options: nosniff",
            "X-XSS-Protection: 1",
            "Content-Security-Policy: default-src 'self' *.test.example.net",
        ] {
            assert!(answer.has_header(header), "{header} in {answer:?}");
        }
    }
}
