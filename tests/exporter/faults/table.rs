//! The table of faults that `case` tests in the same way.
//!
//! For each row it asserts that the scrape is answered with status 200, that
//! `ringcentral_up` is 0, that the reason is counted once, that the call families are kept until
//! `--scrape.max-age` and absent afterwards, that the log has the expected line, that the expected
//! number of requests is sent, and that a fetch succeeds once the fault has ended.

use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::simulator::{FaultKind, SimResponse};
use tokio::sync::Semaphore;

use crate::faults::case::{self, PENALTY_SECONDS};

/// The request in whose response a fault is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first login.
    Login,
    /// The first page of the call list, after a successful fetch.
    FirstPage,
    /// The second page of the call list, after a successful fetch.
    SecondPage,
}

/// A fault and its expected effects.
pub struct Row {
    pub name: &'static str,
    pub stage: Stage,
    pub fault: FaultKind,
    /// The label `reason` of `ringcentral_api_request_failures_total`.
    pub reason: &'static str,
    /// A part of the log line.
    pub log: &'static str,
    /// The number of requests of the operation during the failing scrape.
    pub requests: usize,
    /// Whether the response starts a penalty, in which no request may be sent.
    pub starts_penalty: bool,
}

/// Returns a row with the defaults: one request per page, and a penalty if the response has the
/// header `Retry-After`.
fn row(
    name: &'static str,
    stage: Stage,
    fault: impl Into<FaultKind>,
    reason: &'static str,
    log: &'static str,
) -> Row {
    let requests = if stage == Stage::SecondPage { 2 } else { 1 };
    let fault = fault.into();
    let starts_penalty = match &fault {
        FaultKind::Status { headers, .. } => headers.iter().any(|(name, _)| name == "Retry-After"),
        _ => false,
    };
    Row {
        name,
        stage,
        fault,
        reason,
        log,
        requests,
        starts_penalty,
    }
}

/// Returns a fault that replaces the body.
fn body(text: &'static str) -> FaultKind {
    FaultKind::Body(text.into())
}

/// Returns a redirect to this location.
fn redirect(location: &str) -> FaultKind {
    FaultKind::Redirect {
        status: 302,
        location: location.to_owned(),
    }
}

/// Returns a 429 of the rate-limit group `heavy`.
fn heavy_429(retry_after: Option<u64>) -> SimResponse {
    SimResponse::too_many_requests(retry_after).with("X-Rate-Limit-Group", "heavy")
}

