//! One request: from the budget's leave to a checked reply.
//!
//! Owns: the HTTP client, the time of a reply, redirects, and that every request is weighed by the budget
//! before it leaves, counted when it does, and its answer heard. Refuses to know: tokens, pages and what a body means.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Certificate, RequestBuilder, Url};
use tokio::time::{Instant, timeout_at};

use crate::account::metrics::Instruments;
use crate::clock::Moment;
use crate::ringcentral::error::{Error, Reason};
use crate::ringcentral::operation::Operation;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::rate_limit::headers::Notice;
use crate::ringcentral::response_body;
use crate::ringcentral::transport_error::Breakage;
use crate::ringcentral::wire::parse_api_error;

/// What we call ourselves to RingCentral.
const USER_AGENT: &str = concat!(
    "ringcentral-exporter/",
    env!("CARGO_PKG_VERSION"),
    " (Prometheus exporter)"
);
/// Load balancers close a silent connection after a minute or so; one that is closing must not meet a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Redirects that are followed.
const REDIRECTS_MOST: u32 = 3;

/// The way to one account's server.
pub struct Transport {
    /// May be shared with other accounts.
    pub http: reqwest::Client,
    server: Url,
    proxied: bool,
    /// Asked before each request, told of each.
    pub budget: Budget,
    instruments: Arc<Instruments>,
    /// Of the last answer, for the log if its body proves wrong.
    request_id: Option<String>,
    /// Bytes of the last body: the next is likely to be about as large.
    last_size: usize,
}

/// Builds the HTTP client for a server, with further root certificates in PEM. One without TLS needs no root
/// certificates, and there may be none; one on this machine is asked without a proxy.
///
/// # Errors
/// When the root certificates, the system's or these, cannot be read.
pub fn http_client(server: &Url, ca: Option<&[u8]>) -> anyhow::Result<reqwest::Client> {
    // A second call finds the provider there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_only();
    if is_loopback(server) {
        builder = builder.no_proxy();
    }
    let builder = match server.scheme() {
        "http" => builder.tls_certs_only([]),
        _ => builder.tls_certs_merge(Certificate::from_pem_bundle(ca.unwrap_or_default())?),
    };
    builder.build().context(
        "cannot set up TLS: does the system have root certificates (package ca-certificates)?",
    )
}

