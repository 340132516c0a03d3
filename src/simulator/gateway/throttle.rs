//! A stream that sends in pieces, with a pause before each.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that is fast until [`Throttle::slow_down`].
pub(super) struct Throttle<S> {
    stream: S,
    slow: Option<(usize, Duration)>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Throttle<S> {
    pub(super) fn new(stream: S) -> Throttle<S> {
        Throttle {
            stream,
            slow: None,
            pause: None,
        }
    }

    /// Sends pieces of up to `piece` bytes from now on.
    pub(super) fn slow_down(&mut self, piece: usize, pause: Duration) {
        self.slow = Some((piece.max(1), pause));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttle<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some((piece, pause)) = self.slow else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        let timer = self.pause.get_or_insert_with(|| Box::pin(sleep(pause)));
        ready!(timer.as_mut().poll(context));
        let bytes = bytes.get(..piece).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.pause = None;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
