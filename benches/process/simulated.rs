//! What is measured: the program, and a simulated account with a stopped clock and a limit that is never reached.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

/// The instant at which the account's clock is stopped: a busy Tuesday morning.
pub const INSTANT_MS: i64 = 1_795_514_400_000;

/// Returns the path of the binary: the one that was compiled with this program, or the one that a variable names, for
/// example the static one.
pub fn binary() -> OsString {
    std::env::var_os("RINGCENTRAL_EXPORTER_UNDER_TEST")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_ringcentral-exporter").into())
}

/// Starts an account with about this many records.
#[derive(Clone, Copy)]
pub struct Size {
    pub wanted: usize,
    pub calls_per_minute: f64,
    pub extensions: usize,
    pub scrapes: usize,
}

pub async fn simulator(size: &Size) -> Simulator {
    simulator_of(size, true, 1).await
}

/// Starts an account of the company with this seed.
pub async fn simulator_of(size: &Size, read_accounts: bool, seed: u64) -> Simulator {
    // A short window, so that the exporter remembers few requests, as with RingCentral's own limit.
    let heavy = Limit {
        requests: 1_000_000,
        window: Duration::from_secs(1),
        ..Limits::default().heavy
    };
    let scenario = Scenario {
        extensions: size.extensions,
        calls_per_minute: size.calls_per_minute,
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        read_accounts,
        clock: Some(Arc::new(|| INSTANT_MS)),
        ..Scenario::normal()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, seed).unwrap()
}
