//! Tokens: how they are got, how long they are good, and every documented refusal.

use std::time::Duration;

use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::{CALLS, EXTENSIONS, OWN_CALLS, Rig, error, header, json};

#[tokio::test]
async fn a_login_gives_a_token_that_opens_the_list() {
    let rig = Rig::normal().await;
    let response = rig.log_in().await;
    assert_eq!(header(&response, "x-rate-limit-group"), Some("auth"));
    let body = json(response).await;
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "ReadAccounts ReadCallLog");
    assert_eq!(body["owner_id"], rig.simulator.owner_id().to_string());
    let list = rig.get(body["access_token"].as_str().unwrap(), CALLS).await;
    assert_eq!(list.status(), 200);
}

#[tokio::test]
async fn wrong_credentials_are_refused_by_what_is_wrong_with_them() {
    let rig = Rig::normal().await;
    let (id, secret) = (rig.simulator.client_id(), rig.simulator.client_secret());
    let jwt = rig.simulator.jwt();
    let refused = |status, code: &str| (status, code.to_owned());
    assert_eq!(
        error(rig.log_in_with(&id, "x", &jwt).await).await,
        refused(400, "OAU-153")
    );
    assert_eq!(
        error(rig.log_in_with("x", &secret, &jwt).await).await,
        refused(400, "OAU-153")
    );
    let response = rig.log_in_with(&id, &secret, "a.b.c").await;
    assert_eq!(error(response).await, refused(400, "OAU-140"));
    let form = [("grant_type", "password")];
    let response = rig.form(&id, &secret, "token", &form).await;
    assert_eq!(error(response).await, refused(400, "OAU-250"));
    let anonymous = rig
        .http
        .post(rig.url("/restapi/oauth/token"))
        .send()
        .await
        .unwrap();
    assert_eq!(error(anonymous).await, refused(401, "OAU-153"));
}

#[tokio::test]
async fn an_app_without_the_jwt_grant_is_told_so() {
    let rig = Rig::start(Scenario {
        jwt_allowed: false,
        ..Scenario::default()
    })
    .await;
    let body = json(rig.log_in().await).await;
    assert_eq!(body["error"], "unauthorized_client");
    assert_eq!(body["errors"][0]["errorCode"], "OAU-251");
}

#[tokio::test]
async fn a_jwt_is_good_until_its_time_is_over_or_another_takes_its_place() {
    let life = Some(Duration::from_secs(100));
    let rig = Rig::start(Scenario {
        jwt_life: life,
        ..Scenario::default()
    })
    .await;
    let (id, secret) = (rig.simulator.client_id(), rig.simulator.client_secret());
    let first = rig.simulator.jwt();
    assert_eq!(rig.simulator.rotate_jwt(), rig.simulator.jwt());
    assert_eq!(rig.log_in_with(&id, &secret, &first).await.status(), 400);
    assert_eq!(rig.log_in().await.status(), 200);
    rig.pass_seconds(101);
    assert_eq!(json(rig.log_in().await).await["error"], "invalid_grant");
    rig.simulator.set_jwt("no.expiry.known");
    assert_eq!(rig.log_in().await.status(), 200);
}

#[tokio::test]
async fn a_user_may_have_several_jwts_until_they_are_rotated() {
    let rig = Rig::normal().await;
    let (id, secret) = (rig.simulator.client_id(), rig.simulator.client_secret());
    let first = rig.simulator.jwt();
    let further = rig.simulator.issue_jwt();
    assert_ne!(first, further);
    for jwt in [&first, &further] {
        let body = json(rig.log_in_with(&id, &secret, jwt).await).await;
        assert_eq!(body["owner_id"], rig.simulator.owner_id().to_string());
    }
    rig.simulator.rotate_jwt();
    for jwt in [first, further] {
        assert_eq!(rig.log_in_with(&id, &secret, &jwt).await.status(), 400);
    }
}

