//! The task of one account: fetches its call list when a scrape requests it and the budget allows it.
//!
//! The task owns the client and therefore token, budget and call tracker. Its loop makes fetches single-flight: requests
//! that arrive during a fetch wait for that fetch, and a scraper that disconnects does not stop it. There is no timer:
//! without requests nothing is fetched. Deadlines belong to the scrape, see `http::scrape`. The task runs until its
//! `CollectorTask` is dropped.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account::directory_cache::DirectoryCache;
use crate::account::fetch_log::FetchLog;
use crate::account::metrics::AccountMetrics;
use crate::account::presence::{CollectorPresence, PresenceConfig, StreamRequest, TokenReply};
use crate::account::saved_calls::SavedCalls;
use crate::account::state::{AccountState, FetchReport, TimedSnapshot};
use crate::calls::{Call, CallTracker, ExtensionLabel, LabelLimiter};
use crate::clock::Moment;
use crate::config::{Level, Metrics};
use crate::ringcentral::extensions::ReadProgress;
use crate::ringcentral::status::ApiStatus;
use crate::ringcentral::{Client, ClientConfig, Error, FetchResult, Operation};
use crate::text_format::PerFormat;

/// Requests that the channel holds. A request that finds it full gets the latest state.
const REQUEST_CAPACITY: usize = 1024;
/// The age up to which calls are as good as a fetch for a scrape that arrives during another request, which else a pair
/// of servers would abandon again and again.
const FRESH_AGE: Duration = Duration::from_secs(3);
/// Number of waiters above which those of disconnected scrapers are removed.
const PRUNE_WAITERS_ABOVE: usize = 512;

/// The sender for the reply to one request.
type Waiter = oneshot::Sender<Arc<AccountState>>;

/// A handle for requests to a collector. It does not keep the collector running.
#[derive(Clone)]
pub struct CollectorHandle {
    requests: mpsc::Sender<Waiter>,
    presence_requests: mpsc::Sender<StreamRequest>,
    latest: watch::Receiver<Arc<AccountState>>,
}

/// The owner of a collector, which stops, revokes its token and ends when this value is dropped.
pub(crate) struct CollectorTask {
    /// The collector stops when this sender is dropped.
    config: watch::Sender<CollectorConfig>,
    task: JoinHandle<Client>,
}

/// What a configuration reload may change of a running collector.
#[derive(Clone)]
pub(crate) struct CollectorConfig {
    /// The configuration of its client.
    pub(crate) client: ClientConfig,
    /// The presence of its account.
    pub(crate) presence: PresenceConfig,
}

struct Collector {
    account_name: String,
    client: Client,
    labels: LabelLimiter,
    tracker: CallTracker,
    saved_calls: SavedCalls,
    /// The first list after a restart that continues the counts of the process before. It is counted with the second
    /// one: all counters are 0 in the first exposition, or Prometheus would take the new value for a continued old one.
    held_list: Option<(Vec<Call>, Moment)>,
    directory: DirectoryCache,
    presence: CollectorPresence,
    counters: Arc<AccountMetrics>,
    requests: mpsc::Receiver<Waiter>,
    /// A request that can be fetched for, and for which another one was abandoned.
    interrupting: Option<Waiter>,
    config: watch::Receiver<CollectorConfig>,
    latest: watch::Sender<Arc<AccountState>>,
    fetch_log: FetchLog,
    metrics: Metrics,
    account_identity: Option<String>,
    snapshot: Option<TimedSnapshot>,
    last_fetch: Option<FetchReport>,
    last_fetch_end: Option<Moment>,
}

