//! A scrape shows what is listed, and a hundred scrapes cost what one does.

use std::time::Duration;

use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::config::Level;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::{Envelope, Limits};
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::clock::ManualClock;
use crate::common::oracle::CALL_FAMILIES;
use crate::rig::Rig;

/// Limits under which every scrape may fetch.
pub fn unlimited() -> Limits {
    let heavy = Limit {
        requests: 1_000_000,
        ..Limits::default().heavy
    };
    Limits {
        heavy,
        ..Limits::default()
    }
}

/// Scrapes at several instants and compares all families about calls with the truth of each.
async fn shows_the_truth(scenario: Scenario, steps: u32) {
    let clock = ManualClock::new();
    let rig = Rig::start(clock.attach_to(Scenario {
        limits: unlimited(),
        ..scenario
    }))
    .await;
    for step in 0..steps {
        let scraped = rig.scrape().await;
        let truth = rig.truth().await;
        assert_eq!(scraped.call_samples(), truth, "step {step}");
        assert_eq!((scraped.status, scraped.up()), (200, 1.0));
        assert!(
            truth.len() > 10,
            "hardly anything was listed, so hardly anything was tested"
        );
        clock.advance(Duration::from_secs(35));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(
        rig.count(Operation::ActiveCalls) >= steps as usize,
        "not every scrape fetched"
    );
    assert_eq!(
        rig.count(Operation::Token),
        1,
        "a login for each scrape is one too many"
    );
}

#[tokio::test]
async fn every_gauge_equals_what_is_listed_and_gone_calls_are_gone() {
    shows_the_truth(Scenario::normal(), 20).await;
}

#[tokio::test]
async fn so_it_is_where_replies_have_neither_paging_nor_navigation() {
    shows_the_truth(
        Scenario {
            envelope: Envelope::Minimal,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn so_it_is_with_the_new_field_finished() {
    shows_the_truth(
        Scenario {
            finished_field: true,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn so_it_is_over_many_small_pages() {
    shows_the_truth(
        Scenario {
            max_per_page: 10,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn so_it_is_where_the_api_obeys_no_parameter() {
    shows_the_truth(
        Scenario {
            honors_query: false,
            ..Scenario::normal()
        },
        5,
    )
    .await;
}

#[tokio::test]
async fn so_it_is_with_ten_thousand_extensions() {
    shows_the_truth(Scenario::huge(), 2).await;
}

fn number_of(rig: &Rig, id: u64) -> String {
    let extensions = rig.simulator.switchboard().extensions();
    extensions
        .iter()
        .find(|extension| extension.id == id)
        .unwrap()
        .number
        .clone()
        .unwrap()
}

#[tokio::test]
async fn at_level_extension_the_calls_of_one_user_are_shown() {
    let clock = ManualClock::new();
    let busy = Scenario {
        extensions: 20,
        calls_per_minute: 40.0,
        admin: false,
        ..Scenario::normal()
    };
    let scenario = clock.attach_to(Scenario {
        limits: unlimited(),
        ..busy
    });
    let rig = Rig::configured(scenario, |config| {
        config.accounts[0].level = Level::Extension
    })
    .await;
    let own = format!(
        "extension=\"{}\"",
        number_of(&rig, rig.simulator.owner_id())
    );
    let mut seen = 0;
    for _ in 0..20 {
        let scraped = rig.scrape().await;
        let mut truth = rig.truth().await;
        truth.retain(|series, _| series.contains(&own));
        let mut shown = scraped.call_samples();
        shown.retain(|series, _| series.contains("extension=\""));
        seen += truth.len();
        assert_eq!(shown, truth);
        clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(seen > 0, "the user had no call, so nothing was tested");
    assert!(
        rig.requests(Operation::ActiveCalls)
            .iter()
            .all(|entry| entry.target.contains("/extension/~/"))
    );
}

#[tokio::test]
async fn without_the_label_extension_the_counts_add_up() {
    let clock = ManualClock::new();
    let rig = Rig::configured(clock.attach_to(Scenario::normal()), |config| {
        config.settings.metrics.extension_label = ExtensionLabel::Off;
    })
    .await;
    let scraped = rig.scrape().await;
    let is_records = |series: &&String| series.starts_with("ringcentral_active_calls{");
    assert!(!scraped.text.contains("extension=\""));
    let total: f64 = scraped
        .samples()
        .iter()
        .filter(|(series, _)| is_records(series))
        .map(|(_, count)| count)
        .sum();
    let listed = rig.simulator.listed_at(rig.simulator.now());
    assert_eq!(
        total,
        listed.iter().filter(|record| record.kind != "Fax").count() as f64
    );
}

#[tokio::test]
async fn two_hundred_scrapers_cost_one_fetch_and_get_the_same() {
    let latency = Duration::from_millis(300);
    let rig = Rig::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let scrapes: Vec<_> = (0..200)
        .map(|_| {
            let request = rig.http.get(format!("{}/metrics", rig.url)).send();
            tokio::spawn(async move { request.await.unwrap().text().await.unwrap() })
        })
        .collect();
    let mut families = Vec::new();
    for scrape in scrapes {
        let text = scrape.await.unwrap();
        families.push(
            text.lines()
                .filter(|line| line.contains("call"))
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
    }
    let is_about_calls = |line: &str| CALL_FAMILIES.iter().any(|family| line.starts_with(family));
    families
        .iter_mut()
        .for_each(|lines| lines.retain(|line| is_about_calls(line)));
    assert!(families[0].len() > 10);
    assert!(families.iter().all(|lines| *lines == families[0]));
    assert_eq!(
        (
            rig.count(Operation::Token),
            rig.count(Operation::ActiveCalls)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_scraper_that_leaves_does_not_stop_the_fetch() {
    let latency = Duration::from_millis(400);
    let rig = Rig::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let leaving = rig
        .http
        .get(format!("{}/metrics", rig.url))
        .timeout(Duration::from_millis(100))
        .send()
        .await;
    assert!(leaving.unwrap_err().is_timeout());
    assert_eq!(rig.scrape().await.up(), 1.0);
    assert_eq!(rig.count(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn at_its_deadline_a_scrape_is_answered_and_the_fetch_goes_on() {
    let latency = Duration::from_millis(600);
    let rig = Rig::start(Scenario {
        latency,
        ..Scenario::normal()
    })
    .await;
    let early = rig.scrape_within("1").await;
    assert_eq!(
        (early.status, early.up()),
        (200, 0.0),
        "login and page take 1.2 s"
    );
    assert!(
        early.elapsed < Duration::from_secs(1),
        "Prometheus would have given up: {:?}",
        early.elapsed
    );
    assert!(
        early.call_samples().is_empty(),
        "nothing is known yet, and zero would be a lie"
    );
    let late = rig.scrape().await;
    assert_eq!(late.up(), 1.0);
    assert_eq!(rig.count(Operation::ActiveCalls), 1);
}

#[tokio::test]
async fn what_is_known_of_account_and_api_is_always_there() {
    let rig = Rig::configured(Scenario::normal(), |config| {
        config.accounts[0].concurrent_calls_limit = Some(50)
    })
    .await;
    let scraped = rig.scrape().await;
    let (id, server) = (rig.simulator.account_id(), rig.simulator.url());
    let labels = format!(
        "{{account=\"default\",account_id=\"{id}\",level=\"account\",server=\"{server}\"}}"
    );
    assert_eq!(
        scraped.value(&format!("ringcentral_account_info{labels}")),
        1.0
    );
    assert_eq!(
        scraped.value("ringcentral_concurrent_calls_limit{account=\"default\"}"),
        50.0
    );
    assert_eq!(
        scraped.value("ringcentral_fetch_pages{account=\"default\"}"),
        1.0
    );
    let heavy = "{account=\"default\",group=\"heavy\"}";
    assert_eq!(
        scraped.value(&format!("ringcentral_api_rate_limit_requests{heavy}")),
        10.0
    );
    assert_eq!(
        scraped.value(&format!("ringcentral_api_rate_limit_remaining{heavy}")),
        9.0
    );
    assert_eq!(
        scraped.value(&format!("ringcentral_api_rate_limit_window_seconds{heavy}")),
        60.0
    );
    let now = rig.simulator.now() as f64 / 1000.0;
    let token =
        scraped.value("ringcentral_auth_token_expiry_timestamp_seconds{account=\"default\"}");
    assert!((token - now - 3600.0).abs() < 5.0, "{token} against {now}");
    let jwt = scraped.value("ringcentral_auth_jwt_expiry_timestamp_seconds{account=\"default\"}");
    assert!(
        (jwt - now - 30.0 * 86_400.0).abs() < 5.0,
        "{jwt} against {now}"
    );
    for operation in ["token", "active_calls", "extensions", "revoke"] {
        assert_eq!(scraped.blocked_until(operation), 0.0);
        assert_eq!(scraped.failures(operation, "timeout"), 0.0);
    }
    assert!(scraped.value("process_resident_memory_bytes") > 1e6);
    assert!(scraped.value("process_cpu_seconds_total") >= 0.0);
}
