//! The connection to the event gateway: an HTTP request that becomes a WebSocket.
//!
//! It is sent by an HTTP client for the gateway's host, so root certificates, name lookup and proxy are those of any
//! request. The access token is not sent to that host, only the event token.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{
    CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Response, StatusCode, Upgraded};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::time::timeout_at;
use tokio_websockets::{ClientBuilder, Limits, WebSocketStream};

use crate::clock::Moment;
use crate::ringcentral::events::{EventError, EventToken};
use crate::ringcentral::http_client;
use crate::ringcentral::transport::request_id;
use crate::ringcentral::transport_error::TransportError;
use crate::ringcentral::wire::parse_api_error;
use crate::ringcentral::{Cause, response_body};

/// The maximum size of a message.
pub(super) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// The maximum time until the gateway has accepted the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Appended to the key by the gateway, by RFC 6455.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A WebSocket over a connection of the HTTP client.
pub(super) type Socket = WebSocketStream<Upgraded>;

/// Connects to the gateway. After a failure another of its addresses is tried first.
///
/// # Errors
/// Returns an error if the connection does not become a WebSocket in time.
pub(super) async fn connect(token: &EventToken) -> Result<Socket, EventError> {
    let result = try_connect(token).await;
    if result.is_err() {
        token.http.record_failure();
    }
    result
}

async fn try_connect(token: &EventToken) -> Result<Socket, EventError> {
    let now = Moment::now();
    if token.is_expired(now) {
        let message = "the event token has expired before its use";
        return Err(EventError::new(Cause::Timeout, message));
    }
    let deadline = now.after(CONNECT_TIMEOUT).instant;
    let key = BASE64_STANDARD.encode(fastrand::u128(..).to_be_bytes());
    let request = token
        .http
        .without_connections()
        .get(token.request_url())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let response = match timeout_at(deadline, http_client::send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(failed)) => {
            // Without the URL, which contains the token.
            let error = failed.error.without_url();
            let error = TransportError::from_reqwest(&error, token.http.route());
            return Err(unreachable(&error));
        }
        Err(_) => return Err(unreachable(&TransportError::timeout())),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response, deadline).await);
    }
    if !is_web_socket(response.headers(), &key) {
        let message = "event connection: the response is not that of a WebSocket server";
        return Err(EventError::new(Cause::GatewayRefused, message));
    }
    token.http.record_success(response.remote_addr());
    match timeout_at(deadline, response.upgrade()).await {
        Ok(Ok(stream)) => Ok(web_socket(stream)),
        Ok(Err(_)) => {
            let message = "event connection: closed during the upgrade";
            Err(EventError::new(Cause::BrokenConnection, message))
        }
        Err(_) => Err(unreachable(&TransportError::timeout())),
    }
}

fn unreachable(error: &TransportError) -> EventError {
    EventError::new(error.cause, format!("event connection: {}", error.message))
}

fn web_socket(stream: Upgraded) -> Socket {
    let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE_BYTES));
    ClientBuilder::new().limits(limits).take_over(stream)
}

/// Returns the error for a response with another status than 101. One without RingCentral's codes may be from a proxy.
async fn refusal(response: Response, deadline: tokio::time::Instant) -> EventError {
    let status = response.status().as_u16();
    let request_id = request_id(response.headers());
    let body = match status {
        400..=599 => response_body::read(response, deadline).await,
        _ => Ok(Default::default()),
    };
    let api_error = parse_api_error(&body.unwrap_or_default());
    let cause = match status {
        407 => Cause::ProxyRefused,
        429 => Cause::RateLimited,
        500..=599 => Cause::ServerError,
        _ if api_error.is_ringcentral() => Cause::from_subscription(status, &api_error),
        _ => Cause::GatewayRefused,
    };
    let message = format!("event connection: HTTP status {status}");
    EventError {
        request_id,
        ..EventError::new(cause, message).with_code(&api_error)
    }
}

/// Returns whether the headers are those of the response to a request with this key. No extension or subprotocol was
/// offered, so none may be used.
fn is_web_socket(headers: &HeaderMap, key: &str) -> bool {
    let key = format!("{key}{KEY_SUFFIX}");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    let accept = BASE64_STANDARD.encode(hash);
    let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
        && accepts.next().is_some_and(|value| *value == accept)
        && accepts.next().is_none()
        && !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)
        && !headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
}

/// Returns whether a header that is a list has this word, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    for value in headers.get_all(name) {
        let mut words = value.to_str().unwrap_or_default().split(',');
        if words.any(|word| word.trim().eq_ignore_ascii_case(token)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the example in RFC 6455, and its answer.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn is_accepted(lines: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        is_web_socket(&headers, KEY)
    }

    #[test]
    fn upgrade_is_checked_as_rfc_6455_demands() {
        let (upgrade, connection) = (("upgrade", "websocket"), ("connection", "Upgrade"));
        let accept = ("sec-websocket-accept", ACCEPT);
        for (lines, expected) in [
            (vec![upgrade, connection, accept], true),
            (
                vec![
                    ("upgrade", "WebSocket"),
                    ("connection", "keep-alive, upgrade"),
                    accept,
                ],
                true,
            ),
            (vec![connection, accept], false),
            (vec![upgrade, accept], false),
            (vec![upgrade, connection], false),
            (vec![("upgrade", "h2c"), connection, accept], false),
            (vec![upgrade, ("connection", "close"), accept], false),
            (
                vec![upgrade, connection, ("sec-websocket-accept", KEY)],
                false,
            ),
            (vec![upgrade, connection, accept, accept], false),
            (
                vec![
                    upgrade,
                    connection,
                    accept,
                    ("sec-websocket-extensions", "permessage-deflate"),
                ],
                false,
            ),
            (
                vec![upgrade, connection, accept, ("sec-websocket-protocol", "x")],
                false,
            ),
        ] {
            assert_eq!(is_accepted(&lines), expected, "{lines:?}");
        }
    }
}
