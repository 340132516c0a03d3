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

use crate::account::manager::{ObservedAccount, Roster};
use crate::clock::Moment;
use crate::config::{Metrics, Scrape};
use crate::exposition::{self, Exporter};
use crate::http::deadline::time_for_scrape;
use crate::http::response::{self, Reply};
use crate::http::{discovery, landing_page, scrape};
use crate::reload::Reloader;

/// What answers are made of.
pub struct App {
    /// The accounts.
    pub roster: Arc<Roster>,
    /// When to fetch and what to show.
    pub scrape: Scrape,
    /// What to show.
    pub metrics: Metrics,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// What is read anew while we run.
    pub reloader: Arc<Reloader>,
    /// Whether `POST /-/reload` is obeyed.
    pub lifecycle: bool,
    /// Once the exporter stops: when scrapes still in flight are answered at the latest.
    pub last_call: watch::Sender<Option<Instant>>,
}

impl App {
    /// Returns at the deadline, or at the last call if that is sooner.
    async fn end_of_scrape(&self, deadline: Instant) {
        let mut last_call = self.last_call.subscribe();
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
pub async fn answer(app: &App, request: Request<Incoming>, from: IpAddr) -> Reply {
    let door = app.reloader.door();
    let refusal = match request.uri().path() {
        "/-/healthy" | "/healthz" | "/-/ready" | "/readyz" => None,
        _ => door.refusal(request.headers(), from).await,
    };
    let mut reply = match refusal {
        Some(refusal) => refusal,
        None => respond(app, &request).await,
    };
    door.furnish(&mut reply);
    reply
}

async fn respond(app: &App, request: &Request<Incoming>) -> Reply {
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
        return response::line(
            StatusCode::NOT_FOUND,
            "there is nothing here; / has the links",
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response::not_allowed("GET, HEAD");
    }
    match path {
        "/" => response::page(landing_page::html(app, Moment::now())),
        "/-/healthy" | "/healthz" => response::line(StatusCode::OK, "healthy"),
        "/-/ready" | "/readyz" => response::line(StatusCode::OK, "ready"),
        "/-/metrics" => own_metrics(app, request.headers()),
        "/sd" => discovery::answer(
            &app.roster.accounts(),
            request,
            app.reloader.door().scheme(),
            &app.telemetry_path,
        ),
        _ => metrics(app, request).await,
    }
}

fn reload(app: &App, method: &Method) -> Reply {
    if method != Method::POST {
        return response::not_allowed("POST");
    }
    if !app.lifecycle {
        return response::line(
            StatusCode::FORBIDDEN,
            "this needs --web.enable-lifecycle; SIGHUP does the same without it",
        );
    }
    match app.reloader.reload_if_due("POST /-/reload") {
        Ok(Ok(())) => response::line(StatusCode::OK, "reloaded"),
        Ok(Err(error)) => response::line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(wait) => response::later(
            StatusCode::TOO_MANY_REQUESTS,
            "nothing was read: the last reload was asked for less than a second ago; ask again",
            wait,
        ),
    }
}

async fn metrics(app: &App, request: &Request<Incoming>) -> Reply {
    let running = app.roster.accounts();
    let asked = match asked_accounts(&running, request.uri().query()) {
        Ok(asked) => asked,
        Err(unknown) => {
            return response::line(
                StatusCode::NOT_FOUND,
                &format!("there is no account {unknown:?}"),
            );
        }
    };
    let exporter = asked.is_none().then(|| Exporter::now(app.reloader.state()));
    let accounts = asked.unwrap_or_else(|| running.iter().collect());
    let time = time_for_scrape(request.headers(), app.scrape.timeout_offset);
    let end = app.end_of_scrape(Moment::now().after(time).instant);
    scrape::ask(&accounts, time, end).await;
    let views = accounts.iter().map(|it| it.view());
    exposed(
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
fn own_metrics(app: &App, headers: &HeaderMap) -> Reply {
    let exporter = Exporter::now(app.reloader.state());
    exposed(
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

fn exposed(text: prometheus::Result<String>, headers: &HeaderMap) -> Reply {
    match text {
        Ok(text) => response::exposition(text, headers),
        Err(error) => {
            tracing::error!(%error, "the exposition cannot be encoded");
            response::line(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the exposition cannot be encoded",
            )
        }
    }
}

/// The accounts that `?account=` names; none if it names none, which means all. The first unknown one is the error.
fn asked_accounts<'a>(
    running: &'a [ObservedAccount],
    query: Option<&str>,
) -> Result<Option<Vec<&'a ObservedAccount>>, String> {
    let mut asked: Vec<&ObservedAccount> = Vec::new();
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
