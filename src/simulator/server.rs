//! The accept loop: connections in, tasks out.
//!
//! Owns the connections: when its future is dropped they are broken off. Knows no paths.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::simulator::account::Account;
use crate::simulator::api;

/// Serves until dropped.
pub(super) async fn run(listener: TcpListener, account: Arc<Account>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&account)))),
                Err(error) => {
                    tracing::debug!(%error, "the simulated account cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            // Finished connections are let go of; while there are none this branch is off.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, account: Arc<Account>) {
    // Answers are small and awaited: holding them back for more would only cost time.
    let _unsupported = stream.set_nodelay(true);
    let service = service_fn(move |request| api::serve(Arc::clone(&account), request));
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the simulated account ended early");
    }
}