#[tokio::test]
async fn a_token_ends_when_its_life_does_whatever_was_said_of_it() {
    let rig = Rig::start(Scenario {
        token_life: Duration::from_secs(30),
        advertised_token_lifetime: Some(Duration::from_secs(7199)),
        ..Scenario::default()
    })
    .await;
    let body = json(rig.log_in().await).await;
    assert_eq!(body["expires_in"], 7199);
    let token = body["access_token"].as_str().unwrap();
    rig.pass_seconds(29);
    assert_eq!(rig.get(token, CALLS).await.status(), 200);
    rig.pass_seconds(1);
    assert_eq!(
        error(rig.get(token, CALLS).await).await,
        (401, "OAU-128".to_owned())
    );
}

#[tokio::test]
async fn the_sixth_session_evicts_the_first() {
    let rig = Rig::normal().await;
    let first = rig.token().await;
    for _ in 0..4 {
        rig.token().await;
    }
    assert_eq!(rig.get(&first, CALLS).await.status(), 200);
    rig.pass_seconds(61);
    let sixth = rig.token().await;
    assert_eq!(
        error(rig.get(&first, CALLS).await).await,
        (401, "OAU-213".to_owned())
    );
    assert_eq!(rig.get(&sixth, CALLS).await.status(), 200);
}

#[tokio::test]
async fn revoked_and_evicted_tokens_are_not_found() {
    let rig = Rig::normal().await;
    let (id, secret) = (rig.simulator.client_id(), rig.simulator.client_secret());
    let (one, other) = (rig.token().await, rig.token().await);
    assert_eq!(
        rig.form(&id, "x", "revoke", &[("token", &one)])
            .await
            .status(),
        400
    );
    assert_eq!(
        rig.form(&id, &secret, "revoke", &[("token", &one)])
            .await
            .status(),
        200
    );
    assert_eq!(
        error(rig.get(&one, CALLS).await).await,
        (401, "OAU-213".to_owned())
    );
    assert_eq!(rig.get(&other, CALLS).await.status(), 200);
    rig.simulator.evict_tokens();
    assert_eq!(
        error(rig.get(&other, CALLS).await).await,
        (401, "OAU-213".to_owned())
    );
    assert_eq!(
        rig.simulator.journal()[2].operation,
        Some(Operation::Revoke)
    );
}

#[tokio::test]
async fn no_token_and_no_such_path_are_told_apart() {
    let rig = Rig::normal().await;
    let bare = rig.http.get(rig.url(CALLS)).send().await.unwrap();
    assert_eq!(error(bare).await, (401, "OAU-123".to_owned()));
    let token = rig.token().await;
    let no_such_path = rig.get(&token, "/restapi/v1.0/account/~/nothing").await;
    assert_eq!(error(no_such_path).await, (404, "CMN-120".to_owned()));
    for path in [
        "/restapi/v1.0/account/1/active-calls",
        "/restapi/v1.0/account/1/extension",
    ] {
        assert_eq!(
            error(rig.get(&token, path).await).await,
            (404, "CMN-102".to_owned())
        );
    }
    let stranger = rig
        .get(&token, "/restapi/v1.0/account/~/extension/1/active-calls")
        .await;
    assert_eq!(error(stranger).await, (404, "CMN-102".to_owned()));
    let explicit = format!(
        "/restapi/v1.0/account/{}/active-calls",
        rig.simulator.account_id()
    );
    assert_eq!(rig.get(&token, &explicit).await.status(), 200);
}

#[tokio::test]
async fn a_user_who_is_no_admin_sees_his_own_calls_only() {
    let rig = Rig::start(Scenario {
        admin: false,
        ..Scenario::default()
    })
    .await;
    let token = rig.token().await;
    assert_eq!(
        error(rig.get(&token, CALLS).await).await,
        (403, "CMN-408".to_owned())
    );
    assert_eq!(rig.get(&token, OWN_CALLS).await.status(), 200);
}

#[tokio::test]
async fn an_app_without_scopes_is_told_which_it_lacks() {
    let scenario = Scenario {
        read_call_log: false,
        read_accounts: false,
        ..Scenario::default()
    };
    let rig = Rig::start(scenario).await;
    let token = rig.token().await;
    for (path, permission) in [(CALLS, "ReadCallLog"), (EXTENSIONS, "ReadAccounts")] {
        let body = json(rig.get(&token, path).await).await;
        assert_eq!(body["errors"][0]["errorCode"], "CMN-401");
        assert_eq!(body["permissionName"], permission);
    }
}
