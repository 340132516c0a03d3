//! Tests of `check` with errors from RingCentral and responses from other servers.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, SimResponse};
use serde_json::json;

use crate::check::{assert_output, check_command, frozen_scenario, start_simulator};
use crate::common::exporter_process::output;

/// Injects a fault into every response to an operation and asserts the report of `check`.
async fn assert_fault_reported(name: &str, operation: Operation, fault: impl Into<FaultKind>) {
    let simulator = start_simulator(frozen_scenario()).await;
    simulator.inject(Fault::always(operation, fault));
    assert_output(check_command(&simulator, &[]), 1, name).await;
}

/// Asserts the report of `check` for a scenario.
async fn assert_scenario_reported(name: &str, scenario: Scenario) {
    assert_output(
        check_command(&start_simulator(scenario).await, &[]),
        1,
        name,
    )
    .await;
}

/// Returns an API error with this code. `sesame` in its message must not appear in the report.
fn error_response(status: u16, code: &str) -> SimResponse {
    SimResponse::json(
        status,
        &json!({"errors": [{"errorCode": code, "message": "sesame"}]}),
    )
}

#[tokio::test]
async fn wrong_client_secret_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    let mut command = check_command(&simulator, &[]);
    command.env("RC_CLIENT_SECRET", "sesame");
    assert_output(command, 1, "bad_client").await;
}

#[tokio::test]
async fn app_without_jwt_flow_is_reported() {
    assert_scenario_reported(
        "jwt_not_allowed",
        Scenario {
            jwt_allowed: false,
            ..frozen_scenario()
        },
    )
    .await;
}

#[tokio::test]
async fn expired_jwt_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    // The payload is {"exp":1000000000}.
    let expired_jwt = "e30.eyJleHAiOjEwMDAwMDAwMDB9.c2ln";
    simulator.set_jwt(expired_jwt);
    assert_output(check_command(&simulator, &[]), 1, "jwt_expired").await;
}

#[tokio::test]
async fn revoked_jwt_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    let command = check_command(&simulator, &[]);
    simulator.rotate_jwt();
    assert_output(command, 1, "jwt_refused").await;
}

#[tokio::test]
async fn quoted_jwt_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    let mut command = check_command(&simulator, &[]);
    command.env("RC_JWT", format!("\"{}\"", simulator.jwt()));
    assert_output(command, 1, "odd_jwt").await;
}

#[tokio::test]
async fn refused_user_login_is_reported() {
    assert_fault_reported(
        "user_locked",
        Operation::Token,
        error_response(400, "OAU-147"),
    )
    .await;
    assert_fault_reported(
        "login_refused",
        Operation::Token,
        SimResponse::unsupported_grant(),
    )
    .await;
}

/// RingCentral's code for this is that of a user who is no admin.
#[tokio::test]
async fn user_without_access_to_apps_is_reported() {
    let body = include_str!("../../fixtures/error-403-token-third-party-app-access.json");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let response = SimResponse::json(403, &body);
    assert_fault_reported("app_access_denied", Operation::Token, response).await;
}

#[tokio::test]
async fn user_without_call_log_is_reported() {
    let response = SimResponse::user_lacks("ReadCallLog");
    assert_fault_reported("user_lacks_call_log", Operation::ActiveCalls, response).await;
}

#[tokio::test]
async fn missing_admin_right_without_code_is_reported() {
    let body = include_str!("../../fixtures/error-403-insufficient-permissions.json");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let simulator = start_simulator(frozen_scenario()).await;
    let response = SimResponse::json(403, &body);
    simulator.inject(Fault::always(Operation::ActiveCalls, response));
    let (code, report, _) = output(check_command(&simulator, &[])).await;
    assert_eq!(code, Some(1));
    assert!(report.contains("FAILED: not_admin: "), "{report}");
    let error = "active_calls: HTTP status 403 InsufficientPermissions (ReadCompanyCallLog)";
    assert!(report.contains(error), "{report}");
}

#[tokio::test]
async fn fix_at_level_extension_does_not_name_the_level() {
    let simulator = start_simulator(frozen_scenario()).await;
    let response = SimResponse::user_lacks("ReadCompanyCallLog");
    simulator.inject(Fault::always(Operation::ActiveCalls, response));
    let command = check_command(&simulator, &["--ringcentral.level=extension"]);
    let (code, report, _) = output(command).await;
    assert_eq!(code, Some(1));
    assert!(report.contains("FAILED: user_lacks_call_log: "), "{report}");
    assert!(!report.contains("--ringcentral.level"), "{report}");
}

#[tokio::test]
async fn html_403_of_a_firewall_is_not_a_missing_permission() {
    let simulator = start_simulator(frozen_scenario()).await;
    let response = SimResponse::html(403, "Forbidden");
    simulator.inject(Fault::always(Operation::Extensions, response));
    let (_, report, _) = output(check_command(&simulator, &[])).await;
    assert!(report.contains("not_ringcentral"), "{report}");
    assert!(!report.contains("extensions_forbidden"), "{report}");
}

#[tokio::test]
async fn immediately_ended_session_is_reported() {
    assert_fault_reported(
        "session_ended",
        Operation::ActiveCalls,
        SimResponse::token_not_found(),
    )
    .await;
}

