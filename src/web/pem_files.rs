//! Certificates and private keys in PEM files, and the reasons why they cannot be used.

use ring::signature::RsaKeyPair;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::ConfigError;
use crate::config::web::Pem;

pub(crate) const CERTIFICATES: &str = "certificates in PEM format";
pub(crate) const KEY: &str = "one unencrypted private key in PEM format: RSA with 2048 to 4096 bits, ECDSA P-256 or P-384, or Ed25519";

/// Object identifiers, in DER, of keys that ring does not support.
const UNSUPPORTED_KEYS: [(&[u8], &str); 9] = [
    (b"\x06\x05\x2b\x81\x04\x00\x23", "ECDSA P-521"),
    (b"\x06\x05\x2b\x81\x04\x00\x21", "ECDSA P-224"),
    (b"\x06\x05\x2b\x81\x04\x00\x0a", "ECDSA secp256k1"),
    (
        b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01",
        "ECDSA Brainpool",
    ),
    (
        b"\x06\x07\x2a\x86\x48\xce\x3d\x01\x01",
        "ECDSA explicit-parameter",
    ),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSA-PSS"),
    (b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", "DSA"),
    (b"\x06\x03\x2b\x65\x71", "Ed448"),
    (b"\x06\x03\x2b\x65\x6e", "X25519"),
];

const PRIVATE_KEY: &str = "a private key";
/// Marks of other content, and its description.
const OTHER_CONTENT: [(&str, &str); 9] = [
    ("Proc-Type: 4,ENCRYPTED", "an encrypted private key"),
    ("BEGIN ENCRYPTED PRIVATE KEY", "an encrypted private key"),
    ("BEGIN OPENSSH PRIVATE KEY", "a key of OpenSSH"),
    ("BEGIN DSA PRIVATE KEY", "a DSA key"),
    ("PRIVATE KEY", PRIVATE_KEY),
    ("BEGIN PUBLIC KEY", "a public key"),
    ("BEGIN TRUSTED CERTIFICATE", "a TRUSTED CERTIFICATE"),
    ("BEGIN CERTIFICATE REQUEST", "a certificate request"),
    ("BEGIN CERTIFICATE", "a certificate"),
];

/// Reads one or more certificates.
///
/// # Errors
/// Returns an error if the file cannot be read, or contains no certificate or invalid PEM.
pub(crate) fn read_certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = pem.read(CERTIFICATES)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|_| pem.invalid("invalid PEM", CERTIFICATES))?;
    if certificates.is_empty() {
        return Err(pem.invalid(&describe_missing("certificate", &bytes), CERTIFICATES));
    }
    Ok(certificates)
}

/// Reads the first private key.
///
/// # Errors
/// Returns an error if the file cannot be read, or contains no key, an encrypted one or invalid
/// PEM.
pub(crate) fn read_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let bytes = pem.read(KEY)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        Error::NoItemsFound
            if describe_content(&bytes) != Some(PRIVATE_KEY) || is_indented(&bytes) =>
        {
            pem.invalid(&describe_missing("usable private key", &bytes), KEY)
        }
        _ if contains(&bytes, b"Proc-Type: 4,ENCRYPTED") => {
            pem.invalid("the private key is encrypted", KEY)
        }
        _ => pem.invalid("invalid PEM", KEY),
    })
}

/// Returns the reason why ring does not load a private key.
pub(crate) fn describe_unsupported_key(key: &PrivateKeyDer<'_>) -> String {
    if let Some(kind) = unsupported_key_kind(key.secret_der()) {
        return format!("{kind} keys are not supported");
    }
    let rsa = match key {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(_) => return "invalid, or lacks its public key".to_owned(),
        _ => return "unsupported private key".to_owned(),
    };
    match rsa.err().map(|error| error.to_string()).as_deref() {
        Some("WrongAlgorithm") => "invalid, or lacks its public key".to_owned(),
        Some("TooSmall") => {
            "RSA keys with less than 2048 bits or an exponent below 65537 are not supported"
                .to_owned()
        }
        Some("TooLarge") => "RSA keys with more than 4096 bits are not supported".to_owned(),
        Some(error) => format!("invalid or unsupported private key: {error}"),
        None => "unsupported private key".to_owned(),
    }
}

/// Returns the kind of a private or public key that ring does not support, by its object
/// identifier.
pub(crate) fn unsupported_key_kind(der: &[u8]) -> Option<&'static str> {
    for (identifier, kind) in UNSUPPORTED_KEYS {
        if contains(der, identifier) {
            return Some(kind);
        }
    }
    None
}

fn describe_missing(what: &str, bytes: &[u8]) -> String {
    match describe_content(bytes) {
        Some(content) if is_indented(bytes) => {
            format!("contains no {what}, but {content} with text or blanks before its first line")
        }
        Some(content) => format!("contains no {what}, but {content}"),
        None => format!("contains no {what}"),
    }
}

/// Returns whether PEM begins only within lines, as in text that was copied out of YAML.
fn is_indented(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN";
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    contains(bytes, BEGIN) && !lines.any(|line| line.starts_with(BEGIN))
}

fn describe_content(bytes: &[u8]) -> Option<&'static str> {
    if bytes.first() == Some(&0x30) && !bytes.is_ascii() {
        return Some("DER");
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Some("UTF-16 text");
    }
    for (mark, content) in OTHER_CONTENT {
        if contains(bytes, mark.as_bytes()) {
            return Some(content);
        }
    }
    None
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
