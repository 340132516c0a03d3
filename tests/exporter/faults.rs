//! What goes wrong on the way to RingCentral, and how a scrape tells it.
//!
//! Each fault is real: it crosses a socket. `Case` says what to break and what must be seen; the full table of faults
//! grows here.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Reply, Scenario, Simulator};

use crate::rig::{Rig, account, loopback};
use crate::scrapes::unlimited;

/// A fault and what must come of it.
struct Case {
    name: &'static str,
    operation: Operation,
    fault: FaultKind,
    reason: &'static str,
}

/// Time until a fetch is tried again and succeeds: the documented pace of 7.5 s where no answer has told another,
/// a penalty of 2 s, a back-off of half a second; with a margin for a slow machine.
const SOON: Duration = Duration::from_secs(12);

fn cases() -> Vec<Case> {
    let calls = |name, fault, reason| Case { name, operation: Operation::ActiveCalls, fault, reason };
    let token = |name, fault, reason| Case { name, operation: Operation::Token, fault, reason };
    let body = |text: &'static str| FaultKind::Body(text.into());
    vec![
        calls("500", Reply::unavailable(500).into(), "server_error"),
        calls("503 without Retry-After", Reply::unavailable(503).into(), "server_error"),
        calls("404", Reply::not_found("accountId", "7").into(), "not_found"),
        calls("400", Reply::bad_parameter("perPage", "x").into(), "client_error"),
        calls("403 for want of the app's scope", Reply::app_lacks("ReadCallLog").into(), "forbidden"),
        calls("403 for want of the user's permission", Reply::user_lacks("ReadCompanyCallLog").into(), "forbidden"),
        calls("429 with Retry-After", heavy_429(Some(2)), "rate_limited"),
        calls("429 of the account", Reply::too_many_requests(Some(2)).into(), "rate_limited"),
        calls("503 with Retry-After", Reply::unavailable(503).with("Retry-After", 2).into(), "server_error"),
        calls("broken JSON", body("{\"records\": ["), "invalid_response"),
        calls("HTML", body("<html>Bad Gateway</html>"), "invalid_response"),
        calls("an empty body", body(""), "invalid_response"),
        calls("a next page elsewhere", FaultKind::NextPage("http://127.0.0.2:1/x".to_owned()), "invalid_response"),
        calls("a redirect elsewhere", redirect("http://127.0.0.2:1/x"), "invalid_response"),
        calls("a reply cut short", FaultKind::Cut, "connect"),
        calls("a connection closed", FaultKind::CloseBeforeAnswer, "connect"),
        calls("a gzip bomb", FaultKind::GzipBomb(64 * 1024 * 1024), "invalid_response"),
        token("500 at the login", Reply::unavailable(500).into(), "server_error"),
        token("a client that is not known", Reply::invalid_client(401).into(), "unauthorized"),
        token("a grant that is not allowed", Reply::grant_not_allowed().into(), "client_error"),
        token("429 at the login", Reply::too_many_requests(Some(2)).into(), "rate_limited"),
        token("a token that is none", body("{}"), "invalid_response"),
    ]
}

fn heavy_429(retry_after: Option<u64>) -> FaultKind {
    Reply::too_many_requests(retry_after).with("X-Rate-Limit-Group", "heavy").into()
}

fn redirect(location: &str) -> FaultKind {
    FaultKind::Redirect { status: 302, location: location.to_owned() }
}

#[tokio::test]
async fn a_fault_is_a_sample_and_passes() {
    let trials: Vec<_> = cases().into_iter().map(|case| tokio::spawn(trial(case))).collect();
    for trial in trials {
        trial.await.unwrap();
    }
}

/// A fault of the list meets an exporter that has fetched well before; one of the login meets one that starts.
async fn trial(case: Case) {
    let Case { name, operation, fault, reason } = case;
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    let known = match operation {
        Operation::Token => BTreeMap::new(),
        _ => rig.scrape().await.calls(),
    };
    rig.simulator.inject(Fault::always(operation, fault));
    let before = rig.count(operation);
    let failed = rig.scrape().await;
    assert_eq!((failed.status, failed.up()), (200, 0.0), "{name}");
    assert_eq!(failed.calls(), known, "{name}: what is known is kept, and nothing is made up");
    let label = if operation == Operation::Token { "token" } else { "active_calls" };
    assert_eq!(failed.failures(label, reason), 1.0, "{name}:\n{}", failed.text);
    assert_eq!(rig.count(operation), before + 1, "{name}: one scrape, one request");
    rig.simulator.clear_faults();
    let recovered = rig.recovers(SOON).await;
    assert!(!recovered.calls().is_empty(), "{name}");
    assert_eq!(recovered.blocked_until("active_calls"), 0.0, "{name}");
}

#[tokio::test]
async fn a_failed_fetch_keeps_the_last_snapshot_until_it_is_too_old() {
    let rig = Rig::configured(Scenario { limits: unlimited(), ..Scenario::normal() }, |config| {
        config.common.scrape.max_age = Duration::from_secs(2);
    })
    .await;
    let good = rig.scrape().await;
    rig.simulator.inject(Fault::always(Operation::ActiveCalls, Reply::unavailable(500)));
    let failing = rig.scrape().await;
    assert_eq!(failing.up(), 0.0);
    assert_eq!(failing.calls(), good.calls(), "younger than max-age, it stays as it was");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stale = rig.scrape().await;
    assert_eq!((stale.up(), stale.calls().len()), (0.0, 0), "past max-age its families are absent");
    let timestamp = "ringcentral_snapshot_timestamp_seconds{account=\"default\"}";
    assert_eq!(stale.value(timestamp), good.value(timestamp), "when it was made stays known");
    rig.simulator.clear_faults();
    rig.recovers(SOON).await;
}

