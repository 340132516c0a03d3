//! The protocol over the WebSocket.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{sleep_until, timeout};
use tokio_websockets::{CloseCode, Error, Message};

use crate::clock::Moment;
use crate::presence::PresenceEvent;
use crate::ringcentral::events::connect::{MAX_MESSAGE_BYTES, Socket, connect};
use crate::ringcentral::events::protocol::{Due, Input, MAX_PING_INTERVAL, Protocol};
use crate::ringcentral::events::{EventError, EventToken, LostSubscriptions};

/// The shortest time between two pings.
const MIN_PING_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum time until the subscription is deleted before a connection is closed.
const DELETE_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum time to send the frame that closes a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What the connections of a stream have in common.
#[derive(Clone)]
pub(crate) struct ConnectionSettings {
    /// The time without a sign after which the state is not shown. Pings are sent three times as often.
    pub(crate) max_age: Duration,
    /// The subscriptions that connections leave behind, which the next one deletes.
    pub(crate) lost: LostSubscriptions,
}

/// An open connection with a subscription to the presence of the account. A subscription that is not deleted when this
/// value is dropped is added to the lost ones.
pub(crate) struct EventConnection {
    socket: Socket,
    protocol: Protocol,
    /// What arrived before the response to the subscription.
    earlier: VecDeque<Received>,
    /// The host and port of the gateway.
    pub(crate) gateway: String,
    lost: LostSubscriptions,
    /// The number of logins of the client when the token was issued.
    pub(crate) login: u64,
}

/// What a connection received.
#[derive(Debug)]
pub(crate) enum Received {
    /// A notification and the time of its arrival.
    Event(PresenceEvent, Moment),
    /// A message or notification that was not understood.
    Unreadable,
    /// Only a sign of the gateway.
    Sign,
    /// The subscription is deleted, and all its notifications were received if this is confirmed.
    Unsubscribed {
        /// Whether the gateway knew the subscription until now.
        is_confirmed: bool,
    },
}

impl EventConnection {
    /// Connects to the gateway and subscribes to the presence of the account.
    ///
    /// # Errors
    /// Returns an error if there is no connection or no subscription.
    pub(crate) async fn open(
        token: EventToken,
        settings: ConnectionSettings,
    ) -> Result<Self, EventError> {
        let gateway = token.gateway_address();
        let socket = connect(&token).await;
        let socket = socket.map_err(|error| error.at_gateway(&gateway))?;
        let id_prefix = format!("{:032x}", fastrand::u128(..));
        let ConnectionSettings { max_age, lost } = settings;
        let ping_interval = (max_age / 3).clamp(MIN_PING_INTERVAL, MAX_PING_INTERVAL);
        let mut connection = Self {
            socket,
            protocol: Protocol::new(id_prefix, ping_interval, lost.take(), Moment::now()),
            earlier: VecDeque::new(),
            gateway,
            lost,
            login: token.login,
        };
        match connection.subscribe().await {
            Ok(()) => Ok(connection),
            Err(error) => {
                let error = error.at_gateway(&connection.gateway);
                // A subscription whose filter is disabled counts against the limit.
                connection.close().await;
                Err(error)
            }
        }
    }

    /// Returns when the connection has to be replaced by another one.
    pub(crate) fn renew_at(&self) -> Moment {
        self.protocol.renew_at()
    }

    /// Waits for the next message. Cancel-safe: what was received is returned by the next call.
    ///
    /// # Errors
    /// Returns an error once the connection is lost.
    pub(crate) async fn next(&mut self) -> Result<Received, EventError> {
        if let Some(received) = self.earlier.pop_front() {
            return Ok(received);
        }
        loop {
            let input = self.next_input().await;
            let input = input.map_err(|error| error.at_gateway(&self.gateway))?;
            if let Input::Received(received) = input {
                return Ok(received);
            }
        }
    }

    /// Requests the deletion of the subscription. [`next`](Self::next) returns what arrives until it is deleted.
    pub(crate) async fn unsubscribe(&mut self) {
        if let Some(request) = self.protocol.unsubscribe(Moment::now()) {
            self.send(Message::text(request)).await;
        }
    }

    /// Deletes the subscription, if there is one, and closes the connection. Takes 2.5 s at most.
    pub(crate) async fn close(mut self) {
        if let Some(request) = self.protocol.unsubscribe(Moment::now()) {
            self.send(Message::text(request)).await;
            let _ = timeout(DELETE_TIMEOUT, self.wait_for_deletion()).await;
        }
        let message = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
        let _ = timeout(CLOSE_TIMEOUT, self.socket.send(message)).await;
    }

    async fn wait_for_deletion(&mut self) {
        while let Ok(input) = self.next_input().await {
            if matches!(input, Input::Received(Received::Unsubscribed { .. })) {
                return;
            }
        }
    }

    async fn subscribe(&mut self) -> Result<(), EventError> {
        loop {
            match self.next_input().await? {
                Input::Subscribed => return Ok(()),
                Input::Send(requests) => {
                    for request in requests {
                        self.send(Message::text(request)).await;
                    }
                }
                Input::Received(Received::Sign) => {}
                Input::Received(received) => self.earlier.push_back(received),
            }
        }
    }

    async fn next_input(&mut self) -> Result<Input, EventError> {
        loop {
            // Otherwise nothing would be sent while messages arrive without a pause.
            if self.protocol.is_overdue(Moment::now()) {
                self.send_due().await?;
            }
            let wake_at = self.protocol.wake_at().instant;
            tokio::select! {
                biased;
                message = self.socket.next() => return self.receive(message).await,
                () = sleep_until(wake_at) => self.send_due().await?,
            }
        }
    }

    async fn send_due(&mut self) -> Result<(), EventError> {
        match self.protocol.take_due(Moment::now())? {
            Some(Due::Ping) => self.send(Message::ping("")).await,
            Some(Due::Send(text)) => self.send(Message::text(text)).await,
            None => {}
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        message: Option<Result<Message, Error>>,
    ) -> Result<Input, EventError> {
        let now = Moment::now();
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(self.broken(&error).await),
            None => return Err(self.protocol.lost("the connection was closed")),
        };
        if let Some((code, _)) = message.as_close() {
            return Err(self.protocol.closed(code.into()));
        }
        if message.is_ping() || message.is_pong() {
            self.protocol.record_sign(now);
            return Ok(Input::Received(Received::Sign));
        }
        match message.as_text() {
            Some(text) => self.protocol.receive(text, now),
            None => Ok(Input::Received(Received::Unreadable)),
        }
    }

    /// Returns the error of a connection that broke, after sending the reason if there is one.
    async fn broken(&mut self, error: &Error) -> EventError {
        let message = match error {
            Error::PayloadTooLong { .. } => {
                format!("a message has more than {MAX_MESSAGE_BYTES} bytes")
            }
            Error::Protocol(_) => "the gateway violated the WebSocket protocol".to_owned(),
            Error::Io(error) => format!("the connection broke: {}", error.kind()),
            _ => "the connection broke".to_owned(),
        };
        // Sends the close frame that the WebSocket has prepared.
        let _ = timeout(CLOSE_TIMEOUT, self.socket.next()).await;
        self.protocol.lost(&message)
    }

    /// Queues a message, which is sent while the next one is awaited. The end of the connection is noticed then.
    async fn send(&mut self, message: Message) {
        let _ = self.socket.feed(message).await;
    }
}

impl Drop for EventConnection {
    fn drop(&mut self) {
        self.lost.add(self.protocol.take_undeleted());
    }
}
