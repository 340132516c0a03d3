//! Tests of faults with a sequence of their own.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, Operation, Scenario, SimResponse, Simulator,
};

use crate::common::MAX_WAIT;
use crate::common::clock::ManualClock;
use crate::common::oracle;
use crate::common::unlimited_requests;
use crate::harness::{TestExporter, account_config, bind_loopback};

/// The maximum time until a fetch succeeds again. It takes 12 s, and a minute after a wrong back-off.
const MAX_RECOVERY: Duration = Duration::from_secs(50);

/// Returns a 429 of the rate-limit group `heavy`.
fn heavy_429(retry_after: Option<u64>) -> FaultKind {
    SimResponse::too_many_requests(retry_after)
        .with("X-Rate-Limit-Group", "heavy")
        .into()
}

/// Returns a redirect to this location.
fn redirect(location: &str) -> FaultKind {
    FaultKind::Redirect {
        status: 302,
        location: location.to_owned(),
    }
}

#[tokio::test]
async fn failed_fetch_keeps_snapshot_until_max_age() {
    let exporter = TestExporter::start_with(
        Scenario {
            limits: unlimited_requests(),
            ..Scenario::normal()
        },
        |config| {
            config.settings.scrape.max_age = Duration::from_secs(15);
        },
    )
    .await;
    let fresh = exporter.scrape().await;
    exporter.simulator.inject(Fault::always(
        Operation::ActiveCalls,
        SimResponse::unavailable(500),
    ));
    let failing = exporter.scrape().await;
    assert_eq!(failing.up(), 0.0);
    assert_eq!(
        failing.call_samples(),
        fresh.call_samples(),
        "the snapshot must be kept until the maximum age"
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    let stale = exporter.scrape().await;
    assert_eq!(
        (stale.up(), stale.call_samples().len()),
        (0.0, 0),
        "the call families must be absent after the maximum age"
    );
    let timestamp = "ringcentral_snapshot_timestamp_seconds{account=\"default\"}";
    assert_eq!(
        stale.value(timestamp),
        fresh.value(timestamp),
        "the timestamp of the snapshot must be kept"
    );
    exporter.simulator.clear_faults();
    exporter.wait_until_up(MAX_RECOVERY).await;
}

#[tokio::test]
async fn unauthorized_fetch_is_retried_after_one_login() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    exporter.scrape().await;
    exporter.simulator.evict_tokens();
    let response = exporter.scrape().await;
    assert_eq!(
        response.up(),
        1.0,
        "the retry must be part of the same fetch"
    );
    assert_eq!(response.failures("active_calls", "unauthorized"), 1.0);
    assert_eq!(
        (
            exporter.count_requests(Operation::Token),
            exporter.count_requests(Operation::ActiveCalls)
        ),
        (2, 3)
    );
}

#[tokio::test]
async fn repeated_401_backs_off_logins() {
    let scenario = Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start_with(scenario, |config| {
        config.settings.timeouts.login_backoff_min = Duration::from_secs(15);
    })
    .await;
    exporter.scrape().await;
    exporter.simulator.inject(Fault::always(
        Operation::ActiveCalls,
        SimResponse::token_not_found(),
    ));
    let failed = exporter.scrape().await;
    assert_eq!(failed.up(), 0.0);
    assert_eq!(
        (
            exporter.count_requests(Operation::Token),
            exporter.count_requests(Operation::ActiveCalls)
        ),
        (2, 3)
    );
    assert!(failed.blocked_until("token") > 0.0 && failed.blocked_until("active_calls") > 0.0);
    for _ in 0..5 {
        exporter.scrape().await;
    }
    assert_eq!(
        exporter.count_requests(Operation::Token),
        2,
        "no login may be sent during the back-off"
    );
    exporter.simulator.clear_faults();
    exporter.wait_until_up(MAX_RECOVERY).await;
}

#[tokio::test]
async fn forbidden_fetch_causes_new_login_after_backoff() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    exporter.scrape().await;
    exporter.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        SimResponse::user_lacks("ReadCompanyCallLog"),
    ));
    assert_eq!(exporter.scrape().await.up(), 0.0);
    exporter.wait_until_up(MAX_RECOVERY).await;
    assert_eq!(
        exporter.count_requests(Operation::Token),
        2,
        "a new permission takes effect only with a new token"
    );
}

