//! The network between the exporter and its API: a TCP proxy that can be anything between a wire and a curse.
//!
//! Owns the connections, acts out the fate of each exchange, and writes down which replies were passed on whole: of what
//! the exporter never heard, nobody can blame it. Knows bytes and no HTTP: an exchange begins when the client speaks after
//! the server has.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::now_ms;
use crate::weather::{Fate, Network};

/// One request and its reply, as far as they came.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub begun_ms: i64,
    pub fate: Fate,
    /// Whether what the server said was passed on whole.
    pub heard: bool,
}

/// A running proxy; it stops when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
}

struct State {
    network: Network,
    dice: Rng,
    exchanges: Vec<Exchange>,
}

impl Proxy {
    /// A clear way to `server`.
    pub async fn start(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            network: Network::Clear,
            dice: Rng::with_seed(seed),
            exchanges: Vec::new(),
        };
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(state),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How exchanges fare that begin from now on.
    pub fn weather(&self, network: Network) {
        self.shared.state().network = network;
    }

    /// All exchanges so far, in the order in which they began.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.state().exchanges.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an exchange that begins, and draws its fate.
    fn begin(&self) -> (usize, Fate) {
        let mut state = self.state();
        let network = state.network;
        let fate = network.fate(&mut state.dice);
        state.exchanges.push(Exchange {
            begun_ms: now_ms(),
            fate,
            heard: false,
        });
        (state.exchanges.len() - 1, fate)
    }

    fn heard(&self, exchange: usize, heard: bool) {
        self.state().exchanges[exchange].heard = heard;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            // However a connection ends, the exporter has to cope.
            let _ = Connection::serve(client, shared).await;
        });
    }
}

struct Connection {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    exchange: usize,
    fate: Fate,
    /// Bytes of this exchange so far.
    asked: usize,
    told: usize,
}

/// Whether the connection goes on.
type Goes = io::Result<bool>;

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
            fate: Fate::Pass,
            asked: 0,
            told: 1,
        };
        while connection.pump().await? {}
        Ok(())
    }

    async fn pump(&mut self) -> Goes {
        let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
        tokio::select! {
            read = self.client.read(&mut up) => match read? {
                0 => Ok(false),
                n => self.ask(&up[..n]).await,
            },
            read = self.server.read(&mut down) => match read? {
                0 => Ok(false),
                n => self.tell(&down[..n]).await,
            },
        }
    }

    async fn ask(&mut self, bytes: &[u8]) -> Goes {
        if self.told > 0 {
            (self.exchange, self.fate) = self.shared.begin();
            (self.asked, self.told) = (0, 0);
        }
        let before = self.asked;
        self.asked += bytes.len();
        match self.fate {
            Fate::RequestLost => return Ok(true),
            Fate::Closed => return Ok(false),
            Fate::RequestReset(at) if self.asked > at => {
                self.server
                    .write_all(&bytes[..at.saturating_sub(before)])
                    .await?;
                return self.reset();
            }
            Fate::Late(there, _) if before == 0 => sleep(there).await,
            _ => {}
        }
        self.server.write_all(bytes).await?;
        Ok(true)
    }

    async fn tell(&mut self, bytes: &[u8]) -> Goes {
        let before = self.told;
        self.told += bytes.len();
        match self.fate {
            Fate::ReplyLost => return Ok(true),
            Fate::ReplyReset(at) if self.told > at => {
                self.client
                    .write_all(&bytes[..at.saturating_sub(before)])
                    .await?;
                return self.reset();
            }
            Fate::Late(_, back) if before == 0 => sleep(back).await,
            _ => {}
        }
        let passed = match self.fate {
            Fate::Bytewise(pause) => drip(&mut self.client, bytes, pause).await,
            _ => self.client.write_all(bytes).await,
        };
        self.shared.heard(self.exchange, passed.is_ok());
        passed.map(|()| true)
    }

    /// The next close sends RST and forgets what was not yet sent.
    fn reset(&mut self) -> Goes {
        self.shared.heard(self.exchange, false);
        self.client.set_zero_linger()?;
        Ok(false)
    }
}

async fn drip(client: &mut TcpStream, bytes: &[u8], pause: usize) -> io::Result<()> {
    for piece in bytes.chunks(pause) {
        for byte in piece {
            client.write_all(&[*byte]).await?;
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
