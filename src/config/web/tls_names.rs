//! Go's names of TLS versions, cipher suites and curves, as the exporter-toolkit's file uses them.
//!
//! A name that Go knows and rustls with ring does not support gets an error of its own, since it is
//! valid in other exporters.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::ConfigError;
use crate::config::setting::Setting;

/// Cipher suites that Go supports and rustls does not: without forward secrecy or authenticated
/// encryption.
const UNSUPPORTED_GO_SUITES: [&str; 13] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
];

const CURVES: [(&str, &dyn SupportedKxGroup); 3] = [
    ("X25519", kx_group::X25519),
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
];

/// A TLS version that rustls supports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TlsVersion {
    Tls12,
    Tls13,
}

impl TlsVersion {
    pub(super) fn parse(setting: &Setting) -> Result<Self, ConfigError> {
        let expected = "TLS12 or TLS13";
        match setting.value.as_str() {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            "TLS10" | "TLS11" => Err(unsupported(setting, expected)),
            _ => Err(setting.invalid(expected)),
        }
    }

    /// Returns the versions from `min` to `max`, the newest first.
    pub(super) fn range(min: Self, max: Self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = Vec::new();
        for (version, supported) in [(Self::Tls13, &TLS13), (Self::Tls12, &TLS12)] {
            if (min..=max).contains(&version) {
                versions.push(supported);
            }
        }
        versions
    }
}

/// Returns all suites of TLS 1.3, as Go does, and the given suites of TLS 1.2 in their order; all
/// suites if none is given.
pub(super) fn cipher_suites(given: &[Setting]) -> Result<Vec<SupportedCipherSuite>, ConfigError> {
    if given.is_empty() {
        return Ok(ALL_CIPHER_SUITES.to_vec());
    }
    let known = suites_by_go_name();
    let mut suites = Vec::new();
    for (_, suite) in &known {
        if suite.tls13().is_some() {
            suites.push(*suite);
        }
    }
    for setting in given {
        let suite = find(setting, &known, &UNSUPPORTED_GO_SUITES)?;
        if suite.tls13().is_none() {
            suites.push(suite);
        }
    }
    Ok(suites)
}

/// Returns the supported cipher suites with Go's names, in the order of the names.
fn suites_by_go_name() -> Vec<(String, SupportedCipherSuite)> {
    let mut suites = Vec::new();
    for suite in ALL_CIPHER_SUITES {
        let name = suite.suite().as_str().unwrap_or_default();
        suites.push((name.replace("TLS13_", "TLS_"), *suite));
    }
    suites.sort_by(|(a, _), (b, _)| a.cmp(b));
    suites
}

/// Returns the given curves in their order; rustls' default if none is given.
pub(super) fn curves(given: &[Setting]) -> Result<Vec<&'static dyn SupportedKxGroup>, ConfigError> {
    if given.is_empty() {
        return Ok(ALL_KX_GROUPS.to_vec());
    }
    let mut curves = Vec::new();
    for setting in given {
        curves.push(find(setting, &CURVES, &["CurveP521"])?);
    }
    Ok(curves)
}

fn find<N: AsRef<str>, T: Copy>(
    setting: &Setting,
    known: &[(N, T)],
    unsupported_names: &[&str],
) -> Result<T, ConfigError> {
    let name = setting.value.as_str();
    if let Some((_, value)) = known.iter().find(|(known, _)| known.as_ref() == name) {
        return Ok(*value);
    }
    let names: Vec<_> = known.iter().map(|(name, _)| name.as_ref()).collect();
    let expected = format!("one of {}", names.join(", "));
    if unsupported_names.contains(&name) {
        Err(unsupported(setting, &expected))
    } else {
        Err(setting.invalid(&expected))
    }
}

fn unsupported(setting: &Setting, expected: &str) -> ConfigError {
    setting.invalid_redacted(
        &format!("rustls does not support {:?}", setting.value),
        expected,
    )
}