/// Returns the HTTP date at which the penalty ends.
fn soon() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(PENALTY_SECONDS))
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    use Stage::{FirstPage, Login, SecondPage};
    let too_large = FaultKind::Body(vec![b' '; 33 * 1024 * 1024].into());
    let elsewhere = "http://127.0.0.2:1/restapi";
    vec![
        row("500", FirstPage, SimResponse::unavailable(500), "server_error", "HTTP status 500 CMN-201"),
        row("500 on page 2", SecondPage, SimResponse::unavailable(500), "server_error", "HTTP status 500 CMN-201"),
        row("502 in HTML", FirstPage, SimResponse::html(502, "Bad Gateway"), "server_error", "HTTP status 502"),
        row("503", FirstPage, SimResponse::unavailable(503), "server_error", "HTTP status 503"),
        row("503 with seconds", FirstPage, SimResponse::unavailable(503).with("Retry-After", PENALTY_SECONDS), "server_error", "HTTP status 503"),
        row("503 with a date", FirstPage, SimResponse::unavailable(503).with("Retry-After", soon()), "server_error", "HTTP status 503"),
        row("500 with seconds", FirstPage, SimResponse::unavailable(500).with("Retry-After", PENALTY_SECONDS), "server_error", "HTTP status 500"),
        row("502 in HTML with seconds", FirstPage, SimResponse::html(502, "Bad Gateway").with("Retry-After", PENALTY_SECONDS), "server_error", "HTTP status 502"),
        row("504 with a list", FirstPage, SimResponse::html(504, "Gateway Timeout").with("Retry-After", format!("{PENALTY_SECONDS}, 1")), "server_error", "HTTP status 504"),
        row("529 with fractions", FirstPage, SimResponse::unavailable(529).with("Retry-After", format!("{}.5", PENALTY_SECONDS - 1)), "server_error", "HTTP status 529"),
        row("408", FirstPage, SimResponse::html(408, "Request Timeout").with("Connection", "close"), "timeout", "HTTP status 408"),
        row("520", FirstPage, SimResponse::html(520, "Unknown Error"), "server_error", "HTTP status 520"),
        row("304", FirstPage, FaultKind::Status { status: 304, body: "".into(), headers: vec![] }, "invalid_response", "unexpected HTTP status 304"),
        row("429 with two waits", FirstPage, heavy_429(Some(1)).with("Retry-After", PENALTY_SECONDS), "rate_limited", "HTTP status 429"),
        row("400", FirstPage, SimResponse::bad_parameter("perPage", "x"), "client_error", "HTTP status 400 CMN-101"),
        row("404", FirstPage, SimResponse::not_found("accountId", "7"), "not_found", "--ringcentral.account-id"),
        row("403 of the app", FirstPage, SimResponse::app_lacks("ReadCallLog"), "forbidden", "Read Call Log"),
        row("403 of the user", FirstPage, SimResponse::user_lacks("ReadCompanyCallLog"), "forbidden", "--ringcentral.level=extension"),
        row("429 with group", FirstPage, heavy_429(Some(PENALTY_SECONDS)), "rate_limited", "an app of its own"),
        row("429 without group", FirstPage, SimResponse::too_many_requests(Some(PENALTY_SECONDS)), "rate_limited", "HTTP status 429 CMN-301"),
        row("429 on page 2", SecondPage, heavy_429(Some(PENALTY_SECONDS)), "rate_limited", "HTTP status 429 CMN-301"),
        row("429 whose body does not unzip", FirstPage, heavy_429(Some(PENALTY_SECONDS)).with("Content-Encoding", "gzip"), "rate_limited", "HTTP status 429"),
        row("503 whose body does not unzip", FirstPage, SimResponse::unavailable(503).with("Retry-After", PENALTY_SECONDS).with("Content-Encoding", "gzip"), "server_error", "HTTP status 503"),
        row("429 with a date", FirstPage, heavy_429(None).with("Retry-After", soon()), "rate_limited", "HTTP status 429"),
        row("empty body", FirstPage, body(""), "invalid_response", "truncated or empty"),
        row("HTML", FirstPage, body("<html>Log in to this hotspot</html>"), "invalid_response", "invalid JSON"),
        row("broken JSON", FirstPage, body("{\"records\": ["), "invalid_response", "truncated"),
        row("broken JSON on page 2", SecondPage, body("{\"records\": ["), "invalid_response", "truncated"),
        row("no list", FirstPage, body("{}"), "invalid_response", "missing records"),
        row("null for a list", FirstPage, body("{\"records\":null}"), "invalid_response", "unexpected JSON structure"),
        row("null for everything", FirstPage, body("null"), "invalid_response", "unexpected JSON structure"),
        row("a next page that is a number", FirstPage, body("{\"records\":[],\"navigation\":{\"nextPage\":{\"uri\":2}}}"), "invalid_response", "missing address of the next page"),
        row("too large", FirstPage, too_large, "invalid_response", "larger than 32 MiB"),
        row("a body that does not unzip", FirstPage, SimResponse::html(200, "Log in").with("Content-Encoding", "gzip"), "invalid_response", "not valid gzip"),
        row("packed and too large", FirstPage, SimResponse { status: 200, headers: Vec::new(), body: vec![b' '; 5 * 1024 * 1024].into() }.with("Content-Encoding", "gzip"), "invalid_response", "larger than 4 MiB"),
        row("gzip bomb", FirstPage, FaultKind::GzipBomb(64 * 1024 * 1024), "invalid_response", "larger than 32 MiB"),
        row("next page that loops", FirstPage, FaultKind::NextPage("/restapi/v1.0/account/~/active-calls?perPage=1000".to_owned()), "invalid_response", "repeats a page"),
        row("next page elsewhere", FirstPage, FaultKind::NextPage(elsewhere.to_owned()), "invalid_response", "another origin"),
        row("next page that is none", FirstPage, FaultKind::NextPage("http://[".to_owned()), "invalid_response", "invalid URL"),
        row("redirect elsewhere", FirstPage, redirect(elsewhere), "invalid_response", "another origin"),
        row("redirect to nowhere", FirstPage, FaultKind::Status { status: 302, body: "".into(), headers: vec![] }, "invalid_response", "no valid Location header"),
        Row { requests: 4, ..row("redirects in a circle", FirstPage, redirect("/restapi/v1.0/account/~/active-calls?again"), "invalid_response", "more than 3 redirects") },
        Row { requests: 2, ..row("closed before the answer", FirstPage, FaultKind::CloseBeforeResponse, "connect", "connection") },
        Row { requests: 3, ..row("closed on page 2", SecondPage, FaultKind::CloseBeforeResponse, "connect", "connection") },
        row("cut in mid-body", FirstPage, FaultKind::Truncate, "connect", "end of file"),
        row("cut on page 2", SecondPage, FaultKind::Truncate, "connect", "end of file"),
        row("login: 500", Login, SimResponse::unavailable(500), "server_error", "token: HTTP status 500"),
        row("login: 503 with seconds", Login, SimResponse::unavailable(503).with("Retry-After", PENALTY_SECONDS), "server_error", "HTTP status 503"),
        row("login: 408", Login, SimResponse::html(408, "Request Timeout"), "timeout", "HTTP status 408"),
        row("login: unknown client", Login, SimResponse::invalid_client(401), "unauthorized", "check client id and client secret"),
        row("login: unknown client, 400", Login, SimResponse::invalid_client(400), "client_error", "check client id and client secret"),
        row("login: grant not allowed", Login, SimResponse::grant_not_allowed(), "client_error", "enable the JWT auth flow"),
        row("login: bad JWT", Login, SimResponse::invalid_grant("expired"), "client_error", "check the JWT"),
        row("login: 429", Login, SimResponse::too_many_requests(Some(PENALTY_SECONDS)), "rate_limited", "token: HTTP status 429"),
        row("login: closed", Login, FaultKind::CloseBeforeResponse, "connect", "connection"),
        row("login: cut", Login, FaultKind::Truncate, "connect", "end of file"),
        row("login: no token", Login, body("{}"), "invalid_response", "missing or invalid access_token"),
        row("login: HTML", Login, body("<html>"), "invalid_response", "cannot parse token: invalid JSON"),
        row("login: redirect elsewhere", Login, redirect(elsewhere), "invalid_response", "another origin"),
    ]
}

#[tokio::test]
async fn scrapes_report_every_fault_until_recovery() {
    let slots = Arc::new(Semaphore::new(2));
    let mut cases = Vec::new();
    for row in rows() {
        cases.push(tokio::spawn(case::run(row, slots.clone())));
    }
    for case in cases {
        case.await.unwrap();
    }
}
