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

use crate::account::metrics::AccountMetrics;
use crate::clock::Moment;
use crate::ringcentral::error::Error;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::reason::Reason;
use crate::ringcentral::response_body;
use crate::ringcentral::transport_error::TransportError;
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
const MAX_REDIRECTS: u32 = 3;

/// The way to one account's server.
pub struct Transport {
    /// May be shared with other accounts.
    pub http: reqwest::Client,
    server: Url,
    uses_proxy: bool,
    /// Asked before each request, told of each.
    pub budget: Budget,
    instruments: Arc<AccountMetrics>,
    /// Of the last answer, for the log if its body proves wrong.
    request_id: Option<String>,
    /// Bytes of the last body: the next is likely to be about as large.
    last_body_len: usize,
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
pub fn proxy_for(server: &Url) -> Option<String> {
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
        instruments: Arc<AccountMetrics>,
    ) -> Self {
        let proxied = proxy_for(&server).is_some();
        Self {
            http,
            server,
            uses_proxy: proxied,
            budget,
            instruments,
            request_id: None,
            last_body_len: 0,
        }
    }

    /// An address on the server.
    ///
    /// # Errors
    /// `invalid_response` when `path`, which an answer may have given, leads off the configured origin or nowhere.
    pub fn resolve_url(
        &self,
        operation: Operation,
        base: Option<&Url>,
        path: &str,
    ) -> Result<Url, Error> {
        let url = base.unwrap_or(&self.server).join(path);
        match url {
            Ok(url) if url.origin() == self.server.origin() => Ok(url),
            Ok(_) => Err(self.record_failure(
                operation,
                Reason::InvalidResponse,
                "the API points to another origin than configured",
            )),
            Err(_) => Err(self.record_failure(
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
        for _ in 0..=MAX_REDIRECTS {
            let reply = self
                .send_once(operation, build(&self.http, url.clone()), deadline)
                .await?;
            match reply.status {
                200..=299 => return Ok(reply.body),
                301 | 302 | 307 | 308 => {
                    url = self.redirect_target(operation, &url, &reply.headers)?
                }
                _ => return Err(self.status_error(operation, &reply)),
            }
        }
        Err(self.record_failure(
            operation,
            Reason::InvalidResponse,
            "the API redirects more than three times",
        ))
    }

    /// A failure that is counted here and now, with the id of the request that was answered last.
    pub fn record_failure(
        &self,
        operation: Operation,
        reason: Reason,
        what: impl Into<String>,
    ) -> Error {
        self.instruments.api.record_failure(operation, reason);
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
    ) -> Result<ApiResponse, Error> {
        self.request_id = None;
        let sent = Moment::now();
        if !self.budget.next_request_at(operation, sent).is_past(sent) {
            return Err(self.record_failure(
                operation,
                Reason::Budget,
                "the limit leaves no room for this request",
            ));
        }
        self.budget.record_request(operation, sent);
        self.instruments.api.record_request(operation);
        let answer = execute(request, deadline, self.uses_proxy, self.expected_size()).await;
        let answered = Moment::now();
        self.instruments
            .api
            .observe_duration(operation, answered.saturating_duration_since(sent));
        let head = answer.as_ref().ok();
        let notice = head
            .map(|answer| RateLimitHeaders::parse(answer.status, &answer.headers, answered.wall));
        self.request_id = head.and_then(|answer| request_id(&answer.headers));
        self.budget
            .record_response(operation, notice.as_ref(), answered);
        let reply = answer
            .and_then(RawResponse::into_response)
            .inspect(|reply| self.last_body_len = reply.body.len());
        reply.map_err(|broken| Error {
            cause: broken.cause,
            ..self.record_failure(operation, broken.reason, broken.message)
        })
    }

    /// A buffer that grows is copied again and again, which adds up where many accounts are read side by side.
    fn expected_size(&self) -> usize {
        (self.last_body_len + self.last_body_len / 8).min(response_body::MAX_BODY)
    }

    fn redirect_target(
        &self,
        operation: Operation,
        from: &Url,
        headers: &HeaderMap,
    ) -> Result<Url, Error> {
        let location = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        match location {
            Some(location) => self.resolve_url(operation, Some(from), location),
            None => Err(self.record_failure(
                operation,
                Reason::InvalidResponse,
                "the API redirects to nowhere",
            )),
        }
    }

    fn status_error(&self, operation: Operation, reply: &ApiResponse) -> Error {
        let error = Error::from_response(
            operation,
            reply.status,
            parse_api_error(&reply.body),
            self.request_id.clone(),
        );
        self.instruments.api.record_failure(operation, error.reason);
        error
    }
}

/// A whole answer.
struct ApiResponse {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer whose head has come, and whose body may be broken: what the head says of limits holds all the same.
struct RawResponse {
    status: u16,
    headers: HeaderMap,
    body: Result<Bytes, TransportError>,
}

async fn execute(
    request: RequestBuilder,
    deadline: Instant,
    proxied: bool,
    expected_size: usize,
) -> Result<RawResponse, TransportError> {
    let request = request.header(ACCEPT_ENCODING, response_body::ENCODING);
    let response = timeout_at(deadline, request.send())
        .await
        .map_err(|_| TransportError::timeout())?;
    let response = response.map_err(|error| TransportError::from_reqwest(&error, proxied))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = match status {
        300..=399 => Ok(Bytes::new()),
        _ => timeout_at(deadline, response_body::read(response, expected_size))
            .await
            .unwrap_or_else(|_| Err(TransportError::timeout())),
    };
    Ok(RawResponse {
        status,
        headers,
        body,
    })
}

impl RawResponse {
    /// A refusal speaks by its status, whatever becomes of its body.
    fn into_response(self) -> Result<ApiResponse, TransportError> {
        let Self {
            status,
            headers,
            body,
        } = self;
        match body {
            Ok(body) => Ok(ApiResponse {
                status,
                headers,
                body,
            }),
            Err(_) if status >= 400 => Ok(ApiResponse {
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
