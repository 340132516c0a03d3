//! What is sent over an event connection and when, and what a message means. Pure: the time is an argument.
//!
//! The gateway speaks first; then the presence of the account is subscribed to. A connection is subscribed until its
//! subscription is deleted, or until nothing was received for too long.

use std::time::Duration;

use serde_json::json;

use crate::clock::Moment;
use crate::presence::PresenceEvent;
use crate::ringcentral::Cause;
use crate::ringcentral::events::EventError;
use crate::ringcentral::wire::{ApiError, ConnectionDetails, Frame, Response, parse_frame};

const SUBSCRIPTION_PATH: &str = "/restapi/v1.0/subscription";
const EVENT_FILTER: &str = "/restapi/v1.0/account/~/presence";
/// Time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The time without any sign of the gateway after which the connection is lost.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(90);
/// The maximum time from the start of the connection until it is subscribed.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum time until the subscription is deleted.
const UNSUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The documented limits, which are used if the gateway does not name them.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const DEFAULT_ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest limits that are used: shorter ones would make the exporter connect or send all the time.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MIN_ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long before its end a connection is replaced, at most; a tenth of its time if that is less.
const RENEWAL_MARGIN: Duration = Duration::from_secs(10 * 60);

/// The state of an event connection.
#[derive(Debug)]
pub(super) struct Protocol {
    phase: Phase,
    phase_began: Moment,
    opened: Moment,
    /// The start of the ids of messages.
    id_prefix: String,
    /// When the gateway last gave a sign: any message, a ping or a pong.
    last_heard: Moment,
    /// When a message was last sent or received, apart from pings and pongs.
    last_message: Moment,
    last_ping: Moment,
    idle_timeout: Duration,
    absolute_timeout: Duration,
    subscription: Option<String>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The details, before which nothing may be sent.
    Opening,
    /// The response to the subscription.
    Subscribing,
    /// Notifications.
    Subscribed,
    /// The response to the deletion of the subscription.
    Unsubscribing,
}

/// What a message means.
#[derive(Debug)]
pub(super) enum Input {
    /// A sign of the gateway, and nothing else.
    Sign,
    /// The details arrived, and this request has to be sent.
    Send(String),
    /// The subscription is active.
    Subscribed,
    /// The subscription is deleted, and everything until then was received. `is_confirmed` is false if the gateway does
    /// not know the subscription any more.
    Unsubscribed {
        is_confirmed: bool,
    },
    Event(PresenceEvent),
    Unreadable,
}

/// What is due by the clock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    /// A message that shows the gateway that the connection is used.
    Send(String),
}

impl Protocol {
    /// Creates the state of a connection that was opened now.
    pub(super) fn new(id_prefix: String, now: Moment) -> Self {
        Self {
            phase: Phase::Opening,
            phase_began: now,
            opened: now,
            id_prefix,
            last_heard: now,
            last_message: now,
            last_ping: now,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            absolute_timeout: DEFAULT_ABSOLUTE_TIMEOUT,
            subscription: None,
        }
    }

    /// Returns when the connection has to be replaced by another one, before the gateway ends it.
    pub(super) fn renew_at(&self) -> Moment {
        let margin = RENEWAL_MARGIN.min(self.absolute_timeout / 10);
        self.opened.after(self.absolute_timeout - margin)
    }

