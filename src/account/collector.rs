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

use crate::account::directory_cache::DirectoryBook;
use crate::account::fetch_log::Report;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account::metrics::Instruments;
use crate::account::state::Observation;
use crate::account::state::{FetchReport, Listing};
use crate::calls::{Directory, ExtensionLabel, Labels, Ledger, Snapshot};
use crate::clock::Moment;
use crate::config::{Level, Metrics};
use crate::ringcentral::status::Failure;
use crate::ringcentral::{Client, Error, Estate, Fetch, Terms};

/// Asks that may wait for the observer's next look: more than there are connections.
const INBOX: usize = 1024;
/// Asks that are kept before those of scrapers that have gone are cleared away.
const ASKS_KEPT: usize = 512;

type Ask = oneshot::Sender<Arc<Observation>>;

/// The way to ask an observer, which does not keep it alive.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::WeakSender<Ask>,
    latest: watch::Receiver<Arc<Observation>>,
}

/// Whoever holds them keeps an observer alive. Once they are gone, it leaves what it does, gives its token back and ends.
pub struct Reins {
    _inbox: mpsc::Sender<Ask>,
    terms: watch::Sender<Terms>,
    task: Ended,
}

/// An observer's end, and what it leaves to one that comes after.
pub type Ended = JoinHandle<Estate>;

struct Observer {
    name: String,
    client: Client,
    labels: Labels,
    ledger: Ledger,
    book: DirectoryBook,
    instruments: Arc<Instruments>,
    inbox: mpsc::Receiver<Ask>,
    terms: watch::Receiver<Terms>,
    latest: watch::Sender<Arc<Observation>>,
    report: Report,
    metrics: Metrics,
    owner: Option<String>,
}

/// Starts an observer. One that takes the place of another, and asks as the same user and app, waits for the other's end
/// and goes on with what it leaves: a penalty outlives a change of configuration.
pub fn start(
    terms: Terms,
    metrics: Metrics,
    client: Client,
    instruments: Arc<Instruments>,
    predecessor: Option<Ended>,
) -> (Handle, Reins) {
    let (inbox_sender, inbox) = mpsc::channel(INBOX);
    let first = Observation {
        api: client.standing(),
        ..Observation::default()
    };
    let (latest, latest_receiver) = watch::channel(Arc::new(first));
    let (terms_sender, terms) = watch::channel(terms);
    let account = terms.borrow().account.clone();
    let observer = Observer {
        name: account.name.clone(),
        client,
        labels: Labels::new(metrics.extension_label, metrics.max_extensions),
        ledger: Ledger::default(),
        book: DirectoryBook::new(wants_directory(account.level, &metrics)),
        instruments,
        inbox,
        terms,
        latest,
        report: Report::default(),
        metrics,
        owner: None,
    };
    let handle = Handle {
        inbox: inbox_sender.downgrade(),
        latest: latest_receiver,
    };
    let task = tokio::spawn(observer.run(predecessor));
    (
        handle,
        Reins {
            _inbox: inbox_sender,
            terms: terms_sender,
            task,
        },
    )
}

/// A user who is no admin may not read it, and where no extension is shown nobody needs it.
fn wants_directory(level: Level, metrics: &Metrics) -> bool {
    level == Level::Account && metrics.extension_label != ExtensionLabel::Off
}

// === impl Handle ===

impl Handle {
    /// Asks, and gives what to wait for: what is known once a fetch has been tried, if one may be. Whoever does not
    /// wait to the end takes the [`latest`](Self::latest).
    pub fn ask(&self) -> impl Future<Output = Arc<Observation>> + use<> {
        let (ask, answer) = oneshot::channel();
        let asked = self
            .inbox
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
    pub fn latest(&self) -> Arc<Observation> {
        self.latest.borrow().clone()
    }
}

// === impl Reins ===

impl Reins {
    /// Has the observer go on by other terms from its next fetch on.
    pub fn steer(&self, terms: Terms) {
        self.terms.send_replace(terms);
    }

    /// Ends the observer, whoever still has a handle.
    #[must_use]
    pub fn end(self) -> Ended {
        self.task
    }
}

// === impl Observer ===

impl Observer {
    async fn run(mut self, predecessor: Option<Ended>) -> Estate {
        if let Some(predecessor) = predecessor
            && let Ok(estate) = predecessor.await
        {
            self.client.inherit(estate);
            self.renew_standing();
        }
        let mut asks = Vec::new();
        while self.next_ask(&mut asks).await && self.serve(&mut asks).await.is_some() {}
        self.client.revoke().await;
        self.client.bequeath()
    }

    /// One round: whoever has asked is answered, after a fetch if one may be. None once the reins are gone: nobody is left
    /// to tell.
    async fn serve(&mut self, asks: &mut Vec<Ask>) -> Option<()> {
        self.heed_terms()?;
        if self.client.ready(Moment::now()) {
            self.fetch(asks).await?;
        }
        answer(&self.latest, asks.drain(..));
        self.tend().await
    }

    fn heed_terms(&mut self) -> Option<()> {
        if self.terms.has_changed().ok()? {
            let terms = self.terms.borrow_and_update().clone();
            self.client.adopt(terms);
            self.renew_standing();
        }
        Some(())
    }

