//! The command `check`: one login and one walk, told in plain words.
//!
//! Owns: the course of a check, and where its words go: to standard output, since they are what was asked for; with
//! `--print-metrics` to standard error, so that standard output holds the exposition alone and `promtool check metrics`
//! can read it. It starts the exporter's own observer and asks it once, as a scrape would: what is told is what `serve`
//! meets, and the budget is kept by the same code. The log is silent unless `--log.level` asks for `debug` or `trace`.
//! Refuses to know: the words (`words`, `warning`).

mod warning;
mod words;

use std::io::{self, Write};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::timeout_at;
pub use warning::Warning;

use crate::calls::Observation;
use crate::cli::CheckArgs;
use crate::clock::Moment;
use crate::config::{Account, Common, Config, ConfigError, ConfigurationState};
use crate::exposition::{self, AccountView, Exporter};
use crate::http::routes::ObservedAccount;
use crate::reload::Reloader;
use crate::shutdown::Signals;
use crate::telemetry;

/// What to check, validated.
pub struct Check {
    config: Config,
    configuration: ConfigurationState,
    print_metrics: bool,
}

/// An account that was asked, and the task that holds its token.
struct Asked {
    observed: ObservedAccount,
    observer: JoinHandle<()>,
    observation: Arc<Observation>,
}

impl Check {
    /// Validates the flags that `serve` does not have.
    ///
    /// # Errors
    /// When there is no account of the name, or `serve` would not take the file of `--web.config.file`.
    pub fn new(args: &CheckArgs, mut config: Config) -> Result<Self, ConfigError> {
        let configuration = Reloader::new(&config.common.web, &config.accounts)?.state();
        if let Some(name) = &args.account {
            let names: Vec<_> = config.accounts.iter().map(|account| account.name.clone()).collect();
            config.accounts.retain(|account| account.name == *name);
            if config.accounts.is_empty() {
                let there = names.join(", ");
                return Err(ConfigError(format!("--account: there is no account {name:?}; accepted is {there}")));
            }
        }
        Ok(Self { config, configuration, print_metrics: args.print_metrics })
    }

    /// Checks one account after the other; says whether all is well.
    ///
    /// # Errors
    /// When the system lets us not listen for signals, or the exposition cannot be encoded.
    pub async fn run(self) -> anyhow::Result<bool> {
        if self.config.common.log.level >= tracing::Level::DEBUG {
            telemetry::start(self.config.common.log);
        }
        let (mut signals, mut well, mut asked) = (Signals::listen(|| {})?, true, Vec::new());
        for account in &self.config.accounts {
            match self.ask(account, &mut signals).await {
                Some(account) => asked.push(account),
                None => well = false,
            }
        }
        well &= asked.iter().all(Asked::is_well);
        let exporter = Exporter { configuration: self.configuration, process: exposition::process_metrics() };
        let exposition = self.print_metrics.then(|| exposed(&asked, &exporter, &self.config.common));
        give_back(asked, &self.config.common).await;
        if let Some(exposition) = exposition {
            put(&mut io::stdout(), &exposition?);
        }
        Ok(well)
    }

    /// Asks an account and tells what came of it; none if it could not be asked.
    async fn ask(&self, account: &Account, signals: &mut Signals) -> Option<Asked> {
        self.say(&words::opening(account));
        let (observed, observer) = match crate::observe(account.clone(), &self.config.common) {
            Ok(started) => started,
            Err(error) => {
                self.say(&words::no_tls_to_be_had(&error));
                return None;
            }
        };
        let observation = tokio::select! {
            observation = observed.observer.ask() => observation,
            () = signals.next() => observed.observer.latest(),
        };
        self.say(&words::report(account, &observation, Moment::now()));
        Some(Asked { observed, observer, observation })
    }

    fn say(&self, text: &str) {
        if self.print_metrics { put(&mut io::stderr(), text) } else { put(&mut io::stdout(), text) }
    }
}

impl Asked {
    fn is_well(&self) -> bool {
        self.observation.fetch.as_ref().is_some_and(|fetch| fetch.failure.is_none())
    }

    fn view(&self) -> AccountView<'_> {
        let ObservedAccount { account, instruments, .. } = &self.observed;
        AccountView { account, observation: self.observation.clone(), instruments }
    }
}

fn exposed(asked: &[Asked], exporter: &Exporter, common: &Common) -> anyhow::Result<String> {
    let views: Vec<_> = asked.iter().map(Asked::view).collect();
    Ok(exposition::render(&views, Some(exporter), &common.scrape, &common.metrics, Moment::now())?)
}

/// With its last handle gone, an observer gives its token back.
async fn give_back(asked: Vec<Asked>, common: &Common) {
    let farewell = Moment::now().after(common.patience.revoke + crate::LAST_WORDS);
    let observers: Vec<_> = asked.into_iter().map(|asked| asked.observer).collect();
    for observer in observers {
        let _ = timeout_at(farewell.instant, observer).await;
    }
}

/// Whoever has stopped reading does not want the rest.
fn put(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
