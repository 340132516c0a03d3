//! Tests of `check` with problems on the way to RingCentral: names, ports, proxies and TLS.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ringcentral_exporter::simulator::{Operation, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::check::{assert_output, check_command, frozen_scenario, start_simulator};
use crate::common::exporter_process::{command_for_simulator, output};
use crate::harness::bind_loopback;
use crate::network::start_tls_relay;

/// A host name that does not bypass the proxy, as loopback addresses do.
const EXTERNAL_HOST: &str = "platform.ringcentral.invalid";

/// Returns a command that runs `check` with this server URL.
fn check_server(simulator: &Simulator, server: &str) -> Command {
    let mut command = check_command(simulator, &[]);
    command.env("RC_SERVER_URL", server);
    command
}

/// Asserts that `check` fails with this server URL and prints the golden file `name`.
async fn assert_server_reported(name: &str, server: &str) {
    assert_output(
        check_server(&start_simulator(frozen_scenario()).await, server),
        1,
        name,
    )
    .await;
}

/// Starts a server that reads once from each connection, sends `answer` and closes. Returns its
/// port.
async fn start_peer(answer: &'static [u8]) -> u16 {
    let listener = bind_loopback().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    port
}

#[tokio::test]
async fn unknown_host_name_is_reported() {
    // A label has at most 63 characters, so resolution fails without a DNS query.
    let server = format!("http://{}.invalid", "a".repeat(64));
    assert_server_reported("name_not_found", &server).await;
}

