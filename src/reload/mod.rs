//! Reloads the configuration while the exporter runs: on SIGHUP, on `POST /-/reload`, and when a
//! file has changed.
//!
//! The web configuration and the accounts are replaced completely, or not at all if anything is
//! invalid. A changed file reloads only the web configuration: the accounts and their secrets are
//! reloaded only on request. Flags are read only at start.

mod file_watcher;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use file_watcher::FileWatcher;

use crate::account::manager::{AccountManager, ReloadSummary};
use crate::clock::Moment;
use crate::config::web::{RateLimit, WebConfig, error_prefix};
use crate::config::{Account, ConfigError, ReloadStatus, Settings, read_accounts};
use crate::file;
use crate::state_directory::StateDirectory;
use crate::web::access::AccessControl;
use crate::web::rate_limiter::TokenBucket;

/// Limit of `POST /-/reload`.
const REQUEST_LIMIT: RateLimit = RateLimit {
    interval: Duration::from_secs(1),
    burst: 1,
};
/// Maximum size of `--web.config.file`.
const MAX_BYTES: u64 = 1024 * 1024;

/// Result of a rate-limited reload.
#[derive(Debug)]
pub(crate) enum ReloadResult {
    /// The configuration has been reloaded.
    Done,
    /// The configuration is invalid, and the previous one is kept.
    Failed(ConfigError),
    /// Nothing was read; the next reload is allowed after this time.
    TooSoon(Duration),
}

/// Loads and reloads the configuration.
pub struct Reloader {
    web_config_file: Option<PathBuf>,
    accounts_file: Option<PathBuf>,
    accounts: Arc<AccountManager>,
    request_limiter: TokenBucket,
    // Never held across an await. Valid even if poisoned, as each field is replaced as a whole.
    loaded: Mutex<Loaded>,
}

/// What a reload has read: the web configuration, and the accounts unless only a file changed.
type LoadedFiles = (Arc<AccessControl>, Option<ReloadSummary>);

struct Loaded {
    access: Arc<AccessControl>,
    status: ReloadStatus,
    /// The error of the last reload of the accounts. A reload of only the web configuration does
    /// not change it.
    accounts_error: Option<ConfigError>,
    /// Whether a reload of all files ended at the web configuration, before the accounts.
    are_accounts_pending: bool,
    watcher: FileWatcher,
}

impl Reloader {
    /// Loads the web configuration. The accounts have been read already, from `accounts_file` if
    /// there is one, and are not running yet.
    ///
    /// # Errors
    /// Returns an error if the web configuration or a file that it names is invalid.
    pub fn new(settings: &Settings, accounts_file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let now = Moment::now();
        let directory = settings.state.directory.as_deref();
        let state = directory
            .map(StateDirectory::open)
            .transpose()?
            .map(Arc::new);
        let web_config_file = settings.web.config_file.clone();
        let mut loaded = Loaded {
            access: Arc::default(),
            status: ReloadStatus::loaded_at(now),
            accounts_error: None,
            are_accounts_pending: false,
            watcher: FileWatcher::new(now),
        };
        if let Some(file) = &web_config_file {
            loaded.access = loaded.load_access(file, now)?;
        }
        Ok(Self {
            web_config_file,
            accounts_file,
            accounts: Arc::new(AccountManager::new(settings, state)),
            request_limiter: TokenBucket::new(REQUEST_LIMIT),
            loaded: Mutex::new(loaded),
        })
    }

    /// Returns the current access control.
    pub fn access(&self) -> Arc<AccessControl> {
        self.lock().access.clone()
    }

    /// Returns the accounts.
    pub fn accounts(&self) -> &Arc<AccountManager> {
        &self.accounts
    }

    /// Returns the status of the last reload.
    pub fn status(&self) -> ReloadStatus {
        self.lock().status.clone()
    }

    /// Reloads the web configuration if one of its files has changed, and then the accounts if they
    /// are pending. Checks the files at most once a second.
    pub(crate) fn reload_if_changed(&self) {
        let Some(file) = &self.web_config_file else {
            return;
        };
        let now = Moment::now();
        let mut loaded = self.lock();
        if loaded.watcher.poll_changes(now) {
            let result = if loaded.are_accounts_pending {
                self.load(&mut loaded, now)
            } else {
                loaded.load_access(file, now).map(|access| (access, None))
            };
            // An error is logged.
            let _ = loaded.finish(result, "file change", now);
        }
    }

    /// Reloads the web configuration, the accounts and their secrets.
    ///
    /// # Errors
    /// Returns an error if anything is invalid; it has been logged, and the previous configuration
    /// is kept.
    pub fn reload(&self, trigger: &str) -> Result<(), ConfigError> {
        let now = Moment::now();
        let mut loaded = self.lock();
        let result = self.load(&mut loaded, now);
        loaded.finish(result, trigger, now)
    }

    /// Reloads the configuration, at most once a second.
    pub(crate) fn reload_rate_limited(&self, trigger: &str) -> ReloadResult {
        let now = Moment::now().instant;
        if let Err(wait) = self.request_limiter.try_acquire(now) {
            return ReloadResult::TooSoon(wait);
        }
        match self.reload(trigger) {
            Ok(()) => ReloadResult::Done,
            Err(error) => ReloadResult::Failed(error),
        }
    }

