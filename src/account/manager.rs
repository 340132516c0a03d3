//! The accounts that run, and how another list takes the place of the present one.
//!
//! Owns: each account's observer, from its start to its end; the HTTP clients, which accounts share; and what a new list
//! means for an account: it goes on, begins, ends, or makes room for one of its name that has another source. A list is
//! taken whole or not at all. Refuses to know: where a list comes from (`reload`), and what observers do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::account::http_clients::Clients;
use tokio::time::{Instant, timeout_at};

use crate::account::collector::{self, Ended, Reins};
use crate::account::metrics::Instruments;
use crate::clock::Moment;
use crate::config::{Account, Common};
use crate::exposition::{AccountView, Kept};
use crate::ringcentral::login_registry::Users;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::transport::is_loopback;
use crate::ringcentral::{Client, Terms};
use crate::secret::Fingerprint;

/// The longest penalty there can be.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// An account, as those see it who want to know something of it.
#[derive(Clone)]
pub struct ObservedAccount {
    /// Its configuration.
    pub account: Arc<Account>,
    /// The way to its observer.
    pub observer: collector::Handle,
    /// What is counted for it.
    pub instruments: Arc<Instruments>,
    /// What was written of it and of these instruments.
    pub kept: Arc<Kept>,
}

impl ObservedAccount {
    /// What is known of it now, to be shown.
    #[must_use]
    pub fn view(&self) -> AccountView<'_> {
        AccountView {
            account: &self.account,
            observation: self.observer.latest(),
            instruments: &self.instruments,
            kept: &self.kept,
        }
    }
}

/// What a new list came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How many accounts run now.
    pub running: usize,
    /// How many of them did not before.
    pub added: usize,
    /// How many have ended.
    pub removed: usize,
}

/// The accounts that run.
pub struct Roster {
    common: Common,
    users: Arc<Users>,
    // Never held over an await; whoever finds it poisoned finds a whole list all the same.
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    running: Vec<Running>,
    shown: Arc<[ObservedAccount]>,
    clients: Clients,
    former: Vec<Former>,
}

struct Running {
    observed: ObservedAccount,
    reins: Reins,
    jwt: Option<Fingerprint>,
}

/// An account that has gone. Its observer may still be giving its token back, and RingCentral counts on: if the account
/// comes back, as it does where a file is changed in two steps, its penalty is still there.
struct Former {
    account: Arc<Account>,
    jwt: Option<Fingerprint>,
    ended: Ended,
    gone: Moment,
}

impl Roster {
    /// Nobody runs yet.
    #[must_use]
    pub fn new(common: &Common) -> Self {
        Self {
            common: common.clone(),
            users: Arc::default(),
            list: Mutex::default(),
        }
    }

    /// The accounts as they are now, in their order.
    pub fn accounts(&self) -> Arc<[ObservedAccount]> {
        self.list().shown.clone()
    }

    /// Lets these accounts run and no others. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up: no root certificates for an `https` server. Then all stays as it was.
    pub fn install(&self, accounts: Vec<Account>) -> anyhow::Result<Exchange> {
        let mut list = self.list();
        let mut clients = Clients::default();
        let hired = accounts
            .into_iter()
            .map(|account| self.hire(account, &mut clients, &list.clients));
        let hired = hired.collect::<anyhow::Result<Vec<_>>>()?;
        let (mut staying, leaving) = list.part(&hired);
        let (running, stayed) = (hired.len(), staying.len());
        let exchange = Exchange {
            running,
            added: running - stayed,
            removed: leaving.len(),
        };
        let now = Moment::now();
        list.former
            .retain(|former| now.since(former.gone) < REMEMBERED);
        list.former
            .extend(leaving.into_iter().map(|running| running.end(now)));
        let former = &mut list.former;
        let running = hired.into_iter().map(|hired| {
            match take(&mut staying, |it| it.is(&hired.terms.account)) {
                Some(running) => running.steered(hired),
                None => self.start(hired, former),
            }
        });
        list.running = running.collect();
        list.shown = list
            .running
            .iter()
            .map(|running| running.observed.clone())
            .collect();
        list.clients = clients;
        Ok(exchange)
    }

    /// Ends all observers, and waits for them until then.
    pub async fn farewell(&self, until: Instant) {
        let ending = {
            let List {
                running, former, ..
            } = std::mem::take(&mut *self.list());
            let former = former.into_iter().map(|former| former.ended);
            running
                .into_iter()
                .map(|running| running.reins.end())
                .chain(former)
                .collect::<Vec<_>>()
        };
        for ended in ending {
            let _ = timeout_at(until, ended).await;
        }
    }

