//! Tests of requests that are ambiguous, invalid or too large. Each has one response or none, and
//! the rest of a rejected request is never parsed as another request (request smuggling).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::common::MAX_WAIT;
use crate::harness::{OTHER_ADDRESS, TestExporter};

/// A request that follows another one on the same connection.
const NEXT: &str = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Sends bytes on a new connection, and returns the statuses of the responses and the time until
/// the server closed it.
async fn send(exporter: &TestExporter, request: &[u8]) -> (Vec<u16>, Duration) {
    let started = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(exporter.connect(OTHER_ADDRESS).await.unwrap());
    let mut bytes = Vec::new();
    // The server can reject a request before all of it is sent. Unread bytes then reset the
    // connection.
    let exchange =
        async { tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes)) };
    let _ = timeout(MAX_WAIT, exchange)
        .await
        .expect("the server did not close the connection");
    let text = String::from_utf8_lossy(&bytes);
    let mut statuses = Vec::new();
    for head in text.split("HTTP/1.").skip(1) {
        // The text of a response may name the version too.
        if let Some(Ok(status)) = head.split(' ').nth(1).map(str::parse) {
            statuses.push(status);
        }
    }
    (statuses, started.elapsed())
}

/// Returns a GET request with these header lines and this body, followed by [`NEXT`].
fn get(lines: &str, body: &str) -> String {
    format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\n{lines}\r\n{body}{NEXT}")
}

/// An ambiguous length is rejected or closes the connection after the response.
#[tokio::test]
async fn ambiguous_body_length_closes_connection() {
    let exporter = TestExporter::start().await;
    let long = "a".repeat(100_000);
    let valid = [
        ("Content-Length: 5\r\n", "abcde"),
        ("Content-Length: 55\r\n", NEXT),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\n",
            "3;a=b\r\nabc\r\n0\r\n\r\n",
        ),
    ];
    assert_eq!(NEXT.len(), 55);
    for (lines, body) in valid {
        assert_eq!(
            send(&exporter, get(lines, body).as_bytes()).await.0,
            [200, 200],
            "{lines}{body}"
        );
    }
    let rejected = [
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "abcde"),
        ("Content-Length: 5, 5\r\n", "abcde"),
        ("Content-Length: +5\r\n", "abcde"),
        ("Content-Length: -5\r\n", "abcde"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
        ("X-Folded: a\r\n b\r\n", ""),
        ("X-Nothing: a\0b\r\n", ""),
    ];
    for (lines, body) in rejected {
        assert_eq!(
            send(&exporter, get(lines, body).as_bytes()).await.0,
            [400],
            "{lines}{body}"
        );
    }
    let closed = [
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\nX",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\n",
            "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked\r\n", "3\nabc\n0\n\n"),
        ("Content-Length: 100000\r\n", &long),
    ];
    for (lines, body) in closed {
        let statuses = send(&exporter, get(lines, body).as_bytes()).await.0;
        assert_eq!(statuses, [200], "{lines}: the rest must not be parsed");
    }
}

#[tokio::test]
async fn unusual_requests_get_expected_statuses() {
    let exporter = TestExporter::start().await;
    let cases: &[(&str, &[u16])] = &[
        (
            "GET http://other/-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200],
        ),
        (
            "GET http://other/nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "GET other:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "CONNECT other:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "TRACE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[405],
        ),
        (
            "GET /../metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "GET //metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "GET /%6detrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200, 404],
        ),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
            &[505],
        ),
        ("GET /-/healthy HTTP/2.0\r\nHost: x\r\n\r\n", &[400]),
        (
            "GET /-/healthy HTTP/1.0\r\n\r\nGET /-/healthy HTTP/1.0\r\n\r\n",
            &[200],
        ),
        (
            "POST /-/healthy HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        ("GET /-/healthy\r\n\r\n", &[400]),
        ("GET /-/healthy x HTTP/1.1\r\nHost: x\r\n\r\n", &[400]),
        ("GET /-/healthy HTTP/1.1\rHost: x\r\r", &[400]),
        (
            "GET /nowhere HTTP/1.1\nHost: x\nConnection: close\n\n",
            &[404],
        ),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}", &[400]),
    ];
    for (request, expected) in cases {
        assert_eq!(
            send(&exporter, request.as_bytes()).await.0,
            *expected,
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn oversized_head_is_rejected_without_memory_growth() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let mebibyte = "a".repeat(1024 * 1024);
    let many_headers: String = (0..10_000)
        .map(|number| format!("X-{number}: a\r\n"))
        .collect();
    let accounts = "account=default&".repeat(65_536);
    let requests = [
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {mebibyte}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{many_headers}\r\n"),
        format!("GET /{mebibyte} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /metrics?{accounts} HTTP/1.1\r\nHost: x\r\n\r\n"),
        "\r\n".repeat(500_000),
    ];
    for request in requests.iter().cycle().take(50) {
        let (statuses, elapsed) = send(&exporter, request.as_bytes()).await;
        assert!(
            statuses.is_empty() || statuses == [431],
            "{statuses:?} to {:?}...",
            &request[..40]
        );
        assert!(
            elapsed < Duration::from_millis(4_500),
            "an incomplete head is rejected after 5 s: {elapsed:?}"
        );
    }
    let growth = exporter.memory().await - before;
    assert!(
        growth < 4.0 * 1024.0 * 1024.0,
        "request heads are limited to 16 KiB, but memory grew by {growth} bytes"
    );
}

#[tokio::test]
async fn repeated_account_parameter_is_shown_once() {
    let exporter = TestExporter::start().await;
    let query = "account=default&".repeat(900);
    let request = format!("GET /metrics?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let response = exporter.send(OTHER_ADDRESS, request.as_bytes()).await;
    response.assert_up();
    assert_eq!(response.body.matches("\nringcentral_up{").count(), 1);
}

#[tokio::test]
async fn unfinished_body_is_not_awaited() {
    let exporter = TestExporter::start().await;
    for length in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        let request = format!("POST /metrics HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n");
        assert_eq!(send(&exporter, request.as_bytes()).await.0, [405]);
    }
}
