//! The account's door: tokens for those who know the JWT and the app's secret.
//!
//! Decides on credentials and words the token reply. How long sessions live is kept by `tokens`.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;

use crate::simulator::account::Account;
use crate::simulator::jwt;
use crate::simulator::request::ApiRequest;
use crate::simulator::response::SimResponse;

const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl Account {
    fn check_client(&self, ask: &ApiRequest) -> Result<(), SimResponse> {
        let given = ask
            .credentials("Basic")
            .ok_or_else(|| SimResponse::invalid_client(401))?;
        let expected = format!("{}:{}", self.client_id, self.client_secret);
        let given = BASE64_STANDARD.decode(given).unwrap_or_default();
        if given == expected.as_bytes() {
            Ok(())
        } else {
            Err(SimResponse::invalid_client(400))
        }
    }

    pub(super) fn log_in(&self, ask: &ApiRequest, now: i64) -> Result<SimResponse, SimResponse> {
        self.check_client(ask)?;
        if ask.form.get("grant_type") != Some(JWT_GRANT) {
            return Err(SimResponse::unsupported_grant());
        }
        if !self.scenario.jwt_allowed {
            return Err(SimResponse::grant_not_allowed());
        }
        let mut desk = self.desk();
        let given = ask
            .form
            .get("assertion")
            .filter(|given| desk.jwts.iter().any(|jwt| jwt == given));
        let Some(jwt) = given else {
            return Err(SimResponse::invalid_grant("Invalid assertion"));
        };
        if jwt::expiry_s(jwt).is_some_and(|expiry| expiry * 1000 <= now) {
            return Err(SimResponse::invalid_grant("Assertion expired"));
        }
        let life = self.scenario.token_life;
        let token = desk.tokens.issue(now + life.as_millis() as i64);
        Ok(self.token_reply(&token))
    }

    fn token_reply(&self, token: &str) -> SimResponse {
        let said = self
            .scenario
            .advertised_token_lifetime
            .unwrap_or(self.scenario.token_life);
        let scopes = [
            (self.scenario.read_accounts, "ReadAccounts"),
            (self.scenario.read_call_log, "ReadCallLog"),
        ];
        let scopes: Vec<&str> = scopes
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| *name)
            .collect();
        let body = json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": said.as_secs(),
            "scope": scopes.join(" "),
            "owner_id": self.switchboard.company().owner_id().to_string(),
            "endpoint_id": format!("ep-{}", self.client_id),
        });
        SimResponse::json(200, &body)
    }

    pub(super) fn revoke(&self, ask: &ApiRequest) -> Result<SimResponse, SimResponse> {
        self.check_client(ask)?;
        self.desk()
            .tokens
            .revoke(ask.form.get("token").unwrap_or_default());
        Ok(SimResponse {
            status: 200,
            headers: Vec::new(),
            body: Bytes::new(),
        })
    }
}
