//! Faults that have a course of their own.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, Operation, Scenario, SimResponse, Simulator,
};

use crate::common::clock::ManualClock;
use crate::rig::{Rig, account, loopback};
use crate::scrapes::unlimited;

/// Until a fetch is tried again and succeeds, with a margin for a slow machine.
const SOON: Duration = Duration::from_secs(12);

fn heavy_429(retry_after: Option<u64>) -> FaultKind {
    SimResponse::too_many_requests(retry_after)
        .with("X-Rate-Limit-Group", "heavy")
        .into()
}

fn redirect(location: &str) -> FaultKind {
    FaultKind::Redirect {
        status: 302,
        location: location.to_owned(),
    }
}

#[tokio::test]
async fn a_failed_fetch_keeps_the_last_snapshot_until_it_is_too_old() {
    let rig = Rig::configured(
        Scenario {
            limits: unlimited(),
            ..Scenario::normal()
        },
        |config| {
            config.settings.scrape.max_age = Duration::from_secs(2);
        },
    )
    .await;
    let good = rig.scrape().await;
    rig.simulator.inject(Fault::always(
        Operation::ActiveCalls,
        SimResponse::unavailable(500),
    ));
    let failing = rig.scrape().await;
    assert_eq!(failing.up(), 0.0);
    assert_eq!(
        failing.call_samples(),
        good.call_samples(),
        "younger than max-age, it stays as it was"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stale = rig.scrape().await;
    assert_eq!(
        (stale.up(), stale.call_samples().len()),
        (0.0, 0),
        "past max-age its families are absent"
    );
    let timestamp = "ringcentral_snapshot_timestamp_seconds{account=\"default\"}";
    assert_eq!(
        stale.value(timestamp),
        good.value(timestamp),
        "when it was made stays known"
    );
    rig.simulator.clear_faults();
    rig.recovers(SOON).await;
}

#[tokio::test]
async fn a_401_costs_one_login_and_one_more_try() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    rig.simulator.evict_tokens();
    let scraped = rig.scrape().await;
    assert_eq!(scraped.up(), 1.0, "the scrape does not even notice");
    assert_eq!(scraped.failures("active_calls", "unauthorized"), 1.0);
    assert_eq!(
        (
            rig.count(Operation::Token),
            rig.count(Operation::ActiveCalls)
        ),
        (2, 3)
    );
}

#[tokio::test]
async fn a_401_that_stays_is_a_refused_login_and_backs_off() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    rig.simulator.inject(Fault::always(
        Operation::ActiveCalls,
        SimResponse::token_not_found(),
    ));
    let failed = rig.scrape().await;
    assert_eq!(failed.up(), 0.0);
    assert_eq!(
        (
            rig.count(Operation::Token),
            rig.count(Operation::ActiveCalls)
        ),
        (2, 3)
    );
    assert!(failed.blocked_until("token") > 0.0 && failed.blocked_until("active_calls") > 0.0);
    for _ in 0..5 {
        rig.scrape().await;
    }
    assert_eq!(
        rig.count(Operation::Token),
        2,
        "no login while it backs off"
    );
    rig.simulator.clear_faults();
    rig.recovers(SOON).await;
}

#[tokio::test]
async fn a_403_logs_in_anew_once_it_may_be_permitted() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    rig.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        SimResponse::user_lacks("ReadCompanyCallLog"),
    ));
    assert_eq!(rig.scrape().await.up(), 0.0);
    rig.recovers(SOON).await;
    assert_eq!(
        rig.count(Operation::Token),
        2,
        "permissions are settled when a token is made"
    );
}

