//! A configuration value with its origin, and the parsers that flags, variables and files share.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use crate::config::ConfigError;
use crate::secret::{looks_like_secret, redact_value};

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
    let is_invalid = port.parse::<u16>().is_err() || (host.contains(':') && !bracketed);
    if is_invalid || looks_like_secret(host) {
        return Err(EXPECTED);
    }
    Ok(text.to_owned())
}

/// Returns the path as written; clap's own parser rejects an empty one, which counts as absent
/// here.
pub(crate) fn parse_path(text: &str) -> ParseResult<PathBuf> {
    Ok(PathBuf::from(text))
}

/// Returns the first of several absolute paths that are separated by colons, as systemd writes them.
pub(crate) fn parse_first_path(text: &str) -> ParseResult<PathBuf> {
    parse_path(text.split_once(":/").map_or(text, |(first, _)| first))
}
