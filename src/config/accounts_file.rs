//! The accounts of `--config.file`, in YAML.
//!
//! Names must be unique, and no two accounts may share a rate limit of the API. The files that an
//! account names are read once, so that a wrong path is an error at the start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::config::ConfigError;
use crate::config::account::Account;
use crate::config::flags::AccountArgs;
use crate::config::yaml::{self, Located, Section, Text};
use crate::file;
use crate::secret::{Fingerprint, redact_path};

/// Enough for some thousand accounts with comments, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// The keys without a default, and what each expects.
const REQUIRED: [(&str, &str); 4] = [
    ("name", "a unique name"),
    ("client_id", "the client id of an app"),
    (
        "client_secret_file",
        "the path of a file with the app's client secret",
    ),
    ("jwt_file", "the path of a file with the user's JWT"),
];

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    accounts: Option<Vec<Located<Entry>>>,
}

/// An account in the file. Its keys are the ids of the flags in [`AccountArgs`].
type Entry = BTreeMap<String, Text>;

/// Reads the accounts of a file.
///
/// # Errors
/// Returns an error for the first mistake, by line and key path, or if there is no account.
pub fn read_accounts(file: &Path) -> Result<Vec<Account>, ConfigError> {
    let prefix = format!("--config.file: {}", redact_path(file));
    let invalid =
        |reason: &str| ConfigError(format!("{prefix}: {reason}: expected accounts in YAML"));
    let bytes = file::read(file, MAX_BYTES).map_err(|error| invalid(&error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("the file is not UTF-8"))?;
    parse(&prefix, &text, file.parent().unwrap_or(Path::new("")))
}

fn parse(prefix: &str, text: &str, dir: &Path) -> Result<Vec<Account>, ConfigError> {
    let document: Document = yaml::parse(prefix, text)?;
    let root = Section::root(prefix);
    let mut accounts = Vec::new();
    for (n, entry) in document.accounts.into_iter().flatten().enumerate() {
        let place = root.child(&format!("accounts[{n}]"), entry.line);
        let account = parse_entry(entry.value, &place, dir)?;
        accounts.push((place, account));
    }
    if accounts.is_empty() {
        return Err(ConfigError(format!(
            "{prefix}: accounts: the list is empty: expected at least one account"
        )));
    }
    check_unique(&accounts, "name", |account| Some(account.name.clone()))?;
    check_unique(&accounts, "server, client id and JWT", login_key)?;
    let mut accounts = accounts.into_iter().map(|(_, account)| account).collect();
    dedup_ca_bundles(&mut accounts);
    Ok(accounts)
}

fn parse_entry(entry: Entry, place: &Section, dir: &Path) -> Result<Account, ConfigError> {
    let known_keys = AccountArgs::ids();
    let mut values = BTreeMap::new();
    for (key, text) in entry {
        if !known_keys.contains(&key) {
            return Err(place.unknown_key(&key, text.line, &known_keys));
        }
        if let Some(setting) = place.text(&key, text) {
            values.insert(key, setting);
        }
    }
    for (key, expected) in REQUIRED {
        if !values.contains_key(key) {
            return Err(place.invalid(&format!("{key} is missing: expected {expected}")));
        }
    }
    Account::new(values, dir)
}

/// Returns an error if two accounts have the same key.
fn check_unique<K: Ord>(
    accounts: &[(Section, Account)],
    description: &str,
    key: impl Fn(&Account) -> Option<K>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeMap::new();
    for (place, account) in accounts {
        let Some(key) = key(account) else {
            continue;
        };
        if let Some(first) = seen.insert(key, place) {
            return Err(place.invalid(&format!(
                "same {description} as {} on line {}: expected a different one",
                first.path, first.line
            )));
        }
    }
    Ok(())
}

/// Returns what RingCentral counts requests by: two accounts with the same key would exceed their
/// common limit.
fn login_key(account: &Account) -> Option<(String, String, Fingerprint)> {
    let jwt = account.jwt.read().ok()?;
    Some((
        account.server.to_string(),
        account.client_id.clone(),
        Fingerprint::new(&jwt),
    ))
}

/// Shares equal CA bundles: most accounts name the bundle of the same company, which may be large.
fn dedup_ca_bundles(accounts: &mut Vec<Account>) {
    let mut bundles: Vec<Arc<[u8]>> = Vec::new();
    for account in accounts {
        let Some(ca) = &mut account.ca else {
            continue;
        };
        match bundles.iter().find(|bundle| *bundle == ca) {
            Some(bundle) => *ca = bundle.clone(),
            None => bundles.push(ca.clone()),
        }
    }
}