/// Spawns a collector. It first waits for the end of its predecessor, if there is one with the same user and app, and
/// continues with its budget and penalties.
pub(crate) fn spawn(
    config: CollectorConfig,
    metrics: Metrics,
    client: Client,
    counters: Arc<AccountMetrics>,
    saved_calls: SavedCalls,
    predecessor: Option<JoinHandle<Client>>,
) -> (CollectorHandle, CollectorTask) {
    let (request_sender, requests) = mpsc::channel(REQUEST_CAPACITY);
    let (latest, latest_receiver) = watch::channel(Arc::default());
    let account = config.client.account.clone();
    let (config_sender, config) = watch::channel(config);
    // At level `extension` the user is not an admin, and only an admin may read the directory.
    let needs_directory =
        account.level == Level::Account && metrics.extension_label != ExtensionLabel::Off;
    let mut collector = Collector {
        account_name: account.name.clone(),
        client,
        labels: LabelLimiter::new(metrics.extension_label, metrics.max_extensions),
        tracker: CallTracker::default(),
        saved_calls,
        held_list: None,
        directory: DirectoryCache::new(needs_directory),
        presence: CollectorPresence::new(),
        counters,
        requests,
        interrupting: None,
        config,
        latest,
        fetch_log: FetchLog::default(),
        metrics,
        account_identity: None,
        snapshot: None,
        last_fetch: None,
        last_fetch_end: None,
    };
    collector.publish();
    let api = collector.client.status();
    log_block(&collector.account_name, &api);
    collector
        .fetch_log
        .log_rare_fetches(&collector.account_name, &api);
    let handle = CollectorHandle {
        requests: request_sender,
        presence_requests: collector.presence.request_sender(),
        latest: latest_receiver,
    };
    let task = CollectorTask {
        config: config_sender,
        task: tokio::spawn(collector.run(predecessor)),
    };
    (handle, task)
}

// === impl CollectorHandle ===

impl CollectorHandle {
    /// Requests a refresh immediately and returns a future for the state after it. Without a reply, the future returns
    /// the latest [`state`](Self::state).
    pub fn refresh(&self) -> impl Future<Output = Arc<AccountState>> + use<> {
        let (waiter, reply) = oneshot::channel();
        // A full or closed channel drops the waiter, which ends the wait for the reply.
        let _ = self.requests.try_send(waiter);
        let latest = self.latest.clone();
        async move { reply.await.unwrap_or_else(|_| latest.borrow().clone()) }
    }

    /// Returns a sender for requests about presence.
    pub(crate) fn presence_requests(&self) -> mpsc::Sender<StreamRequest> {
        self.presence_requests.clone()
    }

    /// Returns the latest state without requesting a refresh.
    #[must_use]
    pub fn state(&self) -> Arc<AccountState> {
        self.latest.borrow().clone()
    }
}

// === impl CollectorTask ===

impl CollectorTask {
    /// Sets the configuration that the collector uses from its next fetch on.
    pub(crate) fn reconfigure(&self, config: CollectorConfig) {
        self.config.send_replace(config);
    }

    /// Stops the collector by dropping the sender of its configuration. Returns its task, which ends once the token is
    /// revoked.
    #[must_use]
    pub(crate) fn shutdown(self) -> JoinHandle<Client> {
        self.task
    }
}

// === impl Collector ===

impl Collector {
    async fn run(mut self, predecessor: Option<JoinHandle<Client>>) -> Client {
        if let Some(predecessor) = predecessor
            && let Ok(stopped) = predecessor.await
        {
            self.client.resume_from(&stopped);
            self.publish();
        }
        let presence = self.config.borrow().presence.clone();
        self.presence.apply(presence, None);
        let config = self.config.clone();
        tokio::select! {
            biased;
            () = sender_dropped(config) => {}
            () = self.handle_requests() => {}
        }
        // The waiters in the channel get the latest state without waiting for the revocation.
        self.requests.close();
        while self.requests.try_recv().is_ok() {}
        self.saved_calls.save(&self.tracker, Moment::now());
        self.presence.stop().await;
        // Before the revocation, which is another request.
        self.client.abandon_requests();
        self.client.revoke().await;
        self.client.abandon_requests();
        self.client
    }

    /// Handles the requests of scrapes, and those of the stream of events after them.
    async fn handle_requests(&mut self) {
        loop {
            tokio::select! {
                biased;
                waiter = next_waiter(self.interrupting.take(), &mut self.requests) => {
                    let Some(waiter) = waiter else { return };
                    self.handle_scrape(waiter).await;
                    // Scrapes that never pause leave room for one request of the stream each.
                    if self.interrupting.is_none()
                        && let Some(request) = self.presence.next_request()
                    {
                        self.handle_stream_request(request).await;
                    }
                }
                Some(request) = self.presence.requests.recv() => {
                    self.handle_stream_request(request).await;
                }
            }
        }
    }

