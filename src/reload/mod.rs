//! What is read anew while the program runs.
//!
//! Owns: the one function that reloads ([`Reloader::reload`]), for whatever reason: a signal, a request, a file that has
//! changed. What it reads is exchanged whole or not at all, and how it went is what the two metrics say. Flags are read
//! at a start alone; accounts, those of `--config.file` and the secrets of all, when somebody asks for it.

mod file_watcher;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use file_watcher::FileWatcher;
use tokio::time::Instant;

use crate::account::manager::{AccountManager, ReloadSummary};
use crate::clock::Moment;
use crate::config::web::{RateLimit, WebConfig, error_prefix};
use crate::config::{Account, ConfigError, ReloadStatus, Settings, read_accounts};
use crate::file;
use crate::secret::SecretSource;
use crate::web::access::AccessControl;
use crate::web::rate_limiter::TokenBucket;

/// A request for a reload is obeyed once in this time.
const REQUESTS: RateLimit = RateLimit {
    interval: Duration::from_secs(1),
    burst: 1,
};
/// A larger file is a mistake.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads anew, and keeps what was read.
pub struct Reloader {
    file: Option<PathBuf>,
    accounts_file: Option<PathBuf>,
    accounts: Arc<AccountManager>,
    requests: Mutex<TokenBucket>,
    // Never held over an await; whoever finds it poisoned finds a whole value all the same.
    kept: Mutex<Kept>,
}

struct Kept {
    door: Arc<AccessControl>,
    state: ReloadStatus,
    /// Whether the accounts could be read when somebody last asked for it: a file that changes does not mend them.
    accounts_well: bool,
    watch: FileWatcher,
}

impl Reloader {
    /// Reads the web configuration for the first time. The accounts have been read already, from `accounts_file` if there
    /// is one, and do not run yet.
    ///
    /// # Errors
    /// What is wrong with the web configuration or a file that it names.
    pub fn new(common: &Settings, accounts_file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let web = &common.web;
        let now = Moment::now();
        let mut watch = FileWatcher::new(web.config_file.iter().cloned().collect(), now);
        let door = match &web.config_file {
            None => AccessControl::default(),
            Some(file) => {
                AccessControl::new(file, parse(file, &mut watch)?, &AccessControl::default())?
            }
        };
        let kept = Kept {
            door: Arc::new(door),
            state: ReloadStatus::loaded_at(now),
            accounts_well: true,
            watch,
        };
        Ok(Self {
            file: web.config_file.clone(),
            accounts_file,
            accounts: Arc::new(AccountManager::new(common)),
            requests: Mutex::new(TokenBucket::new(REQUESTS)),
            kept: Mutex::new(kept),
        })
    }

    /// The door that is in force. Looks first whether the files have changed, if the last look is a second old.
    pub fn access(&self) -> Arc<AccessControl> {
        let now = Moment::now();
        let mut kept = self.kept();
        if self.file.is_some() && kept.watch.has_changed(now) {
            // It has told the log already.
            let _ = self.reload_locked(&mut kept, "a file has changed", None, now);
        }
        kept.door.clone()
    }

    /// The accounts that run.
    pub fn accounts(&self) -> &Arc<AccountManager> {
        &self.accounts
    }

    /// How the last reading went.
    pub fn status(&self) -> ReloadStatus {
        self.kept().state
    }

    /// Reads everything anew; if anything cannot be read, all stays as it was.
    ///
    /// # Errors
    /// What is wrong; it has been logged.
    pub fn reload(&self, cause: &str) -> Result<(), ConfigError> {
        self.reload_locked(
            &mut self.kept(),
            cause,
            Some(&|| self.reload_accounts()),
            Moment::now(),
        )
    }

    /// The same for those who may ask too often.
    ///
    /// # Errors
    /// How long to wait, if the last request is less than a second old.
    pub fn reload_rate_limited(&self, cause: &str) -> Result<Result<(), ConfigError>, Duration> {
        let now: Instant = Moment::now().instant;
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_acquire(now)?;
        Ok(self.reload(cause))
    }

