//! A Prometheus exporter for the active calls of RingCentral accounts.
//!
//! A scrape arrives in [`http::routes`], refreshes each account's [`account::collector`], which fetches with
//! [`ringcentral::Client`] within its budget and publishes an [`AccountState`]; [`exposition`] renders it. Scrapes that
//! arrive during a fetch wait for that fetch. To read the program, follow that path; [`http::server`] has the
//! connections, [`web::access`] decides which requests are allowed.
//!
//! | module | contents |
//! |---|---|
//! | [`cli`], [`config`] | flags and environment variables; the validated configuration |
//! | [`secret`], [`file`](mod@file), `pem` | secrets, bounded file reads, certificates in PEM |
//! | [`clock`], [`logging`], `log_writer`, [`shutdown`], `dedicated_thread` | time, the log, signals, threads |
//! | [`ringcentral`] | the API client: requests, rate limits, tokens, JSON, request counters |
//! | [`calls`] | calls, call tracker, snapshot, labels; without I/O or clock |
//! | [`account`] | one account at run time: collector task, published state, counters, start and stop |
//! | [`exposition`], `text_format`, `counter_table`, `deflate` | account state to families; text formats; counters; compression |
//! | [`web`] | TLS, client certificates, basic auth and rate limits of `--web.config.file` |
//! | [`reload`] | configuration reload and file watcher |
//! | [`http`] | listeners, connections, paths, landing page, status, service discovery |
//! | [`commands`] | the commands other than `serve` |
//! | [`simulator`] | a simulated RingCentral for `demo`, tests and benches |
//!
//! Where a new metric goes:
//!
//! | value | place |
//! |---|---|
//! | computed from one call list | a field of [`calls::Snapshot`], `add_snapshot` in `exposition::account` |
//! | fixed until the next published state | a field of [`AccountState`], `account_text` in `exposition::account` |
//! | depends on the time or the configuration | `add_current` in `exposition::account`, which runs for each scrape |
//! | counted per call | [`account::metrics`]; a new kind of event also in [`calls::CallTracker`] |
//! | counted per API request | [`ringcentral::metrics`] |
//! | about the process or its configuration | `exposition::process` |
//!
//! [`AccountState`]: account::state::AccountState

pub mod account;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
mod counter_table;
mod dedicated_thread;
mod deflate;
pub mod exposition;
pub mod file;
pub mod http;
mod label_enum;
mod log_writer;
pub mod logging;
mod pem;
pub mod presence;
pub mod reload;
pub mod ringcentral;
pub mod secret;
pub mod shutdown;
pub mod simulator;
pub mod state_directory;
mod text_format;
pub mod web;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::Moment;
use crate::config::Config;
use crate::http::routes::AppState;
use crate::reload::Reloader;

/// Time allowed at shutdown in addition to the timeout of one token revocation, of which the stream of events has 2.5 s.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(3);

/// Runs the exporter on bound sockets until `stop` completes. Then it answers the scrapes in flight and revokes the
/// tokens.
///
/// # Errors
/// Returns an error if TLS cannot be set up because there are no root certificates for an `https` server.
pub async fn run(
    config: Config,
    reloader: Arc<Reloader>,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Config {
        settings, accounts, ..
    } = config;
    let manager = reloader.accounts().clone();
    manager.apply(accounts)?;
    let max_revoke_time = settings.timeouts.revoke + SHUTDOWN_MARGIN;
    let app = AppState {
        settings,
        reloader,
        started_at: Moment::now(),
        shutdown_deadline: watch::Sender::new(None),
    };
    http::server::serve(listeners, Arc::new(app), stop).await;
    let deadline = Moment::now().after(max_revoke_time);
    manager.shutdown(deadline.instant).await;
    Ok(())
}
