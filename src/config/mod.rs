//! The validated configuration, and the flags that it consists of.
//!
//! Every mistake is one line that names the flag, variable or key, what is wrong, and what is
//! expected.

mod account;
mod accounts_file;
mod flags;
mod proxy;
pub(crate) mod setting;
pub mod web;
mod yaml;

use std::fmt::Debug;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use account::parse_presence;
pub use account::{Account, Level, PresenceMode};
pub use accounts_file::read_accounts;
use clap::{ArgMatches, Args, ValueEnum, ValueHint};
pub use flags::{AccountArgs, reject_jwts};
use jiff::{SignedDuration, Timestamp};
pub(crate) use proxy::is_loopback;
pub use proxy::{Proxies, Proxy};
use setting::{
    ParseResult, Setting, StateDirectoryParser, parse_count, parse_duration, parse_listen_address,
    parse_path, parse_positive_duration,
};

use crate::calls::ExtensionLabel;
use crate::clock::Moment;
use crate::secret::redact_path;

/// The time between two reads of the presence list with events.
const DEFAULT_AUDIT_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The accounts, in the order of their file.
    pub accounts: Vec<Account>,
    /// The file of `--config.file`, if the accounts come from one.
    pub accounts_file: Option<PathBuf>,
    /// Everything that is not about an account.
    pub settings: Settings,
}

/// The flags that are not about an account.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The HTTP server.
    #[command(flatten)]
    pub web: Web,
    /// The metrics.
    #[command(flatten)]
    pub metrics: Metrics,
    /// The fetches.
    #[command(flatten)]
    pub scrape: Scrape,
    /// The presence of extensions.
    #[command(flatten)]
    pub presence: Presence,
    /// The state that outlives a restart.
    #[command(flatten)]
    pub state: State,
    /// The log.
    #[command(flatten)]
    pub log: Log,
    /// The timeouts of API requests; no flag changes them.
    #[arg(skip)]
    pub timeouts: Timeouts,
    /// The proxies, which variables set.
    #[arg(skip)]
    pub network: Network,
}

/// The flags of the HTTP server.
#[derive(Args, Clone, Debug)]
pub struct Web {
    /// Address to listen on, repeatable; without a host all interfaces
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    #[arg(default_value = ":10072", value_parser = parse_listen_address)]
    pub listen_addresses: Vec<String>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH")]
    #[arg(default_value = "/metrics", value_parser = parse_telemetry_path)]
    pub telemetry_path: String,
    /// File with TLS, basic auth and headers, as in Prometheus' exporter-toolkit [default: plain
    /// HTTP, no authentication]
    #[arg(long = "web.config.file", value_name = "FILE", value_parser = parse_path)]
    pub config_file: Option<PathBuf>,
    /// Allow POST /-/reload to reload the files; SIGHUP always does
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
}

/// The flags of the metrics.
#[derive(Args, Clone, Copy, Debug)]
pub struct Metrics {
    /// Value of the label `extension`: number, id or off
    #[arg(long = "metrics.extension-label", value_name = "number|id|off")]
    #[arg(default_value = "number", value_parser = parse_extension_label)]
    pub extension_label: ExtensionLabel,
    /// Export names, types and states of extensions, which are personal data
    #[arg(long = "metrics.extension-info")]
    pub extension_info: bool,
    /// Count ended calls by extension
    #[arg(long = "metrics.extension-calls")]
    pub extension_calls: bool,
    /// Export the telephony status of each extension, which is personal data; needs --ringcentral.presence
    #[arg(long = "metrics.extension-presence")]
    pub extension_presence: bool,
    /// Maximum number of distinct values of the label `extension`; later ones become `other`
    #[arg(long = "metrics.max-extensions", value_name = "NUMBER")]
    #[arg(default_value = "10000", value_parser = parse_count::<usize>)]
    pub max_extensions: usize,
}

/// The flags of the fetches.
#[derive(Args, Clone, Copy, Debug)]
pub struct Scrape {
    /// Minimum time between two fetches; auto is as short as the API's rate limit allows. From 100s on
    /// calls go uncounted
    #[arg(long = "scrape.min-interval", value_name = "DURATION")]
    #[arg(default_value = "auto", value_parser = parse_min_interval)]
    pub min_interval: Duration,
    /// Time by which a scrape is answered before Prometheus' timeout
    #[arg(long = "scrape.timeout-offset", value_name = "DURATION")]
    #[arg(default_value = "500ms", value_parser = parse_duration)]
    pub timeout_offset: Duration,
    /// Maximum age of the last snapshot that is shown while fetches fail
    #[arg(long = "scrape.max-age", value_name = "DURATION")]
    #[arg(default_value = "2m", value_parser = parse_positive_duration)]
    pub max_age: Duration,
}

