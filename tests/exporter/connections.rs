//! Tests of connections that stall, flood or disconnect, and of connections during shutdown.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::common::MAX_WAIT;
use crate::harness::TestExporter;

/// Returns the time until the exporter closes a silent connection.
async fn wait_until_closed(mut stream: TcpStream) -> Duration {
    let started = Instant::now();
    let mut response = Vec::new();
    timeout(MAX_WAIT, stream.read_to_end(&mut response))
        .await
        .expect("the connection is still open")
        .ok();
    started.elapsed()
}

#[tokio::test]
async fn incomplete_request_head_times_out_after_5_s() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let silent = exporter.connect().await;
    let mut incomplete = exporter.connect().await;
    incomplete
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let (silent, incomplete) =
        tokio::join!(wait_until_closed(silent), wait_until_closed(incomplete));
    for elapsed in [silent, incomplete] {
        assert!((4.5..10.0).contains(&elapsed.as_secs_f64()), "{elapsed:?}");
    }
}

#[tokio::test]
async fn scrape_succeeds_during_idle_connection_flood() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let mut idle = Vec::new();
    for _ in 0..700 {
        idle.push(exporter.connect().await);
    }
    sleep(Duration::from_millis(200)).await;
    let response = timeout(MAX_WAIT, exporter.scrape())
        .await
        .expect("the scrape was not answered");
    assert_eq!(response.up(), 1.0);
}

#[tokio::test]
async fn stalled_reader_is_disconnected() {
    let exporter = TestExporter::start(Scenario::huge()).await;
    let expected_bytes = 40 * exporter.scrape().await.text.len();
    let mut stalled = exporter.connect().await;
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..40 {
        stalled.write_all(request).await.unwrap();
    }
    // 10 s after the last write the exporter closes the connection.
    sleep(Duration::from_secs(25)).await;
    let mut received = Vec::new();
    let read = timeout(MAX_WAIT, stalled.read_to_end(&mut received))
        .await
        .expect("the connection is still open");
    assert!(
        read.is_err() || received.len() < expected_bytes,
        "all {} bytes were sent",
        received.len()
    );
    assert_eq!(exporter.scrape().await.status, 200);
}

#[tokio::test]
async fn shutdown_closes_idle_connections() {
    let mut exporter = TestExporter::start(Scenario::normal()).await;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    let silent = exporter.connect().await;
    let closed = tokio::spawn(wait_until_closed(silent));
    exporter.stop().await;
    let elapsed = closed.await.unwrap();
    assert!(
        elapsed < Duration::from_millis(4_500),
        "closed by the timeout of an idle connection: {elapsed:?}"
    );
}

#[tokio::test]
async fn shutdown_aborts_fetch_without_waiting_scrape() {
    let mut exporter = TestExporter::start(Scenario::normal()).await;
    exporter
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    exporter.scrape_with_timeout("1").await;
    let started = Instant::now();
    exporter.stop().await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "the request times out after 10 s: {:?}",
        started.elapsed()
    );
    assert_eq!(exporter.count_requests(Operation::Revoke), 1);
}

#[tokio::test]
async fn disconnected_scrapers_free_their_slots() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    exporter
        .simulator
        .inject(Fault::always(Operation::Token, FaultKind::Hang));
    let request =
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n";
    for _ in 0..600 {
        let mut scraper = exporter.connect().await;
        scraper.write_all(request).await.unwrap();
    }
    let health = exporter.get("/-/healthy", &[]).await;
    assert!(
        health.status == 200 && health.elapsed < Duration::from_secs(40),
        "the scrapes end after 59.5 s: {:?}",
        health.elapsed
    );
}

#[tokio::test]
async fn shutdown_answers_scrape_with_long_timeout() {
    let mut exporter = TestExporter::start(Scenario::normal()).await;
    let slow_login = FaultKind::Delay(Duration::from_secs(9));
    exporter
        .simulator
        .inject(Fault::once(Operation::Token, slow_login));
    exporter
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    let request = exporter
        .http
        .get(format!("{}/metrics", exporter.url))
        .header("X-Prometheus-Scrape-Timeout-Seconds", "60");
    let scrape = tokio::spawn(request.send());
    exporter.wait_for_requests(Operation::Token, 1).await;
    let started = Instant::now();
    exporter.stop().await;
    let elapsed = started.elapsed().as_secs_f64();
    assert!(elapsed >= 9.5, "{elapsed}");
    let response = scrape.await.unwrap();
    let response = response.expect("the scrape is answered before connections are aborted");
    let text = response.text().await.unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 0"),
        "{text}"
    );
    assert_eq!(exporter.count_requests(Operation::Revoke), 1);
}

#[tokio::test]
async fn hanging_revocation_delays_shutdown_by_2_s() {
    let mut exporter = TestExporter::start(Scenario::normal()).await;
    exporter.scrape().await;
    exporter
        .simulator
        .inject(Fault::always(Operation::Revoke, FaultKind::Hang));
    let started = Instant::now();
    exporter.stop().await;
    assert!(
        (1.9..8.0).contains(&started.elapsed().as_secs_f64()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn shutdown_in_account_penalty_skips_revocation() {
    let mut exporter = TestExporter::start(Scenario::normal()).await;
    let response = SimResponse::too_many_requests(Some(30));
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, response));
    assert_eq!(
        exporter
            .scrape()
            .await
            .failures("active_calls", "rate_limited"),
        1.0
    );
    exporter.stop().await;
    assert_eq!(exporter.count_requests(Operation::Revoke), 0);
}
