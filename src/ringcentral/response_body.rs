//! The body of a response, read up to a maximum size and decompressed.
//!
//! A short body is decompressed and parsed in place. A longer one would hold all other tasks of the only thread, so
//! another thread parses it and, unless that is quick, decompresses it, for one body of medium and one of any length at a
//! time: of the lists that many accounts receive concurrently, only these are in memory at their full size. Others wait
//! as received: compressed, or the first 2 MiB.

use std::io::Read;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dedicated_thread;
use crate::ringcentral::transport_error::{Route, TransportError};
use crate::ringcentral::wire::ParseError;

/// The value of `Accept-Encoding`.
pub(crate) const ACCEPTED_ENCODING: HeaderValue = HeaderValue::from_static("gzip");
/// The maximum size of a body, decompressed, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// The maximum size of a compressed body in bytes: 40 times that of a page of 1,000 calls.
const MAX_COMPRESSED_BODY: usize = 4 * 1024 * 1024;
/// The maximum size of a body that is decompressed and parsed in place, in bytes: a fraction of a millisecond, and the
/// calls of an account of 200 extensions.
const MAX_SHORT_BODY: usize = 128 * 1024;
/// The maximum size, compressed, of a body that is decompressed in place, in bytes: a fraction of a millisecond even if
/// it has thousands of empty blocks.
const MAX_SHORT_COMPRESSED_BODY: usize = 16 * 1024;
/// The maximum size of a body that does not wait for longer ones, in bytes: three times that of a page of 1,000 calls.
const MAX_MEDIUM_BODY: usize = 2 * 1024 * 1024;
/// The maximum size of a body that is decompressed in place although another thread parses it, in bytes: twice that of a
/// page of 1,000 calls. Decompressing takes a fraction of the time of parsing, and starting a thread costs time too.
const MAX_DECOMPRESSED_IN_PLACE: usize = 1024 * 1024;
/// The maximum size of such a body as received, in bytes: twice that of a page of 1,000 calls.
const MAX_COMPRESSED_IN_PLACE: usize = 128 * 1024;
/// How much of a longer body must arrive within `MAX_PART_TIME`, in bytes, while others wait for it.
const PART: usize = 1024 * 1024;
/// The maximum time in which `PART` must arrive.
const MAX_PART_TIME: Duration = Duration::from_secs(2);
/// The problem of a body that is not one member of gzip.
const INVALID_GZIP: &str = "the response body is not valid gzip";
/// The problem of a body that waited for others until its deadline.
const NO_TIME_LEFT: &str =
    "no time left after other long responses, of which one at a time is read";

/// A body of up to `MAX_MEDIUM_BODY`, locked from its decompression until it is parsed, never while a server is awaited.
/// Its memory, without the content, is kept for the next one: that saves a page fault for every 4 KiB.
static MEDIUM_BODY: Mutex<Vec<u8>> = Mutex::const_new(Vec::new());
/// The same for a longer body, whose memory is freed. If it is not compressed, it is locked while the rest arrives.
static LONG_BODY: Mutex<Vec<u8>> = Mutex::const_new(Vec::new());

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
    deadline: Instant,
}

/// A body that is in memory at its full size, while others wait.
struct LongBody(MutexGuard<'static, Vec<u8>>);

impl AsRef<[u8]> for LongBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for LongBody {
    fn drop(&mut self) {
        if self.0.capacity() > MAX_MEDIUM_BODY + 1 {
            *self.0 = Vec::new();
        }
        // It has the phone numbers and names of callers.
        self.0.fill(0);
        self.0.clear();
    }
}

/// Reads the body of a response until `deadline` and decompresses it. As long as a long body is kept, all others wait.
///
/// # Errors
/// Returns an error if the body is incomplete, too large, invalid gzip, or has another encoding, or if there was no time
/// left for it after other bodies.
pub(crate) async fn read(response: Response, deadline: Instant) -> Result<Bytes, TransportError> {
    let encoding = encoding(response.headers())?;
    let mut received = Received {
        response,
        bytes: Vec::new(),
        deadline,
    };
    if encoding == Encoding::Identity {
        return received.read_identity().await;
    }
    match received.read(MAX_COMPRESSED_BODY).await? {
        Progress::Complete => gunzip(received.bytes, deadline).await,
        Progress::Unfinished => Err(too_large(MAX_COMPRESSED_BODY)),
    }
}

/// Parses a body without holding other tasks, and releases it.
///
/// # Errors
/// Returns the error of `parse`, or an error if the body is not parsed before `deadline`.
pub(crate) async fn parse<T: Send + 'static>(
    body: Bytes,
    deadline: Instant,
    parse: impl FnOnce(&[u8]) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, TransportError> {
    let parsed = match body.len() {
        ..=MAX_SHORT_BODY => parse(&body),
        _ => run_on_thread(deadline, move || parse(&body)).await?,
    };
    parsed.map_err(|error| TransportError::invalid_response(&error.to_string()))
}

/// Runs `task` on a thread of its own, and waits for its result until `deadline`.
async fn run_on_thread<T: Send + 'static>(
    deadline: Instant,
    task: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TransportError> {
    let thread = thread::Builder::new().name("parse".to_owned());
    match timeout_at(deadline, dedicated_thread::run(thread, task)).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => {
            let problem = format!("cannot parse the response on another thread: {error}");
            Err(local_error(&problem))
        }
        Err(_) => Err(local_error("no time left to parse the response")),
    }
}

