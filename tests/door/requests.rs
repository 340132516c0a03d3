//! Requests that two programs could read in two ways, that are no HTTP/1.1, or that are too large: each has one clear
//! answer or none, and nothing of a request that was refused is read as another one.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::stage::{HONEST, Stage};

/// What would be answered if it were read as a request of its own.
const NEXT: &str = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// The statuses that come back, and how long it took until the connection was closed.
async fn statuses(stage: &Stage, request: &[u8]) -> (Vec<u16>, Duration) {
    let started = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(stage.connect(HONEST).await.unwrap());
    let mut bytes = Vec::new();
    // A refusal may come before all has been sent, and what is left unread resets the connection.
    let talk = async { tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes)) };
    let _ = timeout(Duration::from_secs(8), talk)
        .await
        .expect("the connection is closed");
    let text = String::from_utf8_lossy(&bytes);
    let heads = text.split("HTTP/1.").skip(1);
    (
        heads
            .map(|head| head.split(' ').nth(1).unwrap().parse().unwrap())
            .collect(),
        started.elapsed(),
    )
}

/// A GET of the health path with these lines, this body, and another request behind.
fn get(lines: &str, body: &str) -> String {
    format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\n{lines}\r\n{body}{NEXT}")
}

/// Bodies of which it could be unclear where they end.
#[tokio::test]
async fn a_body_ends_where_it_says_and_one_that_is_unclear_ends_the_connection() {
    let stage = Stage::start().await;
    let long = "a".repeat(100_000);
    let clear = [
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
    for (lines, body) in clear {
        assert_eq!(
            statuses(&stage, get(lines, body).as_bytes()).await.0,
            [200, 200],
            "{lines}{body}"
        );
    }
    let refused = [
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
    for (lines, body) in refused {
        assert_eq!(
            statuses(&stage, get(lines, body).as_bytes()).await.0,
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
        let found = statuses(&stage, get(lines, body).as_bytes()).await.0;
        assert_eq!(found, [200], "{lines}: nothing behind it is read");
    }
}

#[tokio::test]
async fn other_protocols_methods_and_targets_have_one_answer_or_none() {
    let stage = Stage::start().await;
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
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n",
            &[200, 404],
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0", &[]),
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
    for (request, wanted) in cases {
        assert_eq!(
            statuses(&stage, request.as_bytes()).await.0,
            *wanted,
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_at_once_and_leaves_no_memory_behind() {
    let stage = Stage::start().await;
    let before = stage.memory().await;
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
        let (statuses, took) = statuses(&stage, request.as_bytes()).await;
        assert!(
            statuses.is_empty() || statuses == [431],
            "{statuses:?} to {:?}...",
            &request[..40]
        );
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    let grown = stage.memory().await - before;
    assert!(
        grown < 4.0 * 1024.0 * 1024.0,
        "a head has 16 KiB, and these came one by one: {grown} bytes"
    );
}

#[tokio::test]
async fn as_many_accounts_as_a_head_holds_are_each_shown_once() {
    let stage = Stage::start().await;
    let query = "account=default&".repeat(900);
    let request = format!("GET /metrics?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = stage.ask(HONEST, request.as_bytes()).await;
    answer.is_right();
    assert_eq!(answer.body.matches("\nringcentral_up{").count(), 1);
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let stage = Stage::start().await;
    for length in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        let request = format!("POST /metrics HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n");
        let (statuses, took) = statuses(&stage, request.as_bytes()).await;
        assert!(
            statuses == [405] && took < Duration::from_secs(6),
            "{statuses:?} after {took:?}"
        );
    }
}
