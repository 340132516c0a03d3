//! The command `check`: logs in and fetches once for each account, and reports what works and how to fix what does not.
//!
//! It runs the same collector as `serve` and requests one fetch, so that budget and failures are the same. Presence is
//! checked after that, see `check_presence`.
//! The report goes to standard output; with `--print-metrics` it goes to standard error, so that standard
//! output contains only the exposition and can be piped to `promtool check metrics`. Logs are written only with
//! `--log.level` `debug` or `trace`.
//!
//! Another thread writes the output, so that signals end the check and tokens are revoked although a full pipe is not read.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::account::facts::last_failure;
use crate::account::manager::AccountHandle;
use crate::account::presence::PresenceView;
use crate::account::state::AccountState;
use crate::cli::CheckArgs;
use crate::clock::Moment;
use crate::commands::check_presence::PresenceCheck;
use crate::commands::check_report::{self, CheckSummary};
use crate::config::{Config, ConfigError, Proxies};
use crate::exposition::{self, AccountView, ExporterInfo, TextFormat};
use crate::logging;
use crate::reload::Reloader;
use crate::secret::redact_value;
use crate::shutdown::ShutdownSignals;

/// How long the output may take after a signal.
const MAX_PRINT_TIME: Duration = Duration::from_secs(1);

/// A validated `check` command.
pub struct Check {
    config: Config,
    reloader: Reloader,
    print_metrics: bool,
}

/// A stream that the process writes to.
#[derive(Clone, Copy)]
enum Output {
    Stdout,
    Stderr,
}

/// Writes texts in order on another thread.
struct Printer {
    texts: UnboundedSender<(Output, String)>,
    /// Ends when all texts are written and the sender is dropped.
    task: JoinHandle<()>,
}

impl Check {
    /// Validates the flags that `serve` does not have.
    ///
    /// # Errors
    /// Returns an error if `--account` names an unknown account, or if the file of `--web.config.file` is invalid.
    pub fn new(args: &CheckArgs, mut config: Config) -> Result<Self, ConfigError> {
        let reloader = Reloader::new(&config.settings, None)?;
        if let Some(name) = &args.account {
            let accounts = config.accounts.iter();
            let names: Vec<_> = accounts.map(|account| account.name.clone()).collect();
            config.accounts.retain(|account| account.name == *name);
            if config.accounts.is_empty() {
                let names = names.join(", ");
                return Err(ConfigError(format!(
                    "--account: unknown account {}: expected one of {names}",
                    redact_value(name)
                )));
            }
        }
        Ok(Self {
            config,
            reloader,
            print_metrics: args.print_metrics,
        })
    }

    /// Checks the accounts one after the other.
    ///
    /// # Errors
    /// Returns an error if no signal handler can be registered, if the exposition cannot be encoded, or if a signal arrives
    /// before the output is written.
    pub async fn run(self) -> anyhow::Result<CheckSummary> {
        let settings = &self.config.settings;
        if settings.log.level >= tracing::Level::DEBUG {
            logging::init(settings.log);
        }
        let mut signals = ShutdownSignals::register()?;
        // A closed terminal must not end the check before the token is revoked.
        let _hangup = signal(SignalKind::hangup())?;
        let printer = Printer::start();
        let summary = self.check_and_revoke(&printer, &mut signals).await?;
        let interrupted = async {
            if summary.skipped.is_empty() {
                signals.recv().await;
            } else {
                sleep(MAX_PRINT_TIME).await;
            }
        };
        tokio::select! {
            () = printer.finish() => Ok(summary),
            () = interrupted => anyhow::bail!("interrupted before the output was written"),
        }
    }

    async fn check_and_revoke(
        &self,
        printer: &Printer,
        signals: &mut ShutdownSignals,
    ) -> anyhow::Result<CheckSummary> {
        let settings = &self.config.settings;
        let manager = self.reloader.accounts();
        manager.prepare_for_check();
        if let Err(error) = manager.apply(self.config.accounts.clone()) {
            return Ok(self.fail_all(printer, &error));
        }
        let accounts = manager.accounts();
        let summary = self.check_all(printer, &accounts, signals).await;
        let metrics = self.print_metrics.then(|| self.render_metrics(&accounts));
        let deadline = Moment::now().after(settings.timeouts.revoke + crate::SHUTDOWN_MARGIN);
        manager.shutdown(deadline.instant).await;
        if let Some(metrics) = metrics {
            printer.print(Output::Stdout, metrics);
        }
        Ok(summary)
    }

