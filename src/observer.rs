//! The observer of one account: fetches when a scrape asks and the budget allows, keeps what came, hands it out.
//!
//! Owns: the client, and with it token and budget; the last observation; and the single flight, by the shape of its
//! loop: while a fetch runs, everyone who asks waits for that fetch. A scraper that leaves loses its answer and stops
//! nothing. There is no timer: where nobody asks, nothing is fetched. Refuses to know: deadlines (the scrape's own
//! affair) and how an observation is shown.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::calls::observation::{FetchReport, Listing};
use crate::calls::{ExtensionLabel, Observation, Snapshot};
use crate::clock::Moment;
use crate::ringcentral::{Client, Error, Fetch};

/// Scrapes that may queue before they wait for a place; each holds a connection, of which there are 512.
const INBOX: usize = 1024;

type Ask = oneshot::Sender<Arc<Observation>>;

/// The way to ask an observer. When the last handle is gone, the observer revokes its token and ends.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Ask>,
    latest: watch::Receiver<Arc<Observation>>,
}

struct Observer {
    name: String,
    label: ExtensionLabel,
    client: Client,
    inbox: mpsc::Receiver<Ask>,
    latest: watch::Sender<Arc<Observation>>,
    report: Report,
}

/// What the log has been told, so that it is told once.
#[derive(Default)]
struct Report {
    failures: u32,
    advice: Option<&'static str>,
    unreadable: bool,
}

/// Starts an observer. Its task ends when all handles are gone and the token is given back.
pub fn start(name: String, label: ExtensionLabel, client: Client) -> (Handle, JoinHandle<()>) {
    let (inbox_sender, inbox) = mpsc::channel(INBOX);
    let first = Observation { api: client.standing(), ..Observation::default() };
    let (latest, latest_receiver) = watch::channel(Arc::new(first));
    let observer = Observer { name, label, client, inbox, latest, report: Report::default() };
    let handle = Handle { inbox: inbox_sender, latest: latest_receiver };
    (handle, tokio::spawn(observer.run()))
}

// === impl Handle ===

impl Handle {
    /// What is known once a fetch has been tried, if one may be, or what is known at the deadline.
    pub async fn observe(&self, deadline: Instant) -> Arc<Observation> {
        let (ask, answer) = oneshot::channel();
        let exchange = async {
            self.inbox.send(ask).await.ok()?;
            answer.await.ok()
        };
        match timeout_at(deadline, exchange).await {
            Ok(Some(observation)) => observation,
            _ => self.latest(),
        }
    }

    /// What is known, without asking for anything.
    #[must_use]
    pub fn latest(&self) -> Arc<Observation> {
        self.latest.borrow().clone()
    }
}

// === impl Observer ===

impl Observer {
    async fn run(mut self) {
        while let Some(ask) = self.inbox.recv().await {
            if !self.client.ready(Moment::now()) {
                self.answer([ask]);
                continue;
            }
            let Some((fetch, asks)) = self.fetch(ask).await else { break };
            self.take(fetch);
            self.answer(asks);
        }
        self.client.revoke().await;
    }

    /// One fetch, and all who asked until it ended. None if meanwhile the last handle has gone: nobody is left to
    /// tell, and the process wants to end.
    async fn fetch(&mut self, first: Ask) -> Option<(Fetch, Vec<Ask>)> {
        let mut asks = vec![first];
        let mut fetch = std::pin::pin!(self.client.fetch());
        loop {
            tokio::select! {
                fetch = &mut fetch => return Some((fetch, asks)),
                ask = self.inbox.recv() => asks.push(ask?),
            }
        }
    }

    fn answer(&self, asks: impl IntoIterator<Item = Ask>) {
        let observation = self.latest.borrow().clone();
        for ask in asks {
            // A scraper that has left does not want it any more.
            let _ = ask.send(observation.clone());
        }
    }

    /// A failed fetch keeps the last snapshot: its age tells whether it may still be shown.
    fn take(&mut self, fetch: Fetch) {
        self.report.fetched(&self.name, &fetch);
        let report = FetchReport { succeeded: fetch.outcome.is_ok(), took: fetch.took, pages: fetch.pages };
        let listing = fetch
            .outcome
            .ok()
            .map(|calls| Listing { snapshot: Arc::new(Snapshot::of(&calls, self.label)), taken: fetch.taken });
        let previous = self.latest.borrow().latest.clone();
        self.latest.send_replace(Arc::new(Observation {
            latest: listing.or(previous),
            fetch: Some(report),
            api: self.client.standing(),
        }));
    }
}

// === impl Report ===

impl Report {
    fn fetched(&mut self, account: &str, fetch: &Fetch) {
        match &fetch.outcome {
            Err(error) => self.failed(account, error),
            Ok(_) => self.succeeded(account, fetch),
        }
    }

    /// Each failure is a line; what to change is said once, and again when it changes.
    fn failed(&mut self, account: &str, error: &Error) {
        self.failures += 1;
        let advice = Some(error.advice());
        let news = advice.filter(|_| advice != self.advice);
        self.advice = advice;
        tracing::warn!(
            account,
            operation = error.operation.as_str(),
            reason = error.reason.as_str(),
            request_id = error.request_id.as_deref(),
            advice = news,
            "fetch failed: {error}"
        );
    }

    fn succeeded(&mut self, account: &str, fetch: &Fetch) {
        if self.failures > 0 {
            tracing::info!(account, failures = self.failures, "fetch succeeded again");
        }
        if fetch.unreadable > 0 && !self.unreadable {
            let records = fetch.unreadable;
            tracing::warn!(account, records, "records that are no JSON objects were left out; said once until none is");
        }
        *self = Self { unreadable: fetch.unreadable > 0, ..Self::default() };
        tracing::debug!(account, pages = fetch.pages, seconds = fetch.took.as_secs_f64(), "fetched");
    }
}
