//! The accept loop: one task for each connection.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::simulator::account::Account;
use crate::simulator::api;
use crate::simulator::gateway::connection;
use crate::simulator::gateway::handshake::UpgradeSlot;

/// Serves connections until the future is dropped, which aborts them.
pub(super) async fn run(listener: TcpListener, account: Arc<Account>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&account)))),
                Err(error) => {
                    tracing::debug!(%error, "simulator failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            // Removes finished tasks; disabled while there are no connections.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, account: Arc<Account>) {
    // Nagle's algorithm would only add latency to small responses.
    let _unsupported = stream.set_nodelay(true);
    let upgrades = UpgradeSlot::default();
    let service =
        service_fn(|request| api::handle(Arc::clone(&account), upgrades.clone(), request));
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection to the simulator failed");
    }
    if let Some(upgrade) = upgrades.take() {
        connection::run(account, upgrade).await;
    }
}
