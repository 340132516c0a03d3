//! Tests of the presence list.

use ringcentral_exporter::simulator::{Operation, Scenario};
use serde_json::Value;

use crate::common::{TestSimulator, error, header, json};
use crate::event_client::{ACCOUNT_PRESENCE, KnownPresence};

#[tokio::test]
async fn presence_pages_equal_the_truth() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for step in 0..4 {
        let mut records = Vec::new();
        let mut page = 1;
        loop {
            let path = format!("{ACCOUNT_PRESENCE}?perPage=150&page={page}");
            let body = json(server.get(&token, &path).await).await;
            assert_eq!(body["paging"]["page"], page);
            records.extend(body["records"].as_array().unwrap().clone());
            if body["navigation"]["nextPage"].is_null() {
                assert_eq!(body["paging"]["totalElements"], records.len());
                break;
            }
            page += 1;
        }
        assert!(records.len() > 150, "{step}");
        let now = server.simulator.now();
        let known = KnownPresence::from_records(&Value::from(records));
        assert_eq!(known, KnownPresence::truth(&server, now));
        server.advance_seconds(97);
    }
}

#[tokio::test]
async fn row_has_the_fields_of_the_published_sample() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let account = server.simulator.account_id();
    let path = format!("/restapi/v1.0/account/{account}/presence");
    let body = json(server.get(&token, &path).await).await;
    assert_eq!(body["paging"]["perPage"], 100);
    let row = body["records"][0].as_object().unwrap();
    for field in [
        "uri",
        "extension",
        "presenceStatus",
        "telephonyStatus",
        "userStatus",
        "dndStatus",
        "allowSeeMyPresence",
        "ringOnMonitoredCall",
        "pickUpCallsOnHold",
    ] {
        assert!(row.contains_key(field), "{field}");
    }
    assert!(!row.contains_key("sequence") && !row.contains_key("activeCalls"));
    assert_eq!(row["extension"]["id"], account);
    assert_eq!(row["extension"]["extensionNumber"], "101");
    assert!(row["uri"].as_str().unwrap().ends_with("/presence"));
}

#[tokio::test]
async fn queues_and_menus_are_offline_without_telephony() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let body = json(server.get(&token, ACCOUNT_PRESENCE).await).await;
    let mut without = 0;
    for row in body["records"].as_array().unwrap() {
        if row.get("telephonyStatus").is_none() {
            without += 1;
            assert_eq!(row["presenceStatus"], "Offline");
        }
    }
    assert_eq!(without, 8, "six queues, a menu and an announcement");
}

#[tokio::test]
async fn presence_list_is_in_the_heavy_group() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for _ in 0..10 {
        let response = server.get(&token, ACCOUNT_PRESENCE).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-rate-limit-group"), Some("heavy"));
    }
    let response = server.get(&token, ACCOUNT_PRESENCE).await;
    assert_eq!(error(response).await, (429, "CMN-301".to_owned()));
    let entry = server.simulator.journal().pop().unwrap();
    assert_eq!(entry.operation, Some(Operation::Presence));
}

#[tokio::test]
async fn presence_list_has_the_errors_of_other_lists() {
    let server = TestSimulator::start(Scenario {
        read_presence: false,
        ..Scenario::normal()
    })
    .await;
    let token = server.token().await;
    let refused = server.get(&token, ACCOUNT_PRESENCE).await;
    assert_eq!(error(refused).await, (403, "CMN-401".to_owned()));
    let other = server.get(&token, "/restapi/v1.0/account/1/presence").await;
    assert_eq!(error(other).await, (404, "CMN-102".to_owned()));
    let unknown = server.get("unknown", ACCOUNT_PRESENCE).await;
    assert_eq!(error(unknown).await, (401, "OAU-213".to_owned()));
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let path = format!("{ACCOUNT_PRESENCE}?page=0");
    let bad = server.get(&token, &path).await;
    assert_eq!(error(bad).await, (400, "CMN-101".to_owned()));
}