    /// Records a ping or a pong.
    pub(super) fn record_sign(&mut self, now: Moment) {
        self.last_heard = now;
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Returns an error if the connection is of no use any more.
    pub(super) fn receive(&mut self, text: &str, now: Moment) -> Result<Input, EventError> {
        self.last_heard = now;
        self.last_message = now;
        let Ok(frame) = parse_frame(text, now.wall) else {
            return self.unreadable();
        };
        match frame {
            Frame::ConnectionDetails(details) => Ok(self.subscribe(&details, now)),
            Frame::Response(response) => self.apply_response(&response, now),
            Frame::Notification(Some(event)) => Ok(Input::Event(event)),
            Frame::Notification(None) => Ok(Input::Unreadable),
            Frame::Error(error) => Err(self.ended("the gateway reported an error", &error)),
            Frame::Other => Ok(Input::Sign),
        }
    }

    /// Returns the error of a connection that the gateway closed.
    pub(super) fn closed(&self, code: u16) -> EventError {
        self.lost(&format!("closed by the gateway with code {code}"))
    }

    /// Returns the error of a connection that ended without a message of the gateway.
    pub(super) fn lost(&self, message: &str) -> EventError {
        self.ended(message, &ApiError::default())
    }

    /// Begins to delete the subscription. Returns the request, `None` if there is no subscription.
    pub(super) fn unsubscribe(&mut self, now: Moment) -> Option<String> {
        let id = self.subscription.as_ref()?;
        let path = format!("{SUBSCRIPTION_PATH}/{id}");
        let request = json!([self.request_meta("unsubscribe", "DELETE", &path)]);
        self.enter(Phase::Unsubscribing, now);
        Some(request.to_string())
    }

    /// Returns when [`due`](Self::due) has to be called next, at the latest.
    pub(super) fn wake_at(&self) -> Moment {
        let mut wake_at = self.last_heard.after(MAX_SILENCE);
        if let Some(timeout) = self.phase_timeout() {
            wake_at = wake_at.min(self.phase_began.after(timeout));
        }
        if self.phase != Phase::Opening {
            wake_at = wake_at.min(self.last_ping.after(PING_INTERVAL));
            wake_at = wake_at.min(self.last_message.after(self.idle_timeout / 2));
        }
        wake_at
    }

    /// Returns what is to be sent now, if anything.
    ///
    /// # Errors
    /// Returns an error if the gateway gave no sign or no response for too long.
    pub(super) fn due(&mut self, now: Moment) -> Result<Option<Due>, EventError> {
        let silence = now.saturating_duration_since(self.last_heard);
        if silence >= MAX_SILENCE {
            let message = format!("nothing was received for {} s", silence.as_secs());
            return Err(self.lost(&message));
        }
        let waited = now.monotonic_duration_since(self.phase_began);
        if self.phase_timeout().is_some_and(|limit| waited >= limit) {
            let message = "the gateway did not respond in time";
            return Err(EventError::new(Cause::Timeout, message));
        }
        if self.phase == Phase::Opening {
            return Ok(None);
        }
        let is_over = |since, time| now.monotonic_duration_since(since) >= time;
        if is_over(self.last_message, self.idle_timeout / 2) {
            self.last_message = now;
            let id = self.message_id("heartbeat");
            let heartbeat = json!([{"type": "Heartbeat", "messageId": id}]);
            return Ok(Some(Due::Send(heartbeat.to_string())));
        }
        if is_over(self.last_ping, PING_INTERVAL) {
            self.last_ping = now;
            return Ok(Some(Due::Ping));
        }
        Ok(None)
    }

    /// Returns the request for the subscription, once the gateway has spoken.
    fn subscribe(&mut self, details: &ConnectionDetails, now: Moment) -> Input {
        if self.phase != Phase::Opening {
            return Input::Sign;
        }
        let idle = details.idle_timeout.unwrap_or(DEFAULT_IDLE_TIMEOUT);
        self.idle_timeout = idle.clamp(MIN_IDLE_TIMEOUT, DEFAULT_ABSOLUTE_TIMEOUT);
        let absolute = details.absolute_timeout.unwrap_or(DEFAULT_ABSOLUTE_TIMEOUT);
        self.absolute_timeout = absolute.clamp(MIN_ABSOLUTE_TIMEOUT, DEFAULT_ABSOLUTE_TIMEOUT);
        self.enter(Phase::Subscribing, now);
        let request = json!([
            self.request_meta("subscribe", "POST", SUBSCRIPTION_PATH),
            {"eventFilters": [EVENT_FILTER], "deliveryMode": {"transportType": "WebSocket"}},
        ]);
        Input::Send(request.to_string())
    }

    fn apply_response(&mut self, response: &Response, now: Moment) -> Result<Input, EventError> {
        let is_own = |name| response.message_id == self.message_id(name);
        if self.phase == Phase::Subscribing && is_own("subscribe") {
            return self.apply_subscription(response, now);
        }
        if self.phase == Phase::Unsubscribing && is_own("unsubscribe") {
            self.subscription = None;
            let is_confirmed = (200..300).contains(&response.status);
            return Ok(Input::Unsubscribed { is_confirmed });
        }
        Ok(Input::Sign)
    }

    fn apply_subscription(
        &mut self,
        response: &Response,
        now: Moment,
    ) -> Result<Input, EventError> {
        let error = |cause, message: String| EventError {
            request_id: response.request_id.clone(),
            ..EventError::new(cause, message)
        };
        if !(200..300).contains(&response.status) {
            let api_error = response.error();
            let cause = Cause::from_subscription(response.status, &api_error);
            let message = format!("subscription: HTTP status {}", response.status);
            return Err(error(cause, message).with_code(&api_error));
        }
        let reply = response.subscription();
        self.subscription = reply.id;
        if let Some(reason) = reply.disabled {
            let cause = Cause::from_disabled_filter(&reason);
            let message = format!("subscription: the filter is disabled {reason}");
            return Err(error(cause, message.trim_end().to_owned()));
        }
        if self.subscription.is_none() {
            let message = "subscription: the response has no id".to_owned();
            return Err(error(Cause::SubscriptionRefused, message));
        }
        self.enter(Phase::Subscribed, now);
        Ok(Input::Subscribed)
    }

    /// Returns what a message that is unreadable means: a gateway that cannot be understood before the subscription is
    /// none.
    fn unreadable(&self) -> Result<Input, EventError> {
        match self.phase {
            Phase::Opening => {
                let message = "the first message is unreadable";
                Err(EventError::new(Cause::GatewayRefused, message))
            }
            _ => Ok(Input::Unreadable),
        }
    }

    fn ended(&self, message: &str, error: &ApiError) -> EventError {
        EventError::new(self.loss(), message).with_code(error)
    }

    /// Returns the cause of the end of the connection.
    fn loss(&self) -> Cause {
        match self.phase {
            Phase::Opening | Phase::Subscribing => Cause::GatewayRefused,
            Phase::Subscribed | Phase::Unsubscribing => Cause::EventsLost,
        }
    }

    fn enter(&mut self, phase: Phase, now: Moment) {
        self.phase = phase;
        self.phase_began = now;
        // The caller sends a request, or has received its response.
        self.last_message = now;
    }

    fn phase_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Opening | Phase::Subscribing => Some(SUBSCRIBE_TIMEOUT),
            Phase::Subscribed => None,
            Phase::Unsubscribing => Some(UNSUBSCRIBE_TIMEOUT),
        }
    }

    fn request_meta(&self, name: &str, method: &str, path: &str) -> serde_json::Value {
        let id = self.message_id(name);
        json!({"type": "ClientRequest", "messageId": id, "method": method, "path": path})
    }

    fn message_id(&self, name: &str) -> String {
        format!("{}-{name}", self.id_prefix)
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
