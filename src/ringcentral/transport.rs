//! One request to RingCentral: checked against the budget, sent, counted, and redirected within the
//! origin.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, RequestBuilder, Url};
use tokio::time::{Instant, timeout_at};

use crate::clock::Moment;
use crate::ringcentral::metrics::ApiMetrics;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::transport_error::TransportError;
use crate::ringcentral::wire::parse_api_error;
use crate::ringcentral::{Cause, Error, Operation, response_body};

/// The value of `User-Agent`.
const USER_AGENT: &str = concat!(
    "ringcentral-exporter/",
    env!("CARGO_PKG_VERSION"),
    " (Prometheus exporter)"
);
/// How long an idle connection is kept: load balancers close it after about 60 s, and a request
/// must not be sent on a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of redirects of one request.
const MAX_REDIRECTS: u32 = 3;
/// The maximum length of a request id that is logged.
const MAX_REQUEST_ID_LEN: usize = 64;

/// Sends the requests of one account to its server.
pub(crate) struct Transport {
    /// The HTTP client, which other accounts may share.
    pub(crate) http: reqwest::Client,
    server: Url,
    uses_proxy: bool,
    /// The budget that each request is checked against and counted in.
    pub(crate) budget: Budget,
    metrics: Arc<ApiMetrics>,
    /// The id of the last response, for the log if its body is invalid.
    request_id: Option<String>,
}

/// A response; its headers are valid even if reading its body failed.
struct ApiResponse {
    status: u16,
    headers: HeaderMap,
    body: Result<Bytes, TransportError>,
}

/// Builds the HTTP client for a server, which trusts the root certificates of the system and those
/// of `ca` (PEM).
///
/// A server without TLS needs no root certificates, so the system may have none. A loopback server
/// is requested without a proxy.
///
/// # Errors
/// Returns an error if the root certificates of the system or of `ca` cannot be read.
pub fn http_client(server: &Url, ca: Option<&[u8]>) -> anyhow::Result<reqwest::Client> {
    // This fails if a provider is already installed, which is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_only();
    if is_loopback(server) {
        builder = builder.no_proxy();
    }
    builder = if server.scheme() == "http" {
        builder.tls_certs_only([])
    } else {
        let certificates = Certificate::from_pem_bundle(ca.unwrap_or_default())?;
        builder.tls_certs_merge(certificates)
    };
    builder.build().context(
        "cannot set up TLS: does the system have root certificates (package ca-certificates)?",
    )
}

/// Returns whether the server is on this machine, by its name or IP address.
pub(crate) fn is_loopback(server: &Url) -> bool {
    let Some(host) = server.host_str() else {
        return false;
    };
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host == "localhost",
    }
}

/// Returns the proxy that the environment sets for a server, without its user and password.
pub(crate) fn proxy_for(server: &Url) -> Option<String> {
    if is_loopback(server) {
        return None;
    }
    let proxy = Matcher::from_system().intercept(&server.as_str().parse().ok()?)?;
    let scheme = proxy.uri().scheme_str().unwrap_or("http");
    let host = proxy.uri().host()?;
    match proxy.uri().port() {
        Some(port) => Some(format!("{scheme}://{host}:{port}")),
        None => Some(format!("{scheme}://{host}")),
    }
}

// === impl Transport ===

impl Transport {
    /// Creates a transport to `server` that sends requests within `budget`.
    pub(crate) fn new(
        http: reqwest::Client,
        server: Url,
        budget: Budget,
        metrics: Arc<ApiMetrics>,
    ) -> Self {
        let uses_proxy = proxy_for(&server).is_some();
        Self {
            http,
            server,
            uses_proxy,
            budget,
            metrics,
            request_id: None,
        }
    }

    /// Resolves a URL on the server, relative to `base` or to the server itself. Counts a failure.
    ///
    /// # Errors
    /// Returns an error if `uri`, which may be from a response, is invalid or leaves the configured
    /// origin.
    pub(crate) fn resolve_url(
        &self,
        operation: Operation,
        base: Option<&Url>,
        uri: &str,
    ) -> Result<Url, Error> {
        let problem = match base.unwrap_or(&self.server).join(uri) {
            Ok(url) if url.origin() == self.server.origin() => return Ok(url),
            Ok(_) => "the URL has another origin than the configured server",
            Err(_) => "invalid URL",
        };
        Err(self.record_invalid_response(operation, problem))
    }

