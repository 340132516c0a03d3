//! One account: whose calls, from which server, with which credentials.
//!
//! Owns: what each value accepts. Refuses to know: whether flags and variables gave it (`flags`) or a file
//! (`accounts_file`).

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::ConfigError;
use crate::config::setting::Setting;
use crate::file::{self, FileError};
use crate::secret::SecretSource;

/// Larger than any bundle of certificates.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that may be shown of whatever stands where a name, a level or a number belongs.
const SHORT: usize = 16;
const DEFAULT_SERVER: &str = "https://platform.ringcentral.com";

/// A validated account. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Account {
    /// The value of the label `account`.
    pub name: String,
    /// Origin of the API, without a path.
    pub server: Url,
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret.
    pub client_secret: SecretSource,
    /// The user's JWT.
    pub jwt: SecretSource,
    /// `~`, or digits.
    pub account_id: String,
    /// Whose calls.
    pub level: Level,
    /// Calls that the account can hold at once, if the operator told.
    pub concurrent_calls_limit: Option<u64>,
    /// Root certificates beside the system's: PEM that has been read well.
    pub ca: Option<Arc<[u8]>>,
}

/// Whose calls are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The whole account's: needs an admin.
    Account,
    /// The calls of the JWT's user alone.
    Extension,
}

impl Level {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Extension => "extension",
        }
    }
}

/// What was given for an account, by whatever means. What is missing has its default.
#[derive(Default)]
pub(super) struct RawAccount {
    pub name: Option<Setting>,
    pub server: Option<Setting>,
    pub account_id: Option<Setting>,
    pub level: Option<Setting>,
    pub concurrent_calls_limit: Option<Setting>,
    pub ca_file: Option<Setting>,
}

/// What has no default.
pub(super) struct RawCredentials {
    pub client_id: Setting,
    pub client_secret: SecretSource,
    pub jwt: SecretSource,
}

impl Account {
    /// Validates what was given.
    pub(super) fn new(given: RawAccount, credentials: RawCredentials) -> Result<Self, ConfigError> {
        let RawAccount {
            name,
            server,
            account_id: id,
            level,
            concurrent_calls_limit: limit,
            ca_file,
        } = given;
        Ok(Self {
            name: name.map_or(Ok("default".to_owned()), account_name)?,
            server: server_url(
                server.unwrap_or_else(|| Setting::new("RC_SERVER_URL", DEFAULT_SERVER)),
            )?,
            client_id: client_id(credentials.client_id)?,
            client_secret: credentials.client_secret,
            jwt: credentials.jwt,
            account_id: id.map_or(Ok("~".to_owned()), account_id)?,
            level: level.map_or(Ok(Level::Account), parse_level)?,
            concurrent_calls_limit: limit.map(concurrent_calls_limit).transpose()?,
            ca: ca_file.map(certificates).transpose()?,
        })
    }

    /// Whether both are asked for the same calls: what is known by the one then holds for the other.
    #[must_use]
    pub fn same_call_source(&self, other: &Self) -> bool {
        self.same_app(other) && self.account_id == other.account_id && self.level == other.level
    }

    /// Whether both log in by the same app.
    #[must_use]
    pub fn same_app(&self, other: &Self) -> bool {
        self.server == other.server && self.client_id == other.client_id
    }
}

/// A value of an account may be a secret in the wrong place, and no secret is so short.
fn refused(setting: &Setting, accepted: &str) -> ConfigError {
    match setting.value.len() {
        ..=SHORT => setting.invalid(accepted),
        _ => setting.invalid_redacted("the value is not accepted", accepted),
    }
}

/// The value may be a secret that was pasted in the wrong place, so it is not repeated.
fn client_id(setting: Setting) -> Result<String, ConfigError> {
    let fits = (1..=128).contains(&setting.value.len())
        && setting
            .value
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b':');
    let accepted = "the client id of an app: letters, digits and -_.";
    if fits {
        Ok(setting.value)
    } else {
        Err(setting.invalid_redacted("not a client id", accepted))
    }
}

fn account_name(setting: Setting) -> Result<String, ConfigError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let named = (1..=64).contains(&setting.value.len()) && setting.value.bytes().all(fits);
    if named {
        Ok(setting.value)
    } else {
        Err(refused(&setting, "1 to 64 letters, digits and _.-"))
    }
}

/// The value may hold a password, so it is not repeated.
fn server_url(setting: Setting) -> Result<Url, ConfigError> {
    let accepted = "an origin such as https://platform.ringcentral.com";
    let none = if setting.value.is_ascii() {
        "not a URL"
    } else {
        "not a URL in ASCII, with its name in Punycode"
    };
    let url = Url::parse(&setting.value).map_err(|_| setting.invalid_redacted(none, accepted))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setting.invalid_redacted("a URL with a user or password in it", accepted));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(setting.invalid_redacted("neither http nor https", accepted));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(setting.invalid_redacted("a URL with a path, query or fragment", accepted));
    }
    Ok(url)
}

/// The value may be anything that was pasted by mistake, so it is not repeated.
fn account_id(setting: Setting) -> Result<String, ConfigError> {
    let digits = (1..=20).contains(&setting.value.len())
        && setting.value.bytes().all(|b| b.is_ascii_digit());
    match setting.value.as_str() {
        "~" => Ok(setting.value),
        _ if digits => Ok(setting.value),
        _ => Err(setting.invalid_redacted(
            "not an account id",
            "~ (the account of the JWT) or 1 to 20 digits",
        )),
    }
}

fn parse_level(setting: Setting) -> Result<Level, ConfigError> {
    match setting.value.as_str() {
        "account" => Ok(Level::Account),
        "extension" => Ok(Level::Extension),
        _ => Err(refused(&setting, "account or extension")),
    }
}

fn concurrent_calls_limit(setting: Setting) -> Result<u64, ConfigError> {
    let limit = setting
        .value
        .parse()
        .ok()
        .filter(|limit| (1..=1_000_000).contains(limit));
    limit.ok_or_else(|| refused(&setting, "a whole number from 1 to 1000000"))
}

/// How many root certificates there are in PEM; none if one cannot be used.
fn roots(pem: &[u8]) -> Option<usize> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.ok()?).ok()?;
    }
    Some(store.len())
}

fn certificates(setting: Setting) -> Result<Arc<[u8]>, ConfigError> {
    let accepted = "a file of certificates in PEM form";
    let pem = file::read(Path::new(&setting.value), MAX_BYTES).map_err(|error| match error {
        FileError::Unreadable(error) => setting.invalid(&format!("{accepted} ({error})")),
        error => setting.invalid(&format!("{accepted} ({error})")),
    })?;
    match roots(&pem) {
        Some(0) => Err(setting.invalid(&format!("{accepted} (there is none in it)"))),
        Some(_) => Ok(pem.into()),
        None => Err(setting.invalid(&format!("{accepted} (one of them is none)"))),
    }
}
