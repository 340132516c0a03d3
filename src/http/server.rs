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
use crate::http::connections::{Places, Turn};
use crate::http::descriptors;
use crate::http::routes::{self, App};

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader may take nothing, be it from us or from what the system keeps for it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapes in flight at the stop are answered within Prometheus' own default time, from what is known if need be.
const LAST_CALL: Duration = Duration::from_secs(10);
/// Beyond the last call, for their answers to be written.
const GRACE: Duration = Duration::from_secs(12);
/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then answers what is in flight and ends.
pub async fn serve(listeners: Vec<TcpListener>, app: Arc<App>, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let mut places = Places::new(descriptors::for_connections());
    let mut stop = pin!(stop);
    loop {
        let room = places.have_room();
        tokio::select! {
            () = &mut stop => break,
            () = places.change() => {}
            accepted = accept(&listeners), if room => match accepted {
                Ok((stream, from)) => {
                    let (turn, keep_alive) = (Turn::of_client(), !places.are_crowded());
                    let guest = Guest { from, app: app.clone(), turn: turn.clone(), keep_alive, stopped: stopped.clone() };
                    places.enter(from.ip(), turn, guest.enter(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listeners);
    app.last_call
        .send_replace(Some(Moment::now().after(LAST_CALL).instant));
    stopping.send_replace(true);
    places.drain(GRACE).await;
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
struct Guest {
    from: SocketAddr,
    app: Arc<App>,
    turn: Turn,
    keep_alive: bool,
    stopped: watch::Receiver<bool>,
}

type BoundedStream = Pin<Box<TimeoutStream<TcpStream>>>;

impl Guest {
    async fn enter(self, stream: TcpStream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        match self.app.reloader.door().tls() {
            None => self.talk(stream).await,
            // Apart, since it needs far more memory than a connection without TLS should.
            Some(acceptor) => Box::pin(self.enter_by_tls(acceptor, stream)).await,
        }
    }

    async fn enter_by_tls(mut self, acceptor: TlsAcceptor, stream: BoundedStream) {
        if let Some(stream) = self.shake_hands(acceptor, stream).await {
            self.talk(stream).await;
        }
    }

    /// A stop does not wait for a handshake, since nothing has been asked yet. One that fails is the client's affair.
    async fn shake_hands(
        &mut self,
        acceptor: TlsAcceptor,
        stream: BoundedStream,
    ) -> Option<TlsStream<BoundedStream>> {
        let shaken = tokio::select! {
            shaken = timeout(HEAD_TIMEOUT, acceptor.accept(stream)) => shaken,
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

    async fn talk(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (app, from, turn) = (self.app, self.from.ip(), self.turn);
        let service = service_fn(move |request| {
            let (app, turn) = (app.clone(), turn.clone());
            async move {
                turn.take();
                // Who asks many things at once takes turns with all others.
                yield_now().await;
                let reply = routes::answer(&app, request, from).await;
                turn.give_back();
                Ok::<_, Infallible>(reply)
            }
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
