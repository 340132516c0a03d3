//! The validated `--web.config.file`, in the YAML of Prometheus' exporter-toolkit.
//!
//! Parsing is pure: the files that it names are read later. A key that the toolkit would accept and
//! then ignore is an error if it looks like protection.

mod tls;
mod tls_names;
mod users;

use std::path::Path;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
pub use tls::{ClientAuth, Pem, Tls};
pub use users::{BasicAuthUsers, PasswordHash};

use crate::config::ConfigError;
use crate::config::setting::{ParseResult, Setting, parse_count, parse_duration};
use crate::config::yaml::{self, Bool, Located, Section, Text, TextMap};

/// The validated file.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// `tls_server_config`; absent for plain HTTP.
    pub tls: Option<Tls>,
    /// `http_server_config.headers`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `basic_auth_users`.
    pub users: BasicAuthUsers,
    /// `rate_limit`; absent for no limit.
    pub rate_limit: Option<RateLimit>,
}

/// The parameters of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The time in which one more request becomes available.
    pub interval: Duration,
    /// The capacity of the bucket, in requests.
    pub burst: u32,
}

/// The whole file before validation.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    tls_server_config: Located<Option<tls::RawTls>>,
    http_server_config: Located<Option<RawHttpServer>>,
    basic_auth_users: TextMap,
    rate_limit: Located<Option<RawRateLimit>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawHttpServer {
    http2: Bool,
    headers: TextMap,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRateLimit {
    interval: Text,
    burst: Text,
}

impl WebConfig {
    /// Validates the text of `file`.
    ///
    /// # Errors
    /// Returns an error for the first mistake.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let prefix = error_prefix(file);
        let raw: Document = yaml::parse(&prefix, text)?;
        let root = Section::root(&prefix);
        let dir = file.parent().unwrap_or(Path::new(""));
        Ok(Self {
            tls: Tls::new(&root, raw.tls_server_config, dir)?,
            headers: parse_http_server(&root, raw.http_server_config)?,
            users: users::parse_users(root.entries("basic_auth_users", raw.basic_auth_users))?,
            rate_limit: RateLimit::new(&root, raw.rate_limit)?,
        })
    }
}

/// Returns the start of every error about `file`.
pub(crate) fn error_prefix(file: &Path) -> String {
    format!("--web.config.file: {}", crate::secret::redact_path(file))
}

/// Returns the headers. `http2` has no effect: the server speaks only HTTP/1.1, enough for one
/// request in 15 s.
fn parse_http_server(
    root: &Section,
    raw: Located<Option<RawHttpServer>>,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    let section = root.child("http_server_config", raw.line);
    let raw = raw.value.unwrap_or_default();
    section.bool_or("http2", raw.http2, true)?;
    let mut headers = Vec::new();
    for (name, setting) in section.entries("headers", raw.headers) {
        if !setting.value.is_empty() {
            headers.push(parse_header(&name, &setting)?);
        }
    }
    Ok(headers)
}

fn parse_header(name: &str, setting: &Setting) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let (name, allowed_values): (_, &[&str]) = match name {
        "Content-Security-Policy" => ("content-security-policy", &[]),
        "X-Frame-Options" => ("x-frame-options", &["deny", "sameorigin"]),
        "X-Content-Type-Options" => ("x-content-type-options", &["nosniff"]),
        "X-XSS-Protection" => ("x-xss-protection", &[]),
        "Strict-Transport-Security" => ("strict-transport-security", &[]),
        _ => {
            return Err(setting.invalid_redacted(
                "unknown header",
                "one of Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security",
            ));
        }
    };
    if !allowed_values.is_empty() && !allowed_values.contains(&setting.value.as_str()) {
        return Err(setting.invalid(&allowed_values.join(" or ")));
    }
    let value = HeaderValue::from_str(&setting.value)
        .map_err(|_| setting.invalid("one line of visible characters"))?;
    Ok((HeaderName::from_static(name), value))
}

impl RateLimit {
    fn new(
        root: &Section,
        raw: Located<Option<RawRateLimit>>,
    ) -> Result<Option<Self>, ConfigError> {
        let section = root.child("rate_limit", raw.line);
        let raw = raw.value.unwrap_or_default();
        let interval = section.text_or("interval", raw.interval, "0");
        let interval = interval.parse(parse_interval)?;
        if interval.is_zero() {
            return Ok(None);
        }
        // The toolkit's default is 0, with which no request would be answered.
        let Some(burst) = section.text("burst", raw.burst) else {
            return Err(
                section.invalid("burst is missing: expected a whole number from 1 to 1000000")
            );
        };
        Ok(Some(Self {
            interval,
            burst: burst.parse(parse_count)?,
        }))
    }
}

fn parse_interval(text: &str) -> ParseResult<Duration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    parse_duration(text).map_err(|_| "a duration such as 500ms or 1s, or 0 for no limit")
}

#[cfg(test)]
mod tests;
