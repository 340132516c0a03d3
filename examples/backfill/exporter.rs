//! The exporter's stages on simulated time.
//!
//! The client reads the clock itself, so this calls the pure stages in the same order as collector and client do, with the
//! time as an argument.

use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::account::metrics::AccountMetrics;
use ringcentral_exporter::account::state::AccountState;
use ringcentral_exporter::account::state::{FetchReport, TimedDirectory, TimedSnapshot};
use ringcentral_exporter::calls::{Call, CallTracker, ExtensionLabel, LabelLimiter, Snapshot};
use ringcentral_exporter::clock::{Moment, unix_seconds};
use ringcentral_exporter::config::{self, Level, Metrics, ReloadStatus, Scrape, Timeouts};
use ringcentral_exporter::exposition::{self, AccountView, TextFormat, render};
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::status::ApiStatus;
use ringcentral_exporter::ringcentral::token::{TokenState, TokenStatus};
use ringcentral_exporter::ringcentral::wire::{ApiError, TokenResponse};
use ringcentral_exporter::ringcentral::{Error, Operation};
use ringcentral_exporter::secret::SecretSource;
use secrecy::SecretString;

use crate::account::Account;

const SCRAPE: Scrape = Scrape {
    min_interval: Duration::ZERO,
    timeout_offset: Duration::from_millis(500),
    max_age: Duration::from_secs(120),
};
const METRICS: Metrics = Metrics {
    extension_label: ExtensionLabel::Number,
    extension_info: true,
    extension_calls: true,
    extension_presence: false,
    max_extensions: 10_000,
};
const TOKEN_SECONDS: u64 = 3600;
/// Refresh interval of the list of extensions, and the retry interval after a failure: as in `account::directory_cache`.
const DIRECTORY_EVERY: Duration = Duration::from_secs(60 * 60);
const DIRECTORY_AGAIN: Duration = Duration::from_secs(5 * 60);

/// An exporter since its start.
pub struct Exporter {
    config: config::Account,
    started: Moment,
    labels: LabelLimiter,
    tracker: CallTracker,
    instruments: AccountMetrics,
    budget: Budget,
    auth: TokenState,
    directory_due: Moment,
    known: AccountState,
}

/// End of a request: its time, and whether it succeeded.
type Answered = (Moment, Result<(), Error>);

impl Exporter {
    /// Creates an exporter that has sent no request yet.
    pub fn new(limit: u64, jwt_expiry: f64, now: Moment) -> anyhow::Result<Self> {
        let config = account(limit)?;
        let api = ApiStatus {
            jwt_expiry: Some(jwt_expiry),
            ..ApiStatus::default()
        };
        Ok(Self {
            started: now,
            labels: LabelLimiter::new(METRICS.extension_label, METRICS.max_extensions),
            tracker: CallTracker::default(),
            instruments: AccountMetrics::new(&config.name, METRICS.extension_calls, now)?,
            budget: Budget::new(SCRAPE.min_interval),
            auth: TokenState::new(&Timeouts::default()),
            directory_due: now,
            known: AccountState {
                api,
                ..AccountState::default()
            },
            config,
        })
    }

    /// Returns the response to a scrape at `now` and its time, then runs maintenance.
    pub async fn scrape(
        &mut self,
        account: &mut Account,
        now: Moment,
    ) -> anyhow::Result<(String, Moment)> {
        let answered = if self.may_fetch(now) {
            self.fetch(account, now).await?
        } else {
            now
        };
        self.renew_standing(now);
        let text = self.render(answered);
        self.tend(account, answered);
        Ok((text, answered))
    }

    fn may_fetch(&mut self, now: Moment) -> bool {
        let may_begin =
            self.auth.status(now) != TokenStatus::Missing || self.may_ask(Operation::Token, now);
        may_begin && self.budget.try_start_fetch(now)
    }

    /// Logs in if needed, then fetches the list; the first fetch also reads the list of extensions.
    async fn fetch(&mut self, account: &mut Account, started: Moment) -> anyhow::Result<Moment> {
        let (taken, begun) = match self.auth.status(started) {
            TokenStatus::Missing => self.log_in(account, started),
            TokenStatus::Valid | TokenStatus::RenewalDue => (started, Ok(())),
        };
        let (answered, outcome) = match begun {
            Ok(()) => self.fetch_pages(account, taken),
            failed => (taken, failed),
        };
        self.report(&outcome, answered.saturating_duration_since(started));
        if outcome.is_err() {
            return Ok(answered);
        }
        self.known.api.account_id = Some(account.id());
        let ready = if self.known.directory.is_none() {
            self.read_directory(account, answered)
        } else {
            answered
        };
        self.take(&account.calls(taken).await?, taken);
        Ok(ready)
    }

    /// Fetches the list, which never has a second page for this company.
    fn fetch_pages(&mut self, account: &mut Account, taken: Moment) -> Answered {
        let (answered, outcome) = self.request(account, Operation::ActiveCalls, taken);
        let pages = if outcome.is_ok() {
            PageCount::Exact(1)
        } else {
            PageCount::AtLeast(1)
        };
        self.budget.finish_fetch(Some(pages), answered);
        (answered, outcome)
    }