#[tokio::test]
async fn app_without_permission_is_reported() {
    assert_scenario_reported(
        "app_lacks_call_log",
        Scenario {
            read_call_log: false,
            ..frozen_scenario()
        },
    )
    .await;
}

#[tokio::test]
async fn user_without_admin_role_is_reported() {
    assert_scenario_reported(
        "not_admin",
        Scenario {
            admin: false,
            ..frozen_scenario()
        },
    )
    .await;
}

#[tokio::test]
async fn missing_permission_is_found_without_code() {
    let body = json!({"errorCode": "InsufficientPermissions", "message": "sesame",
        "parameters": [{"permissionName": "ReadCompanyCallLog"}]});
    let response = SimResponse::json(403, &body);
    assert_fault_reported("not_admin_without_code", Operation::ActiveCalls, response).await;
    let body = json!({"error": "invalid_client", "errors": [{"errorCode": "OAU-999"}]});
    let response = SimResponse::json(400, &body);
    assert_fault_reported("bad_client_by_word", Operation::Token, response).await;
}

#[tokio::test]
async fn unknown_403_and_400_are_reported() {
    assert_fault_reported(
        "forbidden",
        Operation::ActiveCalls,
        error_response(403, "CMN-109"),
    )
    .await;
    assert_fault_reported(
        "refused",
        Operation::ActiveCalls,
        SimResponse::bad_parameter("perPage", "1000"),
    )
    .await;
}

#[tokio::test]
async fn account_id_of_other_account_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(
        check_command(&simulator, &["--ringcentral.account-id=7"]),
        1,
        "wrong_account",
    )
    .await;
}

#[tokio::test]
async fn penalty_is_reported_without_further_requests() {
    let simulator = start_simulator(frozen_scenario()).await;
    simulator.inject(Fault::always(
        Operation::ActiveCalls,
        SimResponse::too_many_requests(Some(17)),
    ));
    assert_output(check_command(&simulator, &[]), 1, "rate_limited").await;
    let statuses: Vec<_> = simulator
        .journal()
        .iter()
        .map(|entry| entry.status)
        .collect();
    assert_eq!(
        statuses,
        [Some(200), Some(429)],
        "the 429 names no group, so the token must not be revoked either"
    );
}

#[tokio::test]
async fn login_penalty_is_reported() {
    let simulator = start_simulator(frozen_scenario()).await;
    let refusal = SimResponse::too_many_requests(Some(60)).with("X-Rate-Limit-Group", "auth");
    simulator.inject(Fault::always(Operation::Token, refusal));
    assert_output(check_command(&simulator, &[]), 1, "rate_limited_login").await;
    assert_eq!(simulator.journal().len(), 1);
}

#[tokio::test]
async fn limit_used_by_other_client_is_reported() {
    let other_client = OtherClient {
        requests: 8,
        first: Duration::ZERO,
        every: Duration::from_secs(3600),
    };
    assert_scenario_reported(
        "no_budget",
        Scenario {
            other_client: Some(other_client),
            max_per_page: 10,
            ..frozen_scenario()
        },
    )
    .await;
}

#[tokio::test]
async fn list_longer_than_limit_is_reported() {
    assert_scenario_reported(
        "list_too_long",
        Scenario {
            max_per_page: 4,
            ..frozen_scenario()
        },
    )
    .await;
}

#[tokio::test]
async fn list_that_becomes_shorter_twice_is_reported() {
    let simulator = start_simulator(Scenario {
        max_per_page: 25,
        ..frozen_scenario()
    })
    .await;
    for _ in 0..2 {
        let regular = FaultKind::Delay(Duration::ZERO);
        let gone = SimResponse::not_found("page", "2");
        simulator.inject(Fault::once(Operation::ActiveCalls, regular));
        simulator.inject(Fault::once(Operation::ActiveCalls, gone));
    }
    assert_output(check_command(&simulator, &[]), 1, "page_gone").await;
}

#[tokio::test]
async fn server_error_is_reported() {
    let response = SimResponse::unavailable(503)
        .with("Retry-After", 40)
        .with("RCRequestId", "f3b0c1d2-1111");
    assert_fault_reported("server_error", Operation::ActiveCalls, response).await;
}

#[tokio::test]
async fn response_not_from_ringcentral_is_reported() {
    let page = FaultKind::Body("<html>Log in to this hotspot</html>".into());
    assert_fault_reported("not_ringcentral_page", Operation::Token, page).await;
    assert_fault_reported(
        "not_ringcentral_blocked",
        Operation::Token,
        SimResponse::html(403, "Blocked"),
    )
    .await;
    let redirect = FaultKind::Redirect {
        status: 302,
        location: "http://hotspot.invalid/?sesame".to_owned(),
    };
    assert_fault_reported("not_ringcentral_elsewhere", Operation::Token, redirect).await;
    assert_fault_reported(
        "not_ringcentral_list",
        Operation::ActiveCalls,
        FaultKind::Body("{}".into()),
    )
    .await;
}

#[tokio::test]
async fn closed_or_silent_connection_is_reported() {
    assert_fault_reported(
        "broken_connection",
        Operation::Token,
        FaultKind::CloseBeforeResponse,
    )
    .await;
    assert_fault_reported("no_answer", Operation::Token, FaultKind::Hang).await;
}