/// The flags of presence that are not about an account.
#[derive(Args, Clone, Copy, Debug)]
pub struct Presence {
    /// How often --ringcentral.presence=events reads the list of all extensions, to correct what events have missed;
    /// for all accounts [default: 10m]
    #[arg(id = "presence_audit", long = "ringcentral.presence-audit")]
    #[arg(value_name = "DURATION", value_parser = parse_audit_interval)]
    pub audit: Option<Duration>,
}

/// The flags of the state that outlives a restart.
#[derive(Args, Clone, Debug, Default)]
pub struct State {
    /// Directory that keeps used rate limits, penalties and counted calls over a restart
    #[arg(
        long = "state.directory",
        value_name = "DIRECTORY",
        env = "STATE_DIRECTORY"
    )]
    #[arg(hide_env_values = true, value_parser = StateDirectoryParser, value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
}

/// The flags of the log.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Minimum level of log messages: error, warn, info, debug or trace
    #[arg(id = "log.level", long = "log.level", value_name = "LEVEL")]
    #[arg(default_value = "info", value_parser = parse_log_level)]
    pub level: tracing::Level,
    /// Format of log messages: logfmt or json
    #[arg(long = "log.format", value_name = "FORMAT")]
    #[arg(default_value = "logfmt", hide_possible_values = true)]
    pub format: LogFormat,
}

/// The format of log messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// How servers are reached.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The proxies that the environment sets.
    pub proxies: Proxies,
    /// Looks up host names in place of the system's resolver. No flag sets it; tests do.
    pub lookup: Option<Arc<dyn NameLookup>>,
}

impl Presence {
    /// Returns the time between two reads of the list with events.
    pub(crate) fn audit_interval(&self) -> Duration {
        self.audit.unwrap_or(DEFAULT_AUDIT_INTERVAL)
    }
}

/// A table of host names, for tests.
pub trait NameLookup: Debug + Send + Sync {
    /// Returns the addresses of a host name.
    fn look_up(&self, name: &str) -> Vec<IpAddr>;
}

/// The timeouts of API requests. No flag changes them; tests do.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// One request, from sending to the last byte of its response, redirects included: 10 s.
    pub request: Duration,
    /// All pages of one fetch: 30 s.
    pub fetch: Duration,
    /// The revocation of the token at shutdown: 2 s.
    pub revoke: Duration,
    /// The wait after the first refused login, doubled by each further one: 60 s.
    pub login_backoff_min: Duration,
    /// The longest wait after refused logins: 15 min.
    pub login_backoff_max: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            fetch: Duration::from_secs(30),
            revoke: Duration::from_secs(2),
            login_backoff_min: Duration::from_secs(60),
            login_backoff_max: Duration::from_secs(15 * 60),
        }
    }
}

/// The result of the last configuration reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadStatus {
    /// Why the last reload failed. `None` if it succeeded.
    pub error: Option<ConfigError>,
    /// The time of the last successful reload.
    pub last_success: Timestamp,
}

impl ReloadStatus {
    /// Returns the status of a configuration that was loaded at `now`.
    #[must_use]
    pub fn loaded_at(now: Moment) -> Self {
        Self {
            error: None,
            last_success: now.wall,
        }
    }
}

/// A configuration mistake, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Validates the configuration; `account_flags` are the parsed [`AccountArgs`].
    ///
    /// # Errors
    /// Returns an error for the first mistake.
    pub fn new(
        account_flags: &ArgMatches,
        accounts_file: Option<PathBuf>,
        settings: Settings,
    ) -> Result<Self, ConfigError> {
        let accounts_file = accounts_file.filter(|file| !file.as_os_str().is_empty());
        let accounts = match &accounts_file {
            Some(file) => {
                flags::reject_account_flags(account_flags, file)?;
                read_accounts(file)?
            }
            None => vec![flags::account(account_flags)?],
        };
        let mut settings = settings.validate()?;
        settings.check_presence(&accounts, accounts_file.as_deref())?;
        settings.network.proxies = Proxies::from_env()?;
        for account in &accounts {
            settings.network.proxies.for_server(&account.server)?;
        }
        Ok(Self {
            accounts,
            accounts_file,
            settings,
        })
    }
}