    /// Replies to a request with the latest state, after a fetch if the budget allows one.
    async fn handle_scrape(&mut self, waiter: Waiter) {
        let mut waiters = vec![waiter];
        self.apply_new_config();
        let now = Moment::now();
        self.presence.update_pace(&mut self.client, now);
        if self.client.try_start_fetch(now) {
            self.fetch(&mut waiters).await;
        } else {
            let fetch_at = self.client.next_fetch_at(now);
            self.fetch_log
                .log_first_wait(&self.account_name, fetch_at, now);
            if Some(fetch_at) > self.latest.borrow().api.next_fetch_at {
                // The token has expired since, and a penalty or back-off holds the login.
                self.publish();
            }
        }
        reply_all(&self.latest, waiters);
        self.run_maintenance().await;
    }

    /// Handles a request of the stream. Requests of scrapes that arrive meanwhile get the latest state immediately, or
    /// end it if they can cause a fetch.
    async fn handle_stream_request(&mut self, request: StreamRequest) {
        self.apply_new_config();
        match request {
            // The stream was stopped or has given the connection up: a token would be a request for nothing.
            StreamRequest::EventToken(reply) if reply.is_closed() => {}
            // Only a scrape logs in: one that arrived during a login of the stream would get a state without calls.
            StreamRequest::EventToken(reply) if !self.client.has_token(Moment::now()) => {
                self.presence.held = Some(reply);
            }
            StreamRequest::EventToken(reply) => self.request_event_token(reply).await,
            StreamRequest::Read => self.read_presence().await,
            StreamRequest::CheckedRead(reply) => {
                self.read_presence().await;
                // An error means that the check was interrupted.
                let _ = reply.send(());
            }
        }
    }

    /// Requests a token for the stream. One that is abandoned soon after it was sent is requested again after the fetch.
    async fn request_event_token(&mut self, reply: TokenReply) {
        let fetch_at = self.next_interruption();
        let token = self.client.fetch_event_token();
        let token = match run_until_fetch(&mut self.requests, &self.latest, fetch_at, token).await {
            Ok(token) => Some(token),
            Err(waiter) => {
                self.interrupting = Some(waiter);
                self.client.interrupt_request().map(Err)
            }
        };
        self.publish();
        match token {
            // An error means that the stream has stopped.
            Some(token) => drop(reply.send(token)),
            None => self.presence.held = Some(reply),
        }
    }

    /// Returns when a scrape can cause a fetch that a request about presence must not hold.
    fn next_interruption(&self) -> Moment {
        let fetch_at = self.client.next_fetch_at(Moment::now());
        match self.last_fetch_end {
            Some(end) => fetch_at.max(end.after(FRESH_AGE)),
            None => fetch_at,
        }
    }

    fn apply_new_config(&mut self) {
        if !self.config.has_changed().unwrap_or(false) {
            return;
        }
        let config = self.config.borrow_and_update().clone();
        self.client.reconfigure(config.client);
        let directory = self.directory.directory.as_ref().map(|it| &it.directory);
        self.presence.apply(config.presence, directory);
        self.publish();
    }

    /// Fetches the call list and publishes the result. Requests that arrive meanwhile are added to `waiters`.
    ///
    /// The first successful fetch also reads the directory, so that extensions do not start with series labelled by id.
    /// The snapshot is published before that read, for scrapes whose deadline comes first.
    async fn fetch(&mut self, waiters: &mut Vec<Waiter>) {
        let fetch = self.client.fetch_active_calls();
        let fetch = run_while_queueing(&mut self.requests, waiters, fetch).await;
        self.reset_if_account_changed();
        self.last_fetch_end = Some(Moment::now());
        self.last_fetch = Some(FetchReport {
            failure: fetch.calls.as_ref().err().cloned(),
            duration: fetch.duration,
            pages: fetch.pages,
        });
        if let Ok(calls) = &fetch.calls
            && self.directory.needs_initial_load()
            && self.client.can_fetch_extensions(Moment::now())
        {
            // A copy of the labels, so that this snapshot does not reserve label values.
            let mut labels = self.labels.clone();
            self.snapshot = Some(TimedSnapshot::new(calls, fetch.fetched_at, &mut labels));
            self.publish();
            let read = self.client.fetch_extensions(&mut self.directory.read, None);
            let result = run_while_queueing(&mut self.requests, waiters, read).await;
            self.update_directory(result);
            self.record_fetch(&fetch);
            // The directory is newer than these calls.
            self.labels.confirm_missing_extensions();
        } else {
            self.record_fetch(&fetch);
        }
        self.publish();
    }

