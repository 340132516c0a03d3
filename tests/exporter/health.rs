//! Tests of the `health` command, which the health check of a container runs.

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::common::exporter_process::{ExporterProcess, command, command_for_simulator, output};
use crate::harness::bind_loopback;

/// Runs `health` for an address and returns the exit code and the error without the prefix
/// `ringcentral-exporter: `.
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

/// Starts a server that sends `response` on each connection, and returns its address.
async fn start_server(response: &'static str) -> String {
    let listener = bind_loopback().await;
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(response.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn health_succeeds_on_every_interface() {
    let simulator = Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap();
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
async fn closed_port_exits_1_with_one_line() {
    let address = bind_loopback().await.local_addr().unwrap().to_string();
    let line = format!("http://{address}/-/healthy: Connection refused (os error 111)");
    assert_eq!(health(&address).await, (Some(1), line));
}

#[tokio::test]
async fn other_program_on_port_is_unhealthy() {
    let address =
        start_server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(
        health(&address).await,
        (
            Some(1),
            format!("http://{address}/-/healthy: unexpected status 503")
        )
    );
    let address = start_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(
        health(&address).await,
        (
            Some(1),
            format!(
                "http://{address}/-/healthy: unexpected response: another program uses this address"
            )
        )
    );
    let address = start_server(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(health(&address).await.0, Some(1));
}

#[tokio::test]
async fn hanging_exporter_is_unhealthy_after_3_s() {
    let listener = bind_loopback().await;
    let address = listener.local_addr().unwrap().to_string();
    let started = Instant::now();
    assert_eq!(
        health(&address).await,
        (
            Some(1),
            format!("http://{address}/-/healthy: no response within 3 s")
        )
    );
    assert!(
        (2.9..10.0).contains(&started.elapsed().as_secs_f64()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn invalid_health_flag_exits_2() {
    let (code, line) = health("localhost").await;
    assert_eq!(code, Some(2));
    assert!(
        line.starts_with("--web.listen-address: invalid value \"localhost\""),
        "{line}"
    );
    let (code, _, error) = output(command(&["health", "--log.level=info"])).await;
    assert_eq!(code, Some(2), "{error}");
}
