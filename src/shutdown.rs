//! Shutdown by SIGTERM or SIGINT: the first signal drains, the second aborts.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the program.
pub struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// The error of a shutdown that a second signal aborted.
#[derive(Debug, thiserror::Error)]
#[error("shutdown aborted by a second signal")]
pub struct Aborted;

impl ShutdownSignals {
    /// Registers the signal handlers.
    ///
    /// # Errors
    /// Returns an error if the operating system rejects a handler.
    pub fn register() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs `work` to its end. The first signal is sent to `stop`, after which `work` should end by
    /// itself.
    ///
    /// # Errors
    /// Returns an error if a second signal arrives before `work` has ended.
    pub async fn run_until_shutdown<T>(
        mut self,
        stop: tokio::sync::oneshot::Sender<()>,
        work: impl Future<Output = T>,
    ) -> Result<T, Aborted> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            output = &mut work => return Ok(output),
            () = self.recv() => tracing::info!("stopping; a second signal aborts"),
        }
        // An error means that `work` no longer waits for the signal, since it is about to end.
        let _ = stop.send(());
        tokio::select! {
            output = &mut work => Ok(output),
            () = self.recv() => Err(Aborted),
        }
    }
}
