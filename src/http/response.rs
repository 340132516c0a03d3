//! Answers: their headers and encoding.
//!
//! Owns: gzip for those who ask for it, which Prometheus always does.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    RETRY_AFTER, VARY,
};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::http::landing_page;

/// A whole answer.
pub type Response = hyper::Response<Full<Bytes>>;

const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// One line for people and probes.
#[must_use]
pub fn text(status: StatusCode, text: &str) -> Response {
    with_type(status, TEXT, format!("{text}\n").into())
}

/// A value for programs.
#[must_use]
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with_type(StatusCode::OK, JSON, body.into()),
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer cannot be encoded",
        ),
    }
}

/// What may not be done here, and what may.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Response {
    let message = format!("only {} is accepted here", allowed.replace(", ", " or "));
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, &message);
    reply
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// What is refused for now.
#[must_use]
pub fn retry_later(status: StatusCode, message: &str, wait: Duration) -> Response {
    let mut reply = text(status, message);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    reply
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    reply
}

/// A page that loads nothing and runs nothing.
#[must_use]
pub fn html(html: String) -> Response {
    let mut reply = with_type(StatusCode::OK, HTML, html.into());
    let headers = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in headers {
        reply
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    reply.headers_mut().insert(
        CONTENT_SECURITY_POLICY,
        landing_page::CONTENT_SECURITY_POLICY.clone(),
    );
    reply
}

/// An exposition, compressed if `asked` says that it may be.
#[must_use]
pub fn exposition(text: String, asked: &HeaderMap) -> Response {
    let zipped = accepts_gzip(asked).then(|| gzip(text.as_bytes())).flatten();
    let is_zipped = zipped.is_some();
    let mut reply = with_type(
        StatusCode::OK,
        EXPOSITION,
        zipped.unwrap_or_else(|| text.into()),
    );
    reply
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_zipped {
        reply
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut reply = hyper::Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// Writing to memory does not fail; if it did, the plain text would serve.
fn gzip(text: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// `gzip` or `*` with a quality above 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let offers: Vec<_> = values
        .flat_map(|value| value.split(','))
        .map(offer)
        .collect();
    let quality = |name| {
        offers
            .iter()
            .find(|(coding, _)| coding == name)
            .map(|(_, quality)| *quality)
    };
    quality("gzip")
        .or(quality("*"))
        .is_some_and(|quality| quality > 0.0)
}

fn offer(text: &str) -> (String, f32) {
    let mut parts = text.split(';').map(str::trim);
    let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    (coding, quality.unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &'static str) -> bool {
        accepts_gzip(
            &[(ACCEPT_ENCODING, HeaderValue::from_static(value))]
                .into_iter()
                .collect(),
        )
    }

    #[test]
    fn gzip_is_given_to_those_who_ask() {
        assert!(accepts("gzip"));
        assert!(accepts("deflate, GZIP;q=0.5"));
        assert!(accepts("*"));
        assert!(!accepts("gzip;q=0"));
        assert!(!accepts("*;q=0.5, gzip;q=0.0"));
        assert!(!accepts("identity"));
        assert!(!accepts(""));
    }
}