    /// Revokes, renews and refreshes what is due. Requests that arrive meanwhile get the latest state immediately.
    async fn run_maintenance(&mut self) {
        if self.client.has_replaced_token() {
            let revocation = self.client.revoke_replaced();
            run_while_answering(&mut self.requests, &self.latest, revocation).await;
            self.publish();
        }
        if self.client.should_renew(Moment::now()) {
            let renewal = self.client.renew();
            run_while_answering(&mut self.requests, &self.latest, renewal).await;
            self.publish();
        }
        self.read_presence().await;
        if self.interrupting.is_some() {
            return;
        }
        let now = Moment::now();
        let has_new = self.labels.has_new_extension() || self.presence.has_unknown_extension();
        if self.directory.is_due(now, has_new) && self.client.can_fetch_extensions(now) {
            // Scrapes that arrive meanwhile cause no fetch, so the read pauses when one is possible.
            let pause_at = Some(self.client.next_fetch_at(now));
            let read = &mut self.directory.read;
            let read = self.client.fetch_extensions(read, pause_at);
            let result = run_while_answering(&mut self.requests, &self.latest, read).await;
            self.update_directory(result);
            self.publish();
        }
    }

    /// Reads a part of the list of presence if it is due. Requests that arrive meanwhile get the latest state immediately,
    /// or end it if they can cause a fetch.
    async fn read_presence(&mut self) {
        let now = Moment::now();
        self.presence.update_pace(&mut self.client, now);
        if self.presence.can_read(&self.client, now) {
            let fetch_at = self.next_interruption();
            let part = self.presence.read_part(&mut self.client, now);
            let end = run_until_fetch(&mut self.requests, &self.latest, fetch_at, part).await;
            if let Err(waiter) = end {
                self.interrupting = Some(waiter);
                self.presence.interrupt_part(&mut self.client);
            }
            self.presence.update_pace(&mut self.client, Moment::now());
            self.publish();
        }
    }

    /// Records a part of a read of the extension list, and uses the directory once it is complete.
    fn update_directory(&mut self, result: Result<ReadProgress, Error>) {
        let now = Moment::now();
        let account = &self.account_name;
        if let Some(directory) = self.directory.record_result(account, result, now) {
            let new = self.presence.set_directory(&directory);
            let new = self.labels.set_directory(directory).and(new);
            self.directory.record_new_extensions(new);
        }
    }

    /// Resets labels, call tracker and directory if the JWT now belongs to another account: the former account's data
    /// does not apply, and ended calls of the first list are the baseline.
    fn reset_if_account_changed(&mut self) {
        let Some(identity) = self.client.account_identity() else {
            return;
        };
        if let Some(previous) = self.account_identity.replace(identity.to_owned())
            && previous != identity
        {
            tracing::warn!(
                account = self.account_name,
                previous_account_id = previous,
                account_id = identity,
                "account of the JWT changed, restarting call counting"
            );
            self.labels =
                LabelLimiter::new(self.metrics.extension_label, self.metrics.max_extensions);
            self.tracker = CallTracker::default();
            self.held_list = None;
            self.directory.reset();
            self.presence.reset();
        }
    }

    /// Logs a fetch and counts its calls. A failed fetch keeps the last snapshot, whose age decides whether it is shown.
    fn record_fetch(&mut self, fetch: &FetchResult) {
        self.fetch_log
            .log(&self.account_name, fetch, &self.client.status());
        if let Ok(calls) = &fetch.calls {
            let list = self.client.call_source();
            if let Some(tracker) = self.saved_calls.restore(list, fetch.fetched_at) {
                self.tracker = tracker;
                self.held_list = Some((calls.clone(), fetch.fetched_at));
            } else {
                if let Some((held, fetched_at)) = self.held_list.take() {
                    self.count_calls(&held, fetched_at);
                }
                self.count_calls(calls, fetch.fetched_at);
            }
            let counters = &self.counters;
            let snapshot = TimedSnapshot::new(calls, fetch.fetched_at, &mut self.labels);
            counters.init_extensions(snapshot.snapshot.extensions(), fetch.fetched_at);
            self.snapshot = Some(snapshot);
        }
    }

