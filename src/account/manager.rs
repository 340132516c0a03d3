//! The accounts that run, and the replacement of their list by a reload.
//!
//! For each account of a new list, the manager keeps its collector, reconfigures it, or starts one; accounts that are
//! missing from the list are stopped. A list is applied as a whole or, after an error, not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::account::collector::{self, CollectorConfig, CollectorHandle, CollectorTask};
use crate::account::metrics::AccountMetrics;
use crate::account::presence::{Presence, PresenceConfig};
use crate::account::saved_calls::SavedCalls;
use crate::clock::Moment;
use crate::config::{Account, Network, Settings, is_loopback};
use crate::ringcentral::client::Users;
use crate::ringcentral::http_client::HttpClient;
use crate::ringcentral::login_registry::LoginRegistry;
use crate::ringcentral::rate_limit::registry::UsageRegistry;
use crate::ringcentral::{Client, ClientConfig};
use crate::secret::Fingerprint;
use crate::state_directory::StateDirectory;

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
    /// The presence of its extensions, `None` if it is off.
    pub presence: Option<Arc<Presence>>,
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
    state: Option<Arc<StateDirectory>>,
    is_check: AtomicBool,
    users: Users,
    // Never held across an await. Poisoning is ignored, since the list is replaced only after all fallible steps.
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    running: Vec<RunningAccount>,
    stopped: Vec<StoppedAccount>,
}

struct RunningAccount {
    setup: AccountSetup,
    collector: CollectorHandle,
    task: CollectorTask,
}

/// A stopped account, whose task may still be revoking its token. It is kept because RingCentral's penalty continues: if
/// the account is added again, its collector resumes from this one.
struct StoppedAccount {
    account: Arc<Account>,
    jwt: Option<Fingerprint>,
    task: JoinHandle<Client>,
    stopped_at: Moment,
}

/// What an account is started or reconfigured with.
struct AccountSetup {
    config: ClientConfig,
    jwt: Option<Fingerprint>,
    counters: Arc<AccountMetrics>,
    presence: Option<Arc<Presence>>,
    is_check: bool,
}

// === impl AccountManager ===

impl AccountManager {
    /// Creates a manager without accounts.
    #[must_use]
    pub fn new(settings: &Settings, state: Option<Arc<StateDirectory>>) -> Self {
        Self {
            settings: settings.clone(),
            state: state.clone(),
            is_check: AtomicBool::new(false),
            users: Users {
                logins: Arc::new(LoginRegistry::default()),
                usages: Arc::new(UsageRegistry::new(state)),
            },
            accounts: Mutex::default(),
        }
    }

