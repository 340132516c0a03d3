//! Clients that stall or flood harm nobody.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::rig::Rig;

/// How long the exporter keeps a connection that goes on to say nothing; at most 10 s.
async fn kept(mut stream: TcpStream) -> Duration {
    let started = Instant::now();
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
    started.elapsed()
}

#[tokio::test]
async fn a_head_that_does_not_come_is_waited_for_five_seconds() {
    let rig = Rig::start(Scenario::normal()).await;
    let silent = rig.connect().await;
    let mut begun = rig.connect().await;
    begun
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let (silent, begun) = tokio::join!(kept(silent), kept(begun));
    for waited in [silent, begun] {
        assert!((4.5..6.0).contains(&waited.as_secs_f64()), "{waited:?}");
    }
}

#[tokio::test]
async fn a_flood_of_idle_connections_leaves_room_for_a_scrape() {
    let rig = Rig::start(Scenario::normal()).await;
    let mut flood = Vec::new();
    for _ in 0..700 {
        flood.push(rig.connect().await);
    }
    sleep(Duration::from_millis(200)).await;
    let scraped = timeout(Duration::from_secs(10), rig.scrape())
        .await
        .expect("within Prometheus' own time-out");
    assert_eq!(scraped.up(), 1.0);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let rig = Rig::start(Scenario::huge()).await;
    let whole = 40 * rig.scrape().await.text.len();
    let mut stalled = rig.connect().await;
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..40 {
        stalled.write_all(request).await.unwrap();
    }
    sleep(Duration::from_secs(13)).await;
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(5), stalled.read_to_end(&mut rest))
        .await
        .expect("it was cut off");
    assert!(
        ended.is_err() || rest.len() < whole,
        "all {} bytes came after all",
        rest.len()
    );
    assert_eq!(rig.scrape().await.status, 200);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_connections() {
    let mut rig = Rig::start(Scenario::normal()).await;
    let _silent = rig.connect().await;
    assert_eq!(rig.scrape().await.up(), 1.0);
    let started = Instant::now();
    rig.stop().await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_stop_gives_up_a_fetch_that_nobody_waits_for() {
    let mut rig = Rig::start(Scenario::normal()).await;
    rig.simulator
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    rig.scrape_within("1").await;
    let started = Instant::now();
    rig.stop().await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(rig.count(Operation::Revoke), 1);
}

#[tokio::test]
async fn scrapers_that_have_left_keep_no_place() {
    let rig = Rig::start(Scenario::normal()).await;
    rig.simulator
        .inject(Fault::always(Operation::Token, FaultKind::Hang));
    let request =
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n";
    for _ in 0..600 {
        let mut leaving = rig.connect().await;
        leaving.write_all(request).await.unwrap();
    }
    let health = rig.get("/-/healthy", &[]).await;
    assert!(
        health.status == 200 && health.elapsed < Duration::from_secs(3),
        "{:?}",
        health.elapsed
    );
}

#[tokio::test]
async fn a_stop_answers_a_patient_scrape_from_what_is_known_and_gives_the_token_back() {
    let mut rig = Rig::start(Scenario::normal()).await;
    let slow_login = FaultKind::Delay(Duration::from_secs(9));
    rig.simulator
        .inject(Fault::once(Operation::Token, slow_login));
    rig.simulator
        .inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    let request = rig
        .http
        .get(format!("{}/metrics", rig.url))
        .header("X-Prometheus-Scrape-Timeout-Seconds", "60");
    let scrape = tokio::spawn(request.send());
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    rig.stop().await;
    let took = started.elapsed().as_secs_f64();
    assert!(
        (9.5..14.0).contains(&took),
        "answered at the last call: {took}"
    );
    let text = scrape.await.unwrap().unwrap().text().await.unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 0"),
        "{text}"
    );
    assert_eq!(rig.count(Operation::Revoke), 1);
}

#[tokio::test]
async fn a_revocation_that_hangs_is_waited_for_two_seconds() {
    let mut rig = Rig::start(Scenario::normal()).await;
    rig.scrape().await;
    rig.simulator
        .inject(Fault::always(Operation::Revoke, FaultKind::Hang));
    let started = Instant::now();
    rig.stop().await;
    assert!(
        (1.9..3.5).contains(&started.elapsed().as_secs_f64()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn inside_a_penalty_of_the_account_not_even_the_token_is_given_back() {
    let mut rig = Rig::start(Scenario::normal()).await;
    let refusal = ringcentral_exporter::simulator::SimResponse::too_many_requests(Some(30));
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, refusal));
    assert_eq!(
        rig.scrape().await.failures("active_calls", "rate_limited"),
        1.0
    );
    rig.stop().await;
    assert_eq!(rig.count(Operation::Revoke), 0);
}