/// Locks the memory for a body, waiting until `deadline` for the body that uses it.
async fn acquire(
    body: &'static Mutex<Vec<u8>>,
    deadline: Instant,
) -> Result<LongBody, TransportError> {
    match timeout_at(deadline, body.lock()).await {
        Ok(body) => Ok(LongBody(body)),
        Err(_) => Err(local_error(NO_TIME_LEFT)),
    }
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
            let chunk = timeout_at(self.deadline, self.response.chunk()).await;
            match chunk.map_err(|_| TransportError::timeout())? {
                Ok(Some(chunk)) => self.bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok(Progress::Complete),
                Err(error) => return Err(TransportError::from_reqwest(&error, Route::Direct)),
            }
        }
        Ok(Progress::Unfinished)
    }

    /// Reads a body that is not compressed.
    async fn read_identity(mut self) -> Result<Bytes, TransportError> {
        let progress = self.read(MAX_MEDIUM_BODY).await?;
        if self.bytes.len() <= MAX_SHORT_BODY {
            return Ok(self.bytes.into());
        }
        let body = match progress {
            Progress::Complete => &MEDIUM_BODY,
            Progress::Unfinished => &LONG_BODY,
        };
        let mut body = acquire(body, self.deadline).await?;
        if let Progress::Unfinished = progress {
            self.read_rest().await?;
        }
        *body.0 = self.bytes;
        Ok(Bytes::from_owner(body))
    }

    /// Reads the part of a body over `MAX_MEDIUM_BODY`, for which other bodies wait: as long as it arrives fast enough.
    async fn read_rest(&mut self) -> Result<(), TransportError> {
        self.bytes.reserve_exact(MAX_BODY + PART - self.bytes.len());
        while self.bytes.len() <= MAX_BODY {
            let end = MAX_BODY.min(self.bytes.len() + PART);
            let part = timeout(MAX_PART_TIME, self.read(end)).await;
            if let Progress::Complete = part.map_err(|_| too_slow())?? {
                return Ok(());
            }
        }
        Err(too_large(MAX_BODY))
    }
}

/// Decompresses a body of one gzip member: a million tiny members would be small to send and slow to decompress.
async fn gunzip(compressed: Vec<u8>, deadline: Instant) -> Result<Bytes, TransportError> {
    let len = announced_len(&compressed);
    if compressed.is_empty() {
        return Ok(Bytes::new());
    }
    if is_short(compressed.len(), len) {
        return Ok(decompress(&compressed, MAX_BODY)?.into());
    }
    let body = match len {
        ..=MAX_MEDIUM_BODY => &MEDIUM_BODY,
        _ => &LONG_BODY,
    };
    let mut body = acquire(body, deadline).await?;
    let is_in_place = is_decompressed_in_place(compressed.len(), len);
    // If the result is no longer awaited, the thread holds the lock until it ends.
    let decompress = move || {
        decompress_into(&mut body.0, &compressed, MAX_BODY)?;
        Ok(body)
    };
    let body = match is_in_place {
        true => decompress(),
        false => run_on_thread(deadline, decompress).await?,
    };
    Ok(Bytes::from_owner(body?))
}

