//! The response body: sent whole, in delayed pieces, or truncated.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Long enough for hyper to send the first half before the connection is closed.
const TRUNCATE_DELAY: Duration = Duration::from_millis(10);

/// The error that makes hyper close the connection.
#[derive(Debug, thiserror::Error)]
#[error("connection closed by a simulated fault")]
pub(super) struct Closed;

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Delivery {
    /// In one piece, without delay.
    Whole,
    /// In this number of pieces, with a pause before each.
    Drip(usize, Duration),
    /// The first half of the announced length; then the connection is closed.
    Truncated,
}

/// A body with its delivery.
pub(super) struct Body {
    content_length: u64,
    pieces: VecDeque<Bytes>,
    pause: Option<Duration>,
    delay: Option<Pin<Box<Sleep>>>,
    truncate: bool,
}

impl Body {
    /// Creates a body; a dripping one must be created inside a Tokio runtime.
    pub(super) fn new(bytes: Bytes, delivery: Delivery) -> Body {
        let mut body = Body {
            content_length: bytes.len() as u64,
            pieces: VecDeque::new(),
            pause: None,
            delay: None,
            truncate: false,
        };
        match delivery {
            Delivery::Whole => body.pieces = split(bytes, 1),
            Delivery::Drip(count, pause) => {
                body.pieces = split(bytes, count);
                body.pause = Some(pause);
                body.delay = Some(Box::pin(sleep(pause)));
            }
            Delivery::Truncated => {
                body.pieces = split(bytes, 2);
                body.pieces.truncate(1);
                body.pause = Some(TRUNCATE_DELAY);
                body.truncate = true;
            }
        }
        body
    }
}

fn split(mut bytes: Bytes, count: usize) -> VecDeque<Bytes> {
    let size = bytes.len().div_ceil(count.max(1)).max(1);
    let mut pieces = VecDeque::new();
    while !bytes.is_empty() {
        pieces.push_back(bytes.split_to(size.min(bytes.len())));
    }
    pieces
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if let Some(delay) = &mut self.delay {
            ready!(delay.as_mut().poll(context));
            self.delay = None;
        }
        let piece = self.pieces.pop_front();
        self.delay = self.pause.map(|pause| Box::pin(sleep(pause)));
        Poll::Ready(match piece {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.truncate => Some(Err(Closed)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.truncate
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content_length)
    }
}
