//! The task that receives the events of one account: it connects, subscribes and feeds [`Presence`] until it stops.
//!
//! A lost connection is a gap, after which the list is read again. A connection that ends as planned is not: another one
//! is subscribed first. Both deliver events for a while; those of the new one wait until the old subscription is deleted,
//! so that each extension's events are applied in their order.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

use crate::account::presence::{ConnectionResult, Presence, StreamRequest};
use crate::clock::Moment;
use crate::presence::PresenceEvent;
use crate::ringcentral::Cause;
use crate::ringcentral::events::{EventConnection, EventError, Received};
use crate::ringcentral::token::Backoff;

/// The bounds of the wait before another attempt to connect, of which a random half is subtracted.
const MIN_BACKOFF: Duration = Duration::from_secs(2);
const MAX_BACKOFF: Duration = Duration::from_secs(5 * 60);
/// The wait after an attempt that the rate limit did not allow.
const BUDGET_WAIT: Duration = Duration::from_secs(5);
/// The shortest wait after a 429: RingCentral's penalty.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);
/// The time after which a connection counts as stable, so that its loss is the first failure.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// The time for which both connections of a renewal are subscribed, so that the old one still receives notifications
/// about changes from before the new subscription.
const OVERLAP: Duration = Duration::from_secs(5);
/// The maximum number of events of a new connection that wait for the end of the old one.
const MAX_WAITING: usize = 10_000;
/// Time between two looks at what is due: a read of the list, or another connection.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// Receives events until `stopped` completes, and then deletes the subscription.
pub(crate) async fn run(
    presence: Arc<Presence>,
    requests: mpsc::Sender<StreamRequest>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut stream = Stream::new(presence, requests);
    loop {
        let connection = tokio::select! {
            _ = &mut stopped => return,
            connection = stream.connect() => connection,
        };
        let mut connections = Connections::new(connection);
        let error = tokio::select! {
            _ = &mut stopped => return connections.close().await,
            error = stream.receive(&mut connections) => error,
        };
        if let Some(old) = connections.old.take() {
            // Its subscription counts against the user's limit until it is deleted.
            tokio::spawn(old.close());
        }
        drop(connections);
        stream.record_loss(error);
        tokio::select! {
            _ = &mut stopped => return,
            () = stream.wait() => {}
        }
    }
}

struct Stream {
    presence: Arc<Presence>,
    requests: mpsc::Sender<StreamRequest>,
    logins: watch::Receiver<u64>,
    backoff: Backoff,
    /// The wait before the next attempt.
    wait: Duration,
    connected_at: Option<Moment>,
    next_check: Moment,
    log: FailureLog,
}

/// The connections that are subscribed.
struct Connections {
    current: EventConnection,
    /// The one that `current` replaces.
    old: Option<EventConnection>,
    /// When the subscription of `old` is to be deleted.
    unsubscribe_at: Option<Moment>,
    /// The events of `current` while there is an old one.
    waiting: Vec<(PresenceEvent, Moment)>,
    /// The connection that will replace `current`, while it is opened.
    next: Option<BoxFuture<'static, Result<EventConnection, EventError>>>,
    /// When the replacement of `current` may be tried again.
    retry_at: Option<Moment>,
}

/// What was logged.
#[derive(Default)]
struct FailureLog {
    /// The failures that were logged as warnings since a connection was stable.
    warned: Vec<Cause>,
    /// Whether the last message at level info or above says that events are received.
    is_good_news: bool,
}

// === impl Stream ===

