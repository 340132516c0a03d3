//! What a collector does for the presence of its account: it reads the list and answers the stream of events.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::account::presence::Presence;
use crate::account::presence::stream;
use crate::calls::{Directory, NewExtensions};
use crate::clock::Moment;
use crate::config::PresenceMode;
use crate::ringcentral::events::EventToken;
use crate::ringcentral::presence::PresenceRead;
use crate::ringcentral::{Client, Error, Reason};
use crate::secret::Fingerprint;

/// The time that a stopped stream has to delete its subscription and to close its connection.
const STREAM_STOP_TIMEOUT: Duration = Duration::from_millis(2500);
/// Requests of the stream that the channel holds.
const REQUEST_CAPACITY: usize = 8;
/// The number of consecutive failures after which a read starts again at the first page.
const MAX_FAILURES: u32 = 3;

/// A request of the stream to the collector, which owns the client.
pub(crate) enum StreamRequest {
    /// A token for a connection.
    EventToken(TokenReply),
    /// A read of the list if it is due.
    Read,
    /// The same for `check`, which waits for its end.
    CheckedRead(oneshot::Sender<()>),
}

/// The presence that a collector reads, and the user whose events its stream receives.
#[derive(Clone, Default)]
pub(crate) struct PresenceConfig {
    /// `None` if presence is off.
    pub(crate) presence: Option<Arc<Presence>>,
    /// The JWT; another one is possibly that of another user.
    pub(crate) jwt: Option<Fingerprint>,
    /// Whether `check` runs, which starts the stream for a few seconds itself.
    pub(crate) is_check: bool,
}

/// The collector's part of presence.
pub(crate) struct CollectorPresence {
    config: PresenceConfig,
    read: PresenceRead,
    /// The number of consecutive failures of the present read.
    failures: u32,
    stream: Option<StreamTask>,
    sender: mpsc::Sender<StreamRequest>,
    /// The requests of the stream.
    pub(crate) requests: mpsc::Receiver<StreamRequest>,
    /// A request for a token that waits for a login.
    pub(crate) held: Option<TokenReply>,
}

/// The sender for the reply to a request for a token.
pub(crate) type TokenReply = oneshot::Sender<Result<EventToken, Error>>;

/// A running stream of events.
pub(crate) struct StreamTask {
    /// The stream stops when this sender is dropped.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

// === impl CollectorPresence ===

impl CollectorPresence {
    /// Creates a part that does nothing until [`apply`](Self::apply).
    pub(crate) fn new() -> Self {
        let (sender, requests) = mpsc::channel(REQUEST_CAPACITY);
        Self {
            config: PresenceConfig::default(),
            read: PresenceRead::default(),
            failures: 0,
            stream: None,
            sender,
            requests,
            held: None,
        }
    }

    /// Uses this presence from now on. Another one, or that of another JWT, has another stream and another read.
    pub(crate) fn apply(&mut self, config: PresenceConfig, directory: Option<&Arc<Directory>>) {
        let is_same = match (&self.config.presence, &config.presence) {
            (Some(former), Some(new)) => Arc::ptr_eq(former, new),
            (None, None) => true,
            _ => false,
        };
        if is_same && self.config.jwt == config.jwt {
            return;
        }
        self.config = config;
        self.held = None;
        self.restart_read();
        let former = self.stream.take();
        let Some(presence) = &self.config.presence else {
            self.stream = former.map(StreamTask::stopping);
            return;
        };
        if let Some(directory) = directory {
            presence.set_directory(directory.clone());
        }
        if self.config.is_check {
            return;
        }
        self.stream = Some(StreamTask::spawn(
            presence.clone(),
            self.sender.clone(),
            former,
        ));
    }

    /// Returns a sender for [`requests`](Self::requests).
    pub(crate) fn request_sender(&self) -> mpsc::Sender<StreamRequest> {
        self.sender.clone()
    }

    /// Returns the next request of the stream, if there is one.
    pub(crate) fn next_request(&mut self) -> Option<StreamRequest> {
        match self.held.take() {
            Some(reply) => Some(StreamRequest::EventToken(reply)),
            None => self.requests.try_recv().ok(),
        }
    }

    /// Sets whether the calls' pace leaves room for a read.
    pub(crate) fn update_pace(&self, client: &mut Client, now: Moment) {
        let presence = self.config.presence.as_ref();
        client.set_presence_due(presence.is_some_and(|it| it.update_due(now)));
    }

