//! What may stand between us and RingCentral: names, ports, proxies, TLS.

use ringcentral_exporter::simulator::{Operation, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::{check, says, simulator, still};
use crate::network::tls_relay;
use crate::harness::loopback;

/// A name that is not of this machine, so that a proxy is asked for it.
const OUTSIDE: &str = "platform.ringcentral.invalid";

fn at(simulator: &Simulator, server: &str) -> Command {
    let mut command = check(simulator, &[]);
    command.env("RC_SERVER_URL", server);
    command
}

async fn fails_at(name: &str, server: &str) {
    says(at(&simulator(still()).await, server), 1, name).await;
}

/// A peer that reads something and says this, to each who connects.
async fn peer(answer: &'static [u8]) -> u16 {
    let listener = loopback().await;
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
    // No name has a part of 64 letters, and no server has to be asked for one.
    let server = format!("http://{}.invalid", "a".repeat(64));
    fails_at("name_not_found", &server).await;
}

#[tokio::test]
async fn closed_port_is_reported() {
    let port = loopback().await.local_addr().unwrap().port();
    fails_at("unreachable", &format!("http://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn port_without_tls_is_reported() {
    let simulator = simulator(still()).await;
    says(
        at(&simulator, &simulator.url().replace("http:", "https:")),
        1,
        "no_tls",
    )
    .await;
    let port = peer(b"").await;
    fails_at("no_tls_silent", &format!("https://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn rejected_tls_handshake_is_reported() {
    // A fatal alert: handshake failure.
    let port = peer(b"\x15\x03\x03\x00\x02\x02\x28").await;
    fails_at("tls_refused", &format!("https://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn untrusted_certificate_is_reported() {
    let simulator = simulator(still()).await;
    let (port, _) = tls_relay(&simulator, "localhost").await;
    says(
        at(&simulator, &format!("https://localhost:{port}")),
        1,
        "untrusted_certificate",
    )
    .await;
    assert!(simulator.journal().is_empty(), "no secret went out");
}

#[tokio::test]
async fn missing_root_certificates_are_reported() {
    let mut command = at(
        &simulator(still()).await,
        "https://platform.ringcentral.com",
    );
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    says(command, 1, "no_root_certificates").await;
}

// === Proxies ===

/// A proxy that answers CONNECT like this and, where that is a 200, passes on to `upstream`.
async fn proxy(answer: &'static str, upstream: String) -> u16 {
    let listener = loopback().await;
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, answer, upstream));
    port
}

async fn serve(listener: TcpListener, answer: &'static str, upstream: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let upstream = upstream.clone();
        tokio::spawn(async move {
            let mut head = [0; 4096];
            let read = client.read(&mut head).await?;
            let asked = String::from_utf8_lossy(&head[..read]).into_owned();
            assert!(
                asked.starts_with(&format!("CONNECT {OUTSIDE}:443 ")),
                "{asked}"
            );
            client.write_all(answer.as_bytes()).await?;
            if answer.starts_with("HTTP/1.1 200") {
                let mut server = TcpStream::connect(upstream).await?;
                copy_bidirectional(&mut client, &mut server).await?;
            }
            std::io::Result::Ok(())
        });
    }
}

/// A check by way of a proxy on this port.
fn by_way_of(port: u16, simulator: &Simulator) -> Command {
    let mut command = at(simulator, &format!("https://{OUTSIDE}"));
    command.env(
        "HTTPS_PROXY",
        format!("http://user:sesame@127.0.0.1:{port}"),
    );
    command
}

async fn proxy_fails(name: &str, answer: &'static str) {
    let port = proxy(answer, String::new()).await;
    says(by_way_of(port, &simulator(still()).await), 1, name).await;
}

#[tokio::test]
async fn unreachable_proxy_is_reported() {
    let port = loopback().await.local_addr().unwrap().port();
    says(
        by_way_of(port, &simulator(still()).await),
        1,
        "proxy_unreachable",
    )
    .await;
}

#[tokio::test]
async fn unsupported_proxy_scheme_is_reported() {
    let mut command = by_way_of(9, &simulator(still()).await);
    command.env("HTTPS_PROXY", "socks5://user:sesame@127.0.0.1:9");
    says(command, 1, "proxy_unreachable_socks").await;
}

#[tokio::test]
async fn refusing_proxy_is_reported() {
    proxy_fails("proxy_refused", "HTTP/1.1 403 Forbidden\r\n\r\n").await;
    proxy_fails(
        "proxy_refused_password",
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    )
    .await;
    proxy_fails("proxy_refused_silent", "").await;
}

#[tokio::test]
async fn proxy_407_for_http_server_is_reported() {
    let port =
        peer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
    let mut command = at(&simulator(still()).await, &format!("http://{OUTSIDE}"));
    command.env("http_proxy", format!("http://user:sesame@127.0.0.1:{port}"));
    says(command, 1, "proxy_refused_plain").await;
}

#[tokio::test]
async fn check_succeeds_through_proxy_with_custom_ca() {
    let simulator = simulator(still()).await;
    let (tls, certificate) = tls_relay(&simulator, OUTSIDE).await;
    let port = proxy("HTTP/1.1 200 OK\r\n\r\n", format!("127.0.0.1:{tls}")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate).unwrap();
    let mut command = by_way_of(port, &simulator);
    command.env("RC_CA_FILE", path);
    says(command, 0, "ok_proxy").await;
    let logins = simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.operation == Some(Operation::Token));
    assert_eq!(logins.count(), 1);
}
