//! One account from flags and environment variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};
use secrecy::SecretString;

use crate::config::ConfigError;
use crate::config::account::{Account, RawAccount, RawCredentials};
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
    /// Value of the label `account` [default: default]
    #[arg(long = "ringcentral.account-name", value_name = "NAME")]
    #[arg(env = "RC_ACCOUNT_NAME")]
    account_name: Option<OsString>,
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

/// A secret and the variable that may hold it.
struct SecretOption {
    description: &'static str,
    variable: &'static str,
    missing: &'static str,
}

const CLIENT_SECRET: SecretOption = SecretOption {
    description: "the app's client secret",
    variable: "RC_CLIENT_SECRET",
    missing: "the app's client secret is required: RC_CLIENT_SECRET, RC_CLIENT_SECRET_FILE or --ringcentral.client-secret-file",
};
const JWT: SecretOption = SecretOption {
    description: "the user's JWT",
    variable: "RC_JWT",
    missing: "the user's JWT is required: RC_JWT, RC_JWT_FILE or --ringcentral.jwt-file",
};

/// Builds the account that flags and variables describe.
pub(crate) fn account(matches: &ArgMatches) -> Result<Account, ConfigError> {
    let mut settings = settings(matches)?;
    let Some(client_id) = settings.remove("client_id") else {
        return Err(ConfigError(
            "the app's client id is required: RC_CLIENT_ID or --ringcentral.client-id".to_owned(),
        ));
    };
    let credentials = RawCredentials {
        client_id,
        client_secret: secret(&CLIENT_SECRET, settings.remove("client_secret_file"))?,
        jwt: secret(&JWT, settings.remove("jwt_file"))?,
    };
    let raw = RawAccount {
        name: settings.remove("account_name"),
        server: settings.remove("server_url"),
        account_id: settings.remove("account_id"),
        level: settings.remove("level"),
        concurrent_calls_limit: settings.remove("concurrent_calls_limit"),
        ca_file: settings.remove("ca_file"),
    };
    Account::new(raw, credentials)
}

/// Returns an error if a flag or variable describes an account although `file` has all accounts.
pub(crate) fn reject_account_flags(matches: &ArgMatches, file: &Path) -> Result<(), ConfigError> {
    let settings = settings(matches)?;
    let origins = settings.values().map(|setting| setting.origin.as_str());
    let secrets = [CLIENT_SECRET.variable, JWT.variable].into_iter();
    let secrets = secrets.filter(|name| variable(name).is_some());
    match origins.chain(secrets).next() {
        None => Ok(()),
        Some(origin) => Err(ConfigError(format!(
            "--config.file: {}: conflicts with {origin}: expected all accounts in the file",
            file.display()
        ))),
    }
}

/// Returns the values that were given, by the id of their argument. An empty variable counts as
/// unset.
fn settings(matches: &ArgMatches) -> Result<BTreeMap<String, Setting>, ConfigError> {
    let mut settings = BTreeMap::new();
    for arg in AccountArgs::augment_args(Command::new("")).get_arguments() {
        let id = arg.get_id().as_str();
        let Some(value) = matches.get_one::<OsString>(id) else {
            continue;
        };
        let from_env = matches.value_source(id) == Some(ValueSource::EnvVariable);
        if !(from_env && value.is_empty()) {
            settings.insert(id.to_owned(), setting(&origin(arg, from_env), value)?);
        }
    }
    Ok(settings)
}

fn origin(arg: &Arg, from_env: bool) -> String {
    match (arg.get_env(), arg.get_long()) {
        (Some(variable), _) if from_env => variable.display().to_string(),
        (_, flag) => format!("--{}", flag.unwrap_or_default()),
    }
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

/// Returns the source of a secret: its variable or its file. A file is read once, so that a wrong
/// path is an error at the start.
fn secret(secret: &SecretOption, file: Option<Setting>) -> Result<SecretSource, ConfigError> {
    let (setting, source, expected) = match (variable(secret.variable), file) {
        (Some(_), Some(file)) => {
            return Err(ConfigError(format!(
                "{} conflicts with {}: expected only one of them",
                secret.variable, file.origin
            )));
        }
        (None, None) => return Err(ConfigError(secret.missing.to_owned())),
        (Some(value), None) => {
            let setting = setting(secret.variable, &value)?;
            let source = SecretSource::Value(SecretString::from(setting.value.as_str()));
            (setting, source, secret.description.to_owned())
        }
        (None, Some(file)) => {
            let source = SecretSource::File(PathBuf::from(&file.value));
            let expected = format!("the path of a file with {}", secret.description);
            (file, source, expected)
        }
    };
    match source.read() {
        Ok(_) => Ok(source),
        Err(error) => Err(setting.invalid_redacted(&error.to_string(), &expected)),
    }
}
