//! The body of a response, read up to a maximum size and decompressed.
//!
//! A short body is decompressed and parsed in place. A long one would hold all other tasks of the only thread, so a
//! thread of its own does the work, for one body at a time: of the lists that many accounts receive concurrently, only
//! one is in memory at its full size. Others wait compressed.

use std::io::{Cursor, Read};
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::ringcentral::transport_error::TransportError;
use crate::ringcentral::wire::ParseError;

/// The value of `Accept-Encoding`.
pub(crate) const ACCEPTED_ENCODING: HeaderValue = HeaderValue::from_static("gzip");
/// The maximum size of a body, decompressed, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// The maximum size of a compressed body in bytes: 40 times that of a page of 1,000 calls.
const MAX_COMPRESSED_BODY: usize = 4 * 1024 * 1024;
/// The maximum size of a body that is decompressed and parsed in place, in bytes: a fraction of a millisecond.
const MAX_SHORT_BODY: usize = 64 * 1024;
/// The maximum size of a body as received that every account may read at any time, in bytes: twice that of a compressed
/// page of 1,000 calls.
const MAX_SHORT_READ: usize = 256 * 1024;
/// The maximum time in which the part of a body over `MAX_COMPRESSED_BODY` is read.
const MAX_REST_TIME: Duration = Duration::from_secs(2);
/// How much is decompressed in one step, in bytes.
const STEP: usize = 16 * 1024;

/// The capacity of a long body in bytes. Allocated once, it is resident only as far as it is written, is never copied in
/// order to grow, and returns to the system when the body is parsed.
const LONG_CAPACITY: usize = MAX_BODY + MAX_SHORT_READ;

/// Held while more than `MAX_SHORT_READ` is read, which a slow server may delay until the request times out.
static LONG_READ: Semaphore = Semaphore::const_new(1);
/// Held from the decompression of a body of more than `MAX_SHORT_BODY` until it is parsed.
static LONG_BODY: Semaphore = Semaphore::const_new(1);

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

/// Whether the end of a body is reached.
enum Progress {
    Complete,
    Unfinished,
}

/// A body as received.
struct Received {
    response: Response,
    bytes: Vec<u8>,
    /// The permit for more than `MAX_SHORT_READ`.
    permit: Option<SemaphorePermit<'static>>,
}

/// A body with the permit to hold it in memory.
struct LongBody {
    bytes: Vec<u8>,
    _permit: Option<SemaphorePermit<'static>>,
}

impl AsRef<[u8]> for LongBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body of a response and decompresses it. As long as a long body is kept, all others wait.
///
/// # Errors
/// Returns an error if the body is incomplete, too large, invalid gzip, or has another encoding.
pub(crate) async fn read(response: Response) -> Result<Bytes, TransportError> {
    let encoding = encoding(response.headers())?;
    let mut received = Received {
        response,
        bytes: Vec::new(),
        permit: None,
    };
    let progress = received.read(MAX_COMPRESSED_BODY).await?;
    match (encoding, progress) {
        (Encoding::Gzip, Progress::Complete) => gunzip(received.bytes).await,
        (Encoding::Gzip, Progress::Unfinished) => Err(too_large(MAX_COMPRESSED_BODY)),
        (Encoding::Identity, progress) => received.read_rest(progress).await,
    }
}

/// Parses a body without holding other tasks, and frees it.
///
/// # Errors
/// Returns the error of `parse`.
pub(crate) async fn parse<T: Send + 'static>(
    body: Bytes,
    parse: impl FnOnce(&[u8]) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, ParseError> {
    if body.len() <= MAX_SHORT_BODY {
        return parse(&body);
    }
    let parsed = spawn_blocking(move || parse(&body)).await;
    parsed.unwrap_or_else(|_| Err(ParseError("the parser has failed".to_owned())))
}

/// Returns the encoding that the headers name. `identity` stands for none, wherever it is.
fn encoding(headers: &HeaderMap) -> Result<Encoding, TransportError> {
    let mut encoding = Encoding::Identity;
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            let name = name.trim_ascii().to_ascii_lowercase();
            match name.as_slice() {
                b"" | b"identity" => {}
                b"gzip" | b"x-gzip" if encoding == Encoding::Identity => {
                    encoding = Encoding::Gzip;
                }
                b"gzip" | b"x-gzip" => {
                    let problem = "the response body is encoded more than once";
                    return Err(TransportError::invalid_response(problem));
                }
                _ => {
                    let problem = "the response body has another encoding than gzip";
                    return Err(TransportError::invalid_response(problem));
                }
            }
        }
    }
    Ok(encoding)
}