    /// Reads all files. The accounts come last, as their changes take effect immediately.
    fn load(&self, loaded: &mut Loaded, now: Moment) -> Result<LoadedFiles, ConfigError> {
        let watcher = loaded.watcher.clone();
        loaded.are_accounts_pending = true;
        let access = match &self.web_config_file {
            Some(file) => loaded.load_access(file, now)?,
            None => loaded.access.clone(),
        };
        let result = self.reload_accounts();
        loaded.are_accounts_pending = false;
        loaded.accounts_error = result.as_ref().err().cloned();
        if result.is_err() {
            // The files of the web configuration count as not read, so that the next check reloads
            // them.
            loaded.watcher = watcher;
        }
        Ok((access, Some(result?)))
    }

    /// Reloads the accounts of `--config.file`. Without this file the accounts stay, and only their
    /// secrets are checked.
    fn reload_accounts(&self) -> Result<ReloadSummary, ConfigError> {
        let mut accounts = Vec::new();
        if let Some(file) = &self.accounts_file {
            accounts = read_accounts(file)?;
            self.warn_of_flags(&accounts, file);
        } else {
            for handle in self.accounts.accounts().iter() {
                check_secrets(&handle.config)?;
                accounts.push(Account::clone(&handle.config));
            }
        }
        self.accounts
            .apply(accounts)
            .map_err(|error| ConfigError(format!("{error:#}")))
    }

    /// Warns of flags with which a start would fail. They do not hold a reload, since it must always turn presence off.
    fn warn_of_flags(&self, accounts: &[Account], file: &Path) {
        let settings = self.accounts.settings();
        if let Err(error) = settings.check_presence(accounts, Some(file)) {
            tracing::warn!(%error, "the next start with this configuration fails");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// Reads the web configuration and its files. They are watched from now on, even if they are
    /// invalid.
    fn load_access(&mut self, file: &Path, now: Moment) -> Result<Arc<AccessControl>, ConfigError> {
        self.watcher = FileWatcher::new(now);
        self.watcher.watch(file);
        let config = parse(file, &mut self.watcher)?;
        let access = AccessControl::from_config(file, config, &self.access)?;
        Ok(Arc::new(access))
    }

    /// Applies and logs the result of a reload.
    fn finish(
        &mut self,
        result: Result<LoadedFiles, ConfigError>,
        trigger: &str,
        now: Moment,
    ) -> Result<(), ConfigError> {
        let (access, summary) = match result {
            Ok(files) => files,
            Err(error) => {
                self.status.error = Some(error.clone());
                tracing::error!(trigger, %error, "configuration reload failed, keeping the previous one");
                return Err(error);
            }
        };
        self.access = access;
        self.status.error = self.accounts_error.clone();
        if self.status.error.is_none() {
            self.status.last_success = now.wall;
        }
        tracing::info!(
            trigger,
            tls = self.access.has_tls(),
            basic_auth = self.access.has_basic_auth(),
            accounts = summary.map(|summary| summary.running),
            added = summary.map(|summary| summary.added),
            removed = summary.map(|summary| summary.removed),
            "configuration reloaded"
        );
        self.access.log_warnings();
        Ok(())
    }
}

/// Parses the web configuration. The files that it names are watched before they are read, so that
/// a change while they are read is noticed.
fn parse(file: &Path, watcher: &mut FileWatcher) -> Result<WebConfig, ConfigError> {
    let config = WebConfig::parse(file, &read(file)?)?;
    if let Some(tls) = &config.tls {
        for file in tls.files() {
            watcher.watch(file);
        }
    }
    Ok(config)
}

/// Checks that the secrets can be read. They are used at the next login.
fn check_secrets(account: &Account) -> Result<(), ConfigError> {
    let secrets = [
        ("client secret", &account.client_secret),
        ("JWT", &account.jwt),
    ];
    for (name, source) in secrets {
        if let Err(error) = source.read() {
            let account = &account.name;
            return Err(ConfigError(format!("account {account}: {name}: {error}")));
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let error = |what: &str| {
        let expected = "expected a file in the format of the Prometheus exporter-toolkit";
        ConfigError(format!("{}: {what}: {expected}", error_prefix(file)))
    };
    let bytes = file::read(file, MAX_BYTES).map_err(|cause| error(&cause.to_string()))?;
    String::from_utf8(bytes).map_err(|_| error("invalid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_changed_before_it_is_read_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yml");
        std::fs::write(
            &file,
            "tls_server_config: {cert_file: a.crt, key_file: a.key}",
        )
        .unwrap();
        let now = Moment::now();
        let mut watcher = FileWatcher::new(now);
        watcher.watch(&file);
        parse(&file, &mut watcher).unwrap();
        std::fs::write(folder.path().join("a.crt"), "another").unwrap();
        assert!(watcher.poll_changes(now.after(Duration::from_secs(10))));
    }
}