    /// The accounts are left out where a file has changed: nobody watches theirs. If they cannot be read, the files of the
    /// door count as unread too, and the next look takes them by themselves.
    fn reload_locked(
        &self,
        kept: &mut Kept,
        cause: &str,
        accounts: Option<&dyn Fn() -> Result<ReloadSummary, ConfigError>>,
        now: Moment,
    ) -> Result<(), ConfigError> {
        let former = kept.watch.clone();
        let door = self
            .file
            .as_deref()
            .map(|file| kept.load_access(file, now))
            .transpose();
        let result = door.and_then(|door| {
            let read = accounts.map(|exchange| exchange()).transpose();
            kept.accounts_well = if accounts.is_some() {
                read.is_ok()
            } else {
                kept.accounts_well
            };
            read.inspect_err(|_| kept.watch = former)
                .map(|exchange| (door, exchange))
        });
        kept.state.last_reload_successful = result.is_ok() && kept.accounts_well;
        match result {
            Ok((door, exchange)) => kept.install(door, exchange, cause, now),
            Err(error) => {
                tracing::error!(cause, %error, "the configuration was not read anew, the old one stays");
                return Err(error);
            }
        }
        Ok(())
    }

    /// Without a file the accounts are as they were, and perhaps their secrets are not.
    fn reload_accounts(&self) -> Result<ReloadSummary, ConfigError> {
        let accounts = match &self.accounts_file {
            Some(file) => read_accounts(file)?,
            None => self
                .accounts
                .accounts()
                .iter()
                .map(|it| Account::clone(&it.account))
                .collect(),
        };
        if self.accounts_file.is_none() {
            accounts.iter().try_for_each(check_secrets)?;
        }
        self.accounts
            .apply(accounts)
            .map_err(|error| ConfigError(format!("{error:#}")))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The door as the files would have it now. They are watched from here on, whatever comes of it.
    fn load_access(&mut self, file: &Path, now: Moment) -> Result<Arc<AccessControl>, ConfigError> {
        // Looked at before they are read: a change in between is a change after.
        self.watch = FileWatcher::new(self.watch.files(), now);
        let web = parse(file, &mut self.watch)?;
        let files = files(file, &web);
        let door = AccessControl::new(file, web, &self.door)?;
        self.watch.retain(&files);
        Ok(Arc::new(door))
    }

    fn install(
        &mut self,
        door: Option<Arc<AccessControl>>,
        exchange: Option<ReloadSummary>,
        cause: &str,
        now: Moment,
    ) {
        self.door = door.unwrap_or_else(|| self.door.clone());
        if self.accounts_well {
            self.state.last_success = now.wall;
        }
        let (tls, login) = (self.door.has_tls(), self.door.has_basic_auth());
        tracing::info!(
            cause,
            tls,
            login,
            accounts = exchange.map(|it| it.running),
            added = exchange.map(|it| it.added),
            removed = exchange.map(|it| it.removed),
            "the configuration was read anew"
        );
        self.door.log_warnings();
    }
}

/// What the file says. What it names is watched before anybody reads it, for the same reason as the file itself.
fn parse(file: &Path, watch: &mut FileWatcher) -> Result<WebConfig, ConfigError> {
    let web = WebConfig::parse(file, &read(file)?)?;
    watch.watch(&files(file, &web));
    Ok(web)
}

fn files(file: &Path, web: &WebConfig) -> Vec<PathBuf> {
    let named = web
        .tls
        .iter()
        .flat_map(|tls| tls.files())
        .map(Path::to_owned);
    [file.to_owned()].into_iter().chain(named).collect()
}

/// They are used at the next login; here it is only seen whether they could be.
fn check_secrets(account: &Account) -> Result<(), ConfigError> {
    let secrets = [
        ("the app's client secret", &account.client_secret),
        ("the user's JWT", &account.jwt),
    ];
    secrets
        .into_iter()
        .try_for_each(|(what, source): (_, &SecretSource)| match source.read() {
            Ok(_) => Ok(()),
            Err(error) => Err(ConfigError(format!(
                "account {}: {what}: {error}",
                account.name
            ))),
        })
}

/// The text of `--web.config.file`.
///
/// # Errors
/// When it cannot be read, is no text, or is larger than any such file.
fn read(file: &Path) -> Result<String, ConfigError> {
    let wrong = |what: &str| {
        let accepted = "a file in the form of Prometheus' exporter-toolkit";
        ConfigError(format!(
            "{}: {what}; accepted is {accepted}",
            error_prefix(file)
        ))
    };
    let bytes = file::read(file, MAX_BYTES).map_err(|error| wrong(&error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_that_changes_before_it_is_read_has_changed_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yml");
        std::fs::write(
            &file,
            "tls_server_config: {cert_file: a.crt, key_file: a.key}",
        )
        .unwrap();
        let now = Moment::now();
        let mut watch = FileWatcher::new(vec![file.clone()], now);
        parse(&file, &mut watch).unwrap();
        std::fs::write(folder.path().join("a.crt"), "another").unwrap();
        assert!(watch.has_changed(now.after(Duration::from_secs(10))));
    }
}
