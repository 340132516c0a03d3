//! What RingCentral may refuse, and answers that are not its own.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};
use serde_json::json;

use super::{check, says, simulator, still};

/// A fault of every answer to this operation.
async fn refused(name: &str, operation: Operation, fault: impl Into<FaultKind>) {
    let simulator = simulator(still()).await;
    simulator.inject(Fault::always(operation, fault));
    says(check(&simulator, &[]), 1, name).await;
}

/// An account of this kind.
async fn fails_at(name: &str, scenario: Scenario) {
    says(check(&simulator(scenario).await, &[]), 1, name).await;
}

fn coded(status: u16, code: &str) -> SimResponse {
    SimResponse::json(
        status,
        &json!({"errors": [{"errorCode": code, "message": "secret words"}]}),
    )
}

#[tokio::test]
async fn a_wrong_client_secret() {
    let simulator = simulator(still()).await;
    let mut command = check(&simulator, &[]);
    command.env("RC_CLIENT_SECRET", "sesame");
    says(command, 1, "bad_client").await;
}

#[tokio::test]
async fn an_app_that_may_not_log_in_by_jwt() {
    fails_at(
        "jwt_not_allowed",
        Scenario {
            jwt_allowed: false,
            ..still()
        },
    )
    .await;
}

#[tokio::test]
async fn a_jwt_that_has_expired() {
    let simulator = simulator(still()).await;
    // {"exp":1000000000}
    let expired = "e30.eyJleHAiOjEwMDAwMDAwMDB9.c2ln";
    simulator.set_jwt(expired);
    says(check(&simulator, &[]), 1, "jwt_expired").await;
}

#[tokio::test]
async fn a_jwt_that_was_revoked() {
    let simulator = simulator(still()).await;
    let command = check(&simulator, &[]);
    simulator.rotate_jwt();
    says(command, 1, "jwt_refused").await;
}

#[tokio::test]
async fn a_jwt_in_quotes() {
    let simulator = simulator(still()).await;
    let mut command = check(&simulator, &[]);
    command.env("RC_JWT", format!("\"{}\"", simulator.jwt()));
    says(command, 1, "odd_jwt").await;
}

#[tokio::test]
async fn a_user_that_is_locked_or_refused_for_reasons_that_we_do_not_know() {
    refused("user_locked", Operation::Token, coded(400, "OAU-147")).await;
    refused(
        "login_refused",
        Operation::Token,
        SimResponse::unsupported_grant(),
    )
    .await;
}

#[tokio::test]
async fn a_session_that_ends_at_once() {
    refused(
        "session_ended",
        Operation::ActiveCalls,
        SimResponse::token_not_found(),
    )
    .await;
}

#[tokio::test]
async fn an_app_without_the_permission() {
    fails_at(
        "app_lacks_call_log",
        Scenario {
            read_call_log: false,
            ..still()
        },
    )
    .await;
}

#[tokio::test]
async fn a_user_who_is_no_admin() {
    fails_at(
        "not_admin",
        Scenario {
            admin: false,
            ..still()
        },
    )
    .await;
}

#[tokio::test]
async fn a_permission_that_we_do_not_know_and_a_request_that_is_refused() {
    refused("forbidden", Operation::ActiveCalls, coded(403, "CMN-109")).await;
    refused(
        "refused",
        Operation::ActiveCalls,
        SimResponse::bad_parameter("perPage", "1000"),
    )
    .await;
}

#[tokio::test]
async fn an_account_that_is_not_the_jwts() {
    let simulator = simulator(still()).await;
    says(
        check(&simulator, &["--ringcentral.account-id=7"]),
        1,
        "wrong_account",
    )
    .await;
}

#[tokio::test]
async fn a_penalty_is_told_in_seconds_and_nothing_is_asked_inside_it() {
    let simulator = simulator(still()).await;
    simulator.inject(Fault::always(
        Operation::ActiveCalls,
        SimResponse::too_many_requests(Some(17)),
    ));
    says(check(&simulator, &[]), 1, "rate_limited").await;
    let asked: Vec<_> = simulator
        .journal()
        .iter()
        .map(|entry| entry.status)
        .collect();
    assert_eq!(
        asked,
        [Some(200), Some(429)],
        "not even the revocation: the 429 names no group"
    );
}

#[tokio::test]
async fn a_limit_that_another_tool_has_used() {
    let other = OtherClient {
        requests: 8,
        first: Duration::ZERO,
        every: Duration::from_secs(3600),
    };
    fails_at(
        "no_budget",
        Scenario {
            other_client: Some(other),
            max_per_page: 10,
            ..still()
        },
    )
    .await;
}

#[tokio::test]
async fn a_list_that_no_window_holds() {
    fails_at(
        "list_too_long",
        Scenario {
            max_per_page: 4,
            ..still()
        },
    )
    .await;
}

#[tokio::test]
async fn a_server_that_has_a_problem() {
    let reply = SimResponse::unavailable(503)
        .with("Retry-After", 40)
        .with("RCRequestId", "f3b0c1d2-1111");
    refused("server_error", Operation::ActiveCalls, reply).await;
}

#[tokio::test]
async fn a_login_page_of_a_network_a_proxys_page_and_a_way_elsewhere() {
    let page = FaultKind::Body("<html>Log in to this hotspot</html>".into());
    refused("not_ringcentral_page", Operation::Token, page).await;
    refused(
        "not_ringcentral_blocked",
        Operation::Token,
        SimResponse::html(403, "Blocked"),
    )
    .await;
    let elsewhere = FaultKind::Redirect {
        status: 302,
        location: "http://hotspot.invalid/?sesame".to_owned(),
    };
    refused("not_ringcentral_elsewhere", Operation::Token, elsewhere).await;
    refused(
        "not_ringcentral_list",
        Operation::ActiveCalls,
        FaultKind::Body("{}".into()),
    )
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_and_an_answer_that_never_comes() {
    refused(
        "broken_connection",
        Operation::Token,
        FaultKind::CloseBeforeResponse,
    )
    .await;
    refused("no_answer", Operation::Token, FaultKind::Hang).await;
}
