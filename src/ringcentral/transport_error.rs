//! What broke on the way to an answer: **pure**.
//!
//! Owns: reading the chain of causes in an error of the HTTP client: name, connection, proxy, TLS, or an answer that is
//! none. Refuses to repeat: addresses, which the outer errors name; the innermost speaks alone. Some links have no type
//! that can be asked for and are known by their words, which the tests of `check` hold fast.

use std::error::Error;
use std::io;
use std::iter::successors;

use crate::ringcentral::cause::Cause;
use crate::ringcentral::error::Reason;

/// Why there is no answer.
#[derive(Debug)]
pub struct TransportError {
    /// What is counted.
    pub reason: Reason,
    /// What a person looks up.
    pub cause: Cause,
    /// What happened.
    pub what: String,
}

type ErrorRef<'a> = &'a (dyn Error + 'static);

impl TransportError {
    /// The time ran out.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new(Reason::Timeout, Cause::Timeout, "no whole answer in time")
    }

    /// An answer came, and cannot be believed.
    #[must_use]
    pub fn invalid_response(what: &str) -> Self {
        Self::new(Reason::InvalidResponse, Cause::NotRingCentral, what)
    }

    /// Reads an error; `proxied` says that a proxy was to be asked.
    #[must_use]
    pub fn from_reqwest(error: &reqwest::Error, proxied: bool) -> Self {
        let links: Vec<ErrorRef<'_>> =
            successors(Some(error as ErrorRef<'_>), |link| cause_of(*link)).collect();
        let innermost = links.last().map(ToString::to_string).unwrap_or_default();
        let told = classify_tls(&links)
            .or_else(|| classify_proxy(&links))
            .or_else(|| classify_parse(&links));
        let (reason, cause, what) =
            told.unwrap_or_else(|| classify_connect(error, &links, proxied));
        Self::new(
            reason,
            cause,
            if what.is_empty() { &innermost } else { what },
        )
    }

    fn new(reason: Reason, cause: Cause, what: &str) -> Self {
        Self {
            reason,
            cause,
            what: what.to_owned(),
        }
    }
}

/// What is told; empty words stand for those of the innermost link.
type Classification = (Reason, Cause, &'static str);

fn classify_tls(links: &[ErrorRef<'_>]) -> Option<Classification> {
    let cause = match links
        .iter()
        .find_map(|link| link.downcast_ref::<rustls::Error>())?
    {
        rustls::Error::InvalidCertificate(_) => Cause::UntrustedCertificate,
        rustls::Error::InvalidMessage(_) => {
            return Some((Reason::Tls, Cause::NoTls, "the answer is not TLS"));
        }
        _ => Cause::TlsRefused,
    };
    Some((Reason::Tls, cause, ""))
}

/// The way to an https server leads through a tunnel, whose errors have a type that is not public.
fn classify_proxy(links: &[ErrorRef<'_>]) -> Option<Classification> {
    let words: Vec<_> = links.iter().map(ToString::to_string).collect();
    let tunnel = words
        .iter()
        .find_map(|words| words.strip_prefix("tunnel error: "))?;
    Some(match tunnel {
        "failed to create underlying connection" => (Reason::Connect, Cause::ProxyUnreachable, ""),
        "proxy authorization required" => (
            Reason::Connect,
            Cause::ProxyRefused,
            "the proxy asks for a user and a password",
        ),
        "unsuccessful" => (
            Reason::Connect,
            Cause::ProxyRefused,
            "the proxy opened no way to the server",
        ),
        _ => (
            Reason::Connect,
            Cause::ProxyRefused,
            "the proxy's answer broke off",
        ),
    })
}

fn classify_parse(links: &[ErrorRef<'_>]) -> Option<Classification> {
    let mut http = links
        .iter()
        .filter_map(|link| link.downcast_ref::<hyper::Error>());
    http.any(hyper::Error::is_parse)
        .then_some((Reason::InvalidResponse, Cause::NotRingCentral, ""))
}

fn classify_connect(
    error: &reqwest::Error,
    links: &[ErrorRef<'_>],
    proxied: bool,
) -> Classification {
    let chain_contains = |words: &str| links.iter().any(|link| link.to_string() == words);
    match () {
        () if error.is_timeout() => (Reason::Timeout, Cause::Timeout, ""),
        () if error.is_connect() && proxied => (Reason::Connect, Cause::ProxyUnreachable, ""),
        () if chain_contains("dns error") => (Reason::Connect, Cause::NameNotFound, ""),
        () if chain_contains("tls handshake eof") => (
            Reason::Connect,
            Cause::NoTls,
            "the connection ended in the TLS handshake",
        ),
        () if error.is_connect() && !was_established(links) => {
            (Reason::Connect, Cause::Unreachable, "")
        }
        () => (Reason::Connect, Cause::BrokenConnection, ""),
    }
}

/// A connection that is reset was open; one that is refused, or leads nowhere, never was.
fn was_established(links: &[ErrorRef<'_>]) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kinds = links
        .iter()
        .filter_map(|link| link.downcast_ref::<io::Error>().map(io::Error::kind));
    kinds.into_iter().any(|kind| {
        matches!(
            kind,
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        )
    })
}

/// The cause of an error; an I/O error that wraps another counts as a link of the chain.
fn cause_of<'a>(error: ErrorRef<'a>) -> Option<ErrorRef<'a>> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
