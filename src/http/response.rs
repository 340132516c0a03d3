//! HTTP responses: status, headers, body and compression.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::exposition::Exposition;
use crate::http::exposition_body::ExpositionBody;
use crate::web::access::Denied;

/// A response with a complete body or an exposition.
pub(crate) type Response = hyper::Response<Either<Full<Bytes>, ExpositionBody>>;

/// Returns plain text, to which a line break is added.
pub(crate) fn text(status: StatusCode, text: &str) -> Response {
    with_content_type(
        status,
        "text/plain; charset=utf-8",
        format!("{text}\n").into(),
    )
}

/// Returns `value` as JSON.
pub(crate) fn json(value: &Value) -> Response {
    with_content_type(StatusCode::OK, "application/json", value.to_string().into())
}

/// Returns 405 with the header `Allow`.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response {
    let message = format!("method not allowed; use {}", allowed.replace(", ", " or "));
    let response = text(StatusCode::METHOD_NOT_ALLOWED, &message);
    with_header(response, ALLOW, allowed)
}

/// Returns an error with the header `Retry-After`, in seconds rounded up.
pub(crate) fn retry_later(status: StatusCode, message: &str, wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let mut response = text(status, message);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// Returns the response to a request that access control has denied.
pub(crate) fn denied(denied: Denied) -> Response {
    match denied {
        Denied::RateLimited(wait) => {
            retry_later(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded", wait)
        }
        Denied::Overloaded(wait) => retry_later(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded: too many passwords are waiting for verification",
            wait,
        ),
        Denied::Unauthorized => {
            let response = text(StatusCode::UNAUTHORIZED, "authentication required");
            with_header(response, WWW_AUTHENTICATE, "Basic")
        }
    }
}

/// Returns an HTML page that is limited by `policy`.
pub(crate) fn html(html: String, policy: HeaderValue) -> Response {
    let content_type = "text/html; charset=utf-8";
    let response = with_content_type(StatusCode::OK, content_type, html.into());
    let mut response = with_header(uncached(response), REFERRER_POLICY, "no-referrer");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// Adds headers to a response that is out of date immediately.
pub(crate) fn uncached(response: Response) -> Response {
    let response = with_header(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    with_header(response, CACHE_CONTROL, "no-store")
}

/// Returns metrics in the text format, compressed if the request accepts gzip.
pub(crate) fn exposition(exposition: Exposition, request_headers: &HeaderMap) -> Response {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    let empty = with_content_type(StatusCode::OK, content_type, Bytes::new());
    let mut response = with_header(empty, VARY, "Accept-Encoding");
    let body = if accepts_gzip(request_headers) {
        response = with_header(response, CONTENT_ENCODING, "gzip");
        ExpositionBody::gzip(exposition)
    } else {
        ExpositionBody::plain(exposition)
    };
    *response.body_mut() = Either::Right(body);
    response
}

fn with_content_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = hyper::Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    with_header(response, CONTENT_TYPE, content_type)
}

fn with_header(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

/// Returns whether `gzip`, or else its alias `x-gzip`, or else `*`, is listed with a quality above 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    for encoding in ["gzip", "x-gzip", "*"] {
        if let Some(quality) = quality(headers, ACCEPT_ENCODING, encoding) {
            return quality > 0.0;
        }
    }
    false
}

/// Returns the quality with which a header lists `value`: 1 if it does not state one, 0 if that is
/// invalid.
pub(crate) fn quality(headers: &HeaderMap, header: HeaderName, value: &str) -> Option<f32> {
    for line in headers.get_all(header) {
        for item in line.to_str().unwrap_or_default().split(',') {
            let mut parts = item.split(';').map(str::trim);
            if !parts.next().unwrap_or_default().eq_ignore_ascii_case(value) {
                continue;
            }
            for part in parts {
                if let Some(("q" | "Q", quality)) = part.split_once('=') {
                    return Some(quality.parse().unwrap_or(0.0));
                }
            }
            return Some(1.0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_needs_a_quality_above_0() {
        let cases: [(&[&'static str], bool); 27] = [
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["x-gzip;q=0"], false),
            (&["deflate, GZIP;q=0.5"], true),
            (&["gzip;q=1.000"], true),
            (&["gzip;q=0.001"], true),
            (&["gzip;level=1;q=0"], false),
            (&["gzip;q=0"], false),
            (&["gzip;Q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip ;\tQ=0."], false),
            (&["gzip;q="], false),
            (&["gzip;q=-1"], false),
            (&["gzip;q=nan"], false),
            (&["gzip;qs=0"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["*;Q=0.0"], false),
            (&["*;q=0, gzip"], true),
            (&["*;q=0.5, gzip;q=0.0"], false),
            (&["identity"], false),
            (&["gzipped, xgzip"], false),
            (&["identity", "deflate;q=1, gzip;q=0.2"], true),
            (&["*", "gzip;Q=0"], false),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(accepts_gzip(&headers), expected, "{lines:?}");
        }
    }
}
