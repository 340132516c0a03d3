//! HTTP responses: status, headers, body and compression.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::exposition::{Exposition, TextFormat};
use crate::http::accept::accepts_gzip;
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

/// Returns metrics in a format that the request accepts, compressed if it accepts gzip.
pub(crate) fn exposition(
    exposition: Exposition,
    format: TextFormat,
    request_headers: &HeaderMap,
) -> Response {
    let content_type = match format {
        TextFormat::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        TextFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    let empty = with_content_type(StatusCode::OK, content_type, Bytes::new());
    let mut response = with_header(empty, VARY, "Accept, Accept-Encoding");
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
