//! Tests of the request budget over HTTP, against a limiter with the penalties of RingCentral.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario};
use tokio::time::Instant;

use crate::common::MAX_WAIT;
use crate::harness::TestExporter;

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
