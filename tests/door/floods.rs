//! Floods that are held open: a scrape finds its place all the same.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::flood::{Flood, silence};
use crate::stage::{ATTACKER, HONEST, SCRAPE, Stage, connect};

fn one(_: usize) -> Ipv4Addr {
    ATTACKER
}

fn many(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + u32::try_from(number).unwrap())
}

/// Most of a head, then a byte each second.
async fn half_a_head(mut stream: TcpStream) {
    let begun = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Filler: {}",
        "a".repeat(15_000)
    );
    let mut sent = stream.write_all(begun.as_bytes()).await;
    while sent.is_ok() {
        sleep(Duration::from_secs(1)).await;
        sent = stream.write_all(b"a").await;
    }
}

/// Asks many times and takes a byte each second.
async fn a_byte_a_second(mut stream: TcpStream) {
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    let mut going = stream.write_all(request.as_bytes()).await;
    while going.is_ok() {
        sleep(Duration::from_secs(1)).await;
        going = stream.read_exact(&mut [0]).await.map(drop);
    }
}

/// Asks as long as it can and takes nothing.
async fn asking_without_end(mut stream: TcpStream) {
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    while stream.write_all(request.as_bytes()).await.is_ok() {}
}

/// Most of a handshake's first record.
async fn half_a_handshake(mut stream: TcpStream) {
    let mut hello = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    hello.resize(16_000, 0);
    if stream.write_all(&hello).await.is_ok() {
        silence(stream).await;
    }
}

#[tokio::test]
async fn idle_connections_from_one_address_keep_nobody_out() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 1_800, one, silence).await;
    stage
        .is_well(&format!("{} idle connections", flood.len()), before)
        .await;
}

#[tokio::test]
async fn a_crowd_does_not_hurry_a_slow_client_from_elsewhere() {
    let stage = Stage::start().await;
    let _flood = Flood::start(&stage, 1_800, one, silence).await;
    let answer = stage
        .ask_after(Duration::from_secs(2), HONEST, SCRAPE.as_bytes())
        .await;
    answer.is_right();
}

#[tokio::test]
async fn handshakes_that_never_end_keep_nobody_out() {
    let stage = Stage::with_tls().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 1_800, many, half_a_handshake).await;
    stage
        .is_well(&format!("{} half handshakes", flood.len()), before)
        .await;
}

#[tokio::test]
async fn idle_connections_from_as_many_addresses_keep_nobody_out() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 3_000, many, silence).await;
    stage
        .is_well(
            &format!("{} idle connections from as many addresses", flood.len()),
            before,
        )
        .await;
}

#[tokio::test]
async fn heads_that_never_end_keep_nobody_out() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 3_000, one, half_a_head).await;
    stage
        .is_well(&format!("{} half heads", flood.len()), before)
        .await;
}

#[tokio::test]
async fn readers_that_take_a_byte_a_second_keep_nobody_out() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 1_200, many, a_byte_a_second).await;
    stage
        .is_well(&format!("{} slow readers", flood.len()), before)
        .await;
}

#[tokio::test]
async fn requests_without_end_whose_answers_nobody_takes_keep_nobody_out() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 1_200, one, asking_without_end).await;
    stage
        .is_well(
            &format!("{} that ask and take nothing", flood.len()),
            before,
        )
        .await;
}

#[tokio::test]
async fn ten_thousand_connections_that_are_held_keep_nobody_out() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let flood = Flood::start(&stage, 10_000, one, silence).await;
    stage
        .is_well(&format!("{} held connections", flood.len()), before)
        .await;
}

#[tokio::test]
async fn ten_thousand_connections_that_come_and_go_leave_nothing_behind() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
    let started = Instant::now();
    for number in 0..10_000 {
        let from = if number % 2 == 0 {
            ATTACKER
        } else {
            many(number)
        };
        drop(connect(stage.address, from).await.unwrap());
    }
    println!("10,000 came and went in {:?}", started.elapsed());
    stage
        .is_well("after 10,000 that came and went", before)
        .await;
    assert!(stage.scrape(HONEST).await.value("process_open_fds") < 50.0);
}

/// Its whole answer fits into what the system keeps for it, so that we have long been done with it.
#[tokio::test]
async fn what_a_reader_does_not_take_is_kept_for_ten_seconds_alone() {
    let stage = Stage::start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut reader = socket.connect(stage.address).await.unwrap();
    reader.write_all(SCRAPE.as_bytes()).await.unwrap();
    let whole = stage.scrape(HONEST).await.body.len();
    sleep(Duration::from_secs(16)).await;
    let mut taken = Vec::new();
    let ended = reader.read_to_end(&mut taken).await;
    assert!(
        ended.is_err() || taken.len() < whole,
        "all {whole} bytes came after all"
    );
}
