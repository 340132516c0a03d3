//! The observer of one account: fetches when a scrape asks and the budget allows, keeps what came, hands it out.
//!
//! Owns: the client, and with it token and budget; the last observation; and the single flight, by the shape of its
//! loop: while a fetch runs, everyone who asks waits for that fetch. A scraper that leaves loses its answer and stops
//! nothing. There is no timer: where nobody asks, nothing is fetched. It lives for as long as somebody holds its
//! [`Reins`], and other terms are heeded between two fetches. Refuses to know: deadlines (the scrape's own affair), other
//! accounts, and how an observation is shown.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use crate::account::directory_cache::DirectoryCache;
use crate::account::fetch_log::FetchLog;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account::metrics::AccountMetrics;
use crate::account::state::AccountState;
use crate::account::state::{FetchReport, TimedSnapshot};
use crate::calls::{CallTracker, Directory, ExtensionLabel, LabelLimiter, Snapshot};
use crate::clock::Moment;
use crate::config::{Level, Metrics};
use crate::ringcentral::status::Failure;
use crate::ringcentral::{Client, ClientConfig, ClientState, Error, FetchResult};

/// Asks that may wait for the observer's next look: more than there are connections.
const REQUEST_CAPACITY: usize = 1024;
/// Asks that are kept before those of scrapers that have gone are cleared away.
const PRUNE_WAITERS_ABOVE: usize = 512;

type Waiter = oneshot::Sender<Arc<AccountState>>;

/// The way to ask an observer, which does not keep it alive.
#[derive(Clone)]
pub struct CollectorHandle {
    requests: mpsc::WeakSender<Waiter>,
    latest: watch::Receiver<Arc<AccountState>>,
}

/// Whoever holds them keeps an observer alive. Once they are gone, it leaves what it does, gives its token back and ends.
pub struct CollectorTask {
    _requests: mpsc::Sender<Waiter>,
    config: watch::Sender<ClientConfig>,
    task: Ended,
}

/// An observer's end, and what it leaves to one that comes after.
pub type Ended = JoinHandle<ClientState>;

struct Collector {
    account: String,
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

/// Starts an observer. One that takes the place of another, and asks as the same user and app, waits for the other's end
/// and goes on with what it leaves: a penalty outlives a change of configuration.
pub fn start(
    terms: ClientConfig,
    metrics: Metrics,
    client: Client,
    instruments: Arc<AccountMetrics>,
    predecessor: Option<Ended>,
) -> (CollectorHandle, CollectorTask) {
    let (inbox_sender, inbox) = mpsc::channel(REQUEST_CAPACITY);
    let first = AccountState {
        api: client.status(),
        ..AccountState::default()
    };
    let (latest, latest_receiver) = watch::channel(Arc::new(first));
    let (terms_sender, terms) = watch::channel(terms);
    let account = terms.borrow().account.clone();
    let observer = Collector {
        account: account.name.clone(),
        client,
        labels: LabelLimiter::new(metrics.extension_label, metrics.max_extensions),
        tracker: CallTracker::default(),
        directory: DirectoryCache::new(needs_directory(account.level, &metrics)),
        counters: instruments,
        requests: inbox,
        config: terms,
        latest,
        fetch_log: FetchLog::default(),
        metrics,
        account_identity: None,
    };
    let handle = CollectorHandle {
        requests: inbox_sender.downgrade(),
        latest: latest_receiver,
    };
    let task = tokio::spawn(observer.run(predecessor));
    (
        handle,
        CollectorTask {
            _requests: inbox_sender,
            config: terms_sender,
            task,
        },
    )
}

/// A user who is no admin may not read it, and where no extension is shown nobody needs it.
fn needs_directory(level: Level, metrics: &Metrics) -> bool {
    level == Level::Account && metrics.extension_label != ExtensionLabel::Off
}

// === impl Handle ===

impl CollectorHandle {
    /// Asks, and gives what to wait for: what is known once a fetch has been tried, if one may be. Whoever does not
    /// wait to the end takes the [`latest`](Self::latest).
    pub fn refresh(&self) -> impl Future<Output = Arc<AccountState>> + use<> {
        let (ask, answer) = oneshot::channel();
        let asked = self
            .requests
            .upgrade()
            .is_some_and(|inbox| inbox.try_send(ask).is_ok());
        let latest = self.latest.clone();
        async move {
            let answered = if asked { answer.await.ok() } else { None };
            answered.unwrap_or_else(|| latest.borrow().clone())
        }
    }

