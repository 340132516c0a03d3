//! One account from flags and environment variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};
use secrecy::SecretString;

use crate::config::ConfigError;
use crate::config::account::{Account, readable_secret};
use crate::config::setting::Setting;
use crate::secret::SecretSource;

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
    /// Client id of the app [required]
    #[arg(long = "ringcentral.client-id", value_name = "ID")]
    #[arg(env = "RC_CLIENT_ID")]
    client_id: Option<OsString>,
    /// File with the client secret of the app; or the secret itself in RC_CLIENT_SECRET [required]
    #[arg(long = "ringcentral.client-secret-file", value_name = "FILE")]
    #[arg(env = "RC_CLIENT_SECRET_FILE")]
    client_secret_file: Option<OsString>,
    /// File with the JWT of the user; or the JWT itself in RC_JWT [required]
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

/// The variables that hold a secret itself.
const CLIENT_SECRET: &str = "RC_CLIENT_SECRET";
const JWT: &str = "RC_JWT";

/// Builds the account that flags and variables describe.
pub(crate) fn account(matches: &ArgMatches) -> Result<Account, ConfigError> {
    let mut values = values(matches)?;
    if !values.contains_key("client_id") {
        return Err(ConfigError(
            "the app's client id is required: RC_CLIENT_ID or --ringcentral.client-id".to_owned(),
        ));
    }
    let client_secret = secret(
        "the app's client secret",
        CLIENT_SECRET,
        "--ringcentral.client-secret-file",
        values.remove("client_secret_file"),
    )?;
    let jwt = secret(
        "the user's JWT",
        JWT,
        "--ringcentral.jwt-file",
        values.remove("jwt_file"),
    )?;
    Account::new(values, client_secret, jwt)
}

/// Returns an error if a flag or variable describes an account although `file` has all accounts.
pub(crate) fn reject_account_flags(matches: &ArgMatches, file: &Path) -> Result<(), ConfigError> {
    let values = values(matches)?;
    let mut origins: Vec<_> = values.values().map(|value| value.origin.as_str()).collect();
    for name in [CLIENT_SECRET, JWT] {
        if variable(name).is_some() {
            origins.push(name);
        }
    }
    match origins.first() {
        None => Ok(()),
        Some(origin) => Err(ConfigError(format!(
            "--config.file: {}: conflicts with {origin}: expected all accounts in the file",
            file.display()
        ))),
    }
}

/// Returns the values that were given, by the id of their argument. An empty variable counts as
/// unset.
fn values(matches: &ArgMatches) -> Result<BTreeMap<String, Setting>, ConfigError> {
    let mut values = BTreeMap::new();
    for arg in AccountArgs::args() {
        let id = arg.get_id().as_str();
        let Some(value) = matches.get_one::<OsString>(id) else {
            continue;
        };
        let mut origin = format!("--{}", arg.get_long().unwrap_or_default());
        if matches.value_source(id) == Some(ValueSource::EnvVariable) {
            if value.is_empty() {
                continue;
            }
            origin = arg.get_env().unwrap_or_default().display().to_string();
        }
        values.insert(id.to_owned(), setting(&origin, value)?);
    }
    Ok(values)
}

fn setting(origin: &str, value: &OsStr) -> Result<Setting, ConfigError> {
    match value.to_str() {
        Some(value) => Ok(Setting::new(origin, value)),
        None => Err(Setting::new(origin, "").invalid_redacted("invalid value", "UTF-8 text")),
    }
}

/// Returns a variable; an empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the source of a secret: its variable or its file.
fn secret(
    description: &str,
    name: &str,
    flag: &str,
    file: Option<Setting>,
) -> Result<SecretSource, ConfigError> {
    match (variable(name), file) {
        (None, None) => Err(ConfigError(format!(
            "{description} is required: {name}, {name}_FILE or {flag}"
        ))),
        (Some(_), Some(file)) => Err(ConfigError(format!(
            "{name} conflicts with {}: expected only one of them",
            file.origin
        ))),
        (Some(value), None) => {
            let setting = setting(name, &value)?;
            let source = SecretSource::Value(SecretString::from(setting.value.as_str()));
            readable_secret(source, &setting, description)
        }
        (None, Some(file)) => {
            let source = SecretSource::File(PathBuf::from(&file.value));
            readable_secret(
                source,
                &file,
                &format!("the path of a file with {description}"),
            )
        }
    }
}
