//! Tests of the request budget over HTTP, against a limiter with the penalties of RingCentral.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse};
use tokio::time::Instant;

use crate::common::MAX_WAIT;
use crate::common::clock::ManualClock;
use crate::common::unlimited_requests;
use crate::harness::{ScrapeResponse, TestExporter};

/// Returns limits whose group `heavy` has this window, with a penalty of the same length.
fn limits(requests: u32, seconds: u64, kind: Window) -> Limits {
    let window = Duration::from_secs(seconds);
    Limits {
        heavy: Limit {
            requests,
            window,
            kind,
            penalty: window,
        },
        ..Limits::default()
    }
}

/// Scrapes every 20 ms for 8 s, and until the account has received this number of requests for the
/// call list. Asserts that no request is answered with 429.
async fn scrape_without_429(scenario: Scenario, lists: usize) -> TestExporter {
    let exporter = TestExporter::start(scenario).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8)
        || exporter.count_requests(Operation::ActiveCalls) < lists
    {
        // 16 lists take 2 minutes where the exporter does not use a higher limit than the documented one.
        assert!(
            started.elapsed() < MAX_WAIT,
            "less of the limit was used than possible"
        );
        exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = exporter
        .simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.status == Some(429))
        .count();
    assert_eq!(refused, 0, "{:?}", exporter.simulator.journal());
    exporter
}

#[tokio::test]
async fn frequent_scrapes_stay_below_sliding_limit() {
    let scenario = Scenario {
        limits: limits(10, 2, Window::Sliding),
        ..Scenario::normal()
    };
    scrape_without_429(scenario, 16).await;
}

#[tokio::test]
async fn frequent_scrapes_stay_below_fixed_limit() {
    let scenario = Scenario {
        limits: limits(10, 2, Window::Fixed),
        ..Scenario::normal()
    };
    scrape_without_429(scenario, 16).await;
}

#[tokio::test]
async fn frequent_scrapes_stay_below_documented_limit() {
    let scenario = Scenario {
        rate_limit_headers: false,
        ..Scenario::normal()
    };
    let exporter = scrape_without_429(scenario, 2).await;
    let fetches = exporter.requests(Operation::ActiveCalls);
    assert!(
        fetches
            .windows(2)
            .all(|pair| pair[1].arrived_ms - pair[0].arrived_ms > 6_000),
        "the documented limit is one request every 6 s, of which 20 % are left: {fetches:?}"
    );
}

#[tokio::test]
async fn frequent_scrapes_stay_below_limit_with_pages() {
    let scenario = Scenario {
        max_per_page: 20,
        limits: limits(10, 2, Window::Sliding),
        ..Scenario::normal()
    };
    let exporter = scrape_without_429(scenario, 2).await;
    assert!(
        exporter
            .requests(Operation::ActiveCalls)
            .iter()
            .any(|entry| entry.target.contains("page=2"))
    );
    assert_eq!(exporter.wait_until_up(MAX_WAIT).await.up(), 1.0);
}

#[tokio::test]
async fn list_longer_than_limit_fails_without_429() {
    let scenario = Scenario {
        max_per_page: 5,
        limits: limits(5, 2, Window::Sliding),
        ..Scenario::normal()
    };
    let exporter = scrape_without_429(scenario, 4).await;
    let response = exporter.scrape().await;
    assert_eq!((response.up(), response.call_samples().len()), (0.0, 0));
    assert!(response.failures("active_calls", "budget") >= 1.0);
    assert_eq!(
        response.value("ringcentral_fetch_pages{account=\"default\"}"),
        4.0,
        "20 % of the limit must be left to other clients"
    );
}

#[tokio::test]
async fn scrape_without_budget_is_answered_immediately() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let first = exporter.scrape().await;
    let second = exporter.scrape().await;
    assert!(
        exporter.now_seconds() < second.next_fetch(),
        "the scrape waited for the next fetch"
    );
    assert_eq!(second.call_samples(), first.call_samples());
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 1);
}

/// Returns a scenario whose limits allow any number of fetches.
fn unlimited_scenario() -> Scenario {
    Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    }
}

/// Returns a successful response with an empty list and these rate limit headers.
fn empty_list(headers: &[(&str, &str)]) -> SimResponse {
    let mut response = SimResponse::json(200, &serde_json::json!({"records": []}));
    for (name, value) in headers {
        response = response.with(name, value);
    }
    response
}

