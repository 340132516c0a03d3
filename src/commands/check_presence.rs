//! What `check` does for presence: it reads the list once, and with events it subscribes for a few seconds.
//!
//! List and events are read by the same code as in `serve`, so that budget and failures are the same.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout, timeout_at};

use crate::account::manager::AccountHandle;
use crate::account::presence::{Presence, PresenceView, StreamRequest, StreamTask};
use crate::clock::Moment;
use crate::config::PresenceMode;
use crate::ringcentral::Cause;
use crate::ringcentral::events::EventError;

/// The time in which there must be a subscription. The stream's own timeouts are shorter, and name what has failed.
const MAX_CONNECT_TIME: Duration = Duration::from_secs(25);
/// How long the connection is open after that.
const CONNECTED_TIME: Duration = Duration::from_secs(3);
/// Time between two looks at the stream.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The check of one account's presence.
pub(super) struct PresenceCheck<'a> {
    handle: &'a AccountHandle,
    presence: &'a Arc<Presence>,
    stream: Option<StreamTask>,
}

impl<'a> PresenceCheck<'a> {
    /// Creates the check of an account. Returns `None` if its presence is off.
    pub(super) fn new(handle: &'a AccountHandle) -> Option<Self> {
        Some(Self {
            handle,
            presence: handle.presence.as_ref()?,
            stream: None,
        })
    }

    /// Reads the list and receives events, if they are configured. Returns what that gave.
    pub(super) async fn run(&mut self) -> PresenceView {
        if self.handle.config.presence == PresenceMode::Events {
            self.connect().await;
        }
        let stop_at = Moment::now().after(CONNECTED_TIME);
        self.presence.allow_read_without_events();
        let mut read = self.request_read().await;
        let is_read = timeout_at(stop_at.instant, &mut read).await.is_ok();
        while self.is_connected() && !stop_at.is_past(Moment::now()) {
            sleep(LOOK_INTERVAL).await;
        }
        let closed = self.presence.view(Moment::now());
        self.stop().await;
        if !is_read {
            let _ = read.await;
        }
        self.result(closed, stop_at)
    }

    /// Returns the presence now, with the connection as it was when it was closed. There is no other attempt.
    fn result(&self, closed: PresenceView, closed_at: Moment) -> PresenceView {
        let now = Moment::now();
        let since_close = now.monotonic_duration_since(closed_at);
        let shift = |moment: Option<Moment>| moment.map(|it| it.after(since_close));
        PresenceView {
            stream_failure: closed.stream_failure,
            connected_since: shift(closed.connected_since),
            last_heard: shift(closed.last_heard),
            stream_retry_at: None,
            next_read_at: None,
            ..self.presence.view(now)
        }
    }

    /// Closes the connection, which deletes the subscription.
    pub(super) async fn stop(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.stop().await;
        }
    }

    /// Starts the stream, and waits until there is a subscription or none can be had.
    async fn connect(&mut self) {
        let requests = self.handle.collector.presence_requests();
        self.stream = Some(StreamTask::spawn(self.presence.clone(), requests, None));
        if timeout(MAX_CONNECT_TIME, self.wait_for_stream())
            .await
            .is_err()
        {
            let message = format!("no subscription within {} s", MAX_CONNECT_TIME.as_secs());
            let failure = EventError::new(Cause::Timeout, message);
            self.presence.set_stream_failure(failure, None);
        }
        if !self.is_connected() {
            self.stop().await;
        }
    }

    async fn wait_for_stream(&self) {
        loop {
            let view = self.presence.view(Moment::now());
            if view.connected_since.is_some() || view.stream_failure.is_some() {
                return;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    fn is_connected(&self) -> bool {
        let view = self.presence.view(Moment::now());
        view.connected_since.is_some()
    }

    /// Requests a read of the list. Returns a receiver for its end.
    async fn request_read(&self) -> oneshot::Receiver<()> {
        let (reply, receiver) = oneshot::channel();
        let requests = self.handle.collector.presence_requests();
        // An error means that the collector has stopped; then the receiver returns immediately.
        let _ = requests.send(StreamRequest::CheckedRead(reply)).await;
        receiver
    }
}
