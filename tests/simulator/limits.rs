//! Tests of rate limits, outages and the journal.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario};
use tokio::time::Instant;

use crate::common::{CALLS, EXTENSIONS, MORNING, TestSimulator, error, header, json};

#[tokio::test]
async fn eleventh_heavy_request_in_a_minute_starts_a_penalty() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    for remaining in (0..10).rev() {
        let response = server.get(&token, CALLS).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-rate-limit-group"), Some("heavy"));
        assert_eq!(header(&response, "x-rate-limit-limit"), Some("10"));
        assert_eq!(header(&response, "x-rate-limit-window"), Some("60"));
        let remaining_header = header(&response, "x-rate-limit-remaining").unwrap();
        assert_eq!(remaining_header, remaining.to_string());
    }
    let refused = server.get(&token, CALLS).await;
    assert_eq!(header(&refused, "retry-after"), Some("60"));
    assert_eq!(header(&refused, "x-rate-limit-remaining"), Some("0"));
    assert_eq!(error(refused).await, (429, "CMN-301".to_owned()));
    assert_eq!(
        server.get(&token, EXTENSIONS).await.status(),
        200,
        "another group"
    );
}

#[tokio::test]
async fn journal_marks_requests_during_a_penalty() {
    let heavy = Limit::per_minute(1);
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let server = TestSimulator::start(Scenario {
        limits,
        ..Scenario::default()
    })
    .await;
    let token = server.token().await;
    let mut statuses = Vec::new();
    for seconds in [0, 1, 59, 59, 60] {
        server.advance_seconds(seconds);
        statuses.push(server.get(&token, CALLS).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 429, 429, 429, 200]);
    let journal = server.simulator.journal();
    let in_penalty: Vec<bool> = journal[1..].iter().map(|entry| entry.in_penalty).collect();
    assert_eq!(in_penalty, [false, false, true, true, false]);
}

#[tokio::test]
async fn rate_limit_applies_without_rate_limit_headers() {
    let limits = Limits {
        heavy: Limit::per_minute(1),
        ..Limits::default()
    };
    let server = TestSimulator::start(Scenario {
        limits,
        rate_limit_headers: false,
        ..Scenario::default()
    })
    .await;
    let token = server.token().await;
    assert_eq!(
        header(&server.get(&token, CALLS).await, "x-rate-limit-limit"),
        None
    );
    let refused = server.get(&token, CALLS).await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "retry-after")),
        (429, Some("60"))
    );
}

#[tokio::test]
async fn throttled_scenario_refuses_the_second_request() {
    let server = TestSimulator::start(Scenario::throttled()).await;
    let token = server.token().await;
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
    server.advance_seconds(31);
    assert_eq!(server.get(&token, CALLS).await.status(), 429);
    server.advance_seconds(60);
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn outage_fails_in_three_ways_and_ends() {
    let server = TestSimulator::start(Scenario::outage()).await;
    let token = server.token().await;
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
    server.advance_seconds(60);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let sent = server.request(&token, CALLS).send().await;
        outcomes.push(sent.map_or(0, |response| response.status().as_u16()));
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [0, 502, 503]);
    server.advance_seconds(180);
    assert_eq!(server.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn journal_has_all_requests_without_secrets() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    server
        .get(&token, &format!("{CALLS}?perPage=5&access_token={token}"))
        .await;
    server.get("invalid", "/restapi/v1.0/nothing").await;
    let url = server.url("/simulator/journal");
    let journal = json(server.http.get(url).send().await.unwrap()).await;
    assert_eq!(
        journal.as_array().unwrap().len(),
        3,
        "the request for the journal itself is not listed"
    );
    assert_eq!(journal[0]["operation"], "token");
    assert_eq!(
        journal[1]["target"],
        format!("{CALLS}?perPage=5&access_token=SECRET")
    );
    assert_eq!(journal[1]["operation"], "active_calls");
    assert_eq!(journal[1]["records"], 5);
    assert_eq!(journal[1]["arrived_ms"], MORNING);
    assert_eq!(journal[1]["answered_ms"], MORNING);
    assert_eq!(journal[2]["status"], 404);
    assert!(!journal.to_string().contains(&token));
    assert!(!journal.to_string().contains(&server.simulator.jwt()));
}

#[tokio::test]
async fn responses_take_the_latency_of_the_scenario() {
    let server = TestSimulator::start(Scenario {
        latency: Duration::from_millis(80),
        ..Scenario::default()
    })
    .await;
    let started = Instant::now();
    assert_eq!(server.log_in().await.status(), 200);
    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn huge_scenario_has_thousands_of_calls_in_pages() {
    let server = TestSimulator::start(Scenario::huge()).await;
    let token = server.token().await;
    let mut listed = 0;
    for page in 1..=6 {
        let response = server
            .get(&token, &format!("{CALLS}?perPage=1000&page={page}"))
            .await;
        listed += json(response).await["records"].as_array().unwrap().len();
    }
    assert!((4_200..6_000).contains(&listed), "{listed}");
    assert_eq!(server.simulator.switchboard().extensions().len(), 10_000);
}

#[tokio::test]
async fn surge_multiplies_calls_within_minutes_of_the_start() {
    let server = TestSimulator::start(Scenario::surge()).await;
    let listed = |seconds: i64| server.simulator.listed_at(MORNING + seconds * 1_000).len();
    let calm = listed(0);
    assert!(listed(75) * 2 > calm * 3, "{calm}, then {}", listed(75));
    assert!(listed(300) > calm * 3, "{calm}, then {}", listed(300));
    assert!(listed(710) < listed(300) / 2);
}

#[tokio::test]
async fn shutdown_frees_the_port_and_aborts_connections() {
    let server = TestSimulator::normal().await;
    let token = server.token().await;
    let fault = ringcentral_exporter::simulator::Fault::once(
        Operation::ActiveCalls,
        ringcentral_exporter::simulator::FaultKind::Hang,
    );
    server.simulator.inject(fault);
    let url = server.url(CALLS);
    let hanging = tokio::spawn(server.request(&token, CALLS).send());
    while server.simulator.journal().len() < 2 {
        tokio::task::yield_now().await;
    }
    server.simulator.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(server.http.get(url).send().await.unwrap_err().is_connect());
}