/// Scrapes every 20 ms for a second, and asserts that an operation has sent no further request and
/// is blocked for `seconds`, less the time that has passed.
async fn assert_blocked(exporter: &TestExporter, operation: Operation, seconds: f64, name: &str) {
    let count = exporter.count_requests(operation);
    for _ in 0..50 {
        exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (requests, response) = (exporter.count_requests(operation), exporter.scrape().await);
    assert_eq!(requests, count, "{name}: a request while it is blocked");
    let wait = response.next_fetch() - exporter.simulator.now() as f64 / 1000.0;
    assert!(
        (seconds - 20.0..=seconds + 1.0).contains(&wait),
        "{name}: {wait} s"
    );
}

#[tokio::test]
async fn odd_retry_after_allows_no_request_inside() {
    let mut checks = Vec::new();
    for (status, values, seconds) in [
        (429, vec!["90.5"], 91.0),
        (429, vec!["90, 90"], 90.0),
        (429, vec!["30", "90"], 90.0),
        (429, vec!["100000000000000000000000"], 86_400.0),
        (429, vec!["-1"], 60.0),
        (429, vec!["soon"], 60.0),
        (500, vec!["90"], 90.0),
        (502, vec!["1e2"], 100.0),
        (504, vec!["soon"], 60.0),
        (529, vec!["90"], 90.0),
    ] {
        checks.push(async move {
            let mut response = match status {
                429 => SimResponse::too_many_requests(None).with("X-Rate-Limit-Group", "heavy"),
                _ => SimResponse::unavailable(status),
            };
            for value in &values {
                response = response.with("Retry-After", value);
            }
            let exporter = TestExporter::start(unlimited_scenario()).await;
            exporter
                .simulator
                .inject(Fault::once(Operation::ActiveCalls, response));
            assert_eq!(exporter.scrape().await.up(), 0.0);
            let name = format!("{status} {values:?}");
            assert_blocked(&exporter, Operation::ActiveCalls, seconds, &name).await;
        });
    }
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn retry_after_date_with_offset_is_obeyed() {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(120);
    let until = until.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
    let response = SimResponse::unavailable(503).with("Retry-After", until);
    let exporter = TestExporter::start(unlimited_scenario()).await;
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, response));
    assert_eq!(exporter.scrape().await.up(), 0.0);
    assert_blocked(&exporter, Operation::ActiveCalls, 120.0, "+0000").await;
}

#[tokio::test]
async fn heavy_group_of_extension_list_blocks_calls() {
    let group = ("X-Rate-Limit-Group", " Heavy");
    let refused = SimResponse::too_many_requests(Some(60)).with(group.0, group.1);
    let used_up = empty_list(&[group, ("X-Rate-Limit-Remaining", "0")]);
    for response in [refused, used_up] {
        let name = format!("{}", response.status);
        let exporter = TestExporter::start(unlimited_scenario()).await;
        exporter
            .simulator
            .inject(Fault::once(Operation::Extensions, response));
        assert_eq!(exporter.scrape().await.up(), 1.0);
        assert_eq!(exporter.count_requests(Operation::Extensions), 1);
        assert_blocked(&exporter, Operation::ActiveCalls, 60.0, &name).await;
        assert_eq!(exporter.count_requests(Operation::ActiveCalls), 1);
    }
}

#[tokio::test]
async fn heavy_group_of_login_blocks_calls() {
    let exporter = TestExporter::start(unlimited_scenario()).await;
    let refused = SimResponse::too_many_requests(Some(60)).with("X-Rate-Limit-Group", "heavy");
    exporter
        .simulator
        .inject(Fault::once(Operation::Token, refused));
    assert_eq!(exporter.scrape().await.up(), 0.0);
    assert_blocked(&exporter, Operation::ActiveCalls, 60.0, "login").await;
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 0);
}

