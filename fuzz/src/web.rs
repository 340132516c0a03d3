//! `--web.config.file`: its YAML and the access control that it configures.

use std::path::Path;

use ringcentral_exporter::config::ConfigError;
use ringcentral_exporter::config::web::WebConfig;
use ringcentral_exporter::web::access::AccessControl;

/// The text that corpora and dictionaries use as a secret. As a key it has an unusual character, so
/// it is redacted there.
const SECRET: &str = "hunter2!sesame";
const FILE: &str = "/nowhere/web.yml";
/// Keys whose values an error may show; keys of files show a path.
const SHOWN: [&str; 18] = [
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "min_version",
    "max_version",
    "cipher_suites",
    "curve_preferences",
    "prefer_server_cipher_suites",
    "http2",
    "interval",
    "burst",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
    "Content-Security-Policy",
    "client_allowed_sans",
];

/// Checks that parsing is deterministic, and that an error is one line without a secret.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Err(error) = load(text) {
        assert_safe_error(&error, &format!("--web.config.file: {FILE}"), &SHOWN);
    }
}

fn load(text: &str) -> Result<AccessControl, ConfigError> {
    let file = Path::new(FILE);
    let config = WebConfig::parse(file, text)?;
    let again = WebConfig::parse(file, text).expect("valid when parsed before");
    assert_eq!(format!("{config:?}"), format!("{again:?}"), "parsed twice");
    AccessControl::from_config(file, config, &AccessControl::default())
}

/// Asserts that an error is one line, begins with `prefix`, and shows no secret except as the value
/// of a key in `shown`.
#[track_caller]
pub fn assert_safe_error(error: &ConfigError, prefix: &str, shown: &[&str]) {
    crate::assert_one_line(&error.0);
    let rest = error
        .0
        .strip_prefix(prefix)
        .unwrap_or_else(|| panic!("another prefix: {error}"));
    if rest.contains(SECRET) {
        assert!(
            last_key(rest).is_some_and(|key| shown.contains(&key)),
            "a secret is shown: {error}"
        );
    }
}

/// Returns the last key of a path: `name` in ` line 3: accounts[0].name: ...`.
fn last_key(rest: &str) -> Option<&str> {
    let path = rest.split(": ").nth(1)?;
    let item = path.rsplit('.').next()?;
    item.split('[').next()
}
