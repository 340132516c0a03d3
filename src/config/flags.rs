//! One account from flags and environment variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use crate::config::ConfigError;
use crate::config::account::Account;
use crate::config::setting::Setting;
use crate::secret::{contains_jwt, redact_path};

/// The flags of one account, each with a variable of the same meaning.
///
/// `config::account` reads them by id from the parsed [`ArgMatches`], which say whether a flag or a
/// variable gave a value.
#[allow(rustdoc::bare_urls, reason = "clap prints the text as it is")]
#[derive(Args, Clone, Debug)]
#[command(mut_args(|arg| arg.hide_env_values(true)))]
pub struct AccountArgs {
    /// Value of the label `account` [default: default]
    #[arg(long = "ringcentral.account-name", value_name = "NAME")]
    #[arg(env = "RC_ACCOUNT_NAME")]
    name: Option<OsString>,
    /// URL of RingCentral's API server [default: https://platform.ringcentral.com]
    #[arg(long = "ringcentral.server-url", value_name = "URL")]
    #[arg(env = "RC_SERVER_URL")]
    server_url: Option<OsString>,
    /// Client id of the app (required)
    #[arg(long = "ringcentral.client-id", value_name = "ID")]
    #[arg(env = "RC_CLIENT_ID")]
    client_id: Option<OsString>,
    /// File with the client secret of the app; or the secret itself in RC_CLIENT_SECRET (required)
    #[arg(long = "ringcentral.client-secret-file", value_name = "FILE")]
    #[arg(env = "RC_CLIENT_SECRET_FILE")]
    client_secret_file: Option<OsString>,
    /// File with the JWT of the user; or the JWT itself in RC_JWT (required)
    #[arg(long = "ringcentral.jwt-file", value_name = "FILE")]
    #[arg(env = "RC_JWT_FILE")]
    jwt_file: Option<OsString>,
    /// Account id; ~ is the account of the JWT [default: ~]
    #[arg(long = "ringcentral.account-id", value_name = "ID")]
    #[arg(env = "RC_ACCOUNT_ID")]
    account_id: Option<OsString>,
    /// `account` for all calls, `extension` for only the calls of the JWT's user [default: account]
    #[arg(long = "ringcentral.level", value_name = "LEVEL", env = "RC_LEVEL")]
    level: Option<OsString>,
    /// Whether to read who rings, talks and is available: off, poll (at most once a minute) or events (in real time)
    /// [default: off]
    #[arg(long = "ringcentral.presence", value_name = "off|poll|events")]
    #[arg(env = "RC_PRESENCE")]
    presence: Option<OsString>,
    /// Number of concurrent calls that the account allows
    #[arg(long = "ringcentral.concurrent-calls-limit", value_name = "NUMBER")]
    #[arg(env = "RC_CONCURRENT_CALLS_LIMIT")]
    concurrent_calls_limit: Option<OsString>,
    /// PEM file with additional root certificates, for a company proxy
    #[arg(long = "ringcentral.ca-file", value_name = "FILE", env = "RC_CA_FILE")]
    ca_file: Option<OsString>,
}

impl AccountArgs {
    fn args() -> Vec<Arg> {
        let command = Self::augment_args(Command::new(""));
        command.get_arguments().cloned().collect()
    }

    /// Returns the ids of the flags, which are the keys of an account in the accounts file.
    pub(crate) fn ids() -> Vec<String> {
        let args = Self::args();
        args.iter().map(|arg| arg.get_id().to_string()).collect()
    }
}

/// The keys of the secrets, and the variables that hold a secret itself.
const SECRETS: [(&str, &str); 2] = [("client_secret", "RC_CLIENT_SECRET"), ("jwt", "RC_JWT")];

/// The keys without a default, and the error if neither they nor their file are given.
const REQUIRED: [(&str, &str); 3] = [
    (
        "client_id",
        "the app's client id is required: RC_CLIENT_ID or --ringcentral.client-id",
    ),
    (
        "client_secret",
        "the app's client secret is required: RC_CLIENT_SECRET, RC_CLIENT_SECRET_FILE or --ringcentral.client-secret-file",
    ),
    (
        "jwt",
        "the user's JWT is required: RC_JWT, RC_JWT_FILE or --ringcentral.jwt-file",
    ),
];

/// Builds the account that flags and variables describe.
pub(crate) fn account(matches: &ArgMatches) -> Result<Account, ConfigError> {
    let values = values(matches)?;
    for (key, missing) in REQUIRED {
        if !values.contains_key(key) && !values.contains_key(&format!("{key}_file")) {
            return Err(ConfigError(missing.to_owned()));
        }
    }
    Account::new(values, Path::new(""))
}

/// Returns an error if a flag or variable describes an account although `file` has all accounts.
pub(crate) fn reject_account_flags(matches: &ArgMatches, file: &Path) -> Result<(), ConfigError> {
    let values = values(matches)?;
    let Some(value) = values.values().next() else {
        return Ok(());
    };
    Err(ConfigError(format!(
        "--config.file: {}: conflicts with {}: expected all accounts in the file",
        redact_path(file),
        value.origin
    )))
}

/// Returns an error if any flag of `command`, or its variable, contains a JWT: most values are shown in the log, on the
/// page or in metrics.
///
/// # Errors
/// Returns an error for the first such flag or variable.
pub fn reject_jwts(command: &Command, matches: &ArgMatches) -> Result<(), ConfigError> {
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let Ok(Some(values)) = matches.try_get_raw(id) else {
            continue;
        };
        for value in values {
            if contains_jwt(&value.to_string_lossy()) {
                return Err(Setting::new(&origin(arg, matches), "").misplaced_jwt());
            }
        }
    }
    Ok(())
}

/// Returns the name of the flag or variable that gave the value.
fn origin(arg: &Arg, matches: &ArgMatches) -> String {
    if matches.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable) {
        return arg.get_env().unwrap_or_default().display().to_string();
    }
    match arg.get_long() {
        Some(long) => format!("--{long}"),
        None => "argument".to_owned(),
    }
}

/// Returns the values that were given, by their keys in the accounts file. An empty variable counts
/// as unset.
fn values(matches: &ArgMatches) -> Result<BTreeMap<String, Setting>, ConfigError> {
    let mut values = BTreeMap::new();
    for (key, variable) in SECRETS {
        let value = std::env::var_os(variable).unwrap_or_default();
        if !value.is_empty() {
            values.insert(key.to_owned(), setting(variable, &value)?);
        }
    }
    for arg in AccountArgs::args() {
        let id = arg.get_id().as_str();
        let Some(value) = matches.get_one::<OsString>(id) else {
            continue;
        };
        let is_variable = matches.value_source(id) == Some(ValueSource::EnvVariable);
        if is_variable && value.is_empty() {
            continue;
        }
        values.insert(id.to_owned(), setting(&origin(&arg, matches), value)?);
    }
    Ok(values)
}

fn setting(origin: &str, value: &OsStr) -> Result<Setting, ConfigError> {
    match value.to_str() {
        Some(value) => Ok(Setting::new(origin, value)),
        None => Err(Setting::new(origin, "").invalid_redacted("invalid value", "UTF-8 text")),
    }
}
