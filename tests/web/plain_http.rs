//! Tests of plain HTTP, and of bytes that are neither HTTP nor TLS, on the TLS port.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::MAX_WAIT;
use crate::curl::curl;
use crate::harness::{TLS, TestExporter, basic_auth_config};

const SENTENCE: &str = "this port requires TLS; use https://\n";

/// Sends these bytes and reads until the exporter closes the connection.
async fn exchange(exporter: &TestExporter, bytes: &[u8]) -> Vec<u8> {
    let address = exporter.address.replace("localhost", "127.0.0.1");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut response = Vec::new();
    let read = timeout(MAX_WAIT, stream.read_to_end(&mut response)).await;
    let _ = read.expect("the connection is still open");
    response
}

#[tokio::test]
async fn plain_http_on_tls_port_gets_400_with_a_sentence() {
    let web = format!("{TLS}{}", basic_auth_config("alice", "sesame", 4));
    let mut exporter = TestExporter::start(&web, &[]).await;
    let url = |path: &str| format!("http://{}{path}", exporter.address);
    for (arguments, body) in [
        (&["--ipv4"] as &[_], SENTENCE),
        (&["--ipv4", "--user", "alice:sesame"], SENTENCE),
        (&["--ipv4", "--data", "x=1"], SENTENCE),
        (&["--ipv4", "--request", "PUT"], SENTENCE),
        (&["--ipv4", "--request", "OPTIONS"], SENTENCE),
        (&["--ipv4", "--http1.0"], SENTENCE),
        (&["--ipv4", "--head"], ""),
    ] {
        for path in ["/metrics", "/healthz"] {
            let response = curl(&[arguments, &[&url(path)]].concat()).await;
            assert_eq!(response.status, 400, "{arguments:?}: {response:?}");
            assert!(
                response.text.ends_with(&format!("\n\n{body}")),
                "{response:?}"
            );
            assert!(response.has_header("Content-Type: text/plain; charset=utf-8"));
            assert!(response.has_header("Connection: close") || arguments.contains(&"--http1.0"));
        }
    }
    let pipelined = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
    let text = String::from_utf8(exchange(&exporter, &pipelined).await).unwrap();
    assert_eq!(text.matches("HTTP/1.1 400").count(), 1, "{text}");
    exporter
        .process
        .wait_for_log("level=debug msg=\"HTTP request on the TLS port\"")
        .await;
    assert_eq!(exporter.curl("/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn http_2_on_tls_port_gets_400_with_a_sentence() {
    let mut exporter = TestExporter::start(TLS, &[]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00";
    let text = String::from_utf8(exchange(&exporter, preface).await).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    assert!(text.ends_with(&format!("\r\n\r\n{SENTENCE}")), "{text}");
    let length = format!("Content-Length: {}\r\n", SENTENCE.len());
    assert!(text.contains(&length), "{text}");
    exporter
        .process
        .wait_for_log("level=debug msg=\"HTTP request on the TLS port\"")
        .await;
}

#[tokio::test]
async fn bytes_of_other_protocols_are_not_logged_as_http() {
    let mut exporter = TestExporter::start(TLS, &[]).await;
    for bytes in [
        b"SSH-2.0-OpenSSH_9.6\r\n" as &[u8],
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"EHLO example\r\n",
        b"GET",
    ] {
        exchange(&exporter, bytes).await;
    }
    exporter.process.signal("TERM").await;
    exporter.process.wait_for_exit().await;
    let log = &exporter.process.log;
    assert!(!log.contains("HTTP request on the TLS port"), "{log}");
}

#[tokio::test]
async fn other_bytes_on_tls_port_get_an_alert_or_nothing() {
    let exporter = TestExporter::start(TLS, &[]).await;
    for bytes in [
        b"get / http/1.1\r\n\r\n" as &[u8],
        b"\r\n\r\n",
        b"\x00\x01\x02\x03\x04\x05",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        b"\x16\x03\x01\x00\x05hello",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"",
    ] {
        let response = exchange(&exporter, bytes).await;
        let is_alert = response.first() == Some(&21);
        let is_error = response.starts_with(b"HTTP/1.1 400 Bad Request\r\n");
        assert!(
            response.is_empty() || is_alert || is_error,
            "{bytes:?}: {response:?}"
        );
    }
    assert_eq!(exporter.curl("/healthz", &[]).await.status, 200);
}
