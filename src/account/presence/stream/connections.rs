//! The connections of a stream: one, or two while it is renewed.

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::account::presence::StreamRequest;
use crate::clock::Moment;
use crate::presence::PresenceEvent;
use crate::ringcentral::events::{ConnectionSettings, EventConnection, EventError, Received};

/// A connection that is being opened.
pub(super) type Opening = BoxFuture<'static, Result<EventConnection, EventError>>;

/// The connections that are subscribed.
pub(super) struct Connections {
    pub(super) current: EventConnection,
    /// The one that `current` replaces.
    pub(super) old: Option<EventConnection>,
    /// When the subscription of `old` is to be deleted, if that was not requested yet.
    pub(super) unsubscribe_at: Option<Moment>,
    /// The events of `current` while there is an old one.
    pub(super) waiting: Vec<(PresenceEvent, Moment)>,
    /// The connection that will replace `current`, while it is opened.
    pub(super) next: Option<Opening>,
    /// When the replacement of `current` may be tried again.
    pub(super) retry_at: Option<Moment>,
    /// The login with which the last attempt failed for a reason that lasts until a person changes something.
    pub(super) refused_login: Option<u64>,
}

/// What the connections give.
pub(super) enum Output {
    /// From the current connection, or its loss.
    Current(Result<Received, EventError>),
    /// From the one that it replaces, or its loss.
    Old(Result<Received, EventError>),
    /// The connection that was opened, or why there is none.
    Opened(Result<Box<EventConnection>, EventError>),
    /// The old subscription is to be deleted.
    OverlapEnded,
}

impl Connections {
    pub(super) fn new(current: EventConnection) -> Self {
        Self {
            current,
            old: None,
            unsubscribe_at: None,
            waiting: Vec::new(),
            next: None,
            retry_at: None,
            refused_login: None,
        }
    }

    /// Waits for what comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Output {
        tokio::select! {
            received = self.current.next() => Output::Current(received),
            received = next_of(&mut self.old) => Output::Old(received),
            result = opened(&mut self.next) => {
                self.next = None;
                Output::Opened(result.map(Box::new))
            }
            () = reached(self.unsubscribe_at) => Output::OverlapEnded,
        }
    }

    /// Requests the deletion of the old subscription.
    pub(super) async fn unsubscribe_old(&mut self) {
        self.unsubscribe_at = None;
        if let Some(old) = &mut self.old {
            old.unsubscribe().await;
        }
    }

    /// Makes the old connection the current one again if its subscription is still to be deleted. What waits is
    /// discarded, since the old connection receives it too. Returns whether there is such a connection.
    pub(super) fn restore_old(&mut self) -> bool {
        if self.unsubscribe_at.is_none() {
            return false;
        }
        let Some(old) = self.old.take() else {
            return false;
        };
        self.current = old;
        self.unsubscribe_at = None;
        self.waiting.clear();
        true
    }

    /// Deletes the old subscription in a task of its own, since the events of the other connection must not wait.
    pub(super) fn close_old(&mut self) {
        self.unsubscribe_at = None;
        if let Some(old) = self.old.take() {
            tokio::spawn(old.close());
        }
    }

    /// Deletes all subscriptions.
    pub(super) async fn close(self) {
        let close_old = async {
            if let Some(old) = self.old {
                old.close().await;
            }
        };
        tokio::join!(self.current.close(), close_old);
    }
}

/// Requests a token from the collector and opens a connection with it. Waits for ever if the collector has stopped,
/// which then stops this task.
pub(super) async fn open(
    requests: mpsc::Sender<StreamRequest>,
    settings: ConnectionSettings,
) -> Result<EventConnection, EventError> {
    let (reply, token) = oneshot::channel();
    let request = StreamRequest::EventToken(reply);
    if requests.send(request).await.is_err() {
        return std::future::pending().await;
    }
    match token.await {
        Ok(token) => EventConnection::open(token?, settings).await,
        Err(_) => std::future::pending().await,
    }
}

async fn next_of(connection: &mut Option<EventConnection>) -> Result<Received, EventError> {
    match connection {
        Some(connection) => connection.next().await,
        None => std::future::pending().await,
    }
}

async fn opened(next: &mut Option<Opening>) -> Result<EventConnection, EventError> {
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
