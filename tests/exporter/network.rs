//! What lies between the exporter and RingCentral: TLS, and a company's proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringcentral_exporter::simulator::{Operation, Scenario, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::get;
use crate::rig::{Rig, loopback};

/// A relay that speaks TLS as `name` and passes on to the simulated account; gives its port and its certificate.
pub async fn tls_relay(simulator: &Simulator, name: &str) -> (u16, String) {
    // The first provider serves both sides of the relay.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = key.cert.pem();
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = loopback().await;
    let port = listener.local_addr().unwrap().port();
    let upstream = simulator.url().strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(relay(listener, acceptor, upstream));
    (port, certificate)
}

async fn relay(listener: TcpListener, acceptor: TlsAcceptor, upstream: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
        tokio::spawn(async move {
            let mut client = acceptor.accept(stream).await?;
            let mut server = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut client, &mut server).await
        });
    }
}

/// An exporter that asks through the relay, believing in this certificate if in any.
async fn behind_tls(believed: bool) -> Rig {
    let simulator = Simulator::start(loopback().await, Scenario::normal(), 1).unwrap();
    let (port, certificate) = tls_relay(&simulator, "localhost").await;
    Rig::around(simulator, |config| {
        config.accounts[0].server = format!("https://localhost:{port}").parse().unwrap();
        if believed {
            config.accounts[0].ca = Some(certificate.as_bytes().into());
        }
    })
    .await
}

#[tokio::test]
async fn a_company_ca_is_believed_once_its_file_is_given() {
    let rig = behind_tls(true).await;
    let scraped = rig.scrape().await;
    assert_eq!(scraped.up(), 1.0, "{}", scraped.text);
    assert!(!scraped.call_samples().is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_tls_failure() {
    let rig = behind_tls(false).await;
    let scraped = rig.scrape().await;
    assert_eq!((scraped.status, scraped.up()), (200, 0.0));
    assert_eq!(scraped.failures("token", "tls"), 1.0, "{}", scraped.text);
    assert_eq!(rig.count(Operation::Token), 0, "no secret went out");
}

/// A relay that passes on so many bytes of what the server says, and then resets both connections.
async fn resetting_relay(simulator: &Simulator, bytes: usize) -> u16 {
    let listener = loopback().await;
    let port = listener.local_addr().unwrap().port();
    let upstream = simulator.url().strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        let left = Arc::new(AtomicUsize::new(bytes));
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_and_reset(client, upstream.clone(), left.clone()));
        }
    });
    port
}

async fn pass_and_reset(
    mut client: TcpStream,
    upstream: String,
    left: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (mut said, mut asked) = (vec![0; 512], vec![0; 4096]);
    while left.load(Ordering::Relaxed) > 0 {
        tokio::select! {
            read = server.read(&mut said) => {
                let passed = read?.min(left.load(Ordering::Relaxed));
                left.fetch_sub(passed, Ordering::Relaxed);
                client.write_all(&said[..passed]).await?;
            }
            read = client.read(&mut asked) => server.write_all(&asked[..read?]).await?,
        }
    }
    client.set_zero_linger()
}

#[tokio::test]
async fn a_connection_that_is_reset_at_any_stage_is_a_failed_connection() {
    // Before a word, in the head of the login's answer, in its body, in the head of the list, and deep in its body.
    for bytes in [0, 100, 700, 1300, 2500] {
        let simulator = Simulator::start(loopback().await, Scenario::normal(), 1).unwrap();
        let port = resetting_relay(&simulator, bytes).await;
        let rig = Rig::around(simulator, |config| {
            config.accounts[0].server = format!("http://127.0.0.1:{port}").parse().unwrap();
        })
        .await;
        let scraped = rig.scrape().await;
        let failures =
            scraped.failures("token", "connect") + scraped.failures("active_calls", "connect");
        assert_eq!(
            (scraped.status, scraped.up(), failures),
            (200, 0.0, 1.0),
            "after {bytes} bytes:\n{}",
            scraped.text
        );
        assert!(scraped.call_samples().is_empty());
    }
}

#[tokio::test]
async fn a_proxy_variable_is_obeyed_and_its_password_never_told() {
    let simulator = Simulator::start(loopback().await, Scenario::normal(), 1).unwrap();
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
    assert!(program.log.contains("asked without TLS"), "{}", program.log);
}

#[tokio::test]
async fn a_server_on_this_machine_and_one_in_no_proxy_are_asked_directly() {
    let simulator = Simulator::start(loopback().await, Scenario::normal(), 1).unwrap();
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

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_failed_connection() {
    let rig = Rig::configured(Scenario::normal(), |config| {
        config.accounts[0].server = "http://platform.ringcentral.invalid".parse().unwrap();
    })
    .await;
    let scraped = rig.scrape().await;
    assert_eq!((scraped.status, scraped.up()), (200, 0.0));
    // A resolver that is silent for ten seconds makes it a time-out.
    let failed = scraped.failures("token", "connect") + scraped.failures("token", "timeout");
    assert!(
        failed == 1.0 || scraped.elapsed > Duration::from_secs(9),
        "{}",
        scraped.text
    );
}
