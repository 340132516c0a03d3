//! Paths and their handlers.
//!
//! A scrape is answered with 200 even if RingCentral fails: a failure is a sample (`ringcentral_up
//! 0`), not a status.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::account::manager::AccountHandle;
use crate::clock::Moment;
use crate::config::Settings;
use crate::exposition::{self, AccountView, ExporterInfo};
use crate::http::response::{self, Response};
use crate::http::status::{self, Status};
use crate::http::{discovery, landing_page, scrape};
use crate::reload::{ReloadResult, Reloader};

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
    let route = Route::find(request.uri().path(), &app.settings.web.telemetry_path);
    let allowed = if route.is_some_and(Route::is_public) {
        Ok(())
    } else {
        access.check(request.headers(), client).await
    };
    let mut response = match (allowed, route) {
        (Err(denied), _) => response::denied(denied),
        (Ok(()), Some(route)) => respond(app, route, &request).await,
        (Ok(()), None) => response::text(StatusCode::NOT_FOUND, "not found; see / for links"),
    };
    access.apply_headers(response.headers_mut());
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
        Route::LandingPage => landing_page(app),
        Route::Status => status(app, request),
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

fn landing_page(app: &AppState) -> Response {
    let now = Moment::now();
    let accounts = app.accounts();
    let status = collect_status(app, accounts.iter(), now);
    let html = landing_page::render(&status, &app.settings.web.telemetry_path, now.wall);
    response::html(html, landing_page::CONTENT_SECURITY_POLICY.clone())
}

fn status(app: &AppState, request: &Request<Incoming>) -> Response {
    let accounts = app.accounts();
    let query = request.uri().query().unwrap_or_default();
    let requested = match requested_accounts(&accounts, query) {
        Ok(requested) => requested,
        Err(unknown) => return unknown_account(&unknown),
    };
    let now = Moment::now();
    let status = if requested.is_empty() {
        collect_status(app, accounts.iter(), now)
    } else {
        collect_status(app, requested, now)
    };
    status::respond(&status, query, request.headers())
}

fn collect_status<'a>(
    app: &AppState,
    accounts: impl IntoIterator<Item = &'a AccountHandle>,
    now: Moment,
) -> Status {
    let uptime = now.saturating_duration_since(app.started_at);
    let max_age = app.settings.scrape.max_age;
    Status::new(accounts, &app.reloader.status(), uptime, max_age, now)
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
    let query = request.uri().query().unwrap_or_default();
    let mut requested = match requested_accounts(&accounts, query) {
        Ok(requested) => requested,
        Err(unknown) => return unknown_account(&unknown),
    };
    let is_whole_exposition = requested.is_empty();
    if is_whole_exposition {
        requested.extend(accounts.iter());
    }
    let timeout = scrape::scrape_timeout(request.headers(), app.settings.scrape.timeout_offset);
    let deadline_reached = app.wait_for_deadline(Moment::now().after(timeout).instant);
    scrape::refresh_all(&requested, timeout, deadline_reached).await;
    // Collected after the wait, so that the process stats are current.
    let exporter = is_whole_exposition.then(|| ExporterInfo::collect(app.reloader.status()));
    render_metrics(app, &requested, exporter.as_ref(), request.headers())
}

fn render_metrics(
    app: &AppState,
    accounts: &[&AccountHandle],
    exporter: Option<&ExporterInfo>,
    headers: &HeaderMap,
) -> Response {
    let text = exposition::render(
        accounts.iter().copied().map(AccountView::new),
        exporter,
        &app.settings.scrape,
        &app.settings.metrics,
        Moment::now(),
    );
    match text {
        Ok(text) => response::exposition(text, headers),
        Err(error) => {
            tracing::error!(%error, "metrics encoding failed");
            response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error: cannot encode the metrics",
            )
        }
    }
}

/// Returns the accounts that `?account=` names, each once; an empty list means all.
///
/// # Errors
/// Returns the first name that no account has.
fn requested_accounts<'a>(
    accounts: &'a [AccountHandle],
    query: &str,
) -> Result<Vec<&'a AccountHandle>, String> {
    let mut requested: Vec<&AccountHandle> = Vec::new();
    for (key, name) in form_urlencoded::parse(query.as_bytes()) {
        if key != "account" || requested.iter().any(|present| present.config.name == name) {
            continue;
        }
        match accounts.iter().find(|account| account.config.name == name) {
            Some(account) => requested.push(account),
            None => return Err(name.into_owned()),
        }
    }
    Ok(requested)
}

fn unknown_account(name: &str) -> Response {
    let message = format!("not found: unknown account {name:?}");
    response::text(StatusCode::NOT_FOUND, &message)
}
