//! A configuration value with its origin, and the parsers that flags, variables and files share.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, Command};
use jiff::SignedDuration;

use crate::config::ConfigError;
use crate::secret::redact_value;

/// Longer durations are typing mistakes.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
const COUNT: &str = "a whole number from 1 to 1000000";

/// The value, or what is expected instead.
pub(crate) type ParseResult<T> = Result<T, &'static str>;

/// A value with its origin: a flag, a variable, or a key with its file and line.
#[derive(Clone, Default)]
pub(crate) struct Setting {
    pub(crate) origin: String,
    pub(crate) value: String,
}

impl Setting {
    pub(crate) fn new(origin: &str, value: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            value: value.to_owned(),
        }
    }

    /// Parses the value; the error repeats it.
    pub(crate) fn parse<T>(&self, parser: fn(&str) -> ParseResult<T>) -> Result<T, ConfigError> {
        parser(&self.value).map_err(|expected| self.invalid(expected))
    }

    /// Returns the error for an invalid value, which is repeated unless it may be a secret.
    pub(crate) fn invalid(&self, expected: &str) -> ConfigError {
        let reason = format!("invalid value {}", redact_value(&self.value));
        self.invalid_redacted(&reason, expected)
    }

    /// Returns the error for a value that may be a secret and is not repeated.
    pub(crate) fn invalid_redacted(&self, reason: &str, expected: &str) -> ConfigError {
        ConfigError(format!("{}: {reason}: expected {expected}", self.origin))
    }

    /// Returns the error about a JWT in the wrong place.
    pub(crate) fn misplaced_jwt(&self) -> ConfigError {
        let expected = "JWTs only in RC_JWT or in the file of RC_JWT_FILE or jwt_file";
        self.invalid_redacted("the value contains a JWT", expected)
    }
}

/// Parses a duration above zero.
pub(crate) fn parse_positive_duration(text: &str) -> ParseResult<Duration> {
    match parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration above 0 and at most 24h, such as 500ms, 10s or 2m"),
    }
}

/// Parses a duration with its unit, such as `500ms`; zero is valid.
pub(crate) fn parse_duration(text: &str) -> ParseResult<Duration> {
    const EXPECTED: &str = "a duration of at most 24h, such as 500ms or 1s";
    let has_unit = text.ends_with(|c: char| c.is_ascii_lowercase());
    let signed: SignedDuration = text.parse().map_err(|_| EXPECTED)?;
    match Duration::try_from(signed) {
        Ok(duration) if has_unit && duration <= MAX_DURATION => Ok(duration),
        _ => Err(EXPECTED),
    }
}

/// Parses a whole number from 1 to 1,000,000.
pub(crate) fn parse_count<T: TryFrom<u32>>(text: &str) -> ParseResult<T> {
    match text.parse() {
        Ok(count @ 1..=1_000_000) => T::try_from(count).map_err(|_| COUNT),
        _ => Err(COUNT),
    }
}

/// Parses `HOST:PORT`, or `:PORT` for all interfaces.
pub(crate) fn parse_listen_address(text: &str) -> ParseResult<String> {
    const EXPECTED: &str = "HOST:PORT or :PORT, with an IPv6 host in brackets";
    let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if port.parse::<u16>().is_err() || (host.contains(':') && !bracketed) {
        return Err(EXPECTED);
    }
    Ok(text.to_owned())
}

/// Returns the path as written; clap's own parser rejects an empty one, which counts as absent
/// here.
pub(crate) fn parse_path(text: &str) -> ParseResult<PathBuf> {
    Ok(PathBuf::from(text))
}

/// The parser of the state directory. Only the variable may have several, as systemd writes them.
#[derive(Clone)]
pub(crate) struct StateDirectoryParser;

impl TypedValueParser for StateDirectoryParser {
    type Value = PathBuf;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<PathBuf, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        Ok(PathBuf::from(text))
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<PathBuf, clap::Error> {
        let path = self.parse_ref(command, arg, value)?;
        match (source, path.to_str()) {
            (ValueSource::EnvVariable, Some(text)) => Ok(PathBuf::from(first_path(text))),
            _ => Ok(path),
        }
    }
}

/// Returns the first of several absolute paths that are separated by colons. Empty parts are skipped.
fn first_path(text: &str) -> &str {
    let text = text.trim_start_matches(':');
    let first = text.split_once(":/").map_or(text, |(first, _)| first);
    first.trim_end_matches(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_several_paths_is_not_empty() {
        for (text, expected) in [
            ("/tmp/x", "/tmp/x"),
            ("/tmp/x:/tmp/y", "/tmp/x"),
            (":/tmp/x", "/tmp/x"),
            ("::/tmp/x::/tmp/y", "/tmp/x"),
            ("/tmp/x:", "/tmp/x"),
            ("/tmp/a:b", "/tmp/a:b"),
            (":", ""),
            ("", ""),
        ] {
            assert_eq!(first_path(text), expected, "{text}");
        }
    }

    #[test]
    fn listen_address_may_have_any_host_name() {
        for text in [
            "4f1e9c0b7d2a8e63:0",
            "web1a2b3c4d5e6f7g8h9:0",
            "[::1]:80",
            ":0",
        ] {
            assert_eq!(parse_listen_address(text).as_deref(), Ok(text));
        }
    }
}
