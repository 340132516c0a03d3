//! Why a request got no valid response. Pure.
//!
//! Classifies the chain of errors of the HTTP client. Some errors in it have private types and are recognised by
//! their texts, which the tests of `check` verify. Messages are those of the innermost error, since the outer ones
//! contain addresses.

use std::error::Error;
use std::io;

use crate::ringcentral::Cause;

/// The failure of a request below HTTP, or a response that is not valid.
#[derive(Debug)]
pub struct TransportError {
    /// The cause in detail.
    pub cause: Cause,
    /// What happened.
    pub message: String,
    /// Whether a connection that was kept from an earlier request closed before the response.
    pub closed_kept_connection: bool,
}

type ErrorRef<'a> = &'a (dyn Error + 'static);

impl TransportError {
    /// Creates the error for a request that timed out.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new(Cause::Timeout, "no complete response in time")
    }

    /// Creates the error for a response that is not valid.
    #[must_use]
    pub fn invalid_response(message: &str) -> Self {
        Self::new(Cause::NotRingCentral, message)
    }

    /// Classifies an error of the HTTP client. `uses_proxy` is whether the request was sent through a proxy.
    #[must_use]
    pub fn from_reqwest(error: &reqwest::Error, uses_proxy: bool) -> Self {
        let mut chain: Vec<ErrorRef<'_>> = vec![error];
        let mut innermost: ErrorRef<'_> = error;
        while let Some(inner) = inner_error(innermost) {
            chain.push(inner);
            innermost = inner;
        }
        let message = innermost.to_string();
        for inner in &chain {
            if let Some(tls_error) = inner.downcast_ref::<rustls::Error>() {
                return Self::from_tls(tls_error, &message);
            }
        }
        let texts: Vec<_> = chain.iter().map(ToString::to_string).collect();
        for text in &texts {
            if let Some(tunnel_error) = text.strip_prefix("tunnel error: ") {
                return Self::from_tunnel(tunnel_error, &message);
            }
        }
        let has_text = |expected: &str| texts.iter().any(|text| text == expected);
        let cause = if chain.iter().any(is_parse_error) {
            Cause::NotRingCentral
        } else if error.is_timeout() {
            Cause::Timeout
        } else if error.is_connect() && uses_proxy {
            Cause::ProxyUnreachable
        } else if has_text("dns error") {
            Cause::NameNotFound
        } else if has_text("tls handshake eof") {
            return Self::new(Cause::NoTls, "connection closed during the TLS handshake");
        } else if error.is_connect() && !chain.iter().any(was_established) {
            Cause::Unreachable
        } else {
            Cause::BrokenConnection
        };
        Self::new(cause, &message)
    }

    fn from_tls(error: &rustls::Error, message: &str) -> Self {
        match error {
            rustls::Error::InvalidCertificate(_) => Self::new(Cause::UntrustedCertificate, message),
            rustls::Error::InvalidMessage(_) => Self::new(Cause::NoTls, "the response is not TLS"),
            _ => Self::new(Cause::TlsRefused, message),
        }
    }

    /// Classifies an error of the tunnel through which an `https` server is reached; its type is private.
    fn from_tunnel(text: &str, message: &str) -> Self {
        let message = match text {
            "failed to create underlying connection" => {
                return Self::new(Cause::ProxyUnreachable, message);
            }
            "proxy authorization required" => "the proxy requires a user and a password",
            "unsuccessful" => "the proxy did not open a tunnel to the server",
            _ => "the proxy closed the connection before its response was complete",
        };
        Self::new(Cause::ProxyRefused, message)
    }

    fn new(cause: Cause, message: &str) -> Self {
        Self {
            cause,
            message: message.to_owned(),
            closed_kept_connection: false,
        }
    }
}

fn is_parse_error(error: &ErrorRef<'_>) -> bool {
    match error.downcast_ref::<hyper::Error>() {
        Some(error) => error.is_parse(),
        None => false,
    }
}

/// Returns whether the connection was open when it failed: a reset connection was, a refused one was not.
fn was_established(error: &ErrorRef<'_>) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.downcast_ref::<io::Error>() {
        Some(error) => matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        ),
        None => false,
    }
}

/// Returns the next error of the chain, also the one that an I/O error wraps.
fn inner_error<'a>(error: ErrorRef<'a>) -> Option<ErrorRef<'a>> {
    if let Some(io_error) = error.downcast_ref::<io::Error>()
        && let Some(wrapped) = io_error.get_ref()
    {
        return Some(wrapped);
    }
    error.source()
}
