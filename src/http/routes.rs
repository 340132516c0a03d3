//! Paths and their answers.
//!
//! Owns: which path does what. A scrape always gets 200 if we can speak at all: a failure of RingCentral is a sample,
//! not a status. Health paths touch nothing.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::deadline::time_for_scrape;
use super::page;
use super::reply::{self, Reply};
use crate::clock::Moment;
use crate::config::{Account, Metrics, Scrape};
use crate::exposition::{self, AccountView, Exporter};
use crate::instruments::Instruments;
use crate::observer;
use crate::reload::Reloader;

/// What answers are made of.
pub struct App {
    /// The accounts.
    pub accounts: Vec<ObservedAccount>,
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
            let at = last_call.wait_for(Option::is_some).await.map_or(None, |at| *at);
            sleep_until(at.unwrap_or(deadline)).await;
        };
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = called => {}
        }
    }
}

/// An account and all that belongs to it.
pub struct ObservedAccount {
    /// Its configuration.
    pub account: Arc<Account>,
    /// The way to its observer.
    pub observer: observer::Handle,
    /// What is counted for it.
    pub instruments: Arc<Instruments>,
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
    let known = path == app.telemetry_path || matches!(path, "/" | "/-/healthy" | "/healthz" | "/-/ready" | "/readyz");
    if !known {
        return reply::line(StatusCode::NOT_FOUND, "there is nothing here; / has the links");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::not_allowed("GET, HEAD");
    }
    match path {
        "/" => reply::page(page::html(app, Moment::now())),
        "/-/healthy" | "/healthz" => reply::line(StatusCode::OK, "healthy"),
        "/-/ready" | "/readyz" => reply::line(StatusCode::OK, "ready"),
        _ => metrics(app, request).await,
    }
}

fn reload(app: &App, method: &Method) -> Reply {
    if method != Method::POST {
        return reply::not_allowed("POST");
    }
    if !app.lifecycle {
        return reply::line(
            StatusCode::FORBIDDEN,
            "this needs --web.enable-lifecycle; SIGHUP does the same without it",
        );
    }
    match app.reloader.reload_if_due("POST /-/reload") {
        Ok(Ok(())) => reply::line(StatusCode::OK, "reloaded"),
        Ok(Err(error)) => reply::line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(wait) => reply::later(StatusCode::TOO_MANY_REQUESTS, "this was asked for less than a second ago", wait),
    }
}

async fn metrics(app: &App, request: &Request<Incoming>) -> Reply {
    let asked = match asked_accounts(app, request.uri().query()) {
        Ok(asked) => asked,
        Err(unknown) => return reply::line(StatusCode::NOT_FOUND, &format!("there is no account {unknown:?}")),
    };
    let exporter = asked
        .is_none()
        .then(|| Exporter { configuration: app.reloader.state(), process: exposition::process_metrics() });
    let accounts = asked.unwrap_or_else(|| app.accounts.iter().collect());
    let time = time_for_scrape(request.headers(), app.scrape.timeout_offset);
    let views = observe(app, &accounts, Moment::now().after(time).instant).await;
    match exposition::render(&views, exporter.as_ref(), &app.scrape, &app.metrics, Moment::now()) {
        Ok(text) => reply::exposition(text, request.headers()),
        Err(error) => {
            tracing::error!(%error, "the exposition cannot be encoded");
            reply::line(StatusCode::INTERNAL_SERVER_ERROR, "the exposition cannot be encoded")
        }
    }
}

/// Asks all at once, so that the slowest alone decides how long it takes, and the deadline at the most.
async fn observe<'a>(app: &App, accounts: &[&'a ObservedAccount], deadline: Instant) -> Vec<AccountView<'a>> {
    let asks: Vec<_> = accounts.iter().map(|account| account.observer.ask()).collect();
    let mut end = pin!(app.end_of_scrape(deadline));
    let mut ended = false;
    let mut views = Vec::with_capacity(accounts.len());
    for (account, ask) in accounts.iter().zip(asks) {
        let observation = tokio::select! {
            biased;
            observation = ask => observation,
            () = async { if !ended { end.as_mut().await } } => {
                ended = true;
                account.observer.latest()
            }
        };
        views.push(AccountView { account: &account.account, observation, instruments: &account.instruments });
    }
    views
}

/// The accounts that `?account=` names; none if it names none, which means all. The first unknown one is the error.
fn asked_accounts<'a>(app: &'a App, query: Option<&str>) -> Result<Option<Vec<&'a ObservedAccount>>, String> {
    let named = |name: &str| app.accounts.iter().find(|account| account.account.name == name);
    let mut asked: Vec<&ObservedAccount> = Vec::new();
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (_, name) in pairs.filter(|(key, _)| key == "account") {
        let account = named(&name).ok_or(name)?;
        if !asked.iter().any(|present| std::ptr::eq(*present, account)) {
            asked.push(account);
        }
    }
    Ok((!asked.is_empty()).then_some(asked))
}
