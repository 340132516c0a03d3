//! What the program needs, from what the user typed.
//!
//! Owns: the validated configuration, and one line for each mistake in it that names the flag or variable, what is
//! wrong, and what is accepted. Refuses to know: what the values are used for. `setting` finds a value and reports
//! on it, `account` and this file say which values there are. `flags` and `accounts_file` give accounts, `web` has the file
//! of `--web.config.file`, `yaml` reads such files.

mod account;
mod accounts_file;
mod flags;
mod setting;
pub mod web;
mod yaml;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use account::{Account, Level};
pub use accounts_file::read_accounts;
use flags::Flags;
use jiff::Timestamp;
use setting::{DURATION, Setting, Variables};

use crate::calls::ExtensionLabel;
use crate::cli::{ServeArgs, SettingsArgs};
use crate::clock::Moment;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The accounts, in the order of their file.
    pub accounts: Vec<Account>,
    /// `--config.file`, which gave them; none where flags and variables did.
    pub accounts_file: Option<PathBuf>,
    /// Everything else.
    pub settings: Settings,
}

/// What is not about an account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own HTTP.
    pub web: Web,
    /// When to fetch and how long to show it.
    pub scrape: Scrape,
    /// What to show.
    pub metrics: Metrics,
    /// What is written down.
    pub log: Log,
    /// How long we wait for the API; no flag changes it.
    pub timeouts: Timeouts,
}

/// Our own HTTP.
#[derive(Clone, Debug)]
pub struct Web {
    /// `--web.listen-address`: `HOST:PORT`, without a host all interfaces.
    pub listen_addresses: Vec<String>,
    /// `--web.telemetry-path`.
    pub telemetry_path: String,
    /// `--web.config.file`.
    pub config_file: Option<PathBuf>,
    /// `--web.enable-lifecycle`.
    pub enable_lifecycle: bool,
}

/// When to fetch and how long to show it.
#[derive(Clone, Copy, Debug)]
pub struct Scrape {
    /// `--scrape.min-interval`; zero for `auto`.
    pub min_interval: Duration,
    /// `--scrape.timeout-offset`.
    pub timeout_offset: Duration,
    /// `--scrape.max-age`.
    pub max_age: Duration,
}

/// What to show.
#[derive(Clone, Copy, Debug)]
pub struct Metrics {
    /// `--metrics.extension-label`.
    pub extension_label: ExtensionLabel,
    /// `--metrics.extension-info`.
    pub extension_info: bool,
    /// `--metrics.extension-calls`.
    pub extension_calls: bool,
    /// `--metrics.max-extensions`.
    pub max_extensions: usize,
}

/// What is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// `--log.level`.
    pub level: tracing::Level,
    /// `--log.format`.
    pub format: LogFormat,
}

/// `--log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// A JSON object a line.
    Json,
}

/// How long we wait for what. No flag changes it; tests do.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// One request, from sending to the last byte of its reply, redirects included.
    pub request: Duration,
    /// All pages of one walk.
    pub fetch: Duration,
    /// Giving the token back at the end.
    pub revoke: Duration,
    /// After the first refused login; doubled by each further one.
    pub login_backoff_min: Duration,
    /// The longest wait after refused logins.
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

/// How reading the configuration went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadStatus {
    /// Whether it went well the last time.
    pub last_reload_successful: bool,
    /// When it last went well.
    pub last_success: Timestamp,
}

impl ReloadStatus {
    /// Read well at this moment.
    #[must_use]
    pub fn loaded_at(now: Moment) -> Self {
        Self {
            last_reload_successful: true,
            last_success: now.wall,
        }
    }
}

/// A mistake in the configuration: one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Validates flags and variables; `variable` looks one up in the environment.
    ///
    /// # Errors
    /// The first mistake that is found.
    pub fn new(
        args: &ServeArgs,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let flags = Flags {
            args: &args.account,
            variables: Variables(variable),
        };
        let file = args
            .accounts_file
            .as_deref()
            .filter(|file| !file.is_empty())
            .map(PathBuf::from);
        let accounts = match &file {
            None => vec![flags.account()?],
            Some(file) => {
                flags.none_beside(file)?;
                read_accounts(file)?
            }
        };
        Ok(Self {
            accounts,
            accounts_file: file,
            settings: Settings::new(&args.common)?,
        })
    }
}

impl Settings {
    /// Validates the flags that are not about an account.
    ///
    /// # Errors
    /// The first mistake that is found.
    pub fn new(args: &SettingsArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            web: Web::new(args)?,
            scrape: Scrape::new(args)?,
            metrics: Metrics::new(args)?,
            log: Log::new(args)?,
            timeouts: Timeouts::default(),
        })
    }
}