#[tokio::test]
async fn hanging_api_request_times_out_after_10_s() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    let fresh = exporter.scrape().await;
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, FaultKind::Hang));
    let hanging = exporter.scrape_with_timeout("2").await;
    assert_eq!(hanging.status, 200);
    assert!(
        (1.4..8.0).contains(&hanging.elapsed.as_secs_f64()),
        "the default deadline is 9.5 s: {:?}",
        hanging.elapsed
    );
    assert_eq!(
        hanging.failures("active_calls", "timeout"),
        0.0,
        "the scrape must not wait for the request"
    );
    assert_eq!(
        hanging.call_samples(),
        fresh.call_samples(),
        "the scrape must be answered from the snapshot"
    );
    tokio::time::sleep(Duration::from_secs(9)).await;
    let response = exporter.wait_until_up(MAX_RECOVERY).await;
    assert_eq!(response.failures("active_calls", "timeout"), 1.0);
}

#[tokio::test]
async fn unreachable_server_recovers_when_it_starts() {
    let listener = bind_loopback().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exporter = TestExporter::start_with(
        Scenario {
            limits: unlimited_requests(),
            ..Scenario::normal()
        },
        |config| {
            config.accounts[0].server = format!("http://{address}").parse().unwrap();
        },
    )
    .await;
    let failed = exporter.scrape().await;
    assert_eq!((failed.status, failed.up()), (200, 0.0));
    assert_eq!(failed.failures("token", "connect"), 1.0);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let scenario = Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let simulator = Simulator::start(listener, scenario, 1).unwrap();
    assert_eq!(
        account_config(&simulator).client_id,
        account_config(&exporter.simulator).client_id,
        "the same seed must give the same credentials"
    );
    simulator.set_jwt(exporter.simulator.jwt());
    exporter.wait_until_up(MAX_RECOVERY).await;
}

#[tokio::test]
async fn same_origin_redirect_counts_as_second_request() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    let account = exporter.simulator.account_id();
    let location = format!("/restapi/v1.0/account/{account}/active-calls?perPage=1000");
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, redirect(&location)));
    let response = exporter.scrape().await;
    assert_eq!(response.up(), 1.0);
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 2);
    let series = "ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}";
    assert_eq!(response.value(series), 2.0);
}

#[tokio::test]
async fn penalty_without_retry_after_lasts_60_s() {
    let heavy = Limit {
        requests: 10,
        window: Duration::from_secs(2),
        ..Limits::default().heavy
    };
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let exporter = TestExporter::start(Scenario {
        limits,
        ..Scenario::normal()
    })
    .await;
    exporter.scrape().await;
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, heavy_429(None)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = exporter.scrape().await;
    let after = failed.blocked_until("active_calls") - exporter.now_seconds();
    assert!(after <= 60.0, "{after}");
    let refused = exporter.requests(Operation::ActiveCalls)[1].arrived_ms as f64 / 1000.0;
    let penalty = failed.blocked_until("active_calls") - refused;
    assert!(penalty >= 59.99, "{penalty}");
    assert_eq!(failed.next_fetch(), failed.blocked_until("active_calls"));
    assert_eq!(
        failed.blocked_until("token"),
        0.0,
        "the penalty must apply only to the group in the response"
    );
    let count = exporter.count_requests(Operation::ActiveCalls);
    exporter.wait_until_up(2 * MAX_WAIT).await;
    let requests = exporter.requests(Operation::ActiveCalls);
    assert_eq!(
        requests.len(),
        count + 1,
        "a request was sent during the penalty"
    );
    let gap = requests[count].arrived_ms - requests[count - 1].arrived_ms;
    assert!(gap >= 60_000, "{gap} ms");
}

#[tokio::test]
async fn slow_response_times_out_after_10_s() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    exporter.scrape().await;
    let slow = FaultKind::Drip {
        pieces: 10,
        pause: Duration::from_millis(100),
    };
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, slow));
    assert_eq!(
        exporter.scrape().await.up(),
        1.0,
        "a slow response is not a failure"
    );
    let too_slow = FaultKind::Drip {
        pieces: 40,
        pause: Duration::from_millis(500),
    };
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, too_slow));
    let failed = exporter.scrape_with_timeout("30").await;
    assert!(
        (9.5..15.0).contains(&failed.elapsed.as_secs_f64()),
        "{:?}",
        failed.elapsed
    );
    assert_eq!(
        (failed.up(), failed.failures("active_calls", "timeout")),
        (0.0, 1.0)
    );
    exporter.wait_until_up(MAX_RECOVERY).await;
}

#[tokio::test]
async fn slow_login_delays_only_first_scrape() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    exporter.simulator.inject(Fault::once(
        Operation::Token,
        FaultKind::Delay(Duration::from_secs(6)),
    ));
    let early = exporter.scrape_with_timeout("1").await;
    assert_eq!((early.status, early.up()), (200, 0.0));
    assert!(
        exporter.has_pending_request(Operation::Token),
        "the scrape must not wait for the login: {:?}",
        early.elapsed
    );
    let late = exporter.scrape().await;
    assert_eq!(
        (late.up(), exporter.count_requests(Operation::Token)),
        (1.0, 1),
        "the second scrape must wait for the login of the first"
    );
}

