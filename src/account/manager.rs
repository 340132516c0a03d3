//! The accounts that run, and the replacement of their list by a reload.
//!
//! For each account of a new list, the manager keeps its collector, reconfigures it, or starts one; accounts that are
//! missing from the list are stopped. A list is applied as a whole or, after an error, not at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::account::collector::{self, CollectorHandle, CollectorTask};
use crate::account::metrics::AccountMetrics;
use crate::clock::Moment;
use crate::config::{Account, Settings};
use crate::ringcentral::login_registry::LoginRegistry;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::transport::{http_client, is_loopback};
use crate::ringcentral::{Client, ClientConfig, ClientState};
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
    stopped: Vec<StoppedAccount>,
}

struct RunningAccount {
    config: ClientConfig,
    jwt: Option<Fingerprint>,
    counters: Arc<AccountMetrics>,
    collector: CollectorHandle,
    task: CollectorTask,
}

/// A stopped account, whose task may still be revoking its token. It is kept because RingCentral's penalty continues: if
/// the account is added again, its collector resumes from this one.
struct StoppedAccount {
    account: Arc<Account>,
    jwt: Option<Fingerprint>,
    task: JoinHandle<ClientState>,
    stopped_at: Moment,
}

/// A configured account, ready to be started or to reconfigure a running one.
struct PreparedAccount {
    config: ClientConfig,
    jwt: Option<Fingerprint>,
    counters: Arc<AccountMetrics>,
    /// Whether the running account of this name continues as this one.
    continues_running: bool,
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
        let list = self.lock();
        list.running.iter().map(RunningAccount::handle).collect()
    }

    /// Replaces the running accounts by this list. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// Returns an error if TLS cannot be set up because there are no root certificates for an `https` server. The
    /// running accounts stay unchanged.
    pub fn apply(&self, accounts: Vec<Account>) -> anyhow::Result<ReloadSummary> {
        let mut list = self.lock();
        let list = &mut *list;
        let mut prepared = Vec::new();
        for account in accounts {
            let account = self.prepare(account, &list.running, &prepared)?;
            prepared.push(account);
        }
        let now = Moment::now();
        list.stopped.retain(|account| {
            now.saturating_duration_since(account.stopped_at) < STOPPED_RETENTION
        });
        let mut continuing = Vec::new();
        let mut removed = 0;
        for running in std::mem::take(&mut list.running) {
            if prepared.iter().any(|prepared| prepared.continues(&running)) {
                continuing.push(running);
            } else {
                list.stopped.push(running.stop(now));
                removed += 1;
            }
        }
        let summary = ReloadSummary {
            running: prepared.len(),
            added: prepared.len() - continuing.len(),
            removed,
        };
        for account in prepared {
            let running = remove_last(&mut continuing, |running| account.continues(running));
            list.running.push(match running {
                Some(running) => running.reconfigured(account),
                None => self.start(account, &mut list.stopped),
            });
        }
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
        running: &[RunningAccount],
        prepared: &[PreparedAccount],
    ) -> anyhow::Result<PreparedAccount> {
        let by_extension = self.settings.metrics.extension_calls;
        let counters = Arc::new(AccountMetrics::new(&account.name, by_extension)?);
        let jwt = account.jwt.read().ok().as_ref().map(Fingerprint::new);
        let mut configs: Vec<_> = running.iter().map(|running| &running.config).collect();
        configs.extend(prepared.iter().map(|prepared| &prepared.config));
        let http = shared_http_client(&account, &configs)?;
        let continues_running = running
            .iter()
            .any(|one| one.can_continue_as(&account, jwt.as_ref(), running));
        Ok(PreparedAccount {
            config: ClientConfig {
                account: Arc::new(account),
                http,
            },
            jwt,
            counters,
            continues_running,
        })
    }

    fn start(
        &self,
        prepared: PreparedAccount,
        stopped: &mut Vec<StoppedAccount>,
    ) -> RunningAccount {
        let predecessor = remove_predecessor(stopped, &prepared);
        let PreparedAccount {
            config,
            jwt,
            counters,
            ..
        } = prepared;
        log_account_added(&config.account);
        let client = Client::new(
            config.clone(),
            self.settings.timeouts,
            Budget::new(self.settings.scrape.min_interval),
            counters.api.clone(),
            self.logins.clone(),
        );
        let (collector, task) = collector::spawn(
            config.clone(),
            self.settings.metrics,
            client,
            counters.clone(),
            predecessor,
        );
        RunningAccount {
            config,
            jwt,
            counters,
            collector,
            task,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl RunningAccount ===

impl RunningAccount {
    fn handle(&self) -> AccountHandle {
        AccountHandle {
            config: self.config.account.clone(),
            collector: self.collector.clone(),
            counters: self.counters.clone(),
        }
    }

    /// Returns whether this is the same account, possibly with other secrets. It is not if its JWT was used by another
    /// account until now: the two may have been swapped, and a budget belongs to the user, not to the name.
    fn can_continue_as(&self, account: &Account, jwt: Option<&Fingerprint>, all: &[Self]) -> bool {
        let own = &self.config.account;
        if own.name != account.name || !own.same_call_source(account) {
            return false;
        }
        let uses_jwt =
            |other: &Self| other.config.account.same_app(account) && other.jwt.as_ref() == jwt;
        self.jwt.as_ref() == jwt || !all.iter().any(uses_jwt)
    }

    /// Passes the new configuration to the collector, which keeps its counters.
    fn reconfigured(mut self, prepared: PreparedAccount) -> Self {
        self.task.reconfigure(prepared.config.clone());
        self.config = prepared.config;
        self.jwt = prepared.jwt;
        self
    }

    fn stop(self, now: Moment) -> StoppedAccount {
        let account = self.config.account;
        tracing::info!(account = account.name, "account removed");
        StoppedAccount {
            account,
            jwt: self.jwt,
            task: self.task.shutdown(),
            stopped_at: now,
        }
    }
}

impl PreparedAccount {
    fn continues(&self, running: &RunningAccount) -> bool {
        self.continues_running && running.config.account.name == self.config.account.name
    }
}

/// Removes and returns the task of the stopped account whose budget and penalties still apply. RingCentral counts by user
/// and app, so the one with the same JWT comes first; where the JWT has changed too, the name decides.
fn remove_predecessor(
    stopped: &mut Vec<StoppedAccount>,
    prepared: &PreparedAccount,
) -> Option<JoinHandle<ClientState>> {
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

/// Returns the HTTP client of an account with the same TLS configuration, else a new client. Building a client reads the
/// system's root certificates, which takes about 20 ms.
fn shared_http_client(
    account: &Account,
    configs: &[&ClientConfig],
) -> anyhow::Result<reqwest::Client> {
    let server = &account.server;
    for config in configs {
        let other = &config.account;
        if other.server.scheme() == server.scheme()
            && is_loopback(&other.server) == is_loopback(server)
            && other.ca == account.ca
        {
            return Ok(config.http.clone());
        }
    }
    http_client(server, account.ca.as_deref())
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
