//! Tests of the states of an account, as the landing page shows them.

use std::time::Duration;

use ringcentral_exporter::config::{Config, PresenceMode};
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse};

use crate::browser::{render, take_screenshots};
use crate::harness::TestExporter;
use crate::html_checks::assert_valid;

/// Asserts that the page is valid, contains these texts and no secret, and saves screenshots.
async fn assert_page_shows(rig: &TestExporter, name: &str, words: &[&str]) {
    let url = format!("{}/", rig.url);
    let page = render(&url, 1200).await;
    assert_valid(&page, &rig.url);
    for word in words {
        assert!(page.dom.contains(word), "{name}: {word} in {}", page.dom);
    }
    for secret in [
        "U0pDMTFQ",
        &rig.simulator.client_secret(),
        &rig.simulator.jwt(),
    ] {
        assert!(!page.dom.contains(secret), "{name}");
    }
    take_screenshots(&url, name).await;
}

#[tokio::test]
async fn ok_state_is_shown() {
    let rig = TestExporter::start(Scenario::normal()).await;
    rig.scrape().await;
    let words = [
        "1 account: ok.",
        ">OK<",
        "calls in progress",
        "heavy: 9 of 10 left in 60 s",
        "at most one fetch every 7.5 s",
        "200 extensions, fetched",
        "expires in 59 min",
        "expires in 29 days",
        "/metrics?account=default",
        "<title>OK: ",
    ];
    assert_page_shows(&rig, "fine", &words).await;
    assert_eq!(
        rig.count_requests(Operation::ActiveCalls),
        1,
        "the page must not start a fetch"
    );
}

#[tokio::test]
async fn pending_state_is_shown() {
    let rig = TestExporter::start(Scenario::normal()).await;
    let words = [
        "1 account: pending.",
        "a scrape starts a fetch as soon as",
        "Calls unknown",
        "none yet",
    ];
    assert_page_shows(&rig, "unfetched", &words).await;
    assert!(
        rig.simulator.journal().is_empty(),
        "the page must not send requests to RingCentral"
    );
}

#[tokio::test]
async fn failing_state_is_shown() {
    let rig = TestExporter::start_with(
        Scenario {
            admin: false,
            ..Scenario::normal()
        },
        |config: &mut Config| {
            config.settings.timeouts.login_backoff_min = Duration::from_secs(60);
        },
    )
    .await;
    rig.scrape().await;
    let words = [
        "1 account: failing.",
        "What failed",
        "not_admin",
        "403 CMN-408",
        "What to do",
        "--ringcentral.level=extension",
        "Next fetch possible in",
    ];
    assert_page_shows(&rig, "failing", &words).await;
}

#[tokio::test]
async fn blocked_state_is_shown() {
    let rig = TestExporter::start(Scenario::normal()).await;
    rig.scrape().await;
    let refusal = SimResponse::too_many_requests(Some(590)).with("X-Rate-Limit-Group", "heavy");
    rig.simulator
        .inject(Fault::always(Operation::ActiveCalls, refusal));
    tokio::time::sleep(Duration::from_millis(7600)).await;
    rig.scrape().await;
    let words = [
        ">Blocked<",
        "This passes by itself",
        "rate_limited",
        "Next fetch possible in 9 min",
        "heavy: 10 in 60 s, none during the penalty",
        "an app of its own",
    ];
    assert_page_shows(&rig, "blocked", &words).await;
}

#[tokio::test]
async fn stale_state_is_shown() {
    let rig = TestExporter::start_with(Scenario::normal(), |config: &mut Config| {
        config.settings.scrape.max_age = Duration::from_secs(1);
    })
    .await;
    rig.scrape().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_page_shows(
        &rig,
        "stale",
        &[
            ">Stale<",
            "Calls unknown",
            "last fetched",
            "Does Prometheus scrape this exporter?",
        ],
    )
    .await;
}

/// The JWT file is removed. The account stays up, because its token is still valid.
#[tokio::test]
async fn failed_reload_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let jwt = folder.path().join("jwt");
    let rig = TestExporter::start_with(Scenario::normal(), |config: &mut Config| {
        config.settings.web.enable_lifecycle = true;
        config.accounts[0].jwt = SecretSource::File(jwt.clone());
    })
    .await;
    std::fs::write(&jwt, rig.simulator.jwt()).unwrap();
    rig.scrape().await;
    std::fs::remove_file(&jwt).unwrap();
    assert_eq!(
        rig.http
            .post(format!("{}/-/reload", rig.url))
            .send()
            .await
            .unwrap()
            .status(),
        500
    );
    assert_page_shows(
        &rig,
        "reload",
        &[
            ">OK<",
            "The last reload failed",
            "a restart would fail",
            "Correct the error, then reload",
            &format!(
                "Error: account default: JWT: cannot read {}: ",
                jwt.display()
            ),
            "failed, keeping the configuration of ",
        ],
    )
    .await;
}

#[tokio::test]
async fn unread_extension_list_is_shown() {
    let rig = TestExporter::start(Scenario {
        read_accounts: false,
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    let words = [
        ">OK<",
        "The list of extensions could not be read",
        "extensions_forbidden",
        "Read Accounts",
    ];
    assert_page_shows(&rig, "unread", &words).await;
}

/// Presence that is not received is a warning of an account that is OK.
#[tokio::test]
async fn missing_permission_of_presence_is_shown() {
    let rig = TestExporter::start_with(
        Scenario {
            web_socket: false,
            ..Scenario::normal()
        },
        |config: &mut Config| config.accounts[0].presence = PresenceMode::Events,
    )
    .await;
    rig.scrape().await;
    rig.wait_for_requests(Operation::EventToken, 1).await;
    let words = [
        ">OK<",
        ">Presence<",
        "events: not read yet",
        "not connected: the app is not allowed to open event connections",
        "No presence events are received",
        "no_events",
        "app_lacks_web_socket",
        "WebSocket Subscriptions",
    ];
    assert_page_shows(&rig, "presence", &words).await;
}
