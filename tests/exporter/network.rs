//! Tests of the network between the exporter and RingCentral: TLS, proxies and broken connections.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringcentral_exporter::config::PresenceMode;
use ringcentral_exporter::simulator::{Operation, Scenario, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::common::exporter_process::{ExporterProcess, command, command_for_simulator};
use crate::common::get;
use crate::harness::{TestExporter, bind_loopback};

/// Starts a relay that terminates TLS as `name` and forwards to the simulated account. Returns its
/// port and its self-signed certificate.
pub async fn start_tls_relay(simulator: &Simulator, name: &str) -> (u16, String) {
    // A second call returns an error because the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = key.cert.pem();
    let private_key = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private_key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = bind_loopback().await;
    let port = listener.local_addr().unwrap().port();
    let upstream = simulator.url().strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(serve_tls_relay(listener, acceptor, upstream));
    (port, certificate)
}

/// Accepts connections for `start_tls_relay`.
async fn serve_tls_relay(listener: TcpListener, acceptor: TlsAcceptor, upstream: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
        tokio::spawn(async move {
            let mut client = acceptor.accept(stream).await?;
            let mut server = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut client, &mut server).await
        });
    }
}

/// Starts an exporter that sends its API requests through a TLS relay, and configures the
/// certificate of the relay as its CA if `trusts_relay`.
async fn start_behind_tls(trusts_relay: bool) -> TestExporter {
    let scenario = Scenario {
        gateway_tls: true,
        ..Scenario::normal()
    };
    let simulator = Simulator::start(bind_loopback().await, scenario, 1).unwrap();
    let (port, certificate) = start_tls_relay(&simulator, "localhost").await;
    TestExporter::start_for_simulator(simulator, |config| {
        config.accounts[0].server = format!("https://localhost:{port}").parse().unwrap();
        if trusts_relay {
            config.accounts[0].ca = Some(certificate.as_bytes().into());
        }
        config.accounts[0].presence = PresenceMode::Events;
    })
    .await
}

#[tokio::test]
async fn configured_ca_is_trusted() {
    let exporter = start_behind_tls(true).await;
    let response = exporter.scrape().await;
    assert_eq!(response.up(), 1.0, "{}", response.text);
    assert!(!response.call_samples().is_empty());
    let mut is_up = 0.0;
    for _ in 0..500 {
        is_up = exporter
            .scrape()
            .await
            .value("ringcentral_presence_up{account=\"default\"}");
        if is_up == 1.0 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(is_up, 1.0, "events over wss");
}

#[tokio::test]
async fn untrusted_certificate_is_tls_failure() {
    let exporter = start_behind_tls(false).await;
    let response = exporter.scrape().await;
    assert_eq!((response.status, response.up()), (200, 0.0));
    assert_eq!(response.failures("token", "tls"), 1.0, "{}", response.text);
    assert_eq!(
        exporter.count_requests(Operation::Token),
        0,
        "a secret was sent"
    );
}

/// Starts a relay that forwards `bytes` bytes of the responses and then resets each connection.
/// Returns its port.
async fn start_resetting_relay(simulator: &Simulator, bytes: usize) -> u16 {
    let listener = bind_loopback().await;
    let port = listener.local_addr().unwrap().port();
    let upstream = simulator.url().strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        let remaining = Arc::new(AtomicUsize::new(bytes));
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay_and_reset(client, upstream.clone(), remaining.clone()));
        }
    });
    port
}

/// Relays between a client and the simulated account until `remaining` bytes of responses have been
/// forwarded, over all connections, and then resets the client's connection.
async fn relay_and_reset(
    mut client: TcpStream,
    upstream: String,
    remaining: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (mut response, mut request) = (vec![0; 512], vec![0; 4096]);
    while remaining.load(Ordering::Relaxed) > 0 {
        tokio::select! {
            read = server.read(&mut response) => {
                let length = read?.min(remaining.load(Ordering::Relaxed));
                remaining.fetch_sub(length, Ordering::Relaxed);
                client.write_all(&response[..length]).await?;
            }
            read = client.read(&mut request) => server.write_all(&request[..read?]).await?,
        }
    }
    client.set_zero_linger()
}

#[tokio::test]
async fn reset_connection_is_connect_failure() {
    // Before the login response, in its head and in its body; in the head and in the body of the
    // call list.
    for bytes in [0, 100, 700, 1300, 2500] {
        let simulator = Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap();
        let port = start_resetting_relay(&simulator, bytes).await;
        let exporter = TestExporter::start_for_simulator(simulator, |config| {
            config.accounts[0].server = format!("http://127.0.0.1:{port}").parse().unwrap();
        })
        .await;
        let response = exporter.scrape().await;
        let failures =
            response.failures("token", "connect") + response.failures("active_calls", "connect");
        assert_eq!(
            (response.status, response.up(), failures),
            (200, 0.0, 1.0),
            "after {bytes} bytes:\n{}",
            response.text
        );
        assert!(response.call_samples().is_empty());
    }
}