/// Returns whether a body of this size, compressed and not, is decompressed and parsed in place.
fn is_short(compressed_len: usize, len: usize) -> bool {
    compressed_len <= MAX_SHORT_COMPRESSED_BODY && len <= MAX_SHORT_BODY
}

/// Returns whether a longer body of this size, compressed and not, is decompressed in place.
fn is_decompressed_in_place(compressed_len: usize, len: usize) -> bool {
    compressed_len <= MAX_COMPRESSED_IN_PLACE && len <= MAX_DECOMPRESSED_IN_PLACE
}

/// Returns the size that the end of a gzip body announces, in bytes, modulo 4 GiB. A body of another size is invalid.
fn announced_len(compressed: &[u8]) -> usize {
    let end = compressed.last_chunk().copied().unwrap_or_default();
    u32::from_le_bytes(end) as usize
}

/// Decompresses a body of at most `max_bytes`, and no further than to the size that it announces.
///
/// # Errors
/// Returns an error if the body is not one member of valid gzip, or is larger.
pub fn decompress(compressed: &[u8], max_bytes: usize) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    decompress_into(&mut body, compressed, max_bytes)?;
    Ok(body)
}

/// Decompresses a body into `body`, as [`decompress`] does.
fn decompress_into(
    body: &mut Vec<u8>,
    mut compressed: &[u8],
    max_bytes: usize,
) -> Result<(), TransportError> {
    let len = announced_len(compressed);
    if len > max_bytes {
        // The end of an incomplete body can announce anything.
        let limit = max_bytes / 1024 / 1024;
        let problem = format!("{INVALID_GZIP}, or larger than {limit} MiB");
        return Err(TransportError::invalid_response(&problem));
    }
    // One byte more shows that there are too many.
    let limit = len + 1;
    let capacity = match len {
        ..=MAX_MEDIUM_BODY => limit,
        // Memory is resident only as far as it is written. glibc returns more than 32 MiB to the system, and keeps less.
        _ => MAX_BODY + PART,
    };
    body.clear();
    if body.capacity() < capacity {
        *body = Vec::with_capacity(capacity);
    }
    let decoder = GzDecoder::new(&mut compressed);
    let result = decoder.take(limit as u64).read_to_end(body);
    if result.is_err() || body.len() == limit || !compressed.is_empty() {
        return Err(TransportError::invalid_response(INVALID_GZIP));
    }
    Ok(())
}

/// Returns the error of a body for which this process had no time or no thread.
fn local_error(problem: &str) -> TransportError {
    TransportError {
        message: problem.to_owned(),
        ..TransportError::timeout()
    }
}

