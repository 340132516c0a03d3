//! The body of an answer: whole, in drips, or broken off in the middle.
//!
//! Knows bytes and pauses; not why a body misbehaves.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Long enough for the half of a broken body to be sent before the break.
const BEFORE_THE_BREAK: Duration = Duration::from_millis(10);

/// The connection is closed on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the simulator closes the connection on purpose")]
pub(super) struct Closed;

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Delivery {
    /// At once.
    Whole,
    /// In so many pieces with a pause before each.
    Drip(usize, Duration),
    /// Half of what was promised, then no more.
    Cut,
}

pub(super) struct Body {
    promised: u64,
    pieces: VecDeque<Bytes>,
    pause: Option<Duration>,
    nap: Option<Pin<Box<Sleep>>>,
    breaks: bool,
}

impl Body {
    pub(super) fn new(bytes: Bytes, manner: Delivery) -> Body {
        let promised = bytes.len() as u64;
        let body = Body {
            promised,
            pieces: VecDeque::new(),
            pause: None,
            nap: None,
            breaks: false,
        };
        match manner {
            Delivery::Whole => Body {
                pieces: pieces(bytes, 1),
                ..body
            },
            Delivery::Drip(count, pause) => {
                let nap = Some(Box::pin(sleep(pause)));
                Body {
                    pieces: pieces(bytes, count),
                    pause: Some(pause),
                    nap,
                    ..body
                }
            }
            Delivery::Cut => {
                let half = pieces(bytes, 2).into_iter().take(1).collect();
                Body {
                    pieces: half,
                    pause: Some(BEFORE_THE_BREAK),
                    breaks: true,
                    ..body
                }
            }
        }
    }
}

fn pieces(mut bytes: Bytes, count: usize) -> VecDeque<Bytes> {
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
        if let Some(nap) = &mut self.nap {
            ready!(nap.as_mut().poll(context));
            self.nap = None;
        }
        let piece = self.pieces.pop_front();
        self.nap = self.pause.map(|pause| Box::pin(sleep(pause)));
        Poll::Ready(match piece {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.breaks => Some(Err(Closed)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
