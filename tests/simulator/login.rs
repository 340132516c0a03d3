//! Tests of login, tokens and every documented refusal.

use std::time::Duration;

use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::{CALLS, EXTENSIONS, OWN_CALLS, TestSimulator, error, header, json};

#[tokio::test]
async fn login_returns_a_token_that_lists_calls() {
    let server = TestSimulator::normal().await;
    let response = server.log_in().await;
    assert_eq!(header(&response, "x-rate-limit-group"), Some("auth"));
    let body = json(response).await;
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(
        body["scope"],
        "ReadAccounts ReadCallLog ReadPresence WebSocket"
    );
    assert_eq!(body["owner_id"], server.simulator.owner_id().to_string());
    let list = server
        .get(body["access_token"].as_str().unwrap(), CALLS)
        .await;
    assert_eq!(list.status(), 200);
}

#[tokio::test]
async fn each_invalid_credential_has_its_own_error() {
    let server = TestSimulator::normal().await;
    let (id, secret) = (
        server.simulator.client_id(),
        server.simulator.client_secret(),
    );
    let jwt = server.simulator.jwt();
    let refused = |status, code: &str| (status, code.to_owned());
    assert_eq!(
        error(server.log_in_with(&id, "x", &jwt).await).await,
        refused(400, "OAU-153")
    );
    assert_eq!(
        error(server.log_in_with("x", &secret, &jwt).await).await,
        refused(400, "OAU-153")
    );
    let response = server.log_in_with(&id, &secret, "a.b.c").await;
    assert_eq!(error(response).await, refused(400, "OAU-140"));
    let form = [("grant_type", "password")];
    let response = server.post_form(&id, &secret, "token", &form).await;
    assert_eq!(error(response).await, refused(400, "OAU-250"));
    let anonymous = server
        .http
        .post(server.url("/restapi/oauth/token"))
        .send()
        .await
        .unwrap();
    assert_eq!(error(anonymous).await, refused(401, "OAU-153"));
}

#[tokio::test]
async fn login_without_the_jwt_grant_is_refused() {
    let server = TestSimulator::start(Scenario {
        jwt_allowed: false,
        ..Scenario::default()
    })
    .await;
    let body = json(server.log_in().await).await;
    assert_eq!(body["error"], "unauthorized_client");
    assert_eq!(body["errors"][0]["errorCode"], "OAU-251");
}

#[tokio::test]
async fn jwt_is_valid_until_expired_or_rotated() {
    let lifetime = Some(Duration::from_secs(100));
    let server = TestSimulator::start(Scenario {
        jwt_lifetime: lifetime,
        ..Scenario::default()
    })
    .await;
    let (id, secret) = (
        server.simulator.client_id(),
        server.simulator.client_secret(),
    );
    let first = server.simulator.jwt();
    assert_eq!(server.simulator.rotate_jwt(), server.simulator.jwt());
    assert_eq!(server.log_in_with(&id, &secret, &first).await.status(), 400);
    assert_eq!(server.log_in().await.status(), 200);
    server.advance_seconds(101);
    assert_eq!(json(server.log_in().await).await["error"], "invalid_grant");
    server.simulator.set_jwt("no.expiry.known");
    assert_eq!(server.log_in().await.status(), 200);
}

#[tokio::test]
async fn several_jwts_are_valid_until_rotated() {
    let server = TestSimulator::normal().await;
    let (id, secret) = (
        server.simulator.client_id(),
        server.simulator.client_secret(),
    );
    let first = server.simulator.jwt();
    let second = server.simulator.issue_jwt();
    assert_ne!(first, second);
    for jwt in [&first, &second] {
        let body = json(server.log_in_with(&id, &secret, jwt).await).await;
        assert_eq!(body["owner_id"], server.simulator.owner_id().to_string());
    }
    server.simulator.rotate_jwt();
    for jwt in [first, second] {
        assert_eq!(server.log_in_with(&id, &secret, &jwt).await.status(), 400);
    }
}

#[tokio::test]
async fn jwt_of_an_earlier_run_is_valid() {
    let other_expiry = Scenario {
        jwt_lifetime: Some(Duration::from_secs(86_400)),
        ..Scenario::normal()
    };
    let earlier = TestSimulator::start(other_expiry).await;
    let jwt = earlier.simulator.jwt();
    let server = TestSimulator::normal().await;
    assert_ne!(server.simulator.jwt(), jwt);
    let (id, secret) = (
        server.simulator.client_id(),
        server.simulator.client_secret(),
    );
    assert_eq!(server.log_in_with(&id, &secret, &jwt).await.status(), 200);
    server.simulator.rotate_jwt();
    assert_eq!(server.log_in_with(&id, &secret, &jwt).await.status(), 400);
}

