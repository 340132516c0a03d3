//! The JSON of the gateway's messages: an array of meta and, often, a body.

use serde_json::{Map, Value, json};

use crate::simulator::presence::wire::{merge, timestamp};
use crate::simulator::response::SimResponse;

/// A request that a client sent.
#[derive(Debug)]
pub(super) struct ClientRequest {
    pub(super) message_id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Value,
}

/// A message of a client.
#[derive(Debug)]
pub(super) enum ClientMessage {
    Request(ClientRequest),
    Heartbeat(Value),
    Unreadable,
}

impl ClientMessage {
    /// Parses a text message.
    pub(super) fn parse(text: &str) -> ClientMessage {
        let Ok(Value::Array(parts)) = serde_json::from_str(text) else {
            return ClientMessage::Unreadable;
        };
        let mut parts = parts.into_iter();
        let meta = parts.next().unwrap_or_default();
        let field = |name| text_of(&meta, name);
        match field("type").as_str() {
            "Heartbeat" => ClientMessage::Heartbeat(meta),
            "ClientRequest" => ClientMessage::Request(ClientRequest {
                message_id: field("messageId"),
                method: field("method"),
                path: field("path"),
                body: parts.next().unwrap_or_default(),
            }),
            _ => ClientMessage::Unreadable,
        }
    }
}

fn text_of(meta: &Value, name: &str) -> String {
    let text = meta.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The state of a recovery in `ConnectionDetails`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    NotAsked,
    Successful,
    Failed(&'static str),
}

/// Returns the first message of a connection.
pub(super) fn connection_details(
    message_id: &str,
    wsc: &Value,
    now: i64,
    recovery: Recovery,
) -> String {
    let details = json!({
        "creationTime": timestamp(now).replace('Z', "+0000"),
        "maxConnectionsPerSession": 50,
        "recoveryBufferSize": super::hub::RECOVERY_BUFFER,
        "recoveryTimeout": super::hub::RECOVERY_TIMEOUT_MS / 1_000,
        "idleTimeout": super::connection::IDLE_TIMEOUT_MS / 1_000,
        "absoluteTimeout": super::connection::ABSOLUTE_TIMEOUT_MS / 1_000,
        "maxActiveRequests": 10,
    });
    let outcome = match recovery {
        Recovery::NotAsked => json!({}),
        Recovery::Successful => json!({"recoveryState": "Successful"}),
        Recovery::Failed(code) => json!({"recoveryState": "Failed", "recoveryErrorCode": code}),
    };
    let meta = json!({
        "type": "ConnectionDetails",
        "messageId": message_id,
        "status": 200,
        "wsc": wsc,
        "headers": {"RCRequestId": message_id},
    });
    json!([meta, merge(details, outcome)]).to_string()
}

/// Returns the response to a request.
pub(super) fn response(
    message_id: &str,
    response: &SimResponse,
    extra: &[(&str, String)],
) -> String {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        headers.insert(name.clone(), value.as_str().into());
    }
    for (name, value) in extra {
        headers.insert((*name).to_owned(), value.as_str().into());
    }
    let meta = json!({
        "type": "ClientRequest",
        "messageId": message_id,
        "status": response.status,
        "headers": headers,
    });
    match serde_json::from_slice::<Value>(&response.body) {
        Ok(body) => json!([meta, body]).to_string(),
        Err(_) => json!([meta]).to_string(),
    }
}

/// Returns a notification; `wsc` is on some of them only.
pub(super) fn notification(uuid: &str, wsc: Option<Value>, body: Value) -> String {
    let meta = json!({
        "type": "ServerNotification",
        "messageId": uuid,
        "status": 200,
        "headers": {"RCRequestId": uuid},
    });
    let context = match wsc {
        Some(wsc) => json!({"wsc": wsc}),
        None => json!({}),
    };
    json!([merge(meta, context), body]).to_string()
}

/// Returns an error of the gateway.
pub(super) fn error(message_id: &str, code: &str) -> String {
    let message = match code {
        "WSG-400" => "Malformed WebSocket session context token",
        "WSG-902" => "WebSocket connection idle timeout",
        "WSG-903" => "WebSocket connection absolute timeout",
        _ => "WebSocket gateway error",
    };
    let meta = json!({"type": "Error", "messageId": message_id, "status": 400, "headers": {}});
    json!([meta, {"errorCode": code, "message": message}]).to_string()
}

/// Returns the answer to a heartbeat.
pub(super) fn heartbeat(meta: &Value) -> String {
    json!([meta]).to_string()
}
