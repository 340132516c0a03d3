//! Paths and their handlers.
//!
//! A scrape is answered with 200 even if RingCentral fails: a failure is a sample (`ringcentral_up
//! 0`), not a status.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::account::manager::AccountHandle;
use crate::clock::Moment;
use crate::config::Settings;
use crate::exposition::{self, AccountView, ExporterInfo};
use crate::http::response::{self, Response};
use crate::http::status::{self, Status};
use crate::http::{accept, discovery, landing_page, scrape};
use crate::reload::{ReloadResult, Reloader};
use crate::web::access::AccessControl;

pub(crate) const MISSING_HOST: &str = "bad request: missing header Host";
pub(crate) const INVALID_HOST: &str = "bad request: invalid header Host";

/// Bytes of a host and port other than letters and digits, as in RFC 3986.
const HOST_MARKS: &[u8] = b"-._~%!$&'()*+,;=:[]";

/// The state that all handlers share.
pub struct AppState {
    /// The settings that apply to all accounts.
    pub settings: Settings,
    /// The accounts, the access control, and their reload.
    pub reloader: Arc<Reloader>,
    /// The start of the exporter.
    pub started_at: Moment,
    /// The latest time for the responses to scrapes in flight, set at shutdown.
    pub shutdown_deadline: watch::Sender<Option<Instant>>,
}

impl AppState {
    fn accounts(&self) -> Arc<[AccountHandle]> {
        self.reloader.accounts().accounts()
    }

    /// Waits until `deadline`, or until the shutdown deadline if that is earlier.
    async fn wait_for_deadline(&self, deadline: Instant) {
        let mut shutdown_deadline = self.shutdown_deadline.subscribe();
        let shutdown = async {
            let at = shutdown_deadline.wait_for(Option::is_some).await;
            sleep_until(at.map_or(deadline, |at| at.unwrap_or(deadline))).await;
        };
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = shutdown => {}
        }
    }
}

/// What a path serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    LandingPage,
    Status,
    Metrics,
    ExporterMetrics,
    Discovery,
    Healthy,
    Ready,
    Reload,
}

impl Route {
    /// Returns the route of a path.
    fn find(path: &str, telemetry_path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::LandingPage),
            "/status" => Some(Self::Status),
            "/sd" => Some(Self::Discovery),
            "/-/metrics" => Some(Self::ExporterMetrics),
            "/-/healthy" | "/healthz" => Some(Self::Healthy),
            "/-/ready" | "/readyz" => Some(Self::Ready),
            "/-/reload" => Some(Self::Reload),
            _ if path == telemetry_path => Some(Self::Metrics),
            _ => None,
        }
    }

    /// Returns whether the route needs no credentials, as probes have none.
    fn is_public(self) -> bool {
        matches!(self, Self::Healthy | Self::Ready)
    }
}

/// Handles a request from `client` if access control allows it.
pub(crate) async fn handle(app: &AppState, request: Request<Incoming>, client: IpAddr) -> Response {
    app.reloader.reload_if_changed();
    let access = app.reloader.access();
    let mut response = match check_host(&request) {
        Ok(()) => handle_valid(app, &access, &request, client).await,
        Err(reason) => bad_request(reason),
    };
    access.apply_headers(response.headers_mut());
    response
}

async fn handle_valid(
    app: &AppState,
    access: &AccessControl,
    request: &Request<Incoming>,
    client: IpAddr,
) -> Response {
    let route = Route::find(request.uri().path(), &app.settings.web.telemetry_path);
    if !route.is_some_and(Route::is_public)
        && let Err(denied) = access.check(request.headers(), client).await
    {
        return response::denied(denied);
    }
    match route {
        Some(route) => respond(app, route, request).await,
        None => response::text(StatusCode::NOT_FOUND, "not found; see / for links"),
    }
}

/// Checks the header `Host`: a request of HTTP/1.1 has it once, one of HTTP/1.0 at most once.
///
/// # Errors
/// Returns the reason for a 400.
fn check_host(request: &Request<Incoming>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return match request.version() {
            Version::HTTP_11 => Err(MISSING_HOST),
            _ => Ok(()),
        };
    };
    if hosts.next().is_some() {
        return Err("bad request: more than one header Host");
    }
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || HOST_MARKS.contains(byte);
    if host.as_bytes().iter().all(is_allowed) {
        Ok(())
    } else {
        Err(INVALID_HOST)
    }
}

