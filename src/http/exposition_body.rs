//! The body of a scrape's response, plain or gzip.
//!
//! Pieces are taken, compressed or decompressed when the connection can write them. A client that reads slowly or not
//! at all therefore costs the buffers of its connection and one piece, not the size of the exposition.

use std::cell::Cell;
use std::convert::Infallible;
use std::mem;
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
    /// A block that follows the text that is sent first.
    next: Option<Arc<Block>>,
    encoding: Encoding,
}

/// Texts that were joined to one.
struct JoinedText(Vec<u8>);

thread_local! {
    /// The memory of the last joined text. A scrape that fetches nothing does little else than to fill it.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
enum Encoding {
    /// Without compression; bytes that remain.
    Plain(u64),
    Gzip(GzipStream, GzipProgress),
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
        Self {
            encoding: Encoding::Plain(exposition.text_len()),
            exposition,
            next: None,
        }
    }

    /// Creates a body that is compressed while it is sent.
    pub(crate) fn gzip(exposition: Exposition) -> Self {
        Self {
            encoding: Encoding::Gzip(GzipStream::default(), GzipProgress::Header),
            exposition,
            next: None,
        }
    }

    fn next_bytes(&mut self) -> Option<Bytes> {
        match &mut self.encoding {
            Encoding::Plain(remaining) => {
                let piece = next_piece(&mut self.exposition, &mut self.next)?;
                let text = piece.into_text();
                *remaining = remaining.saturating_sub(text.len() as u64);
                Some(text)
            }
            Encoding::Gzip(stream, progress @ GzipProgress::Header) => {
                *progress = GzipProgress::Blocks;
                Some(stream.header())
            }
            Encoding::Gzip(stream, progress @ GzipProgress::Blocks) => {
                match next_piece(&mut self.exposition, &mut self.next) {
                    Some(Piece::Text(text)) => Some(stream.add(&Block::compress(&text))),
                    Some(Piece::Block(block)) => Some(stream.add(&block)),
                    None => {
                        *progress = GzipProgress::Ended;
                        Some(stream.trailer())
                    }
                }
            }
            Encoding::Gzip(_, GzipProgress::Ended) => None,
        }
    }
}

/// Returns the texts up to the next block as one piece, or that block.
fn next_piece(exposition: &mut Exposition, next: &mut Option<Arc<Block>>) -> Option<Piece> {
    if let Some(block) = next.take() {
        return Some(Piece::Block(block));
    }
    let first = match exposition.next()? {
        Piece::Text(text) if text.len() < BLOCK_LEN => text,
        piece => return Some(piece),
    };
    let mut joined = JoinedText::new();
    joined.0.extend_from_slice(&first);
    while next.is_none() && joined.0.len() < BLOCK_LEN {
        match exposition.next() {
            Some(Piece::Text(text)) => joined.0.extend_from_slice(&text),
            Some(Piece::Block(block)) => *next = Some(block),
            None => break,
        }
    }
    Some(Piece::Text(Bytes::from_owner(joined)))
}

impl JoinedText {
    /// Creates an empty text with room for the last one that is joined, so that the others are not copied in order to
    /// grow.
    fn new() -> Self {
        let mut text = SPARE.take();
        text.clear();
        text.reserve(2 * BLOCK_LEN);
        Self(text)
    }
}

impl AsRef<[u8]> for JoinedText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for JoinedText {
    fn drop(&mut self) {
        // Fails while the thread ends.
        let _ = SPARE.try_with(|spare| spare.set(mem::take(&mut self.0)));
    }
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
            Encoding::Plain(remaining) => SizeHint::with_exact(remaining),
            Encoding::Gzip(..) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::GzDecoder;
    use http_body_util::BodyExt;

    use super::*;
    use crate::text_format::{BlockWriter, FamilyTexts, TextFormat, families};

    families! {
        gauge SMALL = "a_small": "Small.";
        gauge BLOCKS = "blocks": "In blocks.";
        gauge LARGE = "large": "Larger than a piece.";
    }

    /// Returns the exposition of two parts, each with samples in blocks and a large text.
    fn exposition() -> Exposition {
        let format = TextFormat::OpenMetrics;
        let mut parts = Vec::new();
        for account in ["one", "two"] {
            let mut families = FamilyTexts::new(format);
            let mut blocks = BlockWriter::new(format);
            families.add_sample(&SMALL, &[("account", account)], 1.0);
            for n in 0..2_000 {
                let n = n.to_string();
                let labels = [("account", account), ("n", n.as_str())];
                blocks.add_sample(&BLOCKS, &labels, 1.0);
                families.add_sample(&LARGE, &labels, 1.0);
            }
            families.add_blocks(&BLOCKS, blocks.finish());
            parts.push(families.share());
        }
        Exposition::new(format, parts)
    }

    async fn collect(body: ExpositionBody) -> Vec<u8> {
        body.collect().await.unwrap().to_bytes().into()
    }

    #[tokio::test]
    async fn plain_body_has_the_announced_length() {
        let body = ExpositionBody::plain(exposition());
        let len = body.size_hint().exact().unwrap();
        let text = collect(body).await;
        assert_eq!(text.len() as u64, len);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, exposition().into_text());
        assert_eq!(text.matches("# TYPE").count(), 3);
        assert_eq!(text.lines().count(), 3 * 2 + 2 + 2 * 2 * 2_000 + 1);
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[tokio::test]
    async fn gzip_body_is_one_member_with_the_same_text() {
        let compressed = collect(ExpositionBody::gzip(exposition())).await;
        let mut rest = compressed.as_slice();
        let mut text = String::new();
        GzDecoder::new(&mut rest).read_to_string(&mut text).unwrap();
        assert_eq!(text, exposition().into_text());
        assert!(rest.is_empty(), "more than one member");
    }

    #[test]
    fn pieces_are_short() {
        for mut body in [
            ExpositionBody::plain(exposition()),
            ExpositionBody::gzip(exposition()),
        ] {
            while let Some(bytes) = body.next_bytes() {
                assert!(bytes.len() < 2 * BLOCK_LEN, "{}", bytes.len());
            }
        }
    }
}