    /// Reports that no HTTP client can be built. The cause is this system, so one report is enough for all accounts.
    fn fail_all(&self, printer: &Printer, error: &anyhow::Error) -> CheckSummary {
        let mut summary = CheckSummary::default();
        for account in &self.config.accounts {
            if summary.failed.is_empty() {
                self.print(printer, check_report::header(account, self.proxies()));
                self.print(printer, check_report::tls_setup_failed(error));
            }
            summary.failed.push(account.name.clone());
        }
        self.print(printer, check_report::summary(&summary));
        summary
    }

    /// Checks accounts until a signal arrives, then skips the rest.
    async fn check_all(
        &self,
        printer: &Printer,
        accounts: &[AccountHandle],
        signals: &mut ShutdownSignals,
    ) -> CheckSummary {
        let mut summary = CheckSummary::default();
        let mut interrupted = false;
        for handle in accounts {
            let account = &handle.config;
            let name = account.name.clone();
            if interrupted {
                summary.skipped.push(name);
                continue;
            }
            self.print(printer, check_report::header(account, self.proxies()));
            let Some((state, presence)) = fetch_once(handle, signals).await else {
                self.print(printer, check_report::interrupted().to_owned());
                summary.skipped.push(name);
                interrupted = true;
                continue;
            };
            let max_age = self.config.settings.scrape.max_age;
            let presence = presence.as_ref();
            let report =
                check_report::account_report(account, &state, presence, max_age, Moment::now());
            self.print(printer, report);
            if state.last_fetch.is_some() && last_failure(&state).is_none() {
                summary.ok.push(name);
            } else {
                summary.failed.push(name);
            }
        }
        self.print(printer, check_report::summary(&summary));
        summary
    }

    fn render_metrics(&self, accounts: &[AccountHandle]) -> String {
        let exporter = ExporterInfo::collect(self.reloader.status());
        let settings = &self.config.settings;
        exposition::render(
            accounts.iter().map(AccountView::new),
            Some(&exporter),
            &settings.scrape,
            &settings.metrics,
            TextFormat::Prometheus,
            Moment::now(),
        )
    }

    fn proxies(&self) -> &Proxies {
        &self.config.settings.network.proxies
    }

    fn print(&self, printer: &Printer, text: String) {
        let output = if self.print_metrics {
            Output::Stderr
        } else {
            Output::Stdout
        };
        printer.print(output, text);
    }
}

/// Fetches the calls of an account, and then its presence if that is not off. Returns `None` after a signal.
async fn fetch_once(
    handle: &AccountHandle,
    signals: &mut ShutdownSignals,
) -> Option<(Arc<AccountState>, Option<PresenceView>)> {
    let state = tokio::select! {
        state = handle.collector.refresh() => state,
        () = signals.recv() => return None,
    };
    // After a failure there may be no token, and a penalty.
    let is_ok = state.last_fetch.is_some() && last_failure(&state).is_none();
    let Some(mut check) = PresenceCheck::new(handle).filter(|_| is_ok) else {
        return Some((state, None));
    };
    let view = tokio::select! {
        view = check.run() => Some(view),
        () = signals.recv() => None,
    };
    check.stop().await;
    // With the requests of presence.
    let state = handle.collector.state();
    Some((state, Some(view?)))
}

impl Printer {
    fn start() -> Self {
        let (texts, mut receiver) = mpsc::unbounded_channel::<(Output, String)>();
        let task = spawn_blocking(move || {
            while let Some((output, text)) = receiver.blocking_recv() {
                match output {
                    Output::Stdout => write_ignoring_errors(io::stdout(), &text),
                    Output::Stderr => write_ignoring_errors(io::stderr(), &text),
                }
            }
        });
        Self { texts, task }
    }

    fn print(&self, output: Output, text: String) {
        // The task ends before the sender is dropped only with the runtime.
        let _ = self.texts.send((output, text));
    }

    /// Waits until all texts are written.
    async fn finish(self) {
        drop(self.texts);
        let _ = self.task.await;
    }
}

/// Writes and flushes. A closed pipe must not keep the other accounts from being checked and the tokens from being revoked.
fn write_ignoring_errors(mut output: impl Write, text: &str) {
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
}
