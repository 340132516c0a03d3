//! The event token and the upgrade to a WebSocket, over HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use crate::simulator::account::Account;
use crate::simulator::request::ApiRequest;
use crate::simulator::response::SimResponse;

/// Appended to a client's key, by RFC 6455.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A connection that becomes a WebSocket, with the tokens of its URL.
pub(in crate::simulator) struct Upgrade {
    pub(in crate::simulator) stream: OnUpgrade,
    pub(in crate::simulator) token: Option<String>,
    pub(in crate::simulator) context: Option<String>,
}

/// Where the HTTP server leaves an upgrade for the task of the connection.
#[derive(Clone, Default)]
pub(in crate::simulator) struct UpgradeSlot(Arc<Mutex<Option<Upgrade>>>);

impl UpgradeSlot {
    /// Stores the upgrade that `request` asked for.
    pub(in crate::simulator) fn set(&self, stream: OnUpgrade, request: &ApiRequest) {
        let parameter = |name| request.query.get(name).map(str::to_owned);
        let upgrade = Upgrade {
            stream,
            token: parameter("access_token"),
            context: parameter("wsc"),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    /// Removes and returns the upgrade.
    pub(in crate::simulator) fn take(&self) -> Option<Upgrade> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Returns the response to a request for a WebSocket. Extensions, such as compression, are declined.
pub(in crate::simulator) fn upgrade(request: &ApiRequest) -> SimResponse {
    let Some(key) = &request.websocket_key else {
        return SimResponse::html(400, "400 Bad Request");
    };
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{KEY_SUFFIX}").as_bytes(),
    );
    SimResponse {
        status: 101,
        headers: Vec::new(),
        body: Bytes::new(),
    }
    .with("Connection", "Upgrade")
    .with("Upgrade", "websocket")
    .with("Sec-WebSocket-Accept", BASE64_STANDARD.encode(hash))
}

impl Account {
    /// Issues a token for one event connection.
    pub(in crate::simulator) fn event_token(
        &self,
        request: &ApiRequest,
        now: i64,
    ) -> Result<SimResponse, SimResponse> {
        if !self.scenario.web_socket {
            return Err(SimResponse::app_lacks("WebSocket"));
        }
        let lifetime = self.scenario.event_token_lifetime;
        let mut state = self.state();
        let access_token = request.credentials("Bearer").unwrap_or_default();
        let Some(login) = state.tokens.session(access_token) else {
            return Err(SimResponse::token_not_found());
        };
        let expires_ms = now + lifetime.as_millis() as i64;
        let token = state.hub.issue_token(login, expires_ms);
        let scheme = if self.scenario.gateway_tls {
            "wss"
        } else {
            "ws"
        };
        let body = json!({
            "uri": format!("{scheme}://{}/ws", request.host),
            "ws_access_token": token,
            "expires_in": lifetime.as_secs(),
        });
        Ok(SimResponse::json(200, &body))
    }
}