    /// Fetches the list. The first to succeed waits for the directory too, so that a start leaves no trail of ids; a
    /// scrape whose deadline comes first is shown what the records say of themselves.
    async fn fetch(&mut self, asks: &mut Vec<Ask>) -> Option<()> {
        let fetch = gather(&mut self.inbox, asks, self.client.fetch()).await?;
        self.heed_owner();
        let now = Moment::now();
        if fetch.outcome.is_ok()
            && self.book.is_due_at_start(now)
            && self.client.may_read_extensions(now)
        {
            self.publish(&fetch, listing(&fetch, &mut self.labels.clone()));
            let read = gather(&mut self.inbox, asks, self.client.extensions()).await?;
            self.enter(read);
        }
        self.take(fetch);
        Some(())
    }

    /// What is done beside the scrapes, once they are answered; who asks meanwhile is answered at once.
    async fn tend(&mut self) -> Option<()> {
        beside(&mut self.inbox, &self.latest, self.client.revoke_former()).await?;
        if self.client.wants_renewal(Moment::now()) {
            beside(&mut self.inbox, &self.latest, self.client.renew()).await?;
            self.renew_standing();
        }
        let now = Moment::now();
        if self.book.is_due(now, self.labels.misses_one()) && self.client.may_read_extensions(now) {
            let read = beside(&mut self.inbox, &self.latest, self.client.extensions()).await?;
            self.enter(read);
            self.renew_standing();
        }
        Some(())
    }

    fn enter(&mut self, read: Result<Directory, Error>) {
        if let Some(directory) = self.book.enter(&self.name, read, Moment::now()) {
            self.labels.consult(directory);
        }
    }

    fn renew_standing(&self) {
        self.latest.send_modify(|latest| {
            let latest = Arc::make_mut(latest);
            latest.api = self.client.standing();
            (latest.directory, latest.directory_failure) =
                (self.book.listed(), self.book.failure());
        });
    }

    /// Waits for an ask, unless some have gathered already.
    async fn next_ask(&mut self, asks: &mut Vec<Ask>) -> bool {
        if asks.is_empty() {
            asks.extend(self.inbox.recv().await);
        }
        !asks.is_empty()
    }

    /// A changed JWT may be another company's: what was learned of the former one does not hold for it, and what it lists
    /// as ended is a baseline.
    fn heed_owner(&mut self) {
        let Some(owner) = self
            .client
            .owner()
            .filter(|owner| self.owner.as_deref() != Some(owner))
        else {
            return;
        };
        if let Some(former) = self.owner.replace(owner.to_owned()) {
            let (account, metrics) = (&self.name, &self.metrics);
            tracing::warn!(
                account,
                former,
                owner,
                "the JWT is another owner's now: counting begins anew with its calls"
            );
            self.labels = Labels::new(metrics.extension_label, metrics.max_extensions);
            self.ledger = Ledger::default();
            self.book = self.book.emptied();
        }
    }

    fn take(&mut self, fetch: Fetch) {
        self.report
            .fetched(&self.name, &fetch, &self.client.standing());
        if let Ok(calls) = &fetch.outcome {
            let news = self.ledger.enter(calls, fetch.taken);
            self.instruments.calls.count(&news, &mut self.labels);
        }
        let listing = listing(&fetch, &mut self.labels);
        if let Some(listing) = &listing {
            self.instruments.calls.meet(listing.snapshot.extensions());
        }
        self.publish(&fetch, listing);
    }

    /// A failed fetch keeps the last snapshot: its age tells whether it may still be shown.
    fn publish(&self, fetch: &Fetch, listing: Option<Listing>) {
        let failure = fetch.outcome.as_ref().err();
        let failure = failure.map(Failure::from);
        let previous = self.latest.borrow().latest.clone();
        self.latest.send_replace(Arc::new(Observation {
            latest: listing.or(previous),
            fetch: Some(FetchReport {
                failure,
                took: fetch.took,
                pages: fetch.pages,
            }),
            api: self.client.standing(),
            directory: self.book.listed(),
            directory_failure: self.book.failure(),
        }));
    }
}

fn listing(fetch: &Fetch, labels: &mut Labels) -> Option<Listing> {
    let calls = fetch.outcome.as_ref().ok()?;
    Some(Listing {
        snapshot: Arc::new(Snapshot::of(calls, labels)),
        taken: fetch.taken,
    })
}

fn answer(latest: &watch::Sender<Arc<Observation>>, asks: impl IntoIterator<Item = Ask>) {
    let observation = latest.borrow().clone();
    for ask in asks {
        // A scraper that has left does not want it any more.
        let _ = ask.send(observation.clone());
    }
}

/// Does some work, and answers who asks meanwhile from what is known; none if the reins are gone before it was done.
async fn beside<T>(
    inbox: &mut mpsc::Receiver<Ask>,
    latest: &watch::Sender<Arc<Observation>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            ask = inbox.recv() => answer(latest, [ask?]),
        }
    }
}

/// Does some work, and gathers who asks meanwhile; none if the reins are gone before it was done.
async fn gather<T>(
    inbox: &mut mpsc::Receiver<Ask>,
    asks: &mut Vec<Ask>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            ask = inbox.recv() => asks.push(ask?),
        }
        if asks.len() > ASKS_KEPT {
            asks.retain(|ask| !ask.is_closed());
        }
    }
}
