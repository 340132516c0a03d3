//! The table of faults.
//!
//! For each row `trial` checks: the scrape is answered with 200 and in time, `up` is 0, the reason is counted once,
//! the families about calls are kept until max-age and absent after, the log has this line, so many requests left,
//! and all is well again once the fault has gone.

use std::time::Duration;

use ringcentral_exporter::simulator::{FaultKind, SimResponse};

use super::trial::trial;

/// Where a fault meets the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its first login.
    Login,
    /// The first page of a list, after a fetch that went well.
    FirstPage,
    /// The second page of such a list.
    SecondPage,
}

/// A fault and what must come of it.
pub struct Row {
    pub name: &'static str,
    pub stage: Stage,
    pub fault: FaultKind,
    pub reason: &'static str,
    pub log: &'static str,
    /// Requests of the operation that leave for the one scrape.
    pub requests: usize,
    /// Whether nothing may be sent for two seconds after it.
    pub silences: bool,
}

fn row(
    name: &'static str,
    stage: Stage,
    fault: impl Into<FaultKind>,
    reason: &'static str,
    log: &'static str,
) -> Row {
    let requests = if stage == Stage::SecondPage { 2 } else { 1 };
    let fault = fault.into();
    let silences = matches!(&fault, FaultKind::Status { headers, .. } if headers.iter().any(|(name, _)| name == "Retry-After"));
    Row {
        name,
        stage,
        fault,
        reason,
        log,
        requests,
        silences,
    }
}

fn body(text: &'static str) -> FaultKind {
    FaultKind::Body(text.into())
}

fn redirect(location: &str) -> FaultKind {
    FaultKind::Redirect {
        status: 302,
        location: location.to_owned(),
    }
}

fn heavy_429(retry_after: Option<u64>) -> SimResponse {
    SimResponse::too_many_requests(retry_after).with("X-Rate-Limit-Group", "heavy")
}

