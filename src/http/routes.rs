//! Paths and their answers.
//!
//! Owns: which path does what. A scrape always gets 200 if we can speak at all: a failure of RingCentral is a sample,
//! not a status. Health paths touch nothing.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::account::manager::{AccountHandle, AccountManager};
use crate::clock::Moment;
use crate::config::{Metrics, Scrape};
use crate::exposition::{self, ExporterInfo};
use crate::http::deadline::scrape_timeout;
use crate::http::response::{self, Response};
use crate::http::{discovery, landing_page, scrape};
use crate::reload::Reloader;

/// What answers are made of.
pub struct AppState {
    /// The accounts.
    pub accounts: Arc<AccountManager>,
    /// When to fetch and what to show.
    pub scrape: Scrape,
    /// What to show.
    pub metrics: Metrics,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// What is read anew while we run.
    pub reloader: Arc<Reloader>,
    /// Whether `POST /-/reload` is obeyed.
    pub enable_lifecycle: bool,
    /// Once the exporter stops: when scrapes still in flight are answered at the latest.
    pub shutdown_deadline: watch::Sender<Option<Instant>>,
}

impl AppState {
    /// Returns at the deadline, or at the last call if that is sooner.
    async fn wait_for_deadline(&self, deadline: Instant) {
        let mut last_call = self.shutdown_deadline.subscribe();
        let called = async {
            let at = last_call
                .wait_for(Option::is_some)
                .await
                .map_or(None, |at| *at);
            sleep_until(at.unwrap_or(deadline)).await;
        };
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = called => {}
        }
    }
}

/// Answers a request from this address, if the door lets it in. Probes have no password, and are let in.
pub async fn handle(app: &AppState, request: Request<Incoming>, from: IpAddr) -> Response {
    let door = app.reloader.access();
    let refusal = match request.uri().path() {
        "/-/healthy" | "/healthz" | "/-/ready" | "/readyz" => None,
        _ => door.check(request.headers(), from).await,
    };
    let mut reply = match refusal {
        Some(refusal) => refusal,
        None => route(app, &request).await,
    };
    door.apply_headers(&mut reply);
    reply
}

async fn route(app: &AppState, request: &Request<Incoming>) -> Response {
    let path = request.uri().path();
    if path == "/-/reload" {
        return reload(app, request.method());
    }
    let fixed = [
        "/",
        "/sd",
        "/-/metrics",
        "/-/healthy",
        "/healthz",
        "/-/ready",
        "/readyz",
    ];
    if path != app.telemetry_path && !fixed.contains(&path) {
        return response::text(
            StatusCode::NOT_FOUND,
            "there is nothing here; / has the links",
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response::method_not_allowed("GET, HEAD");
    }
    match path {
        "/" => response::html(landing_page::render(
            &app.accounts.accounts(),
            &app.reloader.status(),
            &app.telemetry_path,
            app.scrape.max_age,
            Moment::now(),
        )),
        "/-/healthy" | "/healthz" => response::text(StatusCode::OK, "healthy"),
        "/-/ready" | "/readyz" => response::text(StatusCode::OK, "ready"),
        "/-/metrics" => exporter_metrics(app, request.headers()),
        "/sd" => discovery::handle(
            &app.accounts.accounts(),
            request,
            app.reloader.access().scheme(),
            &app.telemetry_path,
        ),
        _ => metrics(app, request).await,
    }
}

fn reload(app: &AppState, method: &Method) -> Response {
    if method != Method::POST {
        return response::method_not_allowed("POST");
    }
    if !app.enable_lifecycle {
        return response::text(
            StatusCode::FORBIDDEN,
            "this needs --web.enable-lifecycle; SIGHUP does the same without it",
        );
    }
    match app.reloader.reload_rate_limited("POST /-/reload") {
        Ok(Ok(())) => response::text(StatusCode::OK, "reloaded"),
        Ok(Err(error)) => response::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(wait) => response::retry_later(
            StatusCode::TOO_MANY_REQUESTS,
            "nothing was read: the last reload was asked for less than a second ago; ask again",
            wait,
        ),
    }
}

async fn metrics(app: &AppState, request: &Request<Incoming>) -> Response {
    let running = app.accounts.accounts();
    let asked = match requested_accounts(&running, request.uri().query()) {
        Ok(asked) => asked,
        Err(unknown) => {
            return response::text(
                StatusCode::NOT_FOUND,
                &format!("there is no account {unknown:?}"),
            );
        }
    };
    let exporter = asked
        .is_none()
        .then(|| ExporterInfo::collect(app.reloader.status()));
    let accounts = asked.unwrap_or_else(|| running.iter().collect());
    let time = scrape_timeout(request.headers(), app.scrape.timeout_offset);
    let end = app.wait_for_deadline(Moment::now().after(time).instant);
    scrape::refresh_all(&accounts, time, end).await;
    let views = accounts.iter().map(|it| it.view());
    metrics_response(
        exposition::render(
            views,
            exporter.as_ref(),
            &app.scrape,
            &app.metrics,
            Moment::now(),
        ),
        request.headers(),
    )
}

/// The exporter's own series alone, for whoever scrapes each account by itself.
fn exporter_metrics(app: &AppState, headers: &HeaderMap) -> Response {
    let exporter = ExporterInfo::collect(app.reloader.status());
    metrics_response(
        exposition::render(
            [],
            Some(&exporter),
            &app.scrape,
            &app.metrics,
            Moment::now(),
        ),
        headers,
    )
}

fn metrics_response(text: prometheus::Result<String>, headers: &HeaderMap) -> Response {
    match text {
        Ok(text) => response::exposition(text, headers),
        Err(error) => {
            tracing::error!(%error, "the exposition cannot be encoded");
            response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the exposition cannot be encoded",
            )
        }
    }
}

/// The accounts that `?account=` names; none if it names none, which means all. The first unknown one is the error.
fn requested_accounts<'a>(
    running: &'a [AccountHandle],
    query: Option<&str>,
) -> Result<Option<Vec<&'a AccountHandle>>, String> {
    let mut asked: Vec<&AccountHandle> = Vec::new();
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (_, name) in pairs.filter(|(key, _)| key == "account") {
        let account = running
            .iter()
            .find(|it| it.account.name == name)
            .ok_or(name)?;
        if !asked.iter().any(|present| std::ptr::eq(*present, account)) {
            asked.push(account);
        }
    }
    Ok((!asked.is_empty()).then_some(asked))
}
