//! The task that receives the events of one account: it connects, subscribes and feeds [`Presence`] until it stops.
//!
//! A lost connection is a gap, after which the list is read again. A connection that ends as planned is not: another one
//! is subscribed first. Both deliver events for a while; those of the new one wait until the old subscription is deleted,
//! so that each extension's events are applied in their order.

mod connections;
mod failure_log;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

use crate::account::presence::stream::connections::{Connections, Opening, Output, open};
use crate::account::presence::stream::failure_log::FailureLog;
use crate::account::presence::{ConnectionResult, Presence, StreamRequest};
use crate::clock::Moment;
use crate::ringcentral::Cause;
use crate::ringcentral::events::{
    ConnectionSettings, EventConnection, EventError, LostSubscriptions, Received,
};
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
    let mut next = None;
    loop {
        let connection = tokio::select! {
            _ = &mut stopped => return,
            connection = stream.connect(next) => connection,
        };
        let mut connections = Connections::new(connection);
        let error = tokio::select! {
            _ = &mut stopped => return connections.close().await,
            error = stream.receive(&mut connections) => error,
        };
        next = stream.end(connections, &error);
        if next.is_none() {
            tokio::select! {
                _ = &mut stopped => return,
                () = stream.wait() => {}
            }
        }
    }
}

struct Stream {
    presence: Arc<Presence>,
    requests: mpsc::Sender<StreamRequest>,
    settings: ConnectionSettings,
    logins: watch::Receiver<u64>,
    backoff: Backoff,
    /// The wait before the next attempt.
    wait: Duration,
    /// Whether a new login ends that wait.
    ends_with_login: bool,
    connected_at: Option<Moment>,
    next_check: Moment,
    log: FailureLog,
}

// === impl Stream ===