fn too_slow() -> TransportError {
    let limit = "slower than 512 KiB/s after the first 2 MiB";
    local_error(&format!("the response without gzip arrives {limit}"))
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
    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;
    use crate::clock::Moment;
    use crate::dedicated_thread::run_while_blocking_threads_hang;

    /// Held by tests that need the memory of bodies, which all of this process share.
    static BODIES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn now() -> Instant {
        Moment::now().instant
    }

    fn in_a_minute() -> Instant {
        now() + Duration::from_secs(60)
    }

    /// Returns a header of gzip and empty blocks.
    fn empty_blocks(len: usize) -> Vec<u8> {
        let mut compressed = gzip(b"")[..10].to_vec();
        // Four blocks.
        let blocks = [0x02, 0x08, 0x20, 0x80, 0x00];
        compressed.extend(blocks.iter().cycle().take(len - 10));
        compressed
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    async fn unpack(compressed: &[u8]) -> Result<Vec<u8>, String> {
        match gunzip(compressed.to_vec(), in_a_minute()).await {
            Ok(body) => Ok(body.to_vec()),
            Err(error) => Err(error.message),
        }
    }

    #[tokio::test]
    async fn body_of_two_gzip_members_is_invalid() {
        let _bodies = BODIES.lock().await;
        assert_eq!(
            unpack(&gzip(b"{\"records\":[]}")).await.unwrap(),
            b"{\"records\":[]}"
        );
        assert_eq!(unpack(b"").await.unwrap(), b"");
        let members = [gzip(b"{\"records\":"), gzip(b"[]}")].concat();
        assert_eq!(unpack(&members).await.unwrap_err(), INVALID_GZIP);
    }

    #[tokio::test]
    async fn truncated_or_corrupt_body_is_invalid() {
        let _bodies = BODIES.lock().await;
        let complete = gzip(&b"calls ".repeat(100));
        for len in 1..complete.len() {
            let error = unpack(&complete[..len]).await.unwrap_err();
            assert!(error.starts_with(INVALID_GZIP), "{len} bytes: {error}");
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
        let _bodies = BODIES.lock().await;
        let largest = vec![b' '; MAX_BODY];
        assert_eq!(unpack(&gzip(&largest)).await.unwrap().len(), MAX_BODY);
        let too_large = vec![b' '; MAX_BODY + 1];
        assert_eq!(
            unpack(&gzip(&too_large)).await.unwrap_err(),
            "the response body is not valid gzip, or larger than 32 MiB"
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
        let _bodies = BODIES.lock().await;
        for (shorter, body) in [
            (MAX_SHORT_BODY, &MEDIUM_BODY),
            (MAX_MEDIUM_BODY, &LONG_BODY),
        ] {
            let long = gzip(&vec![b' '; shorter + 1]);
            let kept = gunzip(long.clone(), in_a_minute()).await.unwrap();
            let next = acquire(body, now()).await.map(|_| ());
            assert_eq!(next.unwrap_err().message, NO_TIME_LEFT);
            let other = gunzip(gzip(&vec![b' '; shorter]), in_a_minute());
            assert_eq!(
                other.await.unwrap().len(),
                shorter,
                "waits for a longer one"
            );
            let parsed = parse(kept, in_a_minute(), |_| Ok(body.try_lock().is_ok()));
            assert!(!parsed.await.unwrap(), "another body while one is parsed");
            let next = gunzip(long, in_a_minute()).await.unwrap();
            assert_eq!(next.len(), shorter + 1);
            drop(next);
            let kept = body.lock().await;
            assert!(kept.is_empty(), "the content is kept");
            let is_medium = shorter < MAX_MEDIUM_BODY;
            assert_eq!(kept.capacity() > shorter, is_medium, "memory is kept");
        }
    }

    /// Each takes 10 bits: not the last block, fixed codes, its end.
    #[tokio::test]
    async fn many_empty_blocks_are_invalid_and_not_in_place() {
        let _bodies = BODIES.lock().await;
        for len in [
            MAX_SHORT_COMPRESSED_BODY,
            MAX_COMPRESSED_IN_PLACE,
            MAX_COMPRESSED_BODY,
        ] {
            let mut body = empty_blocks(len);
            body[len - 4..].fill(0); // announces an empty body
            let error = gunzip(body, in_a_minute()).await.unwrap_err();
            assert_eq!(
                error.message, "the response body is not valid gzip",
                "{len}"
            );
        }
        assert!(!is_decompressed_in_place(MAX_COMPRESSED_BODY, 0));
    }

    #[test]
    fn body_in_place_is_limited_in_both_sizes() {
        let (compressed, len) = (MAX_SHORT_COMPRESSED_BODY, MAX_SHORT_BODY);
        assert!(is_short(compressed, len));
        assert!(!is_short(compressed + 1, len) && !is_short(compressed, len + 1));
        let (compressed, len) = (MAX_COMPRESSED_IN_PLACE, MAX_DECOMPRESSED_IN_PLACE);
        assert!(is_decompressed_in_place(compressed, len));
        assert!(!is_decompressed_in_place(compressed + 1, len));
        assert!(!is_decompressed_in_place(compressed, len + 1));
    }

    /// A page of each place, with a length that is too small, too large, or the remainder of 4 GiB.
    #[tokio::test]
    async fn body_of_another_size_than_announced_is_invalid() {
        let _bodies = BODIES.lock().await;
        for len in [
            100,
            MAX_SHORT_BODY + 1,
            MAX_DECOMPRESSED_IN_PLACE + 1,
            MAX_MEDIUM_BODY + 1,
        ] {
            let complete = gzip(&vec![b' '; len]);
            let end = complete.len() - 4;
            for announced in [0, len - 1, len + 1, MAX_BODY] {
                let announced = (announced as u32).to_le_bytes();
                let lying = [&complete[..end], &announced[..]].concat();
                let error = unpack(&lying).await.unwrap_err();
                assert_eq!(error, "the response body is not valid gzip", "{len}");
            }
            assert_eq!(unpack(&complete).await.unwrap().len(), len);
        }
    }

    /// A decoder that builds the tables of fixed codes for each block takes over twenty times as long as for text.
    #[test]
    fn empty_blocks_take_no_longer_than_text() {
        let mut random = fastrand::Rng::with_seed(1);
        let digits: Vec<u8> = (0..MAX_BODY / 4).map(|_| random.u8(b'0'..=b'9')).collect();
        let (text, empty) = (gzip(&digits), empty_blocks(MAX_COMPRESSED_BODY / 4));
        let start = now();
        assert!(decompress(&text, MAX_BODY).is_ok());
        let text_time = start.elapsed();
        assert!(decompress(&empty, MAX_BODY).is_err());
        let empty_time = start.elapsed() - text_time;
        assert!(empty_time < 5 * text_time, "{empty_time:?} {text_time:?}");
    }

    #[test]
    fn body_is_parsed_while_blocking_threads_hang() {
        run_while_blocking_threads_hang(async {
            let _bodies = BODIES.lock().await;
            let body = gzip(&vec![b' '; MAX_DECOMPRESSED_IN_PLACE + 1]);
            let body = gunzip(body, in_a_minute()).await.unwrap();
            let parsed = parse(body, in_a_minute(), |body| Ok(body.len())).await;
            assert_eq!(parsed.unwrap(), MAX_DECOMPRESSED_IN_PLACE + 1);
        });
    }

    #[tokio::test]
    async fn parsing_ends_at_the_deadline() {
        let _bodies = BODIES.lock().await;
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let body = Bytes::from(vec![b' '; MAX_SHORT_BODY + 1]);
        let parsed = parse(body, now(), move |_| Ok(receiver.recv().is_ok()));
        let problem = "no time left to parse the response";
        assert_eq!(parsed.await.unwrap_err().message, problem);
        drop(sender);
    }

    /// Returns a response without gzip of these parts of 1 MiB, each after a pause.
    fn slow_response(parts: usize, pause: Duration) -> Response {
        let parts = stream::iter(0..parts).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b' '; PART])))
        });
        hyper::Response::new(reqwest::Body::wrap(StreamBody::new(parts))).into()
    }

    /// Returns a response without gzip that hangs after its first bytes.
    fn hanging_response(len: usize) -> Response {
        let first = Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b' '; len])));
        let parts = stream::iter([first]).chain(stream::pending());
        hyper::Response::new(reqwest::Body::wrap(StreamBody::new(parts))).into()
    }

    fn page(len: usize) -> Response {
        hyper::Response::new(vec![b' '; len]).into()
    }

    #[tokio::test]
    async fn pages_do_not_wait_for_slow_servers() {
        let _bodies = BODIES.lock().await;
        let mut hanging = Vec::new();
        for len in [
            100,
            MAX_SHORT_BODY + 1,
            MAX_MEDIUM_BODY,
            MAX_MEDIUM_BODY + 1,
        ] {
            hanging.push(Box::pin(read(hanging_response(len), in_a_minute())));
        }
        for response in &mut hanging {
            assert!(timeout_at(now(), response).await.is_err(), "it is complete");
        }
        let longest = read(page(MAX_MEDIUM_BODY), in_a_minute()).await.unwrap();
        assert_eq!(longest.len(), MAX_MEDIUM_BODY);
        drop(longest);
        let longer = read(page(MAX_MEDIUM_BODY + 1), now()).await;
        assert_eq!(longer.unwrap_err().message, NO_TIME_LEFT);
        let longer = read(page(MAX_MEDIUM_BODY + 1), in_a_minute());
        let hanging = hanging.pop().unwrap();
        let (hanging, longer) = tokio::join!(hanging, longer);
        assert!(hanging.unwrap_err().message.contains("512 KiB/s"));
        assert_eq!(longer.unwrap().len(), MAX_MEDIUM_BODY + 1);
    }

    /// The part over 2 MiB takes 4 s, and no part of it more than 2 s.
    #[tokio::test]
    async fn long_body_of_steady_server_is_read() {
        let _bodies = BODIES.lock().await;
        let response = slow_response(7, Duration::from_millis(800));
        let body = read(response, in_a_minute()).await.unwrap();
        assert_eq!(body.len(), 7 * PART);
    }
}
