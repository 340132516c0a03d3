//! One account: its server, its credentials, and the values that each setting accepts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use reqwest::Url;
use rustls::RootCertStore;
use secrecy::{ExposeSecret, SecretString};

use crate::config::ConfigError;
use crate::config::setting::{ParseResult, Setting, parse_count};
use crate::file::{self, FileError};
use crate::pem::{self, PemError};
use crate::secret::{SecretSource, contains_jwt, redact_path_in};

/// Larger than any bundle of certificates, in bytes.
pub(crate) const MAX_CERT_BYTES: u64 = 4 * 1024 * 1024;
/// Longer values may be secrets in the wrong place, in bytes; no secret is this short.
const MAX_ECHOED_LEN: usize = 16;
const DEFAULT_SERVER: &str = "https://platform.ringcentral.com";

/// A validated account. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Account {
    /// The value of the label `account`; default `default`.
    pub name: String,
    /// The origin of the API, without a path; default RingCentral's production server.
    pub server: Url,
    /// The client id of the app.
    pub client_id: String,
    /// The client secret of the app.
    pub client_secret: SecretSource,
    /// The JWT of the user.
    pub jwt: SecretSource,
    /// The account id in digits; default `~`, the account of the JWT.
    pub account_id: String,
    /// Whether to list the calls of the account or only those of the user.
    pub level: Level,
    /// Whether and how the presence of extensions is read.
    pub presence: PresenceMode,
    /// The number of concurrent calls that the account allows, if configured.
    pub concurrent_calls_limit: Option<u64>,
    /// Additional root certificates in valid PEM.
    pub ca: Option<Arc<[u8]>>,
}

/// The calls that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// All calls of the account; needs an admin's JWT.
    Account,
    /// Only the calls of the JWT's user.
    Extension,
}

/// How the presence of extensions is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PresenceMode {
    /// Not at all.
    #[default]
    Off,
    /// The list of all extensions, at most once a minute.
    Poll,
    /// Events over a WebSocket, which cost none of the requests that calls need.
    Events,
}

impl PresenceMode {
    /// Returns the value of the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Poll => "poll",
            Self::Events => "events",
        }
    }
}

impl Level {
    /// Returns the value of the label `level`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Extension => "extension",
        }
    }
}

impl Account {
    /// Validates the values of an account, by their keys in the accounts file; `client_secret` and
    /// `jwt` are the secrets themselves. What has no default is given. Paths are relative to `dir`.
    pub(crate) fn new(
        mut values: BTreeMap<String, Setting>,
        dir: &Path,
    ) -> Result<Self, ConfigError> {
        let app = "the app's client secret";
        let (client_secret, app_text) = secret(&mut values, "client_secret", app, dir)?;
        let (jwt, jwt_text) = secret(&mut values, "jwt", "the user's JWT", dir)?;
        reject_secrets(&values, [&app_text, &jwt_text])?;
        let limit = match values.remove("concurrent_calls_limit") {
            Some(limit) => Some(parse(&limit, parse_count)?),
            None => None,
        };
        let ca_file = values.remove("ca_file");
        let presence = presence(&mut values)?;
        let mut value_or = |key: &str, default: &str| match values.remove(key) {
            Some(setting) => setting,
            None => Setting::new("default", default),
        };
        Ok(Self {
            name: parse(&value_or("name", "default"), parse_name)?,
            server: parse_server_url(&value_or("server_url", DEFAULT_SERVER))?,
            client_id: parse_client_id(value_or("client_id", ""))?,
            client_secret,
            jwt,
            account_id: parse_account_id(value_or("account_id", "~"))?,
            level: parse(&value_or("level", "account"), parse_level)?,
            presence,
            concurrent_calls_limit: limit,
            ca: ca_file.map(|file| read_ca_bundle(&file, dir)).transpose()?,
        })
    }

    /// Returns whether both accounts list the same calls, so that a snapshot of one is valid for
    /// the other.
    #[must_use]
    pub fn same_call_source(&self, other: &Self) -> bool {
        self.same_app(other) && self.account_id == other.account_id && self.level == other.level
    }

    /// Returns whether both accounts log in with the same app.
    #[must_use]
    pub fn same_app(&self, other: &Self) -> bool {
        self.server == other.server && self.client_id == other.client_id
    }
}

/// Returns the source of a secret and the secret: its value, or its file under a key with the suffix `_file`. The
/// file is read once, so that a wrong path is an error at the start.
fn secret(
    values: &mut BTreeMap<String, Setting>,
    key: &str,
    description: &str,
    dir: &Path,
) -> Result<(SecretSource, SecretString), ConfigError> {
    let file = values.remove(&format!("{key}_file"));
    let (setting, source, expected) = match (values.remove(key), file) {
        (Some(value), Some(file)) => {
            return Err(ConfigError(format!(
                "{} conflicts with {}: expected only one of them",
                value.origin, file.origin
            )));
        }
        (None, Some(file)) => {
            let source = SecretSource::File(dir.join(&file.value));
            (
                file,
                source,
                format!("the path of a file with {description}"),
            )
        }
        (value, None) => {
            let value = value.unwrap_or_default();
            let source = SecretSource::Value(SecretString::from(value.value.as_str()));
            (value, source, description.to_owned())
        }
    };
    match source.read_first(&setting.value) {
        Ok(text) if key != "jwt" && contains_jwt(text.expose_secret()) => {
            Err(setting.misplaced_jwt())
        }
        Ok(text) => Ok((source, text)),
        Err(error) => Err(setting.invalid_redacted(&error.to_string(), &expected)),
    }
}