#[tokio::test]
async fn closed_port_is_reported() {
    let port = bind_loopback().await.local_addr().unwrap().port();
    assert_server_reported("unreachable", &format!("http://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn port_without_tls_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(
        check_server(&simulator, &simulator.url().replace("http:", "https:")),
        1,
        "no_tls",
    )
    .await;
    let port = start_peer(b"").await;
    assert_server_reported("no_tls_silent", &format!("https://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn rejected_tls_handshake_is_reported() {
    // The fatal alert `handshake_failure`.
    let port = start_peer(b"\x15\x03\x03\x00\x02\x02\x28").await;
    assert_server_reported("tls_refused", &format!("https://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn untrusted_certificate_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    let (port, _) = start_tls_relay(&simulator, "localhost").await;
    assert_output(
        check_server(&simulator, &format!("https://localhost:{port}")),
        1,
        "untrusted_certificate",
    )
    .await;
    assert!(simulator.journal().is_empty(), "a secret was sent");
}

#[tokio::test]
async fn missing_root_certificates_are_reported() {
    let mut command = check_server(
        &start_simulator(frozen_scenario()).await,
        "https://platform.ringcentral.com",
    );
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    assert_output(command, 1, "no_root_certificates").await;
}

// === Proxies ===

/// Starts a proxy that answers CONNECT with `answer` and, if that is a 200, relays to `upstream`.
/// Returns its port.
async fn start_proxy(answer: &'static str, upstream: String) -> u16 {
    let listener = bind_loopback().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve_proxy(listener, answer, upstream));
    port
}

/// Accepts connections for `start_proxy`.
async fn serve_proxy(listener: TcpListener, answer: &'static str, upstream: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let upstream = upstream.clone();
        tokio::spawn(async move {
            let mut head = [0; 4096];
            let read = client.read(&mut head).await?;
            let request = String::from_utf8_lossy(&head[..read]).into_owned();
            assert!(
                request.starts_with(&format!("CONNECT {EXTERNAL_HOST}:443 ")),
                "{request}"
            );
            let credentials = BASE64_STANDARD.encode("user:sesame/@1");
            assert!(request.contains(&credentials), "{request}");
            client.write_all(answer.as_bytes()).await?;
            if answer.starts_with("HTTP/1.1 200") {
                let mut server = TcpStream::connect(upstream).await?;
                copy_bidirectional(&mut client, &mut server).await?;
            }
            std::io::Result::Ok(())
        });
    }
}

/// Returns a command that runs `check` through a proxy on this port.
fn check_through_proxy(port: u16, simulator: &Simulator) -> Command {
    let mut command = check_server(simulator, &format!("https://{EXTERNAL_HOST}"));
    command.env(
        "HTTPS_PROXY",
        format!("http://user:sesame%2F%401@127.0.0.1:{port}"),
    );
    command
}

/// Asserts that `check` fails if a proxy answers like this, and prints the golden file `name`.
async fn assert_proxy_reported(name: &str, answer: &'static str) {
    let port = start_proxy(answer, String::new()).await;
    assert_output(
        check_through_proxy(port, &start_simulator(frozen_scenario()).await),
        1,
        name,
    )
    .await;
}

#[tokio::test]
async fn unreachable_proxy_is_reported() {
    let port = bind_loopback().await.local_addr().unwrap().port();
    assert_output(
        check_through_proxy(port, &start_simulator(frozen_scenario()).await),
        1,
        "proxy_unreachable",
    )
    .await;
}

#[tokio::test]
async fn end_of_an_open_tunnel_is_no_fault_of_the_proxy() {
    let peer = format!("127.0.0.1:{}", start_peer(b"").await);
    let port = start_proxy("HTTP/1.1 200 Connection established\r\n\r\n", peer).await;
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(check_through_proxy(port, &simulator), 1, "tunnel_closed").await;
}

#[tokio::test]
async fn proxy_without_tls_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    for (name, answer) in [
        (
            "proxy_without_tls",
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        ),
        ("proxy_without_tls_silent", b""),
    ] {
        let port = start_peer(answer).await;
        let mut command = check_server(&simulator, &format!("https://{EXTERNAL_HOST}"));
        command.env("HTTPS_PROXY", format!("https://127.0.0.1:{port}"));
        assert_output(command, 1, name).await;
    }
}

#[tokio::test]
async fn certificate_of_the_proxy_is_named_as_such() {
    let simulator = start_simulator(frozen_scenario()).await;
    let (port, _) = start_tls_relay(&simulator, "localhost").await;
    let mut command = check_server(&simulator, &format!("https://{EXTERNAL_HOST}"));
    command.env("HTTPS_PROXY", format!("https://localhost:{port}"));
    assert_output(command, 1, "untrusted_proxy").await;
}

#[tokio::test]
async fn proxy_that_is_not_used_is_explained() {
    let simulator = start_simulator(frozen_scenario()).await;
    for (variable, no_proxy, reason) in [
        ("ALL_PROXY", "", "http://127.0.0.1:9 (ALL_PROXY)"),
        ("https_proxy", "", "http://127.0.0.1:9 (https_proxy)"),
        ("HTTP_PROXY", "", "none: HTTPS_PROXY is not set"),
        ("ALL_PROXY", "*.invalid", "none: NO_PROXY names the server"),
    ] {
        let mut command = check_server(&simulator, &format!("https://{EXTERNAL_HOST}"));
        command.env(variable, "http://127.0.0.1:9");
        command.env("NO_PROXY", no_proxy);
        let (_, text, _) = output(command).await;
        let expected = format!("\n  proxy         {reason}\n");
        assert!(text.contains(&expected), "{text}");
    }
}

#[tokio::test]
async fn invalid_proxy_is_usage_error_without_its_value() {
    let simulator = start_simulator(frozen_scenario()).await;
    let cases = [
        (
            "HTTPS_PROXY",
            "http://alice:sesame/x@127.0.0.1:9",
            "invalid user or password",
        ),
        (
            "https_proxy",
            "socks5://alice:sesame@127.0.0.1:9",
            "SOCKS is not supported",
        ),
        (
            "HTTP_PROXY",
            "htp://alice:sesame@127.0.0.1:9",
            "invalid value",
        ),
        (
            "all_proxy",
            "\"http://alice:sesame@127.0.0.1:9\"",
            "invalid value",
        ),
        (
            "NO_PROXY",
            "http://alice:sesame@127.0.0.1:9",
            "invalid entry",
        ),
    ];
    for (variable, value, problem) in cases {
        for arguments in [
            ["check"].as_slice(),
            &["serve", "--web.listen-address=127.0.0.1:0"],
        ] {
            let mut command = command_for_simulator(&simulator, arguments);
            command.env(variable, value);
            let (code, report, errors) = output(command).await;
            assert_eq!(
                (code, report.as_str()),
                (Some(2), ""),
                "{variable}: {errors}"
            );
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert!(
                errors.contains(&format!("{variable}: {problem}: expected ")),
                "{errors}"
            );
            assert!(
                !errors.contains("alice") && !errors.contains("sesame"),
                "{errors}"
            );
        }
    }
    assert!(simulator.journal().is_empty(), "a request was sent");
}

#[tokio::test]
async fn unused_socks_proxy_is_ignored() {
    let simulator = start_simulator(frozen_scenario()).await;
    let socks = "socks5h://alice:sesame@127.0.0.1:9";
    let cases = [
        (["HTTP_PROXY", "all_proxy"], Some(0)),
        (["HTTPS_PROXY", "all_proxy"], Some(2)),
    ];
    for ([variable, all], expected) in cases {
        let mut command = command_for_simulator(&simulator, &["check"]);
        command.env(variable, "127.0.0.1:9").env(all, socks);
        let (code, report, errors) = output(command).await;
        assert_eq!(code, expected, "{variable}: {report}{errors}");
        assert!(!errors.contains("alice"), "{errors}");
        let named = errors.contains("all_proxy: SOCKS is not supported");
        assert_eq!(named, expected == Some(2), "{errors}");
    }
}

#[tokio::test]
async fn refusing_proxy_is_reported() {
    assert_proxy_reported("proxy_refused", "HTTP/1.1 403 Forbidden\r\n\r\n").await;
    assert_proxy_reported(
        "proxy_refused_password",
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    )
    .await;
    assert_proxy_reported("proxy_refused_silent", "").await;
}

#[tokio::test]
async fn proxy_407_for_http_server_is_reported() {
    let port =
        start_peer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            .await;
    let mut command = check_server(
        &start_simulator(frozen_scenario()).await,
        &format!("http://{EXTERNAL_HOST}"),
    );
    command.env("http_proxy", format!("http://user:sesame@127.0.0.1:{port}"));
    assert_output(command, 1, "proxy_refused_plain").await;
}

#[tokio::test]
async fn check_succeeds_through_proxy_with_custom_ca() {
    let simulator = start_simulator(frozen_scenario()).await;
    let (relay_port, certificate) = start_tls_relay(&simulator, EXTERNAL_HOST).await;
    let upstream = format!("127.0.0.1:{relay_port}");
    let port = start_proxy("HTTP/1.1 200 OK\r\n\r\n", upstream).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate).unwrap();
    let mut command = check_through_proxy(port, &simulator);
    command.env("RC_CA_FILE", path);
    assert_output(command, 0, "ok_proxy").await;
    let logins = simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.operation == Some(Operation::Token));
    assert_eq!(logins.count(), 1);
}
