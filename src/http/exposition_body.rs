//! The body of a scrape's response, plain or gzip.
//!
//! Pieces are taken, compressed or decompressed when the connection can write them. A client that reads slowly or not
//! at all therefore costs the buffers of its connection and one piece, not the size of the exposition.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::deflate::{BLOCK_LEN, Block, GzipStream};
use crate::exposition::{Exposition, Piece};

/// An exposition that is being sent.
#[derive(Debug)]
pub(crate) struct ExpositionBody {
    exposition: Exposition,
    encoding: Encoding,
}

#[derive(Debug)]
enum Encoding {
    Plain {
        remaining: u64,
    },
    Gzip {
        stream: GzipStream,
        progress: GzipProgress,
        /// A block that follows the text that is compressed first.
        next: Option<Arc<Block>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GzipProgress {
    Header,
    Blocks,
    Ended,
}

impl ExpositionBody {
    /// Creates a body without compression, whose length is known.
    pub(crate) fn plain(exposition: Exposition) -> Self {
        let remaining = exposition.text_len();
        Self {
            exposition,
            encoding: Encoding::Plain { remaining },
        }
    }

    /// Creates a body that is compressed while it is sent.
    pub(crate) fn gzip(exposition: Exposition) -> Self {
        Self {
            exposition,
            encoding: Encoding::Gzip {
                stream: GzipStream::default(),
                progress: GzipProgress::Header,
                next: None,
            },
        }
    }

    fn next_bytes(&mut self) -> Option<Bytes> {
        let (stream, progress, next) = match &mut self.encoding {
            Encoding::Plain { remaining } => {
                let text = self.exposition.next()?.into_text();
                *remaining = remaining.saturating_sub(text.len() as u64);
                return Some(text);
            }
            Encoding::Gzip {
                stream,
                progress,
                next,
            } => (stream, progress, next),
        };
        match progress {
            GzipProgress::Header => {
                *progress = GzipProgress::Blocks;
                Some(stream.header())
            }
            GzipProgress::Blocks => match next_block(&mut self.exposition, next) {
                Some(block) => Some(stream.add(&block)),
                None => {
                    *progress = GzipProgress::Ended;
                    Some(stream.trailer())
                }
            },
            GzipProgress::Ended => None,
        }
    }
}

/// Returns a block of the texts up to the next shared block, or that block.
fn next_block(exposition: &mut Exposition, next: &mut Option<Arc<Block>>) -> Option<Arc<Block>> {
    let mut text = Vec::new();
    while next.is_none() && text.len() < BLOCK_LEN {
        match exposition.next() {
            Some(Piece::Text(piece)) => text.extend_from_slice(&piece),
            Some(Piece::Block(block)) => *next = Some(block),
            None => break,
        }
    }
    if text.is_empty() {
        return next.take();
    }
    Some(Arc::new(Block::compress(&text)))
}

impl Body for ExpositionBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.get_mut().next_bytes();
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.encoding {
            Encoding::Plain { remaining } => SizeHint::with_exact(remaining),
            Encoding::Gzip { .. } => SizeHint::default(),
        }
    }
}