#[tokio::test]
async fn token_expires_before_the_advertised_lifetime() {
    let server = TestSimulator::start(Scenario {
        token_lifetime: Duration::from_secs(30),
        advertised_token_lifetime: Some(Duration::from_secs(7199)),
        ..Scenario::default()
    })
    .await;
    let body = json(server.log_in().await).await;
    assert_eq!(body["expires_in"], 7199);
    let token = body["access_token"].as_str().unwrap();
    server.advance_seconds(29);
    assert_eq!(server.get(token, CALLS).await.status(), 200);
    server.advance_seconds(1);
    assert_eq!(
        error(server.get(token, CALLS).await).await,
        (401, "OAU-128".to_owned())
    );
}

#[tokio::test]
async fn sixth_session_evicts_the_first() {
    let server = TestSimulator::normal().await;
    let first = server.token().await;
    for _ in 0..4 {
        server.token().await;
    }
    assert_eq!(server.get(&first, CALLS).await.status(), 200);
    server.advance_seconds(61);
    let sixth = server.token().await;
    assert_eq!(
        error(server.get(&first, CALLS).await).await,
        (401, "OAU-213".to_owned())
    );
    assert_eq!(server.get(&sixth, CALLS).await.status(), 200);
}

#[tokio::test]
async fn revoked_and_evicted_tokens_are_not_found() {
    let server = TestSimulator::normal().await;
    let (id, secret) = (
        server.simulator.client_id(),
        server.simulator.client_secret(),
    );
    let (first, second) = (server.token().await, server.token().await);
    assert_eq!(
        server
            .post_form(&id, "x", "revoke", &[("token", &first)])
            .await
            .status(),
        400
    );
    assert_eq!(
        server
            .post_form(&id, &secret, "revoke", &[("token", &first)])
            .await
            .status(),
        200
    );
    assert_eq!(
        error(server.get(&first, CALLS).await).await,
        (401, "OAU-213".to_owned())
    );
    assert_eq!(server.get(&second, CALLS).await.status(), 200);
    server.simulator.evict_tokens();
    assert_eq!(
        error(server.get(&second, CALLS).await).await,
        (401, "OAU-213".to_owned())
    );
    assert_eq!(
        server.simulator.journal()[2].operation,
        Some(Operation::Revoke)
    );
}

#[tokio::test]
async fn missing_token_and_unknown_path_have_different_errors() {
    let server = TestSimulator::normal().await;
    let without_token = server.http.get(server.url(CALLS)).send().await.unwrap();
    assert_eq!(error(without_token).await, (401, "OAU-123".to_owned()));
    let token = server.token().await;
    let unknown_path = server.get(&token, "/restapi/v1.0/account/~/nothing").await;
    assert_eq!(error(unknown_path).await, (404, "CMN-120".to_owned()));
    for path in [
        "/restapi/v1.0/account/1/active-calls",
        "/restapi/v1.0/account/1/extension",
    ] {
        assert_eq!(
            error(server.get(&token, path).await).await,
            (404, "CMN-102".to_owned())
        );
    }
    let unknown_extension = server
        .get(&token, "/restapi/v1.0/account/~/extension/1/active-calls")
        .await;
    assert_eq!(error(unknown_extension).await, (404, "CMN-102".to_owned()));
    let explicit = format!(
        "/restapi/v1.0/account/{}/active-calls",
        server.simulator.account_id()
    );
    assert_eq!(server.get(&token, &explicit).await.status(), 200);
}

#[tokio::test]
async fn user_without_admin_rights_lists_only_own_calls() {
    let server = TestSimulator::start(Scenario {
        admin: false,
        ..Scenario::default()
    })
    .await;
    let token = server.token().await;
    assert_eq!(
        error(server.get(&token, CALLS).await).await,
        (403, "CMN-408".to_owned())
    );
    assert_eq!(server.get(&token, OWN_CALLS).await.status(), 200);
}

#[tokio::test]
async fn missing_scope_is_named_in_the_error() {
    let scenario = Scenario {
        read_call_log: false,
        read_accounts: false,
        ..Scenario::default()
    };
    let server = TestSimulator::start(scenario).await;
    let token = server.token().await;
    for (path, permission) in [(CALLS, "ReadCallLog"), (EXTENSIONS, "ReadAccounts")] {
        let body = json(server.get(&token, path).await).await;
        assert_eq!(body["errors"][0]["errorCode"], "CMN-401");
        assert_eq!(body["permissionName"], permission);
    }
}
