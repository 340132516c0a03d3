//! The accounts that run, and the replacement of their list by a reload.
//!
//! For each account of a new list, the manager keeps its collector, reconfigures it, or starts one; accounts that are
//! missing from the list are stopped. A list is applied as a whole or, after an error, not at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::account::collector::{self, CollectorHandle, CollectorTask};
use crate::account::http_clients::HttpClientPool;
use crate::account::metrics::AccountMetrics;
use crate::clock::Moment;
use crate::config::{Account, Settings};
use crate::ringcentral::login_registry::LoginRegistry;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::transport::is_loopback;
use crate::ringcentral::{Client, ClientConfig};
use crate::secret::Fingerprint;

/// How long the state of a stopped account is kept: the longest possible penalty.
const STOPPED_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// A handle to a running account.
#[derive(Clone)]
pub struct AccountHandle {
    /// The account's configuration.
    pub config: Arc<Account>,
    /// The handle to its collector.
    pub collector: CollectorHandle,
    /// The account's counters.
    pub counters: Arc<AccountMetrics>,
}

/// The result of [`AccountManager::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadSummary {
    /// Number of accounts that run now.
    pub running: usize,
    /// Number of accounts that were started.
    pub added: usize,
    /// Number of accounts that were stopped.
    pub removed: usize,
}

