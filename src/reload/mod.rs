//! What is read anew while the program runs.
//!
//! Owns: the one function that reloads ([`Reloader::reload`]), for whatever reason: a signal, a request, a file that has
//! changed. What it reads is exchanged whole or not at all, and how it went is what the two metrics say. Flags are read
//! at a start alone. The accounts of a configuration file will be read here as well.

mod watch;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use watch::Watch;

use crate::clock::Moment;
use crate::config::web::{RateLimit, WebConfig, complaint_place};
use crate::config::{Account, ConfigError, ConfigurationState, Web};
use crate::http::bucket::Bucket;
use crate::http::door::Door;
use crate::secret::SecretSource;

/// A request for a reload is obeyed once in this time.
const REQUESTS: RateLimit = RateLimit { interval: Duration::from_secs(1), burst: 1 };
/// A larger file is a mistake.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads anew, and keeps what was read.
pub struct Reloader {
    file: Option<PathBuf>,
    secrets: Vec<(String, SecretSource)>,
    requests: Mutex<Bucket>,
    // Never held over an await; whoever finds it poisoned finds a whole value all the same.
    kept: Mutex<Kept>,
}

struct Kept {
    door: Arc<Door>,
    state: ConfigurationState,
    watch: Watch,
}

impl Reloader {
    /// Reads for the first time. The secrets have been read already.
    ///
    /// # Errors
    /// What is wrong with the web configuration or a file that it names.
    pub fn new(web: &Web, accounts: &[Account]) -> Result<Self, ConfigError> {
        let now = Moment::now();
        let (door, watch) = match &web.config_file {
            None => (Door::default(), Watch::new(Vec::new(), now)),
            Some(file) => {
                let mut watch = Watch::new(vec![file.clone()], now);
                let reading = Reading::new(file, &Door::default());
                watch.also(&reading.files);
                (reading.door?, watch)
            }
        };
        let kept = Kept { door: Arc::new(door), state: ConfigurationState::read_at(now), watch };
        Ok(Self {
            file: web.config_file.clone(),
            secrets: accounts.iter().flat_map(secrets).collect(),
            requests: Mutex::new(Bucket::new(REQUESTS)),
            kept: Mutex::new(kept),
        })
    }

    /// The door that is in force. Looks first whether the files have changed, if the last look is a second old.
    pub fn door(&self) -> Arc<Door> {
        let now = Moment::now();
        let mut kept = self.kept();
        if self.file.is_some() && kept.watch.has_changed(now) {
            // It has told the log already.
            let _ = self.read_anew(&mut kept, "a file has changed", now);
        }
        kept.door.clone()
    }

    /// How the last reading went.
    pub fn state(&self) -> ConfigurationState {
        self.kept().state
    }

    /// Reads everything anew; what cannot be read stays as it was.
    ///
    /// # Errors
    /// What is wrong; it has been logged.
    pub fn reload(&self, cause: &str) -> Result<(), ConfigError> {
        self.read_anew(&mut self.kept(), cause, Moment::now())
    }

    /// The same for those who may ask too often.
    ///
    /// # Errors
    /// How long to wait, if the last request is less than a second old.
    pub fn reload_if_due(&self, cause: &str) -> Result<Result<(), ConfigError>, Duration> {
        let now: Instant = Moment::now().instant;
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(now)?;
        Ok(self.reload(cause))
    }

    fn read_anew(&self, kept: &mut Kept, cause: &str, now: Moment) -> Result<(), ConfigError> {
        let door = self.file.as_deref().map_or(Ok(()), |file| kept.read_door(file, now));
        let result = door.and_then(|()| self.check_secrets());
        kept.state.successful = result.is_ok();
        match &result {
            Ok(()) => {
                kept.state.read_well = now.wall;
                let (tls, login) = (kept.door.has_tls(), kept.door.has_login());
                tracing::info!(cause, tls, login, "the configuration was read anew");
                kept.door.warn();
            }
            Err(error) => tracing::error!(cause, %error, "the configuration was not read anew, the old one stays"),
        }
        result
    }

    /// They are used at the next login; here it is only seen whether they could be.
    fn check_secrets(&self) -> Result<(), ConfigError> {
        self.secrets.iter().try_for_each(|(name, source)| match source.read() {
            Ok(_) => Ok(()),
            Err(error) => Err(ConfigError(format!("{name}: {error}"))),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn read_door(&mut self, file: &Path, now: Moment) -> Result<(), ConfigError> {
        // Looked at before they are read: a change in between is a change after.
        let mut watch = Watch::new(self.watch.files(), now);
        let reading = Reading::new(file, &self.door);
        watch.also(&reading.files);
        if reading.door.is_ok() {
            watch.only(&reading.files);
        }
        self.watch = watch;
        self.door = Arc::new(reading.door?);
        Ok(())
    }
}

/// One reading of the web configuration, and the files that took part, whatever came of it.
struct Reading {
    files: Vec<PathBuf>,
    door: Result<Door, ConfigError>,
}

impl Reading {
    fn new(file: &Path, before: &Door) -> Self {
        let mut files = vec![file.to_owned()];
        let web = read(file).and_then(|text| WebConfig::parse(file, &text));
        let tls = web.as_ref().ok().and_then(|web| web.tls.as_ref());
        files.extend(tls.into_iter().flat_map(|tls| tls.files()).map(Path::to_owned));
        Self { files, door: web.and_then(|web| Door::new(file, web, before)) }
    }
}

/// The text of `--web.config.file`.
///
/// # Errors
/// When it cannot be read, is no text, or is larger than any such file.
pub fn read(file: &Path) -> Result<String, ConfigError> {
    let wrong = |what: &str| {
        let accepted = "a file in the form of Prometheus' exporter-toolkit";
        ConfigError(format!("{}: {what}; accepted is {accepted}", complaint_place(file)))
    };
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| wrong(&format!("it cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))
}

fn secrets(account: &Account) -> [(String, SecretSource); 2] {
    let named = |what: &str, source: &SecretSource| (format!("account {}: {what}", account.name), source.clone());
    [named("the app's client secret", &account.client_secret), named("the user's JWT", &account.jwt)]
}
