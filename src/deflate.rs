//! Compressed blocks of text that can be joined in any order to one gzip stream.
//!
//! A block refers to no text before it and ends at a byte, so it is compressed once and shared by all gzip responses.
//! Responses without gzip decompress one block after the other, so no response holds the whole text.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc, Decompress, FlushDecompress};

/// The length of a block's text in bytes, which a response holds once it is decompressed. Shorter blocks compress less,
/// since text is only found again within 32 KiB.
pub(crate) const BLOCK_LEN: usize = 32 * 1024;
/// The fastest level with codes for the text in question; level 1 uses fixed ones, and its result is a third longer.
const LEVEL: Compression = Compression::new(2);
/// Magic number, method DEFLATE, no flags, no time, fastest compression, unknown system.
const GZIP_HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// An empty block that is marked as the last one.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// The blocks of a text.
pub(crate) type Blocks = Arc<[Arc<Block>]>;

/// A compressed part of a text.
#[derive(Debug)]
pub(crate) struct Block {
    deflated: Bytes,
    /// Checksum and length of the text.
    crc: Crc,
}

/// What of a gzip stream was written.
#[derive(Debug, Default)]
pub(crate) struct GzipStream(Crc);

impl Block {
    /// Compresses a part of a text.
    pub(crate) fn compress(text: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(text);
        let output = Vec::with_capacity(text.len() / 8);
        let mut encoder = DeflateEncoder::new(output, LEVEL);
        // Writing to memory cannot fail. The flush ends the block at a byte.
        let _ = encoder.write_all(text);
        let _ = encoder.flush();
        let deflated = std::mem::take(encoder.get_mut()).into_boxed_slice().into();
        Self { deflated, crc }
    }

    /// Returns the length of the text in bytes.
    pub(crate) fn text_len(&self) -> usize {
        self.crc.amount() as usize
    }

    /// Returns the text.
    pub(crate) fn decompress(&self) -> Bytes {
        let mut text = Vec::with_capacity(self.text_len());
        // Blocks are valid, and the capacity is that of the whole text.
        let _ =
            Decompress::new(false).decompress_vec(&self.deflated, &mut text, FlushDecompress::Sync);
        text.into()
    }
}

impl GzipStream {
    /// Returns the bytes before the first block.
    pub(crate) fn header(&self) -> Bytes {
        Bytes::from_static(GZIP_HEADER)
    }

    /// Returns the bytes of a block, which follow those of the previous one.
    pub(crate) fn add(&mut self, block: &Block) -> Bytes {
        self.0.combine(&block.crc);
        block.deflated.clone()
    }

    /// Returns the bytes after the last block.
    pub(crate) fn trailer(&self) -> Bytes {
        let mut trailer = LAST_BLOCK.to_vec();
        trailer.extend(self.0.sum().to_le_bytes());
        trailer.extend(self.0.amount().to_le_bytes());
        trailer.into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::GzDecoder;

    use super::*;

    /// Returns texts that compress well, badly and not at all.
    fn texts() -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(1);
        let noise = std::iter::repeat_with(|| random.u8(..));
        vec![
            Vec::new(),
            b"a".to_vec(),
            b"ringcentral_up 1\n".repeat(BLOCK_LEN / 10),
            noise.take(BLOCK_LEN * 3).collect(),
            (0..BLOCK_LEN * 2).map(|n| (n * n / 7) as u8).collect(),
        ]
    }

    #[test]
    fn decompressed_block_equals_its_text() {
        for text in texts() {
            let block = Block::compress(&text);
            assert_eq!(block.text_len(), text.len());
            assert_eq!(block.decompress(), text);
        }
    }

    #[test]
    fn joined_blocks_are_one_gzip_member() {
        let texts = texts();
        let blocks: Vec<_> = texts.iter().map(|text| Block::compress(text)).collect();
        for order in [vec![], vec![1], vec![0, 1, 2, 3, 4], vec![4, 3, 2, 2, 0]] {
            let mut gzip = GzipStream::default();
            let mut bytes = gzip.header().to_vec();
            let mut expected: Vec<u8> = Vec::new();
            for index in order {
                bytes.extend(gzip.add(&blocks[index]));
                expected.extend(&texts[index]);
            }
            bytes.extend(gzip.trailer());
            let mut rest = bytes.as_slice();
            let mut text = Vec::new();
            GzDecoder::new(&mut rest).read_to_end(&mut text).unwrap();
            assert_eq!(text, expected);
            assert!(rest.is_empty(), "more than one member");
        }
    }
}