/// The running accounts.
pub struct AccountManager {
    settings: Settings,
    logins: Arc<LoginRegistry>,
    // Never held across an await. Poisoning is ignored, since the list is replaced only after all fallible steps.
    accounts: Mutex<Accounts>,
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

/// A stopped account, whose task may still be revoking its token. It is kept because RingCentral's penalty continues: if
/// the account is added again, its collector resumes from this one.
struct StoppedAccount {
    account: Arc<Account>,
    jwt: Option<Fingerprint>,
    task: JoinHandle<Client>,
    stopped_at: Moment,
}

/// A configured account, ready to be started or to reconfigure a running one.
struct PreparedAccount {
    config: ClientConfig,
    jwt: Option<Fingerprint>,
    counters: Arc<AccountMetrics>,
}

// === impl AccountManager ===

impl AccountManager {
    /// Creates a manager without accounts.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            logins: Arc::default(),
            accounts: Mutex::default(),
        }
    }

    /// Returns the running accounts in the order of the configuration.
    pub fn accounts(&self) -> Arc<[AccountHandle]> {
        self.lock().handles.clone()
    }

    /// Replaces the running accounts by this list. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// Returns an error if TLS cannot be set up because there are no root certificates for an `https` server. The
    /// running accounts stay unchanged.
    pub fn apply(&self, accounts: Vec<Account>) -> anyhow::Result<ReloadSummary> {
        let mut list = self.lock();
        let mut clients = HttpClientPool::default();
        let mut prepared = Vec::new();
        for account in accounts {
            prepared.push(self.prepare(account, &mut clients, &list.clients)?);
        }
        let (mut continuing, leaving) = list.take_partitioned(&prepared);
        let summary = ReloadSummary {
            running: prepared.len(),
            added: prepared.len() - continuing.len(),
            removed: leaving.len(),
        };
        let now = Moment::now();
        list.stopped.retain(|account| {
            now.saturating_duration_since(account.stopped_at) < STOPPED_RETENTION
        });
        for account in leaving {
            list.stopped.push(account.stop(now));
        }
        for account in prepared {
            let running = remove_last(&mut continuing, |running| {
                running.matches(&account.config.account)
            });
            let running = match running {
                Some(running) => running.reconfigured(account),
                None => self.start(account, &mut list.stopped),
            };
            list.running.push(running);
        }
        let handles = list.running.iter().map(|running| running.handle.clone());
        list.handles = handles.collect();
        list.clients = clients;
        Ok(summary)
    }

    /// Stops all accounts and waits for their tasks until the deadline.
    pub async fn shutdown(&self, deadline: Instant) {
        let accounts = std::mem::take(&mut *self.lock());
        let mut tasks = Vec::new();
        for account in accounts.running {
            tasks.push(account.task.shutdown());
        }
        for account in accounts.stopped {
            tasks.push(account.task);
        }
        for task in tasks {
            let _ = timeout_at(deadline, task).await;
        }
    }

    /// Does everything for an account that may fail, before anything changes.
    fn prepare(
        &self,
        account: Account,
        clients: &mut HttpClientPool,
        previous: &HttpClientPool,
    ) -> anyhow::Result<PreparedAccount> {
        let by_extension = self.settings.metrics.extension_calls;
        let counters = Arc::new(AccountMetrics::new(&account.name, by_extension)?);
        let http = clients.get_or_build(&account, previous)?;
        let jwt = account.jwt.read().ok();
        Ok(PreparedAccount {
            jwt: jwt.as_ref().map(Fingerprint::new),
            counters,
            config: ClientConfig {
                account: Arc::new(account),
                http,
            },
        })
    }

    fn start(
        &self,
        prepared: PreparedAccount,
        stopped: &mut Vec<StoppedAccount>,
    ) -> RunningAccount {
        let predecessor = remove_predecessor(stopped, &prepared);
        let account = prepared.config.account.clone();
        log_account_added(&account);
        let client = Client::new(
            prepared.config.clone(),
            self.settings.timeouts,
            Budget::new(self.settings.scrape.min_interval),
            prepared.counters.api.clone(),
            self.logins.clone(),
        );
        let (collector, task) = collector::spawn(
            prepared.config,
            self.settings.metrics,
            client,
            prepared.counters.clone(),
            predecessor,
        );
        RunningAccount {
            handle: AccountHandle {
                config: account,
                collector,
                counters: prepared.counters,
            },
            task,
            jwt: prepared.jwt,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Accounts ===

impl Accounts {
    /// Removes all running accounts and returns those that continue and those that have to stop.
    fn take_partitioned(
        &mut self,
        prepared: &[PreparedAccount],
    ) -> (Vec<RunningAccount>, Vec<RunningAccount>) {
        let running = std::mem::take(&mut self.running);
        let mut continues = Vec::new();
        for account in &running {
            let can_continue = |prepared| account.can_continue_as(prepared, &running);
            continues.push(prepared.iter().any(can_continue));
        }
        let mut continues = continues.into_iter();
        running
            .into_iter()
            .partition(|_| continues.next() == Some(true))
    }
}

// === impl RunningAccount ===

impl RunningAccount {
    /// Returns whether this is the same account, possibly with other secrets. It is not if its JWT was used by another
    /// account until now: the two may have been swapped, and a budget belongs to the user, not to the name.
    fn can_continue_as(&self, prepared: &PreparedAccount, all: &[Self]) -> bool {
        let account = &prepared.config.account;
        if !self.matches(account) {
            return false;
        }
        let jwt_was_used_by_another = all
            .iter()
            .any(|other| other.handle.config.same_app(account) && other.jwt == prepared.jwt);
        self.jwt == prepared.jwt || !jwt_was_used_by_another
    }

    fn matches(&self, account: &Account) -> bool {
        let own = &self.handle.config;
        own.name == account.name && own.same_call_source(account)
    }

    /// Passes the new configuration to the collector, which keeps its counters.
    fn reconfigured(mut self, prepared: PreparedAccount) -> Self {
        self.handle.config = prepared.config.account.clone();
        self.jwt = prepared.jwt;
        self.task.reconfigure(prepared.config);
        self
    }

    fn stop(self, now: Moment) -> StoppedAccount {
        let account = self.handle.config;
        tracing::info!(account = account.name, "account removed");
        StoppedAccount {
            account,
            jwt: self.jwt,
            task: self.task.shutdown(),
            stopped_at: now,
        }
    }
}

/// Removes and returns the task of the stopped account whose budget and penalties still apply. RingCentral counts by user
/// and app, so the one with the same JWT comes first; where the JWT has changed too, the name decides.
fn remove_predecessor(
    stopped: &mut Vec<StoppedAccount>,
    prepared: &PreparedAccount,
) -> Option<JoinHandle<Client>> {
    let account = &prepared.config.account;
    let by_user = remove_last(stopped, |stopped| {
        stopped.account.same_app(account) && stopped.jwt.is_some() && stopped.jwt == prepared.jwt
    });
    let predecessor = by_user.or_else(|| {
        remove_last(stopped, |stopped| {
            stopped.account.same_app(account) && stopped.account.name == account.name
        })
    });
    Some(predecessor?.task)
}

fn log_account_added(account: &Account) {
    tracing::info!(account = account.name, "account added");
    if account.server.scheme() == "http" && !is_loopback(&account.server) {
        tracing::warn!(
            account = account.name,
            "server URL uses plain HTTP, secrets and calls can be read on the network"
        );
    }
}

/// Removes and returns the last item that matches.
fn remove_last<T>(items: &mut Vec<T>, matches: impl Fn(&T) -> bool) -> Option<T> {
    let index = items.iter().rposition(matches)?;
    Some(items.remove(index))
}
