//! The task of one account: fetches its call list when a scrape requests it and the budget allows it.
//!
//! The task owns the client and therefore token, budget and call tracker. Its loop makes fetches single-flight: requests
//! that arrive during a fetch wait for that fetch, and a scraper that disconnects does not stop it. There is no timer:
//! without requests nothing is fetched. Deadlines belong to the scrape, see `http::scrape`. The task runs until its
//! `CollectorTask` is dropped.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account::directory_cache::DirectoryCache;
use crate::account::fetch_log::FetchLog;
use crate::account::metrics::AccountMetrics;
use crate::account::state::{AccountState, FetchReport, RenderedText, TimedSnapshot};
use crate::calls::{CallTracker, Directory, ExtensionLabel, LabelLimiter, Snapshot};
use crate::clock::Moment;
use crate::config::{Level, Metrics};
use crate::ringcentral::{Client, ClientConfig, ClientState, Error, FetchResult};

/// Requests that the channel holds. A request that finds it full gets the latest state.
const REQUEST_CAPACITY: usize = 1024;
/// Number of waiters above which those of disconnected scrapers are removed.
const PRUNE_WAITERS_ABOVE: usize = 512;

/// The sender for the reply to one request.
type Waiter = oneshot::Sender<Arc<AccountState>>;

/// A handle for requests to a collector. It does not keep the collector running.
#[derive(Clone)]
pub struct CollectorHandle {
    requests: mpsc::WeakSender<Waiter>,
    latest: watch::Receiver<Arc<AccountState>>,
}

/// The owner of a collector, which stops, revokes its token and ends when this value is dropped.
pub(crate) struct CollectorTask {
    _requests: mpsc::Sender<Waiter>,
    config: watch::Sender<ClientConfig>,
    task: JoinHandle<ClientState>,
}

/// The error of a collector whose [`CollectorTask`] was dropped.
struct Stopped;

struct Collector {
    account_name: String,
    client: Client,
    labels: LabelLimiter,
    tracker: CallTracker,
    directory: DirectoryCache,
    counters: Arc<AccountMetrics>,
    requests: mpsc::Receiver<Waiter>,
    config: watch::Receiver<ClientConfig>,
    latest: watch::Sender<Arc<AccountState>>,
    fetch_log: FetchLog,
    metrics: Metrics,
    account_identity: Option<String>,
}

/// Spawns a collector. It first waits for the end of its predecessor, if there is one with the same user and app, and
/// continues with its budget and penalties.
pub(crate) fn spawn(
    config: ClientConfig,
    metrics: Metrics,
    client: Client,
    counters: Arc<AccountMetrics>,
    predecessor: Option<JoinHandle<ClientState>>,
) -> (CollectorHandle, CollectorTask) {
    let (request_sender, requests) = mpsc::channel(REQUEST_CAPACITY);
    let (latest, latest_receiver) = watch::channel(Arc::new(AccountState {
        api: client.status(),
        ..AccountState::default()
    }));
    let account = config.account.clone();
    let (config_sender, config) = watch::channel(config);
    let collector = Collector {
        account_name: account.name.clone(),
        client,
        labels: LabelLimiter::new(metrics.extension_label, metrics.max_extensions),
        tracker: CallTracker::default(),
        directory: DirectoryCache::new(needs_directory(account.level, &metrics)),
        counters,
        requests,
        config,
        latest,
        fetch_log: FetchLog::default(),
        metrics,
        account_identity: None,
    };
    let handle = CollectorHandle {
        requests: request_sender.downgrade(),
        latest: latest_receiver,
    };
    let task = CollectorTask {
        _requests: request_sender,
        config: config_sender,
        task: tokio::spawn(collector.run(predecessor)),
    };
    (handle, task)
}

/// Returns whether the directory is needed for labels and may be read: at level `extension` the user is not an admin.
fn needs_directory(level: Level, metrics: &Metrics) -> bool {
    level == Level::Account && metrics.extension_label != ExtensionLabel::Off
}

// === impl CollectorHandle ===

impl CollectorHandle {
    /// Requests a refresh immediately and returns a future for the state after it. Without a reply, the future returns
    /// the latest [`state`](Self::state).
    pub fn refresh(&self) -> impl Future<Output = Arc<AccountState>> + use<> {
        let (waiter, reply) = oneshot::channel();
        if let Some(requests) = self.requests.upgrade() {
            // A full channel drops the waiter, which ends the wait for the reply.
            let _ = requests.try_send(waiter);
        }
        let latest = self.latest.clone();
        async move { reply.await.unwrap_or_else(|_| latest.borrow().clone()) }
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
    pub(crate) fn reconfigure(&self, config: ClientConfig) {
        self.config.send_replace(config);
    }

    /// Stops the collector and returns its task, which ends once the token is revoked.
    #[must_use]
    pub(crate) fn shutdown(self) -> JoinHandle<ClientState> {
        // Without a sender the collector receives no request and stops.
        drop(self._requests);
        self.task
    }
}

// === impl Collector ===

impl Collector {
    async fn run(mut self, predecessor: Option<JoinHandle<ClientState>>) -> ClientState {
        if let Some(predecessor) = predecessor
            && let Ok(state) = predecessor.await
        {
            self.client.resume_from(state);
            self.publish_status();
        }
        let Err(Stopped) = self.handle_requests().await;
        self.client.revoke().await;
        self.client.into_state()
    }

    /// Replies to each request with the latest state, after a fetch if the budget allows one.
    async fn handle_requests(&mut self) -> Result<Infallible, Stopped> {
        loop {
            let mut waiters = vec![self.requests.recv().await.ok_or(Stopped)?];
            self.apply_config_change()?;
            let now = Moment::now();
            if self.client.next_fetch_at(now).is_past(now) {
                self.fetch(&mut waiters).await?;
            }
            reply_all(&self.latest, waiters);
            self.run_maintenance().await?;
        }
    }