impl Stream {
    fn new(presence: Arc<Presence>, requests: mpsc::Sender<StreamRequest>) -> Self {
        Self {
            logins: presence.logins(),
            presence,
            requests,
            backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF),
            wait: Duration::ZERO,
            connected_at: None,
            next_check: Moment::now(),
            log: FailureLog::default(),
        }
    }

    /// Connects, after as many attempts as are necessary.
    async fn connect(&mut self) -> EventConnection {
        loop {
            match open(self.requests.clone()).await {
                Ok(connection) => {
                    let now = Moment::now();
                    self.connected_at = Some(now);
                    self.presence.record_connection(ConnectionResult::Connected);
                    self.presence.record_subscribed(now);
                    self.log
                        .log_connected(self.presence.account(), &connection.gateway);
                    return connection;
                }
                Err(error) => {
                    self.record_failure(&error);
                    self.wait().await;
                }
            }
        }
    }

    /// Receives events until the connection is lost.
    async fn receive(&mut self, connections: &mut Connections) -> EventError {
        loop {
            if let Err(error) = self.receive_once(connections).await {
                return error;
            }
        }
    }

    async fn receive_once(&mut self, connections: &mut Connections) -> Result<(), EventError> {
        self.renew_if_due(connections);
        let check_at = self.next_check.instant;
        let Connections {
            current,
            old,
            unsubscribe_at,
            next,
            ..
        } = connections;
        tokio::select! {
            received = current.next() => self.apply_current(connections, received?),
            received = next_of(old) => self.apply_old(connections, received),
            result = opened(next) => self.finish_renewal(connections, result),
            () = reached(*unsubscribe_at) => connections.unsubscribe_old().await,
            // The sender is in `presence`.
            _ = self.logins.changed() => {}
            () = sleep_until(check_at) => self.request_read(),
        }
        Ok(())
    }

    /// Begins to open another connection before the present one ends, or after a new login: sooner or later the gateway
    /// ends the connections of the former session.
    fn renew_if_due(&mut self, connections: &mut Connections) {
        let now = Moment::now();
        let may_try = connections.retry_at.is_none_or(|at| at.is_past(now));
        let has_new_login = *self.logins.borrow_and_update() != connections.current.login;
        let is_due = has_new_login || connections.current.renew_at().is_past(now);
        if is_due && may_try && connections.next.is_none() && connections.old.is_none() {
            connections.next = Some(Box::pin(open(self.requests.clone())));
        }
    }

    fn finish_renewal(
        &mut self,
        connections: &mut Connections,
        result: Result<EventConnection, EventError>,
    ) {
        let now = Moment::now();
        connections.next = None;
        match result {
            Ok(new) => {
                let old = std::mem::replace(&mut connections.current, new);
                connections.old = Some(old);
                connections.unsubscribe_at = Some(now.after(OVERLAP));
                connections.retry_at = None;
                self.presence.record_connection(ConnectionResult::Renewed);
                self.presence.record_subscribed(now);
                self.backoff.reset();
                tracing::debug!(
                    account = self.presence.account(),
                    "event connection renewed"
                );
            }
            Err(error) => {
                if error.cause != Cause::NoBudget {
                    self.presence.record_connection(ConnectionResult::Failed);
                }
                let account = self.presence.account();
                self.log
                    .log(account, "event connection renewal failed", &error);
                let wait = self.wait_after(&error);
                connections.retry_at = Some(now.after(wait));
            }
        }
    }

    fn apply_current(&mut self, connections: &mut Connections, received: Received) {
        let now = Moment::now();
        match received {
            Received::Event(event, arrived) if connections.old.is_some() => {
                connections.waiting.push((event, arrived));
                self.presence.record_heard(now);
                if connections.waiting.len() >= MAX_WAITING {
                    self.end_overlap(connections, false);
                }
            }
            received => self.apply(received),
        }
    }

    /// Applies what the old connection of a renewal received. Its end is not a gap if the gateway has confirmed that the
    /// subscription was active until then.
    fn apply_old(&mut self, connections: &mut Connections, received: Result<Received, EventError>) {
        match received {
            Ok(Received::Unsubscribed { is_confirmed }) => {
                self.end_overlap(connections, is_confirmed);
            }
            Ok(received) => self.apply(received),
            Err(_) => self.end_overlap(connections, false),
        }
    }

    fn end_overlap(&mut self, connections: &mut Connections, is_confirmed: bool) {
        if let Some(old) = connections.old.take() {
            // In a task of its own, since the events of the new connection must not wait.
            tokio::spawn(old.close());
        }
        connections.unsubscribe_at = None;
        if !is_confirmed {
            let account = self.presence.account();
            tracing::debug!(account, "replaced event connection ended early");
            self.presence.record_gap();
        }
        for (event, arrived) in connections.waiting.drain(..) {
            self.presence.apply(&event, arrived);
        }
    }

    fn apply(&mut self, received: Received) {
        match received {
            Received::Event(event, arrived) => self.presence.apply(&event, arrived),
            Received::Unreadable => {
                self.presence.record_heard(Moment::now());
                self.presence.record_unreadable();
            }
            Received::Sign | Received::Unsubscribed { .. } => {
                self.presence.record_heard(Moment::now());
            }
        }
        if self.is_stable() {
            self.log.forget();
        }
    }

    /// Requests a read of the list from the collector if one is due. The collector may be busy, so that the request is
    /// repeated later.
    fn request_read(&mut self) {
        let now = Moment::now();
        self.next_check = now.after(CHECK_INTERVAL);
        if self.presence.is_read_due(now) {
            let _ = self.requests.try_send(StreamRequest::Read);
        }
    }

    /// Records a loss of the connection: events may be missed from now on.
    fn record_loss(&mut self, error: EventError) {
        if self.is_stable() {
            self.backoff.reset();
        }
        self.connected_at = None;
        self.presence.record_connection(ConnectionResult::Lost);
        self.presence.record_gap();
        self.show_failure(&error, "event connection lost");
    }

    /// Records a failed attempt to connect.
    fn record_failure(&mut self, error: &EventError) {
        if error.cause == Cause::NoBudget {
            // Nothing was sent, so that nothing has failed.
            self.wait = BUDGET_WAIT;
            self.log.log_waiting(self.presence.account(), error);
            self.set_failure(error);
            return;
        }
        self.presence.record_connection(ConnectionResult::Failed);
        self.show_failure(error, "no event connection");
    }

    fn show_failure(&mut self, error: &EventError, message: &str) {
        self.wait = self.wait_after(error);
        self.log.log(self.presence.account(), message, error);
        self.set_failure(error);
    }

    fn set_failure(&self, error: &EventError) {
        let retry_at = Moment::now().after(self.wait);
        self.presence
            .set_stream_failure(error.clone(), Some(retry_at));
    }

    /// Returns how long to wait after a failure.
    fn wait_after(&mut self, error: &EventError) -> Duration {
        let backoff = match error.cause {
            Cause::NoBudget => return BUDGET_WAIT,
            cause if is_lasting(cause) => MAX_BACKOFF,
            _ => self.backoff.record_failure(),
        };
        let wait = backoff.mul_f64(1.0 - fastrand::f64() / 2.0);
        match error.cause {
            Cause::RateLimited => wait.max(RATE_LIMIT_WAIT),
            _ => wait,
        }
    }

    /// Waits until the next attempt. A new login ends the wait, since permissions are those of the login.
    async fn wait(&mut self) {
        self.logins.mark_unchanged();
        tokio::select! {
            () = sleep(self.wait) => {}
            // The sender is in `presence`.
            _ = self.logins.changed() => {}
        }
    }

    fn is_stable(&self) -> bool {
        let now = Moment::now();
        let age = self.connected_at.map(|at| now.monotonic_duration_since(at));
        age.is_some_and(|age| age >= STABLE_AFTER)
    }
}