    /// Returns whether a part of the list can be read now.
    pub(crate) fn can_read(&self, client: &Client, now: Moment) -> bool {
        let presence = self.config.presence.as_ref();
        presence.is_some_and(|it| it.is_read_due(now)) && client.can_fetch_presence(now)
    }

    /// Reads a part of the list and records the result.
    pub(crate) async fn read_part(&mut self, client: &mut Client, now: Moment) {
        let Some(presence) = self.config.presence.clone() else {
            return;
        };
        if presence.is_read_outdated(now) {
            self.restart_read();
        }
        if !self.read.has_begun() {
            presence.start_read(now);
        }
        match client.fetch_presence(&mut self.read).await {
            Ok(Some(rows)) => {
                self.failures = 0;
                presence.finish_read(rows, Moment::now());
            }
            Ok(None) => self.pause_part(),
            Err(error) => self.fail_part(error),
        }
    }

    /// Ends a part of a read that a scrape has interrupted: it must not hold the fetch of calls. A page that takes long
    /// is a failure, any other one is read after the fetch.
    pub(crate) fn interrupt_part(&mut self, client: &mut Client) {
        match client.interrupt_request() {
            Some(error) => self.fail_part(error),
            None => self.pause_part(),
        }
    }

    fn pause_part(&mut self) {
        self.failures = 0;
        if let Some(presence) = &self.config.presence {
            presence.pause_read(self.read.page_count(), Moment::now());
        }
    }

    fn fail_part(&mut self, error: Error) {
        if error.reason != Reason::Budget {
            self.failures += 1;
        }
        if self.failures >= MAX_FAILURES {
            self.restart_read();
        }
        if let Some(presence) = &self.config.presence {
            presence.fail_read(error, Moment::now());
        }
    }

    /// Returns whether an event has named an extension that may be newer than the directory.
    pub(crate) fn has_unknown_extension(&self) -> bool {
        let presence = self.config.presence.as_ref();
        presence.is_some_and(|presence| presence.has_unknown_extension())
    }

    /// Sets the extensions of the account, see [`Presence::set_directory`].
    pub(crate) fn set_directory(&self, directory: &Arc<Directory>) -> NewExtensions {
        match &self.config.presence {
            Some(presence) => presence.set_directory(directory.clone()),
            None => NewExtensions::None,
        }
    }

    /// Forgets what belongs to another account.
    pub(crate) fn reset(&mut self) {
        self.restart_read();
        let Some(presence) = &self.config.presence else {
            return;
        };
        presence.reset();
        if let Some(former) = self.stream.take() {
            // Its subscription is for the other account.
            self.held = None;
            let sender = self.sender.clone();
            self.stream = Some(StreamTask::spawn(presence.clone(), sender, Some(former)));
        }
    }

    /// Shows the stream a new login.
    pub(crate) fn set_login_count(&self, client: &Client) {
        if let Some(presence) = &self.config.presence {
            presence.set_login_count(client.login_count());
        }
    }

    /// Stops the stream, which deletes its subscription first.
    pub(crate) async fn stop(&mut self) {
        // The stream does not wait for replies any more.
        self.held = None;
        self.requests.close();
        while self.requests.try_recv().is_ok() {}
        if let Some(stream) = self.stream.take() {
            stream.stop().await;
        }
    }

    fn restart_read(&mut self) {
        self.read = PresenceRead::default();
        self.failures = 0;
    }
}

// === impl StreamTask ===

impl StreamTask {
    /// Starts a stream after the former one has stopped. Presence that is polled has none.
    pub(crate) fn spawn(
        presence: Arc<Presence>,
        requests: mpsc::Sender<StreamRequest>,
        former: Option<Self>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = async move {
            if let Some(former) = former {
                former.stop().await;
                presence.end_stream();
            }
            if presence.mode() == PresenceMode::Events {
                stream::run(presence, requests, stopped).await;
            }
        };
        Self {
            stop,
            task: tokio::spawn(task),
        }
    }

    /// Begins to stop the stream, and returns the task that waits for its end.
    fn stopping(former: Self) -> Self {
        Self {
            stop: oneshot::channel().0,
            task: tokio::spawn(former.stop()),
        }
    }

    /// Stops the stream. Its task is aborted if the subscription cannot be deleted in time.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let mut task = self.task;
        if timeout(STREAM_STOP_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}