#[tokio::test]
async fn proxy_password_is_not_logged() {
    let simulator = Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap();
    let proxy = simulator.url().replace("http://", "http://user:sesame@");
    let mut command = command_for_simulator(
        &simulator,
        &[
            "--web.listen-address",
            "127.0.0.1:0",
            "--log.level",
            "trace",
        ],
    );
    command
        .env("RC_SERVER_URL", "http://platform.ringcentral.invalid")
        .env("HTTP_PROXY", &proxy);
    command.env("http_proxy", &proxy);
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    let text = get(&format!("{url}/metrics")).await;
    assert!(
        text.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{text}"
    );
    program.signal("TERM").await;
    program.wait_for_exit().await;
    assert!(!program.log.contains("sesame"), "{}", program.log);
    assert!(program.log.contains("uses plain HTTP"), "{}", program.log);
}

#[tokio::test]
async fn loopback_and_no_proxy_hosts_bypass_proxy() {
    let simulator = Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap();
    let mut command = command_for_simulator(&simulator, &["--web.listen-address", "127.0.0.1:0"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    assert!(
        get(&format!("{url}/metrics"))
            .await
            .contains("\nringcentral_up{account=\"default\"} 1\n")
    );

    let mut command = command_for_simulator(&simulator, &["--web.listen-address", "127.0.0.1:0"]);
    command
        .env("RC_SERVER_URL", "http://platform.ringcentral.invalid")
        .env("NO_PROXY", "ringcentral.invalid");
    command
        .env("HTTP_PROXY", simulator.url())
        .env("http_proxy", simulator.url());
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    assert!(
        get(&format!("{url}/metrics"))
            .await
            .contains("\nringcentral_up{account=\"default\"} 0\n")
    );
    assert_eq!(
        simulator
            .journal()
            .iter()
            .filter(|entry| entry.operation == Some(Operation::Token))
            .count(),
        1
    );
}

/// Writes an accounts file with one account for each server; the name of an account is its host.
fn write_accounts(folder: &Path, simulator: &Simulator, hosts: &[&str]) {
    std::fs::write(folder.join("secret"), simulator.client_secret()).unwrap();
    std::fs::write(folder.join("jwt"), simulator.jwt()).unwrap();
    let mut text = "accounts:\n".to_owned();
    for host in hosts {
        text += &format!(
            "  - {{name: {host}, server_url: 'http://{host}', client_id: {}, \
             client_secret_file: secret, jwt_file: jwt}}\n",
            simulator.client_id()
        );
    }
    std::fs::write(folder.join("accounts.yml"), text).unwrap();
}

#[tokio::test]
async fn each_account_uses_the_proxy_for_its_server() {
    let simulator = Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_accounts(folder.path(), &simulator, &["a.invalid", "b.invalid"]);
    let file = folder.path().join("accounts.yml");
    let mut command = command(&[
        "--config.file",
        file.to_str().unwrap(),
        "--web.listen-address",
        "127.0.0.1:0",
    ]);
    command
        .env("all_proxy", simulator.url())
        .env("NO_PROXY", "*.example, b.invalid:80 , c.invalid:443");
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    let up = |text: &str, name: &str, value: u8| {
        let line = format!("\nringcentral_up{{account=\"{name}\"}} {value}\n");
        assert!(text.contains(&line), "{name}:\n{text}");
    };
    let text = get(&format!("{url}/metrics?account=a.invalid")).await;
    up(&text, "a.invalid", 1);
    let text = get(&format!("{url}/metrics?account=b.invalid")).await;
    up(&text, "b.invalid", 0);
    write_accounts(folder.path(), &simulator, &["b.invalid", "c.invalid"]);
    program.signal("HUP").await;
    program.wait_for_log("configuration reloaded").await;
    let text = get(&format!("{url}/metrics?account=c.invalid")).await;
    up(&text, "c.invalid", 1);
    let logins = simulator.journal().into_iter();
    let logins = logins.filter(|entry| entry.operation == Some(Operation::Token));
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn unresolvable_name_is_connect_failure() {
    let exporter = TestExporter::start_with(Scenario::normal(), |config| {
        config.accounts[0].server = "http://platform.ringcentral.invalid".parse().unwrap();
    })
    .await;
    let response = exporter.scrape().await;
    assert_eq!((response.status, response.up()), (200, 0.0));
    // If the resolver does not answer within 10 s, the reason is a timeout.
    let failures = response.failures("token", "connect") + response.failures("token", "timeout");
    assert!(
        failures == 1.0 || response.elapsed > Duration::from_secs(9),
        "{}",
        response.text
    );
}
