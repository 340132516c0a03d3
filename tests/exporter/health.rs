//! The command `health`: as a container's health check calls it.

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::common::exporter_process::{ExporterProcess, command, command_for_simulator, output};
use crate::rig::loopback;

/// What `health` says of an address: exit code and the line without the program's name.
async fn health(address: &str) -> (Option<i32>, String) {
    let mut command = command(&["health", "--web.listen-address", address]);
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .env("HTTP_PROXY", "http://127.0.0.1:9");
    let (code, printed, error) = output(command).await;
    assert_eq!(printed, "");
    assert!(error.lines().count() <= 1, "{error}");
    (
        code,
        error
            .trim_end()
            .trim_start_matches("ringcentral-exporter: ")
            .to_owned(),
    )
}

/// A peer that gives this answer.
async fn peer(answer: &'static str) -> String {
    let listener = loopback().await;
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_running_exporter_is_healthy_on_all_its_interfaces_and_ringcentral_is_not_asked() {
    let simulator = Simulator::start(loopback().await, Scenario::normal(), 1).unwrap();
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", ":0"],
    ));
    let url = program.wait_for_url().await;
    let port = url.rsplit_once(':').unwrap().1;
    for host in ["", "0.0.0.0", "[::]", "127.0.0.1", "[::1]", "localhost"] {
        assert_eq!(
            health(&format!("{host}:{port}")).await,
            (Some(0), String::new()),
            "{host}"
        );
    }
    assert!(simulator.journal().is_empty());
}

#[tokio::test]
async fn where_nobody_listens_is_one_line_and_exit_1() {
    let address = loopback().await.local_addr().unwrap().to_string();
    let line = format!("http://{address}/-/healthy: Connection refused (os error 111)");
    assert_eq!(health(&address).await, (Some(1), line));
}

#[tokio::test]
async fn another_program_in_its_place_is_not_healthy() {
    let address = peer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(
        health(&address).await,
        (
            Some(1),
            format!("http://{address}/-/healthy: the answer is 503")
        )
    );
    let address = peer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(
        health(&address).await,
        (
            Some(1),
            format!("http://{address}/-/healthy: another program answers there")
        )
    );
    let address =
        peer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
            .await;
    assert_eq!(health(&address).await.0, Some(1));
}

#[tokio::test]
async fn an_exporter_that_hangs_is_given_three_seconds() {
    let listener = loopback().await;
    let address = listener.local_addr().unwrap().to_string();
    let started = Instant::now();
    assert_eq!(
        health(&address).await,
        (
            Some(1),
            format!("http://{address}/-/healthy: no answer in 3 s")
        )
    );
    assert!(
        (2.9..6.0).contains(&started.elapsed().as_secs_f64()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_mistake_in_a_flag_is_exit_2() {
    let (code, line) = health("localhost").await;
    assert_eq!(code, Some(2));
    assert!(
        line.starts_with("--web.listen-address: \"localhost\" is not accepted"),
        "{line}"
    );
    let (code, _, error) = output(command(&["health", "--log.level=info"])).await;
    assert_eq!(code, Some(2), "{error}");
}
