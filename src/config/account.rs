//! One account: whose calls, from which server, with which credentials.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Url};
use secrecy::SecretString;

use super::ConfigError;
use super::setting::{Setting, Variables};
use crate::cli::AccountArgs;
use crate::file::{self, FileError};
use crate::secret::SecretSource;

/// Larger than any bundle of certificates.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
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
    /// Root certificates beside the system's.
    pub ca: Vec<Certificate>,
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

impl Account {
    /// Validates flags and variables.
    pub(super) fn new(args: &AccountArgs, variables: &Variables<'_>) -> Result<Self, ConfigError> {
        let either = |flag, value, variable| variables.or_flag(flag, value, variable);
        let server = either("--ringcentral.server-url", args.server_url.as_ref(), "RC_SERVER_URL")?;
        let name = either("--ringcentral.account-name", args.account_name.as_ref(), "RC_ACCOUNT_NAME")?;
        let id = either("--ringcentral.account-id", args.account_id.as_ref(), "RC_ACCOUNT_ID")?;
        let level = either("--ringcentral.level", args.level.as_ref(), "RC_LEVEL")?;
        let limit = either(
            "--ringcentral.concurrent-calls-limit",
            args.concurrent_calls_limit.as_ref(),
            "RC_CONCURRENT_CALLS_LIMIT",
        )?;
        let ca_file = either("--ringcentral.ca-file", args.ca_file.as_ref(), "RC_CA_FILE")?;
        Ok(Self {
            name: name.map_or(Ok("default".to_owned()), account_name)?,
            server: server_url(server.unwrap_or_else(|| Setting::new("RC_SERVER_URL", DEFAULT_SERVER)))?,
            client_id: client_id(args, variables)?,
            client_secret: CLIENT_SECRET.source(args.client_secret_file.as_ref(), variables)?,
            jwt: JWT.source(args.jwt_file.as_ref(), variables)?,
            account_id: id.map_or(Ok("~".to_owned()), account_id)?,
            level: level.map_or(Ok(Level::Account), parse_level)?,
            concurrent_calls_limit: limit.map(concurrent_calls_limit).transpose()?,
            ca: ca_file.map(certificates).transpose()?.unwrap_or_default(),
        })
    }
}

/// A secret and the three places where it may be.
struct SecretPlaces {
    what: &'static str,
    flag: &'static str,
    file_variable: &'static str,
    variable: &'static str,
}

const CLIENT_SECRET: SecretPlaces = SecretPlaces {
    what: "the app's client secret",
    flag: "--ringcentral.client-secret-file",
    file_variable: "RC_CLIENT_SECRET_FILE",
    variable: "RC_CLIENT_SECRET",
};
const JWT: SecretPlaces = SecretPlaces {
    what: "the user's JWT",
    flag: "--ringcentral.jwt-file",
    file_variable: "RC_JWT_FILE",
    variable: "RC_JWT",
};

impl SecretPlaces {
    /// Where the secret is; a file is read once here, so that a wrong path is found at the start.
    fn source(&self, flag: Option<&String>, variables: &Variables<'_>) -> Result<SecretSource, ConfigError> {
        let file = variables.or_flag(self.flag, flag, self.file_variable)?;
        let value = variables.get(self.variable)?;
        let (setting, source) = match (value, file) {
            (Some(value), Some(file)) => {
                return Err(ConfigError(format!("{} and {} are both given; give one of them", value.name, file.name)));
            }
            (None, None) => return Err(self.missing()),
            (Some(value), None) => (value.clone(), SecretSource::Value(SecretString::from(value.value))),
            (None, Some(file)) => (file.clone(), SecretSource::File(PathBuf::from(file.value))),
        };
        let accepted = match source {
            SecretSource::Value(_) => self.what.to_owned(),
            SecretSource::File(_) => format!("the path of a file with {}", self.what),
        };
        source.read().map_err(|error| setting.wrong_unshown(&error.to_string(), &accepted))?;
        Ok(source)
    }

    fn missing(&self) -> ConfigError {
        ConfigError(format!(
            "{} is required: {}, or {}, or {}",
            self.what, self.variable, self.file_variable, self.flag
        ))
    }
}

/// The value may be a secret that was pasted in the wrong place, so it is not repeated.
fn client_id(args: &AccountArgs, variables: &Variables<'_>) -> Result<String, ConfigError> {
    let setting = variables.or_flag("--ringcentral.client-id", args.client_id.as_ref(), "RC_CLIENT_ID")?;
    let required = "the app's client id is required: RC_CLIENT_ID or --ringcentral.client-id";
    let setting = setting.ok_or_else(|| ConfigError(required.to_owned()))?;
    let fits =
        (1..=128).contains(&setting.value.len()) && setting.value.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    let accepted = "the client id of an app: letters, digits and -_.";
    if fits { Ok(setting.value) } else { Err(setting.wrong_unshown("not a client id", accepted)) }
}

fn account_name(setting: Setting) -> Result<String, ConfigError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let named = (1..=64).contains(&setting.value.len()) && setting.value.bytes().all(fits);
    if named { Ok(setting.value) } else { Err(setting.wrong("1 to 64 letters, digits and _.-")) }
}

/// The value may hold a password, so it is not repeated.
fn server_url(setting: Setting) -> Result<Url, ConfigError> {
    let accepted = "an origin such as https://platform.ringcentral.com";
    let url = Url::parse(&setting.value).map_err(|_| setting.wrong_unshown("not a URL", accepted))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setting.wrong_unshown("a URL with a user or password in it", accepted));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(setting.wrong_unshown("neither http nor https", accepted));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(setting.wrong_unshown("a URL with a path, query or fragment", accepted));
    }
    Ok(url)
}

/// The value may be anything that was pasted by mistake, so it is not repeated.
fn account_id(setting: Setting) -> Result<String, ConfigError> {
    let digits = (1..=20).contains(&setting.value.len()) && setting.value.bytes().all(|b| b.is_ascii_digit());
    match setting.value.as_str() {
        "~" => Ok(setting.value),
        _ if digits => Ok(setting.value),
        _ => Err(setting.wrong_unshown("not an account id", "~ (the account of the JWT) or 1 to 20 digits")),
    }
}

fn parse_level(setting: Setting) -> Result<Level, ConfigError> {
    match setting.value.as_str() {
        "account" => Ok(Level::Account),
        "extension" => Ok(Level::Extension),
        _ => Err(setting.wrong("account or extension")),
    }
}

fn concurrent_calls_limit(setting: Setting) -> Result<u64, ConfigError> {
    let limit = setting.value.parse().ok().filter(|limit| (1..=1_000_000).contains(limit));
    limit.ok_or_else(|| setting.wrong("a whole number from 1 to 1000000"))
}

fn certificates(setting: Setting) -> Result<Vec<Certificate>, ConfigError> {
    let accepted = "a file of certificates in PEM form";
    let pem = file::read(Path::new(&setting.value), MAX_BYTES).map_err(|error| match error {
        FileError::Unreadable(error) => setting.wrong(&format!("{accepted} ({error})")),
        error => setting.wrong(&format!("{accepted} ({error})")),
    })?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        Err(setting.wrong(&format!("{accepted} (there is none in it)")))
    } else {
        Ok(certificates)
    }
}