impl Web {
    fn new(args: &SettingsArgs) -> Result<Self, ConfigError> {
        let path = Setting::new("--web.telemetry-path", &args.telemetry_path);
        let accepted = "a path that begins with /, without ?, # and white space, other than /, /sd, /healthz, /readyz and /-/...";
        let plain = path.value.starts_with('/')
            && path
                .value
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
        let taken = path.value.starts_with("/-/")
            || ["/", "/sd", "/healthz", "/readyz"].contains(&path.value.as_str());
        if !plain || taken {
            return Err(path.invalid(accepted));
        }
        let addresses = args.listen_address.iter();
        let listen = addresses
            .map(|address| listen_address("--web.listen-address", address))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            listen_addresses: if listen.is_empty() {
                vec![":10072".to_owned()]
            } else {
                listen
            },
            telemetry_path: path.value,
            config_file: args
                .web_config_file
                .as_deref()
                .filter(|file| !file.is_empty())
                .map(PathBuf::from),
            enable_lifecycle: args.enable_lifecycle,
        })
    }
}

impl Scrape {
    fn new(args: &SettingsArgs) -> Result<Self, ConfigError> {
        let min_interval = Setting::new("--scrape.min-interval", &args.min_interval);
        let scrape = Self {
            min_interval: match args.min_interval.as_str() {
                "auto" => Duration::ZERO,
                _ => {
                    min_interval.duration("auto, or a duration above 0 such as 500ms, 10s or 2m")?
                }
            },
            timeout_offset: Setting::new("--scrape.timeout-offset", &args.timeout_offset)
                .any_duration("a duration such as 500ms or 1s")?,
            max_age: Setting::new("--scrape.max-age", &args.max_age).duration(DURATION)?,
        };
        if scrape.min_interval >= scrape.max_age {
            return Err(min_interval.invalid(&format!(
                "auto, or less than --scrape.max-age, which is {}",
                args.max_age
            )));
        }
        Ok(scrape)
    }
}

impl Metrics {
    fn new(args: &SettingsArgs) -> Result<Self, ConfigError> {
        let label = Setting::new("--metrics.extension-label", &args.extension_label);
        let most = Setting::new("--metrics.max-extensions", &args.max_extensions);
        let max_extensions = most
            .value
            .parse()
            .ok()
            .filter(|most| (1..=1_000_000).contains(most));
        let metrics = Self {
            extension_label: extension_label(&label)?,
            extension_info: args.extension_info,
            extension_calls: args.extension_calls,
            max_extensions: max_extensions
                .ok_or_else(|| most.invalid("a whole number from 1 to 1000000"))?,
        };
        let nameless = metrics.extension_label == ExtensionLabel::Off;
        if nameless && (metrics.extension_info || metrics.extension_calls) {
            return Err(label.invalid(
                "number or id beside --metrics.extension-info and --metrics.extension-calls",
            ));
        }
        Ok(metrics)
    }
}

impl Log {
    fn new(args: &SettingsArgs) -> Result<Self, ConfigError> {
        let level = Setting::new("--log.level", &args.log_level);
        let format = Setting::new("--log.format", &args.log_format);
        Ok(Self {
            level: level
                .value
                .parse()
                .map_err(|_| level.invalid("error, warn, info, debug or trace"))?,
            format: match format.value.as_str() {
                "logfmt" => LogFormat::Logfmt,
                "json" => LogFormat::Json,
                _ => return Err(format.invalid("logfmt or json")),
            },
        })
    }
}

fn extension_label(setting: &Setting) -> Result<ExtensionLabel, ConfigError> {
    match setting.value.as_str() {
        "number" => Ok(ExtensionLabel::Number),
        "id" => Ok(ExtensionLabel::Id),
        "off" => Ok(ExtensionLabel::Off),
        _ => Err(setting.invalid("number, id or off")),
    }
}

/// Checks the form of an address to listen on: `HOST:PORT`, or `:PORT` for all interfaces.
///
/// # Errors
/// When it has no port that is a number.
pub fn listen_address(flag: &str, value: &str) -> Result<String, ConfigError> {
    let port = value.rsplit_once(':').and_then(|(host, port)| {
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        (!bare_v6).then(|| port.parse::<u16>().ok())?
    });
    match port {
        Some(_) => Ok(value.to_owned()),
        None => {
            Err(Setting::new(flag, value).invalid("HOST:PORT or :PORT, an IPv6 host in brackets"))
        }
    }
}

/// `--demo.seed`.
///
/// # Errors
/// When it is no whole number.
pub fn demo_seed(value: &str) -> Result<u64, ConfigError> {
    let seed = Setting::new("--demo.seed", value);
    seed.value
        .parse()
        .map_err(|_| seed.invalid("a whole number from 0 to 18446744073709551615"))
}
