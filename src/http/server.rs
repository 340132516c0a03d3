//! Accepts, serves and drains connections.
//!
//! Stalling clients are bounded: 5 s for a TLS handshake, 5 s for the head of a request and for the
//! idle time between two requests, 10 s for a client that reads nothing. A connection that is
//! accepted while half of the maximum is in use is closed after its response.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::StatusCode;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::Moment;
use crate::http::connections::{ConnectionManager, ConnectionState, raise_fd_limit};
use crate::http::response;
use crate::http::routes::{self, AppState};
use crate::web::handshake_log::HandshakeLog;

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for which a client may read nothing, of what the exporter writes or of what the
/// kernel buffers.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for scrapes in flight at shutdown, which is Prometheus' default timeout.
const SHUTDOWN_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for all connections at shutdown: 2 s more, in which the responses are written.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(12);
/// Delay after a failed accept, usually for lack of file descriptors.
const ACCEPT_ERROR_DELAY: Duration = Duration::from_millis(100);
const MAX_HEAD_BYTES: usize = 16 * 1024;
const HTTP_2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
const PLAIN_ON_TLS: &str = "this port requires TLS; use https://";

/// Serves until `shutdown` completes, then drains the open connections.
pub async fn serve(
    listeners: Vec<TcpListener>,
    app: Arc<AppState>,
    shutdown: impl Future<Output = ()>,
) {
    let (shutdown_sender, shutdown_receiver) = watch::channel(false);
    let mut connections = ConnectionManager::new(raise_fd_limit());
    let handshakes = Arc::new(HandshakeLog::default());
    let mut shutdown = pin!(shutdown);
    loop {
        let has_capacity = connections.has_capacity();
        tokio::select! {
            () = &mut shutdown => break,
            () = connections.wait_or_evict() => {}
            accepted = accept(&listeners), if has_capacity => match accepted {
                Ok((stream, peer_addr)) => {
                    let state = ConnectionState::idle();
                    let connection = Connection {
                        peer_addr,
                        app: app.clone(),
                        state: state.clone(),
                        keep_alive: !connections.is_half_full(),
                        is_plain_on_tls: false,
                        handshakes: handshakes.clone(),
                        shutdown: shutdown_receiver.clone(),
                    };
                    connections.spawn(peer_addr, state, connection.serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_ERROR_DELAY).await;
                }
            }
        }
    }
    drop(listeners);
    let deadline = Moment::now().after(SHUTDOWN_SCRAPE_TIMEOUT).instant;
    app.shutdown_deadline.send_replace(Some(deadline));
    shutdown_sender.send_replace(true);
    connections.drain(DRAIN_TIMEOUT).await;
}

async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let accepted = poll_fn(|context| {
        for listener in listeners {
            let accepted = listener.poll_accept(context);
            if accepted.is_ready() {
                return accepted;
            }
        }
        Poll::Pending
    });
    accepted.await
}

/// A client's connection.
struct Connection {
    peer_addr: SocketAddr,
    app: Arc<AppState>,
    state: ConnectionState,
    keep_alive: bool,
    /// Whether the client sends HTTP to a port that requires TLS.
    is_plain_on_tls: bool,
    handshakes: Arc<HandshakeLog>,
    shutdown: watch::Receiver<bool>,
}

type Stream = Pin<Box<TimeoutStream<TcpStream>>>;

/// What a client starts on a port that requires TLS.
enum Handshake {
    Tls(Box<TlsStream<Stream>>),
    PlainHttp(Stream),
    Failed(io::Error),
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        self.app.reloader.reload_if_changed();
        let acceptor = self.app.reloader.access().tls_acceptor();
        match acceptor {
            None => self.serve_http(stream).await,
            // Boxed, so that connections without TLS do not need the memory of one with TLS.
            Some(acceptor) => Box::pin(self.serve_tls(acceptor, stream)).await,
        }
    }

    async fn serve_tls(mut self, acceptor: TlsAcceptor, stream: Stream) {
        let handshake = tokio::select! {
            result = timeout(HEADER_READ_TIMEOUT, start_tls(acceptor, stream)) => result,
            // No request is in flight.
            _ = self.shutdown.wait_for(|shutdown| *shutdown) => return,
        };
        let client = self.peer_addr;
        match handshake {
            Ok(Handshake::Tls(stream)) => self.serve_http(stream).await,
            Ok(Handshake::PlainHttp(stream)) => {
                self.keep_alive = false;
                self.is_plain_on_tls = true;
                self.serve_http(stream).await;
            }
            Ok(Handshake::Failed(error)) => self.handshakes.record_failure(client, &error),
            Err(_) => tracing::debug!(%client, "TLS handshake timed out"),
        }
    }

    async fn serve_http(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (app, client, state) = (self.app, self.peer_addr, self.state.clone());
        let is_plain_on_tls = self.is_plain_on_tls;
        let service = service_fn(move |request| {
            let (app, state) = (app.clone(), state.clone());
            async move {
                state.set_busy();
                // Yields, so that a client with many pipelined requests does not delay other
                // connections.
                yield_now().await;
                let response = if is_plain_on_tls {
                    log_plain_on_tls(client);
                    response::text(StatusCode::BAD_REQUEST, PLAIN_ON_TLS)
                } else {
                    routes::handle(&app, request, client.ip()).await
                };
                state.set_idle();
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .keep_alive(self.keep_alive)
            // A client may close its side after the request, as `nc -N` does.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        let served = tokio::select! {
            served = &mut connection => Some(served),
            () = self.state.response_timeout() => return,
            _ = self.shutdown.wait_for(|shutdown| *shutdown) => None,
        };
        let served = match served {
            Some(served) => served,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
        };
        let Err(error) = served else {
            return;
        };
        tracing::debug!(%client, %error, "connection failed");
        let Parts { io, read_buf, .. } = connection.into_parts();
        if read_buf.starts_with(HTTP_2_PREFACE) {
            if is_plain_on_tls {
                log_plain_on_tls(client);
            }
            let response = http_2_response(is_plain_on_tls);
            let _ = io.into_inner().write_all(response.as_bytes()).await;
        }
    }
}

fn log_plain_on_tls(client: SocketAddr) {
    tracing::debug!(%client, "HTTP request on the TLS port");
}

/// Returns the response to HTTP/2 with prior knowledge, to which hyper does not respond.
fn http_2_response(is_plain_on_tls: bool) -> String {
    let (status, sentence) = if is_plain_on_tls {
        ("400 Bad Request", PLAIN_ON_TLS)
    } else {
        ("505 HTTP Version Not Supported", "use HTTP/1.1")
    };
    let length = sentence.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{sentence}\n"
    )
}

/// Performs the handshake, unless the client sends HTTP: a method begins with a capital letter, and
/// no TLS record does.
async fn start_tls(acceptor: TlsAcceptor, stream: Stream) -> Handshake {
    let mut first = [0];
    let peeked = stream.get_ref().peek(&mut first).await;
    if peeked.is_ok() && first[0].is_ascii_uppercase() {
        return Handshake::PlainHttp(stream);
    }
    match acceptor.accept(stream).await {
        Ok(stream) => Handshake::Tls(Box::new(stream)),
        Err(error) => Handshake::Failed(error),
    }
}
