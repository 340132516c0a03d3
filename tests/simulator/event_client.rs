//! A client of the event gateway with a real WebSocket.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

use crate::common::{TestSimulator, json as body_of};

pub const SUBSCRIPTION: &str = "/restapi/v1.0/subscription";
pub const ACCOUNT_PRESENCE: &str = "/restapi/v1.0/account/~/presence";
/// Far more than any message takes.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// An open event connection.
pub struct EventClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u32,
    /// The id of the latest subscription.
    pub subscription_id: Option<String>,
    /// Messages that came while the client waited for a response.
    earlier: Vec<Vec<Value>>,
}

/// What a client received last.
#[derive(Debug)]
pub enum Received {
    Message(Vec<Value>),
    Text(String),
    Closed(Option<u16>),
}

impl TestSimulator {
    /// Requests an event token.
    pub async fn event_token(&self, token: &str) -> Value {
        let request = self.http.post(self.url("/restapi/oauth/wstoken"));
        let response = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        body_of(response).await
    }

    /// Returns the URL of a new connection.
    pub async fn event_url(&self, token: &str) -> String {
        let body = self.event_token(token).await;
        let (uri, token) = (&body["uri"], &body["ws_access_token"]);
        format!(
            "{}?access_token={}",
            uri.as_str().unwrap(),
            token.as_str().unwrap()
        )
    }

    /// Connects and returns the client with the connection's details.
    pub async fn connect(&self, token: &str) -> (EventClient, Vec<Value>) {
        let mut client = EventClient::connect(&self.event_url(token).await).await;
        let details = client.message().await;
        (client, details)
    }

    /// Connects and subscribes to the presence of the account.
    pub async fn subscribe(&self, token: &str) -> EventClient {
        let (mut client, _) = self.connect(token).await;
        let response = client.post_subscription(ACCOUNT_PRESENCE).await;
        assert_eq!(response[0]["status"], 200, "{response:?}");
        client
    }

    /// Waits until a connection, counted from 0, goes silent.
    pub async fn wait_for_silence(&self, connection: usize) {
        while self.simulator.event_connections()[connection]
            .silent_ms
            .is_none()
        {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl EventClient {
    pub async fn connect(url: &str) -> EventClient {
        let (socket, response) = ClientBuilder::new()
            .uri(url)
            .unwrap()
            .connect()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 101);
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        EventClient {
            socket,
            requests: 0,
            subscription_id: None,
            earlier: Vec::new(),
        }
    }

    pub async fn send(&mut self, text: &str) {
        let message = Message::text(text.to_owned());
        self.socket.send(message).await.unwrap();
    }

    /// Returns what comes next, apart from pings.
    pub async fn receive(&mut self) -> Received {
        loop {
            let next = timeout(MESSAGE_TIMEOUT, self.socket.next()).await;
            let message = match next.expect("nothing was received") {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Received::Closed(None),
            };
            if let Some((code, _)) = message.as_close() {
                return Received::Closed(Some(code.into()));
            }
            let Some(text) = message.as_text() else {
                continue;
            };
            return match serde_json::from_str(text) {
                Ok(Value::Array(parts)) => Received::Message(parts),
                _ => Received::Text(text.to_owned()),
            };
        }
    }

    /// Returns the next message.
    pub async fn message(&mut self) -> Vec<Value> {
        if !self.earlier.is_empty() {
            return self.earlier.remove(0);
        }
        match self.receive().await {
            Received::Message(message) => message,
            other => panic!("expected a message: {other:?}"),
        }
    }

    /// Returns the code with which the gateway closes the connection.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Received::Closed(code) = self.receive().await {
                return code;
            }
        }
    }

    /// Returns whether nothing is received for a while.
    pub async fn is_silent(&mut self) -> bool {
        let next = timeout(Duration::from_millis(100), self.socket.next()).await;
        self.earlier.is_empty() && next.is_err()
    }

    pub async fn ping(&mut self) {
        self.socket.send(Message::ping("?")).await.unwrap();
    }

    /// Reads the next message, which is a ping, and answers it.
    pub async fn answers_pings(&mut self) {
        let next = timeout(MESSAGE_TIMEOUT, self.socket.next()).await;
        assert!(matches!(next, Ok(Some(Ok(message))) if message.is_ping()));
        self.socket.flush().await.unwrap();
    }

    /// Returns whether the next message is a pong.
    pub async fn receives_pong(&mut self) -> bool {
        let next = timeout(MESSAGE_TIMEOUT, self.socket.next()).await;
        matches!(next, Ok(Some(Ok(message))) if message.is_pong())
    }

    /// Sends a request and returns its response; keeps what comes before it.
    pub async fn request(&mut self, method: &str, path: &str, body: Option<Value>) -> Vec<Value> {
        self.requests += 1;
        let id = self.requests.to_string();
        let meta =
            json!({"type": "ClientRequest", "messageId": id, "method": method, "path": path});
        let request = match body {
            Some(body) => json!([meta, body]),
            None => json!([meta]),
        };
        self.send(&request.to_string()).await;
        loop {
            match self.receive().await {
                Received::Message(message) if message[0]["messageId"] == *id => return message,
                Received::Message(message) => self.earlier.push(message),
                other => panic!("expected a response: {other:?}"),
            }
        }
    }

    pub async fn post_subscription(&mut self, filter: &str) -> Vec<Value> {
        let body = subscription_to(filter);
        let response = self.request("POST", SUBSCRIPTION, Some(body)).await;
        let id = response.get(1).and_then(|info| info["id"].as_str());
        self.subscription_id = id.map(str::to_owned);
        response
    }

    /// Returns this number of notifications.
    pub async fn notifications(&mut self, count: usize) -> Vec<Value> {
        let mut notifications = Vec::new();
        while notifications.len() < count {
            let mut message = self.message().await;
            assert_eq!(message[0]["type"], "ServerNotification");
            notifications.push(message.pop().unwrap());
        }
        notifications
    }
}

