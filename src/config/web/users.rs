//! Who may log in: names and bcrypt hashes.
//!
//! Owns: which hashes are accepted. Refuses to know: how a password is checked. No hash is ever printed.

use std::collections::BTreeMap;

use bcrypt::HashParts;
use secrecy::{ExposeSecret, SecretString};

use crate::config::ConfigError;
use crate::config::setting::Setting;

const ACCEPTED: &str = "a bcrypt hash: $2a$, $2b$ or $2y$, a cost from 04 to 31, and 53 characters, as `htpasswd -nBC 10 NAME` prints it";
/// From here on a check takes seconds.
const SLOW: u32 = 15;

/// Names and the hashes of their passwords.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BasicAuthUsers(BTreeMap<String, PasswordHash>);

/// A bcrypt hash.
#[derive(Clone, Debug)]
pub struct PasswordHash {
    text: SecretString,
    /// Its cost: one more doubles the time.
    pub cost: u32,
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.text.expose_secret() == other.text.expose_secret()
    }
}

impl PasswordHash {
    fn new(setting: &Setting) -> Result<Self, ConfigError> {
        let wrong = || setting.invalid_redacted("this is no bcrypt hash", ACCEPTED);
        let cost = setting
            .value
            .parse::<HashParts>()
            .map_err(|_| wrong())?
            .get_cost();
        // 2x marks hashes of a faulty program, which nobody checks rightly.
        if !(4..=31).contains(&cost) || setting.value.starts_with("$2x$") {
            return Err(wrong());
        }
        Ok(Self {
            text: SecretString::from(setting.value.as_str()),
            cost,
        })
    }

    /// A hash of this cost that is nobody's.
    #[must_use]
    pub fn dummy(cost: u32) -> Self {
        let text = format!("$2b${cost:02}$pAeoj40t/A3wVBN.tFq3N.1xgHhCOlyrSUtVumkZ8hcS8tCkGfDJe");
        Self {
            text: SecretString::from(text),
            cost,
        }
    }

    /// Whether it is this password's. Takes long, on purpose.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, self.text.expose_secret()).unwrap_or(false)
    }
}

impl BasicAuthUsers {
    /// Validates names and hashes.
    pub(super) fn new(entries: Vec<(String, Setting)>) -> Result<Self, ConfigError> {
        let user = |(name, setting): (String, Setting)| {
            if name.contains(':') {
                return Err(setting.invalid_redacted(
                    "a name with a colon can never log in",
                    "a name without one",
                ));
            }
            Ok((name, PasswordHash::new(&setting)?))
        };
        entries
            .into_iter()
            .map(user)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there are none, so that no login is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash of a user.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PasswordHash> {
        self.0.get(name)
    }

    /// The costs of all hashes.
    pub fn costs(&self) -> impl ExactSizeIterator<Item = u32> {
        self.0.values().map(|hash| hash.cost)
    }

    /// Users whose login takes seconds.
    pub fn users_with_high_cost(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, hash)| hash.cost >= SLOW)
            .map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_is_a_hash() {
        for cost in [4, 10, 31] {
            let setting = Setting::new("x", PasswordHash::dummy(cost).text.expose_secret());
            assert_eq!(PasswordHash::new(&setting).unwrap().cost, cost);
        }
    }

    #[test]
    fn a_hash_is_not_printed() {
        let hash = PasswordHash::dummy(4);
        assert!(!format!("{hash:?}").contains("$2b$"));
    }
}
