//! An account as flags and variables give it.
//!
//! Owns: which flag and which variable give a value, and where its two secrets may be.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::cli::AccountArgs;
use crate::config::ConfigError;
use crate::config::account::{Account, RawAccount, RawCredentials};
use crate::config::setting::{Setting, Variables};
use crate::secret::SecretSource;

/// A flag, its variable, and where its value is kept.
type Flag = (
    &'static str,
    &'static str,
    fn(&AccountArgs) -> Option<&String>,
);

/// Each flag about an account; secrets themselves have no flags.
const FLAGS: [Flag; 9] = [
    ("--ringcentral.server-url", "RC_SERVER_URL", |args| {
        args.server_url.as_ref()
    }),
    ("--ringcentral.client-id", "RC_CLIENT_ID", |args| {
        args.client_id.as_ref()
    }),
    (
        "--ringcentral.client-secret-file",
        "RC_CLIENT_SECRET_FILE",
        |args| args.client_secret_file.as_ref(),
    ),
    ("--ringcentral.jwt-file", "RC_JWT_FILE", |args| {
        args.jwt_file.as_ref()
    }),
    ("--ringcentral.account-id", "RC_ACCOUNT_ID", |args| {
        args.account_id.as_ref()
    }),
    ("--ringcentral.account-name", "RC_ACCOUNT_NAME", |args| {
        args.account_name.as_ref()
    }),
    ("--ringcentral.level", "RC_LEVEL", |args| {
        args.level.as_ref()
    }),
    (
        "--ringcentral.concurrent-calls-limit",
        "RC_CONCURRENT_CALLS_LIMIT",
        |args| args.concurrent_calls_limit.as_ref(),
    ),
    ("--ringcentral.ca-file", "RC_CA_FILE", |args| {
        args.ca_file.as_ref()
    }),
];
const SECRET_VARIABLES: [&str; 2] = ["RC_CLIENT_SECRET", "RC_JWT"];

/// The flags and variables of one account.
pub struct Flags<'a> {
    pub args: &'a AccountArgs,
    pub variables: Variables<'a>,
}

impl Flags<'_> {
    /// The account that they describe.
    pub fn account(&self) -> Result<Account, ConfigError> {
        let given = RawAccount {
            name: self.get("--ringcentral.account-name")?,
            server: self.get("--ringcentral.server-url")?,
            account_id: self.get("--ringcentral.account-id")?,
            level: self.get("--ringcentral.level")?,
            concurrent_calls_limit: self.get("--ringcentral.concurrent-calls-limit")?,
            ca_file: self.get("--ringcentral.ca-file")?,
        };
        let required = "the app's client id is required: RC_CLIENT_ID or --ringcentral.client-id";
        let client_id = self
            .get("--ringcentral.client-id")?
            .ok_or_else(|| ConfigError(required.to_owned()))?;
        let (client_secret, jwt) = (self.secret(&CLIENT_SECRET)?, self.secret(&JWT)?);
        Account::new(
            given,
            RawCredentials {
                client_id,
                client_secret,
                jwt,
            },
        )
    }

    /// Beside a file of accounts they would be for none of its accounts, so there must be none.
    pub fn none_beside(&self, file: &Path) -> Result<(), ConfigError> {
        let flags = FLAGS.iter().map(|(flag, ..)| self.get(flag));
        let secrets = SECRET_VARIABLES
            .iter()
            .map(|variable| self.variables.get(variable));
        for given in flags.chain(secrets) {
            if let Some(Setting { origin: name, .. }) = given? {
                let (file, accepted) = (
                    file.display(),
                    "one of the two: with the file all accounts stand in it",
                );
                return Err(ConfigError(format!(
                    "--config.file: {file}: {name} is given too; accepted is {accepted}"
                )));
            }
        }
        Ok(())
    }

    /// The flag, else its variable.
    fn get(&self, flag: &str) -> Result<Option<Setting>, ConfigError> {
        let Some((flag, variable, value)) = FLAGS.iter().find(|(known, ..)| *known == flag) else {
            return Ok(None);
        };
        self.variables.or_flag(flag, value(self.args), variable)
    }

    /// Where a secret is; a file is read once here, so that a wrong path is found at the start.
    fn secret(&self, places: &SecretPlaces) -> Result<SecretSource, ConfigError> {
        let (file, value) = (self.get(places.flag)?, self.variables.get(places.variable)?);
        let (setting, source) = match (value, file) {
            (Some(value), Some(file)) => {
                return Err(ConfigError(format!(
                    "{} and {} are both given; give one of them",
                    value.origin, file.origin
                )));
            }
            (None, None) => return Err(places.missing()),
            (Some(value), None) => (
                value.clone(),
                SecretSource::Value(SecretString::from(value.value)),
            ),
            (None, Some(file)) => (file.clone(), SecretSource::File(PathBuf::from(file.value))),
        };
        let accepted = match source {
            SecretSource::Value(_) => places.what.to_owned(),
            SecretSource::File(_) => format!("the path of a file with {}", places.what),
        };
        source
            .read()
            .map_err(|error| setting.invalid_redacted(&error.to_string(), &accepted))?;
        Ok(source)
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
    fn missing(&self) -> ConfigError {
        ConfigError(format!(
            "{} is required: {}, or {}, or {}",
            self.what, self.variable, self.file_variable, self.flag
        ))
    }
}
