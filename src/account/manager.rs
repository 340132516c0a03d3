//! The accounts that run, and how another list takes the place of the present one.
//!
//! Owns: each account's observer, from its start to its end; the HTTP clients, which accounts share; and what a new list
//! means for an account: it goes on, begins, ends, or makes room for one of its name that has another source. A list is
//! taken whole or not at all. Refuses to know: where a list comes from (`reload`), and what observers do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::account::http_clients::HttpClientPool;
use tokio::time::{Instant, timeout_at};

use crate::account::collector::{self, CollectorTask, Ended};
use crate::account::metrics::AccountMetrics;
use crate::clock::Moment;
use crate::config::{Account, Settings};
use crate::exposition::{AccountView, Kept};
use crate::ringcentral::login_registry::LoginRegistry;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::transport::is_loopback;
use crate::ringcentral::{Client, ClientConfig};
use crate::secret::Fingerprint;

/// The longest penalty there can be.
const STOPPED_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// An account, as those see it who want to know something of it.
#[derive(Clone)]
pub struct AccountHandle {
    /// Its configuration.
    pub account: Arc<Account>,
    /// The way to its observer.
    pub collector: collector::CollectorHandle,
    /// What is counted for it.
    pub counters: Arc<AccountMetrics>,
    /// What was written of it and of these instruments.
    pub kept: Arc<Kept>,
}

impl AccountHandle {
    /// What is known of it now, to be shown.
    #[must_use]
    pub fn view(&self) -> AccountView<'_> {
        AccountView {
            account: &self.account,
            state: self.collector.state(),
            counters: &self.counters,
            kept: &self.kept,
        }
    }
}

/// What a new list came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadSummary {
    /// How many accounts run now.
    pub running: usize,
    /// How many of them did not before.
    pub added: usize,
    /// How many have ended.
    pub removed: usize,
}

/// The accounts that run.
pub struct AccountManager {
    common: Settings,
    users: Arc<LoginRegistry>,
    // Never held over an await; whoever finds it poisoned finds a whole list all the same.
    list: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    running: Vec<RunningAccount>,
    handles: Arc<[AccountHandle]>,
    clients: HttpClientPool,
    stopped: Vec<StoppedAccount>,
}

struct RunningAccount {
    handle: AccountHandle,
    task: CollectorTask,
    jwt: Option<Fingerprint>,
}

/// An account that has gone. Its observer may still be giving its token back, and RingCentral counts on: if the account
/// comes back, as it does where a file is changed in two steps, its penalty is still there.
struct StoppedAccount {
    account: Arc<Account>,
    jwt: Option<Fingerprint>,
    task: Ended,
    stopped_at: Moment,
}

impl AccountManager {
    /// Nobody runs yet.
    #[must_use]
    pub fn new(common: &Settings) -> Self {
        Self {
            common: common.clone(),
            users: Arc::default(),
            list: Mutex::default(),
        }
    }

    /// The accounts as they are now, in their order.
    pub fn accounts(&self) -> Arc<[AccountHandle]> {
        self.list().handles.clone()
    }

    /// Lets these accounts run and no others. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up: no root certificates for an `https` server. Then all stays as it was.
    pub fn apply(&self, accounts: Vec<Account>) -> anyhow::Result<ReloadSummary> {
        let mut list = self.list();
        let mut clients = HttpClientPool::default();
        let hired = accounts
            .into_iter()
            .map(|account| self.prepare(account, &mut clients, &list.clients));
        let hired = hired.collect::<anyhow::Result<Vec<_>>>()?;
        let (mut staying, leaving) = list.partition(&hired);
        let (running, stayed) = (hired.len(), staying.len());
        let exchange = ReloadSummary {
            running,
            added: running - stayed,
            removed: leaving.len(),
        };
        let now = Moment::now();
        list.stopped
            .retain(|former| now.saturating_duration_since(former.stopped_at) < STOPPED_RETENTION);
        list.stopped
            .extend(leaving.into_iter().map(|running| running.end(now)));
        let former = &mut list.stopped;
        let running = hired.into_iter().map(|hired| {
            match remove_last(&mut staying, |it| it.matches(&hired.terms.account)) {
                Some(running) => running.reconfigured(hired),
                None => self.start(hired, former),
            }
        });
        list.running = running.collect();
        list.handles = list
            .running
            .iter()
            .map(|running| running.handle.clone())
            .collect();
        list.clients = clients;
        Ok(exchange)
    }

    /// Ends all observers, and waits for them until then.
    pub async fn shutdown(&self, until: Instant) {
        let ending = {
            let Accounts {
                running,
                stopped: former,
                ..
            } = std::mem::take(&mut *self.list());
            let former = former.into_iter().map(|former| former.task);
            running
                .into_iter()
                .map(|running| running.task.shutdown())
                .chain(former)
                .collect::<Vec<_>>()
        };
        for ended in ending {
            let _ = timeout_at(until, ended).await;
        }
    }

