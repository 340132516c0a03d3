//! Tests of server names with several addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringcentral_exporter::config::NameLookup;
use ringcentral_exporter::simulator::Simulator;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::api_relay::{Action, Exchange, Relay, bind_same_port, start_simulator};
use crate::common::MAX_WAIT;
use crate::harness::{TestExporter, bind_loopback};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The addresses of host names. It is shared with the exporter, so a name can move.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>);

impl Hosts {
    /// Sets the addresses of a name.
    pub fn set(&self, name: &str, addresses: &[IpAddr]) {
        let mut hosts = self.0.lock().unwrap();
        hosts.insert(name.to_owned(), addresses.to_vec());
    }
}

impl NameLookup for Hosts {
    fn look_up(&self, name: &str) -> Vec<IpAddr> {
        self.0.lock().unwrap()[name].clone()
    }
}

/// A listener whose queue is full, so that the kernel drops the packets of new connections.
struct DroppingListener {
    _listener: StdListener,
    _queued: Vec<StdStream>,
}

impl DroppingListener {
    fn bind(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(address)).unwrap();
        socket.listen(0).unwrap();
        let listener = StdListener::from(socket);
        let mut queued = Vec::new();
        let address = listener.local_addr().unwrap();
        while let Ok(stream) = StdStream::connect_timeout(&address, Duration::from_millis(300)) {
            queued.push(stream);
        }
        Self {
            _listener: listener,
            _queued: queued,
        }
    }
}

/// Starts an exporter whose server name has these addresses, with the port of `port`.
async fn start_with_addresses(simulator: Simulator, port: u16, addresses: &[&str]) -> TestExporter {
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
    TestExporter::start_for_simulator(simulator, |config| {
        config.accounts[0].server = format!("http://pbx.test:{port}").parse().unwrap();
        let hosts = Hosts::default();
        hosts.set("pbx.test", &addresses);
        config.settings.network.lookup = Some(Arc::new(hosts));
    })
    .await
}

