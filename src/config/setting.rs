//! One value and where it was given, so that a mistake can name the place.
//!
//! Owns: flags before variables, an empty variable as none, and the one form of a complaint.

use std::ffi::OsString;
use std::time::Duration;

use jiff::SignedDuration;

use crate::config::ConfigError;

/// What most durations accept.
pub const DURATION: &str = "a duration above 0 such as 500ms, 10s or 2m";
/// The longest duration; longer ones are typing mistakes.
const DURATION_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer values may be secrets in the wrong place: every JWT is longer, and hardly anything else is.
const LONGEST_SHOWN: usize = 64;

/// The environment.
pub struct Variables<'a>(pub &'a dyn Fn(&str) -> Option<OsString>);

/// A value, with the flag or variable that gave it.
#[derive(Clone, Debug)]
pub struct Setting {
    pub origin: String,
    pub value: String,
}

impl Variables<'_> {
    /// A variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Result<Option<Setting>, ConfigError> {
        let Some(value) = (self.0)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match value.into_string() {
            Ok(value) => Ok(Some(Setting::new(name, &value))),
            Err(_) => Err(ConfigError(format!(
                "{name}: not UTF-8; accepted is text in UTF-8"
            ))),
        }
    }

    /// The flag, else the variable.
    pub fn or_flag(
        &self,
        flag: &str,
        value: Option<&String>,
        variable: &str,
    ) -> Result<Option<Setting>, ConfigError> {
        match value {
            Some(value) => Ok(Some(Setting::new(flag, value))),
            None => self.get(variable),
        }
    }
}

impl Setting {
    pub fn new(name: &str, value: &str) -> Self {
        Self {
            origin: name.to_owned(),
            value: value.to_owned(),
        }
    }

    /// The complaint: where, what, and what is accepted. A long value is not repeated.
    pub fn invalid(&self, accepted: &str) -> ConfigError {
        let value = match self.value.len() {
            ..=LONGEST_SHOWN => format!("{:?}", self.value),
            length => format!("a value of {length} bytes"),
        };
        ConfigError(format!(
            "{}: {value} is not accepted; accepted is {accepted}",
            self.origin
        ))
    }

    /// The same for a value that may hold a secret.
    pub fn invalid_redacted(&self, what: &str, accepted: &str) -> ConfigError {
        ConfigError(format!("{}: {what}; accepted is {accepted}", self.origin))
    }

    /// A duration above zero.
    pub fn duration(&self, accepted: &str) -> Result<Duration, ConfigError> {
        let duration = self.any_duration(accepted)?;
        if duration.is_zero() {
            Err(self.invalid(accepted))
        } else {
            Ok(duration)
        }
    }

    /// A duration, zero included. A bare number has no unit, and so is none.
    pub fn any_duration(&self, accepted: &str) -> Result<Duration, ConfigError> {
        let has_unit = self.value.ends_with(|c: char| c.is_ascii_lowercase());
        let parsed = self
            .value
            .parse::<SignedDuration>()
            .ok()
            .filter(|_| has_unit);
        let duration = parsed.and_then(|duration| Duration::try_from(duration).ok());
        duration
            .filter(|duration| *duration <= DURATION_MOST)
            .ok_or_else(|| self.invalid(accepted))
    }
}
