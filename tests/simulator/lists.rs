//! Tests of lists: pages, filters, envelopes and records.

use ringcentral_exporter::simulator::Scenario;
use ringcentral_exporter::simulator::scenario::Envelope;
use serde_json::Value;

use crate::common::{CALLS, EXTENSIONS, OWN_CALLS, TestSimulator, decompress, header, json};

/// Fetches all pages from `path` on by following `nextPage`.
async fn fetch_pages(server: &TestSimulator, path: &str) -> Vec<Value> {
    let token = server.token().await;
    let mut pages = Vec::new();
    let mut next = Some(server.url(path));
    while let Some(url) = next {
        let response = server
            .http
            .get(url)
            .bearer_auth(&token)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let page = json(response).await;
        next = page["navigation"]["nextPage"]["uri"]
            .as_str()
            .map(str::to_owned);
        pages.push(page);
    }
    pages
}

fn records(pages: &[Value]) -> Vec<Value> {
    pages
        .iter()
        .flat_map(|page| page["records"].as_array().unwrap().clone())
        .collect()
}

async fn listed(server: &TestSimulator, at: i64) -> Vec<Value> {
    let url = server.url(&format!("/simulator/listed?at={at}"));
    json(server.http.get(url).send().await.unwrap())
        .await
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn pages_equal_the_list_of_the_journal_instant() {
    let server = TestSimulator::normal().await;
    let pages = fetch_pages(&server, &format!("{CALLS}?perPage=20")).await;
    assert!(pages.len() >= 3);
    let entries = server.simulator.journal();
    let at = entries[1].listed_at_ms.unwrap();
    assert_eq!(records(&pages), listed(&server, at).await);
    let ids: Vec<String> = server
        .simulator
        .listed_at(at)
        .into_iter()
        .map(|r| r.id)
        .collect();
    let fetched: Vec<Value> = records(&pages)
        .into_iter()
        .map(|r| r["id"].clone())
        .collect();
    assert_eq!(fetched, ids);
    let records_in_journal: usize = entries[1..].iter().filter_map(|entry| entry.records).sum();
    assert_eq!(records_in_journal, ids.len());
}

#[tokio::test]
async fn page_has_the_envelope_of_the_published_samples() {
    let server = TestSimulator::normal().await;
    let pages = fetch_pages(&server, &format!("{CALLS}?view=Simple&perPage=20")).await;
    let account = format!(
        "{}/restapi/v1.0/account/{}",
        server.simulator.url(),
        server.simulator.account_id()
    );
    let url = |page| format!("{account}/active-calls?view=Simple&page={page}&perPage=20");
    let page = &pages[1];
    assert_eq!(page["uri"], url(2));
    let paging = serde_json::json!({"page": 2, "perPage": 20, "pageStart": 20, "pageEnd": 39});
    assert_eq!(page["paging"], paging);
    assert_eq!(page["navigation"]["firstPage"]["uri"], url(1));
    assert_eq!(page["navigation"]["nextPage"]["uri"], url(3));
    assert!(page["navigation"].get("lastPage").is_none());
    assert!(
        pages.last().unwrap()["navigation"]
            .get("nextPage")
            .is_none()
    );
}

#[tokio::test]
async fn records_have_the_published_fields() {
    let server = TestSimulator::normal().await;
    let all = records(&fetch_pages(&server, &format!("{CALLS}?perPage=max")).await);
    for record in &all {
        let live = record["result"] == "In Progress";
        assert_eq!(live, record.get("duration").is_none(), "{record}");
        assert!(record.get("finished").is_none());
        assert!(record["startTime"].as_str().unwrap().ends_with('Z'));
        assert!(
            record["sessionId"]
                .as_str()
                .unwrap()
                .bytes()
                .all(|b| b.is_ascii_digit())
        );
        let owner = record["extension"]["id"]
            .as_u64()
            .unwrap_or(server.simulator.account_id());
        let uri = record["uri"].as_str().unwrap();
        assert!(
            uri.contains(&format!("/extension/{owner}/call-log/")),
            "{uri}"
        );
        assert!(uri.ends_with("?view=Simple"));
    }
    assert!(all.iter().any(|record| record.get("extension").is_none()));
    assert!(all.iter().any(|record| record.get("durationMs").is_some()));
}

#[tokio::test]
async fn page_size_is_clamped_and_invalid_values_are_refused() {
    let server = TestSimulator::start(Scenario {
        max_per_page: 30,
        ..Scenario::default()
    })
    .await;
    let token = server.token().await;
    for size in ["31", "100000", "max"] {
        let page = json(server.get(&token, &format!("{CALLS}?perPage={size}")).await).await;
        assert_eq!(page["paging"]["perPage"], 30);
        assert_eq!(page["records"].as_array().unwrap().len(), 30);
    }
    for query in ["perPage=0", "perPage=many", "page=0"] {
        assert_eq!(
            server
                .get(&token, &format!("{CALLS}?{query}"))
                .await
                .status(),
            400
        );
    }
    let beyond = json(server.get(&token, &format!("{CALLS}?page=99")).await).await;
    assert_eq!(
        beyond["paging"],
        serde_json::json!({"page": 99, "perPage": 30})
    );
}

#[tokio::test]
async fn filters_and_detailed_view_are_applied() {
    let server = TestSimulator::normal().await;
    let all = listed(&server, server.simulator.now()).await;
    let inbound =
        records(&fetch_pages(&server, &format!("{CALLS}?direction=Inbound&type=Voice")).await);
    let expected = |r: &&Value| r["direction"] == "Inbound" && r["type"] == "Voice";
    assert_eq!(
        inbound,
        all.iter().filter(expected).cloned().collect::<Vec<_>>()
    );
    let both = fetch_pages(
        &server,
        &format!("{CALLS}?direction=Inbound&direction=Outbound"),
    )
    .await;
    assert_eq!(records(&both), all);
    let detailed = records(&fetch_pages(&server, &format!("{CALLS}?view=Detailed")).await);
    assert_eq!(detailed[0]["legs"][0]["result"], detailed[0]["result"]);
    assert_eq!(detailed[0]["legs"][0]["master"], true);
}

#[tokio::test]
async fn ignored_query_returns_100_unfiltered_simple_records() {
    let server = TestSimulator::start(Scenario {
        honors_query: false,
        ..Scenario::default()
    })
    .await;
    let page = &fetch_pages(
        &server,
        &format!("{CALLS}?perPage=5&direction=Inbound&view=Detailed"),
    )
    .await[0];
    assert_eq!(page["paging"]["perPage"], 100);
    let records = page["records"].as_array().unwrap();
    assert!(
        records
            .iter()
            .any(|record| record["direction"] == "Outbound")
    );
    assert!(records[0].get("legs").is_none());
}

#[tokio::test]
async fn minimal_envelope_has_no_paging_or_navigation() {
    let scenario = Scenario {
        envelope: Envelope::Minimal,
        finished_field: true,
        ..Scenario::default()
    };
    let server = TestSimulator::start(scenario).await;
    let page = &fetch_pages(&server, &format!("{CALLS}?perPage=1000")).await[0];
    let keys: Vec<&String> = page.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["records", "uri"]);
    for record in page["records"].as_array().unwrap() {
        assert_eq!(record["finished"], record.get("duration").is_some());
    }
}