    /// What may fail is done here, before anything changes.
    fn hire(
        &self,
        account: Account,
        clients: &mut Clients,
        former: &Clients,
    ) -> anyhow::Result<Hired> {
        let instruments = Arc::new(Instruments::new(
            &account.name,
            self.common.metrics.extension_calls,
        )?);
        let http = clients.of(&account, former)?;
        let jwt = account.jwt.read().ok().as_ref().map(Fingerprint::of);
        Ok(Hired {
            terms: Terms {
                account: Arc::new(account),
                http,
            },
            jwt,
            instruments,
        })
    }

    /// RingCentral counts by user and app: whoever had the same before has spent from the budget. A name tells it where the
    /// JWT has changed too.
    fn start(&self, hired: Hired, former: &mut Vec<Former>) -> Running {
        let Hired {
            terms,
            jwt,
            instruments,
        } = hired;
        let account = terms.account.clone();
        let by_user = take(former, |it| {
            it.account.has_app_of(&account) && jwt.is_some() && it.jwt == jwt
        });
        let by_name = || {
            take(former, |it| {
                it.account.has_app_of(&account) && it.account.name == account.name
            })
        };
        let predecessor = by_user.or_else(by_name).map(|it| it.ended);
        tell_of(&account);
        let common = &self.common;
        let budget = Budget::new(common.scrape.min_interval);
        let client = Client::new(
            terms.clone(),
            common.patience,
            budget,
            instruments.clone(),
            self.users.clone(),
        );
        let (observer, reins) = collector::start(
            terms,
            common.metrics,
            client,
            instruments.clone(),
            predecessor,
        );
        Running {
            observed: ObservedAccount {
                account,
                observer,
                instruments,
                kept: Arc::default(),
            },
            reins,
            jwt,
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account that is going to run, or to take the terms of one that does.
struct Hired {
    terms: Terms,
    jwt: Option<Fingerprint>,
    instruments: Arc<Instruments>,
}

impl List {
    /// Those that go on, and those that do not.
    fn part(&mut self, hired: &[Hired]) -> (Vec<Running>, Vec<Running>) {
        let running = std::mem::take(&mut self.running);
        let stays: Vec<_> = running
            .iter()
            .map(|it| hired.iter().any(|hired| it.goes_on_as(hired, &running)))
            .collect();
        let (mut staying, mut leaving) = (Vec::new(), Vec::new());
        for (it, stays) in running.into_iter().zip(stays) {
            if stays { &mut staying } else { &mut leaving }.push(it);
        }
        (staying, leaving)
    }
}

impl Running {
    /// Whether it is the same account, perhaps with other secrets; but not if its JWT was that of another until now: the
    /// two may have been mixed up, and a budget belongs to the user, not to the name.
    fn goes_on_as(&self, hired: &Hired, all: &[Self]) -> bool {
        let has_been_anothers = |other: &Self| {
            other.observed.account.has_app_of(&hired.terms.account) && other.jwt == hired.jwt
        };
        self.is(&hired.terms.account)
            && (self.jwt == hired.jwt || !all.iter().any(has_been_anothers))
    }

    fn is(&self, account: &Account) -> bool {
        let present = &self.observed.account;
        present.name == account.name && present.has_source_of(account)
    }

    fn steered(self, hired: Hired) -> Self {
        let Hired { terms, jwt, .. } = hired;
        let observed = ObservedAccount {
            account: terms.account.clone(),
            ..self.observed
        };
        self.reins.steer(terms);
        Self {
            observed,
            jwt,
            ..self
        }
    }

    fn end(self, gone: Moment) -> Former {
        let account = self.observed.account;
        tracing::info!(account = account.name, "account removed");
        Former {
            account,
            jwt: self.jwt,
            ended: self.reins.end(),
            gone,
        }
    }
}

fn tell_of(account: &Account) {
    tracing::info!(account = account.name, "account added");
    if account.server.scheme() == "http" && !is_loopback(&account.server) {
        tracing::warn!(
            account = account.name,
            "the server is asked without TLS: secrets and calls can be read on the way"
        );
    }
}

/// The last that is wanted.
fn take<T>(from: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    let at = from.iter().rposition(wanted)?;
    Some(from.remove(at))
}