impl Received {
    /// Reads up to the end, or until there are more than `max_bytes`.
    async fn read(&mut self, max_bytes: usize) -> Result<Progress, TransportError> {
        while self.bytes.len() <= max_bytes {
            let chunk = match self.response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Progress::Complete),
                Err(error) => return Err(TransportError::from_reqwest(&error, false)),
            };
            if self.bytes.len() + chunk.len() > MAX_SHORT_READ && self.permit.is_none() {
                self.permit = LONG_READ.acquire().await.ok();
            }
            self.bytes.extend_from_slice(&chunk);
        }
        Ok(Progress::Unfinished)
    }

    /// Reads the rest of a body that is not compressed. What needs more memory than any compressed body is read while
    /// all other long bodies wait, so only for a short time.
    async fn read_rest(mut self, progress: Progress) -> Result<Bytes, TransportError> {
        if self.bytes.len() <= MAX_SHORT_BODY {
            return Ok(self.bytes.into());
        }
        let _permit = LONG_BODY.acquire().await.ok();
        if let Progress::Unfinished = progress {
            self.bytes.reserve_exact(LONG_CAPACITY - self.bytes.len());
            let rest = timeout(MAX_REST_TIME, self.read(MAX_BODY)).await;
            if let Progress::Unfinished = rest.map_err(|_| TransportError::timeout())?? {
                return Err(too_large(MAX_BODY));
            }
        }
        let bytes = self.bytes;
        Ok(Bytes::from_owner(LongBody { bytes, _permit }))
    }
}

/// A body that is being decompressed.
struct Gunzip {
    decoder: GzDecoder<Cursor<Vec<u8>>>,
    body: Vec<u8>,
}

/// Decompresses a body of one gzip member: a million tiny members would be small to send and slow to decompress.
async fn gunzip(compressed: Vec<u8>) -> Result<Bytes, TransportError> {
    if compressed.is_empty() {
        return Ok(Bytes::new());
    }
    let mut gunzip = Gunzip {
        decoder: GzDecoder::new(Cursor::new(compressed)),
        body: Vec::new(),
    };
    if let Progress::Complete = gunzip.decompress(MAX_SHORT_BODY)? {
        return Ok(gunzip.body.into());
    }
    let _permit = LONG_BODY.acquire().await.ok();
    let decompressed = spawn_blocking(move || {
        gunzip.body.reserve_exact(LONG_CAPACITY - gunzip.body.len());
        if let Progress::Unfinished = gunzip.decompress(MAX_BODY)? {
            return Err(too_large(MAX_BODY));
        }
        let bytes = gunzip.body;
        Ok(Bytes::from_owner(LongBody { bytes, _permit }))
    });
    decompressed.await.unwrap_or_else(|_| Err(invalid_gzip()))
}

impl Gunzip {
    /// Decompresses up to the end, or until the body has more than `max_bytes`.
    fn decompress(&mut self, max_bytes: usize) -> Result<Progress, TransportError> {
        let mut step = [0; STEP];
        while self.body.len() <= max_bytes {
            let len = self.decoder.read(&mut step).map_err(|_| invalid_gzip())?;
            if len == 0 {
                return self.check_end();
            }
            self.body
                .extend_from_slice(step.get(..len).unwrap_or_default());
        }
        Ok(Progress::Unfinished)
    }

    /// Checks that nothing follows the member.
    fn check_end(&self) -> Result<Progress, TransportError> {
        let compressed = self.decoder.get_ref();
        if compressed.position() < compressed.get_ref().len() as u64 {
            return Err(invalid_gzip());
        }
        Ok(Progress::Complete)
    }
}

fn invalid_gzip() -> TransportError {
    TransportError::invalid_response("the response body is not valid gzip")
}

