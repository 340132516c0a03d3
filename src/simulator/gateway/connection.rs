//! One open WebSocket, from the upgrade to its end.
//!
//! Notifications, idle and absolute timeouts follow the account's clock. Pings follow Tokio's, because a test that sets
//! the clock forward does not wait for the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_websockets::{CloseCode, Error, Limits, Message, ServerBuilder, WebSocketStream};

use crate::simulator::account::Account;
use crate::simulator::faults::{FaultKind, GatewayFault};
use crate::simulator::gateway::frames::{self, ClientMessage, ClientRequest};
use crate::simulator::gateway::handshake::Upgrade;
use crate::simulator::gateway::hub::{Opened, Refusal};
use crate::simulator::gateway::queue::Notification;
use crate::simulator::gateway::throttle::Throttle;
use crate::simulator::presence::wire::{Envelope, notification};
use crate::simulator::random::hash_seed;
use crate::simulator::request_log::Operation;
use crate::simulator::response::SimResponse;

/// Time without a message after which the gateway closes a connection.
pub(super) const IDLE_TIMEOUT_MS: i64 = 1_800_000;
/// Time after which the gateway closes any connection.
pub(super) const ABSOLUTE_TIMEOUT_MS: i64 = 86_400_000;

/// Time between two looks at clock and faults.
const TICK: Duration = Duration::from_millis(10);
/// Time in which a client must answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// One notification in this number has the session's context.
const CONTEXT_EVERY: u64 = 10;

type Socket = WebSocketStream<Throttle<TokioIo<Upgraded>>>;

/// How a connection ends.
enum End {
    /// The gateway closes it with this code.
    Closed { code: u16, reason: String },
    /// The client closed it, or the network failed, or the gateway drops it.
    Dropped,
    /// The gateway sends nothing more and lets the client wait.
    Silent,
}

impl End {
    fn closed(code: u16, reason: &str) -> End {
        End::Closed {
            code,
            reason: reason.to_owned(),
        }
    }
}

impl From<Error> for End {
    fn from(_: Error) -> End {
        End::Dropped
    }
}

/// Serves a connection until its end.
pub(in crate::simulator) async fn run(account: Arc<Account>, upgrade: Upgrade) {
    let Ok(upgraded) = upgrade.stream.await else {
        return;
    };
    let stream = Throttle::new(TokioIo::new(upgraded));
    let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE_BYTES));
    let mut socket = ServerBuilder::new().limits(limits).serve(stream);
    let now = account.now();
    let (token, context) = (upgrade.token.as_deref(), upgrade.context.as_deref());
    let opened = account.state().hub.open(token, context, now);
    let end = match opened {
        Err(refusal) => refuse(&mut socket, refusal).await,
        Ok(opened) => {
            Connection::new(&account, opened, now)
                .serve(&mut socket)
                .await
        }
    };
    if let (End::Silent, Ok(opened)) = (&end, opened) {
        account.state().hub.silence(opened, account.now());
        ignore(&mut socket).await;
    }
    let code = match &end {
        End::Closed { code, .. } => Some(*code),
        End::Dropped | End::Silent => None,
    };
    if let Ok(opened) = opened {
        account.state().hub.close(opened, code, account.now());
    }
    match end {
        End::Closed { code, reason } => close(&mut socket, code, &reason).await,
        End::Dropped => disconnect(&mut socket).await,
        End::Silent => {}
    }
}

async fn refuse(socket: &mut Socket, refusal: Refusal) -> End {
    match refusal {
        Refusal::NoToken => End::closed(4400, "Access token is missing"),
        Refusal::InvalidToken => End::closed(4401, "Access token is invalid"),
        Refusal::ForgedContext => {
            let error = frames::error("0", "WSG-400");
            match socket.send(Message::text(error)).await {
                Ok(()) => End::closed(1008, "WSG-400"),
                Err(error) => error.into(),
            }
        }
    }
}

/// Sends a close frame and waits a while for that of the client.
async fn close(socket: &mut Socket, code: u16, reason: &str) {
    let Ok(code) = CloseCode::try_from(code) else {
        return;
    };
    if socket
        .send(Message::close(Some(code), reason))
        .await
        .is_ok()
    {
        let answer = async { while let Some(Ok(_)) = socket.next().await {} };
        let _no_answer = tokio::time::timeout(CLOSE_TIMEOUT, answer).await;
    }
}

/// Closes the TCP connection so that the client still receives what was sent: unread bytes would reset it.
async fn disconnect(socket: &mut Socket) {
    if socket.get_mut().shutdown().await.is_ok() {
        let _still_open = tokio::time::timeout(CLOSE_TIMEOUT, ignore(socket)).await;
    }
}

