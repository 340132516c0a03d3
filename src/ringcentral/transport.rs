//! One request to RingCentral: checked against the budget, sent, counted, and redirected within the
//! origin.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, LOCATION};
use reqwest::{RequestBuilder, Url};
use tokio::time::{Instant, timeout_at};

use crate::clock::Moment;
use crate::ringcentral::http_client::{self, HttpClient};
use crate::ringcentral::metrics::ApiMetrics;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::rate_limit::headers::RateLimitHeaders;
use crate::ringcentral::transport_error::{Route, TransportError};
use crate::ringcentral::wire::parse_api_error;
use crate::ringcentral::{Cause, Error, Operation, response_body};

pub use crate::ringcentral::http_client::http_client;

/// The maximum number of redirects of one request.
const MAX_REDIRECTS: u32 = 3;
/// The maximum length of a request id that is logged.
const MAX_REQUEST_ID_LEN: usize = 64;

/// Sends the requests of one account to its server.
pub(crate) struct Transport {
    /// The HTTP client, which other accounts may share.
    pub(crate) http: HttpClient,
    server: Url,
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
    /// The address that sent the response.
    address: Option<SocketAddr>,
}

// === impl Transport ===

impl Transport {
    /// Creates a transport to `server` that sends requests within `budget`.
    pub(crate) fn new(
        http: HttpClient,
        server: Url,
        budget: Budget,
        metrics: Arc<ApiMetrics>,
    ) -> Self {
        Self {
            http,
            server,
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
            Ok(url) if has_user_info(&url) => "the URL contains a user or password",
            Ok(url) if url.origin() == self.server.origin() => return Ok(url),
            Ok(_) => "the URL has another origin than the configured server",
            Err(_) => "invalid URL",
        };
        Err(self.record_invalid_response(operation, problem))
    }

    /// Sends a request and returns the body of its 2xx response. A redirect is followed within the
    /// origin and counts as a further request. It keeps the method, except that a 303 to a POST
    /// means a GET without the form and the client secret.
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
        let mut without_form = false;
        for _ in 0..=MAX_REDIRECTS {
            let build = |http: &reqwest::Client| match without_form {
                true => http.get(url.clone()).header(ACCEPT, "application/json"),
                false => build_request(http, url.clone()),
            };
            let response = self.send_repeatable(operation, deadline, build).await?;
            match response.status {
                200..=299 => {
                    let record = |error| self.record_transport_error(operation, error);
                    let body = response.body.map_err(record)?;
                    self.http.record_success(response.address);
                    return Ok(body);
                }
                300..=399 => {
                    url = self.redirect_target(operation, &url, &response)?;
                    without_form |= response.status == 303 && !operation.is_get();
                }
                _ => return Err(self.record_error_response(operation, response)),
            }
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(self.record_invalid_response(operation, problem))
    }

