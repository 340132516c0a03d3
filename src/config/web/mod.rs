//! `--web.config.file`: the exporter-toolkit's YAML, validated: **pure**.
//!
//! Owns: the keys of the file, what each accepts, and one line for each mistake. `tls`, `names` and `users` have their
//! parts. Refuses to know: what stands in the files that it names, and who asks. What the toolkit would read and then
//! not heed is a mistake here, if it looks like protection.

mod tls;
mod tls_names;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
pub use tls::{ClientAuth, Pem, Tls};
pub use users::{BasicAuthUsers, PasswordHash};

use crate::config::ConfigError;
use crate::config::setting::Setting;
use crate::config::yaml::Section;

/// The validated file.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// `tls_server_config`; none for plain HTTP.
    pub tls: Option<Tls>,
    /// `http_server_config.headers`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `basic_auth_users`.
    pub users: BasicAuthUsers,
    /// `rate_limit`; none for no limit.
    pub rate_limit: Option<RateLimit>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The time in which one request more is allowed.
    pub interval: Duration,
    /// So many at once.
    pub burst: u32,
}

impl WebConfig {
    /// Validates the text of `file`.
    ///
    /// # Errors
    /// The first mistake that is found.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut root = Section::parse(&error_prefix(file), text)?;
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        let tls = Tls::new(root.section("tls_server_config")?, &folder)?;
        let headers = http_server(root.section("http_server_config")?)?;
        let users = BasicAuthUsers::new(root.section("basic_auth_users")?.texts()?)?;
        let rate_limit = RateLimit::new(root.section("rate_limit")?)?;
        root.end()?;
        Ok(Self {
            tls,
            headers,
            users,
            rate_limit,
        })
    }
}

/// What a complaint about this file begins with.
#[must_use]
pub fn error_prefix(file: &Path) -> String {
    format!("--web.config.file: {}", file.display())
}

/// HTTP/2 is accepted and not spoken: nobody needs it for one request in 15 s.
fn http_server(mut section: Section) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    section.switch("http2", true)?;
    let headers = section.section("headers")?.texts()?;
    section.end()?;
    let set = headers
        .into_iter()
        .filter(|(_, setting)| !setting.value.is_empty());
    set.map(|(name, setting)| header(&name, &setting)).collect()
}

fn header(name: &str, setting: &Setting) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let (known, values): (_, &[&str]) = match name {
        "Content-Security-Policy" => ("content-security-policy", &[]),
        "X-Frame-Options" => ("x-frame-options", &["deny", "sameorigin"]),
        "X-Content-Type-Options" => ("x-content-type-options", &["nosniff"]),
        "X-XSS-Protection" => ("x-xss-protection", &[]),
        "Strict-Transport-Security" => ("strict-transport-security", &[]),
        _ => {
            let accepted = "Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection or Strict-Transport-Security";
            return Err(setting.invalid_redacted("a header that cannot be set", accepted));
        }
    };
    if !values.is_empty() && !values.contains(&setting.value.as_str()) {
        return Err(setting.invalid(&values.join(" or ")));
    }
    let value = HeaderValue::from_str(&setting.value)
        .map_err(|_| setting.invalid("one line of visible characters"))?;
    Ok((HeaderName::from_static(known), value))
}

impl RateLimit {
    fn new(mut section: Section) -> Result<Option<Self>, ConfigError> {
        let interval = section.text("interval")?;
        let burst = section.text("burst")?;
        let accepted = "a duration such as 500ms or 1s, or 0 for no limit";
        let interval = interval.filter(|interval| interval.value != "0");
        let interval = interval
            .map(|interval| interval.any_duration(accepted))
            .transpose()?;
        let limit = match interval.filter(|interval| !interval.is_zero()) {
            None => None,
            Some(interval) => Some(Self {
                interval,
                burst: self::burst(&section, burst)?,
            }),
        };
        section.end()?;
        Ok(limit)
    }
}

/// The toolkit takes 0, and also takes it if nothing is said; then not one request would be answered.
fn burst(section: &Section, setting: Option<Setting>) -> Result<u32, ConfigError> {
    let accepted = "a whole number from 1 to 1000000";
    let setting = setting
        .ok_or_else(|| section.wrong(&format!("burst is missing; accepted is {accepted}")))?;
    let burst = setting
        .value
        .parse()
        .ok()
        .filter(|burst| (1..=1_000_000).contains(burst));
    burst.ok_or_else(|| setting.invalid(accepted))
}

#[cfg(test)]
mod tests;