#[tokio::test]
async fn odd_remaining_allows_no_request_inside() {
    let mut checks = Vec::new();
    for headers in [
        vec![("X-Rate-Limit-Remaining", "-1")],
        vec![("X-Rate-Limit-Remaining", "0.0")],
        vec![("X-Rate-Limit-Remaining", "many")],
        vec![("X-Rate-Limit-Remaining", "999, 0")],
        vec![
            ("X-Rate-Limit-Remaining", "999"),
            ("X-Rate-Limit-Remaining", "0"),
        ],
        vec![("X-RateLimit-Remaining", "0"), ("X-RateLimit-Window", "60")],
        vec![("RateLimit-Remaining", "0"), ("RateLimit-Limit", "100")],
        vec![
            ("X-Rate-Limit-Remaining", "999"),
            ("RateLimit-Remaining", "0"),
        ],
    ] {
        checks.push(async move {
            let exporter = TestExporter::start(unlimited_scenario()).await;
            let list = empty_list(&headers);
            exporter
                .simulator
                .inject(Fault::once(Operation::ActiveCalls, list));
            assert_eq!(exporter.scrape().await.up(), 1.0);
            let name = format!("{headers:?}");
            assert_blocked(&exporter, Operation::ActiveCalls, 60.0, &name).await;
        });
    }
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn window_of_a_day_sets_pace_and_gap_warning() {
    let exporter = TestExporter::start(unlimited_scenario()).await;
    let limit = [
        ("X-Rate-Limit-Limit", "100"),
        ("X-Rate-Limit-Window", "86400"),
    ];
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, empty_list(&limit)));
    let started = exporter.simulator.now() as f64 / 1000.0;
    let response = exporter.scrape().await;
    let interval = response.next_fetch() - started;
    assert!((1080.0..1082.0).contains(&interval), "{interval}");
    let status = exporter.get("/status", &[]).await;
    assert!(
        status.text.contains("WARNING: rare_fetches"),
        "{}",
        status.text
    );
}

/// Returns the time between two fetches of a list of 66 records with pages of this length.
async fn fetch_interval(max_per_page: usize) -> f64 {
    let scenario = ManualClock::new().attach_to(Scenario {
        max_per_page,
        ..Scenario::normal()
    });
    let exporter = TestExporter::start(scenario).await;
    exporter.scrape().await;
    let status = exporter.get("/status?format=json", &[]).await;
    let status: serde_json::Value = serde_json::from_str(&status.text).unwrap();
    let account = &status["accounts"][0];
    assert_eq!(account["fetch_records"], 66);
    account["min_fetch_interval_seconds"].as_f64().unwrap()
}

#[tokio::test]
async fn page_that_is_90_percent_full_reserves_another() {
    assert_eq!(fetch_interval(1000).await, 7.5);
    assert_eq!(fetch_interval(74).await, 7.5);
    assert_eq!(fetch_interval(73).await, 15.0);
    assert_eq!(fetch_interval(33).await, 22.5);
    assert_eq!(fetch_interval(40).await, 15.0);
}

