//! Tests of clients that stall, flood or read nothing, with TLS.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, JournalEntry, Operation};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::MAX_WAIT;
use crate::curl::CurlResponse;
use crate::harness::{TLS, TestExporter};

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// Waits until the exporter closes the connection and returns the time in seconds.
async fn seconds_until_closed(mut stream: impl AsyncRead + Unpin) -> f64 {
    let started = Instant::now();
    let mut rest = Vec::new();
    let closed = timeout(MAX_WAIT, stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
    started.elapsed().as_secs_f64()
}

/// Opens a TCP connection.
async fn connect(exporter: &TestExporter) -> TcpStream {
    TcpStream::connect(exporter.address.replace("localhost", "127.0.0.1"))
        .await
        .unwrap()
}

/// Returns whether the exporter has not closed the connection.
fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Opens a TLS connection.
async fn connect_tls(exporter: &TestExporter) -> TlsStream<TcpStream> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(exporter.pki.path("ca.crt")).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, connect(exporter).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn stalled_handshake_is_closed_after_five_seconds() {
    let mut exporter = TestExporter::start(TLS, &[]).await;
    let silent = connect(&exporter).await;
    let mut partial_handshake = connect(&exporter).await;
    partial_handshake
        .write_all(&[0x16, 3, 1, 2, 0, 1, 0])
        .await
        .unwrap();
    let mut partial_head = connect_tls(&exporter).await;
    partial_head
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let mut partial_plain_head = connect(&exporter).await;
    partial_plain_head
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let (silent, partial_handshake, partial_head, partial_plain_head) = tokio::join!(
        seconds_until_closed(silent),
        seconds_until_closed(partial_handshake),
        seconds_until_closed(partial_head),
        seconds_until_closed(partial_plain_head)
    );
    for seconds in [silent, partial_handshake, partial_head, partial_plain_head] {
        assert!((4.5..10.0).contains(&seconds), "{seconds}");
    }
    let line = exporter
        .process
        .wait_for_log("TLS handshake timed out")
        .await;
    assert!(line.contains("level=debug"), "{line}");
}

#[tokio::test]
async fn handshake_flood_does_not_block_scrape() {
    let exporter = TestExporter::start(TLS, &[]).await;
    let mut flood = Vec::new();
    for _ in 0..700 {
        flood.push(connect(&exporter).await);
    }
    sleep(Duration::from_millis(200)).await;
    assert_eq!(
        exporter.curl("/metrics", &[]).await.status,
        200,
        "a scrape must succeed during the flood"
    );
}

#[tokio::test]
async fn slow_handshake_does_not_delay_other_clients() {
    let exporter = TestExporter::start(TLS, &[]).await;
    // A busy machine can take longer than the 5 s after which the slow handshakes are ended.
    for _ in 0..5 {
        let slow = (connect(&exporter).await, connect(&exporter).await);
        assert_eq!(exporter.curl("/-/healthy", &[]).await.status, 200);
        if is_open(&slow.0) && is_open(&slow.1) {
            return;
        }
    }
    panic!("the exporter waited for slow handshakes");
}

#[tokio::test]
async fn shutdown_answers_scrape_without_awaiting_handshake() {
    let mut exporter = TestExporter::start(TLS, &[]).await;
    let slow = FaultKind::Delay(Duration::from_millis(1500));
    exporter
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, slow));
    let mut scrape = connect_tls(&exporter).await;
    scrape.write_all(SCRAPE).await.unwrap();
    let is_list = |entry: JournalEntry| entry.operation == Some(Operation::ActiveCalls);
    while !exporter.simulator.journal().into_iter().any(is_list) {
        sleep(Duration::from_millis(10)).await;
    }
    let _silent = connect(&exporter).await;
    exporter.process.signal("TERM").await;
    let mut text = String::new();
    scrape.read_to_string(&mut text).await.unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 1"),
        "{text}"
    );
    assert_eq!(exporter.process.wait_for_exit().await.code(), Some(0));
    assert!(
        !exporter.process.log.contains("TLS handshake timed out"),
        "the exporter waited for the handshake: {}",
        exporter.process.log
    );
}

#[tokio::test]
async fn client_that_reads_nothing_is_disconnected() {
    let exporter = TestExporter::start(TLS, &[]).await;
    let total = 4000 * exporter.curl("/", &[]).await.text.len();
    let (mut reader, mut writer) = tokio::io::split(connect_tls(&exporter).await);
    let writer = tokio::spawn(async move {
        for _ in 0..4000 {
            if writer
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .is_err()
            {
                return;
            }
        }
    });
    // 10 s after the last write the exporter closes the connection.
    sleep(Duration::from_secs(25)).await;
    let mut rest = Vec::new();
    let result = timeout(MAX_WAIT, reader.read_to_end(&mut rest))
        .await
        .expect("the connection was not closed");
    assert!(
        result.is_err() || rest.len() < total,
        "all {} bytes were still delivered",
        rest.len()
    );
    writer.abort();
    assert_eq!(exporter.curl("/metrics", &[]).await.status, 200);
}

#[tokio::test]
async fn tls_client_that_half_closes_gets_its_response() {
    let exporter = TestExporter::start(TLS, &[]).await;
    let slow = FaultKind::Delay(Duration::from_millis(1500));
    exporter
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, slow));
    let mut stream = connect_tls(&exporter).await;
    stream.write_all(SCRAPE).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    let read = timeout(MAX_WAIT, stream.read_to_string(&mut text)).await;
    let _ = read.expect("the connection is still open");
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 1"),
        "{text}"
    );
}

/// A client that closed its connection is not distinguished from one that half-closed it until the
/// response is written.
#[tokio::test]
async fn closed_clients_free_their_connections() {
    for web in ["", TLS] {
        let exporter = TestExporter::start(web, &[]).await;
        let before = exporter.curl("/-/metrics", &[]).await;
        let before = before.value("process_open_fds");
        let slow = FaultKind::Delay(Duration::from_secs(5));
        exporter
            .simulator
            .inject(Fault::always(Operation::ActiveCalls, slow));
        for _ in 0..50 {
            if web.is_empty() {
                connect(&exporter).await.write_all(SCRAPE).await.unwrap();
            } else {
                let mut stream = connect_tls(&exporter).await;
                stream.write_all(SCRAPE).await.unwrap();
            }
        }
        let opened = |response: &CurlResponse| response.value("process_open_fds") - before;
        let is_open = |response: &CurlResponse| opened(response) >= 40.0;
        exporter.curl_until("/-/metrics", &[], is_open).await;
        assert_eq!(exporter.curl("/metrics", &[]).await.status, 200);
        let is_closed = |response: &CurlResponse| opened(response) < 10.0;
        exporter.curl_until("/-/metrics", &[], is_closed).await;
    }
}
