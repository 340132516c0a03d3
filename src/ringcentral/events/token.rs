//! The token for one event connection.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Moment;
use crate::ringcentral::http_client::HttpClient;
use crate::ringcentral::transport::has_user_info;
use crate::ringcentral::wire::{EventTokenResponse, parse_event_token};
use crate::ringcentral::{Cause, Client, Error, Operation};

const TOKEN_PATH: &str = "/restapi/oauth/wstoken";
/// The lifetime if the response has none: the shortest documented one.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(30);
/// The shortest lifetime that is used: with 0 no connection would be possible.
const MIN_LIFETIME: Duration = Duration::from_secs(2);

/// A token for one event connection, and what the connection needs. Its `Debug` shows neither the token nor the URL.
pub(crate) struct EventToken {
    secret: SecretString,
    /// The address of the gateway as that of an HTTP server, without the token.
    gateway: Url,
    /// The HTTP client for the gateway.
    pub(super) http: HttpClient,
    expiry: Moment,
    /// The number of logins of the client, of which the last one issued the token.
    pub(crate) login: u64,
}

// === impl EventToken ===

impl EventToken {
    /// Returns the address to connect to, which contains the token.
    pub(super) fn request_url(&self) -> Url {
        let mut url = self.gateway.clone();
        let token = self.secret.expose_secret();
        url.query_pairs_mut().append_pair("access_token", token);
        url
    }

    /// Returns the gateway's host and port, without anything else of its URL.
    pub(super) fn gateway_address(&self) -> String {
        let host = self.gateway.host_str().unwrap_or_default();
        let port = self.gateway.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }

    /// Returns whether the token is no longer accepted.
    pub(super) fn is_expired(&self, now: Moment) -> bool {
        self.expiry.is_past(now)
    }
}

impl fmt::Debug for EventToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventToken")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

// === impl Client ===

impl Client {
    /// Returns the number of logins, each of which is another OAuth session.
    pub(crate) fn login_count(&self) -> u64 {
        self.login_count
    }

    /// Requests a token for an event connection, after a login if there is no access token and a login is allowed. A
    /// request that would take what the next login needs is not sent.
    ///
    /// A rejected access token stays in use: the next fetch of calls finds out itself. While there is a token, the future
    /// may be dropped, see [`Client::interrupt_request`].
    ///
    /// # Errors
    /// Returns an error if there is no valid response, or the address in it is not one to connect to.
    pub(crate) async fn fetch_event_token(&mut self) -> Result<EventToken, Error> {
        let now = Moment::now();
        if !self.has_token(now) {
            if !self.next_login_at(now).is_past(now) {
                return Err(not_sent("no login is allowed now"));
            }
            self.ensure_token(now).await?;
        }
        let now = Moment::now();
        if !self.can_request_event_token(now) {
            return Err(not_sent("the rate limit is left to the next login"));
        }
        let deadline = now.after(self.timeouts.request).instant;
        let url = self
            .transport
            .resolve_url(Operation::EventToken, None, TOKEN_PATH)?;
        let token = self.token_state.token();
        let token = token.map(ExposeSecret::expose_secret).unwrap_or_default();
        let build_request = |http: &reqwest::Client, url| {
            let request = http.post(url).header(ACCEPT, "application/json");
            request.bearer_auth(token)
        };
        let body = self
            .transport
            .send(Operation::EventToken, url, deadline, build_request)
            .await?;
        self.read_event_token(&body)
    }

    fn read_event_token(&mut self, body: &[u8]) -> Result<EventToken, Error> {
        let invalid = |problem| {
            let transport = &self.transport;
            transport.record_invalid_response(Operation::EventToken, problem)
        };
        let response = parse_event_token(body).map_err(|error| invalid(error.to_string()))?;
        let EventTokenResponse {
            token,
            uri,
            expires_in,
        } = response;
        let server = &self.account.server;
        let gateway = gateway_url(&uri, server).map_err(|problem| invalid(problem.to_owned()))?;
        let http = &self.transport.http;
        let http = http.for_gateway(&gateway, self.gateway.as_ref());
        let http = http.map_err(|_| {
            Error::new(
                Operation::EventToken,
                Cause::NoRootCertificates,
                "cannot set up the connection to the event gateway",
            )
        })?;
        self.gateway = Some(http.clone());
        let lifetime = expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        Ok(EventToken {
            secret: token,
            gateway,
            http,
            expiry: Moment::now().after(lifetime.max(MIN_LIFETIME)),
            login: self.login_count,
        })
    }
}

/// Creates the error of a request that was not sent, which is not a failure of RingCentral's.
fn not_sent(problem: &str) -> Error {
    let message = format!("not sent: {problem}");
    Error::new(Operation::EventToken, Cause::NoBudget, message)
}

/// Returns the gateway's address as that of an HTTP server, where its connection begins.
///
/// # Errors
/// Returns why it must not be connected to. The connection is as protected as that to `server`, or more.
fn gateway_url(uri: &str, server: &Url) -> Result<Url, &'static str> {
    let Ok(mut url) = Url::parse(uri) else {
        return Err("the event gateway has an invalid URL");
    };
    let scheme = match url.scheme() {
        "wss" => "https",
        "ws" if server.scheme() == "http" => "http",
        "ws" => return Err("the event gateway does not use TLS"),
        _ => return Err("the event gateway is not a WebSocket"),
    };
    if has_user_info(&url) {
        return Err("the URL of the event gateway contains a user or password");
    }
    url.set_fragment(None);
    if url.set_scheme(scheme).is_err() || !url.has_host() {
        return Err("the event gateway has an invalid URL");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(uri: &str, server: &str) -> Result<String, &'static str> {
        let url = gateway_url(uri, &Url::parse(server).unwrap())?;
        Ok(url.into())
    }

    #[test]
    fn gateway_is_connected_to_over_http() {
        for (uri, server, url) in [
            (
                "wss://g.example/ws",
                "https://s.example",
                "https://g.example/ws",
            ),
            (
                "wss://g.example:8443/",
                "https://s.example",
                "https://g.example:8443/",
            ),
            (
                "wss://g.example:443/ws",
                "https://s.example",
                "https://g.example/ws",
            ),
            (
                "WSS://G.example/ws?a=b#c",
                "https://s.example",
                "https://g.example/ws?a=b",
            ),
            ("wss://[::1]/ws", "https://s.example", "https://[::1]/ws"),
            (
                "wss://g.example/ws",
                "http://127.0.0.1",
                "https://g.example/ws",
            ),
            (
                "ws://127.0.0.1:80/ws",
                "http://127.0.0.1",
                "http://127.0.0.1/ws",
            ),
        ] {
            assert_eq!(gateway(uri, server).as_deref(), Ok(url), "{uri}");
        }
    }

    #[test]
    fn unsafe_gateway_is_not_connected_to() {
        for uri in [
            "ws://g.example/ws",
            "http://g.example/ws",
            "https://g.example/ws",
            "wss://",
            "wss://u@g.example/ws",
            "wss://u:p@g.example/ws",
            "wss://:p@g.example/ws",
            "file:///ws",
            "/ws",
            "g.example",
            "data:,x",
        ] {
            assert!(gateway(uri, "https://s.example").is_err(), "{uri}");
        }
    }
}
