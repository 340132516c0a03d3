//! Ending on a signal: the first asks, the second insists.
//!
//! Owns: SIGTERM and SIGINT; and SIGHUP, which must not end anything. Refuses to know: what has to be finished first, and
//! what a hangup is good for.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the program.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    on_hangup: Box<dyn Fn()>,
}

/// A second signal came before the end that the first one asked for.
#[derive(Debug, thiserror::Error)]
#[error("ended at once, as a second signal asked for")]
pub struct Aborted;

impl Signals {
    /// Listens from now on; calls `on_hangup` at each hangup.
    ///
    /// # Errors
    /// When the system lets us not.
    pub fn register(on_hangup: impl Fn() + 'static) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_hangup: Box::new(on_hangup),
        })
    }

    /// The next signal that ends.
    pub async fn shutdown_signal(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => (self.on_hangup)(),
            }
        }
    }

    /// Runs `work`, which ends on its own after the first signal; a second signal ends the wait for it.
    ///
    /// # Errors
    /// [`Aborted`] after the second signal.
    pub async fn run_until_shutdown<T>(
        mut self,
        stop: tokio::sync::oneshot::Sender<()>,
        work: impl Future<Output = T>,
    ) -> Result<T, Aborted> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return Ok(done),
            () = self.shutdown_signal() => tracing::info!("stopping; a second signal ends at once"),
        }
        // Where nobody waits for the word, the work has ended already.
        let _ = stop.send(());
        tokio::select! {
            done = &mut work => Ok(done),
            () = self.shutdown_signal() => Err(Aborted),
        }
    }
}