/// Returns 400 and closes the connection, since client and server may disagree on where the next
/// request begins.
fn bad_request(reason: &str) -> Response {
    let mut response = response::text(StatusCode::BAD_REQUEST, reason);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

async fn respond(app: &AppState, route: Route, request: &Request<Incoming>) -> Response {
    let method = request.method();
    match route {
        Route::Reload if method == Method::POST => reload(app),
        Route::Reload => response::method_not_allowed("POST"),
        _ if method != Method::GET && method != Method::HEAD => {
            response::method_not_allowed("GET, HEAD")
        }
        Route::LandingPage | Route::Status => status(app, route, request),
        Route::Metrics => metrics(app, request).await,
        // For setups that scrape each account separately.
        Route::ExporterMetrics => {
            let exporter = ExporterInfo::collect(app.reloader.status());
            render_metrics(app, &[], Some(&exporter), request.headers())
        }
        Route::Discovery => discovery::handle(
            &app.accounts(),
            request,
            app.reloader.access().scheme(),
            &app.settings.web.telemetry_path,
        ),
        Route::Healthy => response::text(StatusCode::OK, "healthy"),
        Route::Ready => response::text(StatusCode::OK, "ready"),
    }
}

/// Returns the state of the accounts, as a page, as text or as JSON.
fn status(app: &AppState, route: Route, request: &Request<Incoming>) -> Response {
    let accounts = app.accounts();
    let query = request.uri().query().unwrap_or_default();
    let requested = match select_accounts(&accounts, &account_names(query)) {
        Ok(requested) => requested,
        Err(message) => return response::text(StatusCode::NOT_FOUND, &message),
    };
    let web = &app.settings.web;
    let now = Moment::now();
    let status = Status::new(
        &requested,
        &app.reloader.status(),
        now.monotonic_duration_since(app.started_at),
        app.settings.scrape.max_age,
        now,
    );
    if route == Route::Status {
        return status::respond(&status, query, request.headers());
    }
    let html = landing_page::render(&status, &web.telemetry_path, now.wall);
    response::html(html, landing_page::CONTENT_SECURITY_POLICY.clone())
}

fn reload(app: &AppState) -> Response {
    if !app.settings.web.enable_lifecycle {
        return response::text(
            StatusCode::FORBIDDEN,
            "forbidden: requires --web.enable-lifecycle; SIGHUP reloads without it",
        );
    }
    match app.reloader.reload_rate_limited("POST /-/reload") {
        ReloadResult::Done => response::text(StatusCode::OK, "reloaded"),
        ReloadResult::Failed(error) => {
            response::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        ReloadResult::TooSoon(wait) => response::retry_later(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests: the last reload was less than a second ago; nothing was reloaded",
            wait,
        ),
    }
}

async fn metrics(app: &AppState, request: &Request<Incoming>) -> Response {
    let accounts = app.accounts();
    let names = account_names(request.uri().query().unwrap_or_default());
    let requested = match select_accounts(&accounts, &names) {
        Ok(requested) => requested,
        Err(message) => return response::text(StatusCode::NOT_FOUND, &message),
    };
    let timeout = scrape::scrape_timeout(request.headers(), app.settings.scrape.timeout_offset);
    let deadline_reached = app.wait_for_deadline(Moment::now().after(timeout).instant);
    scrape::refresh_all(&requested, timeout, deadline_reached).await;
    // Collected after the wait, so that the process stats are current.
    let exporter = names
        .is_empty()
        .then(|| ExporterInfo::collect(app.reloader.status()));
    render_metrics(app, &requested, exporter.as_ref(), request.headers())
}

fn render_metrics(
    app: &AppState,
    accounts: &[&AccountHandle],
    exporter: Option<&ExporterInfo>,
    headers: &HeaderMap,
) -> Response {
    let format = accept::text_format(headers);
    let exposition = exposition::exposition(
        accounts.iter().copied().map(AccountView::new),
        exporter,
        &app.settings.scrape,
        &app.settings.metrics,
        format,
        Moment::now(),
    );
    response::exposition(exposition, format, headers)
}

/// Returns the values of `?account=`.
fn account_names(query: &str) -> Vec<Cow<'_, str>> {
    let mut names = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key == "account" {
            names.push(value);
        }
    }
    names
}

/// Returns the accounts with these names, or all accounts if there are no names.
///
/// # Errors
/// Returns a message about the first name that no account has.
fn select_accounts<'a>(
    accounts: &'a [AccountHandle],
    names: &[Cow<'_, str>],
) -> Result<Vec<&'a AccountHandle>, String> {
    for name in names {
        if accounts.iter().all(|account| account.config.name != *name) {
            return Err(format!("not found: unknown account {name:?}"));
        }
    }
    let mut selected = Vec::new();
    for account in accounts {
        if names.is_empty() || names.iter().any(|name| account.config.name == *name) {
            selected.push(account);
        }
    }
    Ok(selected)
}
