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

/// The way of a request to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A connection to the server.
    Direct,
    /// A connection to a proxy, which sends the request to an `http` server.
    Proxy,
    /// A connection that a proxy opens to an `https` server.
    Tunnel,
}

type ErrorRef<'a> = &'a (dyn Error + 'static);

const PROXY_WITHOUT_TLS: &str =
    "the proxy does not accept TLS connections; most proxies need http:// in their URL";
/// The text of the error of a tunnel whose proxy was not reached.
const NO_PROXY_CONNECTION: &str = "failed to create underlying connection";

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

    /// Classifies an error of the HTTP client.
    #[must_use]
    pub fn from_reqwest(error: &reqwest::Error, route: Route) -> Self {
        let mut chain: Vec<ErrorRef<'_>> = vec![error];
        let mut innermost: ErrorRef<'_> = error;
        while let Some(inner) = inner_error(innermost) {
            chain.push(inner);
            innermost = inner;
        }
        let message = innermost.to_string();
        let texts: Vec<_> = chain.iter().map(ToString::to_string).collect();
        let has_text = |expected: &str| texts.iter().any(|text| text == expected);
        let mut tunnel_errors = texts
            .iter()
            .filter_map(|text| text.strip_prefix("tunnel error: "));
        let tunnel_error = tunnel_errors.next();
        let is_at_proxy = match route {
            Route::Direct => false,
            Route::Proxy => error.is_connect(),
            Route::Tunnel => tunnel_error == Some(NO_PROXY_CONNECTION),
        };
        for inner in &chain {
            if let Some(tls_error) = inner.downcast_ref::<rustls::Error>() {
                return Self::from_tls(tls_error, &message, is_at_proxy);
            }
        }
        if has_text("tls handshake eof") {
            return Self::from_handshake_end(route, is_at_proxy);
        }
        if let Some(text) = tunnel_error.filter(|_| !is_at_proxy) {
            return Self::from_tunnel(text);
        }
        let cause = if chain.iter().any(is_parse_error) {
            Cause::NotRingCentral
        } else if error.is_timeout() {
            Cause::Timeout
        } else if is_at_proxy {
            Cause::ProxyUnreachable
        } else if has_text("dns error") {
            Cause::NameNotFound
        } else if error.is_connect() && !chain.iter().any(was_established) {
            Cause::Unreachable
        } else {
            Cause::BrokenConnection
        };
        Self::new(cause, &message)
    }

    /// Classifies an error of TLS, with the server or with the proxy itself.
    fn from_tls(error: &rustls::Error, message: &str, is_at_proxy: bool) -> Self {
        match (error, is_at_proxy) {
            (rustls::Error::InvalidCertificate(_), true) => {
                let message = format!("the certificate of the proxy: {message}");
                Self::new(Cause::UntrustedCertificate, &message)
            }
            (rustls::Error::InvalidMessage(_), true) => {
                Self::new(Cause::ProxyUnreachable, PROXY_WITHOUT_TLS)
            }
            (_, true) => Self::new(Cause::TlsRefused, &format!("TLS of the proxy: {message}")),
            (rustls::Error::InvalidCertificate(_), false) => {
                Self::new(Cause::UntrustedCertificate, message)
            }
            (rustls::Error::InvalidMessage(_), false) => {
                Self::new(Cause::NoTls, "the response is not TLS")
            }
            (_, false) => Self::new(Cause::TlsRefused, message),
        }
    }

    /// Classifies a connection that closed during the TLS handshake.
    fn from_handshake_end(route: Route, is_at_proxy: bool) -> Self {
        match route {
            _ if is_at_proxy => Self::new(Cause::ProxyUnreachable, PROXY_WITHOUT_TLS),
            Route::Tunnel => Self::new(
                Cause::BrokenConnection,
                "the proxy opened a tunnel, and the connection closed during the TLS handshake",
            ),
            _ => Self::new(Cause::NoTls, "connection closed during the TLS handshake"),
        }
    }

    /// Classifies an error of a proxy that was reached; its type is private.
    fn from_tunnel(text: &str) -> Self {
        let message = match text {
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