    /// Sends a request and returns the body of its 2xx response. A redirect is followed within the
    /// origin, keeps the method, and counts as a further request.
    ///
    /// # Errors
    /// Returns an error, after counting it by its reason, if there is no complete 2xx response.
    pub(crate) async fn send(
        &mut self,
        operation: Operation,
        mut url: Url,
        deadline: Instant,
        build_request: impl Fn(&reqwest::Client, Url) -> RequestBuilder,
    ) -> Result<Bytes, Error> {
        for _ in 0..=MAX_REDIRECTS {
            let request = build_request(&self.http, url.clone());
            let response = self.send_once(operation, request, deadline).await?;
            match response.status {
                200..=299 => {
                    let record = |error| self.record_transport_error(operation, error);
                    return response.body.map_err(record);
                }
                301 | 302 | 307 | 308 => {
                    let location = response.headers.get(LOCATION).map(HeaderValue::to_str);
                    let Some(Ok(location)) = location else {
                        let problem = "the redirect has no valid Location header";
                        return Err(self.record_invalid_response(operation, problem));
                    };
                    url = self.resolve_url(operation, Some(&url), location)?;
                }
                _ => return Err(self.record_error_response(operation, response)),
            }
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(self.record_invalid_response(operation, problem))
    }

    /// Counts a failure and returns it as an error, with the id of the last response.
    pub(crate) fn record_failure(
        &self,
        operation: Operation,
        cause: Cause,
        message: impl Into<String>,
    ) -> Error {
        let mut error = Error::new(operation, cause, message);
        error.request_id = self.request_id.clone();
        self.metrics.record_failure(operation, error.reason);
        error
    }

    /// Counts an invalid response and returns it as an error.
    pub(crate) fn record_invalid_response(
        &self,
        operation: Operation,
        problem: impl fmt::Display,
    ) -> Error {
        self.record_failure(operation, Cause::NotRingCentral, problem.to_string())
    }

    async fn send_once(
        &mut self,
        operation: Operation,
        request: RequestBuilder,
        deadline: Instant,
    ) -> Result<ApiResponse, Error> {
        self.request_id = None;
        let sent = Moment::now();
        if !self.budget.try_request(operation, sent) {
            let problem = "not sent: the rate limit is reached";
            return Err(self.record_failure(operation, Cause::NoBudget, problem));
        }
        self.metrics.record_request(operation);
        let result = execute(request, deadline, self.uses_proxy).await;
        let received = Moment::now();
        self.metrics
            .observe_duration(operation, received.monotonic_duration_since(sent));
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                self.budget.record_response(operation, None, received);
                return Err(self.record_transport_error(operation, error));
            }
        };
        let limits = RateLimitHeaders::parse(response.status, &response.headers, received.wall);
        self.budget
            .record_response(operation, Some(&limits), received);
        self.request_id = request_id(&response.headers);
        Ok(response)
    }

    fn record_transport_error(&self, operation: Operation, error: TransportError) -> Error {
        self.record_failure(operation, error.cause, error.message)
    }

    /// Counts a response with an error status, which is valid even if its body is incomplete.
    fn record_error_response(&self, operation: Operation, response: ApiResponse) -> Error {
        let api_error = parse_api_error(&response.body.unwrap_or_default());
        let request_id = self.request_id.clone();
        let error = Error::from_response(operation, response.status, api_error, request_id);
        self.metrics.record_failure(operation, error.reason);
        error
    }
}

async fn execute(
    request: RequestBuilder,
    deadline: Instant,
    uses_proxy: bool,
) -> Result<ApiResponse, TransportError> {
    let request = request.header(ACCEPT_ENCODING, response_body::ACCEPTED_ENCODING);
    let response = match timeout_at(deadline, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(TransportError::from_reqwest(&error, uses_proxy)),
        Err(_) => return Err(TransportError::timeout()),
    };
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = match status {
        300..=399 => Ok(Bytes::new()),
        _ => match timeout_at(deadline, response_body::read(response)).await {
            Ok(body) => body,
            Err(_) => Err(TransportError::timeout()),
        },
    };
    Ok(ApiResponse {
        status,
        headers,
        body,
    })
}

/// Returns the `RCRequestId` header, unless it is too long or has characters that are unsafe in a
/// log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("rcrequestid")?.to_str().ok()?;
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if id.len() > MAX_REQUEST_ID_LEN || !id.bytes().all(is_safe) {
        return None;
    }
    Some(id.to_owned())
}