    fn report(&mut self, outcome: &Result<(), Error>, took: Duration) {
        let failure = outcome.as_ref().err().cloned();
        let pages = u32::from(failure.is_none());
        self.known.last_fetch = Some(FetchReport {
            failure,
            duration: took,
            pages,
        });
    }

    fn take(&mut self, calls: &[Call], taken: Moment) {
        let news = self.tracker.update(calls, taken);
        self.instruments
            .record_events(&news, &mut self.labels, taken);
        let snapshot = Snapshot::from_calls(calls, &mut self.labels);
        self.instruments
            .init_extensions(snapshot.extensions(), taken);
        self.known.snapshot = Some(TimedSnapshot {
            snapshot: Arc::new(snapshot),
            fetched_at: taken,
        });
    }

    fn tend(&mut self, account: &mut Account, mut now: Moment) {
        if self.auth.status(now) == TokenStatus::RenewalDue && self.may_ask(Operation::Token, now) {
            let renewed;
            (now, renewed) = self.log_in(account, now);
            if renewed.is_err() {
                self.auth.on_renewal_failed(now);
            }
        }
        let has_token = self.auth.status(now) != TokenStatus::Missing;
        if has_token && self.directory_due.is_past(now) && self.may_ask(Operation::Extensions, now)
        {
            self.read_directory(account, now);
        }
    }

    fn log_in(&mut self, account: &mut Account, now: Moment) -> Answered {
        let (answered, outcome) = self.request(account, Operation::Token, now);
        if outcome.is_ok() {
            let access_token = SecretString::from("simulated");
            self.auth.set_token(
                TokenResponse {
                    access_token,
                    expires_in: Some(TOKEN_SECONDS),
                    user: None,
                },
                SecretString::from("simulated"),
                answered,
            );
        }
        (answered, outcome)
    }

    fn read_directory(&mut self, account: &mut Account, now: Moment) -> Moment {
        let (read, outcome) = self.request(account, Operation::Extensions, now);
        self.directory_due = read.after(if outcome.is_ok() {
            DIRECTORY_EVERY
        } else {
            DIRECTORY_AGAIN
        });
        if outcome.is_ok() {
            let directory = Arc::new(account.directory());
            self.labels.set_directory(directory.clone());
            self.known.directory = Some(TimedDirectory {
                directory,
                fetched_at: read,
            });
        }
        read
    }

    fn may_ask(&self, operation: Operation, now: Moment) -> bool {
        self.budget.next_request_at(operation, now).is_past(now)
    }

    /// Records the request as the transport does.
    fn request(&mut self, account: &mut Account, operation: Operation, sent: Moment) -> Answered {
        assert!(
            self.budget.try_request(operation, sent),
            "the budget allows it"
        );
        self.instruments.api.record_request(operation);
        let (notice, took) = account.answer(operation, sent);
        let answered = sent.after(took);
        self.instruments.api.observe_duration(operation, took);
        self.budget
            .record_response(operation, Some(&notice), answered);
        if notice.status == 200 {
            return (answered, Ok(()));
        }
        let error = Error::from_response(operation, notice.status, ApiError::default(), None);
        self.instruments.api.record_failure(operation, error.reason);
        (answered, Err(error))
    }

    fn renew_standing(&mut self, now: Moment) {
        let blocked = |operation: Operation| (operation, self.budget.blocked_until(operation));
        let api = &mut self.known.api;
        api.blocked_until = Operation::ALL.into_iter().map(blocked).collect();
        api.rate_limits = self.budget.reported_limits();
        api.next_fetch_at = Some(self.budget.next_fetch_at(now));
        api.token_expiry = self.auth.expiry();
    }

    fn render(&self, now: Moment) -> String {
        let observation = Arc::new(AccountState {
            snapshot: self.known.snapshot.clone(),
            last_fetch: self.known.last_fetch.clone(),
            api: self.known.api.clone(),
            directory: self.known.directory.clone(),
            ..AccountState::default()
        });
        let view = AccountView {
            account: &self.config,
            state: observation,
            counters: &self.instruments,
            presence: None,
        };
        render(
            [view],
            Some(&self.exporter()),
            &SCRAPE,
            &METRICS,
            TextFormat::Prometheus,
            now,
        )
    }

    /// Returns the stats of this tool's process, with the simulated start time.
    fn exporter(&self) -> exposition::ExporterInfo {
        let mut exporter = exposition::ExporterInfo::collect(ReloadStatus::loaded_at(self.started));
        if let Some(process) = &mut exporter.process {
            process.start = unix_seconds(self.started.wall);
        }
        exporter
    }
}

fn account(limit: u64) -> anyhow::Result<config::Account> {
    let secret = SecretSource::Value(SecretString::from("simulated"));
    Ok(config::Account {
        name: "default".to_owned(),
        server: "https://platform.ringcentral.com".parse()?,
        client_id: "simulated".to_owned(),
        client_secret: secret.clone(),
        jwt: secret,
        account_id: "~".to_owned(),
        level: Level::Account,
        presence: config::PresenceMode::Off,
        concurrent_calls_limit: Some(limit),
        ca: None,
    })
}
