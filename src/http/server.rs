//! Connections: accepted, bounded, drained.
//!
//! Owns: that a client that stalls harms nobody. A request's head has 5 s, and so has the silence between two requests; a
//! reader that takes nothing for 10 s is cut off; from half of all [`places`](crate::http::connections) on, connections close after
//! their answer. With TLS the handshake has 5 s as well, in the connection's own task, so that it keeps nobody else from
//! being accepted. Refuses to know: what is asked, what TLS checks, and who goes when all places are taken.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::Moment;
use crate::http::connections::{ConnectionManager, ConnectionState};
use crate::http::descriptors;
use crate::http::routes::{self, AppState};

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader may take nothing, be it from us or from what the system keeps for it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapes in flight at the stop are answered within Prometheus' own default time, from what is known if need be.
const SHUTDOWN_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// Beyond the last call, for their answers to be written.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(12);
/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_ERROR_DELAY: Duration = Duration::from_millis(100);

/// Serves until `stop`, then answers what is in flight and ends.
pub async fn serve(
    listeners: Vec<TcpListener>,
    app: Arc<AppState>,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(false);
    let mut places = ConnectionManager::new(descriptors::max_connections());
    let mut stop = pin!(stop);
    loop {
        let room = places.has_capacity();
        tokio::select! {
            () = &mut stop => break,
            () = places.wait_or_evict() => {}
            accepted = accept(&listeners), if room => match accepted {
                Ok((stream, from)) => {
                    let (turn, keep_alive) = (ConnectionState::idle(), !places.is_half_full());
                    let guest = Connection { from, app: app.clone(), turn: turn.clone(), keep_alive, stopped: stopped.clone() };
                    places.spawn(from.ip(), turn, guest.enter(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_ERROR_DELAY).await;
                }
            }
        }
    }
    drop(listeners);
    app.shutdown_deadline
        .send_replace(Some(Moment::now().after(SHUTDOWN_SCRAPE_TIMEOUT).instant));
    stopping.send_replace(true);
    places.drain(DRAIN_TIMEOUT).await;
}

async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let accepted = poll_fn(|context| {
        let mut polls = listeners
            .iter()
            .map(|listener| listener.poll_accept(context));
        polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
    });
    accepted.await
}

/// A connection and what it needs to be served.
struct Connection {
    from: SocketAddr,
    app: Arc<AppState>,
    turn: ConnectionState,
    keep_alive: bool,
    stopped: watch::Receiver<bool>,
}

type BoundedStream = Pin<Box<TimeoutStream<TcpStream>>>;

impl Connection {
    async fn enter(self, stream: TcpStream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        match self.app.reloader.access().tls_acceptor() {
            None => self.serve_http(stream).await,
            // Apart, since it needs far more memory than a connection without TLS should.
            Some(acceptor) => Box::pin(self.serve_tls(acceptor, stream)).await,
        }
    }

    async fn serve_tls(mut self, acceptor: TlsAcceptor, stream: BoundedStream) {
        if let Some(stream) = self.handshake(acceptor, stream).await {
            self.serve_http(stream).await;
        }
    }

    /// A stop does not wait for a handshake, since nothing has been asked yet. One that fails is the client's affair.
    async fn handshake(
        &mut self,
        acceptor: TlsAcceptor,
        stream: BoundedStream,
    ) -> Option<TlsStream<BoundedStream>> {
        let shaken = tokio::select! {
            shaken = timeout(HEADER_READ_TIMEOUT, acceptor.accept(stream)) => shaken,
            _ = self.stopped.wait_for(|stopped| *stopped) => return None,
        };
        match shaken {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(client = %self.from, %error, "a TLS handshake failed")
            }
            Err(_) => tracing::debug!(client = %self.from, "a TLS handshake took too long"),
        }
        None
    }

    async fn serve_http(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (app, from, turn) = (self.app, self.from.ip(), self.turn);
        let service = service_fn(move |request| {
            let (app, turn) = (app.clone(), turn.clone());
            async move {
                turn.set_busy();
                // Who asks many things at once takes turns with all others.
                yield_now().await;
                let reply = routes::handle(&app, request, from).await;
                turn.set_idle();
                Ok::<_, Infallible>(reply)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(16 * 1024)
            .keep_alive(self.keep_alive)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // How a connection ends is the client's affair.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}