pub fn subscription_to(filter: &str) -> Value {
    json!({"eventFilters": [filter], "deliveryMode": {"transportType": "WebSocket"}})
}

/// The statuses of extensions as a client knows them from a list and from events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownPresence(pub HashMap<u64, HashMap<String, Value>>);

pub const STATUSES: [&str; 4] = [
    "telephonyStatus",
    "presenceStatus",
    "userStatus",
    "dndStatus",
];

impl KnownPresence {
    /// Reads the rows that have a telephony status.
    pub fn from_records(records: &Value) -> KnownPresence {
        let mut known = KnownPresence::default();
        for row in records.as_array().unwrap() {
            if row.get("telephonyStatus").is_some() {
                known.apply(row["extension"]["id"].as_u64().unwrap(), row);
            }
        }
        known
    }

    /// Returns the truth at an instant.
    pub fn truth(server: &TestSimulator, at_ms: i64) -> KnownPresence {
        let mut known = KnownPresence::default();
        for row in server.simulator.switchboard().presence_at(at_ms) {
            if let Some(status) = row.status {
                let fields = json!({
                    "telephonyStatus": status.telephony,
                    "presenceStatus": status.presence,
                    "userStatus": status.user,
                    "dndStatus": status.dnd,
                });
                known.apply(row.extension_id, &fields);
            }
        }
        known
    }

    /// Applies the body of an event.
    pub fn apply_event(&mut self, event: &Value) {
        let body = &event["body"];
        self.apply(extension_id(body), body);
    }

    fn apply(&mut self, extension: u64, fields: &Value) {
        let row = self.0.entry(extension).or_default();
        for name in STATUSES {
            if let Some(value) = fields.get(name) {
                row.insert(name.to_owned(), value.clone());
            }
        }
    }
}

/// Returns the extension's id, a number or a text.
pub fn extension_id(body: &Value) -> u64 {
    let id = &body["extensionId"];
    match id.as_str() {
        Some(text) => text.parse().unwrap(),
        None => id.as_u64().unwrap(),
    }
}
