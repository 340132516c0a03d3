//! Clients that stall or flood harm nobody, with TLS as without.

use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::stage::{Stage, TLS};

/// How long the program keeps a connection that says nothing; at most 10 s.
async fn kept(mut stream: impl AsyncRead + Unpin) -> f64 {
    let started = Instant::now();
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
    started.elapsed().as_secs_f64()
}

async fn connect(stage: &Stage) -> TcpStream {
    TcpStream::connect(stage.address.replace("localhost", "127.0.0.1"))
        .await
        .unwrap()
}

async fn shake_hands(stage: &Stage) -> TlsStream<TcpStream> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(stage.pki.path("ca.crt")).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, connect(stage).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_handshake_that_does_not_come_or_end_and_a_head_after_it_have_five_seconds_each() {
    let mut stage = Stage::start(TLS, &[]).await;
    let silent = connect(&stage).await;
    let mut begun = connect(&stage).await;
    begun.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
    let mut shaken = shake_hands(&stage).await;
    shaken
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let (silent, begun, shaken) = tokio::join!(kept(silent), kept(begun), kept(shaken));
    for waited in [silent, begun, shaken] {
        assert!((4.5..6.0).contains(&waited), "{waited}");
    }
    let line = stage.program.logs("TLS handshake timed out").await;
    assert!(line.contains("level=debug"), "{line}");
}

#[tokio::test]
async fn a_flood_of_connections_that_shake_no_hands_leaves_room_for_a_scrape() {
    let stage = Stage::start(TLS, &[]).await;
    let mut flood = Vec::new();
    for _ in 0..700 {
        flood.push(connect(&stage).await);
    }
    sleep(Duration::from_millis(200)).await;
    assert_eq!(
        stage.curl("/metrics", &[]).await.status,
        200,
        "within Prometheus' own time-out"
    );
}

#[tokio::test]
async fn a_slow_handshake_keeps_nobody_else_waiting() {
    let stage = Stage::start(TLS, &[]).await;
    let _slow = (connect(&stage).await, connect(&stage).await);
    let answer = stage.curl("/-/healthy", &[]).await;
    assert!(answer.status == 200 && answer.seconds < 2.0, "{answer:?}");
}

#[tokio::test]
async fn a_stop_answers_the_scrape_in_flight_and_waits_for_no_handshake() {
    let mut stage = Stage::start(TLS, &[]).await;
    let slow = FaultKind::Delay(Duration::from_millis(1500));
    stage
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, slow));
    let _silent = connect(&stage).await;
    let mut scrape = shake_hands(&stage).await;
    scrape
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    stage.program.signal("TERM").await;
    let mut text = String::new();
    scrape.read_to_string(&mut text).await.unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 1"),
        "{text}"
    );
    assert_eq!(stage.program.ends().await.code(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let stage = Stage::start(TLS, &[]).await;
    let whole = 4000 * stage.curl("/", &[]).await.text.len();
    let (mut reader, mut writer) = tokio::io::split(shake_hands(&stage).await);
    let asking = tokio::spawn(async move {
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
    sleep(Duration::from_secs(13)).await;
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), reader.read_to_end(&mut rest))
        .await
        .expect("it was cut off");
    assert!(
        ended.is_err() || rest.len() < whole,
        "all {} bytes came after all",
        rest.len()
    );
    asking.abort();
    assert_eq!(stage.curl("/metrics", &[]).await.status, 200);
}