/// Starts a simulated account that is reached through `127.0.0.9` only. Returns the port.
async fn start_at_last_address() -> (Simulator, u16) {
    let simulator = start_simulator().await;
    let listener = TcpListener::bind("127.0.0.9:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Relay::new(&simulator, |_| Action::Forward).serve(listener, None);
    (simulator, port)
}

#[tokio::test]
async fn address_that_drops_packets_is_skipped() {
    for addresses in [
        ["127.0.0.3", "127.0.0.9"].as_slice(),
        ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9"].as_slice(),
    ] {
        let (simulator, port) = start_at_last_address().await;
        let mut dropping = Vec::new();
        for address in &addresses[..addresses.len() - 1] {
            dropping.push(DroppingListener::bind(SocketAddr::new(ip(address), port)));
        }
        let exporter = start_with_addresses(simulator, port, addresses).await;
        let response = exporter.scrape().await;
        assert_eq!(response.up(), 1.0, "{addresses:?}:\n{}", response.text);
    }
}

#[tokio::test]
async fn single_address_has_three_seconds() {
    let dropping = DroppingListener::bind("127.0.0.3:0".parse().unwrap());
    let address = dropping._listener.local_addr().unwrap();
    let simulator = start_simulator().await;
    let exporter = TestExporter::start_for_simulator(simulator, |config| {
        config.accounts[0].server = format!("http://{address}").parse().unwrap();
    })
    .await;
    let response = exporter.scrape().await;
    assert_eq!(response.failures("token", "timeout"), 1.0);
    assert!(
        response.elapsed < Duration::from_millis(7500),
        "{:?}",
        response.elapsed
    );
}

#[tokio::test]
async fn addresses_that_refuse_are_skipped() {
    let many: Vec<_> = (10..40).map(|last| format!("127.0.1.{last}")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    many.push("127.0.0.9");
    for addresses in [
        ["127.0.0.3", "127.0.0.9"].as_slice(),
        ["127.0.0.9", "127.0.0.3"].as_slice(),
        ["127.0.0.3", "127.0.0.3", "127.0.0.9"].as_slice(),
        ["2001:db8::1", "127.0.0.9"].as_slice(),
        ["2001:db8::1", "127.0.0.3", "2001:db8::2", "127.0.0.9"].as_slice(),
        ["::1", "127.0.0.9"].as_slice(),
        &many,
    ] {
        let (simulator, port) = start_at_last_address().await;
        let exporter = start_with_addresses(simulator, port, addresses).await;
        let response = exporter.scrape().await;
        assert_eq!(response.up(), 1.0, "{addresses:?}:\n{}", response.text);
    }
}

#[tokio::test]
async fn all_addresses_refuse_is_one_connect_failure() {
    let port = bind_loopback().await.local_addr().unwrap().port();
    let addresses = ["127.0.0.3", "127.0.0.4", "::1"];
    let exporter = start_with_addresses(start_simulator().await, port, &addresses).await;
    let response = exporter.scrape().await;
    assert_eq!((response.status, response.up()), (200, 0.0));
    assert_eq!(response.failures("token", "connect"), 1.0);
    let none = start_with_addresses(start_simulator().await, port, &[]).await;
    let response = none.scrape().await;
    assert_eq!(response.failures("token", "connect"), 1.0);
}

#[tokio::test]
async fn api_error_keeps_the_address() {
    let error = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let coded = |code: &str| format!("{{\"errorCode\":\"{code}\",\"message\":\"m\"}}");
    // Whether the response proves that the site is RingCentral's.
    let cases = [
        (error("400 Bad Request", &coded("CMN-101")), true),
        (error("404 Not Found", &coded("CMN-102")), true),
        (error("408 Request Timeout", &coded("CMN-203")), true),
        (
            error("403 Forbidden", "{\"error\":\"access_denied\"}"),
            true,
        ),
        (error("401 Unauthorized", &coded("OAU-213")), true),
        (
            error("429 Too Many Requests\r\nRetry-After: 1", "slow down"),
            true,
        ),
        (error("404 Not Found", ""), false),
        (error("400 Bad Request", "<html>"), false),
        (error("503 Service Unavailable", &coded("CMN-211")), false),
    ];
    for (response, is_proof) in cases {
        let simulator = start_simulator().await;
        let addresses = [ip("127.0.0.3"), ip("127.0.0.9")];
        let mut listeners = bind_same_port(&addresses).into_iter();
        let mut next = || TcpListener::from_std(listeners.next().unwrap()).unwrap();
        let (first, second) = (next(), next());
        let port = first.local_addr().unwrap().port();
        let text = response.clone();
        let used = Relay::new(&simulator, move |exchange| {
            match exchange.is_extension_list() {
                true => Action::Respond(text.clone()),
                false => Action::Forward,
            }
        });
        used.serve(first, None);
        let other = Relay::new(&simulator, |_| Action::Forward);
        other.serve(second, None);
        let exporter = start_with_addresses(simulator, port, &["127.0.0.3", "127.0.0.9"]).await;
        let scrapes = async {
            while !used.exchanges().iter().any(Exchange::is_extension_list) {
                exporter.scrape().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            exporter.scrape().await;
        };
        timeout(MAX_WAIT, scrapes).await.unwrap();
        assert_eq!(other.exchanges().is_empty(), is_proof, "{response}");
    }
}

#[tokio::test]
async fn address_that_fails_is_not_first_again() {
    let error = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    for action in [
        Action::Reset,
        Action::Drop,
        Action::Respond(error.to_owned()),
    ] {
        let simulator = start_simulator().await;
        let name = format!("{action:?}");
        let addresses = [ip("127.0.0.3"), ip("127.0.0.9")];
        let mut listeners = bind_same_port(&addresses).into_iter();
        let mut next = || TcpListener::from_std(listeners.next().unwrap()).unwrap();
        let (bad, good) = (next(), next());
        let port = bad.local_addr().unwrap().port();
        let failing = Relay::new(&simulator, move |_| action.clone());
        failing.serve(bad, None);
        Relay::new(&simulator, |_| Action::Forward).serve(good, None);
        let exporter = start_with_addresses(simulator, port, &["127.0.0.3", "127.0.0.9"]).await;
        assert_eq!(exporter.scrape().await.up(), 0.0, "{name}");
        exporter.wait_until_up(MAX_WAIT).await;
        for _ in 0..3 {
            assert_eq!(exporter.scrape().await.up(), 1.0, "{name}");
        }
        assert_eq!(failing.exchanges().len(), 1, "{name}");
    }
}