#[tokio::test]
async fn early_expired_token_causes_new_login() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(5),
        advertised_token_lifetime: Some(Duration::from_secs(3600)),
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start(scenario).await;
    for _ in 0..3 {
        assert_eq!(exporter.scrape().await.up(), 1.0);
        tokio::time::sleep(Duration::from_millis(5200)).await;
    }
    assert_eq!(exporter.count_requests(Operation::Token), 3);
}

#[tokio::test]
async fn frequent_evictions_stay_below_login_limit() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    for _ in 0..12 {
        exporter.scrape().await;
        exporter.simulator.evict_tokens();
    }
    let journal = exporter.simulator.journal();
    assert!(
        journal.iter().all(|entry| entry.status != Some(429)),
        "{journal:?}"
    );
    assert_eq!(
        exporter.count_requests(Operation::Token),
        4,
        "20 % of the 5 logins per minute must be left to other clients"
    );
    assert_eq!(
        exporter.scrape().await.blocked_until("token"),
        0.0,
        "no login was rejected"
    );
}

#[tokio::test]
async fn failed_login_after_eviction_counts_once() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    exporter.scrape().await;
    exporter.simulator.evict_tokens();
    exporter.simulator.inject(Fault::always(
        Operation::Token,
        SimResponse::invalid_client(401),
    ));
    let failed = exporter.scrape().await;
    assert_eq!(
        (failed.up(), failed.failures("token", "unauthorized")),
        (0.0, 1.0)
    );
    let backoff = failed.blocked_until("token") - exporter.simulator.now() as f64 / 1000.0;
    assert!(
        backoff <= 0.5,
        "expected the first back-off of 0.5 s, not {backoff} s"
    );
    assert_eq!(failed.next_fetch(), failed.blocked_until("token"));
}

#[tokio::test]
async fn eviction_near_limit_recovers_within_window() {
    let window = Duration::from_secs(20);
    let heavy = Limit {
        requests: 5,
        window,
        ..Limits::default().heavy
    };
    let exporter = TestExporter::start(Scenario {
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        ..Scenario::normal()
    })
    .await;
    while exporter.count_requests(Operation::ActiveCalls) < 3 {
        exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    exporter.simulator.evict_tokens();
    while exporter.count_requests(Operation::ActiveCalls) < 4 {
        exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let evicted = exporter.scrape().await;
    assert_eq!(
        (evicted.up(), evicted.failures("active_calls", "budget")),
        (0.0, 1.0),
        "the 401 used the last of four requests"
    );
    let wait = evicted.next_fetch() - exporter.now_seconds();
    assert!(wait <= 15.0, "{wait}");
    let recovered = exporter.wait_until_up(MAX_RECOVERY).await;
    assert_eq!(recovered.failures("active_calls", "budget"), 1.0);
}

#[tokio::test]
async fn record_on_two_pages_is_counted_once() {
    let clock = ManualClock::new();
    let busy = Scenario {
        limits: unlimited_requests(),
        calls_per_minute: 20.0,
        ..Scenario::normal()
    };
    let exporter = TestExporter::start(clock.attach_to(busy)).await;
    let listed = fetch_fifty_records(&exporter).await;
    let page_from = |first: usize, next: Option<&str>| {
        page(&listed[first..(first + 20).min(listed.len())], next)
    };
    let path = |number: usize| format!("/restapi/v1.0/account/~/active-calls?page={number}");
    // Five new calls between two pages move the last five records of a page to the next page.
    exporter.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        page_from(0, Some(&path(2))),
    ));
    exporter.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        page_from(15, Some(&path(3))),
    ));
    exporter
        .simulator
        .inject(Fault::once(Operation::ActiveCalls, page_from(30, None)));
    let response = exporter.scrape().await;
    let expected = oracle::samples_for("default", &listed[..50], &exporter.extension_numbers());
    assert_eq!((response.up(), response.call_samples()), (1.0, expected));
}

#[tokio::test]
async fn invalid_fields_leave_rest_of_record_intact() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    let records = r#"{"records":[
        {"id":1,"sessionId":null,"direction":"Inbound","result":"In Progress","to":{"extensionNumber":101}},
        {"id":"b","sessionId":{},"direction":7,"result":["Busy"],"from":"Alex","extension":null,"startTime":"soon"},
        {"id":null,"direction":"outbound","result":"Made Up","from":{"extensionId":62264425016}},
        null, 5, "x"]}"#;
    exporter.simulator.inject(Fault::once(
        Operation::ActiveCalls,
        FaultKind::Body(records.into()),
    ));
    let response = exporter.scrape().await;
    let series = |direction: &str, result: &str, extension: &str| {
        let labels =
            format!("direction=\"{direction}\",result=\"{result}\",extension=\"{extension}\"");
        response.value(&format!(
            "ringcentral_active_calls{{account=\"default\",{labels}}}"
        ))
    };
    assert_eq!(series("Inbound", "In Progress", "101"), 1.0);
    assert_eq!(series("Unknown", "Unknown", "none"), 1.0);
    assert_eq!(series("Outbound", "Made Up", "62264425016"), 1.0);
    assert_eq!(
        response.value("ringcentral_call_sessions_in_progress{account=\"default\"}"),
        1.0
    );
}

