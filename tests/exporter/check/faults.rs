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
async fn wrong_client_secret_is_reported() {
    let simulator = simulator(still()).await;
    let mut command = check(&simulator, &[]);
    command.env("RC_CLIENT_SECRET", "sesame");
    says(command, 1, "bad_client").await;
}

#[tokio::test]
async fn app_without_jwt_flow_is_reported() {
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
async fn expired_jwt_is_reported() {
    let simulator = simulator(still()).await;
    // {"exp":1000000000}
    let expired = "e30.eyJleHAiOjEwMDAwMDAwMDB9.c2ln";
    simulator.set_jwt(expired);
    says(check(&simulator, &[]), 1, "jwt_expired").await;
}

#[tokio::test]
async fn revoked_jwt_is_reported() {
    let simulator = simulator(still()).await;
    let command = check(&simulator, &[]);
    simulator.rotate_jwt();
    says(command, 1, "jwt_refused").await;
}

#[tokio::test]
async fn quoted_jwt_is_reported() {
    let simulator = simulator(still()).await;
    let mut command = check(&simulator, &[]);
    command.env("RC_JWT", format!("\"{}\"", simulator.jwt()));
    says(command, 1, "odd_jwt").await;
}

#[tokio::test]
async fn refused_user_login_is_reported() {
    refused("user_locked", Operation::Token, coded(400, "OAU-147")).await;
    refused(
        "login_refused",
        Operation::Token,
        SimResponse::unsupported_grant(),
    )
    .await;
}

#[tokio::test]
async fn immediately_ended_session_is_reported() {
    refused(
        "session_ended",
        Operation::ActiveCalls,
        SimResponse::token_not_found(),
    )
    .await;
}

#[tokio::test]
async fn app_without_permission_is_reported() {
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
async fn user_without_admin_role_is_reported() {
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
async fn unknown_403_and_400_are_reported() {
    refused("forbidden", Operation::ActiveCalls, coded(403, "CMN-109")).await;
    refused(
        "refused",
        Operation::ActiveCalls,
        SimResponse::bad_parameter("perPage", "1000"),
    )
    .await;
}

#[tokio::test]
async fn account_id_of_other_account_is_reported() {
    let simulator = simulator(still()).await;
    says(
        check(&simulator, &["--ringcentral.account-id=7"]),
        1,
        "wrong_account",
    )
    .await;
}

#[tokio::test]
async fn penalty_is_reported_without_further_requests() {
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
async fn limit_used_by_other_client_is_reported() {
    let other = OtherClient {
        requests: 8,
        first: Duration::ZERO,
        every: Duration::from_secs(3600),
    };
    fails_at(
        "no_budget",
        Scenario {
            other_tool: Some(other),
            max_per_page: 10,
            ..still()
        },
    )
    .await;
}

#[tokio::test]
async fn list_longer_than_limit_is_reported() {
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
async fn server_error_is_reported() {
    let reply = SimResponse::unavailable(503)
        .with("Retry-After", 40)
        .with("RCRequestId", "f3b0c1d2-1111");
    refused("server_error", Operation::ActiveCalls, reply).await;
}

#[tokio::test]
async fn response_not_from_ringcentral_is_reported() {
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
async fn closed_or_silent_connection_is_reported() {
    refused(
        "broken_connection",
        Operation::Token,
        FaultKind::CloseBeforeAnswer,
    )
    .await;
    refused("no_answer", Operation::Token, FaultKind::Hang).await;
}
