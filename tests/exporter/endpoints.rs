//! Tests of the HTTP endpoints: responses, and the API requests that they cause.

use std::io::Read;

use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::harness::TestExporter;

#[tokio::test]
async fn health_endpoints_send_no_api_requests() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    for path in ["/-/healthy", "/healthz", "/-/ready", "/readyz", "/"] {
        assert_eq!(exporter.get(path, &[]).await.status, 200, "{path}");
    }
    assert!(
        exporter.simulator.journal().is_empty(),
        "an API request was sent"
    );
}

#[tokio::test]
async fn unknown_path_is_404_wrong_method_is_405() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    for path in ["/metric", "/metrics/", "/favicon.ico", "/-/"] {
        assert_eq!(exporter.get(path, &[]).await.status, 404, "{path}");
    }
    for path in ["/metrics", "/", "/healthz"] {
        let response = exporter
            .http
            .post(format!("{}{path}", exporter.url))
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["allow"].to_str().unwrap()
            ),
            (405, "GET, HEAD"),
            "{path}"
        );
    }
    let response = exporter
        .http
        .post(format!("{}/nowhere", exporter.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}

/// Returns the content of a body with `Transfer-Encoding: chunked`.
fn decode_chunked(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|bytes| bytes == b"\r\n").unwrap();
        let len = std::str::from_utf8(&body[..end]).unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        let (chunk, rest) = body[end + 2..].split_at(len);
        if len == 0 {
            assert_eq!(rest, b"\r\n");
            return content;
        }
        content.extend(chunk);
        body = rest.strip_prefix(b"\r\n").unwrap();
    }
}

#[tokio::test]
async fn metrics_response_negotiates_gzip() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let plain = exporter
        .get("/metrics", &[("Accept-Encoding", "identity")])
        .await;
    assert_eq!(
        plain.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(plain.headers["vary"], "Accept, Accept-Encoding");
    let request =
        "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n";
    let (head, body) = exporter.send_raw(request).await;
    assert!(
        head.to_lowercase().contains("content-encoding: gzip"),
        "{head}"
    );
    assert!(
        head.to_lowercase().contains("transfer-encoding: chunked"),
        "{head}"
    );
    let body = decode_chunked(&body);
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut unzipped)
        .unwrap();
    assert!(unzipped.contains("\nringcentral_up{account=\"default\"} 1\n"));
    let (head, body) = exporter
        .send_raw("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && body.is_empty(),
        "{head}"
    );
}

#[tokio::test]
async fn account_parameter_limits_series() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let all = exporter.scrape().await;
    let one = exporter
        .get("/metrics?account=default&account=default", &[])
        .await;
    assert_eq!(one.call_samples(), all.call_samples());
    assert!(
        one.samples()
            .keys()
            .all(|series| series.contains("account=\"default\"")),
        "{}",
        one.text
    );
    assert!(
        all.text.contains("ringcentral_exporter_build_info{")
            && all.text.contains("process_open_fds")
    );
    let unknown = exporter
        .get("/metrics?account=default&account=acme", &[])
        .await;
    assert_eq!(
        (unknown.status, unknown.text.as_str()),
        (404, "not found: unknown account \"acme\"\n")
    );
}

#[tokio::test]
async fn landing_page_shows_state_without_scripts() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let before = exporter.get("/", &[]).await;
    assert!(before.text.contains(">Pending<"), "{}", before.text);
    exporter.scrape().await;
    let after = exporter.get("/", &[]).await;
    assert!(
        after.text.contains(">OK<") && after.text.contains("heavy: 9 of 10 left in 60 s"),
        "{}",
        after.text
    );
    assert!(!after.text.contains("<script") && !after.text.contains("http-equiv"));
    let policy = after.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        exporter.count_requests(Operation::ActiveCalls),
        1,
        "the page must not start a fetch"
    );
}

#[tokio::test]
async fn landing_page_shows_failure_with_advice() {
    let exporter = TestExporter::start(Scenario {
        admin: false,
        ..Scenario::normal()
    })
    .await;
    exporter.scrape().await;
    let page = exporter.get("/", &[]).await;
    for part in [
        "403 CMN-408",
        "--ringcentral.level=extension",
        "not_admin",
        "Next fetch possible in",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
}

#[tokio::test]
async fn missing_secret_file_is_read_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwt");
    let exporter = TestExporter::start_with(Scenario::normal(), |config| {
        config.accounts[0].jwt = SecretSource::File(path.clone());
    })
    .await;
    exporter.scrape().await;
    let page = exporter.get("/", &[]).await;
    for part in [
        "secret_unreadable",
        &format!("the JWT: cannot read {}: No such file", path.display()),
        "--ringcentral.jwt-file",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(
        exporter.simulator.journal().is_empty(),
        "an API request was sent"
    );
    std::fs::write(path, exporter.simulator.jwt()).unwrap();
    exporter.wait_until_up(crate::common::MAX_WAIT).await;
}

#[tokio::test]
async fn telemetry_path_is_configurable() {
    let exporter = TestExporter::start_with(Scenario::normal(), |config| {
        config.settings.web.telemetry_path = "/probe/metrics".to_owned();
    })
    .await;
    assert_eq!(exporter.get("/metrics", &[]).await.status, 404);
    assert_eq!(exporter.get("/probe/metrics", &[]).await.up(), 1.0);
}