#[tokio::test]
async fn a_401_costs_one_login_and_one_more_try() {
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    rig.scrape().await;
    rig.simulator.evict_tokens();
    let scraped = rig.scrape().await;
    assert_eq!(scraped.up(), 1.0, "the scrape does not even notice");
    assert_eq!(scraped.failures("active_calls", "unauthorized"), 1.0);
    assert_eq!((rig.count(Operation::Token), rig.count(Operation::ActiveCalls)), (2, 3));
}

#[tokio::test]
async fn a_401_that_stays_is_a_refused_login_and_backs_off() {
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    rig.scrape().await;
    rig.simulator.inject(Fault::always(Operation::ActiveCalls, Reply::token_not_found()));
    let failed = rig.scrape().await;
    assert_eq!(failed.up(), 0.0);
    assert_eq!((rig.count(Operation::Token), rig.count(Operation::ActiveCalls)), (2, 3));
    assert!(failed.blocked_until("token") > 0.0 && failed.blocked_until("active_calls") > 0.0);
    for _ in 0..5 {
        rig.scrape().await;
    }
    assert_eq!(rig.count(Operation::Token), 2, "no login while it backs off");
    rig.simulator.clear_faults();
    rig.recovers(SOON).await;
}

#[tokio::test]
async fn a_403_logs_in_anew_once_it_may_be_permitted() {
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    rig.scrape().await;
    rig.simulator.inject(Fault::once(Operation::ActiveCalls, Reply::user_lacks("ReadCompanyCallLog")));
    assert_eq!(rig.scrape().await.up(), 0.0);
    rig.recovers(SOON).await;
    assert_eq!(rig.count(Operation::Token), 2, "permissions are settled when a token is made");
}

#[tokio::test]
async fn a_hanging_api_costs_a_scrape_its_deadline_and_a_request_ten_seconds() {
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    let good = rig.scrape().await;
    rig.simulator.inject(Fault::once(Operation::ActiveCalls, FaultKind::Hang));
    let hanging = rig.scrape_within("2").await;
    assert_eq!(hanging.status, 200);
    assert!((1.4..2.0).contains(&hanging.took.as_secs_f64()), "{:?}", hanging.took);
    assert_eq!(hanging.calls(), good.calls(), "answered from what is known");
    tokio::time::sleep(Duration::from_secs(9)).await;
    let scraped = rig.recovers(SOON).await;
    assert_eq!(scraped.failures("active_calls", "timeout"), 1.0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failed_connection_until_it_comes() {
    let listener = loopback().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rig = Rig::configured(Scenario { limits: unlimited(), ..Scenario::normal() }, |config| {
        config.accounts[0].server = format!("http://{address}").parse().unwrap();
    })
    .await;
    let failed = rig.scrape().await;
    assert_eq!((failed.status, failed.up()), (200, 0.0));
    assert_eq!(failed.failures("token", "connect"), 1.0);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let scenario = Scenario { limits: unlimited(), ..Scenario::normal() };
    let late = Simulator::start(listener, scenario, 1).unwrap();
    assert_eq!(account(&late).client_id, account(&rig.simulator).client_id, "the same seed, the same app");
    late.set_jwt(rig.simulator.jwt());
    rig.recovers(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_and_costs_a_request() {
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    let account = rig.simulator.account_id();
    let location = format!("/restapi/v1.0/account/{account}/active-calls?perPage=1000");
    rig.simulator.inject(Fault::once(Operation::ActiveCalls, redirect(&location)));
    let scraped = rig.scrape().await;
    assert_eq!(scraped.up(), 1.0);
    assert_eq!(rig.count(Operation::ActiveCalls), 2);
    let series = "ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}";
    assert_eq!(scraped.value(series), 2.0);
}

#[tokio::test]
async fn a_page_that_comes_round_again_fails_the_walk() {
    let rig = Rig::start(Scenario { limits: unlimited(), ..Scenario::normal() }).await;
    let first = "/restapi/v1.0/account/~/active-calls?perPage=1000".to_owned();
    rig.simulator.inject(Fault::always(Operation::ActiveCalls, FaultKind::NextPage(first)));
    let failed = rig.scrape().await;
    assert_eq!((failed.up(), failed.failures("active_calls", "invalid_response")), (0.0, 1.0));
    assert_eq!(rig.count(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn a_429_without_retry_after_silences_for_thirty_seconds_at_least() {
    let short = Limit { requests: 10, window: Duration::from_secs(2), ..Limits::default().heavy };
    let limits = Limits { heavy: short, ..Limits::default() };
    let rig = Rig::start(Scenario { limits, ..Scenario::normal() }).await;
    rig.scrape().await;
    rig.simulator.inject(Fault::once(Operation::ActiveCalls, heavy_429(None)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = rig.scrape().await;
    let wait = failed.blocked_until("active_calls") - rig.simulator.now() as f64 / 1000.0;
    assert!((28.0..=30.0).contains(&wait), "{wait}");
    assert_eq!(failed.blocked_until("token"), 0.0, "the refusal named its group");
    let before = rig.count(Operation::ActiveCalls);
    rig.recovers(Duration::from_secs(35)).await;
    let after = rig.requests(Operation::ActiveCalls);
    assert_eq!(after.len(), before + 1, "not one request left inside the penalty");
    let gap = after[after.len() - 1].arrived_ms - after[after.len() - 2].arrived_ms;
    assert!(gap >= 30_000, "{gap} ms");
}
