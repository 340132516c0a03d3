//! Tests of floods of open connections: scrapes must still succeed.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::common::MAX_WAIT;
use crate::flood_client::{Flood, idle};
use crate::harness::{FLOOD_ADDRESS, OTHER_ADDRESS, SCRAPE, TestExporter, connect};

/// Returns the same address for each connection.
fn one_address(_: usize) -> Ipv4Addr {
    FLOOD_ADDRESS
}

/// Returns an address of its own for each connection.
fn many_addresses(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + u32::try_from(number).unwrap())
}

/// Sends most of a request head, then one byte per second.
async fn partial_request(mut stream: TcpStream) {
    let start = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Filler: {}",
        "a".repeat(15_000)
    );
    let mut result = stream.write_all(start.as_bytes()).await;
    while result.is_ok() {
        sleep(Duration::from_secs(1)).await;
        result = stream.write_all(b"a").await;
    }
}

/// Sends many requests and reads one byte per second.
async fn slow_reader(mut stream: TcpStream) {
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    let mut result = stream.write_all(request.as_bytes()).await;
    while result.is_ok() {
        sleep(Duration::from_secs(1)).await;
        result = stream.read_exact(&mut [0]).await.map(drop);
    }
}

/// Sends requests until the connection fails, and reads nothing.
async fn endless_pipelining(mut stream: TcpStream) {
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    while stream.write_all(request.as_bytes()).await.is_ok() {}
}

/// Sends most of a TLS ClientHello, and waits.
async fn partial_handshake(mut stream: TcpStream) {
    let mut hello = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    hello.resize(16_000, 0);
    if stream.write_all(&hello).await.is_ok() {
        idle(stream).await;
    }
}

#[tokio::test]
async fn idle_flood_from_one_address_does_not_block_scrapes() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 1_800, one_address, idle).await;
    flood.wait_for_evictions().await;
    exporter
        .assert_scrapes_work(&format!("{} idle connections", flood.len()), before)
        .await;
}

#[tokio::test]
async fn partial_handshakes_do_not_block_scrapes() {
    let exporter = TestExporter::start_with_tls().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 1_800, many_addresses, partial_handshake).await;
    flood.wait_for_evictions().await;
    exporter
        .assert_scrapes_work(&format!("{} partial handshakes", flood.len()), before)
        .await;
}

#[tokio::test]
async fn idle_flood_from_many_addresses_does_not_block_scrapes() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 3_000, many_addresses, idle).await;
    flood.wait_for_evictions().await;
    exporter
        .assert_scrapes_work(
            &format!("{} idle connections from as many addresses", flood.len()),
            before,
        )
        .await;
}

#[tokio::test]
async fn partial_requests_do_not_block_scrapes() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 3_000, one_address, partial_request).await;
    flood.wait_for_evictions().await;
    exporter
        .assert_scrapes_work(&format!("{} partial requests", flood.len()), before)
        .await;
}

#[tokio::test]
async fn slow_readers_do_not_block_scrapes() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 1_200, many_addresses, slow_reader).await;
    exporter
        .assert_scrapes_work(&format!("{} slow readers", flood.len()), before)
        .await;
}

#[tokio::test]
async fn endless_pipelining_does_not_block_scrapes() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 1_200, one_address, endless_pipelining).await;
    exporter
        .assert_scrapes_work(
            &format!(
                "{} clients that send requests and read nothing",
                flood.len()
            ),
            before,
        )
        .await;
}

#[tokio::test]
async fn ten_thousand_connections_do_not_block_scrapes() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let flood = Flood::start(&exporter, 10_000, one_address, idle).await;
    flood.wait_for_evictions().await;
    exporter
        .assert_scrapes_work(&format!("{} held connections", flood.len()), before)
        .await;
}

#[tokio::test]
async fn ten_thousand_closed_connections_free_resources() {
    let exporter = TestExporter::start().await;
    let before = exporter.memory().await;
    let started = Instant::now();
    for number in 0..10_000 {
        let from = if number % 2 == 0 {
            FLOOD_ADDRESS
        } else {
            many_addresses(number)
        };
        drop(connect(exporter.address, from).await.unwrap());
    }
    println!(
        "10,000 connections opened and closed in {:?}",
        started.elapsed()
    );
    exporter
        .assert_scrapes_work("after 10,000 closed connections", before)
        .await;
    let descriptors = async || {
        let scraped = exporter.scrape(OTHER_ADDRESS).await;
        scraped.value("process_open_fds")
    };
    let deadline = Instant::now() + MAX_WAIT;
    while descriptors().await >= 50.0 {
        assert!(Instant::now() < deadline, "descriptors are not closed");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The response fits into the socket buffers, so the exporter has written all of it. The kernel
/// still holds it.
#[tokio::test]
async fn unread_response_is_dropped_after_ten_seconds() {
    let exporter = TestExporter::start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut reader = socket.connect(exporter.address).await.unwrap();
    reader.write_all(SCRAPE.as_bytes()).await.unwrap();
    let length = exporter.scrape(OTHER_ADDRESS).await.body.len();
    sleep(Duration::from_secs(25)).await;
    let mut received = Vec::new();
    let result = reader.read_to_end(&mut received).await;
    assert!(
        result.is_err() || received.len() < length,
        "all {length} bytes were still delivered"
    );
}
