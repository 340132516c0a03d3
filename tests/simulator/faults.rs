//! Tests of injected faults.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, SimResponse, Times};
use tokio::time::Instant;

use crate::common::{CALLS, TestSimulator, decompress, error, header, json};

/// Requests the list of calls with one fault of this kind.
async fn request_with_fault(
    server: &TestSimulator,
    token: &str,
    kind: impl Into<FaultKind>,
) -> reqwest::Result<Response> {
    server
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, kind));
    let response = server.request(token, CALLS).send().await;
    assert!(server.simulator.journal().len() > 1);
    response
}

#[tokio::test]
async fn documented_errors_can_be_injected() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let errors = [
        (SimResponse::bad_parameter("page", "x"), 400, "CMN-101"),
        (SimResponse::token_not_found(), 401, "OAU-213"),
        (SimResponse::token_expired(), 401, "OAU-128"),
        (SimResponse::app_lacks("ReadCallLog"), 403, "CMN-401"),
        (
            SimResponse::user_lacks("ReadCompanyCallLog"),
            403,
            "CMN-408",
        ),
        (SimResponse::not_found("accountId", "1"), 404, "CMN-102"),
        (SimResponse::too_many_requests(None), 429, "CMN-301"),
        (SimResponse::unavailable(500), 500, "CMN-201"),
        (
            SimResponse::unavailable(503).with("Retry-After", 3),
            503,
            "CMN-201",
        ),
    ];
    for (injected, status, code) in errors {
        let response = request_with_fault(&server, &token, injected).await.unwrap();
        assert_eq!(error(response).await, (status, code.to_owned()));
    }
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn injected_429_has_only_the_given_headers() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let without_group =
        request_with_fault(&server, &token, SimResponse::too_many_requests(Some(7)))
            .await
            .unwrap();
    assert_eq!(header(&without_group, "retry-after"), Some("7"));
    assert_eq!(header(&without_group, "x-rate-limit-group"), None);
    let refusal = SimResponse::too_many_requests(None).with_rate_limit("heavy", 10, 0, 60);
    let with_group = request_with_fault(&server, &token, refusal).await.unwrap();
    assert_eq!(header(&with_group, "retry-after"), None);
    assert_eq!(header(&with_group, "x-rate-limit-group"), Some("heavy"));
}

#[tokio::test]
async fn faults_are_limited_to_operation_and_count() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let kind = FaultKind::from(SimResponse::html(502, "Bad Gateway"));
    let fault = Fault {
        operation: Operation::ActiveCalls,
        kind,
        times: Times::N(2),
    };
    server.simulator.inject(fault);
    assert_eq!(server.log_in().await.status(), 200);
    assert_eq!(server.get(&token, CALLS).await.status(), 502);
    assert_eq!(server.get(&token, CALLS).await.status(), 502);
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
    server.simulator.inject(Fault::always(
        Operation::Token,
        SimResponse::grant_not_allowed(),
    ));
    assert_eq!(
        error(server.log_in().await).await,
        (400, "OAU-251".to_owned())
    );
    server.simulator.clear_faults();
    assert_eq!(server.log_in().await.status(), 200);
}

#[tokio::test]
async fn body_fault_returns_any_text() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for body in ["", "{\"records\": [", "<html>"] {
        let kind = FaultKind::Body(Bytes::from(body));
        let response = request_with_fault(&server, &token, kind).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), body);
    }
}

#[tokio::test]
async fn connection_can_be_closed_before_or_during_a_response() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    assert!(
        request_with_fault(&server, &token, FaultKind::CloseBeforeResponse)
            .await
            .is_err()
    );
    assert_eq!(server.simulator.journal().last().unwrap().status, None);
    let truncated = request_with_fault(&server, &token, FaultKind::Truncate)
        .await
        .unwrap();
    assert_eq!(truncated.status(), 200);
    assert!(truncated.bytes().await.is_err());
}

#[tokio::test]
async fn hanging_request_does_not_block_others() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    server
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, FaultKind::Hang));
    let hanging = tokio::spawn(server.request(&token, CALLS).send());
    while server.simulator.journal().len() < 2 {
        tokio::task::yield_now().await;
    }
    let journal = server.simulator.journal();
    assert_eq!((journal[1].answered_ms, journal[1].status), (None, None));
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
    assert!(!hanging.is_finished());
}

#[tokio::test]
async fn responses_can_be_delayed_or_drip() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let pause = Duration::from_millis(20);
    for kind in [
        FaultKind::Delay(pause * 4),
        FaultKind::Drip { pieces: 4, pause },
    ] {
        let started = Instant::now();
        let response = request_with_fault(&server, &token, kind).await.unwrap();
        assert!(json(response).await["records"].is_array());
        assert!(started.elapsed() >= pause * 3);
    }
}

#[tokio::test]
async fn next_page_fault_replaces_only_the_next_page_url() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let kind = FaultKind::NextPage("http://elsewhere.example/".to_owned());
    let page = json(request_with_fault(&server, &token, kind).await.unwrap()).await;
    assert_eq!(
        page["navigation"]["nextPage"]["uri"],
        "http://elsewhere.example/"
    );
    assert!(page["navigation"]["firstPage"]["uri"].is_string());
    assert!(!page["records"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn gzip_bomb_is_small_until_decompressed() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let size = 5_000_000;
    let compressed = request_with_fault(&server, &token, FaultKind::GzipBomb(size))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(compressed.len() < size / 100);
    assert_eq!(decompress(&compressed).len(), size);
}

#[tokio::test]
async fn redirect_fault_has_status_and_location() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let location = server.url("/elsewhere");
    let kind = FaultKind::Redirect {
        status: 307,
        location: location.clone(),
    };
    let response = request_with_fault(&server, &token, kind).await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(header(&response, "location"), Some(location.as_str()));
}
