//! The captured log of all exporters in this process. A test reads the lines of its own account.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static INSTALLED: OnceLock<()> = OnceLock::new();

/// A writer that appends to `LINES`.
struct LogWriter;

impl Write for LogWriter {
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

/// Captures the log from now on. Further calls have no effect.
pub fn capture() {
    INSTALLED.get_or_init(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(|| LogWriter)
            .with_max_level(tracing::Level::INFO)
            .init();
    });
}

/// Returns the captured lines of an account.
pub fn account_lines(account: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&lines);
    let field = format!("account=\"{account}\"");
    text.lines()
        .filter(|line| line.contains(&field))
        .map(str::to_owned)
        .collect()
}
