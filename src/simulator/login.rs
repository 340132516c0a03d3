//! The token endpoint: login with a JWT, and revocation.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;

use crate::simulator::account::Account;
use crate::simulator::jwt;
use crate::simulator::request::ApiRequest;
use crate::simulator::response::SimResponse;

const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl Account {
    fn check_client(&self, request: &ApiRequest) -> Result<(), SimResponse> {
        let Some(given) = request.credentials("Basic") else {
            return Err(SimResponse::invalid_client(401));
        };
        let expected = format!("{}:{}", self.client_id, self.client_secret);
        let given = BASE64_STANDARD.decode(given).unwrap_or_default();
        if given == expected.as_bytes() {
            Ok(())
        } else {
            Err(SimResponse::invalid_client(400))
        }
    }

    /// Issues an access token for a valid JWT.
    pub(super) fn log_in(
        &self,
        request: &ApiRequest,
        now: i64,
    ) -> Result<SimResponse, SimResponse> {
        self.check_client(request)?;
        if request.form.get("grant_type") != Some(JWT_GRANT) {
            return Err(SimResponse::unsupported_grant());
        }
        if !self.scenario.jwt_allowed {
            return Err(SimResponse::grant_not_allowed());
        }
        let mut state = self.state();
        let assertion = request.form.get("assertion").unwrap_or_default();
        let mut issued = state.jwts.iter();
        if !issued.any(|jwt| jwt::have_same_signature(jwt, assertion)) {
            return Err(SimResponse::invalid_grant("Invalid assertion"));
        }
        if jwt::expiry_s(assertion).is_some_and(|expiry| expiry * 1000 <= now) {
            return Err(SimResponse::invalid_grant("Assertion expired"));
        }
        let lifetime = self.scenario.token_lifetime;
        let token = state.tokens.issue(now + lifetime.as_millis() as i64);
        Ok(self.token_response(&token))
    }

    fn token_response(&self, token: &str) -> SimResponse {
        let lifetime = self
            .scenario
            .advertised_token_lifetime
            .unwrap_or(self.scenario.token_lifetime);
        let mut scopes = Vec::new();
        if self.scenario.read_accounts {
            scopes.push("ReadAccounts");
        }
        if self.scenario.read_call_log {
            scopes.push("ReadCallLog");
        }
        if self.scenario.read_presence {
            scopes.push("ReadPresence");
        }
        if self.scenario.web_socket {
            scopes.push("WebSocket");
        }
        let body = json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": lifetime.as_secs(),
            "scope": scopes.join(" "),
            "owner_id": self.switchboard.company().owner_id().to_string(),
            "endpoint_id": format!("ep-{}", self.client_id),
        });
        SimResponse::json(200, &body)
    }

    /// Ends the session of the given token; an unknown token is not an error.
    pub(super) fn revoke(&self, request: &ApiRequest) -> Result<SimResponse, SimResponse> {
        self.check_client(request)?;
        let token = request.form.get("token").unwrap_or_default();
        self.state().tokens.revoke(token);
        Ok(SimResponse {
            status: 200,
            headers: Vec::new(),
            body: Bytes::new(),
        })
    }
}
