//! `basic_auth_users`: user names and the bcrypt hashes of their passwords.
//!
//! No error and no `Debug` output shows a hash.

use std::collections::BTreeMap;

use bcrypt::HashParts;
use secrecy::{ExposeSecret, SecretString};

use crate::config::ConfigError;
use crate::config::setting::Setting;

const EXPECTED_HASH: &str = "a bcrypt hash: $2a$, $2b$ or $2y$, a cost from 04 to 31, and 53 characters, as `htpasswd -nBC 10 NAME` prints it";

/// User names and the hashes of their passwords.
pub type BasicAuthUsers = BTreeMap<String, PasswordHash>;

/// A bcrypt hash.
#[derive(Clone, Debug)]
pub struct PasswordHash {
    text: SecretString,
    /// The cost; each step doubles the time of a verification.
    pub cost: u32,
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.text.expose_secret() == other.text.expose_secret()
    }
}

impl PasswordHash {
    fn new(setting: &Setting) -> Result<Self, ConfigError> {
        let text = setting.value.as_str();
        match text.parse::<HashParts>().map(|parts| parts.get_cost()) {
            // 2x marks the hashes of an implementation with a bug, which no other one verifies.
            Ok(cost @ 4..=31) if !text.starts_with("$2x$") => Ok(Self {
                text: SecretString::from(text),
                cost,
            }),
            _ => Err(setting.invalid_redacted("not a bcrypt hash", EXPECTED_HASH)),
        }
    }

    /// Returns a hash of the given cost that belongs to no user.
    #[must_use]
    pub fn dummy(cost: u32) -> Self {
        let text = format!("$2b${cost:02}$pAeoj40t/A3wVBN.tFq3N.1xgHhCOlyrSUtVumkZ8hcS8tCkGfDJe");
        Self {
            text: SecretString::from(text),
            cost,
        }
    }

    /// Verifies a password. This takes long by design.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, self.text.expose_secret()).unwrap_or(false)
    }
}

/// Validates names and hashes.
pub(super) fn parse_users(entries: Vec<(String, Setting)>) -> Result<BasicAuthUsers, ConfigError> {
    let mut users = BTreeMap::new();
    for (name, setting) in entries {
        if name.contains(':') {
            return Err(setting.invalid_redacted(
                "a user name with a colon cannot log in",
                "a user name without a colon",
            ));
        }
        users.insert(name, PasswordHash::new(&setting)?);
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dummy_hash_is_valid() {
        for cost in [4, 10, 31] {
            let setting = Setting::new("x", PasswordHash::dummy(cost).text.expose_secret());
            assert_eq!(PasswordHash::new(&setting).unwrap().cost, cost);
        }
    }

    #[test]
    fn debug_hides_the_hash() {
        let hash = PasswordHash::dummy(4);
        assert!(!format!("{hash:?}").contains("$2b$"));
    }
}