    /// What may fail is done here, before anything changes.
    fn prepare(
        &self,
        account: Account,
        clients: &mut HttpClientPool,
        former: &HttpClientPool,
    ) -> anyhow::Result<PreparedAccount> {
        let instruments = Arc::new(AccountMetrics::new(
            &account.name,
            self.common.metrics.extension_calls,
        )?);
        let http = clients.get_or_build(&account, former)?;
        let jwt = account.jwt.read().ok().as_ref().map(Fingerprint::new);
        Ok(PreparedAccount {
            terms: ClientConfig {
                account: Arc::new(account),
                http,
            },
            jwt,
            instruments,
        })
    }

    /// RingCentral counts by user and app: whoever had the same before has spent from the budget. A name tells it where the
    /// JWT has changed too.
    fn start(&self, hired: PreparedAccount, former: &mut Vec<StoppedAccount>) -> RunningAccount {
        let PreparedAccount {
            terms,
            jwt,
            instruments,
        } = hired;
        let account = terms.account.clone();
        let by_user = remove_last(former, |it| {
            it.account.same_app(&account) && jwt.is_some() && it.jwt == jwt
        });
        let by_name = || {
            remove_last(former, |it| {
                it.account.same_app(&account) && it.account.name == account.name
            })
        };
        let predecessor = by_user.or_else(by_name).map(|it| it.task);
        log_account_added(&account);
        let common = &self.common;
        let budget = Budget::new(common.scrape.min_interval);
        let client = Client::new(
            terms.clone(),
            common.timeouts,
            budget,
            instruments.api.clone(),
            self.users.clone(),
        );
        let (observer, reins) = collector::start(
            terms,
            common.metrics,
            client,
            instruments.clone(),
            predecessor,
        );
        RunningAccount {
            handle: AccountHandle {
                account,
                collector: observer,
                counters: instruments,
                kept: Arc::default(),
            },
            task: reins,
            jwt,
        }
    }

    fn list(&self) -> MutexGuard<'_, Accounts> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account that is going to run, or to take the terms of one that does.
struct PreparedAccount {
    terms: ClientConfig,
    jwt: Option<Fingerprint>,
    instruments: Arc<AccountMetrics>,
}

impl Accounts {
    /// Those that go on, and those that do not.
    fn partition(
        &mut self,
        hired: &[PreparedAccount],
    ) -> (Vec<RunningAccount>, Vec<RunningAccount>) {
        let running = std::mem::take(&mut self.running);
        let stays: Vec<_> = running
            .iter()
            .map(|it| {
                hired
                    .iter()
                    .any(|hired| it.can_continue_as(hired, &running))
            })
            .collect();
        let (mut staying, mut leaving) = (Vec::new(), Vec::new());
        for (it, stays) in running.into_iter().zip(stays) {
            if stays { &mut staying } else { &mut leaving }.push(it);
        }
        (staying, leaving)
    }
}

impl RunningAccount {
    /// Whether it is the same account, perhaps with other secrets; but not if its JWT was that of another until now: the
    /// two may have been mixed up, and a budget belongs to the user, not to the name.
    fn can_continue_as(&self, hired: &PreparedAccount, all: &[Self]) -> bool {
        let has_been_anothers = |other: &Self| {
            other.handle.account.same_app(&hired.terms.account) && other.jwt == hired.jwt
        };
        self.matches(&hired.terms.account)
            && (self.jwt == hired.jwt || !all.iter().any(has_been_anothers))
    }

    fn matches(&self, account: &Account) -> bool {
        let present = &self.handle.account;
        present.name == account.name && present.same_call_source(account)
    }

    fn reconfigured(self, hired: PreparedAccount) -> Self {
        let PreparedAccount { terms, jwt, .. } = hired;
        let observed = AccountHandle {
            account: terms.account.clone(),
            ..self.handle
        };
        self.task.reconfigure(terms);
        Self {
            handle: observed,
            jwt,
            ..self
        }
    }

    fn end(self, gone: Moment) -> StoppedAccount {
        let account = self.handle.account;
        tracing::info!(account = account.name, "account removed");
        StoppedAccount {
            account,
            jwt: self.jwt,
            task: self.task.shutdown(),
            stopped_at: gone,
        }
    }
}

fn log_account_added(account: &Account) {
    tracing::info!(account = account.name, "account added");
    if account.server.scheme() == "http" && !is_loopback(&account.server) {
        tracing::warn!(
            account = account.name,
            "the server is asked without TLS: secrets and calls can be read on the way"
        );
    }
}

/// The last that is wanted.
fn remove_last<T>(from: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    let at = from.iter().rposition(wanted)?;
    Some(from.remove(at))
}