#[tokio::test]
async fn a_hanging_api_costs_a_scrape_its_deadline_and_a_request_ten_seconds() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    let good = rig.scrape().await;
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, FaultKind::Hang));
    let hanging = rig.scrape_within("2").await;
    assert_eq!(hanging.status, 200);
    assert!(
        (1.4..2.0).contains(&hanging.elapsed.as_secs_f64()),
        "{:?}",
        hanging.elapsed
    );
    assert_eq!(
        hanging.call_samples(),
        good.call_samples(),
        "answered from what is known"
    );
    tokio::time::sleep(Duration::from_secs(9)).await;
    let scraped = rig.recovers(SOON).await;
    assert_eq!(scraped.failures("active_calls", "timeout"), 1.0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failed_connection_until_it_comes() {
    let listener = loopback().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let rig = Rig::configured(
        Scenario {
            limits: unlimited(),
            ..Scenario::normal()
        },
        |config| {
            config.accounts[0].server = format!("http://{address}").parse().unwrap();
        },
    )
    .await;
    let failed = rig.scrape().await;
    assert_eq!((failed.status, failed.up()), (200, 0.0));
    assert_eq!(failed.failures("token", "connect"), 1.0);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let scenario = Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    };
    let late = Simulator::start(listener, scenario, 1).unwrap();
    assert_eq!(
        account(&late).client_id,
        account(&rig.simulator).client_id,
        "the same seed, the same app"
    );
    late.set_jwt(rig.simulator.jwt());
    rig.recovers(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_and_costs_a_request() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    let account = rig.simulator.account_id();
    let location = format!("/restapi/v1.0/account/{account}/active-calls?perPage=1000");
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, redirect(&location)));
    let scraped = rig.scrape().await;
    assert_eq!(scraped.up(), 1.0);
    assert_eq!(rig.count(Operation::ActiveCalls), 2);
    let series = "ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}";
    assert_eq!(scraped.value(series), 2.0);
}

#[tokio::test]
async fn a_429_without_retry_after_silences_for_thirty_seconds_at_least() {
    let short = Limit {
        requests: 10,
        window: Duration::from_secs(2),
        ..Limits::default().heavy
    };
    let limits = Limits {
        heavy: short,
        ..Limits::default()
    };
    let rig = Rig::start(Scenario {
        limits,
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, heavy_429(None)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = rig.scrape().await;
    let wait = failed.blocked_until("active_calls") - rig.simulator.now() as f64 / 1000.0;
    assert!((28.0..=30.0).contains(&wait), "{wait}");
    assert_eq!(
        failed.blocked_until("token"),
        0.0,
        "the refusal named its group"
    );
    let before = rig.count(Operation::ActiveCalls);
    rig.recovers(Duration::from_secs(35)).await;
    let after = rig.requests(Operation::ActiveCalls);
    assert_eq!(
        after.len(),
        before + 1,
        "not one request left inside the penalty"
    );
    let gap = after[after.len() - 1].arrived_ms - after[after.len() - 2].arrived_ms;
    assert!(gap >= 30_000, "{gap} ms");
}

#[tokio::test]
async fn a_reply_that_drips_is_waited_for_ten_seconds_and_no_longer() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    let slow = FaultKind::Drip {
        pieces: 10,
        pause: Duration::from_millis(100),
    };
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, slow));
    assert_eq!(rig.scrape().await.up(), 1.0, "slow is not broken");
    let endless = FaultKind::Drip {
        pieces: 40,
        pause: Duration::from_millis(500),
    };
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, endless));
    let failed = rig.scrape_within("15").await;
    assert!(
        (9.5..11.0).contains(&failed.elapsed.as_secs_f64()),
        "{:?}",
        failed.elapsed
    );
    assert_eq!(
        (failed.up(), failed.failures("active_calls", "timeout")),
        (0.0, 1.0)
    );
    rig.recovers(SOON).await;
}

#[tokio::test]
async fn a_slow_login_costs_the_first_scrape_its_deadline_alone() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    rig.simulator.inject(Fault::once(
        Operation::Token,
        FaultKind::Delay(Duration::from_secs(2)),
    ));
    let early = rig.scrape_within("1").await;
    assert_eq!((early.status, early.up()), (200, 0.0));
    assert!(
        early.elapsed < Duration::from_secs(1),
        "{:?}",
        early.elapsed
    );
    let late = rig.scrape_within("5").await;
    assert_eq!(
        (late.up(), rig.count(Operation::Token)),
        (1.0, 1),
        "it waits for the login under way"
    );
}

#[tokio::test]
async fn a_token_that_lives_shorter_than_said_costs_a_login_each_time() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(1),
        advertised_token_lifetime: Some(Duration::from_secs(3600)),
        limits: unlimited(),
        ..Scenario::normal()
    };
    let rig = Rig::start(scenario).await;
    for _ in 0..3 {
        assert_eq!(rig.scrape().await.up(), 1.0);
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert_eq!(rig.count(Operation::Token), 3);
}