    fn count_calls(&mut self, calls: &[Call], fetched_at: Moment) {
        let events = self.tracker.update(calls, fetched_at);
        self.counters
            .record_events(&events, &mut self.labels, fetched_at);
    }

    /// Publishes the current state, which is rendered with the current counters.
    fn publish(&self) {
        self.presence.set_login_count(&self.client);
        self.latest.send_replace(Arc::new(AccountState {
            snapshot: self.snapshot.clone(),
            last_fetch: self.last_fetch.clone(),
            api: self.client.status(),
            directory: self.directory.directory.clone(),
            directory_failure: self.directory.failure.clone(),
            directory_pages: self.directory.read.page_count(),
            text: PerFormat::default(),
        }));
    }
}

/// Logs that a penalty or back-off from before the start holds the first fetch.
fn log_block(account: &str, api: &ApiStatus) {
    let now = Moment::now();
    if let Some(wait) = api.blocked_for(Operation::ActiveCalls, now) {
        let retry_in_seconds = wait.as_secs() + 1;
        tracing::warn!(
            account,
            retry_in_seconds,
            hint = "see the log before the restart for the cause; to end a back-off, correct the cause and see State directory in docs/CONFIGURATION.md",
            "a penalty or back-off from before the start blocks all requests"
        );
    }
}

async fn sender_dropped(mut config: watch::Receiver<CollectorConfig>) {
    while config.changed().await.is_ok() {}
}

fn reply_all(latest: &watch::Sender<Arc<AccountState>>, waiters: Vec<Waiter>) {
    let state = latest.borrow().clone();
    for waiter in waiters {
        // An error means that the scraper has disconnected.
        let _ = waiter.send(state.clone());
    }
}

/// Runs a future to its end and replies to requests that arrive meanwhile with the latest state.
async fn run_while_answering<T>(
    requests: &mut mpsc::Receiver<Waiter>,
    latest: &watch::Sender<Arc<AccountState>>,
    future: impl Future<Output = T>,
) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            output = &mut future => return output,
            Some(waiter) = requests.recv() => reply_all(latest, vec![waiter]),
        }
    }
}

/// Runs a future to its end and replies to requests that arrive before `fetch_at` with the latest state.
///
/// # Errors
/// Returns a request that arrived later, for which the future was dropped.
async fn run_until_fetch<T>(
    requests: &mut mpsc::Receiver<Waiter>,
    latest: &watch::Sender<Arc<AccountState>>,
    fetch_at: Moment,
    future: impl Future<Output = T>,
) -> Result<T, Waiter> {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            // A response that has arrived is not lost.
            biased;
            output = &mut future => return Ok(output),
            Some(waiter) = requests.recv() => {
                if fetch_at.is_past(Moment::now()) {
                    return Err(waiter);
                }
                reply_all(latest, vec![waiter]);
            }
        }
    }
}

/// Returns the request that has interrupted another one, or the next one.
async fn next_waiter(
    interrupting: Option<Waiter>,
    requests: &mut mpsc::Receiver<Waiter>,
) -> Option<Waiter> {
    match interrupting {
        Some(waiter) => Some(waiter),
        None => requests.recv().await,
    }
}

/// Runs a future to its end and adds requests that arrive meanwhile to `waiters`.
async fn run_while_queueing<T>(
    requests: &mut mpsc::Receiver<Waiter>,
    waiters: &mut Vec<Waiter>,
    future: impl Future<Output = T>,
) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            output = &mut future => return output,
            Some(waiter) = requests.recv() => waiters.push(waiter),
        }
        if waiters.len() > PRUNE_WAITERS_ABOVE {
            waiters.retain(|waiter| !waiter.is_closed());
        }
    }
}
