//! Access control at run time: TLS, basic auth, rate limit and headers of `--web.config.file`.

pub mod access;
mod auth_cache;
mod basic_auth;
mod client_ca;
mod client_cert;
pub(crate) mod handshake_log;
mod pem_files;
pub(crate) mod rate_limiter;
mod tls;
mod verify_limiter;

use hyper::HeaderMap;
use hyper::header::AsHeaderName;

/// Returns the value of a header, unless it is missing, repeated or not ASCII.
pub(crate) fn single_header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
