//! Tests of requests in unusual forms, byte by byte over TCP.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::common::MAX_WAIT;
use crate::harness::TestExporter;

const END: &str = "Connection: close\r\n\r\n";

/// Sends these bytes, closes the sending side if `half_close`, and reads to the end.
async fn exchange(exporter: &TestExporter, bytes: &[u8], half_close: bool) -> String {
    let mut stream = exporter.connect().await;
    stream.write_all(bytes).await.unwrap();
    if half_close {
        stream.shutdown().await.unwrap();
    }
    let mut response = Vec::new();
    let read = timeout(MAX_WAIT, stream.read_to_end(&mut response)).await;
    let _ = read.expect("the connection is still open");
    String::from_utf8(response).unwrap()
}

/// Asserts that each request gets a status and that the connection is closed.
async fn assert_statuses<T: AsRef<str>>(cases: &[(T, u16)]) {
    let exporter = TestExporter::start(Scenario::normal()).await;
    for (request, status) in cases {
        let request = request.as_ref();
        let response = exchange(&exporter, request.as_bytes(), false).await;
        let start = format!("HTTP/1.1 {status} ");
        let response = response.replacen("HTTP/1.0", "HTTP/1.1", 1);
        let shown = &request[..request.len().min(80)];
        assert!(response.starts_with(&start), "{shown:?}: {response}");
        assert_eq!(
            response.matches("HTTP/1.1 ").count(),
            1,
            "{shown:?}: {response}"
        );
    }
    assert_eq!(exporter.get("/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn host_header_is_required_once_in_http_1_1() {
    let next = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let cases = [
        (String::new(), 400, "bad request: missing header Host"),
        (
            "Host: a\r\nHost: a\r\n".to_owned(),
            400,
            "bad request: more than one header Host",
        ),
        (
            "Host: a\r\nhost: b\r\n".to_owned(),
            400,
            "bad request: more than one header Host",
        ),
        (
            "Host: a b\r\n".to_owned(),
            400,
            "bad request: invalid header Host",
        ),
        (
            "Host: a/b\r\n".to_owned(),
            400,
            "bad request: invalid header Host",
        ),
        (
            "Host: a@b\r\n".to_owned(),
            400,
            "bad request: invalid header Host",
        ),
        (
            "Host: ä\r\n".to_owned(),
            400,
            "bad request: invalid header Host",
        ),
        (
            "Host: <script>\r\n".to_owned(),
            400,
            "bad request: invalid header Host",
        ),
        ("Host:\r\nConnection: close\r\n".to_owned(), 200, ""),
        (
            "Host: [::1]:80\r\nConnection: close\r\n".to_owned(),
            200,
            "",
        ),
        (
            "Host: a_b.example.com:443\r\nConnection: close\r\n".to_owned(),
            200,
            "",
        ),
    ];
    let exporter = TestExporter::start(Scenario::normal()).await;
    for path in ["/healthz", "/metrics", "/nothing", "http://x/healthz"] {
        for (headers, status, reason) in &cases {
            let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n{next}");
            let response = exchange(&exporter, request.as_bytes(), false).await;
            assert_eq!(
                response.matches("HTTP/1.1 ").count(),
                1,
                "{request:?}: {response}"
            );
            if *status == 400 {
                assert!(
                    response.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                    "{request:?}: {response}"
                );
                assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
                assert!(
                    response.ends_with(&format!("\r\n\r\n{reason}\n")),
                    "{response}"
                );
            } else {
                assert!(
                    !response.starts_with("HTTP/1.1 400"),
                    "{request:?}: {response}"
                );
            }
        }
    }
    for (headers, status) in [
        ("", 200),
        ("Host: x\r\n", 200),
        ("Host: x\r\nHost: x\r\n", 400),
    ] {
        let request = format!("GET /healthz HTTP/1.0\r\n{headers}\r\n");
        let response = exchange(&exporter, request.as_bytes(), false).await;
        assert!(
            response.starts_with(&format!("HTTP/1.0 {status} ")),
            "{headers:?}: {response}"
        );
    }
}

#[tokio::test]
async fn unusual_methods_and_targets_get_their_status() {
    let mut cases = Vec::new();
    for (target, status) in [
        ("GET http://y/healthz", 200),
        ("GET /healthz?x#y", 200),
        ("GET //healthz", 404),
        ("GET healthz", 404),
        ("GET *", 404),
        ("OPTIONS *", 404),
        ("OPTIONS /metrics", 405),
        ("TRACE /", 405),
        ("FOO /healthz", 405),
        ("get /healthz", 405),
        ("CONNECT x:443", 404),
    ] {
        cases.push((format!("{target} HTTP/1.1\r\nHost: x\r\n{END}"), status));
    }
    for line in [
        "GET /healthz",
        "GET /healthz HTTP/2.0",
        "GET /healthz HTTP/1.2",
        "G@T / HTTP/1.1",
        "GET  / HTTP/1.1",
    ] {
        cases.push((format!("{line}\r\nHost: x\r\n{END}"), 400));
    }
    assert_statuses(&cases).await;
}

#[tokio::test]
async fn unusual_headers_and_bodies_get_their_status() {
    let long = "a".repeat(70_000);
    let get = |headers: &str| format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{headers}{END}");
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n{END}"), 431),
        (get(&format!("A: {long}\r\n")), 431),
        (get(&"A: b\r\n".repeat(101)), 431),
        (get("Expect: 100-continue\r\nContent-Length: 5\r\n"), 200),
        (
            get("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
            200,
        ),
        (get("Transfer-Encoding: identity\r\n"), 400),
        (
            get("Content-Length: 3\r\nContent-Length: 3\r\n") + "abc",
            200,
        ),
        (
            get("Content-Length: 3\r\nContent-Length: 4\r\n") + "abc",
            400,
        ),
        (get("Content-Length: -3\r\n"), 400),
        (get("Content-Length: +3\r\n") + "abc", 400),
        (get("A: b\r\n c\r\n"), 400),
        (get("A : b\r\n"), 400),
        (get("A: \0\r\n"), 400),
        (get("Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200),
        (
            "GET /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            400,
        ),
    ];
    assert_statuses(&cases).await;
}

#[tokio::test]
async fn other_protocols_get_an_error() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let http_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00";
    let response = exchange(&exporter, http_2, false).await;
    assert!(
        response.starts_with("HTTP/1.1 505 HTTP Version Not Supported\r\n"),
        "{response}"
    );
    let client_hello = [
        b"\x16\x03\x01\x00\x4a\x01\x00\x00\x46\x03\x03" as &[u8],
        &[0; 68],
    ]
    .concat();
    let response = exchange(&exporter, &client_hello, false).await;
    assert!(
        response.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{response}"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    for half_close in [false, true] {
        let end = if half_close {
            ""
        } else {
            "GET / HTTP/1.1\r\n\r\n"
        };
        let response = exchange(&exporter, format!("{request}{end}").as_bytes(), half_close).await;
        let (first, second) = response.split_once("healthy\n").unwrap();
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(
            second.starts_with("HTTP/1.1 200 OK\r\n") && second.contains("ready\n"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn client_that_half_closes_gets_its_response() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let delay = FaultKind::Delay(Duration::from_millis(1500));
    exporter
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, delay));
    let scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let response = exchange(&exporter, scrape, true).await;
    assert!(
        response.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{response}"
    );
    for (request, expected) in [
        ("GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK"),
        (
            "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 200 OK",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 405",
        ),
        ("GET /healthz HTTP/1.1\r\nHo", ""),
        ("", ""),
    ] {
        let response = exchange(&exporter, request.as_bytes(), true).await;
        assert!(response.starts_with(expected), "{request:?}: {response}");
        assert!(
            !expected.is_empty() || response.is_empty(),
            "{request:?}: {response}"
        );
    }
}
