//! Faults: each meets the requests it was meant for, and passes.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, SimResponse, Times};

use crate::common::{CALLS, Rig, error, header, json, unpacked};

/// The answer, or its absence, that the list gives while `kind` is in front of it once.
async fn met(rig: &Rig, token: &str, kind: impl Into<FaultKind>) -> reqwest::Result<Response> {
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, kind));
    let met = rig.request(token, CALLS).send().await;
    assert!(rig.simulator.journal().len() > 1);
    met
}

#[tokio::test]
async fn every_documented_error_can_be_had() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
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
    for (reply, status, code) in errors {
        let response = met(&rig, &token, reply).await.unwrap();
        assert_eq!(error(response).await, (status, code.to_owned()));
    }
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn a_429_comes_with_or_without_the_headers_of_a_group() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let bare = met(&rig, &token, SimResponse::too_many_requests(Some(7)))
        .await
        .unwrap();
    assert_eq!(header(&bare, "retry-after"), Some("7"));
    assert_eq!(header(&bare, "x-rate-limit-group"), None);
    let group = SimResponse::too_many_requests(None).with_rate_limit("heavy", 10, 0, 60);
    let group = met(&rig, &token, group).await.unwrap();
    assert_eq!(header(&group, "retry-after"), None);
    assert_eq!(header(&group, "x-rate-limit-group"), Some("heavy"));
}

#[tokio::test]
async fn faults_meet_their_operation_so_often_and_can_be_cleared() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let kind = FaultKind::from(SimResponse::html(502, "Bad Gateway"));
    let fault = Fault {
        operation: Operation::ActiveCalls,
        kind,
        times: Times::N(2),
    };
    rig.simulator.inject(fault);
    assert_eq!(rig.log_in().await.status(), 200);
    assert_eq!(rig.get(&token, CALLS).await.status(), 502);
    assert_eq!(rig.get(&token, CALLS).await.status(), 502);
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
    rig.simulator.inject(Fault::always(
        Operation::Token,
        SimResponse::grant_not_allowed(),
    ));
    assert_eq!(error(rig.log_in().await).await, (400, "OAU-251".to_owned()));
    rig.simulator.clear_faults();
    assert_eq!(rig.log_in().await.status(), 200);
}

#[tokio::test]
async fn a_body_can_be_anything() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    for body in ["", "{\"records\": [", "<html>"] {
        let kind = FaultKind::Body(Bytes::from(body));
        let response = met(&rig, &token, kind).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), body);
    }
}

#[tokio::test]
async fn a_connection_can_be_closed_before_or_in_the_middle_of_an_answer() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    assert!(
        met(&rig, &token, FaultKind::CloseBeforeAnswer)
            .await
            .is_err()
    );
    assert_eq!(rig.simulator.journal().last().unwrap().status, None);
    let cut = met(&rig, &token, FaultKind::Cut).await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());
}

#[tokio::test]
async fn a_request_can_hang_and_the_others_go_on() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, FaultKind::Hang));
    let hanging = rig
        .request(&token, CALLS)
        .timeout(Duration::from_millis(100))
        .send();
    assert!(hanging.await.unwrap_err().is_timeout());
    let journal = rig.simulator.journal();
    assert_eq!((journal[1].answered_ms, journal[1].status), (None, None));
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn answers_can_be_late_or_drip() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let pause = Duration::from_millis(20);
    for kind in [
        FaultKind::Delay(pause * 4),
        FaultKind::Drip { pieces: 4, pause },
    ] {
        let whole = async |kind| json(met(&rig, &token, kind).await.unwrap()).await;
        assert!(
            tokio::time::timeout(pause * 3, whole(kind.clone()))
                .await
                .is_err()
        );
        assert!(whole(kind).await["records"].is_array());
    }
}

#[tokio::test]
async fn the_next_page_can_lead_anywhere() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let kind = FaultKind::NextPage("http://elsewhere.example/".to_owned());
    let page = json(met(&rig, &token, kind).await.unwrap()).await;
    assert_eq!(
        page["navigation"]["nextPage"]["uri"],
        "http://elsewhere.example/"
    );
    assert!(page["navigation"]["firstPage"]["uri"].is_string());
    assert!(!page["records"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_bomb_is_small_on_the_wire_and_large_when_unpacked() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let size = 5_000_000;
    let packed = met(&rig, &token, FaultKind::GzipBomb(size))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(packed.len() < size / 100);
    assert_eq!(unpacked(&packed).len(), size);
}

#[tokio::test]
async fn a_request_can_be_sent_elsewhere() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let location = rig.url("/elsewhere");
    let kind = FaultKind::Redirect {
        status: 307,
        location: location.clone(),
    };
    let response = met(&rig, &token, kind).await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(header(&response, "location"), Some(location.as_str()));
}