/// Reads without ever answering, until the client closes the connection.
async fn ignore(socket: &mut Socket) {
    let mut buffer = [0; 1024];
    while let Ok(1..) = socket.get_mut().read(&mut buffer).await {}
}

struct Connection<'a> {
    account: &'a Account,
    opened: Opened,
    opened_ms: i64,
    last_traffic_ms: i64,
    messages: u64,
    ticks: u64,
    /// The tick of the ping that is not answered yet.
    pinged: Option<u64>,
}

impl<'a> Connection<'a> {
    fn new(account: &'a Account, opened: Opened, now: i64) -> Connection<'a> {
        Connection {
            account,
            opened,
            opened_ms: now,
            last_traffic_ms: now,
            messages: 0,
            ticks: 0,
            pinged: None,
        }
    }

    /// Sends and receives messages until the connection ends.
    async fn serve(&mut self, socket: &mut Socket) -> End {
        if let Err(end) = self.begin(socket).await {
            return end;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(message)) => self.receive(socket, message).await,
                    Some(Err(_)) | None => return End::Dropped,
                },
                _ = ticks.tick() => self.tick(socket).await,
            };
            if let Err(end) = result {
                return end;
            }
        }
    }

    /// Sends the connection's details, and keeps what a recovered one may still be sent.
    async fn begin(&mut self, socket: &mut Socket) -> Result<(), End> {
        let now = self.opened_ms;
        let id = self.message_id();
        let context = self.account.state().hub.next_context(self.opened.session);
        let details = frames::connection_details(&id, &context, now, self.opened.recovery);
        self.send(socket, details).await?;
        self.account.advance_events(now);
        let mut state = self.account.state();
        state.hub.trim_to_recovery_buffer(self.opened.session, now);
        Ok(())
    }

    async fn send(&mut self, socket: &mut Socket, text: String) -> Result<(), End> {
        self.last_traffic_ms = self.account.now();
        Ok(socket.send(Message::text(text)).await?)
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result<(), End> {
        if message.is_pong() {
            self.pinged = None;
            return Ok(());
        }
        // The WebSocket itself answers pings and close frames.
        self.last_traffic_ms = self.account.now();
        let Some(text) = message.as_text() else {
            return Ok(());
        };
        match ClientMessage::parse(text) {
            ClientMessage::Heartbeat(meta) => self.send(socket, frames::heartbeat(&meta)).await,
            ClientMessage::Request(request) => self.respond(socket, &request).await,
            ClientMessage::Unreadable => {
                let id = self.message_id();
                self.send(socket, frames::error(&id, "WSG-401")).await
            }
        }
    }

    async fn respond(&mut self, socket: &mut Socket, request: &ClientRequest) -> Result<(), End> {
        let now = self.account.now();
        let operation = Some(Operation::Subscription);
        let (sequence, fault) = self.account.record_arrival(operation, &request.path, now);
        let Some(response) = self.subscription_response(request, fault, now).await? else {
            return Ok(());
        };
        self.account.record_answer(sequence, response.status);
        let mut headers = vec![("RCRequestId", self.message_id())];
        if let Some(own) = self.account.state().hub.subscription(self.opened.session) {
            headers.push(("WSG-SubscriptionId", own.id.clone()));
        }
        let frame = frames::response(&request.message_id, &response, &headers);
        self.send(socket, frame).await
    }

    /// Returns the response to a request, changed by the fault, if any; `None` if the client gets none.
    async fn subscription_response(
        &self,
        request: &ClientRequest,
        fault: Option<FaultKind>,
        now: i64,
    ) -> Result<Option<SimResponse>, End> {
        let session = self.opened.session;
        let regular = |disabled| {
            let account = self.account;
            account.handle_subscription(session, request, disabled, now)
        };
        Ok(Some(match fault {
            Some(FaultKind::Hang) => return Ok(None),
            Some(FaultKind::CloseBeforeResponse) => return Err(End::Dropped),
            Some(FaultKind::Status {
                status,
                body,
                headers,
            }) => SimResponse {
                status,
                body,
                headers,
            },
            Some(FaultKind::Body(body)) => SimResponse {
                status: 200,
                headers: Vec::new(),
                body,
            },
            Some(FaultKind::Delay(delay)) => {
                sleep(delay).await;
                regular(false)
            }
            Some(FaultKind::Gateway(GatewayFault::DisabledFilters)) => regular(true),
            _ => regular(false),
        }))
    }

    async fn tick(&mut self, socket: &mut Socket) -> Result<(), End> {
        let now = self.account.now();
        self.check_login()?;
        let fault = self.next_fault();
        if let Some(FaultKind::Gateway(fault)) = fault {
            self.apply_fault(socket, fault).await?;
        }
        for notification in self.account.due_events(self.opened.session, now) {
            let frame = self.notification_frame(&notification);
            self.send(socket, frame).await?;
        }
        self.check_timeouts(socket, now).await?;
        self.ping(socket).await
    }

    /// Returns the fault of the event stream, which is always that of the newest connection.
    fn next_fault(&self) -> Option<FaultKind> {
        let state = &mut *self.account.state();
        let is_newest = state.hub.is_newest(self.opened);
        is_newest.then(|| state.faults.take_next(Operation::EventStream))?
    }

    /// Ends a connection whose login is over, which goes silent, or which another one has replaced.
    fn check_login(&self) -> Result<(), End> {
        let state = self.account.state();
        let Some(login) = state.hub.login(self.opened) else {
            return Err(End::Dropped);
        };
        if state.tokens.is_open(login) {
            Ok(())
        } else {
            Err(End::Silent)
        }
    }

    async fn check_timeouts(&mut self, socket: &mut Socket, now: i64) -> Result<(), End> {
        let code = if now - self.opened_ms >= ABSOLUTE_TIMEOUT_MS {
            "WSG-903"
        } else if now - self.last_traffic_ms >= IDLE_TIMEOUT_MS {
            "WSG-902"
        } else {
            return Ok(());
        };
        self.fail(socket, code).await
    }

    /// Sends an error and closes the connection.
    async fn fail(&mut self, socket: &mut Socket, code: &str) -> Result<(), End> {
        let error = frames::error(&self.message_id(), code);
        self.send(socket, error).await?;
        Err(End::closed(1000, code))
    }

    async fn ping(&mut self, socket: &mut Socket) -> Result<(), End> {
        let scenario = &self.account.scenario;
        self.ticks += 1;
        if let Some(pinged) = self.pinged
            && self.ticks - pinged >= ticks(scenario.pong_timeout)
        {
            return Err(End::closed(1001, "no pong"));
        }
        if self.ticks.is_multiple_of(ticks(scenario.ping_interval)) {
            self.pinged.get_or_insert(self.ticks);
            socket.send(Message::ping(Bytes::new())).await?;
        }
        Ok(())
    }

    async fn apply_fault(&mut self, socket: &mut Socket, fault: GatewayFault) -> Result<(), End> {
        match fault {
            GatewayFault::Close { code, reason } => Err(End::Closed { code, reason }),
            GatewayFault::Error { code } => self.fail(socket, code).await,
            GatewayFault::Disconnect => Err(End::Dropped),
            GatewayFault::Silence => Err(End::Silent),
            GatewayFault::Text(text) => self.send(socket, text).await,
            GatewayFault::Oversized(size) => self.send(socket, oversized(size)).await,
            GatewayFault::RawBytes(bytes) => {
                let stream = socket.get_mut();
                let sent = stream.write_all(&bytes).await;
                sent.map_err(|_| End::Dropped)
            }
            GatewayFault::Slow { piece, pause } => {
                socket.get_mut().slow_down(piece, pause);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn notification_frame(&mut self, event: &Notification) -> String {
        self.messages += 1;
        let company = self.account.switchboard.company();
        let envelope = Envelope {
            uuid: &event.uuid,
            sequence: event.sequence,
            account_id: company.account_id,
            owner_id: company.owner_id(),
            subscription_id: &event.subscription_id,
        };
        let body = notification(&event.change, &envelope, self.account.scenario.event_body);
        let mut context = None;
        if self.messages.is_multiple_of(CONTEXT_EVERY) {
            context = Some(self.account.state().hub.next_context(self.opened.session));
        }
        frames::notification(&event.uuid, context, body)
    }

    fn message_id(&mut self) -> String {
        self.messages += 1;
        let id = hash_seed(self.opened.connection as u64, self.messages);
        format!("{id:016x}-{}", self.messages)
    }
}

/// Returns the number of ticks in this time, at least one.
fn ticks(duration: Duration) -> u64 {
    (duration.as_millis() / TICK.as_millis()).max(1) as u64
}

/// Returns a valid message of this size.
fn oversized(size: usize) -> String {
    let head = r#"[{"type":"ServerNotification","messageId":"0","status":200,"padding":""#;
    let tail = r#""},{}]"#;
    let padding = size.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(padding))
}

impl Account {
    /// Queues the notifications about all changes up to `now`.
    pub(in crate::simulator) fn advance_events(&self, now: i64) {
        let state = &mut *self.state();
        state.hub.advance(&self.switchboard, &mut state.faults, now);
    }

    fn due_events(&self, session: u64, now: i64) -> Vec<Notification> {
        self.advance_events(now);
        self.state().hub.take_due(session, now)
    }
}