    /// What is known, without asking for anything.
    #[must_use]
    pub fn state(&self) -> Arc<AccountState> {
        self.latest.borrow().clone()
    }
}

// === impl Reins ===

impl CollectorTask {
    /// Has the observer go on by other terms from its next fetch on.
    pub fn reconfigure(&self, terms: ClientConfig) {
        self.config.send_replace(terms);
    }

    /// Ends the observer, whoever still has a handle.
    #[must_use]
    pub fn shutdown(self) -> Ended {
        self.task
    }
}

// === impl Observer ===

impl Collector {
    async fn run(mut self, predecessor: Option<Ended>) -> ClientState {
        if let Some(predecessor) = predecessor
            && let Ok(estate) = predecessor.await
        {
            self.client.resume_from(estate);
            self.publish_status();
        }
        let mut asks = Vec::new();
        while self.wait_for_request(&mut asks).await
            && self.handle_requests(&mut asks).await.is_some()
        {}
        self.client.revoke().await;
        self.client.into_state()
    }

    /// One round: whoever has asked is answered, after a fetch if one may be. None once the reins are gone: nobody is left
    /// to tell.
    async fn handle_requests(&mut self, asks: &mut Vec<Waiter>) -> Option<()> {
        self.apply_config_change()?;
        if self.client.can_fetch(Moment::now()) {
            self.fetch(asks).await?;
        }
        reply_all(&self.latest, asks.drain(..));
        self.run_maintenance().await
    }

    fn apply_config_change(&mut self) -> Option<()> {
        if self.config.has_changed().ok()? {
            let terms = self.config.borrow_and_update().clone();
            self.client.reconfigure(terms);
            self.publish_status();
        }
        Some(())
    }

    /// Fetches the list. The first to succeed waits for the directory too, so that a start leaves no trail of ids; a
    /// scrape whose deadline comes first is shown what the records say of themselves.
    async fn fetch(&mut self, asks: &mut Vec<Waiter>) -> Option<()> {
        let fetch = run_while_queueing(&mut self.requests, asks, self.client.fetch()).await?;
        self.reset_if_account_changed();
        let now = Moment::now();
        if fetch.outcome.is_ok()
            && self.directory.needs_initial_load(now)
            && self.client.can_fetch_extensions(now)
        {
            self.publish(&fetch, build_snapshot(&fetch, &mut self.labels.clone()));
            let read = run_while_queueing(&mut self.requests, asks, self.client.fetch_extensions())
                .await?;
            self.update_directory(read);
        }
        self.record_fetch(fetch);
        Some(())
    }

    /// What is done beside the scrapes, once they are answered; who asks meanwhile is answered at once.
    async fn run_maintenance(&mut self) -> Option<()> {
        run_while_answering(
            &mut self.requests,
            &self.latest,
            self.client.revoke_replaced(),
        )
        .await?;
        if self.client.should_renew(Moment::now()) {
            run_while_answering(&mut self.requests, &self.latest, self.client.renew()).await?;
            self.publish_status();
        }
        let now = Moment::now();
        if self
            .directory
            .is_due(now, self.labels.has_unknown_extension())
            && self.client.can_fetch_extensions(now)
        {
            let read = run_while_answering(
                &mut self.requests,
                &self.latest,
                self.client.fetch_extensions(),
            )
            .await?;
            self.update_directory(read);
            self.publish_status();
        }
        Some(())
    }

    fn update_directory(&mut self, read: Result<Directory, Error>) {
        if let Some(directory) = self
            .directory
            .record_result(&self.account, read, Moment::now())
        {
            self.labels.set_directory(directory);
        }
    }