#[tokio::test]
async fn token_without_lifetime_needs_one_login() {
    let scenario = Scenario {
        advertised_token_lifetime: Some(Duration::ZERO),
        ..unlimited_scenario()
    };
    let exporter = TestExporter::start(scenario).await;
    while exporter.count_requests(Operation::ActiveCalls) < 10 {
        assert_eq!(exporter.scrape().await.up(), 1.0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(exporter.count_requests(Operation::Token), 1);
}

/// Starts an exporter whose fetches only `--scrape.min-interval` limits, to one in 2 s.
async fn start_with_two_second_interval() -> TestExporter {
    let scenario = Scenario {
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    TestExporter::start_with(scenario, |config| {
        config.settings.scrape.min_interval = Duration::from_secs(2)
    })
    .await
}

#[tokio::test]
async fn min_interval_limits_fetch_rate() {
    let exporter = start_with_two_second_interval().await;
    // The starts of the scrapes that started a fetch: a request can arrive late.
    let mut starts = Vec::new();
    while starts.len() < 3 {
        let began = exporter.simulator.now();
        exporter.scrape().await;
        if exporter.count_requests(Operation::ActiveCalls) > starts.len() {
            starts.push(began);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let fetches = exporter.requests(Operation::ActiveCalls);
    assert_eq!(fetches.len(), 3);
    for (start, next) in starts.iter().zip(&fetches[1..]) {
        assert!(next.arrived_ms - start >= 2_000, "{starts:?}, {fetches:?}");
    }
}

#[tokio::test]
async fn fetch_starts_at_exposed_next_fetch_time() {
    let exporter = start_with_two_second_interval().await;
    let next_fetch = exporter.scrape().await.next_fetch();
    let fetches = loop {
        let began = exporter.now_seconds();
        exporter.scrape().await;
        let fetches = exporter.requests(Operation::ActiveCalls);
        if fetches.len() == 2 {
            break fetches;
        }
        assert!(
            began < next_fetch,
            "no fetch at {began}, {next_fetch} is exposed"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let fetched = fetches[1].arrived_ms as f64 / 1000.0;
    assert!(fetched >= next_fetch, "{fetched} is before {next_fetch}");
}

#[tokio::test]
async fn token_is_renewed_before_expiry() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(12),
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let mut exporter = TestExporter::start(scenario).await;
    while exporter.count_requests(Operation::Token) < 3 {
        assert_eq!(exporter.scrape().await.up(), 1.0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let unauthorized = exporter
        .scrape()
        .await
        .failures("active_calls", "unauthorized");
    assert_eq!(unauthorized, 0.0, "a token expired before its renewal");
    let logins = exporter.requests(Operation::Token);
    assert!(
        logins[2].arrived_ms - logins[0].arrived_ms >= 12_000,
        "a token must be renewed after half of its lifetime of 12 s"
    );
    exporter.stop().await;
    let mut revocations = exporter.requests(Operation::Revoke);
    revocations.retain(|entry| entry.status == Some(200));
    assert_eq!(revocations.len(), 1);
}

#[tokio::test]
async fn renewal_is_counted_without_another_fetch() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(4),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        config.settings.scrape.min_interval = MAX_WAIT
    })
    .await;
    let series = "ringcentral_api_requests_total{account=\"default\",operation=\"token\"}";
    assert_eq!(exporter.scrape().await.value(series), 1.0);
    while exporter.count_requests(Operation::Token) < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        exporter.scrape().await;
    }
    // The login is counted when its response has arrived.
    while exporter.scrape().await.value(series) < 2.0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn rotated_jwt_needs_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwt");
    let scenario = Scenario {
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        config.accounts[0].jwt = ringcentral_exporter::secret::SecretSource::File(path.clone());
    })
    .await;
    std::fs::write(&path, exporter.simulator.jwt()).unwrap();
    assert_eq!(exporter.scrape().await.up(), 1.0);
    std::fs::write(&path, exporter.simulator.rotate_jwt() + "\n").unwrap();
    exporter.simulator.evict_tokens();
    assert_eq!(exporter.scrape().await.up(), 1.0);
}

/// Returns a 429 to a login, as RingCentral sends it.
fn login_429(retry_after: u64) -> SimResponse {
    SimResponse::too_many_requests(Some(retry_after)).with("X-Rate-Limit-Group", "auth")
}

/// Asserts that page, `/status` and metrics show that no fetch is possible for about this many seconds.
async fn assert_login_blocks_calls(
    exporter: &TestExporter,
    response: &ScrapeResponse,
    seconds: f64,
) {
    let now = exporter.simulator.now() as f64 / 1000.0;
    for operation in ["token", "active_calls", "extensions", "revoke"] {
        let wait = response.blocked_until(operation) - now;
        assert!((wait - seconds).abs() < 5.0, "{operation}: {wait} s");
    }
    let wait = response.next_fetch() - now;
    assert!((wait - seconds).abs() < 5.0, "next fetch in {wait} s");
    let json = exporter.get("/status?format=json", &[]).await.text;
    assert!(json.contains("\"state\":\"blocked\""), "{json}");
    let page = exporter.get("/", &[]).await.text;
    assert!(
        page.contains("Blocked") && !page.contains("Failing"),
        "{page}"
    );
}

#[tokio::test]
async fn login_penalty_blocks_operations_that_need_login() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let simulator = &exporter.simulator;
    simulator.inject(Fault::always(Operation::Token, login_429(600)));
    let response = exporter.scrape().await;
    assert_eq!(response.up(), 0.0);
    assert_login_blocks_calls(&exporter, &response, 600.0).await;
    exporter.scrape().await;
    assert_eq!(simulator.journal().len(), 1);
}

#[tokio::test]
async fn login_penalty_after_eviction_blocks_operations() {
    let scenario = Scenario {
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start(scenario).await;
    let simulator = &exporter.simulator;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    simulator.evict_tokens();
    simulator.inject(Fault::always(Operation::Token, login_429(600)));
    let response = loop {
        let response = exporter.scrape().await;
        if response.up() == 0.0 {
            break response;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_login_blocks_calls(&exporter, &response, 600.0).await;
}

#[tokio::test]
async fn token_expiring_in_login_penalty_blocks_operations() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(4),
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        config.settings.scrape.max_age = Duration::from_secs(3);
    })
    .await;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    let token_429 = Fault::always(Operation::Token, login_429(600));
    exporter.simulator.inject(token_429);
    let mut blocked = 0.0;
    while exporter.count_requests(Operation::Token) < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        blocked = exporter.scrape().await.blocked_until("active_calls");
    }
    assert_eq!(blocked, 0.0, "the token can still be used");
    let response = loop {
        let response = exporter.scrape().await;
        if response.up() == 0.0 {
            break response;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_login_blocks_calls(&exporter, &response, 595.0).await;
    assert_eq!(exporter.count_requests(Operation::Token), 2);
}
