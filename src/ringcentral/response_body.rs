//! The body of a response, read up to a maximum size and decompressed.
//!
//! A short body is decompressed and parsed in place. A longer one would hold all other tasks of the only thread, so
//! another thread does the work, for one body of medium and one of any length at a time: of the lists that many accounts
//! receive concurrently, only these are in memory at their full size. Others wait compressed.

use std::io::Read;
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
/// The maximum size of a body that does not wait for longer ones, in bytes: three times that of a page of 1,000 calls.
const MAX_MEDIUM_BODY: usize = 2 * 1024 * 1024;
/// The maximum size of a body as received that every account may read at any time, in bytes: twice that of a compressed
/// page of 1,000 calls.
const MAX_SHORT_READ: usize = 256 * 1024;
/// The maximum time in which the part of a body over `MAX_COMPRESSED_BODY` is read.
const MAX_REST_TIME: Duration = Duration::from_secs(2);
/// How much is decompressed in one step, in bytes.
const STEP: usize = 16 * 1024;

/// Held while more than `MAX_SHORT_READ` is read, which a slow server may delay until the request times out.
static LONG_READ: Semaphore = Semaphore::const_new(1);
/// Held from the decompression of a body of up to `MAX_MEDIUM_BODY` until it is parsed.
static MEDIUM_BODY: Semaphore = Semaphore::const_new(1);
/// The same for a longer body.
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
        let semaphore = match self.bytes.len() {
            ..=MAX_MEDIUM_BODY => &MEDIUM_BODY,
            _ => &LONG_BODY,
        };
        let _permit = semaphore.acquire().await.ok();
        if let Progress::Unfinished = progress {
            self.bytes.reserve_exact(MAX_BODY);
            let rest = timeout(MAX_REST_TIME, self.read(MAX_BODY)).await;
            if let Progress::Unfinished = rest.map_err(|_| TransportError::timeout())?? {
                return Err(too_large(MAX_BODY));
            }
        }
        let bytes = self.bytes;
        Ok(Bytes::from_owner(LongBody { bytes, _permit }))
    }
}

/// Decompresses a body of one gzip member: a million tiny members would be small to send and slow to decompress. What
/// turns out to be longer is decompressed again from its start, since a part of it would take memory while it waits.
async fn gunzip(compressed: Vec<u8>) -> Result<Bytes, TransportError> {
    if compressed.is_empty() {
        return Ok(Bytes::new());
    }
    if let Some(bytes) = decompress(&compressed, MAX_SHORT_BODY)? {
        return Ok(bytes.into());
    }
    let compressed = Bytes::from(compressed);
    for (semaphore, max_bytes) in [(&MEDIUM_BODY, MAX_MEDIUM_BODY), (&LONG_BODY, MAX_BODY)] {
        let _permit = semaphore.acquire().await.ok();
        let compressed = compressed.clone();
        let decompressed = spawn_blocking(move || {
            let bytes = decompress(&compressed, max_bytes)?;
            Ok(bytes.map(|bytes| LongBody { bytes, _permit }))
        });
        let body = decompressed.await.unwrap_or_else(|_| Err(invalid_gzip()));
        if let Some(body) = body? {
            return Ok(Bytes::from_owner(body));
        }
    }
    Err(too_large(MAX_BODY))
}

/// Decompresses a body, `None` if it has more than `max_bytes`. The memory for all of them is allocated once: it is
/// resident only as far as it is written, and is not copied in order to grow.
fn decompress(mut compressed: &[u8], max_bytes: usize) -> Result<Option<Vec<u8>>, TransportError> {
    let mut body = Vec::with_capacity(max_bytes + STEP);
    let mut decoder = GzDecoder::new(&mut compressed);
    let mut step = [0; STEP];
    loop {
        let len = decoder.read(&mut step).map_err(|_| invalid_gzip())?;
        if len == 0 {
            break;
        }
        body.extend_from_slice(step.get(..len).unwrap_or_default());
        if body.len() > max_bytes {
            return Ok(None);
        }
    }
    if !compressed.is_empty() {
        return Err(invalid_gzip());
    }
    Ok(Some(body))
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

    async fn unpack(compressed: &[u8]) -> Result<Vec<u8>, String> {
        match gunzip(compressed.to_vec()).await {
            Ok(body) => Ok(body.to_vec()),
            Err(error) => Err(error.message),
        }
    }

    #[tokio::test]
    async fn body_of_two_gzip_members_is_invalid() {
        assert_eq!(
            unpack(&gzip(b"{\"records\":[]}")).await.unwrap(),
            b"{\"records\":[]}"
        );
        assert_eq!(unpack(b"").await.unwrap(), b"");
        let members = [gzip(b"{\"records\":"), gzip(b"[]}")].concat();
        assert_eq!(
            unpack(&members).await.unwrap_err(),
            "the response body is not valid gzip"
        );
    }

    #[tokio::test]
    async fn truncated_or_corrupt_body_is_invalid() {
        let complete = gzip(&b"calls ".repeat(100));
        for len in 1..complete.len() {
            assert_eq!(
                unpack(&complete[..len]).await.unwrap_err(),
                "the response body is not valid gzip",
                "{len} bytes"
            );
        }
        let mut corrupt = complete.clone();
        let checksum = corrupt.len() - 8;
        corrupt[checksum] ^= 1;
        assert!(unpack(&corrupt).await.is_err());
        assert!(unpack(b"<html>").await.is_err());
        assert!(unpack(&[&complete, &b"\n"[..]].concat()).await.is_err());
        let long = gzip(&b"calls ".repeat(100_000));
        assert_eq!(unpack(&long).await.unwrap().len(), 600_000);
        assert!(unpack(&long[..long.len() - 1]).await.is_err());
        assert!(unpack(&[&long, &complete[..]].concat()).await.is_err());
    }

    #[tokio::test]
    async fn body_larger_than_maximum_is_invalid() {
        let largest = vec![b' '; MAX_BODY];
        assert_eq!(unpack(&gzip(&largest)).await.unwrap().len(), MAX_BODY);
        let too_large = vec![b' '; MAX_BODY + 1];
        assert_eq!(
            unpack(&gzip(&too_large)).await.unwrap_err(),
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
        for shorter in [MAX_SHORT_BODY, MAX_MEDIUM_BODY] {
            let long = gzip(&vec![b' '; shorter + 1]);
            let kept = gunzip(long.clone()).await.unwrap();
            let mut next = Box::pin(gunzip(long));
            let waits = timeout(Duration::from_millis(50), &mut next).await;
            assert!(waits.is_err(), "two long bodies are kept");
            let other = gunzip(gzip(&vec![b' '; shorter])).await.unwrap();
            assert_eq!(other.len(), shorter, "it waits for a longer one");
            let len = parse(kept, |body| Ok(body.len())).await.unwrap();
            assert_eq!(len, shorter + 1);
            drop(other);
            assert_eq!(next.await.unwrap().len(), shorter + 1);
        }
    }
}
