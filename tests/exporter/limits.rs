//! The budget over real HTTP, against a limiter that punishes as RingCentral's does.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::rig::Rig;

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

/// Scrapes as fast as can be for some windows of 2 s, and lets nothing go wrong.
async fn never_refused(scenario: Scenario) -> Rig {
    let rig = Rig::start(scenario).await;
    let end = tokio::time::Instant::now() + Duration::from_secs(8);
    while tokio::time::Instant::now() < end {
        rig.scrape().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = rig
        .simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.status == Some(429))
        .count();
    assert_eq!(refused, 0, "{:?}", rig.simulator.journal());
    rig
}

#[tokio::test]
async fn frantic_scrapes_cause_no_429_in_a_sliding_window() {
    let rig = never_refused(Scenario {
        limits: limits(10, 2, Window::Sliding),
        ..Scenario::normal()
    })
    .await;
    assert!(
        rig.count(Operation::ActiveCalls) > 15,
        "the limit is used, not just kept"
    );
}

#[tokio::test]
async fn frantic_scrapes_cause_no_429_in_a_fixed_window() {
    let rig = never_refused(Scenario {
        limits: limits(10, 2, Window::Fixed),
        ..Scenario::normal()
    })
    .await;
    assert!(rig.count(Operation::ActiveCalls) > 15);
}

#[tokio::test]
async fn frantic_scrapes_cause_no_429_without_headers() {
    let scenario = Scenario {
        rate_limit_headers: false,
        ..Scenario::normal()
    };
    let rig = never_refused(scenario).await;
    assert_eq!(
        rig.count(Operation::ActiveCalls),
        2,
        "the documented limit: one fetch every 7.5 s"
    );
}

#[tokio::test]
async fn frantic_scrapes_cause_no_429_over_several_pages() {
    let scenario = Scenario {
        max_per_page: 20,
        limits: limits(10, 2, Window::Sliding),
        ..Scenario::normal()
    };
    let rig = never_refused(scenario).await;
    assert!(
        rig.requests(Operation::ActiveCalls)
            .iter()
            .any(|entry| entry.target.contains("page=2"))
    );
    assert_eq!(rig.recovers(Duration::from_secs(4)).await.up(), 1.0);
}

#[tokio::test]
async fn a_list_longer_than_the_limit_is_told_and_not_forced() {
    let scenario = Scenario {
        max_per_page: 5,
        limits: limits(5, 2, Window::Sliding),
        ..Scenario::normal()
    };
    let rig = never_refused(scenario).await;
    let scraped = rig.scrape().await;
    assert_eq!((scraped.up(), scraped.call_samples().len()), (0.0, 0));
    assert!(scraped.failures("active_calls", "budget") >= 1.0);
    assert_eq!(
        scraped.value("ringcentral_fetch_pages{account=\"default\"}"),
        4.0,
        "one fifth is left to others"
    );
}

#[tokio::test]
async fn a_scrape_that_may_not_fetch_is_answered_at_once() {
    let latency = Duration::from_secs(2);
    let rig = Rig::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let first = rig.scrape().await;
    let second = rig.scrape().await;
    assert!(second.elapsed < latency, "{:?}", second.elapsed);
    assert_eq!(second.call_samples(), first.call_samples());
    assert_eq!(rig.count(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn a_min_interval_makes_fetches_rarer() {
    let scenario = Scenario {
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let rig = Rig::configured(scenario, |config| {
        config.settings.scrape.min_interval = Duration::from_secs(2)
    })
    .await;
    for _ in 0..30 {
        rig.scrape().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let fetches = rig.requests(Operation::ActiveCalls);
    assert!(fetches.len() >= 2, "at 0 s and at 2 s");
    assert!(
        fetches
            .windows(2)
            .all(|pair| pair[1].arrived_ms - pair[0].arrived_ms >= 1950),
        "{fetches:?}"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_given_back_at_the_end() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(6),
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let mut rig = Rig::start(scenario).await;
    while rig.count(Operation::Token) < 3 {
        assert_eq!(rig.scrape().await.up(), 1.0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let unauthorized = rig.scrape().await.failures("active_calls", "unauthorized");
    assert_eq!(unauthorized, 0.0, "it never came to that");
    let logins = rig.requests(Operation::Token);
    assert!(
        logins[2].arrived_ms - logins[0].arrived_ms >= 6000,
        "each at half of its life of 6 s"
    );
    rig.stop().await;
    assert_eq!(
        rig.requests(Operation::Revoke)
            .iter()
            .filter(|entry| entry.status == Some(200))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_rotated_jwt_needs_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwt");
    let scenario = Scenario {
        limits: limits(1000, 1, Window::Sliding),
        ..Scenario::normal()
    };
    let rig = Rig::configured(scenario, |config| {
        config.accounts[0].jwt = ringcentral_exporter::secret::SecretSource::File(path.clone());
    })
    .await;
    std::fs::write(&path, rig.simulator.jwt()).unwrap();
    assert_eq!(rig.scrape().await.up(), 1.0);
    std::fs::write(&path, rig.simulator.rotate_jwt() + "\n").unwrap();
    rig.simulator.evict_tokens();
    assert_eq!(rig.scrape().await.up(), 1.0);
}
