//! Lists: pages, filters, envelopes, and that they hold exactly what was listed at one instant.

use ringcentral_exporter::simulator::Scenario;
use ringcentral_exporter::simulator::scenario::Envelope;
use serde_json::Value;

use crate::common::{CALLS, EXTENSIONS, OWN_CALLS, Rig, header, json, unpacked};

/// All pages from `path` on, by `nextPage` alone.
async fn walk(rig: &Rig, path: &str) -> Vec<Value> {
    let token = rig.token().await;
    let mut pages = Vec::new();
    let mut next = Some(rig.url(path));
    while let Some(url) = next {
        let response = rig.http.get(url).bearer_auth(&token).send().await.unwrap();
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

async fn listed(rig: &Rig, at: i64) -> Vec<Value> {
    let url = rig.url(&format!("/simulator/listed?at={at}"));
    json(rig.http.get(url).send().await.unwrap())
        .await
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn the_pages_together_are_the_list_of_the_instant_in_the_journal() {
    let rig = Rig::normal().await;
    let pages = walk(&rig, &format!("{CALLS}?perPage=20")).await;
    assert!(pages.len() >= 3);
    let entries = rig.simulator.journal();
    let at = entries[1].listed_at_ms.unwrap();
    assert_eq!(records(&pages), listed(&rig, at).await);
    let ids: Vec<String> = rig
        .simulator
        .listed_at(at)
        .into_iter()
        .map(|r| r.id)
        .collect();
    let walked: Vec<Value> = records(&pages)
        .into_iter()
        .map(|r| r["id"].clone())
        .collect();
    assert_eq!(walked, ids);
    let counted: usize = entries[1..].iter().filter_map(|entry| entry.records).sum();
    assert_eq!(counted, ids.len());
}

#[tokio::test]
async fn a_page_is_wrapped_as_in_the_published_samples() {
    let rig = Rig::normal().await;
    let pages = walk(&rig, &format!("{CALLS}?view=Simple&perPage=20")).await;
    let account = format!(
        "{}/restapi/v1.0/account/{}",
        rig.simulator.url(),
        rig.simulator.account_id()
    );
    let address = |page| format!("{account}/active-calls?view=Simple&page={page}&perPage=20");
    let page = &pages[1];
    assert_eq!(page["uri"], address(2));
    let paging = serde_json::json!({"page": 2, "perPage": 20, "pageStart": 20, "pageEnd": 39});
    assert_eq!(page["paging"], paging);
    assert_eq!(page["navigation"]["firstPage"]["uri"], address(1));
    assert_eq!(page["navigation"]["nextPage"]["uri"], address(3));
    assert!(page["navigation"].get("lastPage").is_none());
    assert!(
        pages.last().unwrap()["navigation"]
            .get("nextPage")
            .is_none()
    );
}

#[tokio::test]
async fn records_look_as_published() {
    let rig = Rig::normal().await;
    let all = records(&walk(&rig, &format!("{CALLS}?perPage=max")).await);
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
            .unwrap_or(rig.simulator.account_id());
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
async fn the_page_size_is_clamped_and_nonsense_is_refused() {
    let rig = Rig::start(Scenario {
        max_per_page: 30,
        ..Scenario::default()
    })
    .await;
    let token = rig.token().await;
    for size in ["31", "100000", "max"] {
        let page = json(rig.get(&token, &format!("{CALLS}?perPage={size}")).await).await;
        assert_eq!(page["paging"]["perPage"], 30);
        assert_eq!(page["records"].as_array().unwrap().len(), 30);
    }
    for query in ["perPage=0", "perPage=many", "page=0"] {
        assert_eq!(
            rig.get(&token, &format!("{CALLS}?{query}")).await.status(),
            400
        );
    }
    let beyond = json(rig.get(&token, &format!("{CALLS}?page=99")).await).await;
    assert_eq!(
        beyond["paging"],
        serde_json::json!({"page": 99, "perPage": 30})
    );
}

#[tokio::test]
async fn filters_and_the_detailed_view_are_honoured() {
    let rig = Rig::normal().await;
    let all = listed(&rig, rig.simulator.now()).await;
    let inbound = records(&walk(&rig, &format!("{CALLS}?direction=Inbound&type=Voice")).await);
    let expected = |r: &&Value| r["direction"] == "Inbound" && r["type"] == "Voice";
    assert_eq!(
        inbound,
        all.iter().filter(expected).cloned().collect::<Vec<_>>()
    );
    let both = walk(
        &rig,
        &format!("{CALLS}?direction=Inbound&direction=Outbound"),
    )
    .await;
    assert_eq!(records(&both), all);
    let detailed = records(&walk(&rig, &format!("{CALLS}?view=Detailed")).await);
    assert_eq!(detailed[0]["legs"][0]["result"], detailed[0]["result"]);
    assert_eq!(detailed[0]["legs"][0]["master"], true);
}

#[tokio::test]
async fn an_account_that_drops_parameters_answers_a_hundred_simple_records() {
    let rig = Rig::start(Scenario {
        honors_query: false,
        ..Scenario::default()
    })
    .await;
    let page = &walk(
        &rig,
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
async fn the_bare_envelope_has_neither_paging_nor_navigation() {
    let scenario = Scenario {
        envelope: Envelope::Minimal,
        finished_field: true,
        ..Scenario::default()
    };
    let rig = Rig::start(scenario).await;
    let page = &walk(&rig, &format!("{CALLS}?perPage=1000")).await[0];
    let keys: Vec<&String> = page.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["records", "uri"]);
    for record in page["records"].as_array().unwrap() {
        assert_eq!(record["finished"], record.get("duration").is_some());
    }
}

#[tokio::test]
async fn an_empty_list_has_no_page_ends() {
    let rig = Rig::start(Scenario {
        calls_per_minute: 0.0,
        ..Scenario::default()
    })
    .await;
    let page = &walk(&rig, CALLS).await[0];
    assert_eq!(page["records"], serde_json::json!([]));
    assert_eq!(
        page["paging"],
        serde_json::json!({"page": 1, "perPage": 100})
    );
}

#[tokio::test]
async fn the_list_of_an_extension_holds_its_calls_alone() {
    let rig = Rig::start(Scenario {
        calls_per_minute: 200.0,
        ..Scenario::default()
    })
    .await;
    let owner = rig.simulator.owner_id();
    let own = records(&walk(&rig, OWN_CALLS).await);
    assert!(!own.is_empty());
    assert!(own.iter().all(|record| record["extension"]["id"] == owner));
    let all = listed(&rig, rig.simulator.now()).await;
    assert_eq!(
        own.len(),
        all.iter().filter(|r| r["extension"]["id"] == owner).count()
    );
}

#[tokio::test]
async fn the_extensions_come_in_pages_with_totals() {
    let rig = Rig::normal().await;
    let pages = walk(&rig, &format!("{EXTENSIONS}?perPage=90")).await;
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
    let known = rig.simulator.switchboard().extensions();
    assert_eq!(all.len(), known.len());
    assert!(
        all.iter()
            .zip(known)
            .all(|(shown, known)| shown["id"] == known.id)
    );
    let queues = records(&walk(&rig, &format!("{EXTENSIONS}?type=Department")).await);
    assert_eq!(queues.len(), 6);
}

#[tokio::test]
async fn an_answer_is_packed_only_for_those_who_can_unpack() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let plain = rig.get(&token, CALLS).await;
    assert_eq!(header(&plain, "content-encoding"), None);
    assert!(header(&plain, "rcrequestid").is_some() && header(&plain, "routingkey").is_some());
    let size = plain.bytes().await.unwrap().len();
    let packed = rig
        .request(&token, CALLS)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&packed, "content-encoding"), Some("gzip"));
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() * 3 < size);
    assert!(unpacked(&packed).ends_with(b"}"));
}