/// A date three seconds from now, as a server writes it.
fn soon() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3))
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    use Stage::{FirstPage, Login, SecondPage};
    let too_large = FaultKind::Body(vec![b' '; 33 * 1024 * 1024].into());
    let elsewhere = "http://127.0.0.2:1/restapi";
    vec![
        row("500", FirstPage, SimResponse::unavailable(500), "server_error", "the API answered 500 CMN-201"),
        row("500 on page 2", SecondPage, SimResponse::unavailable(500), "server_error", "the API answered 500 CMN-201"),
        row("502 in HTML", FirstPage, SimResponse::html(502, "Bad Gateway"), "server_error", "the API answered 502"),
        row("503", FirstPage, SimResponse::unavailable(503), "server_error", "the API answered 503"),
        row("503 with seconds", FirstPage, SimResponse::unavailable(503).with("Retry-After", 2), "server_error", "the API answered 503"),
        row("503 with a date", FirstPage, SimResponse::unavailable(503).with("Retry-After", soon()), "server_error", "the API answered 503"),
        row("400", FirstPage, SimResponse::bad_parameter("perPage", "x"), "client_error", "the API answered 400 CMN-101"),
        row("404", FirstPage, SimResponse::not_found("accountId", "7"), "not_found", "--ringcentral.account-id"),
        row("403 of the app", FirstPage, SimResponse::app_lacks("ReadCallLog"), "forbidden", "Read Call Log"),
        row("403 of the user", FirstPage, SimResponse::user_lacks("ReadCompanyCallLog"), "forbidden", "--ringcentral.level=extension"),
        row("429 with group", FirstPage, heavy_429(Some(2)), "rate_limited", "an app of its own"),
        row("429 without group", FirstPage, SimResponse::too_many_requests(Some(2)), "rate_limited", "the API answered 429 CMN-301"),
        row("429 on page 2", SecondPage, heavy_429(Some(2)), "rate_limited", "the API answered 429 CMN-301"),
        row("429 whose body does not unzip", FirstPage, heavy_429(Some(2)).with("Content-Encoding", "gzip"), "rate_limited", "the API answered 429"),
        row("503 whose body does not unzip", FirstPage, SimResponse::unavailable(503).with("Retry-After", 2).with("Content-Encoding", "gzip"), "server_error", "the API answered 503"),
        row("429 with a date", FirstPage, heavy_429(None).with("Retry-After", soon()), "rate_limited", "the API answered 429"),
        row("empty body", FirstPage, body(""), "invalid_response", "cut short or empty"),
        row("HTML", FirstPage, body("<html>Log in to this hotspot</html>"), "invalid_response", "no JSON"),
        row("broken JSON", FirstPage, body("{\"records\": ["), "invalid_response", "cut short"),
        row("broken JSON on page 2", SecondPage, body("{\"records\": ["), "invalid_response", "cut short"),
        row("no list", FirstPage, body("{}"), "invalid_response", "JSON of another form"),
        row("null for a list", FirstPage, body("{\"records\":null}"), "invalid_response", "JSON of another form"),
        row("null for everything", FirstPage, body("null"), "invalid_response", "JSON of another form"),
        row("a next page that is a number", FirstPage, body("{\"records\":[],\"navigation\":{\"nextPage\":{\"uri\":2}}}"), "invalid_response", "JSON of another form"),
        row("too large", FirstPage, too_large, "invalid_response", "larger than 32 MiB"),
        row("a body that does not unzip", FirstPage, SimResponse::html(200, "Log in").with("Content-Encoding", "gzip"), "invalid_response", "cannot be unzipped"),
        row("packed and too large", FirstPage, SimResponse { status: 200, headers: Vec::new(), body: vec![b' '; 5 * 1024 * 1024].into() }.with("Content-Encoding", "gzip"), "invalid_response", "larger than 4 MiB"),
        row("gzip bomb", FirstPage, FaultKind::GzipBomb(64 * 1024 * 1024), "invalid_response", "larger than 32 MiB"),
        row("next page that loops", FirstPage, FaultKind::NextPage("/restapi/v1.0/account/~/active-calls?perPage=1000".to_owned()), "invalid_response", "come round again"),
        row("next page elsewhere", FirstPage, FaultKind::NextPage(elsewhere.to_owned()), "invalid_response", "another origin"),
        row("next page that is none", FirstPage, FaultKind::NextPage("http://[".to_owned()), "invalid_response", "an address that is none"),
        row("redirect elsewhere", FirstPage, redirect(elsewhere), "invalid_response", "another origin"),
        row("redirect to nowhere", FirstPage, FaultKind::Status { status: 302, body: "".into(), headers: vec![] }, "invalid_response", "redirects to nowhere"),
        Row { requests: 4, ..row("redirects in a circle", FirstPage, redirect("/restapi/v1.0/account/~/active-calls?again"), "invalid_response", "more than three times") },
        row("closed before the answer", FirstPage, FaultKind::CloseBeforeResponse, "connect", "connection"),
        row("closed on page 2", SecondPage, FaultKind::CloseBeforeResponse, "connect", "connection"),
        row("cut in mid-body", FirstPage, FaultKind::Truncate, "connect", "end of file"),
        row("cut on page 2", SecondPage, FaultKind::Truncate, "connect", "end of file"),
        row("login: 500", Login, SimResponse::unavailable(500), "server_error", "token: the API answered 500"),
        row("login: 503 with seconds", Login, SimResponse::unavailable(503).with("Retry-After", 2), "server_error", "the API answered 503"),
        row("login: unknown client", Login, SimResponse::invalid_client(401), "unauthorized", "check client id and client secret"),
        row("login: unknown client, 400", Login, SimResponse::invalid_client(400), "client_error", "check client id and client secret"),
        row("login: grant not allowed", Login, SimResponse::grant_not_allowed(), "client_error", "enable the JWT auth flow"),
        row("login: bad JWT", Login, SimResponse::invalid_grant("expired"), "client_error", "check the JWT"),
        row("login: 429", Login, SimResponse::too_many_requests(Some(2)), "rate_limited", "token: the API answered 429"),
        row("login: closed", Login, FaultKind::CloseBeforeResponse, "connect", "connection"),
        row("login: cut", Login, FaultKind::Truncate, "connect", "end of file"),
        row("login: no token", Login, body("{}"), "invalid_response", "the reply holds no access_token"),
        row("login: HTML", Login, body("<html>"), "invalid_response", "not a token: no JSON"),
        row("login: redirect elsewhere", Login, redirect(elsewhere), "invalid_response", "another origin"),
    ]
}

#[tokio::test]
async fn every_fault_is_a_sample_and_passes() {
    let trials: Vec<_> = rows()
        .into_iter()
        .map(|row| tokio::spawn(trial(row)))
        .collect();
    for trial in trials {
        trial.await.unwrap();
    }
}