#[tokio::test]
async fn sessions_evicted_all_the_time_never_break_the_login_limit() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    for _ in 0..12 {
        rig.scrape().await;
        rig.simulator.evict_tokens();
    }
    let journal = rig.simulator.journal();
    assert!(
        journal.iter().all(|entry| entry.status != Some(429)),
        "{journal:?}"
    );
    assert_eq!(
        rig.count(Operation::Token),
        4,
        "one fifth of five logins a minute is left to others"
    );
    assert_eq!(
        rig.scrape().await.blocked_until("token"),
        0.0,
        "nobody refused a login"
    );
}

#[tokio::test]
async fn a_login_that_is_refused_after_an_eviction_is_one_refusal() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    rig.simulator.evict_tokens();
    rig.simulator.inject(Fault::always(
        Operation::Token,
        SimResponse::invalid_client(401),
    ));
    let refused = rig.scrape().await;
    assert_eq!(
        (refused.up(), refused.failures("token", "unauthorized")),
        (0.0, 1.0)
    );
    let wait = refused.blocked_until("token") - rig.simulator.now() as f64 / 1000.0;
    assert!(
        wait <= 0.5,
        "the first back-off of the tests is half a second, and this is {wait} s"
    );
}

#[tokio::test]
async fn an_eviction_while_the_window_is_nearly_full_costs_no_whole_window() {
    let window = Duration::from_secs(6);
    let heavy = Limit {
        requests: 5,
        window,
        ..Limits::default().heavy
    };
    let rig = Rig::start(Scenario {
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        ..Scenario::normal()
    })
    .await;
    while rig.count(Operation::ActiveCalls) < 3 {
        rig.scrape().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.simulator.evict_tokens();
    while rig.count(Operation::ActiveCalls) < 4 {
        rig.scrape().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let evicted = rig.scrape().await;
    assert_eq!(
        (evicted.up(), evicted.failures("active_calls", "budget")),
        (0.0, 1.0),
        "the fourth of four was a 401"
    );
    rig.recovers(Duration::from_millis(4500)).await;
}

#[tokio::test]
async fn a_list_that_shifts_between_its_pages_counts_no_record_twice() {
    let clock = ManualClock::new();
    let busy = Scenario {
        limits: unlimited(),
        calls_per_minute: 20.0,
        ..Scenario::normal()
    };
    let rig = Rig::start(clock.attach_to(busy)).await;
    let listed = listed(&rig).await;
    let again =
        |from: usize, next: Option<&str>| page(&listed[from..(from + 20).min(listed.len())], next);
    let path = |number: usize| format!("/restapi/v1.0/account/~/active-calls?page={number}");
    // Five new calls push five records of a page on to the next one.
    rig.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        again(0, Some(&path(2))),
    ));
    rig.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        again(15, Some(&path(3))),
    ));
    rig.simulator
        .inject(Fault::once(Operation::ActiveCalls, again(30, None)));
    let scraped = rig.scrape().await;
    let truth = crate::common::oracle::samples_for(
        "default",
        &listed[..listed.len().min(50)],
        &rig.numbers(),
    );
    assert_eq!((scraped.up(), scraped.call_samples()), (1.0, truth));
}

#[tokio::test]
async fn a_record_with_odd_fields_costs_those_fields_alone() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    let odd = r#"{"records":[
        {"id":1,"sessionId":null,"direction":"Inbound","result":"In Progress","to":{"extensionNumber":101}},
        {"id":"b","sessionId":{},"direction":7,"result":["Busy"],"from":"Alex","extension":null,"startTime":"soon"},
        {"id":null,"direction":"outbound","result":"Made Up","from":{"extensionId":62264425016}},
        null, 5, "x"]}"#;
    rig.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        FaultKind::Body(odd.into()),
    ));
    let scraped = rig.scrape().await;
    let series = |direction: &str, result: &str, extension: &str| {
        let labels =
            format!("direction=\"{direction}\",result=\"{result}\",extension=\"{extension}\"");
        scraped.value(&format!(
            "ringcentral_active_calls{{account=\"default\",{labels}}}"
        ))
    };
    assert_eq!(series("Inbound", "In Progress", "101"), 1.0);
    assert_eq!(series("Unknown", "Unknown", "none"), 1.0);
    assert_eq!(series("Outbound", "Made Up", "62264425016"), 1.0);
    assert_eq!(
        scraped.value("ringcentral_call_sessions_in_progress{account=\"default\"}"),
        1.0
    );
}