#[tokio::test]
async fn list_over_100_pages_is_rejected() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        max_per_page: 1,
        calls_per_minute: 60.0,
        ..Scenario::normal()
    })
    .await;
    let response = exporter.scrape().await;
    assert_eq!(
        (
            response.up(),
            response.failures("active_calls", "invalid_response")
        ),
        (0.0, 1.0)
    );
    assert_eq!(exporter.count_requests(Operation::ActiveCalls), 100);
}

#[tokio::test]
async fn fetch_times_out_after_30_s() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        max_per_page: 5,
        ..Scenario::normal()
    })
    .await;
    exporter.simulator.inject(Fault::always(
        Operation::ActiveCalls,
        FaultKind::Delay(Duration::from_secs(7)),
    ));
    let response = exporter.scrape_with_timeout("60").await;
    assert!(
        (29.5..45.0).contains(&response.elapsed.as_secs_f64()),
        "{:?}",
        response.elapsed
    );
    assert_eq!(
        (response.up(), response.failures("active_calls", "timeout")),
        (0.0, 1.0)
    );
}

#[tokio::test]
async fn forbidden_session_is_revoked() {
    let exporter = TestExporter::start(Scenario {
        admin: false,
        ..Scenario::normal()
    })
    .await;
    assert_eq!(
        exporter
            .scrape()
            .await
            .failures("active_calls", "forbidden"),
        1.0
    );
    assert_eq!(
        exporter.count_requests(Operation::Revoke),
        1,
        "a user has only about five sessions"
    );
}

#[tokio::test]
async fn hanging_renewal_does_not_delay_scrapes() {
    let scenario = Scenario {
        token_lifetime: Duration::from_secs(40),
        limits: unlimited_requests(),
        ..Scenario::normal()
    };
    let exporter = TestExporter::start(scenario).await;
    exporter.scrape().await;
    tokio::time::sleep(Duration::from_secs(21)).await;
    exporter
        .simulator
        .inject(Fault::always(Operation::Token, FaultKind::Hang));
    let first = exporter.scrape().await;
    let second = exporter.scrape().await;
    assert_eq!(
        (second.status, second.up()),
        (200, 1.0),
        "the old token is still valid"
    );
    for response in [first, second] {
        assert_eq!(
            response.failures("token", "timeout"),
            0.0,
            "the scrape must not wait for the renewal"
        );
    }
    assert!(exporter.has_pending_request(Operation::Token));
}

#[tokio::test]
async fn invalid_scrape_timeout_header_is_ignored() {
    let exporter = TestExporter::start(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    })
    .await;
    let name = "X-Prometheus-Scrape-Timeout-Seconds";
    for value in ["0", "-1", "NaN", "1e9", "inf", "", "ten"] {
        let response = exporter.get("/metrics", &[(name, value)]).await;
        assert_eq!((response.status, response.up()), (200, 1.0), "{value:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let twice = exporter.get("/metrics", &[(name, "1"), (name, "2")]).await;
    assert_eq!((twice.status, twice.up()), (200, 1.0));
}

#[tokio::test]
async fn account_clock_jumps_do_not_change_gauges() {
    let clock = ManualClock::new();
    let exporter = TestExporter::start(clock.attach_to(Scenario {
        limits: unlimited_requests(),
        ..Scenario::normal()
    }))
    .await;
    exporter.scrape().await;
    for hours in [2, -1, -5, 30] {
        clock.shift_ms(hours * 3_600_000);
        let response = exporter.scrape().await;
        assert_eq!(
            (response.up(), response.call_samples()),
            (1.0, exporter.expected_samples().await),
            "by {hours} h"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Fetches the records that are listed now, at least 50.
async fn fetch_fifty_records(exporter: &TestExporter) -> Vec<serde_json::Value> {
    let listed = oracle::fetch_listed(&exporter.simulator.url(), exporter.simulator.now()).await;
    assert!(listed.len() >= 50, "{} records", listed.len());
    listed
}

/// Returns a response with these records and the path of the next page.
fn page(records: &[serde_json::Value], next: Option<&str>) -> FaultKind {
    let navigation = next.map(|uri| serde_json::json!({"nextPage": {"uri": uri}}));
    let body = serde_json::json!({"records": records, "navigation": navigation});
    FaultKind::Body(body.to_string().into())
}
