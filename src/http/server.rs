//! Connections: accepted, bounded, drained.
//!
//! Owns: that a client that stalls or floods harms nobody. A request's head has 5 s, and so has the silence between two
//! requests; a reader that takes nothing for 10 s is cut off; at most 512 connections are open, and from half of that
//! on they close after their answer, so that a place is never kept by a client that has nothing to ask. Refuses to
//! know: what is asked.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

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
                Ok(stream) => {
                    let keep_alive = connections.len() < CONNECTIONS_KEPT;
                    connections.spawn(connection(stream, app.clone(), keep_alive, stopped.clone()));
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

async fn accept(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    let accepted = poll_fn(|context| {
        let mut polls = listeners.iter().map(|listener| listener.poll_accept(context));
        polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
    });
    accepted.await.map(|(stream, _)| stream)
}

async fn connection(stream: TcpStream, app: Arc<App>, keep_alive: bool, mut stopped: watch::Receiver<bool>) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, std::convert::Infallible>(routes::answer(&app, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection);
    // How a connection ends is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn drain(mut connections: JoinSet<()>) {
    let answered = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, answered).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut off at the end");
        connections.shutdown().await;
    }
}
