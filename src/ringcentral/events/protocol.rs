//! What is sent over an event connection and when, and what a message means. Pure: the time is an argument.
//!
//! The gateway speaks first; then the subscriptions of lost connections are deleted, and the presence of the account is
//! subscribed to. A connection is subscribed until its subscription is deleted, or until nothing was received for too
//! long.

use std::time::Duration;

use serde_json::json;

use crate::clock::Moment;
use crate::ringcentral::Cause;
use crate::ringcentral::events::{EventError, Received};
use crate::ringcentral::wire::{ApiError, ConnectionDetails, Frame, Response, parse_frame};

const SUBSCRIPTION_PATH: &str = "/restapi/v1.0/subscription";
const EVENT_FILTER: &str = "/restapi/v1.0/account/~/presence";
/// The longest time between two pings.
pub(super) const MAX_PING_INTERVAL: Duration = Duration::from_secs(30);
/// The time without any sign of the gateway after which the connection is lost.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(90);
/// The maximum time from the start of the connection until it is subscribed.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum time until the subscription is deleted. Events continue to arrive meanwhile.
const UNSUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum time until a sign follows a ping that was sent because the wall clock has jumped.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The documented limits, which are used if the gateway does not name them.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const DEFAULT_ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest limits that are used: shorter ones would make the exporter connect or send all the time.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MIN_ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(60);
/// The time after which a connection is replaced if its limit is shorter than any that is used.
const ABSOLUTE_TIMEOUT_IF_INVALID: Duration = Duration::from_secs(10 * 60);
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
    ping_interval: Duration,
    /// When a ping was sent because only the wall clock shows a long silence, if nothing was heard since.
    probed: Option<Moment>,
    idle_timeout: Duration,
    absolute_timeout: Duration,
    subscription: Option<String>,
    /// The subscriptions of lost connections, `None` once they are deleted.
    lost: Vec<Option<String>>,
    /// Whether the subscription was requested again because there were too many.
    is_second_attempt: bool,
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
    /// Nothing: the deletion was responded to.
    Unsubscribed,
}

/// What a message means.
#[derive(Debug)]
pub(super) enum Input {
    /// These requests have to be sent.
    Send(Vec<String>),
    /// The subscription is active.
    Subscribed,
    /// Something for the stream.
    Received(Received),
}

/// What is due by the clock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    /// A message that shows the gateway that the connection is used.
    Send(String),
}

