//! `--config.file`: several accounts in YAML.
//!
//! Owns: the keys of the file, that names are distinct, and that no two entries share a limit of the API. Reads the
//! files that it names as far as it takes to see that they can be used. Refuses to know: what each value accepts
//! (`account`), and which accounts run already.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::ConfigError;
use crate::config::account::{Account, RawAccount, RawCredentials};
use crate::config::setting::Setting;
use crate::config::yaml::{Place, Section};
use crate::file;
use crate::secret::{Fingerprint, SecretSource};

/// Room for some thousand accounts with comments; a larger file is a mistake.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
const CLIENT_SECRET: &str = "the path of a file with the app's client secret";
const JWT: &str = "the path of a file with the user's JWT";

/// Reads the accounts of a file; at least one.
///
/// # Errors
/// The first mistake that is found, by line and key path.
pub fn read_accounts(file: &Path) -> Result<Vec<Account>, ConfigError> {
    let place = complaint_place(file);
    let wrong = |what: &str| {
        ConfigError(format!(
            "{place}: {what}; accepted is a file with accounts in YAML"
        ))
    };
    let bytes = file::read(file, MAX_BYTES).map_err(|error| wrong(&error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    parse(&place, &text, file.parent().unwrap_or(Path::new("")))
}

/// What a complaint about this file begins with.
pub fn complaint_place(file: &Path) -> String {
    format!("--config.file: {}", file.display())
}

fn parse(place: &str, text: &str, folder: &Path) -> Result<Vec<Account>, ConfigError> {
    let mut root = Section::parse(place, text)?;
    let sections = root.sections("accounts")?;
    root.end()?;
    if sections.is_empty() {
        return Err(ConfigError(format!(
            "{place}: accounts: there are none; accepted is a list of at least one"
        )));
    }
    let mut entries = Vec::new();
    for section in sections {
        entries.push(entry(section, folder)?);
    }
    distinct(&entries, "it has a name", |account| {
        Some(account.name.clone())
    })?;
    distinct(
        &entries,
        "it has a server, client id and JWT, and so one limit,",
        login,
    )?;
    Ok(share_certificates(
        entries.into_iter().map(|entry| entry.account).collect(),
    ))
}

/// An account and where it stands.
struct Entry {
    place: Place,
    account: Account,
}

/// What is missing is looked at after what is unknown: the one is often the other, spelled wrongly.
fn entry(mut section: Section, folder: &Path) -> Result<Entry, ConfigError> {
    let place = section.place();
    let name = section.text("name")?;
    let server = section.text("server_url")?;
    let client_id = section.text("client_id")?;
    let client_secret = section.text("client_secret_file")?;
    let jwt = section.text("jwt_file")?;
    let given = RawAccount {
        name: None,
        server,
        account_id: section.text("account_id")?,
        level: section.text("level")?,
        concurrent_calls_limit: section.text("concurrent_calls_limit")?,
        ca_file: section.text("ca_file")?.map(|file| beside(folder, file)),
    };
    section.end()?;
    let there = |setting: Option<Setting>, key: &str, accepted: &str| {
        setting.ok_or_else(|| place.wrong(&format!("{key} is missing; accepted is {accepted}")))
    };
    let given = RawAccount {
        name: Some(there(name, "name", "a name of its own")?),
        ..given
    };
    let credentials = RawCredentials {
        client_id: there(client_id, "client_id", "the client id of an app")?,
        client_secret: secret(
            there(client_secret, "client_secret_file", CLIENT_SECRET)?,
            CLIENT_SECRET,
            folder,
        )?,
        jwt: secret(there(jwt, "jwt_file", JWT)?, JWT, folder)?,
    };
    Ok(Entry {
        account: Account::new(given, credentials)?,
        place,
    })
}

/// The file is read once here, so that a wrong path is found at once.
fn secret(setting: Setting, accepted: &str, folder: &Path) -> Result<SecretSource, ConfigError> {
    let source = SecretSource::File(folder.join(&setting.value));
    source
        .read()
        .map_err(|error| setting.invalid_redacted(&error.to_string(), accepted))?;
    Ok(source)
}

/// Paths are relative to the file in which they stand.
fn beside(folder: &Path, file: Setting) -> Setting {
    let path = folder.join(&file.value);
    Setting {
        value: path.to_string_lossy().into_owned(),
        ..file
    }
}

/// No two entries may have the same of what `of` gives.
fn distinct<T: Ord>(
    entries: &[Entry],
    what: &str,
    of: impl Fn(&Account) -> Option<T>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeMap::new();
    for entry in entries {
        let Some(value) = of(&entry.account) else {
            continue;
        };
        if let Some(first) = seen.insert(value, &entry.place) {
            return Err(entry.place.wrong(&format!(
                "{what} that {} has too; accepted are distinct ones",
                first.here()
            )));
        }
    }
    Ok(())
}

/// By this RingCentral counts requests: two observers of one user and app would break the limit together.
fn login(account: &Account) -> Option<(String, String, Fingerprint)> {
    let jwt = account.jwt.read().ok()?;
    Some((
        account.server.to_string(),
        account.client_id.clone(),
        Fingerprint::new(&jwt),
    ))
}

/// Mostly all accounts name the same company's bundle, which may be large.
fn share_certificates(mut accounts: Vec<Account>) -> Vec<Account> {
    let mut known: Vec<Arc<[u8]>> = Vec::new();
    for ca in accounts
        .iter_mut()
        .filter_map(|account| account.ca.as_mut())
    {
        match known.iter().find(|known| *known == ca) {
            Some(known) => *ca = known.clone(),
            None => known.push(ca.clone()),
        }
    }
    accounts
}