/// Whether the server is on this machine.
#[must_use]
pub fn is_loopback(server: &Url) -> bool {
    match server.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// The proxy that the environment names for a server, without its user and password.
#[must_use]
pub fn proxy_of(server: &Url) -> Option<String> {
    let matcher = Matcher::from_system();
    let proxy = matcher
        .intercept(&server.as_str().parse().ok()?)
        .filter(|_| !is_loopback(server))?;
    let scheme = proxy.uri().scheme_str().unwrap_or("http");
    let port = proxy
        .uri()
        .port()
        .map_or(String::new(), |port| format!(":{port}"));
    Some(format!("{scheme}://{}{port}", proxy.uri().host()?))
}

impl Transport {
    /// A way to `server` within `budget`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        server: Url,
        budget: Budget,
        instruments: Arc<Instruments>,
    ) -> Self {
        let proxied = proxy_of(&server).is_some();
        Self {
            http,
            server,
            proxied,
            budget,
            instruments,
            request_id: None,
            last_size: 0,
        }
    }

    /// An address on the server.
    ///
    /// # Errors
    /// `invalid_response` when `path`, which an answer may have given, leads off the configured origin or nowhere.
    pub fn address(
        &self,
        operation: Operation,
        base: Option<&Url>,
        path: &str,
    ) -> Result<Url, Error> {
        let url = base.unwrap_or(&self.server).join(path);
        match url {
            Ok(url) if url.origin() == self.server.origin() => Ok(url),
            Ok(_) => Err(self.fault(
                operation,
                Reason::InvalidResponse,
                "the API points to another origin than configured",
            )),
            Err(_) => Err(self.fault(
                operation,
                Reason::InvalidResponse,
                "the API points to an address that is none",
            )),
        }
    }

    /// Sends a request and gives the body of its 2xx reply. Redirects cost a request each, are followed within the
    /// origin alone, and keep the method.
    ///
    /// # Errors
    /// Whatever went wrong, counted by its reason.
    pub async fn send(
        &mut self,
        operation: Operation,
        url: Url,
        deadline: Instant,
        build: impl Fn(&reqwest::Client, Url) -> RequestBuilder,
    ) -> Result<Bytes, Error> {
        let mut url = url;
        for _ in 0..=REDIRECTS_MOST {
            let reply = self
                .send_once(operation, build(&self.http, url.clone()), deadline)
                .await?;
            match reply.status {
                200..=299 => return Ok(reply.body),
                301 | 302 | 307 | 308 => url = self.redirected(operation, &url, &reply.headers)?,
                _ => return Err(self.refused(operation, &reply)),
            }
        }
        Err(self.fault(
            operation,
            Reason::InvalidResponse,
            "the API redirects more than three times",
        ))
    }

    /// A failure that is counted here and now, with the id of the request that was answered last.
    pub fn fault(&self, operation: Operation, reason: Reason, what: impl Into<String>) -> Error {
        self.instruments.api.failed(operation, reason);
        Error {
            request_id: self.request_id.clone(),
            ..Error::new(operation, reason, what)
        }
    }

    async fn send_once(
        &mut self,
        operation: Operation,
        request: RequestBuilder,
        deadline: Instant,
    ) -> Result<Reply, Error> {
        self.request_id = None;
        let sent = Moment::now();
        if !self.budget.request_at(operation, sent).is_past(sent) {
            return Err(self.fault(
                operation,
                Reason::Budget,
                "the limit leaves no room for this request",
            ));
        }
        self.budget.sent(operation, sent);
        self.instruments.api.sent(operation);
        let answer = exchange(request, deadline, self.proxied, self.expected_size()).await;
        let answered = Moment::now();
        self.instruments.api.took(operation, answered.since(sent));
        let head = answer.as_ref().ok();
        let notice = head.map(|answer| Notice::read(answer.status, &answer.headers, answered.wall));
        self.request_id = head.and_then(|answer| request_id(&answer.headers));
        self.budget.answered(operation, notice.as_ref(), answered);
        let reply = answer
            .and_then(Answer::whole)
            .inspect(|reply| self.last_size = reply.body.len());
        reply.map_err(|broken| Error {
            cause: broken.cause,
            ..self.fault(operation, broken.reason, broken.what)
        })
    }

    /// A buffer that grows is copied again and again, which adds up where many accounts are read side by side.
    fn expected_size(&self) -> usize {
        (self.last_size + self.last_size / 8).min(response_body::MOST)
    }

    fn redirected(
        &self,
        operation: Operation,
        from: &Url,
        headers: &HeaderMap,
    ) -> Result<Url, Error> {
        let location = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        match location {
            Some(location) => self.address(operation, Some(from), location),
            None => Err(self.fault(
                operation,
                Reason::InvalidResponse,
                "the API redirects to nowhere",
            )),
        }
    }

    fn refused(&self, operation: Operation, reply: &Reply) -> Error {
        let error = Error::of_answer(
            operation,
            reply.status,
            parse_api_error(&reply.body),
            self.request_id.clone(),
        );
        self.instruments.api.failed(operation, error.reason);
        error
    }
}

/// A whole answer.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer whose head has come, and whose body may be broken: what the head says of limits holds all the same.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Result<Bytes, Breakage>,
}

async fn exchange(
    request: RequestBuilder,
    deadline: Instant,
    proxied: bool,
    expected_size: usize,
) -> Result<Answer, Breakage> {
    let request = request.header(ACCEPT_ENCODING, response_body::ENCODING);
    let response = timeout_at(deadline, request.send())
        .await
        .map_err(|_| Breakage::late())?;
    let response = response.map_err(|error| Breakage::of(&error, proxied))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = match status {
        300..=399 => Ok(Bytes::new()),
        _ => timeout_at(deadline, response_body::read(response, expected_size))
            .await
            .unwrap_or_else(|_| Err(Breakage::late())),
    };
    Ok(Answer {
        status,
        headers,
        body,
    })
}

impl Answer {
    /// A refusal speaks by its status, whatever becomes of its body.
    fn whole(self) -> Result<Reply, Breakage> {
        let Self {
            status,
            headers,
            body,
        } = self;
        match body {
            Ok(body) => Ok(Reply {
                status,
                headers,
                body,
            }),
            Err(_) if status >= 400 => Ok(Reply {
                status,
                headers,
                body: Bytes::new(),
            }),
            Err(fault) => Err(fault),
        }
    }
}

/// `RCRequestId`, if it is short and plain.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("rcrequestid")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (id.len() <= 64 && id.bytes().all(plain)).then(|| id.to_owned())
}
