//! Go's names of versions, cipher suites and curves, and what rustls has under them.
//!
//! Owns: the names that the exporter-toolkit's file may hold. One that rustls with ring lacks is told apart from one
//! that nobody knows, since the first is right in other exporters.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::ConfigError;
use crate::config::setting::Setting;

/// By Go's names, which for TLS 1.2 leave out nothing that IANA's have.
const SUITES: [(&str, SupportedCipherSuite); 9] = [
    (
        "TLS_AES_128_GCM_SHA256",
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// What Go would take and rustls does not have: no forward secrecy, or no authenticated encryption.
const SUITES_OF_GO: [&str; 13] = [
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

/// A version as a number that can be compared, or the complaint.
pub fn version(setting: &Setting) -> Result<u8, ConfigError> {
    match setting.value.as_str() {
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        "TLS10" | "TLS11" => Err(lacking(
            setting,
            "is not spoken by rustls",
            "TLS12 or TLS13",
        )),
        _ => Err(setting.invalid("TLS12 or TLS13")),
    }
}

/// The versions from one to another.
pub fn versions(least: u8, most: u8) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(3, &TLS13), (2, &TLS12)];
    all.into_iter()
        .filter(|(number, _)| (least..=most).contains(number))
        .map(|(_, version)| version)
        .collect()
}

/// The suites of TLS 1.2 that are named, in that order, and all of TLS 1.3, as in Go; all if none is named.
pub fn suites(named: &[Setting]) -> Result<Vec<SupportedCipherSuite>, ConfigError> {
    if named.is_empty() {
        return Ok(rustls::crypto::ring::ALL_CIPHER_SUITES.to_vec());
    }
    let named = named.iter().map(suite).collect::<Result<Vec<_>, _>>()?;
    let older = named.into_iter().filter(|suite| suite.tls13().is_none());
    let newer = SUITES
        .iter()
        .map(|(_, suite)| *suite)
        .filter(|suite| suite.tls13().is_some());
    Ok(newer.chain(older).collect())
}

fn suite(setting: &Setting) -> Result<SupportedCipherSuite, ConfigError> {
    let name = setting.value.as_str();
    let found = SUITES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, suite)| *suite);
    found.ok_or_else(|| match SUITES_OF_GO.contains(&name) {
        true => lacking(
            setting,
            "is too weak for rustls, which lacks it",
            &names(&SUITES),
        ),
        false => setting.invalid(&names(&SUITES)),
    })
}

/// The curves that are named, in that order; rustls' own if none is.
pub fn curves(named: &[Setting]) -> Result<Vec<&'static dyn SupportedKxGroup>, ConfigError> {
    if named.is_empty() {
        return Ok(rustls::crypto::ring::ALL_KX_GROUPS.to_vec());
    }
    named.iter().map(curve).collect()
}

fn curve(setting: &Setting) -> Result<&'static dyn SupportedKxGroup, ConfigError> {
    let name = setting.value.as_str();
    let found = CURVES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, curve)| *curve);
    found.ok_or_else(|| match name {
        "CurveP521" => lacking(setting, "is a curve that ring lacks", &names(&CURVES)),
        _ => setting.invalid(&names(&CURVES)),
    })
}

fn lacking(setting: &Setting, why: &str, accepted: &str) -> ConfigError {
    setting.invalid_redacted(&format!("{:?} {why}", setting.value), accepted)
}

fn names<T>(known: &[(&str, T)]) -> String {
    known
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}
