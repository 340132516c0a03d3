//! Tests of connections to RingCentral that are kept: those that close, and those to a former site.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::api_addresses::Hosts;
use crate::api_relay::{
    Action, Exchange, Relay, bind_same_port, start_exporter, start_exporter_for, start_simulator,
};
use crate::common::MAX_WAIT;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestExporter, bind_loopback};

/// Returns the requests that the exporter counted, of all operations.
fn counted_requests(response: &ScrapeResponse) -> usize {
    let mut count = 0.0;
    for (series, value) in response.samples() {
        if series.starts_with("ringcentral_api_requests_total{") {
            count += value;
        }
    }
    count as usize
}

/// Scrapes until the extension list has been read, which is the last request that no scrape waits
/// for.
async fn scrape_until_directory(exporter: &TestExporter) -> ScrapeResponse {
    let series = "ringcentral_extension_directory_timestamp_seconds{account=\"default\"}";
    let scrapes = async {
        loop {
            let response = exporter.scrape().await;
            if response.samples().contains_key(series) {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(MAX_WAIT, scrapes).await.unwrap()
}

/// Returns an acceptor for `localhost` and its certificate.
fn tls_acceptor() -> (TlsAcceptor, String) {
    // A second call returns an error because the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let private_key = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private_key);
    (TlsAcceptor::from(Arc::new(config.unwrap())), key.cert.pem())
}

/// Starts an exporter behind a relay, with or without TLS.
async fn start_behind(
    tls: bool,
    idle_limit: Duration,
    plan: impl Fn(&Exchange) -> Action + Send + Sync + 'static,
) -> (Relay, TestExporter) {
    let simulator = start_simulator().await;
    let relay = Relay::new(&simulator, plan).with_idle_limit(idle_limit);
    let listener = bind_loopback().await;
    let port = listener.local_addr().unwrap().port();
    let (acceptor, certificate) = tls_acceptor();
    relay.serve(listener, tls.then_some(acceptor));
    let exporter = TestExporter::start_for_simulator(simulator, |config| {
        let account = &mut config.accounts[0];
        account.server = format!("http://127.0.0.1:{port}").parse().unwrap();
        if tls {
            account.server = format!("https://localhost:{port}").parse().unwrap();
            account.ca = Some(certificate.as_bytes().into());
        }
    })
    .await;
    (relay, exporter)
}

#[tokio::test]
async fn get_on_closed_kept_connection_is_repeated() {
    for tls in [false, true] {
        for end in [Action::Close, Action::Drop, Action::Reset] {
            let name = format!("TLS {tls}, {end:?}");
            let plan = move |exchange: &Exchange| match exchange.number {
                1 => Action::Forward,
                _ => end.clone(),
            };
            let (relay, exporter) = start_behind(tls, Duration::from_secs(60), plan).await;
            for _ in 0..10 {
                let response = exporter.scrape().await;
                assert_eq!(response.up(), 1.0, "{name}:\n{}", response.text);
            }
            let response = scrape_until_directory(&exporter).await;
            let exchanges = relay.exchanges();
            let repeated = exchanges
                .iter()
                .filter(|exchange| exchange.number > 1)
                .count();
            assert!(repeated >= 5, "{name}: {exchanges:#?}");
            let last = exporter.scrape().await;
            assert_eq!(response.failures("active_calls", "connect"), 0.0, "{name}");
            assert_eq!(counted_requests(&last), relay.exchanges().len(), "{name}");
        }
    }
}

#[tokio::test]
async fn api_error_keeps_connections() {
    let body = "{\"errorCode\":\"CMN-102\",\"message\":\"m\"}";
    let len = body.len();
    let limits = "X-Rate-Limit-Group: heavy\r\nX-Rate-Limit-Limit: 10000\r\n\
                  X-Rate-Limit-Remaining: 9999\r\nX-Rate-Limit-Window: 60\r\n";
    let error = format!("HTTP/1.1 404 Not Found\r\n{limits}Content-Length: {len}\r\n\r\n{body}");
    let plan = move |exchange: &Exchange| match exchange.target().starts_with("GET ") {
        true => Action::Respond(error.clone()),
        false => Action::Forward,
    };
    let (relay, exporter) = start_exporter(plan).await;
    let scrapes = async {
        while relay.lists().len() < 5 {
            exporter.scrape().await;
        }
    };
    timeout(MAX_WAIT, scrapes).await.unwrap();
    // The extension list may be requested while a list is.
    let connections = relay.exchanges().into_iter().map(|it| it.connection);
    assert!(connections.max() <= Some(3), "{:#?}", relay.exchanges());
}

#[tokio::test]
async fn idle_connection_is_closed_after_5_s() {
    let (relay, exporter) = start_exporter(|_| Action::Forward).await;
    assert_eq!(scrape_until_directory(&exporter).await.up(), 1.0);
    assert_ne!(relay.open_connections(), 0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(relay.open_connections(), 0);
}

#[tokio::test]
async fn idle_limit_near_the_pace_loses_no_scrape() {
    let pace = Duration::from_millis(50);
    for tls in [false, true] {
        let (_relay, exporter) = start_behind(tls, pace, |_| Action::Forward).await;
        scrape_until_directory(&exporter).await;
        for number in 0..40 {
            tokio::time::sleep(pace - Duration::from_millis(1)).await;
            let response = exporter.scrape().await;
            assert_eq!(
                response.up(),
                1.0,
                "TLS {tls}, {number}:\n{}",
                response.text
            );
        }
    }
}

#[tokio::test]
async fn get_is_not_repeated_on_new_connection() {
    // The first connection closes at its second request, and all others at their first.
    let plan = |exchange: &Exchange| match (exchange.connection, exchange.number) {
        (1, 1) => Action::Forward,
        _ => Action::Close,
    };
    let (relay, exporter) = start_exporter(plan).await;
    let response = exporter.scrape().await;
    assert_eq!(response.up(), 0.0);
    assert_eq!(response.failures("active_calls", "connect"), 1.0);
    let lists = relay.lists();
    let sent: Vec<_> = lists.iter().map(|it| (it.connection, it.number)).collect();
    assert_eq!(sent, [(1, 2), (2, 1)]);
    let series = "ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}";
    assert_eq!(response.value(series), 2.0);
}

#[tokio::test]
async fn get_is_not_repeated_after_response_began() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let plan = move |exchange: &Exchange| match exchange.number {
        1 => Action::Forward,
        2 => Action::Respond(head.to_owned()),
        _ => Action::Drop,
    };
    let (relay, exporter) = start_behind(false, Duration::from_millis(200), plan).await;
    let response = exporter.scrape().await;
    assert_eq!(response.up(), 0.0);
    assert_eq!(response.failures("active_calls", "connect"), 1.0);
    assert_eq!(relay.lists().len(), 1);
}

#[tokio::test]
async fn get_is_repeated_if_head_is_incomplete() {
    // hyper reports a connection that closes within the head like one that closes before it.
    let plan = |exchange: &Exchange| match (exchange.connection, exchange.number) {
        (1, 2) => Action::Respond("HTTP/1.1 200 OK\r\nConte".to_owned()),
        _ => Action::Forward,
    };
    let (relay, exporter) = start_behind(false, Duration::from_millis(200), plan).await;
    let response = exporter.scrape().await;
    assert_eq!(response.up(), 1.0, "{}", response.text);
    assert_eq!(response.failures("active_calls", "connect"), 0.0);
    let lists = relay.lists();
    let sent: Vec<_> = lists.iter().map(|it| (it.connection, it.number)).collect();
    assert_eq!(sent, [(1, 2), (2, 1)]);
}

#[tokio::test]
async fn post_on_closed_kept_connection_is_not_repeated() {
    let plan = |exchange: &Exchange| match exchange.target() {
        target if target.starts_with("POST /restapi/oauth/revoke") => Action::Close,
        _ => Action::Forward,
    };
    let (relay, mut exporter) = start_exporter(plan).await;
    assert_eq!(scrape_until_directory(&exporter).await.up(), 1.0);
    let before = relay.exchanges().len();
    exporter.stop().await;
    let exchanges = relay.exchanges();
    assert_eq!(exchanges.len(), before + 1, "{exchanges:#?}");
    assert!(exchanges[before].number > 1, "not a kept connection");
}

#[tokio::test]
async fn get_is_not_repeated_beyond_the_budget() {
    let heavy = Limit {
        requests: 2,
        window: Duration::from_secs(2),
        ..Limits::default().heavy
    };
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let scenario = Scenario {
        limits,
        ..Scenario::normal()
    };
    let simulator = Simulator::start(bind_loopback().await, scenario, 1).unwrap();
    let lists = Arc::new(std::sync::Mutex::new(0));
    let plan = move |exchange: &Exchange| {
        if !exchange.target().ends_with("/active-calls") {
            return Action::Forward;
        }
        let mut lists = lists.lock().unwrap();
        *lists += 1;
        match *lists {
            1 => Action::Forward,
            _ => Action::Close,
        }
    };
    let (relay, exporter) = start_exporter_for(simulator, plan).await;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    let mut response = exporter.scrape().await;
    let wait = async {
        while response.up() == 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            response = exporter.scrape().await;
        }
    };
    timeout(MAX_WAIT, wait).await.unwrap();
    let lists = relay.lists();
    assert_eq!(lists.len(), 2, "{lists:#?}");
    assert!(lists[1].number > 1, "not a kept connection");
    assert_eq!(response.failures("active_calls", "connect"), 1.0);
    assert_eq!(response.failures("active_calls", "budget"), 0.0);
}

/// Starts a site on one address that answers 503 once it has moved, another on a second address,
/// and an exporter with this number of accounts.
async fn start_moving_site(accounts: usize) -> (TestExporter, impl Fn()) {
    let simulator = start_simulator().await;
    let addresses = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let mut listeners = bind_same_port(&addresses).into_iter();
    let mut next = || TcpListener::from_std(listeners.next().unwrap()).unwrap();
    let (old, new) = (next(), next());
    let port = old.local_addr().unwrap().port();
    let has_moved = Arc::new(AtomicBool::new(false));
    let moved = has_moved.clone();
    let plan = move |_: &Exchange| match moved.load(Ordering::Relaxed) {
        true => Action::Respond(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        false => Action::Forward,
    };
    Relay::new(&simulator, plan).serve(old, None);
    Relay::new(&simulator, |_| Action::Forward).serve(new, None);
    let hosts = Hosts::default();
    hosts.set("pbx.test", &addresses[..1]);
    let lookup = Arc::new(hosts.clone());
    let exporter = TestExporter::start_for_simulator(simulator, |config| {
        config.settings.network.lookup = Some(lookup);
        let mut account = config.accounts[0].clone();
        account.server = format!("http://pbx.test:{port}").parse().unwrap();
        config.accounts.clear();
        for number in 0..accounts {
            let mut account = account.clone();
            if number > 0 {
                account.name = format!("account{number}");
            }
            config.accounts.push(account);
        }
    })
    .await;
    let move_site = move || {
        has_moved.store(true, Ordering::Relaxed);
        hosts.set("pbx.test", &addresses[1..]);
    };
    (exporter, move_site)
}

/// Returns the number of accounts that are up.
fn accounts_up(response: &ScrapeResponse) -> usize {
    let samples = response.samples().into_iter();
    samples
        .filter(|(series, value)| series.starts_with("ringcentral_up{") && *value == 1.0)
        .count()
}

#[tokio::test]
async fn moved_name_is_reached_after_one_failed_scrape() {
    // All accounts are of one user, whose limit is five logins a minute.
    for accounts in [1, 4] {
        let (exporter, move_site) = start_moving_site(accounts).await;
        // Until the first responses the limit is that of the documentation.
        let wait = async {
            while accounts_up(&exporter.scrape().await) < accounts {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(MAX_WAIT, wait).await.unwrap();
        move_site();
        exporter.scrape().await;
        for _ in 0..3 {
            let response = exporter.scrape().await;
            assert_eq!(accounts_up(&response), accounts, "{}", response.text);
        }
        assert!(exporter.count_requests(Operation::ActiveCalls) >= 4 * accounts);
    }
}
