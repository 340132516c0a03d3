//! Why a request got no valid response. Pure.
//!
//! Classifies the chain of errors of the HTTP client. Some errors in it have private types and are recognised by
//! their texts, which the tests of `check` verify. Messages are those of the innermost error, since the outer ones
//! contain addresses.

use std::error::Error;
use std::io;

use crate::ringcentral::cause::Cause;
use crate::ringcentral::reason::Reason;

/// The failure of a request below HTTP, or a response that is not valid.
#[derive(Debug)]
pub struct TransportError {
    /// The reason that metrics count.
    pub reason: Reason,
    /// The cause in detail.
    pub cause: Cause,
    /// What happened.
    pub message: String,
}

type ErrorRef<'a> = &'a (dyn Error + 'static);

impl TransportError {
    /// Creates the error for a request that timed out.
    #[must_use]
    pub fn timeout() -> Self {
        let message = "no complete response in time";
        Self::new(Reason::Timeout, Cause::Timeout, message)
    }

    /// Creates the error for a response that is not valid.
    #[must_use]
    pub fn invalid_response(message: &str) -> Self {
        Self::new(Reason::InvalidResponse, Cause::NotRingCentral, message)
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
        classify_tls(&chain, &message)
            .or_else(|| classify_proxy(&chain, &message))
            .or_else(|| classify_parse(&chain, &message))
            .unwrap_or_else(|| classify_connect(error, &chain, &message, uses_proxy))
    }

    fn new(reason: Reason, cause: Cause, message: &str) -> Self {
        Self {
            reason,
            cause,
            message: message.to_owned(),
        }
    }
}

fn classify_tls(chain: &[ErrorRef<'_>], message: &str) -> Option<TransportError> {
    let error = chain
        .iter()
        .find_map(|error| error.downcast_ref::<rustls::Error>())?;
    let (cause, message) = match error {
        rustls::Error::InvalidCertificate(_) => (Cause::UntrustedCertificate, message),
        rustls::Error::InvalidMessage(_) => (Cause::NoTls, "the response is not TLS"),
        _ => (Cause::TlsRefused, message),
    };
    Some(TransportError::new(Reason::Tls, cause, message))
}

/// Classifies errors of the tunnel through which an `https` server is reached; their type is private.
fn classify_proxy(chain: &[ErrorRef<'_>], message: &str) -> Option<TransportError> {
    let texts: Vec<_> = chain.iter().map(ToString::to_string).collect();
    let text = texts
        .iter()
        .find_map(|text| text.strip_prefix("tunnel error: "))?;
    let mut cause = Cause::ProxyRefused;
    let message = match text {
        "failed to create underlying connection" => {
            cause = Cause::ProxyUnreachable;
            message
        }
        "proxy authorization required" => "the proxy requires a user and a password",
        "unsuccessful" => "the proxy did not open a tunnel to the server",
        _ => "the proxy closed the connection before its response was complete",
    };
    Some(TransportError::new(Reason::Connect, cause, message))
}

fn classify_parse(chain: &[ErrorRef<'_>], message: &str) -> Option<TransportError> {
    let mut http_errors = chain
        .iter()
        .filter_map(|error| error.downcast_ref::<hyper::Error>());
    let is_parse_error = http_errors.any(hyper::Error::is_parse);
    is_parse_error.then(|| TransportError::invalid_response(message))
}

fn classify_connect(
    error: &reqwest::Error,
    chain: &[ErrorRef<'_>],
    message: &str,
    uses_proxy: bool,
) -> TransportError {
    let chain_contains = |text: &str| chain.iter().any(|error| error.to_string() == text);
    let (reason, cause, message) = if error.is_timeout() {
        (Reason::Timeout, Cause::Timeout, message)
    } else if error.is_connect() && uses_proxy {
        (Reason::Connect, Cause::ProxyUnreachable, message)
    } else if chain_contains("dns error") {
        (Reason::Connect, Cause::NameNotFound, message)
    } else if chain_contains("tls handshake eof") {
        let message = "connection closed during the TLS handshake";
        (Reason::Connect, Cause::NoTls, message)
    } else if error.is_connect() && !was_established(chain) {
        (Reason::Connect, Cause::Unreachable, message)
    } else {
        (Reason::Connect, Cause::BrokenConnection, message)
    };
    TransportError::new(reason, cause, message)
}

/// Returns whether the connection was open when it failed: a reset connection was, a refused one was not.
fn was_established(chain: &[ErrorRef<'_>]) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let mut io_errors = chain
        .iter()
        .filter_map(|error| error.downcast_ref::<io::Error>());
    io_errors.any(|error| {
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        )
    })
}

/// Returns the next error of the chain, also the one that an I/O error wraps.
fn inner_error<'a>(error: ErrorRef<'a>) -> Option<ErrorRef<'a>> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
