//! The command `check`: one login and one walk for each account, told in plain words.
//!
//! Owns: the course of a check, and where its words go: to standard output, since they are what was asked for; with
//! `--print-metrics` to standard error, so that standard output holds the exposition alone and `promtool check metrics`
//! can read it. It starts the exporter's own observer and asks it once, as a scrape would: what is told is what `serve`
//! meets, and the budget is kept by the same code. The log is silent unless `--log.level` asks for `debug` or `trace`.
//! Refuses to know: the words (`words`, `warning`).

use std::io::{self, Write};

use super::check_report;

use crate::account::manager::AccountHandle;
use crate::cli::CheckArgs;
use crate::clock::Moment;
use crate::config::{Config, ConfigError};
use crate::exposition::{self, AccountView, ExporterInfo};
use crate::logging;
use crate::reload::Reloader;
use crate::shutdown::Signals;

/// What to check, validated.
pub struct Check {
    config: Config,
    reloader: Reloader,
    print_metrics: bool,
}

/// What came of the accounts, by name.
#[derive(Default)]
pub struct CheckSummary {
    pub(crate) well: Vec<String>,
    pub(crate) failed: Vec<String>,
    /// Those that had not answered when a signal ended the check.
    pub(crate) unasked: Vec<String>,
}

impl Check {
    /// Validates the flags that `serve` does not have.
    ///
    /// # Errors
    /// When there is no account of the name, or `serve` would not take the file of `--web.config.file`.
    pub fn new(args: &CheckArgs, mut config: Config) -> Result<Self, ConfigError> {
        let reloader = Reloader::new(&config.settings, None)?;
        if let Some(name) = &args.account {
            let names: Vec<_> = config
                .accounts
                .iter()
                .map(|account| account.name.clone())
                .collect();
            config.accounts.retain(|account| account.name == *name);
            if config.accounts.is_empty() {
                let there = names.join(", ");
                return Err(ConfigError(format!(
                    "--account: there is no account {name:?}; accepted is {there}"
                )));
            }
        }
        Ok(Self {
            config,
            reloader,
            print_metrics: args.print_metrics,
        })
    }

    /// Checks one account after the other; says whether all is well.
    ///
    /// # Errors
    /// When the system lets us not listen for signals, or the exposition cannot be encoded.
    pub async fn run(self) -> anyhow::Result<bool> {
        if self.config.settings.log.level >= tracing::Level::DEBUG {
            logging::init(self.config.settings.log);
        }
        let mut signals = Signals::register(|| {})?;
        let roster = self.reloader.accounts();
        if let Err(error) = roster.apply(self.config.accounts.clone()) {
            self.say(
                &self
                    .config
                    .accounts
                    .first()
                    .map_or(String::new(), check_report::opening),
            );
            self.say(&check_report::no_tls_to_be_had(&error));
            return Ok(false);
        }
        let accounts = roster.accounts();
        let verdicts = self.ask_all(&accounts, &mut signals).await;
        let exposition = self.print_metrics.then(|| self.exposed(&accounts));
        roster
            .shutdown(
                Moment::now()
                    .after(self.config.settings.timeouts.revoke + crate::SHUTDOWN_MARGIN)
                    .instant,
            )
            .await;
        if let Some(exposition) = exposition {
            put(&mut io::stdout(), &exposition?);
        }
        Ok(verdicts.all_well())
    }

    /// One signal ends it all: whoever sends it does not want to send one for each account.
    async fn ask_all(&self, accounts: &[AccountHandle], signals: &mut Signals) -> CheckSummary {
        let name = |it: &AccountHandle| it.account.name.clone();
        let (mut verdicts, mut rest, mut stopped) =
            (CheckSummary::default(), accounts.iter(), false);
        while !stopped && let Some(it) = rest.next() {
            let well;
            (well, stopped) = self.ask(it, signals).await;
            let verdict = match (well, stopped) {
                (true, _) => &mut verdicts.well,
                (false, false) => &mut verdicts.failed,
                (false, true) => &mut verdicts.unasked,
            };
            verdict.push(name(it));
        }
        verdicts.unasked.extend(rest.map(name));
        self.say(&check_report::closing(&verdicts));
        verdicts
    }

    /// Asks an account and tells what came of it. Says whether it is well, and whether a signal came.
    async fn ask(&self, it: &AccountHandle, signals: &mut Signals) -> (bool, bool) {
        self.say(&check_report::opening(&it.account));
        let (observation, stopped) = tokio::select! {
            observation = it.collector.refresh() => (observation, false),
            () = signals.shutdown_signal() => (it.collector.state(), true),
        };
        self.say(&check_report::report(
            &it.account,
            &observation,
            Moment::now(),
        ));
        (
            observation
                .last_fetch
                .as_ref()
                .is_some_and(|fetch| fetch.failure.is_none()),
            stopped,
        )
    }

    fn exposed(&self, accounts: &[AccountHandle]) -> anyhow::Result<String> {
        let (exporter, common) = (
            ExporterInfo::collect(self.reloader.status()),
            &self.config.settings,
        );
        let views = accounts.iter().map(AccountView::new);
        Ok(exposition::render(
            views,
            Some(&exporter),
            &common.scrape,
            &common.metrics,
            Moment::now(),
        )?)
    }

    fn say(&self, text: &str) {
        if self.print_metrics {
            put(&mut io::stderr(), text)
        } else {
            put(&mut io::stdout(), text)
        }
    }
}

impl CheckSummary {
    fn all_well(&self) -> bool {
        self.failed.is_empty() && self.unasked.is_empty()
    }
}

/// Whoever has stopped reading does not want the rest.
fn put(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
