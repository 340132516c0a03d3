//! `--web.config.file`: the exporter-toolkit's YAML, as far as the door that it makes.

use std::path::Path;

use ringcentral_exporter::config::ConfigError;
use ringcentral_exporter::config::web::WebConfig;
use ringcentral_exporter::web::access::Door;

/// Seeds and dictionaries have it where secrets stand. As a key it is no name, so it is not shown there either.
const SECRET: &str = "hunter2!sesame";
const FILE: &str = "/nowhere/web.yml";
/// Keys whose values a complaint may show; those of files show a path.
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

/// What is accepted is accepted again; a complaint is one line without a secret.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let place = format!("--web.config.file: {FILE}");
    let parse = || WebConfig::parse(Path::new(FILE), text);
    let made = parse().and_then(|web| {
        assert_eq!(
            format!("{web:?}"),
            format!("{:?}", parse().expect("accepted once")),
            "read twice"
        );
        Door::new(Path::new(FILE), web, &Door::default()).map(drop)
    });
    if let Err(complaint) = made {
        assert_complaint(&complaint, &place, &SHOWN);
    }
}

/// One line that begins with this place and shows no secret, unless it is the value of a key that is shown.
#[track_caller]
pub fn assert_complaint(complaint: &ConfigError, place: &str, shown: &[&str]) {
    crate::assert_one_line(&complaint.0);
    let rest = complaint
        .0
        .strip_prefix(place)
        .unwrap_or_else(|| panic!("another place: {complaint}"));
    if rest.contains(SECRET) {
        assert!(
            key(rest).is_some_and(|key| shown.contains(&key)),
            "a secret is shown: {complaint}"
        );
    }
}

/// The last key of a place: `accounts[0].name` in ` line 3: accounts[0].name: ...`.
fn key(rest: &str) -> Option<&str> {
    let path = rest.split(": ").nth(1)?;
    let key = path.rsplit('.').next()?;
    Some(key.split_once('[').map_or(key, |(key, _)| key))
}
