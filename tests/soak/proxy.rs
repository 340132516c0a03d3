//! TCP proxy between the exporter and the simulator, with a fault per exchange.
//!
//! The proxy forwards bytes and does not parse HTTP: an exchange begins when the client sends after
//! the server has sent. It records which responses were delivered completely, because the exporter
//! need not obey a response that it did not receive.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::fault_schedule::{Network, NetworkFault};
use crate::now_ms;

/// One request and its response.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub begun_ms: i64,
    pub fault: NetworkFault,
    /// Whether the client has received all bytes that the server sent.
    pub delivered: bool,
}

/// A running proxy, which stops when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept_task: JoinHandle<()>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
}

struct State {
    network: Network,
    rng: Rng,
    exchanges: Vec<Exchange>,
}

impl Proxy {
    /// Starts a proxy to `server` without faults.
    pub async fn start(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            network: Network::Normal,
            rng: Rng::with_seed(seed),
            exchanges: Vec::new(),
        };
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(state),
        });
        let accept_task = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            accept_task,
        }
    }

    /// Returns the URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the condition for exchanges that begin from now on.
    pub fn set_network(&self, network: Network) {
        self.shared.state().network = network;
    }

    /// Returns all exchanges in the order in which they began.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.state().exchanges.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the begin of an exchange and draws its fault. Returns its index and the fault.
    fn begin_exchange(&self) -> (usize, NetworkFault) {
        let mut state = self.state();
        let network = state.network;
        let fault = network.draw_fault(&mut state.rng);
        state.exchanges.push(Exchange {
            begun_ms: now_ms(),
            fault,
            delivered: false,
        });
        (state.exchanges.len() - 1, fault)
    }

    fn set_delivered(&self, exchange: usize, delivered: bool) {
        self.state().exchanges[exchange].delivered = delivered;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            // Ignores errors, because the exporter must handle any end of a connection.
            let _ = Connection::serve(client, shared).await;
        });
    }
}

struct Connection {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// Index of the current exchange.
    exchange: usize,
    fault: NetworkFault,
    /// Bytes of the current exchange.
    request_bytes: usize,
    response_bytes: usize,
}

/// Whether the connection stays open.
enum Next {
    Continue,
    Close,
}

impl Connection {
    async fn serve(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
        let server = TcpStream::connect(shared.server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut connection = Self {
            shared,
            client,
            server,
            exchange: 0,
            fault: NetworkFault::None,
            request_bytes: 0,
            // Not zero, so that the first bytes of the client begin an exchange.
            response_bytes: 1,
        };
        while let Next::Continue = connection.forward_next().await? {}
        Ok(())
    }

    async fn forward_next(&mut self) -> io::Result<Next> {
        let (mut request, mut response) = ([0; 16 * 1024], [0; 16 * 1024]);
        tokio::select! {
            read = self.client.read(&mut request) => match read? {
                0 => Ok(Next::Close),
                n => self.forward_request(&request[..n]).await,
            },
            read = self.server.read(&mut response) => match read? {
                0 => Ok(Next::Close),
                n => self.forward_response(&response[..n]).await,
            },
        }
    }

    async fn forward_request(&mut self, bytes: &[u8]) -> io::Result<Next> {
        if self.response_bytes > 0 {
            (self.exchange, self.fault) = self.shared.begin_exchange();
            self.request_bytes = 0;
            self.response_bytes = 0;
        }
        let before = self.request_bytes;
        self.request_bytes += bytes.len();
        match self.fault {
            NetworkFault::RequestLost => return Ok(Next::Continue),
            NetworkFault::Closed => return Ok(Next::Close),
            NetworkFault::RequestReset(at) if self.request_bytes > at => {
                self.server
                    .write_all(&bytes[..at.saturating_sub(before)])
                    .await?;
                return self.reset();
            }
            NetworkFault::Delay { request, .. } if before == 0 => sleep(request).await,
            _ => {}
        }
        self.server.write_all(bytes).await?;
        Ok(Next::Continue)
    }

    async fn forward_response(&mut self, bytes: &[u8]) -> io::Result<Next> {
        let before = self.response_bytes;
        self.response_bytes += bytes.len();
        match self.fault {
            NetworkFault::ResponseLost => return Ok(Next::Continue),
            NetworkFault::ResponseReset(at) if self.response_bytes > at => {
                self.client
                    .write_all(&bytes[..at.saturating_sub(before)])
                    .await?;
                return self.reset();
            }
            NetworkFault::Delay { response, .. } if before == 0 => sleep(response).await,
            _ => {}
        }
        let written = match self.fault {
            NetworkFault::Bytewise(pause_after) => {
                write_bytewise(&mut self.client, bytes, pause_after).await
            }
            _ => self.client.write_all(bytes).await,
        };
        self.shared.set_delivered(self.exchange, written.is_ok());
        written?;
        Ok(Next::Continue)
    }

    /// Makes the close of the connection send RST and drop unsent data.
    fn reset(&mut self) -> io::Result<Next> {
        self.shared.set_delivered(self.exchange, false);
        self.client.set_zero_linger()?;
        Ok(Next::Close)
    }
}

async fn write_bytewise(
    client: &mut TcpStream,
    bytes: &[u8],
    pause_after: usize,
) -> io::Result<()> {
    for chunk in bytes.chunks(pause_after) {
        for byte in chunk {
            client.write_all(&[*byte]).await?;
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
