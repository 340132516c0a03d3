//! Certificates in PEM text, and the reasons why there are none.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const CERTIFICATE_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
pub(crate) const PRIVATE_KEY: &str = "a private key";
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

/// The reason why the certificates of a text cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PemError {
    /// A certificate is cut off or not in base64, or the parser would skip it.
    Invalid,
    /// There is no certificate, but perhaps something else, which the text describes.
    NoCertificate(String),
}

/// Returns all certificates of a text without byte order marks.
///
/// # Errors
/// Returns an error if there is no certificate, or an invalid one. One that does not begin at the start of a line is
/// invalid, since the parser would skip it.
pub(crate) fn parse_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| PemError::Invalid)?;
    if certificates.is_empty() {
        let reason = describe_missing("certificate", pem);
        return Err(PemError::NoCertificate(reason));
    }
    let windows = pem.windows(CERTIFICATE_MARK.len());
    if windows.filter(|window| *window == CERTIFICATE_MARK).count() > certificates.len() {
        return Err(PemError::Invalid);
    }
    Ok(certificates)
}

/// Removes byte order marks: the one that editors write at the start, and those of files that were appended. The parser
/// would skip the certificate behind one.
pub(crate) fn remove_byte_order_marks(pem: Vec<u8>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = pem.as_slice();
    while let Some(start) = find(rest, BYTE_ORDER_MARK) {
        let (before, mark) = rest.split_at(start);
        text.extend_from_slice(before);
        rest = mark.strip_prefix(BYTE_ORDER_MARK).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    text
}

/// Returns the reason why a text contains no `what`.
pub(crate) fn describe_missing(what: &str, bytes: &[u8]) -> String {
    match describe_content(bytes) {
        Some(content) if is_indented(bytes) => {
            format!("contains no {what}, but {content} with text or blanks before its first line")
        }
        Some(content) => format!("contains no {what}, but {content}"),
        None => format!("contains no {what}"),
    }
}

/// Returns whether PEM begins only within lines, as in text that was copied out of YAML.
pub(crate) fn is_indented(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN";
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    contains(bytes, BEGIN) && !lines.any(|line| line.starts_with(BEGIN))
}

pub(crate) fn describe_content(bytes: &[u8]) -> Option<&'static str> {
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

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    find(bytes, part).is_some()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn no_certificate_is_skipped() {
        let bom = "\u{feff}";
        for (text, count) in [
            (CERTIFICATE.to_owned(), 1),
            (format!("{bom}{CERTIFICATE}"), 1),
            (format!("{bom}{CERTIFICATE}{bom}{CERTIFICATE}"), 2),
            (format!("{bom}{bom}a comment\n{CERTIFICATE}"), 1),
        ] {
            let text = remove_byte_order_marks(text.into_bytes());
            assert_eq!(parse_certificates(&text).unwrap().len(), count);
        }
        for text in [
            format!("{CERTIFICATE}  {CERTIFICATE}"),
            format!("{CERTIFICATE}ca: {CERTIFICATE}"),
        ] {
            let result = parse_certificates(text.as_bytes());
            assert_eq!(result, Err(PemError::Invalid), "{text}");
        }
    }
}
