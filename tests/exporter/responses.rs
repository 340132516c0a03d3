//! Tests of responses that are odd, too long, or of a list that changes while it is read.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};

use crate::common::unlimited_requests;
use crate::faults::log;
use crate::harness::TestExporter;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const ONE_CALL: &str = r#"{"records":[{"id":"a","result":"Busy"}]}"#;

/// Returns a response with these bytes that announces a limit under which each scrape may fetch.
fn response(status: u16, body: &[u8]) -> SimResponse {
    SimResponse {
        status,
        headers: Vec::new(),
        body: body.to_vec().into(),
    }
    .with_rate_limit("heavy", 1_000_000, 999_999, 60)
}

/// Returns a page of calls that names the second page of the list as the next one.
fn page_with_next(records: &str) -> SimResponse {
    let next = r#"{"nextPage":{"uri":"/restapi/v1.0/account/~/active-calls?page=2"}}"#;
    let body = format!(r#"{{"records":[{records}],"navigation":{next}}}"#);
    response(200, body.as_bytes())
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Starts an exporter of an account with this name, whose requests are not limited.
async fn start(account: &str) -> TestExporter {
    log::capture();
    let scenario = Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let account = account.to_owned();
    TestExporter::start_with(scenario, |config| config.accounts[0].name = account).await
}

/// Scrapes once after these responses are injected. Returns `ringcentral_up` and the requests of the call list.
async fn scrape(
    exporter: &TestExporter,
    account: &str,
    responses: Vec<SimResponse>,
) -> (f64, usize) {
    let operation = Operation::ActiveCalls;
    let before = exporter.count_requests(operation);
    for response in responses {
        exporter.simulator.inject(Fault::once(operation, response));
    }
    let scraped = exporter.scrape().await;
    let up = scraped.value(&format!("ringcentral_up{{account=\"{account}\"}}"));
    (up, exporter.count_requests(operation) - before)
}

/// Returns the last log line about a failed fetch of the account.
fn last_failure(account: &str) -> String {
    let mut lines = log::account_lines(account);
    lines.retain(|line| line.contains("fetch_log: fetch failed"));
    lines.pop().unwrap_or_default()
}

#[tokio::test]
async fn odd_but_valid_responses_are_read() {
    let exporter = start("odd").await;
    let token = br#"{"access_token":"T","scope":"R\xe9seau","\xff":1}"#;
    let token = response(200, &[BYTE_ORDER_MARK, token].concat());
    exporter
        .simulator
        .inject(Fault::once(Operation::Token, token));
    let one_call = ONE_CALL.as_bytes();
    let packed = gzip(one_call);
    for (name, response) in [
        ("byte order mark", response(200, &[BYTE_ORDER_MARK, one_call].concat())),
        ("x-gzip", response(200, &packed).with("Content-Encoding", "x-gzip")),
        ("GZIP", response(200, &packed).with("Content-Encoding", " GZIP ")),
        ("identity", response(200, one_call).with("Content-Encoding", "identity")),
        (
            "a byte that is not UTF-8",
            response(200, b"{\"records\":[{\"id\":\"a\",\"result\":\"Busy\",\"from\":{\"name\":\"Ren\xe9\"}}]}"),
        ),
        (
            "an empty next page",
            response(200, br#"{"records":[{"id":"a","result":"Busy"}],"navigation":{"nextPage":{}}}"#),
        ),
    ] {
        assert_eq!(scrape(&exporter, "odd", vec![response]).await, (1.0, 1), "{name}");
        let scraped = exporter.scrape().await;
        assert!(!scraped.call_samples().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn invalid_encodings_fail_the_fetch() {
    let exporter = start("encodings").await;
    let packed = gzip(ONE_CALL.as_bytes());
    for (encoding, body, problem) in [
        ("br", packed.clone(), "another encoding than gzip"),
        ("gzip, gzip", gzip(&packed), "encoded more than once"),
        (
            "gzip",
            packed[..packed.len() - 1].to_vec(),
            "not valid gzip",
        ),
        ("gzip", [&packed[..], b"\n"].concat(), "not valid gzip"),
        (
            "gzip",
            [&packed[..], &packed[..]].concat(),
            "not valid gzip",
        ),
    ] {
        let response = response(200, &body).with("Content-Encoding", encoding);
        assert_eq!(
            scrape(&exporter, "encodings", vec![response]).await,
            (0.0, 1),
            "{encoding}"
        );
        let failure = last_failure("encodings");
        assert!(
            failure.contains("invalid_response") && failure.contains(problem),
            "{failure}"
        );
        assert_eq!(scrape(&exporter, "encodings", vec![]).await.0, 1.0);
    }
}

#[tokio::test]
async fn error_code_behind_byte_order_mark_is_found() {
    let exporter = start("marked").await;
    let mut forbidden = SimResponse::user_lacks("ReadCompanyCallLog");
    forbidden.body = [BYTE_ORDER_MARK, &forbidden.body].concat().into();
    assert_eq!(scrape(&exporter, "marked", vec![forbidden]).await, (0.0, 1));
    let failure = last_failure("marked");
    assert!(failure.contains("not_admin"), "{failure}");
}

#[tokio::test]
async fn list_over_100000_records_is_rejected() {
    let exporter = start("long").await;
    let records = vec!["{}"; 10_000].join(",");
    let mut pages = Vec::new();
    for number in 2..=11 {
        let next = format!(r#"{{"uri":"/restapi/v1.0/account/~/active-calls?page={number}"}}"#);
        let body = format!(r#"{{"records":[{records}],"navigation":{{"nextPage":{next}}}}}"#);
        pages.push(response(200, body.as_bytes()));
    }
    let mut longest = pages.clone();
    longest.push(response(200, br#"{"records":[]}"#));
    assert_eq!(scrape(&exporter, "long", longest).await, (1.0, 11));
    pages.push(response(200, ONE_CALL.as_bytes()));
    assert_eq!(scrape(&exporter, "long", pages).await, (0.0, 11));
    let failure = last_failure("long");
    assert!(
        failure.contains("more than 100,000 records in the list"),
        "{failure}"
    );
    assert!(failure.contains("invalid_response"), "{failure}");
}

/// Returns the ways in which a page can be gone.
fn refusals() -> [SimResponse; 4] {
    [
        SimResponse::not_found("page", "2"),
        SimResponse::bad_parameter("page", "2"),
        SimResponse::html(404, "Not Found"),
        SimResponse::html(400, "Bad Request"),
    ]
    .map(|refusal| refusal.with_rate_limit("heavy", 1_000_000, 999_999, 60))
}

#[tokio::test]
async fn list_that_became_shorter_is_read_again_once() {
    let exporter = start("shorter").await;
    for refusal in refusals() {
        let first = page_with_next(r#"{"id":"a"},{"id":"b"}"#);
        let responses = vec![first, refusal, response(200, ONE_CALL.as_bytes())];
        assert_eq!(scrape(&exporter, "shorter", responses).await, (1.0, 3));
    }
}

#[tokio::test]
async fn list_that_became_shorter_twice_fails_the_fetch() {
    let exporter = start("twice").await;
    for refusal in refusals() {
        let first = page_with_next(r#"{"id":"a"}"#);
        let responses = vec![first.clone(), refusal.clone(), first, refusal];
        assert_eq!(scrape(&exporter, "twice", responses).await, (0.0, 4));
        let failure = last_failure("twice");
        assert!(
            failure.contains("page_gone") && !failure.contains("account-id"),
            "{failure}"
        );
        assert_eq!(scrape(&exporter, "twice", vec![]).await.0, 1.0);
    }
}

#[tokio::test]
async fn list_is_read_again_only_if_that_may_help() {
    let exporter = start("futile").await;
    let first = page_with_next(r#"{"id":"a"}"#);
    let [refusal, ..] = refusals();
    for _ in 0..2 {
        for (tries, up) in [(2, 0.0), (1, 0.0), (1, 0.0)] {
            let responses = vec![[first.clone(), refusal.clone()]; tries].concat();
            assert_eq!(
                scrape(&exporter, "futile", responses).await,
                (up, 2 * tries)
            );
            assert!(last_failure("futile").contains("page_gone"));
        }
        assert_eq!(scrape(&exporter, "futile", vec![]).await.0, 1.0);
    }
}

#[tokio::test]
async fn refused_login_on_second_page_is_its_own_error() {
    let exporter = start("refused").await;
    assert_eq!(scrape(&exporter, "refused", vec![]).await.0, 1.0);
    let refused = SimResponse::invalid_grant("expired");
    let fault = Fault::once(Operation::Token, refused);
    exporter.simulator.inject(fault);
    let responses = vec![
        page_with_next(r#"{"id":"a"}"#),
        SimResponse::token_expired(),
    ];
    assert_eq!(scrape(&exporter, "refused", responses).await, (0.0, 2));
    let failure = last_failure("refused");
    assert!(failure.contains("jwt_refused"), "{failure}");
    assert_eq!(exporter.count_requests(Operation::Token), 2);
    let scraped = exporter.scrape().await;
    let failures = |operation, reason| {
        let labels = format!("account=\"refused\",operation=\"{operation}\",reason=\"{reason}\"");
        scraped.value(&format!(
            "ringcentral_api_request_failures_total{{{labels}}}"
        ))
    };
    assert_eq!(failures("token", "client_error"), 1.0);
    assert_eq!(failures("token", "unauthorized"), 0.0);
}

#[tokio::test]
async fn shorter_list_is_read_again_only_within_budget() {
    for (limit, requests, up) in [(3, 2, 0.0), (4, 3, 1.0)] {
        let exporter = TestExporter::start(Scenario::normal()).await;
        // Of two limits in one response the lower counts.
        let limited = |response: SimResponse| response.with_rate_limit("heavy", limit, limit, 60);
        let responses = vec![
            limited(page_with_next(r#"{"id":"a"}"#)),
            SimResponse::not_found("page", "2"),
            limited(response(200, ONE_CALL.as_bytes())),
        ];
        assert_eq!(
            scrape(&exporter, "default", responses).await,
            (up, requests),
            "{limit}"
        );
        let scraped = exporter.scrape().await;
        assert_eq!(scraped.failures("active_calls", "budget"), 1.0 - up);
        let count = exporter.count_requests(Operation::ActiveCalls);
        assert_eq!(count, requests, "{limit}");
    }
}

#[tokio::test]
async fn shorter_extension_list_is_read_again_once() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        max_per_page: 100,
        ..Scenario::normal()
    })
    .await;
    let operation = Operation::Extensions;
    let regular = FaultKind::Delay(std::time::Duration::ZERO);
    exporter.simulator.inject(Fault::once(operation, regular));
    exporter
        .simulator
        .inject(Fault::once(operation, SimResponse::not_found("page", "2")));
    exporter.scrape().await;
    exporter.wait_for_requests(operation, 4).await;
    let scraped = exporter.scrape().await;
    assert_eq!(scraped.failures("extensions", "not_found"), 1.0);
    assert_eq!(exporter.count_requests(operation), 4);
}