#[tokio::test]
async fn empty_list_has_no_page_start_or_end() {
    let server = TestSimulator::start(Scenario {
        calls_per_minute: 0.0,
        ..Scenario::default()
    })
    .await;
    let page = &fetch_pages(&server, CALLS).await[0];
    assert_eq!(page["records"], serde_json::json!([]));
    assert_eq!(
        page["paging"],
        serde_json::json!({"page": 1, "perPage": 100})
    );
}

#[tokio::test]
async fn extension_list_has_only_calls_of_the_extension() {
    let server = TestSimulator::start(Scenario {
        calls_per_minute: 200.0,
        ..Scenario::default()
    })
    .await;
    let owner = server.simulator.owner_id();
    let own = records(&fetch_pages(&server, OWN_CALLS).await);
    assert!(!own.is_empty());
    assert!(own.iter().all(|record| record["extension"]["id"] == owner));
    let all = listed(&server, server.simulator.now()).await;
    assert_eq!(
        own.len(),
        all.iter().filter(|r| r["extension"]["id"] == owner).count()
    );
}

#[tokio::test]
async fn extension_pages_have_totals() {
    let server = TestSimulator::normal().await;
    let pages = fetch_pages(&server, &format!("{EXTENSIONS}?perPage=90")).await;
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[0]["paging"]["totalElements"], 200);
    assert_eq!(pages[0]["paging"]["totalPages"], 3);
    assert!(
        pages[0]["navigation"]["lastPage"]["uri"]
            .as_str()
            .unwrap()
            .contains("page=3")
    );
    let all = records(&pages);
    let known = server.simulator.switchboard().extensions();
    assert_eq!(all.len(), known.len());
    assert!(
        all.iter()
            .zip(known)
            .all(|(listed, known)| listed["id"] == known.id)
    );
    let queues = records(&fetch_pages(&server, &format!("{EXTENSIONS}?type=Department")).await);
    assert_eq!(queues.len(), 6);
}

#[tokio::test]
async fn response_is_compressed_only_if_the_client_accepts_gzip() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let uncompressed = server.get(&token, CALLS).await;
    assert_eq!(header(&uncompressed, "content-encoding"), None);
    assert!(
        header(&uncompressed, "rcrequestid").is_some()
            && header(&uncompressed, "routingkey").is_some()
    );
    let size = uncompressed.bytes().await.unwrap().len();
    let compressed = server
        .request(&token, CALLS)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&compressed, "content-encoding"), Some("gzip"));
    let compressed = compressed.bytes().await.unwrap();
    assert!(compressed.len() * 3 < size);
    assert!(decompress(&compressed).ends_with(b"}"));
}