impl Protocol {
    /// Creates the state of a connection that was opened now, and which deletes the subscriptions `lost` first.
    pub(super) fn new(
        id_prefix: String,
        ping_interval: Duration,
        lost: Vec<String>,
        now: Moment,
    ) -> Self {
        Self {
            phase: Phase::Opening,
            phase_began: now,
            opened: now,
            id_prefix,
            last_heard: now,
            last_message: now,
            last_ping: now,
            ping_interval,
            probed: None,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            absolute_timeout: DEFAULT_ABSOLUTE_TIMEOUT,
            subscription: None,
            lost: lost.into_iter().map(Some).collect(),
            is_second_attempt: false,
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
        self.probed = None;
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Returns an error if the connection is of no use any more.
    pub(super) fn receive(&mut self, text: &str, now: Moment) -> Result<Input, EventError> {
        self.record_sign(now);
        self.last_message = now;
        let Ok(frame) = parse_frame(text, now.wall) else {
            return self.unreadable();
        };
        match frame {
            Frame::ConnectionDetails(details) => Ok(self.apply_details(&details, now)),
            Frame::Response(response) => self.apply_response(&response, now),
            Frame::Notification(Some(event)) => Ok(Input::Received(Received::Event(event, now))),
            Frame::Notification(None) => Ok(Input::Received(Received::Unreadable)),
            Frame::Error(error) => Err(self.ended("the gateway reported an error", &error)),
            Frame::Other => Ok(Input::Received(Received::Sign)),
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

    /// Begins to delete the subscription. Returns the request, `None` if there is no subscription or the gateway has
    /// refused to delete it.
    pub(super) fn unsubscribe(&mut self, now: Moment) -> Option<String> {
        if self.phase == Phase::Unsubscribed {
            return None;
        }
        let request = self.deletion("unsubscribe", self.subscription.as_ref()?);
        self.set_phase(Phase::Unsubscribing, now);
        Some(request)
    }

    /// Returns the subscriptions that still count against the user's limit, as far as is known, and forgets them.
    pub(super) fn take_undeleted(&mut self) -> Vec<String> {
        let mut undeleted: Vec<_> = self.lost.drain(..).flatten().collect();
        undeleted.extend(self.subscription.take());
        undeleted
    }

    /// Returns when [`take_due`](Self::take_due) has to be called next, at the latest.
    pub(super) fn wake_at(&self) -> Moment {
        let mut wake_at = self.last_heard.after(MAX_SILENCE);
        if let Some(timeout) = self.phase_timeout() {
            wake_at = wake_at.min(self.phase_began.after(timeout));
        }
        if let Some(probed) = self.probed {
            wake_at = wake_at.min(probed.after(PROBE_TIMEOUT));
        }
        if self.phase != Phase::Opening {
            wake_at = wake_at.min(self.last_ping.after(self.ping_interval));
            wake_at = wake_at.min(self.last_message.after(self.idle_timeout / 2));
        }
        wake_at
    }

    /// Returns whether something is due although messages may be waiting to be read. That nothing was heard for too
    /// long is only known once there are none.
    pub(super) fn is_overdue(&self, now: Moment) -> bool {
        let silence = now.saturating_duration_since(self.last_heard);
        silence < MAX_SILENCE && self.wake_at().is_past(now)
    }

    /// Returns what is to be sent now, if anything, and counts it as sent.
    ///
    /// # Errors
    /// Returns an error if the gateway gave no sign or no response for too long.
    pub(super) fn take_due(&mut self, now: Moment) -> Result<Option<Due>, EventError> {
        let is_over = |since, time| now.monotonic_duration_since(since) >= time;
        let timeout = self.phase_timeout();
        if timeout.is_some_and(|timeout| is_over(self.phase_began, timeout)) {
            let message = "the gateway did not respond in time";
            return Err(EventError::new(Cause::Timeout, message));
        }
        if self.phase == Phase::Opening {
            return Ok(None);
        }
        if self.needs_probe(now)? || is_over(self.last_ping, self.ping_interval) {
            self.last_ping = now;
            return Ok(Some(Due::Ping));
        }
        if is_over(self.last_message, self.idle_timeout / 2) {
            self.last_message = now;
            let id = self.message_id("heartbeat");
            let heartbeat = json!([{"type": "Heartbeat", "messageId": id}]);
            return Ok(Some(Due::Send(heartbeat.to_string())));
        }
        Ok(None)
    }

    /// Returns whether a ping has to show if the connection is still open: by the wall clock nothing was heard for too
    /// long, because the machine was suspended or its clock was set.
    ///
    /// # Errors
    /// Returns an error if nothing was heard for too long, or since that ping.
    fn needs_probe(&mut self, now: Moment) -> Result<bool, EventError> {
        let silence = now.saturating_duration_since(self.last_heard);
        if silence < MAX_SILENCE {
            self.probed = None;
            return Ok(false);
        }
        let is_jump = now.monotonic_duration_since(self.last_heard) < MAX_SILENCE;
        if is_jump && self.probed.is_none() {
            self.probed = Some(now);
            return Ok(true);
        }
        let waited = self.probed.map(|at| now.monotonic_duration_since(at));
        if is_jump && waited.is_some_and(|waited| waited < PROBE_TIMEOUT) {
            return Ok(false);
        }
        let message = format!("nothing was received for {} s", silence.as_secs());
        Err(self.lost(&message))
    }

    /// Returns the first requests, once the gateway has spoken.
    fn apply_details(&mut self, details: &ConnectionDetails, now: Moment) -> Input {
        if self.phase != Phase::Opening {
            return Input::Received(Received::Sign);
        }
        let idle = details.idle_timeout.unwrap_or(DEFAULT_IDLE_TIMEOUT);
        self.idle_timeout = idle.clamp(MIN_IDLE_TIMEOUT, DEFAULT_ABSOLUTE_TIMEOUT);
        self.absolute_timeout = match details.absolute_timeout {
            None => DEFAULT_ABSOLUTE_TIMEOUT,
            Some(time) if time < MIN_ABSOLUTE_TIMEOUT => ABSOLUTE_TIMEOUT_IF_INVALID,
            Some(time) => time.min(DEFAULT_ABSOLUTE_TIMEOUT),
        };
        self.subscribe(now)
    }

    /// Returns the requests that delete lost subscriptions, and the one for the own subscription. It does not wait for
    /// their responses: a gateway that gives none would keep the connection from being subscribed.
    fn subscribe(&mut self, now: Moment) -> Input {
        self.set_phase(Phase::Subscribing, now);
        let mut requests = Vec::new();
        for (index, id) in self.lost.iter().enumerate() {
            if let Some(id) = id {
                requests.push(self.deletion(&lost_name(index), id));
            }
        }
        let request = json!([
            self.request_meta(self.subscribe_name(), "POST", SUBSCRIPTION_PATH),
            {"eventFilters": [EVENT_FILTER], "deliveryMode": {"transportType": "WebSocket"}},
        ]);
        requests.push(request.to_string());
        Input::Send(requests)
    }

    fn apply_response(&mut self, response: &Response, now: Moment) -> Result<Input, EventError> {
        let is_own = |name: &str| response.message_id == self.message_id(name);
        if self.phase == Phase::Subscribing && is_own(self.subscribe_name()) {
            return self.apply_subscription(response, now);
        }
        if self.phase == Phase::Unsubscribing && is_own("unsubscribe") {
            return Ok(self.apply_deletion(response, now));
        }
        let lost = (0..self.lost.len()).find(|index| is_own(&lost_name(*index)));
        if let Some(lost) = lost.and_then(|index| self.lost.get_mut(index))
            && is_gone(response)
        {
            *lost = None;
        }
        Ok(Input::Received(Received::Sign))
    }

    fn apply_deletion(&mut self, response: &Response, now: Moment) -> Input {
        self.set_phase(Phase::Unsubscribed, now);
        if is_gone(response) {
            self.subscription = None;
        }
        let is_confirmed = (200..300).contains(&response.status);
        Input::Received(Received::Unsubscribed { is_confirmed })
    }

    fn apply_subscription(
        &mut self,
        response: &Response,
        now: Moment,
    ) -> Result<Input, EventError> {
        if !(200..300).contains(&response.status) {
            return self.repeat_subscription(response, now);
        }
        let reply = response.subscription();
        self.subscription = reply.id;
        if let Some(reason) = reply.disabled {
            let cause = Cause::from_disabled_filter(&reason);
            let problem = format!("the filter is disabled {reason}");
            return Err(refusal(response, cause, problem.trim_end()));
        }
        if self.subscription.is_none() {
            let problem = "the response has no id";
            return Err(refusal(response, Cause::SubscriptionRefused, problem));
        }
        self.set_phase(Phase::Subscribed, now);
        Ok(Input::Subscribed)
    }

    /// Returns the requests of a second attempt if there are too many subscriptions: the lost ones may have counted until
    /// now.
    ///
    /// # Errors
    /// Returns the reason of the refusal if there was a second attempt, or it would be of no use.
    fn repeat_subscription(
        &mut self,
        response: &Response,
        now: Moment,
    ) -> Result<Input, EventError> {
        let api_error = response.error();
        let cause = Cause::from_subscription(response.status, &api_error);
        let may_repeat = !self.is_second_attempt && !self.lost.is_empty();
        if cause == Cause::TooManySubscriptions && may_repeat {
            self.is_second_attempt = true;
            return Ok(self.subscribe(now));
        }
        let problem = format!("HTTP status {}", response.status);
        Err(refusal(response, cause, &problem).with_code(&api_error))
    }

    /// Returns what a message that is unreadable means: a gateway that cannot be understood before the subscription is
    /// none.
    fn unreadable(&self) -> Result<Input, EventError> {
        match self.phase {
            Phase::Opening => {
                let message = "the first message is unreadable";
                Err(EventError::new(Cause::GatewayRefused, message))
            }
            _ => Ok(Input::Received(Received::Unreadable)),
        }
    }

    fn ended(&self, message: &str, error: &ApiError) -> EventError {
        EventError::new(self.end_cause(), message).with_code(error)
    }

    /// Returns the cause of the end of the connection.
    fn end_cause(&self) -> Cause {
        match self.phase {
            Phase::Opening | Phase::Subscribing => Cause::GatewayRefused,
            Phase::Subscribed | Phase::Unsubscribing | Phase::Unsubscribed => Cause::EventsLost,
        }
    }

    fn set_phase(&mut self, phase: Phase, now: Moment) {
        self.phase = phase;
        self.phase_began = now;
        // The caller sends a request, or has received its response.
        self.last_message = now;
    }

    fn phase_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Opening | Phase::Subscribing => Some(SUBSCRIBE_TIMEOUT),
            Phase::Subscribed | Phase::Unsubscribed => None,
            Phase::Unsubscribing => Some(UNSUBSCRIBE_TIMEOUT),
        }
    }

    fn subscribe_name(&self) -> &'static str {
        match self.is_second_attempt {
            false => "subscribe",
            true => "subscribe-again",
        }
    }

    /// Returns a request to delete the subscription `id`.
    fn deletion(&self, name: &str, id: &str) -> String {
        let path = format!("{SUBSCRIPTION_PATH}/{id}");
        json!([self.request_meta(name, "DELETE", &path)]).to_string()
    }

    fn request_meta(&self, name: &str, method: &str, path: &str) -> serde_json::Value {
        let id = self.message_id(name);
        json!({"type": "ClientRequest", "messageId": id, "method": method, "path": path})
    }

    fn message_id(&self, name: &str) -> String {
        format!("{}-{name}", self.id_prefix)
    }
}

/// Returns the error of a subscription that is of no use.
fn refusal(response: &Response, cause: Cause, problem: &str) -> EventError {
    EventError {
        request_id: response.request_id.clone(),
        ..EventError::new(cause, format!("subscription: {problem}"))
    }
}

/// Returns the name of the request that deletes a lost subscription.
fn lost_name(index: usize) -> String {
    format!("delete-{index}")
}

/// Returns whether a response to a deletion shows that the subscription does not exist any more.
fn is_gone(response: &Response) -> bool {
    matches!(response.status, 200..300 | 404)
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
