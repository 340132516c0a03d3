//! A relay between the exporter and the simulated account that ends or answers chosen requests.

use std::net::{IpAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::common::unlimited_requests;
use crate::harness::{TestExporter, bind_loopback};

/// What the relay does with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Forwards it to the simulated account.
    Forward,
    /// Closes the connection in order, with TLS by `close_notify`.
    Close,
    /// Closes the TCP connection.
    Drop,
    /// Resets the TCP connection.
    Reset,
    /// Sends these bytes.
    Respond(String),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The number of its connection, from 1.
    pub connection: usize,
    /// Its number on the connection, from 1.
    pub number: usize,
    /// The first bytes, with the head.
    pub request: String,
}

impl Exchange {
    /// Returns method and path, without the query.
    pub fn target(&self) -> &str {
        self.request.split(['?', '\r']).next().unwrap()
    }

    /// Returns whether it requests the extension list.
    pub fn is_extension_list(&self) -> bool {
        self.target().ends_with("/extension")
    }
}

type Plan = dyn Fn(&Exchange) -> Action + Send + Sync;

/// A running relay.
#[derive(Clone)]
pub struct Relay {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    /// The number of connections that are open.
    open: Arc<AtomicUsize>,
    plan: Arc<Plan>,
    upstream: String,
    /// The time after which an idle connection is closed.
    idle_limit: Duration,
}

impl Relay {
    /// Creates a relay to the simulated account that treats each request by `plan`.
    pub fn new(
        simulator: &Simulator,
        plan: impl Fn(&Exchange) -> Action + Send + Sync + 'static,
    ) -> Self {
        Self {
            exchanges: Arc::default(),
            open: Arc::default(),
            plan: Arc::new(plan),
            upstream: simulator.url().strip_prefix("http://").unwrap().to_owned(),
            idle_limit: Duration::from_secs(60),
        }
    }

    /// Sets the time after which an idle connection is closed.
    pub fn with_idle_limit(mut self, limit: Duration) -> Self {
        self.idle_limit = limit;
        self
    }

    /// Returns all requests until now.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }

    /// Returns the requests of the call list until now.
    pub fn lists(&self) -> Vec<Exchange> {
        let mut exchanges = self.exchanges();
        exchanges.retain(|exchange| exchange.target().ends_with("/active-calls"));
        exchanges
    }

    /// Returns the number of connections that are open.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Accepts connections, with TLS if there is an acceptor.
    pub fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let relay = self.clone();
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                let (relay, tls) = (relay.clone(), tls.clone());
                let stream = stream.into_std().unwrap();
                let socket = stream.try_clone().unwrap();
                let stream = TcpStream::from_std(stream).unwrap();
                tokio::spawn(async move {
                    relay.open.fetch_add(1, Ordering::Relaxed);
                    let ended = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => relay.relay(stream, connection).await,
                            Err(_) => Ok(Action::Drop),
                        },
                        None => relay.relay(stream, connection).await,
                    };
                    if let Ok(Action::Reset) = ended {
                        SockRef::from(&socket)
                            .set_linger(Some(Duration::ZERO))
                            .unwrap();
                    }
                    relay.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
    }

    /// Relays one connection and returns how it ended.
    async fn relay(
        &self,
        mut client: impl AsyncRead + AsyncWrite + Unpin,
        connection: usize,
    ) -> std::io::Result<Action> {
        let mut server = TcpStream::connect(&self.upstream).await?;
        let (mut request, mut response) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        let (mut number, mut idle) = (0, true);
        loop {
            let read = tokio::select! {
                read = client.read(&mut request) => read?,
                read = server.read(&mut response) => match read? {
                    0 => return Ok(Action::Drop),
                    read => {
                        client.write_all(&response[..read]).await?;
                        idle = true;
                        continue;
                    }
                },
                () = tokio::time::sleep(self.idle_limit), if idle => 0,
            };
            if read == 0 {
                return Ok(Action::Drop);
            }
            let bytes = &request[..read];
            if !idle {
                server.write_all(bytes).await?;
                continue;
            }
            number += 1;
            let exchange = Exchange {
                connection,
                number,
                request: String::from_utf8_lossy(bytes).into_owned(),
            };
            let action = (self.plan)(&exchange);
            self.exchanges.lock().unwrap().push(exchange);
            match action {
                Action::Forward => {
                    server.write_all(bytes).await?;
                    idle = false;
                }
                Action::Respond(text) => client.write_all(text.as_bytes()).await?,
                Action::Close => {
                    client.shutdown().await?;
                    return Ok(action);
                }
                _ => return Ok(action),
            }
        }
    }
}

/// Starts a simulated account without limits on loopback.
pub async fn start_simulator() -> Simulator {
    let limits = unlimited_requests();
    let auth = limits.heavy;
    let limits = Limits { auth, ..limits };
    let scenario = Scenario {
        limits,
        ..Scenario::normal()
    };
    Simulator::start(bind_loopback().await, scenario, 1).unwrap()
}

/// Starts a relay for a simulated account without limits, and an exporter that uses it.
pub async fn start_exporter(
    plan: impl Fn(&Exchange) -> Action + Send + Sync + 'static,
) -> (Relay, TestExporter) {
    start_exporter_for(start_simulator().await, plan).await
}

/// Starts a relay for this simulated account, and an exporter that uses it.
pub async fn start_exporter_for(
    simulator: Simulator,
    plan: impl Fn(&Exchange) -> Action + Send + Sync + 'static,
) -> (Relay, TestExporter) {
    let relay = Relay::new(&simulator, plan);
    let listener = bind_loopback().await;
    let server = format!("http://{}", listener.local_addr().unwrap());
    relay.serve(listener, None);
    let exporter = TestExporter::start_for_simulator(simulator, |config| {
        config.accounts[0].server = server.parse().unwrap();
    })
    .await;
    (relay, exporter)
}

/// Binds each address to the same free port.
pub fn bind_same_port(addresses: &[IpAddr]) -> Vec<StdListener> {
    for _ in 0..100 {
        let first = StdListener::bind((addresses[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others = addresses[1..].iter();
        let others: Result<Vec<_>, _> = others.map(|ip| StdListener::bind((*ip, port))).collect();
        if let Ok(others) = others {
            let mut listeners = vec![first];
            listeners.extend(others);
            for listener in &listeners {
                listener.set_nonblocking(true).unwrap();
            }
            return listeners;
        }
    }
    panic!("no port is free at all addresses");
}
