//! Rate limits, outages and the journal.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::{CALLS, EXTENSIONS, MORNING, Rig, error, header, json};

#[tokio::test]
async fn the_eleventh_heavy_request_of_a_minute_starts_a_penalty() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    for remaining in (0..10).rev() {
        let response = rig.get(&token, CALLS).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-rate-limit-group"), Some("heavy"));
        assert_eq!(header(&response, "x-rate-limit-limit"), Some("10"));
        assert_eq!(header(&response, "x-rate-limit-window"), Some("60"));
        let said = header(&response, "x-rate-limit-remaining").unwrap();
        assert_eq!(said, remaining.to_string());
    }
    let refused = rig.get(&token, CALLS).await;
    assert_eq!(header(&refused, "retry-after"), Some("60"));
    assert_eq!(header(&refused, "x-rate-limit-remaining"), Some("0"));
    assert_eq!(error(refused).await, (429, "CMN-301".to_owned()));
    assert_eq!(
        rig.get(&token, EXTENSIONS).await.status(),
        200,
        "another group"
    );
}

#[tokio::test]
async fn a_request_inside_the_penalty_starts_it_again_and_the_journal_tells() {
    let heavy = Limit::per_minute(1);
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let rig = Rig::start(Scenario {
        limits,
        ..Scenario::default()
    })
    .await;
    let token = rig.token().await;
    let mut statuses = Vec::new();
    for seconds in [0, 1, 59, 59, 60] {
        rig.pass_seconds(seconds);
        statuses.push(rig.get(&token, CALLS).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 429, 429, 429, 200]);
    let journal = rig.simulator.journal();
    let inside: Vec<bool> = journal[1..].iter().map(|entry| entry.in_penalty).collect();
    assert_eq!(inside, [false, false, true, true, false]);
}

#[tokio::test]
async fn without_headers_a_limit_is_kept_all_the_same() {
    let limits = Limits {
        heavy: Limit::per_minute(1),
        ..Limits::default()
    };
    let rig = Rig::start(Scenario {
        limits,
        rate_limit_headers: false,
        ..Scenario::default()
    })
    .await;
    let token = rig.token().await;
    assert_eq!(
        header(&rig.get(&token, CALLS).await, "x-rate-limit-limit"),
        None
    );
    let refused = rig.get(&token, CALLS).await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "retry-after")),
        (429, Some("60"))
    );
}

#[tokio::test]
async fn a_throttled_account_refuses_although_little_was_asked() {
    let rig = Rig::start(Scenario::throttled()).await;
    let token = rig.token().await;
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
    rig.pass_seconds(31);
    assert_eq!(rig.get(&token, CALLS).await.status(), 429);
    rig.pass_seconds(60);
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn an_outage_has_three_faces_and_passes() {
    let rig = Rig::start(Scenario::outage()).await;
    let token = rig.token().await;
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
    rig.pass_seconds(60);
    let mut faces = Vec::new();
    for _ in 0..3 {
        let sent = rig.request(&token, CALLS).send().await;
        faces.push(sent.map_or(0, |response| response.status().as_u16()));
    }
    faces.sort_unstable();
    assert_eq!(faces, [0, 502, 503]);
    rig.pass_seconds(90);
    assert_eq!(rig.get(&token, CALLS).await.status(), 200);
}

#[tokio::test]
async fn the_journal_tells_everything_but_secrets() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    rig.get(&token, &format!("{CALLS}?perPage=5&access_token={token}"))
        .await;
    rig.get("nobody", "/restapi/v1.0/nothing").await;
    let url = rig.url("/simulator/journal");
    let journal = json(rig.http.get(url).send().await.unwrap()).await;
    assert_eq!(
        journal.as_array().unwrap().len(),
        3,
        "asking for the journal is not in it"
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
    assert!(!journal.to_string().contains(&rig.simulator.jwt()));
}

#[tokio::test]
async fn answers_take_as_long_as_the_scenario_says() {
    let rig = Rig::start(Scenario {
        latency: Duration::from_millis(80),
        ..Scenario::default()
    })
    .await;
    assert!(
        tokio::time::timeout(Duration::from_millis(70), rig.log_in())
            .await
            .is_err()
    );
    assert_eq!(rig.log_in().await.status(), 200);
}

#[tokio::test]
async fn a_huge_account_takes_several_pages_each_quick_once_warm() {
    let rig = Rig::start(Scenario::huge()).await;
    let token = rig.token().await;
    let mut listed = 0;
    for page in 1..=6 {
        let response = rig
            .get(&token, &format!("{CALLS}?perPage=1000&page={page}"))
            .await;
        listed += json(response).await["records"].as_array().unwrap().len();
    }
    assert!((4_200..6_000).contains(&listed), "{listed}");
    assert_eq!(rig.simulator.switchboard().extensions().len(), 10_000);
}

#[tokio::test]
async fn a_surge_multiplies_the_calls_within_minutes_of_the_start() {
    let rig = Rig::start(Scenario::surge()).await;
    let listed = |seconds: i64| rig.simulator.listed_at(MORNING + seconds * 1_000).len();
    let calm = listed(0);
    assert!(listed(75) * 2 > calm * 3, "{calm}, then {}", listed(75));
    assert!(listed(300) > calm * 3, "{calm}, then {}", listed(300));
    assert!(listed(710) < listed(300) / 2);
}

#[tokio::test]
async fn a_stopped_simulator_frees_its_port_and_breaks_connections_off() {
    let rig = Rig::normal().await;
    let token = rig.token().await;
    let fault = ringcentral_exporter::simulator::Fault::once(
        Operation::ActiveCalls,
        ringcentral_exporter::simulator::FaultKind::Hang,
    );
    rig.simulator.inject(fault);
    let url = rig.url(CALLS);
    let hanging = tokio::spawn(rig.request(&token, CALLS).send());
    while rig.simulator.journal().len() < 2 {
        tokio::task::yield_now().await;
    }
    rig.simulator.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(rig.http.get(url).send().await.unwrap_err().is_connect());
}