fn too_large(max_bytes: usize) -> TransportError {
    TransportError::invalid_response(&format!(
        "the response body is larger than {} MiB",
        max_bytes / 1024 / 1024
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    async fn decompress(compressed: &[u8]) -> Result<Vec<u8>, String> {
        match gunzip(compressed.to_vec()).await {
            Ok(body) => Ok(body.to_vec()),
            Err(error) => Err(error.message),
        }
    }

    #[tokio::test]
    async fn body_of_two_gzip_members_is_invalid() {
        assert_eq!(
            decompress(&gzip(b"{\"records\":[]}")).await.unwrap(),
            b"{\"records\":[]}"
        );
        assert_eq!(decompress(b"").await.unwrap(), b"");
        let members = [gzip(b"{\"records\":"), gzip(b"[]}")].concat();
        assert_eq!(
            decompress(&members).await.unwrap_err(),
            "the response body is not valid gzip"
        );
    }

    #[tokio::test]
    async fn truncated_or_corrupt_body_is_invalid() {
        let complete = gzip(&b"calls ".repeat(100));
        for len in 1..complete.len() {
            assert_eq!(
                decompress(&complete[..len]).await.unwrap_err(),
                "the response body is not valid gzip",
                "{len} bytes"
            );
        }
        let mut corrupt = complete.clone();
        let checksum = corrupt.len() - 8;
        corrupt[checksum] ^= 1;
        assert!(decompress(&corrupt).await.is_err());
        assert!(decompress(b"<html>").await.is_err());
        assert!(decompress(&[&complete, &b"\n"[..]].concat()).await.is_err());
        let long = gzip(&b"calls ".repeat(100_000));
        assert_eq!(decompress(&long).await.unwrap().len(), 600_000);
        assert!(decompress(&long[..long.len() - 1]).await.is_err());
        assert!(decompress(&[&long, &complete[..]].concat()).await.is_err());
    }

    #[tokio::test]
    async fn body_larger_than_maximum_is_invalid() {
        let largest = vec![b' '; MAX_BODY];
        assert_eq!(decompress(&gzip(&largest)).await.unwrap().len(), MAX_BODY);
        let too_large = vec![b' '; MAX_BODY + 1];
        assert_eq!(
            decompress(&gzip(&too_large)).await.unwrap_err(),
            "the response body is larger than 32 MiB"
        );
    }

    #[test]
    fn encoding_is_gzip_or_none() {
        let encoding_of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            encoding(&headers).map_err(|error| error.message)
        };
        for values in [
            &["gzip"][..],
            &["GZip"],
            &["x-gzip"],
            &["X-GZIP"],
            &["\t gzip "],
            &["identity, gzip"],
            &["x-gzip", "identity"],
            &[", gzip ,"],
        ] {
            assert_eq!(encoding_of(values), Ok(Encoding::Gzip), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["identity"],
            &[" Identity "],
            &["identity", ""],
        ] {
            assert_eq!(encoding_of(values), Ok(Encoding::Identity), "{values:?}");
        }
        for values in [&["gzip, gzip"][..], &["gzip", "x-gzip"], &["x-gzip,GZIP"]] {
            let problem = "the response body is encoded more than once";
            assert_eq!(encoding_of(values), Err(problem.to_owned()), "{values:?}");
        }
        for values in [
            &["br"][..],
            &["deflate"],
            &["zstd"],
            &["gzip, br"],
            &["br", "gzip"],
            &["gzip;q=1"],
            &["gzip gzip"],
            &["gz\u{e9}p"],
        ] {
            let problem = "the response body has another encoding than gzip";
            assert_eq!(encoding_of(values), Err(problem.to_owned()), "{values:?}");
        }
    }

    #[tokio::test]
    async fn only_one_long_body_is_kept_at_a_time() {
        let long = gzip(&[b' '; MAX_SHORT_BODY + 1]);
        let short = gzip(&[b' '; MAX_SHORT_BODY]);
        let kept = gunzip(long.clone()).await.unwrap();
        let mut next = Box::pin(gunzip(long));
        let waits = timeout(Duration::from_millis(50), &mut next).await;
        assert!(waits.is_err(), "two long bodies are kept");
        assert_eq!(gunzip(short).await.unwrap().len(), MAX_SHORT_BODY);
        let len = parse(kept, |body| Ok(body.len())).await.unwrap();
        assert_eq!(len, MAX_SHORT_BODY + 1);
        assert_eq!(next.await.unwrap().len(), MAX_SHORT_BODY + 1);
    }
}
