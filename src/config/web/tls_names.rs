//! Go's names of TLS versions, cipher suites and curves, as the exporter-toolkit's file uses them.
//!
//! A name that Go knows and rustls with ring does not support gets an error of its own, since it is
//! valid in other exporters.

use std::collections::BTreeMap;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::ConfigError;
use crate::config::setting::Setting;

const CURVES: [(&str, &dyn SupportedKxGroup); 3] = [
    ("X25519", kx_group::X25519),
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
];

/// Returns the versions from `min` to `max`, the newest first.
pub(super) fn versions(
    min: &Setting,
    max: &Setting,
) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let (min_version, max_version) = (parse_version(min)?, parse_version(max)?);
    if min_version == max_version {
        return Ok(vec![min_version]);
    }
    if max_version == &TLS12 {
        return Err(max.invalid("a version that is not below min_version"));
    }
    Ok(vec![&TLS13, &TLS12])
}

fn parse_version(setting: &Setting) -> Result<&'static SupportedProtocolVersion, ConfigError> {
    let expected = "TLS12 or TLS13";
    match setting.value.as_str() {
        "TLS12" => Ok(&TLS12),
        "TLS13" => Ok(&TLS13),
        "TLS10" | "TLS11" => Err(unsupported(setting, expected)),
        _ => Err(setting.invalid(expected)),
    }
}

/// Returns all suites of TLS 1.3, as Go does, and the given suites of TLS 1.2 in their order; all
/// suites if none is given.
///
/// # Errors
/// Returns an error if a name is unknown, or if no suite belongs to one of `versions`.
pub(super) fn cipher_suites(
    given: &[Setting],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Vec<SupportedCipherSuite>, ConfigError> {
    let mut suites = ALL_CIPHER_SUITES.to_vec();
    if given.is_empty() {
        return Ok(suites);
    }
    // By Go's names, in their order.
    let mut known = BTreeMap::new();
    for suite in &suites {
        let name = suite.suite().as_str().unwrap_or_default();
        known.insert(name.replace("TLS13_", "TLS_"), *suite);
    }
    let known: Vec<_> = known.into_iter().collect();
    suites.retain(|suite| suite.tls13().is_some());
    for setting in given {
        let suite = find(setting, &known)?;
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    let is_usable = |suite: &SupportedCipherSuite| versions.contains(&suite.version());
    match given.first() {
        Some(first) if !suites.iter().any(is_usable) => {
            Err(first.invalid("at least one suite of TLS 1.2 if TLS 1.3 is disabled"))
        }
        _ => Ok(suites),
    }
}

/// Returns the given curves in their order; rustls' default if none is given.
pub(super) fn curves(given: &[Setting]) -> Result<Vec<&'static dyn SupportedKxGroup>, ConfigError> {
    if given.is_empty() {
        return Ok(ALL_KX_GROUPS.to_vec());
    }
    let mut curves = Vec::new();
    for setting in given {
        curves.push(find(setting, &CURVES)?);
    }
    Ok(curves)
}

fn find<N: AsRef<str>, T: Copy>(setting: &Setting, known: &[(N, T)]) -> Result<T, ConfigError> {
    let name = setting.value.as_str();
    if let Some((_, value)) = known.iter().find(|(known, _)| known.as_ref() == name) {
        return Ok(*value);
    }
    let names: Vec<_> = known.iter().map(|(name, _)| name.as_ref()).collect();
    let expected = format!("one of {}", names.join(", "));
    // Suites that Go supports without forward secrecy or authenticated encryption, and a curve.
    if name.starts_with("TLS_RSA_") || name.contains("_CBC_") || name == "CurveP521" {
        return Err(unsupported(setting, &expected));
    }
    Err(setting.invalid(&expected))
}

fn unsupported(setting: &Setting, expected: &str) -> ConfigError {
    setting.invalid_redacted(
        &format!("rustls does not support {:?}", setting.value),
        expected,
    )
}