impl Settings {
    /// Checks the rules across flags.
    ///
    /// # Errors
    /// Returns an error for the first mistake.
    pub fn validate(mut self) -> Result<Self, ConfigError> {
        for path in [&mut self.web.config_file, &mut self.state.directory] {
            path.take_if(|path| path.as_os_str().is_empty());
        }
        let (min_interval, max_age) = (self.scrape.min_interval, self.scrape.max_age);
        if min_interval >= max_age {
            let setting = Setting::new("--scrape.min-interval", &display_duration(min_interval));
            let max_age = display_duration(max_age);
            let expected = format!("auto, or less than --scrape.max-age, which is {max_age}");
            return Err(setting.invalid(&expected));
        }
        let label_off = self.metrics.extension_label == ExtensionLabel::Off;
        let metrics = &self.metrics;
        if label_off
            && (metrics.extension_info || metrics.extension_calls || metrics.extension_presence)
        {
            return Err(Setting::new("--metrics.extension-label", "off").invalid(
                "number or id with --metrics.extension-info, --metrics.extension-calls or --metrics.extension-presence",
            ));
        }
        Ok(self)
    }

    /// Checks that the flags about presence apply to an account. `accounts_file` is the file of the accounts, which a
    /// reload can change: the audit interval is for all its accounts with events, also if there are none at present.
    ///
    /// # Errors
    /// Returns an error for the first flag that applies to none.
    pub fn check_presence(
        &self,
        accounts: &[Account],
        accounts_file: Option<&Path>,
    ) -> Result<(), ConfigError> {
        let mut modes = accounts.iter().map(|account| account.presence);
        let has_events = modes.clone().any(|mode| mode == PresenceMode::Events);
        if self.presence.audit.is_some() && !has_events && accounts_file.is_none() {
            let problem = "--ringcentral.presence-audit: no account receives presence events";
            return Err(missing_presence(problem, "events", None));
        }
        if self.metrics.extension_presence && modes.all(|mode| mode == PresenceMode::Off) {
            let problem = "--metrics.extension-presence: no account reads presence";
            return Err(missing_presence(problem, "poll or events", accounts_file));
        }
        Ok(())
    }
}

fn missing_presence(problem: &str, values: &str, accounts_file: Option<&Path>) -> ConfigError {
    let expected = match accounts_file {
        Some(file) => format!(
            "`presence: {values}` for an account in {}",
            redact_path(file)
        ),
        None => format!("--ringcentral.presence={values}"),
    };
    ConfigError(format!("{problem}: expected {expected}"))
}

fn display_duration(duration: Duration) -> String {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    format!("{duration:#}")
}

fn parse_telemetry_path(text: &str) -> ParseResult<String> {
    let valid_chars = |b: u8| b.is_ascii_graphic() && !b"?#".contains(&b);
    let reserved =
        ["/", "/sd", "/status", "/healthz", "/readyz"].contains(&text) || text.starts_with("/-/");
    if !text.starts_with('/') || !text.bytes().all(valid_chars) || reserved {
        return Err(
            "a path that begins with /, without ?, # and white space, other than /, /sd, /status, /healthz, /readyz and /-/...",
        );
    }
    Ok(text.to_owned())
}

fn parse_extension_label(text: &str) -> ParseResult<ExtensionLabel> {
    match text {
        "number" => Ok(ExtensionLabel::Number),
        "id" => Ok(ExtensionLabel::Id),
        "off" => Ok(ExtensionLabel::Off),
        _ => Err("number, id or off"),
    }
}

fn parse_min_interval(text: &str) -> ParseResult<Duration> {
    if text == "auto" {
        return Ok(Duration::ZERO);
    }
    parse_positive_duration(text)
        .map_err(|_| "auto, or a duration above 0 and at most 24h, such as 500ms, 10s or 2m")
}

fn parse_audit_interval(text: &str) -> ParseResult<Duration> {
    match parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(60) => Ok(duration),
        _ => Err("a duration from 1m to 24h, such as 10m"),
    }
}

fn parse_log_level(text: &str) -> ParseResult<tracing::Level> {
    text.parse()
        .map_err(|_| "error, warn, info, debug or trace")
}
