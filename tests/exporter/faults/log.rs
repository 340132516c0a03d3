//! The log of all exporters in this process, so that a test can read what was said of its own account.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static STARTED: OnceLock<()> = OnceLock::new();

struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts to listen, if nobody did.
pub fn listen() {
    STARTED.get_or_init(|| {
        let lines = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(|| Sink);
        lines.with_max_level(tracing::Level::INFO).init();
    });
}

/// The lines about an account.
pub fn about(account: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&lines);
    let wanted = format!("account=\"{account}\"");
    text.lines()
        .filter(|line| line.contains(&wanted))
        .map(str::to_owned)
        .collect()
}