/// Returns an error if a value is a secret of this account or contains a JWT: most values are shown in metrics, log or
/// page.
fn reject_secrets(
    values: &BTreeMap<String, Setting>,
    secrets: [&SecretString; 2],
) -> Result<(), ConfigError> {
    for setting in values.values() {
        if contains_jwt(&setting.value) {
            return Err(setting.misplaced_jwt());
        }
        let is_same = |secret: &SecretString| secret.expose_secret() == setting.value.trim();
        if secrets.into_iter().any(is_same) {
            let reason = "the value is the client secret or JWT of the account";
            return Err(setting.invalid_redacted(reason, "a value that may be shown"));
        }
    }
    Ok(())
}

/// Returns whether and how presence is read, which needs the level `account`.
fn presence(values: &mut BTreeMap<String, Setting>) -> Result<PresenceMode, ConfigError> {
    let Some(setting) = values.remove("presence") else {
        return Ok(PresenceMode::Off);
    };
    let presence = parse(&setting, parse_presence)?;
    let is_extension = |level: &&Setting| level.value == "extension";
    match values.get("level").filter(is_extension) {
        Some(level) if presence != PresenceMode::Off => {
            // The origin of a key is long: its file and line.
            let expected = match level.origin.contains(' ') {
                true => "off at level extension".to_owned(),
                false => format!("off, since {} is extension", level.origin),
            };
            Err(setting.invalid(&expected))
        }
        _ => Ok(presence),
    }
}

/// Parses a value, which the error repeats only if it is too short for a secret.
fn parse<T>(setting: &Setting, parser: fn(&str) -> ParseResult<T>) -> Result<T, ConfigError> {
    match parser(&setting.value) {
        Err(expected) if setting.value.len() > MAX_ECHOED_LEN => {
            Err(setting.invalid_redacted("invalid value", expected))
        }
        result => result.map_err(|expected| setting.invalid(expected)),
    }
}

fn parse_name(text: &str) -> ParseResult<String> {
    let valid_char = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(valid_char) {
        return Ok(text.to_owned());
    }
    Err("1 to 64 letters, digits and _.-")
}

fn parse_level(text: &str) -> ParseResult<Level> {
    <Level as ValueEnum>::from_str(text, false).map_err(|_| "account or extension")
}

pub(crate) fn parse_presence(text: &str) -> ParseResult<PresenceMode> {
    <PresenceMode as ValueEnum>::from_str(text, false).map_err(|_| "off, poll or events")
}

fn parse_client_id(setting: Setting) -> Result<String, ConfigError> {
    let valid_char = |b: u8| b.is_ascii_graphic() && b != b':';
    if (1..=128).contains(&setting.value.len()) && setting.value.bytes().all(valid_char) {
        return Ok(setting.value);
    }
    Err(setting.invalid_redacted(
        "invalid client id",
        "the client id of an app: letters, digits and -_.",
    ))
}

/// Parses a URL; it may contain a password, so no error repeats it.
fn parse_server_url(setting: &Setting) -> Result<Url, ConfigError> {
    let invalid = |reason: &str| {
        setting.invalid_redacted(reason, "an origin such as https://platform.ringcentral.com")
    };
    let Ok(url) = Url::parse(&setting.value) else {
        return Err(invalid(if setting.value.is_ascii() {
            "not a URL"
        } else {
            "not an ASCII URL with a Punycode host name"
        }));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("the URL contains a user or password"));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid("not an http or https URL"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("the URL has a path, query or fragment"));
    }
    Ok(url)
}

fn parse_account_id(setting: Setting) -> Result<String, ConfigError> {
    let digits = setting.value.bytes().all(|b| b.is_ascii_digit());
    if setting.value == "~" || (digits && (1..=20).contains(&setting.value.len())) {
        return Ok(setting.value);
    }
    Err(setting.invalid_redacted(
        "invalid account id",
        "~ (the account of the JWT) or 1 to 20 digits",
    ))
}

/// Reads a file of certificates and checks that all of them can be used as roots.
fn read_ca_bundle(setting: &Setting, dir: &Path) -> Result<Arc<[u8]>, ConfigError> {
    let path = dir.join(&setting.value);
    let name = redact_path_in(dir, &setting.value);
    let invalid = |reason: String| setting.invalid_redacted(&reason, "certificates in PEM");
    let bytes = file::read(&path, MAX_CERT_BYTES).map_err(|error| match error {
        FileError::Unreadable(error) => invalid(format!("cannot read {name}: {error}")),
        error => invalid(format!("{name}: {error}")),
    })?;
    let text = pem::remove_byte_order_marks(bytes);
    let certificates = pem::parse_certificates(&text).map_err(|error| match error {
        PemError::Invalid => invalid(format!("{name} contains an invalid certificate")),
        PemError::NoCertificate(reason) => invalid(format!("{name} {reason}")),
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(|_| invalid(format!("{name} contains an invalid certificate")))?;
    }
    Ok(text.into())
}
