//! The body of a response, read up to a maximum size and decompressed.
//!
//! A body is decompressed in one step once it is complete, so that of the lists that many accounts
//! receive concurrently only one at a time is in memory at its full size.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderValue};

use crate::ringcentral::transport_error::TransportError;

/// The value of `Accept-Encoding`.
pub(crate) const ACCEPTED_ENCODING: HeaderValue = HeaderValue::from_static("gzip");
/// The maximum size of a body, decompressed, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// The maximum size of a compressed body in bytes: 40 times that of a page of 1,000 calls.
const MAX_COMPRESSED_BODY: usize = 4 * 1024 * 1024;

/// Reads the body of a response and decompresses it.
///
/// # Errors
/// Returns an error if the body is incomplete, too large, or invalid gzip.
pub(crate) async fn read(response: Response) -> Result<Bytes, TransportError> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip")) {
        gunzip(&read_bounded(response, MAX_COMPRESSED_BODY).await?)
    } else {
        read_bounded(response, MAX_BODY).await
    }
}

async fn read_bounded(mut response: Response, max_bytes: usize) -> Result<Bytes, TransportError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => {
                return Err(too_large(max_bytes));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.into()),
            Err(error) => return Err(TransportError::from_reqwest(&error, false)),
        }
    }
}

/// Decompresses a body of one gzip member: a million tiny members would be small to send and slow
/// to decompress.
fn gunzip(mut compressed: &[u8]) -> Result<Bytes, TransportError> {
    if compressed.is_empty() {
        return Ok(Bytes::new());
    }
    let mut body = Vec::new();
    let mut decoder = GzDecoder::new(&mut compressed).take(MAX_BODY as u64 + 1);
    let result = decoder.read_to_end(&mut body);
    if body.len() > MAX_BODY {
        return Err(too_large(MAX_BODY));
    }
    if result.is_err() || !compressed.is_empty() {
        return Err(TransportError::invalid_response(
            "the response body is not valid gzip",
        ));
    }
    Ok(body.into())
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

    fn decompress(compressed: &[u8]) -> Result<Vec<u8>, String> {
        match gunzip(compressed) {
            Ok(body) => Ok(body.to_vec()),
            Err(error) => Err(error.message),
        }
    }

    #[test]
    fn body_of_two_gzip_members_is_invalid() {
        assert_eq!(
            decompress(&gzip(b"{\"records\":[]}")).unwrap(),
            b"{\"records\":[]}"
        );
        assert_eq!(decompress(b"").unwrap(), b"");
        let members = [gzip(b"{\"records\":"), gzip(b"[]}")].concat();
        assert_eq!(
            decompress(&members).unwrap_err(),
            "the response body is not valid gzip"
        );
    }

    #[test]
    fn truncated_or_corrupt_body_is_invalid() {
        let complete = gzip(&b"calls ".repeat(100));
        for len in 1..complete.len() {
            assert_eq!(
                decompress(&complete[..len]).unwrap_err(),
                "the response body is not valid gzip",
                "{len} bytes"
            );
        }
        let mut corrupt = complete.clone();
        let checksum = corrupt.len() - 8;
        corrupt[checksum] ^= 1;
        assert!(decompress(&corrupt).is_err());
        assert!(decompress(b"<html>").is_err());
    }

    #[test]
    fn body_larger_than_maximum_is_invalid() {
        let largest = vec![b' '; MAX_BODY];
        assert_eq!(decompress(&gzip(&largest)).unwrap().len(), MAX_BODY);
        let too_large = vec![b' '; MAX_BODY + 1];
        assert_eq!(
            decompress(&gzip(&too_large)).unwrap_err(),
            "the response body is larger than 32 MiB"
        );
    }
}