#[tokio::test]
async fn a_list_of_more_than_a_hundred_pages_is_not_believed() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        max_per_page: 30,
        ..Scenario::huge()
    })
    .await;
    let scraped = rig.scrape_within("60").await;
    assert_eq!(
        (
            scraped.up(),
            scraped.failures("active_calls", "invalid_response")
        ),
        (0.0, 1.0)
    );
    assert_eq!(rig.count(Operation::ActiveCalls), 100);
}

#[tokio::test]
async fn a_walk_has_thirty_seconds() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        max_per_page: 5,
        ..Scenario::normal()
    })
    .await;
    rig.simulator.inject(Fault::always(
        Operation::ActiveCalls,
        FaultKind::Delay(Duration::from_secs(7)),
    ));
    let scraped = rig.scrape_within("60").await;
    assert!(
        (29.5..33.0).contains(&scraped.elapsed.as_secs_f64()),
        "{:?}",
        scraped.elapsed
    );
    assert_eq!(
        (scraped.up(), scraped.failures("active_calls", "timeout")),
        (0.0, 1.0)
    );
}

#[tokio::test]
async fn a_session_that_is_permitted_nothing_is_given_back() {
    let rig = Rig::start(Scenario {
        admin: false,
        ..Scenario::normal()
    })
    .await;
    assert_eq!(
        rig.scrape().await.failures("active_calls", "forbidden"),
        1.0
    );
    assert_eq!(
        rig.count(Operation::Revoke),
        1,
        "a user has only about five"
    );
}

#[tokio::test]
async fn a_renewal_that_hangs_delays_no_scrape_that_finds_a_fetch() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(20),
        limits: unlimited(),
        ..Scenario::normal()
    };
    let rig = Rig::start(scenario).await;
    rig.scrape().await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    rig.simulator
        .inject(Fault::always(Operation::Token, FaultKind::Hang));
    let first = rig.scrape_within("5").await;
    assert!(
        first.elapsed < Duration::from_secs(1),
        "its own fetch comes first: {:?}",
        first.elapsed
    );
    let second = rig.scrape_within("9").await;
    assert_eq!(
        (second.status, second.up()),
        (200, 1.0),
        "the old token and the last snapshot serve"
    );
    assert!(
        second.elapsed < Duration::from_secs(1),
        "{:?}",
        second.elapsed
    );
}

#[tokio::test]
async fn an_absurd_scrape_header_counts_as_none() {
    let rig = Rig::start(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    })
    .await;
    let name = "X-Prometheus-Scrape-Timeout-Seconds";
    for value in ["0", "-1", "NaN", "1e9", "inf", "", "ten"] {
        let scraped = rig.get("/metrics", &[(name, value)]).await;
        assert_eq!((scraped.status, scraped.up()), (200, 1.0), "{value:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let twice = rig.get("/metrics", &[(name, "1"), (name, "2")]).await;
    assert_eq!((twice.status, twice.up()), (200, 1.0));
}

#[tokio::test]
async fn the_accounts_clock_may_jump_either_way() {
    let clock = ManualClock::new();
    let rig = Rig::start(clock.attach_to(Scenario {
        limits: unlimited(),
        ..Scenario::normal()
    }))
    .await;
    rig.scrape().await;
    for hours in [2, -1, -5, 30] {
        clock.shift_ms(hours * 3_600_000);
        let scraped = rig.scrape().await;
        assert_eq!(
            (scraped.up(), scraped.call_samples()),
            (1.0, rig.truth().await),
            "by {hours} h"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The records listed now, as the wire shows them; at least three pages of twenty.
async fn listed(rig: &Rig) -> Vec<serde_json::Value> {
    let listed =
        crate::common::oracle::fetch_listed(&rig.simulator.url(), rig.simulator.now()).await;
    assert!(listed.len() >= 50, "{} records", listed.len());
    listed
}

fn page(records: &[serde_json::Value], next: Option<&str>) -> FaultKind {
    let navigation = next.map(|uri| serde_json::json!({"nextPage": {"uri": uri}}));
    let body = serde_json::json!({"records": records, "navigation": navigation});
    FaultKind::Body(body.to_string().into())
}