    fn publish_status(&self) {
        self.latest.send_modify(|latest| {
            let latest = Arc::make_mut(latest);
            latest.api = self.client.status();
            (latest.directory, latest.directory_failure) =
                (self.directory.directory(), self.directory.failure());
        });
    }

    /// Waits for an ask, unless some have gathered already.
    async fn wait_for_request(&mut self, asks: &mut Vec<Waiter>) -> bool {
        if asks.is_empty() {
            asks.extend(self.requests.recv().await);
        }
        !asks.is_empty()
    }

    /// A changed JWT may be another company's: what was learned of the former one does not hold for it, and what it lists
    /// as ended is a baseline.
    fn reset_if_account_changed(&mut self) {
        let Some(owner) = self
            .client
            .account_identity()
            .filter(|owner| self.account_identity.as_deref() != Some(owner))
        else {
            return;
        };
        if let Some(former) = self.account_identity.replace(owner.to_owned()) {
            let (account, metrics) = (&self.account, &self.metrics);
            tracing::warn!(
                account,
                former,
                owner,
                "the JWT is another owner's now: counting begins anew with its calls"
            );
            self.labels = LabelLimiter::new(metrics.extension_label, metrics.max_extensions);
            self.tracker = CallTracker::default();
            self.directory = self.directory.reset();
        }
    }

    fn record_fetch(&mut self, fetch: FetchResult) {
        self.fetch_log
            .log(&self.account, &fetch, &self.client.status());
        if let Ok(calls) = &fetch.outcome {
            let news = self.tracker.update(calls, fetch.fetched_at);
            self.counters.calls.record(&news, &mut self.labels);
        }
        let listing = build_snapshot(&fetch, &mut self.labels);
        if let Some(listing) = &listing {
            self.counters
                .calls
                .init_extensions(listing.snapshot.extensions());
        }
        self.publish(&fetch, listing);
    }

    /// A failed fetch keeps the last snapshot: its age tells whether it may still be shown.
    fn publish(&self, fetch: &FetchResult, listing: Option<TimedSnapshot>) {
        let failure = fetch.outcome.as_ref().err();
        let failure = failure.map(Failure::from);
        let previous = self.latest.borrow().snapshot.clone();
        self.latest.send_replace(Arc::new(AccountState {
            snapshot: listing.or(previous),
            last_fetch: Some(FetchReport {
                failure,
                duration: fetch.duration,
                pages: fetch.pages,
            }),
            api: self.client.status(),
            directory: self.directory.directory(),
            directory_failure: self.directory.failure(),
        }));
    }
}

fn build_snapshot(fetch: &FetchResult, labels: &mut LabelLimiter) -> Option<TimedSnapshot> {
    let calls = fetch.outcome.as_ref().ok()?;
    Some(TimedSnapshot {
        snapshot: Arc::new(Snapshot::from_calls(calls, labels)),
        fetched_at: fetch.fetched_at,
    })
}

fn reply_all(latest: &watch::Sender<Arc<AccountState>>, asks: impl IntoIterator<Item = Waiter>) {
    let observation = latest.borrow().clone();
    for ask in asks {
        // A scraper that has left does not want it any more.
        let _ = ask.send(observation.clone());
    }
}

/// Does some work, and answers who asks meanwhile from what is known; none if the reins are gone before it was done.
async fn run_while_answering<T>(
    inbox: &mut mpsc::Receiver<Waiter>,
    latest: &watch::Sender<Arc<AccountState>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            ask = inbox.recv() => reply_all(latest, [ask?]),
        }
    }
}

/// Does some work, and gathers who asks meanwhile; none if the reins are gone before it was done.
async fn run_while_queueing<T>(
    inbox: &mut mpsc::Receiver<Waiter>,
    asks: &mut Vec<Waiter>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            ask = inbox.recv() => asks.push(ask?),
        }
        if asks.len() > PRUNE_WAITERS_ABOVE {
            asks.retain(|ask| !ask.is_closed());
        }
    }
}