impl Stream {
    fn new(presence: Arc<Presence>, requests: mpsc::Sender<StreamRequest>) -> Self {
        Self {
            logins: presence.logins(),
            settings: ConnectionSettings {
                max_age: presence.max_age(),
                lost: LostSubscriptions::default(),
            },
            presence,
            requests,
            backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF),
            wait: Duration::ZERO,
            ends_with_login: false,
            connected_at: None,
            next_check: Moment::now(),
            log: FailureLog::default(),
        }
    }

    /// Begins to open a connection.
    fn open(&self) -> Opening {
        Box::pin(open(self.requests.clone(), self.settings.clone()))
    }

    /// Connects, after as many attempts as are necessary. The first one may have begun.
    async fn connect(&mut self, begun: Option<Opening>) -> EventConnection {
        let mut opening = begun.unwrap_or_else(|| self.open());
        loop {
            match opening.await {
                Ok(connection) => {
                    self.record_connected(&connection.gateway);
                    return connection;
                }
                Err(error) => {
                    self.record_failure(&error);
                    self.wait().await;
                    opening = self.open();
                }
            }
        }
    }

    fn record_connected(&mut self, gateway: &str) {
        let now = Moment::now();
        self.connected_at = Some(now);
        self.presence.record_connection(ConnectionResult::Connected);
        self.presence.record_subscribed(now);
        self.log.log_connected(self.presence.account(), gateway);
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
        let output = tokio::select! {
            output = connections.next() => output,
            // The sender is in `presence`.
            _ = self.logins.changed() => return Ok(()),
            () = sleep_until(check_at) => {
                self.request_read();
                return Ok(());
            }
        };
        match output {
            Output::Current(Ok(received)) => self.apply_current(connections, received),
            Output::Current(Err(error)) => return self.return_to_old(connections, error),
            Output::Old(received) => self.apply_old(connections, received),
            Output::Opened(Ok(new)) => self.begin_overlap(connections, *new),
            Output::Opened(Err(error)) => self.record_failed_renewal(connections, &error),
            Output::OverlapEnded => connections.unsubscribe_old().await,
        }
        self.forget_failures(connections);
        Ok(())
    }

    /// Begins to open another connection before the present one ends, after a new login, or if events seem to be missing.
    /// Sooner or later the gateway ends the connections of the former session.
    fn renew_if_due(&mut self, connections: &mut Connections) {
        if connections.next.is_some() || connections.old.is_some() {
            return;
        }
        let now = Moment::now();
        let login = *self.logins.borrow_and_update();
        let is_due = login != connections.current.login
            || connections.current.renew_at().is_past(now)
            || self.presence.lacks_events();
        let has_waited = connections.retry_at.is_none_or(|at| at.is_past(now));
        let has_new_login = connections.refused_login.is_some_and(|it| it != login);
        if is_due && (has_waited || has_new_login) {
            connections.next = Some(self.open());
        }
    }

    fn begin_overlap(&mut self, connections: &mut Connections, new: EventConnection) {
        let now = Moment::now();
        let old = std::mem::replace(&mut connections.current, new);
        connections.old = Some(old);
        connections.unsubscribe_at = Some(now.after(OVERLAP));
        connections.retry_at = None;
        connections.refused_login = None;
        self.presence.record_connection(ConnectionResult::Renewed);
        self.presence.record_subscribed(now);
        let account = self.presence.account();
        tracing::debug!(account, "event connection renewed");
        self.log
            .log_connected(account, &connections.current.gateway);
    }

    fn record_failed_renewal(&mut self, connections: &mut Connections, error: &EventError) {
        if error.cause != Cause::NoBudget {
            self.presence.record_connection(ConnectionResult::Failed);
        }
        self.delay_renewal(connections, error, "event connection renewal failed");
    }

    fn delay_renewal(&mut self, connections: &mut Connections, error: &EventError, message: &str) {
        let wait = self.record_failed_attempt(error);
        self.log.log(self.presence.account(), message, error, wait);
        connections.retry_at = Some(Moment::now().after(wait));
        connections.refused_login = is_lasting(error.cause).then(|| *self.logins.borrow());
    }

    /// Continues with the old connection of a renewal if the new one is lost. This is not a gap, since the old one is
    /// still subscribed.
    ///
    /// # Errors
    /// Returns the error if there is no such connection.
    fn return_to_old(
        &mut self,
        connections: &mut Connections,
        error: EventError,
    ) -> Result<(), EventError> {
        if !connections.restore_old() {
            return Err(error);
        }
        self.presence.record_connection(ConnectionResult::Lost);
        self.delay_renewal(connections, &error, "renewed event connection lost");
        Ok(())
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
        connections.close_old();
        if is_confirmed {
            self.backoff.reset();
        } else {
            let account = self.presence.account();
            tracing::debug!(account, "replaced event connection ended early");
            self.presence.record_gap();
        }
        self.apply_waiting(connections);
    }

    fn apply_waiting(&mut self, connections: &mut Connections) {
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
    }

    /// Forgets the failures before a connection that lasts, unless its renewal fails.
    fn forget_failures(&mut self, connections: &Connections) {
        if connections.retry_at.is_none() && self.is_stable() {
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

    /// Ends connections of which the current one is lost: events may be missed from now on. Returns the connection that
    /// was to replace it, if one is being opened.
    fn end(&mut self, mut connections: Connections, error: &EventError) -> Option<Opening> {
        self.apply_waiting(&mut connections);
        // Its subscription counts against the user's limit until it is deleted.
        connections.close_old();
        if self.is_stable() {
            self.backoff.reset();
        }
        self.connected_at = None;
        self.presence.record_loss();
        self.show_failure(error, "event connection lost");
        connections.next
    }

    /// Records a failed attempt to connect.
    fn record_failure(&mut self, error: &EventError) {
        if error.cause == Cause::NoBudget {
            // Nothing was sent, so that nothing has failed, and what failed before is not repaired.
            self.wait = BUDGET_WAIT;
            self.ends_with_login = false;
            self.log.log_waiting(self.presence.account(), error);
            self.presence
                .set_stream_wait(error.clone(), Moment::now().after(self.wait));
            return;
        }
        self.presence.record_connection(ConnectionResult::Failed);
        self.show_failure(error, "no event connection");
    }

    fn show_failure(&mut self, error: &EventError, message: &str) {
        self.wait = self.record_failed_attempt(error);
        self.ends_with_login = is_lasting(error.cause);
        let account = self.presence.account();
        self.log.log(account, message, error, self.wait);
        let retry_at = Moment::now().after(self.wait);
        self.presence
            .set_stream_failure(error.clone(), Some(retry_at));
    }

    /// Counts a failure for the back-off. Returns how long to wait after it.
    fn record_failed_attempt(&mut self, error: &EventError) -> Duration {
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

    /// Waits until the next attempt. A new login ends the wait after a refusal, since permissions are those of the login.
    async fn wait(&mut self) {
        self.logins.mark_unchanged();
        tokio::select! {
            () = sleep(self.wait) => {}
            // The sender is in `presence`.
            _ = self.logins.changed(), if self.ends_with_login => {}
        }
    }

    fn is_stable(&self) -> bool {
        let now = Moment::now();
        let age = self.connected_at.map(|at| now.monotonic_duration_since(at));
        age.is_some_and(|age| age >= STABLE_AFTER)
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

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::account::presence::tests::presence_with;
    use crate::config::PresenceMode;

    /// Returns whether a new login ends the wait after a failure with this cause.
    async fn is_ended_by_login(cause: Cause) -> bool {
        let presence = presence_with(PresenceMode::Events, &[]);
        let mut stream = Stream::new(presence.clone(), mpsc::channel(1).0);
        stream.record_failure(&EventError::new(cause, "no"));
        let wait = timeout(Duration::from_millis(100), stream.wait());
        let login = async {
            tokio::task::yield_now().await;
            presence.set_login_count(1);
        };
        tokio::join!(wait, login).0.is_ok()
    }

    #[tokio::test]
    async fn new_login_ends_only_the_wait_after_a_refusal() {
        for cause in [Cause::AppLacksWebSocket, Cause::SubscriptionForbidden] {
            assert!(is_ended_by_login(cause).await, "{cause:?}");
        }
        for cause in [Cause::RateLimited, Cause::GatewayRefused, Cause::NoBudget] {
            assert!(!is_ended_by_login(cause).await, "{cause:?}");
        }
    }
}