    /// Returns the settings that are not about an account.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Prepares for `check`: accounts that are started from now on revoke their token only if that does not use the
    /// last request of its group, and leave the saved calls to the exporter.
    pub(crate) fn prepare_for_check(&self) {
        self.is_check.store(true, Ordering::Relaxed);
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
        list.stopped
            .retain(|account| now.monotonic_duration_since(account.stopped_at) < STOPPED_RETENTION);
        let running = std::mem::take(&mut list.running);
        let mut continues = Vec::new();
        for account in &running {
            let can_continue = |new| account.can_continue_as(new, &running);
            continues.push(prepared.iter().any(can_continue));
        }
        let mut summary = ReloadSummary {
            running: prepared.len(),
            added: prepared.len(),
            removed: 0,
        };
        let mut continuing = Vec::new();
        for (account, continues) in running.into_iter().zip(continues) {
            if continues {
                summary.added -= 1;
                continuing.push(account);
            } else {
                summary.removed += 1;
                list.stopped.push(account.stop(now));
            }
        }
        for account in prepared {
            let running = remove_last(&mut continuing, |running| {
                running.matches(&account.config.account)
            });
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
        prepared: &[AccountSetup],
    ) -> anyhow::Result<AccountSetup> {
        let by_extension = self.settings.metrics.extension_calls;
        let (name, now) = (&account.name, Moment::now());
        let counters = Arc::new(AccountMetrics::new(name, by_extension, now)?);
        let presence = Presence::new(name, account.presence, &self.settings, now)?;
        let jwt = account.jwt.read().ok().as_ref().map(Fingerprint::new);
        let mut known: Vec<_> = running.iter().map(|running| &running.setup).collect();
        known.extend(prepared);
        let http = shared_http_client(&account, &known, &self.settings.network)?;
        Ok(AccountSetup {
            is_check: self.is_check.load(Ordering::Relaxed),
            config: ClientConfig {
                account: Arc::new(account),
                http,
            },
            jwt,
            counters,
            presence,
        })
    }

    fn start(&self, setup: AccountSetup, stopped: &mut Vec<StoppedAccount>) -> RunningAccount {
        let predecessor = remove_predecessor(stopped, &setup);
        log_account_added(&setup.config.account);
        let mut client = Client::new(
            setup.config.clone(),
            self.settings.timeouts,
            self.settings.scrape.min_interval,
            setup.counters.api.clone(),
            self.users.clone(),
        );
        if setup.is_check {
            client.spares_last_request = true;
            client.end_backoff();
        }
        let saved_calls = SavedCalls::new(self.state.clone().filter(|_| !setup.is_check));
        let (collector, task) = collector::spawn(
            setup.collector_config(),
            self.settings.metrics,
            client,
            setup.counters.clone(),
            saved_calls,
            predecessor,
        );
        RunningAccount {
            setup,
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
            config: self.setup.config.account.clone(),
            collector: self.collector.clone(),
            counters: self.setup.counters.clone(),
            presence: self.setup.presence.clone(),
        }
    }

    /// Returns whether this is the same account, possibly with other secrets. It is not if its JWT was used by another
    /// account until now: the two may have been swapped, and a budget belongs to the user, not to the name.
    fn can_continue_as(&self, new: &AccountSetup, all: &[Self]) -> bool {
        let account = &new.config.account;
        let uses_jwt = |other: &Self| {
            other.setup.config.account.same_app(account) && other.setup.jwt == new.jwt
        };
        self.matches(account) && (self.setup.jwt == new.jwt || !all.iter().any(uses_jwt))
    }

    fn matches(&self, account: &Account) -> bool {
        let own = &self.setup.config.account;
        own.name == account.name && own.same_call_source(account)
    }

    /// Passes the new configuration to the collector, which keeps its counters, and its presence unless the mode differs.
    fn reconfigured(mut self, new: AccountSetup) -> Self {
        if self.setup.config.account.presence != new.config.account.presence {
            self.setup.presence = new.presence;
        }
        self.setup.config = new.config;
        self.setup.jwt = new.jwt;
        self.task.reconfigure(self.setup.collector_config());
        self
    }

    fn stop(self, now: Moment) -> StoppedAccount {
        let account = self.setup.config.account;
        tracing::info!(account = account.name, "account removed");
        StoppedAccount {
            account,
            jwt: self.setup.jwt,
            task: self.task.shutdown(),
            stopped_at: now,
        }
    }
}

// === impl AccountSetup ===

impl AccountSetup {
    fn collector_config(&self) -> CollectorConfig {
        CollectorConfig {
            client: self.config.clone(),
            presence: PresenceConfig {
                presence: self.presence.clone(),
                jwt: self.jwt,
                is_check: self.is_check,
            },
        }
    }
}

/// Removes and returns the task of the stopped account whose budget and penalties still apply. RingCentral counts by user
/// and app, so the one with the same JWT comes first; where the JWT has changed too, the name decides.
fn remove_predecessor(
    stopped: &mut Vec<StoppedAccount>,
    setup: &AccountSetup,
) -> Option<JoinHandle<Client>> {
    let account = &setup.config.account;
    let by_user = remove_last(stopped, |stopped| {
        stopped.account.same_app(account) && stopped.jwt.is_some() && stopped.jwt == setup.jwt
    });
    let predecessor = by_user.or_else(|| {
        remove_last(stopped, |stopped| {
            stopped.account.same_app(account) && stopped.account.name == account.name
        })
    });
    Some(predecessor?.task)
}

/// Returns the HTTP client of an account with the same server and root certificates, else a new client. Building a client
/// reads the system's root certificates, which takes about 20 ms.
fn shared_http_client(
    account: &Account,
    known: &[&AccountSetup],
    network: &Network,
) -> anyhow::Result<HttpClient> {
    for setup in known {
        let http = &setup.config.http;
        if http.can_serve(&account.server, account.ca.as_ref()) {
            return Ok(http.clone());
        }
    }
    HttpClient::new(&account.server, account.ca.clone(), network)
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