/// Requests a token from the collector and opens a connection with it. Waits for ever if the collector has stopped,
/// which then stops this task.
async fn open(requests: mpsc::Sender<StreamRequest>) -> Result<EventConnection, EventError> {
    let (reply, token) = oneshot::channel();
    if requests
        .send(StreamRequest::EventToken(reply))
        .await
        .is_err()
    {
        return std::future::pending().await;
    }
    match token.await {
        Ok(token) => EventConnection::open(token?).await,
        Err(_) => std::future::pending().await,
    }
}

/// Returns whether a failure lasts until a person changes something.
fn is_lasting(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::TooManySubscriptions
            | Cause::SubscriptionForbidden
            | Cause::SubscriptionRefused
            | Cause::FilterDisabled
            | Cause::AppLacksWebSocket
            | Cause::AppLacksPresence
            | Cause::UserLacksPresence
            | Cause::AppAccessDenied
            | Cause::Forbidden
            | Cause::Refused
    )
}

async fn next_of(connection: &mut Option<EventConnection>) -> Result<Received, EventError> {
    match connection {
        Some(connection) => connection.next().await,
        None => std::future::pending().await,
    }
}

async fn opened<T>(next: &mut Option<BoxFuture<'static, T>>) -> T {
    match next {
        Some(next) => next.await,
        None => std::future::pending().await,
    }
}

async fn reached(moment: Option<Moment>) {
    match moment {
        Some(moment) => sleep_until(moment.instant).await,
        None => std::future::pending().await,
    }
}

// === impl Connections ===

impl Connections {
    fn new(current: EventConnection) -> Self {
        Self {
            current,
            old: None,
            unsubscribe_at: None,
            waiting: Vec::new(),
            next: None,
            retry_at: None,
        }
    }

    async fn unsubscribe_old(&mut self) {
        self.unsubscribe_at = None;
        if let Some(old) = &mut self.old {
            old.unsubscribe().await;
        }
    }

    /// Deletes all subscriptions.
    async fn close(self) {
        let close_old = async {
            if let Some(old) = self.old {
                old.close().await;
            }
        };
        tokio::join!(self.current.close(), close_old);
    }
}

// === impl FailureLog ===

impl FailureLog {
    /// Logs a failure: the first one of its kind as a warning.
    fn log(&mut self, account: &str, event: &str, error: &EventError) {
        let EventError {
            cause,
            message,
            code,
            request_id,
            gateway,
        } = error;
        if self.warned.contains(cause) || *cause == Cause::NoBudget {
            tracing::debug!(
                account,
                cause = cause.as_str(),
                error = message,
                code,
                gateway,
                "{event}"
            );
            return;
        }
        self.warned.push(*cause);
        self.is_good_news = false;
        tracing::warn!(
            account,
            cause = cause.as_str(),
            code,
            request_id,
            gateway,
            hint = error.hint(),
            error = message,
            "{event}"
        );
    }

    /// Logs once that the rate limit does not allow a connection yet. Nothing has failed.
    fn log_waiting(&mut self, account: &str, error: &EventError) {
        if self.warned.contains(&error.cause) {
            return;
        }
        self.warned.push(error.cause);
        self.is_good_news = false;
        tracing::info!(
            account,
            cause = error.cause.as_str(),
            hint = error.hint(),
            error = error.message,
            "event connection waiting for the rate limit"
        );
    }

    /// Logs that events are received, after a start or a warning.
    fn log_connected(&mut self, account: &str, gateway: &str) {
        if !std::mem::replace(&mut self.is_good_news, true) {
            tracing::info!(account, gateway, "receiving presence events");
        }
    }

    /// Forgets the failures: the next one is logged as a warning again.
    fn forget(&mut self) {
        self.warned.clear();
    }
}