    /// Returns the URL that a response with status 3xx redirects to.
    fn redirect_target(
        &self,
        operation: Operation,
        url: &Url,
        response: &ApiResponse,
    ) -> Result<Url, Error> {
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            let problem = format!("unexpected HTTP status {}", response.status);
            return Err(self.record_invalid_response(operation, problem));
        }
        let mut locations = response.headers.get_all(LOCATION).iter();
        if let (Some(location), None) = (locations.next(), locations.next())
            && let Ok(location) = location.to_str()
            && !location.is_empty()
        {
            return self.resolve_url(operation, Some(url), location);
        }
        let problem = "the redirect has no valid Location header";
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
        self.count_failure(error)
    }

    fn count_failure(&self, error: Error) -> Error {
        self.metrics.record_failure(error.operation, error.reason);
        error
    }

    /// Counts an invalid response and returns it as an error. Later requests open connections.
    pub(crate) fn record_invalid_response(
        &self,
        operation: Operation,
        problem: impl fmt::Display,
    ) -> Error {
        self.http.record_failure();
        self.record_failure(operation, Cause::NotRingCentral, problem.to_string())
    }

    /// Sends a request, and a GET once more if its connection was kept from an earlier request and
    /// closed before the response: the server closed it while the request was on its way. The
    /// second request opens a connection. It is sent only if the budget allows it.
    async fn send_repeatable(
        &mut self,
        operation: Operation,
        deadline: Instant,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<ApiResponse, Error> {
        self.request_id = None;
        if !self.budget.try_request(operation, Moment::now()) {
            let problem = "not sent: the rate limit is reached";
            return Err(self.record_failure(operation, Cause::NoBudget, problem));
        }
        let request = build(&self.http.for_request());
        let mut result = self.send_once(operation, request, deadline).await;
        if let Err(error) = &result
            && error.closed_kept_connection
            && operation.is_get()
            && self.budget.try_request(operation, Moment::now())
        {
            let request = build(&self.http.without_connections());
            result = self.send_once(operation, request, deadline).await;
        }
        result.map_err(|error| self.record_transport_error(operation, error))
    }

    /// Sends a request that is recorded in the budget already.
    async fn send_once(
        &mut self,
        operation: Operation,
        request: RequestBuilder,
        deadline: Instant,
    ) -> Result<ApiResponse, TransportError> {
        let sent = Moment::now();
        self.metrics.record_request(operation);
        let result = execute(request, deadline, self.http.route()).await;
        let received = Moment::now();
        self.metrics
            .observe_duration(operation, received.monotonic_duration_since(sent));
        let Ok(response) = &result else {
            self.budget.record_response(operation, None, received);
            return result;
        };
        let limits = RateLimitHeaders::parse(response.status, &response.headers, received.wall);
        self.budget
            .record_response(operation, Some(&limits), received);
        self.request_id = request_id(&response.headers);
        result
    }

    fn record_transport_error(&self, operation: Operation, error: TransportError) -> Error {
        self.http.record_failure();
        self.record_failure(operation, error.cause, error.message)
    }

    /// Counts a response with an error status, which is valid even if its body is incomplete. An
    /// error of RingCentral's API proves that its address is right.
    fn record_error_response(&self, operation: Operation, response: ApiResponse) -> Error {
        let api_error = parse_api_error(&response.body.unwrap_or_default());
        if response.status == 429 || (response.status < 500 && api_error.is_ringcentral()) {
            self.http.record_success(response.address);
        } else {
            self.http.record_failure();
        }
        let request_id = self.request_id.clone();
        self.count_failure(Error::from_response(
            operation,
            response.status,
            api_error,
            request_id,
        ))
    }
}

async fn execute(
    request: RequestBuilder,
    deadline: Instant,
    route: Route,
) -> Result<ApiResponse, TransportError> {
    let request = request.header(ACCEPT_ENCODING, response_body::ACCEPTED_ENCODING);
    let response = match timeout_at(deadline, http_client::send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(failed)) => {
            let mut error = TransportError::from_reqwest(&failed.error, route);
            let is_closed = matches!(error.cause, Cause::BrokenConnection | Cause::Timeout);
            error.closed_kept_connection = failed.was_reused && is_closed;
            return Err(error);
        }
        Err(_) => return Err(TransportError::timeout()),
    };
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let address = response.remote_addr();
    let body = match status {
        300..=399 => Ok(Bytes::new()),
        _ => response_body::read(response, deadline).await,
    };
    Ok(ApiResponse {
        status,
        headers,
        body,
        address,
    })
}

/// Returns whether a URL has a user or password, which would be sent in place of the token.
pub(super) fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns the `RCRequestId` header, unless it is too long or has characters that are unsafe in a
/// log.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("rcrequestid")?.to_str().ok()?;
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if id.len() > MAX_REQUEST_ID_LEN || !id.bytes().all(is_safe) {
        return None;
    }
    Some(id.to_owned())
}
