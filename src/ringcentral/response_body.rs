//! The bytes of a reply.
//!
//! Owns: how many there may be, and gzip. It is undone at one go once all has come, so that of the lists of many accounts,
//! which come side by side, one at a time lies in memory at its full length. Refuses to know: what they mean (`wire`).

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use crate::ringcentral::transport_error::TransportError;

/// What we ask for.
pub const ENCODING: HeaderValue = HeaderValue::from_static("gzip");
/// The largest body.
pub const MAX_BODY: usize = 32 * 1024 * 1024;
/// The largest that is sent zipped: it lies in memory beside what is in it. A page of a thousand calls is a fortieth of it.
const MAX_COMPRESSED_BODY: usize = 4 * 1024 * 1024;

/// Reads a body, which is expected to be of about this size.
///
/// # Errors
/// When it breaks off, is too large, or cannot be unzipped.
pub async fn read(response: Response, expected: usize) -> Result<Bytes, TransportError> {
    match is_gzip(response.headers()) {
        true => gunzip(
            &read_bounded(response, 0, MAX_COMPRESSED_BODY).await?,
            expected,
        ),
        false => read_bounded(response, expected, MAX_BODY).await,
    }
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

async fn read_bounded(
    mut response: Response,
    expected: usize,
    most: usize,
) -> Result<Bytes, TransportError> {
    let mut body = Vec::with_capacity(expected);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| TransportError::from_reqwest(&error, false))?
    {
        if body.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// Of one part: a million small ones would be short, and take long.
fn gunzip(mut zipped: &[u8], expected: usize) -> Result<Bytes, TransportError> {
    let mut body = Vec::with_capacity(expected);
    if zipped.is_empty() {
        return Ok(Bytes::new());
    }
    let unzipped = GzDecoder::new(&mut zipped)
        .take(MAX_BODY as u64 + 1)
        .read_to_end(&mut body);
    match unzipped {
        Ok(size) if size > MAX_BODY => Err(too_large(MAX_BODY)),
        Ok(_) if zipped.is_empty() => Ok(body.into()),
        _ => Err(TransportError::invalid_response(
            "the reply cannot be unzipped",
        )),
    }
}

fn too_large(most: usize) -> TransportError {
    TransportError::invalid_response(&format!(
        "the reply is larger than {} MiB",
        most / 1024 / 1024
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unzipped(zipped: &[u8]) -> Result<Vec<u8>, String> {
        gunzip(zipped, 0)
            .map(|body| body.to_vec())
            .map_err(|breakage| breakage.message)
    }

    #[test]
    fn a_body_is_of_one_part_or_of_none() {
        assert_eq!(
            unzipped(&zip(b"{\"records\":[]}")).unwrap(),
            b"{\"records\":[]}"
        );
        assert_eq!(unzipped(b"").unwrap(), b"");
        let parts = [zip(b"{\"records\":"), zip(b"[]}")].concat();
        assert_eq!(
            unzipped(&parts).unwrap_err(),
            "the reply cannot be unzipped"
        );
    }

    #[test]
    fn a_body_that_is_cut_or_changed_is_refused() {
        let whole = zip(&b"calls ".repeat(100));
        for cut in 1..whole.len() {
            assert_eq!(
                unzipped(&whole[..cut]).unwrap_err(),
                "the reply cannot be unzipped",
                "at {cut}"
            );
        }
        let mut changed = whole.clone();
        let checksum = changed.len() - 8;
        changed[checksum] ^= 1;
        assert!(unzipped(&changed).is_err());
        assert!(unzipped(b"<html>").is_err());
    }

    #[test]
    fn as_much_as_is_allowed_is_read_and_no_byte_more() {
        assert_eq!(
            unzipped(&zip(&vec![b' '; MAX_BODY])).unwrap().len(),
            MAX_BODY
        );
        assert_eq!(
            unzipped(&zip(&vec![b' '; MAX_BODY + 1])).unwrap_err(),
            "the reply is larger than 32 MiB"
        );
    }
}