    fn apply_config_change(&mut self) -> Result<(), Stopped> {
        let has_changed = self.config.has_changed().map_err(|_| Stopped)?;
        if has_changed {
            let config = self.config.borrow_and_update().clone();
            self.client.reconfigure(config);
            self.publish_status();
        }
        Ok(())
    }

    /// Fetches the call list and publishes the result. Requests that arrive meanwhile are added to `waiters`.
    ///
    /// The first successful fetch also reads the directory, so that extensions do not start with series labelled by id.
    /// The snapshot is published before that read, for scrapes whose deadline comes first.
    async fn fetch(&mut self, waiters: &mut Vec<Waiter>) -> Result<(), Stopped> {
        let fetch = run_while_queueing(
            &mut self.requests,
            waiters,
            self.client.fetch_active_calls(),
        )
        .await?;
        self.reset_if_account_changed();
        let now = Moment::now();
        if fetch.calls.is_ok()
            && self.directory.needs_initial_load(now)
            && self.client.can_fetch_extensions(now)
        {
            // A copy of the labels, so that this snapshot does not reserve label values.
            let snapshot = build_snapshot(&fetch, &mut self.labels.clone());
            self.publish_fetch(&fetch, snapshot);
            let read = self.client.fetch_extensions();
            let read = run_while_queueing(&mut self.requests, waiters, read).await?;
            self.update_directory(read);
        }
        self.record_fetch(&fetch);
        Ok(())
    }

    /// Revokes, renews and refreshes what is due. Requests that arrive meanwhile get the latest state immediately.
    async fn run_maintenance(&mut self) -> Result<(), Stopped> {
        if self.client.has_replaced_token() {
            let revocation = self.client.revoke_replaced();
            run_while_answering(&mut self.requests, &self.latest, revocation).await?;
            self.publish_status();
        }
        if self.client.should_renew(Moment::now()) {
            let renewal = self.client.renew();
            run_while_answering(&mut self.requests, &self.latest, renewal).await?;
            self.publish_status();
        }
        let now = Moment::now();
        let has_unknown_extension = self.labels.has_unknown_extension();
        if self.directory.is_due(now, has_unknown_extension)
            && self.client.can_fetch_extensions(now)
        {
            let read = self.client.fetch_extensions();
            let read = run_while_answering(&mut self.requests, &self.latest, read).await?;
            self.update_directory(read);
            self.publish_status();
        }
        Ok(())
    }

    fn update_directory(&mut self, read: Result<Directory, Error>) {
        let now = Moment::now();
        if let Some(directory) = self.directory.record_result(&self.account_name, read, now) {
            self.labels.set_directory(directory);
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
            self.directory.reset();
        }
    }

    fn record_fetch(&mut self, fetch: &FetchResult) {
        self.fetch_log
            .log(&self.account_name, fetch, &self.client.status());
        if let Ok(calls) = &fetch.calls {
            let events = self.tracker.update(calls, fetch.fetched_at);
            self.counters.calls.record(&events, &mut self.labels);
        }
        let snapshot = build_snapshot(fetch, &mut self.labels);
        if let Some(snapshot) = &snapshot {
            let extensions = snapshot.snapshot.extensions();
            self.counters.calls.init_extensions(extensions);
        }
        self.publish_fetch(fetch, snapshot);
    }

    /// Publishes the result of a fetch. A failed fetch keeps the last snapshot, whose age decides whether it is shown.
    fn publish_fetch(&self, fetch: &FetchResult, snapshot: Option<TimedSnapshot>) {
        let snapshot = snapshot.or_else(|| self.latest.borrow().snapshot.clone());
        let report = FetchReport {
            failure: fetch.calls.as_ref().err().map(Into::into),
            duration: fetch.duration,
            pages: fetch.pages,
        };
        self.publish(snapshot, Some(report));
    }

    /// Publishes the current API status and directory with the last snapshot. The new state is rendered again, with the
    /// current counters.
    fn publish_status(&self) {
        let latest = self.latest.borrow().clone();
        self.publish(latest.snapshot.clone(), latest.last_fetch.clone());
    }

    fn publish(&self, snapshot: Option<TimedSnapshot>, last_fetch: Option<FetchReport>) {
        self.latest.send_replace(Arc::new(AccountState {
            snapshot,
            last_fetch,
            api: self.client.status(),
            directory: self.directory.directory(),
            directory_failure: self.directory.failure(),
            text: RenderedText::default(),
        }));
    }
}

fn build_snapshot(fetch: &FetchResult, labels: &mut LabelLimiter) -> Option<TimedSnapshot> {
    let calls = fetch.calls.as_ref().ok()?;
    Some(TimedSnapshot {
        snapshot: Arc::new(Snapshot::from_calls(calls, labels)),
        fetched_at: fetch.fetched_at,
    })
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
) -> Result<T, Stopped> {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            output = &mut future => return Ok(output),
            waiter = requests.recv() => reply_all(latest, vec![waiter.ok_or(Stopped)?]),
        }
    }
}

/// Runs a future to its end and adds requests that arrive meanwhile to `waiters`.
async fn run_while_queueing<T>(
    requests: &mut mpsc::Receiver<Waiter>,
    waiters: &mut Vec<Waiter>,
    future: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            output = &mut future => return Ok(output),
            waiter = requests.recv() => waiters.push(waiter.ok_or(Stopped)?),
        }
        if waiters.len() > PRUNE_WAITERS_ABOVE {
            waiters.retain(|waiter| !waiter.is_closed());
        }
    }
}
