//! Connections: accepted, bounded, drained.
//!
//! Owns: that a client that stalls harms nobody, and that a flood can do no more than fill the places: others wait while
//! it lasts, and memory stays where it is. A request's head has 5 s, and so has the silence between two requests; a reader that takes nothing for 10 s is cut off; at most 512 connections are open, and from half of that
//! on they close after their answer, so that a place is never kept by a client that has nothing to ask. With TLS the
//! handshake has 5 s as well, in the connection's own task, so that it keeps nobody else from being accepted. Refuses
//! to know: what is asked, and what TLS checks.

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
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::routes::{self, App};
use crate::clock::Moment;

const CONNECTIONS_MOST: usize = 512;
const CONNECTIONS_KEPT: usize = CONNECTIONS_MOST / 2;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapes in flight at the stop are answered within Prometheus' own default time, from what is known if need be.
const LAST_CALL: Duration = Duration::from_secs(10);
/// Beyond the last call, for their answers to be written.
const GRACE: Duration = Duration::from_secs(12);
/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then answers what is in flight and ends.
pub async fn serve(listeners: Vec<TcpListener>, app: Arc<App>, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let room = connections.len() < CONNECTIONS_MOST;
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listeners), if room => match accepted {
                Ok((stream, from)) => {
                    let keep_alive = connections.len() < CONNECTIONS_KEPT;
                    let guest = Guest { from, app: app.clone(), keep_alive, stopped: stopped.clone() };
                    connections.spawn(guest.enter(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listeners);
    app.last_call.send_replace(Some(Moment::now().after(LAST_CALL).instant));
    stopping.send_replace(true);
    drain(connections).await;
}

async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let accepted = poll_fn(|context| {
        let mut polls = listeners.iter().map(|listener| listener.poll_accept(context));
        polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
    });
    accepted.await
}

/// A connection and what it needs to be served.
struct Guest {
    from: SocketAddr,
    app: Arc<App>,
    keep_alive: bool,
    stopped: watch::Receiver<bool>,
}

type BoundedStream = Pin<Box<TimeoutStream<TcpStream>>>;

impl Guest {
    async fn enter(mut self, stream: TcpStream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        match self.app.reloader.door().tls() {
            None => self.talk(stream).await,
            Some(acceptor) => {
                if let Some(stream) = self.shake_hands(acceptor, stream).await {
                    self.talk(stream).await;
                }
            }
        }
    }

    /// A stop does not wait for a handshake, since nothing has been asked yet. One that fails is the client's affair.
    async fn shake_hands(&mut self, acceptor: TlsAcceptor, stream: BoundedStream) -> Option<TlsStream<BoundedStream>> {
        let shaken = tokio::select! {
            shaken = timeout(HEAD_TIMEOUT, acceptor.accept(stream)) => shaken,
            _ = self.stopped.wait_for(|stopped| *stopped) => return None,
        };
        match shaken {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(client = %self.from, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(client = %self.from, "a TLS handshake took too long"),
        }
        None
    }

    async fn talk(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (app, from) = (self.app, self.from.ip());
        let service = service_fn(move |request| {
            let app = app.clone();
            async move { Ok::<_, std::convert::Infallible>(routes::answer(&app, request, from).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
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

async fn drain(mut connections: JoinSet<()>) {
    let answered = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, answered).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut off at the end");
        connections.shutdown().await;
    }
}
