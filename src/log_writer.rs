//! Writes log lines to standard error on a thread of its own.
//!
//! The writer of a line never waits: a pipe that is not read, a stopped terminal or a hanging disk delays only this
//! thread. Lines wait in a buffer of bounded size. Lines beyond it, and lines that cannot be written, are dropped and
//! counted in one line once writing is possible again.

use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum size of the lines that wait, in bytes. As many again may be in the hands of the thread.
const MAX_QUEUED_BYTES: usize = 256 * 1024;
/// How long the end of the program waits for the lines to be written: a pipe that is not read must not hold it.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two attempts to write to a pipe that another process has set to non-blocking.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

static STDERR: LogQueue = LogQueue::new();

/// Formats the line that says how many lines were dropped.
pub(crate) type FormatDropped = fn(u64) -> String;

/// Standard error through [`STDERR`]: each call of `write` is one line.
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sets the format of the line about dropped lines.
pub(crate) fn set_format(format_dropped: FormatDropped) {
    STDERR.lock().format_dropped = format_dropped;
}

/// Queues a line for standard error and starts the thread if it is not running.
pub(crate) fn write_line(line: &[u8]) {
    let is_running = STDERR.push(line);
    if !is_running && thread::Builder::new().spawn(|| STDERR.run(Stderr)).is_err() {
        // Without a thread the line is written here, which may wait.
        STDERR.write_next(&mut Stderr, &mut 0);
        STDERR.lock().is_running = false;
    }
}

/// Waits until all lines are written, at most a second.
pub(crate) fn flush() {
    STDERR.wait_until_written(FLUSH_TIMEOUT);
}

/// Standard error without the lock of [`io::Stderr`], which a blocked write would hold.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stderr(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that wait to be written, in one buffer.
struct LogQueue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    text: Vec<u8>,
    /// Lines that did not fit behind `text`.
    dropped: u64,
    is_running: bool,
    is_writing: bool,
    format_dropped: FormatDropped,
}

impl LogQueue {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                text: Vec::new(),
                dropped: 0,
                is_running: false,
                is_writing: false,
                format_dropped: |dropped| format!("{dropped} log lines were dropped\n"),
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a line and returns whether the thread was running. Once a line was dropped, so are all that follow until
    /// the thread takes the buffer, so that the line about them is where they are missing.
    fn push(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        if state.dropped > 0 || state.text.len() + line.len() > MAX_QUEUED_BYTES {
            state.dropped += 1;
        } else {
            state.text.extend_from_slice(line);
        }
        self.changed.notify_all();
        std::mem::replace(&mut state.is_running, true)
    }

    /// Writes the lines as they arrive, for ever.
    fn run(&self, mut out: impl Write) {
        let mut lost = 0;
        loop {
            self.write_next(&mut out, &mut lost);
        }
    }

    /// Waits for lines and writes them. Adds to `lost` the lines that could not be written.
    fn write_next(&self, out: &mut impl Write, lost: &mut u64) {
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| !state.has_lines())
            .unwrap_or_else(PoisonError::into_inner);
        let text = std::mem::take(&mut state.text);
        let dropped = std::mem::take(&mut state.dropped);
        let format_dropped = state.format_dropped;
        state.is_writing = true;
        drop(state);
        report_lost(out, lost, format_dropped);
        *lost += write_lines(out, &text) + dropped;
        report_lost(out, lost, format_dropped);
        self.lock().is_writing = false;
        self.changed.notify_all();
    }

    fn wait_until_written(&self, timeout: Duration) {
        let is_busy = |state: &mut State| state.is_writing || state.has_lines();
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), timeout, is_busy);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_lines(&self) -> bool {
        !self.text.is_empty() || self.dropped > 0
    }
}

/// Writes the number of lost lines, if there are any, and resets it on success.
fn report_lost(out: &mut impl Write, lost: &mut u64, format_dropped: FormatDropped) {
    if *lost > 0 && write_lines(out, format_dropped(*lost).as_bytes()) == 0 {
        *lost = 0;
    }
}

/// Writes lines and returns the number of those that could not be written completely.
fn write_lines(out: &mut impl Write, mut text: &[u8]) -> u64 {
    while !text.is_empty() {
        match out.write(text) {
            Ok(written @ 1..) => text = text.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_INTERVAL),
            _ => return text.iter().filter(|&&byte| byte == b'\n').count() as u64,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A pipe whose reader allows one write at a time.
    struct SlowPipe {
        written: Sender<String>,
        allowed: Receiver<io::Result<()>>,
    }

    impl Write for SlowPipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().unwrap_or(Ok(()))?;
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let _ = self.written.send(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (&'static LogQueue, Receiver<String>, Sender<io::Result<()>>) {
        let queue: &LogQueue = Box::leak(Box::new(LogQueue::new()));
        queue.lock().format_dropped = |dropped| format!("dropped={dropped}\n");
        let ((written, lines), (allow, allowed)) = (channel(), channel());
        thread::spawn(move || queue.run(SlowPipe { written, allowed }));
        (queue, lines, allow)
    }

    #[test]
    fn lines_beyond_the_buffer_are_counted_in_one_line() {
        let (queue, lines, allow) = start();
        queue.push(b"first\n");
        while queue.lock().has_lines() {
            thread::yield_now();
        }
        let line = format!("{}\n", "x".repeat(1023)).into_bytes();
        for _ in 0..256 {
            queue.push(&line);
        }
        for _ in 0..1_000 {
            queue.push(b"dropped\n");
        }
        assert_eq!(queue.lock().text.len(), MAX_QUEUED_BYTES);
        // A pipe that is not read does not hold this.
        queue.wait_until_written(Duration::ZERO);
        drop(allow);
        queue.wait_until_written(Duration::from_secs(60));
        queue.push(b"last\n");
        queue.wait_until_written(Duration::from_secs(60));
        let written: String = lines.try_iter().collect();
        let kept = String::from_utf8(line.repeat(256)).unwrap();
        let expected = format!("first\n{kept}dropped=1000\nlast\n");
        assert!(written == expected, "{} bytes", written.len());
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_later() {
        let (queue, lines, allow) = start();
        // The line itself, and the line about it.
        for _ in 0..2 {
            allow.send(Err(ErrorKind::StorageFull.into())).unwrap();
        }
        queue.push(b"one\ntwo\n");
        queue.wait_until_written(Duration::from_secs(60));
        allow.send(Err(ErrorKind::WouldBlock.into())).unwrap();
        allow.send(Err(ErrorKind::Interrupted.into())).unwrap();
        drop(allow);
        queue.push(b"three\n");
        queue.wait_until_written(Duration::from_secs(60));
        let written: String = lines.try_iter().collect();
        assert_eq!(written, "dropped=2\nthree\n");
    }
}
