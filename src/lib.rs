//! A Prometheus exporter for the active calls of RingCentral accounts.
//!
//! Data flows one way:
//!
//! ```text
//! cli -> config -> ringcentral -> calls -> exposition -> http
//!                        \          ^         ^           |
//!                         observer -+---------+           |
//!                             ^------- a scrape asks -----+
//! ```
//!
//! A scrape comes in by [`http`], which asks each account's [`observer`]; [`roster`] has them all. The observer owns the
//! account's client ([`ringcentral`]) and fetches if the API's limit allows; the list becomes a snapshot ([`calls`]), and
//! [`exposition`] writes what is known as text. While a fetch runs, all scrapes wait for that one. To read the program,
//! go on with `observer`, then `exposition`.
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`], [`config`] | what the user typed; what the program needs |
//! | [`secret`], [`file`](mod@file), [`clock`], [`telemetry`], [`shutdown`] | secrets, files, time, the log, signals: one door each |
//! | [`ringcentral`] | the API: requests, limits, tokens, JSON |
//! | [`calls`] | pure: what records mean and what they add up to |
//! | [`reload`] | what is read anew while it runs |
//! | [`roster`] | which accounts run, and how another list takes the place of theirs |
//! | [`observer`], [`instruments`] | an account's last observation; what is counted for it |
//! | [`exposition`], [`http`] | names and help texts; paths and connections |
//! | [`check`] | one login and one walk, told in words |
//! | [`health`] | whether a running exporter is there |
//! | [`simulator`], [`demo`] | a RingCentral of our own, and the exporter pointed at it |

pub mod account;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod exposition;
pub mod file;
pub mod http;
pub mod logging;
pub mod reload;
pub mod ringcentral;
pub mod secret;
pub mod shutdown;
pub mod simulator;
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

/// Beyond the time for the revocation itself, which the observers see to.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(500);

/// Runs the exporter on sockets that are bound already, until `stop`; then answers the scrapes in flight, gives the
/// tokens back and ends.
///
/// # Errors
/// When TLS cannot be set up: no root certificates for an `https` server.
pub async fn run(
    config: Config,
    reloader: Arc<Reloader>,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let roster = reloader.accounts().clone();
    roster.apply(config.accounts)?;
    let app = AppState {
        accounts: roster.clone(),
        scrape: config.settings.scrape,
        metrics: config.settings.metrics,
        telemetry_path: config.settings.web.telemetry_path,
        reloader,
        enable_lifecycle: config.settings.web.enable_lifecycle,
        shutdown_deadline: watch::Sender::new(None),
    };
    http::server::serve(listeners, Arc::new(app), stop).await;
    roster
        .shutdown(
            Moment::now()
                .after(config.settings.timeouts.revoke + SHUTDOWN_MARGIN)
                .instant,
        )
        .await;
    Ok(())
}
