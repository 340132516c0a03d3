//! Secrets: reading them from a value or a file, without ever printing them.
//!
//! A file is read at each use, so that a rotated secret needs no restart. `Debug` shows where a
//! secret comes from, never its content.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::file::{self, FileError};

/// More bytes than any JWT or client secret has; a larger file is a mistake, such as a log or a
/// device.
const MAX_BYTES: u64 = 64 * 1024;
/// Longer texts may be secrets in the wrong place.
const MAX_SHOWN_LEN: usize = 255;
/// Longer values other than paths may be secrets, in bytes: most JWTs are longer, and few other values are.
const MAX_SHOWN_VALUE_LEN: usize = 64;
/// No shorter text is a JWT or a client secret.
const MIN_SECRET_LEN: usize = 16;
/// How JWTs begin in base64: `{"`, or `{` and white space if the header is pretty-printed.
const JWT_PREFIXES: [&str; 7] = ["eyJ", "eyAi", "eyAg", "ewog", "ewoi", "ewoJ", "ew0K"];
/// No JWT has a shorter header, in bytes.
const MIN_JWT_HEADER_LEN: usize = 11;

/// The place of a secret.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The secret itself, from an environment variable or a configuration file.
    Value(SecretString),
    /// A file that is read at each use.
    File(PathBuf),
}

/// A hash for comparing secrets without keeping them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; ring::digest::SHA256_OUTPUT_LEN]);

impl Fingerprint {
    /// Hashes a secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, secret.expose_secret().as_bytes());
        let mut bytes = [0; ring::digest::SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint([redacted])")
    }
}

/// Returns the hash of several texts as 32 hexadecimal digits, which is a name that shows none of them.
pub(crate) fn hash_parts(parts: &[&str]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let bytes = digest.as_ref().iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The reason why a secret could not be read. It names the path, unless the path may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

impl SecretSource {
    /// Reads the secret, without a byte order mark and white space around it.
    ///
    /// # Errors
    /// Returns an error if the secret is empty, has a second line, or is not ASCII, or if its file cannot be read or is
    /// larger than 64 KiB.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Value(secret) => parse(secret.expose_secret()).map_err(SecretError::new),
            Self::File(path) => read_file(path, !looks_like_secret(&path.to_string_lossy())),
        }
    }

    /// Reads the secret for the first time. The error names its path unless `written`, the path in the configuration,
    /// looks like a secret: a relative one has become a part of a longer path.
    pub(crate) fn read_first(&self, written: &str) -> Result<SecretString, SecretError> {
        match self {
            Self::File(path) if looks_like_secret(written) => read_file(path, false),
            source => source.read(),
        }
    }
}

impl SecretError {
    fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

fn read_file(path: &Path, is_named: bool) -> Result<SecretString, SecretError> {
    let invalid = |reason: &str| match is_named {
        true => SecretError(format!("{}: {reason}", path.display())),
        false => SecretError::new(reason),
    };
    let bytes = file::read(path, MAX_BYTES).map_err(|error| match error {
        FileError::Unreadable(error) if is_named => {
            SecretError(format!("cannot read {}: {error}", path.display()))
        }
        FileError::TooLarge(_) => invalid("the file is larger than 64 KiB, too large for a secret"),
        error => invalid(&error.to_string()),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("the file is not UTF-8"))?;
    parse(&text).map_err(invalid)
}

/// Returns the secret in a text, or what is wrong with the text.
fn parse(text: &str) -> Result<SecretString, &'static str> {
    let secret = strip_byte_order_mark(text).trim();
    if secret.is_empty() {
        return Err("the secret is empty");
    }
    if secret.contains(['\n', '\r']) {
        return Err("the secret has more than one line");
    }
    if secret.contains(|c: char| c.is_control()) {
        return Err("the secret contains a control character");
    }
    if !secret.is_ascii() {
        return Err("the secret contains a character that is not ASCII");
    }
    Ok(SecretString::from(secret))
}

/// Returns the text without the byte order mark that some editors write at its start.
pub(crate) fn strip_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns the path for an error message, unless it looks like a secret.
pub(crate) fn redact_path(path: &Path) -> String {
    redact_path_in(Path::new(""), &path.to_string_lossy())
}

/// Returns a path relative to `dir` for an error message, unless it looks like a secret.
pub(crate) fn redact_path_in(dir: &Path, path: &str) -> String {
    if looks_like_secret(path) {
        "the file".to_owned()
    } else {
        dir.join(path).display().to_string()
    }
}

/// Returns a value for an error message in quotes, or only its length if it may be a secret.
pub(crate) fn redact_value(value: &str) -> String {
    if may_be_secret(value) {
        format!("of {} bytes", value.len())
    } else {
        format!("{value:?}")
    }
}

/// Returns an address for a message, or only its length if it may be a secret.
pub(crate) fn redact_address(address: &str) -> String {
    if may_be_secret(address) {
        format!("an address of {} bytes", address.len())
    } else {
        address.to_owned()
    }
}

/// Returns whether a value that is not a path may be a secret. Valid values may look so, too: only for messages.
pub(crate) fn may_be_secret(value: &str) -> bool {
    value.len() > MAX_SHOWN_VALUE_LEN || looks_like_secret(value) || contains_random_word(value)
}

/// Returns whether a text looks like a secret in the wrong place, so that no error repeats it: a JWT, a private key, more
/// than 255 bytes, more than one line, or, if it is not a path with several parts, a random word such as a client secret.
pub(crate) fn looks_like_secret(text: &str) -> bool {
    let is_path = text.trim_matches('/').contains('/');
    text.len() > MAX_SHOWN_LEN
        || text.contains(|c: char| c.is_control())
        || text.contains("PRIVATE KEY")
        || contains_jwt_start(text)
        || ((!is_path || text.contains("://")) && contains_random_word(text))
}

/// Returns whether a text may contain the beginning of a JWT. Valid values may, too: only for messages.
fn contains_jwt_start(text: &str) -> bool {
    for prefix in JWT_PREFIXES {
        for (start, _) in text.match_indices(prefix) {
            let rest = &text[start..];
            let end = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
            if end >= MIN_JWT_HEADER_LEN {
                return true;
            }
        }
    }
    false
}

/// Returns whether a text contains a JWT: a word that begins as one, and a full stop.
pub(crate) fn contains_jwt(text: &str) -> bool {
    let mut parts: Vec<_> = text.split('.').collect();
    parts.pop();
    parts.into_iter().any(|part| {
        let mut words = part.trim_end_matches('=').rsplit(is_separator);
        let word = words.next().unwrap_or_default();
        let has_prefix = JWT_PREFIXES.iter().any(|prefix| word.starts_with(prefix));
        has_prefix && word.len() >= MIN_JWT_HEADER_LEN
    })
}

fn contains_random_word(text: &str) -> bool {
    text.split(is_separator).any(is_random_word)
}

/// Returns whether a word is long and has only hexadecimal digits, or has capital letters after small ones, and digits
/// next to letters, as often as random text.
fn is_random_word(word: &str) -> bool {
    if word.len() < MIN_SECRET_LEN {
        return false;
    }
    let mut changes = 0;
    for pair in word.as_bytes().windows(2) {
        let &[a, b] = pair else { continue };
        let is_capital_next = a.is_ascii_lowercase() && b.is_ascii_uppercase();
        let is_digit_next = a.is_ascii_digit() != b.is_ascii_digit();
        let both_alphanumeric = a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric();
        changes += usize::from(both_alphanumeric && (is_capital_next || is_digit_next));
    }
    let is_hex = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || changes * 5 > word.len()
}

/// Returns whether a character separates words.
fn is_separator(c: char) -> bool {
    c == '=' || !is_word_char(c)
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_+=".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(content: &str) -> (tempfile::TempDir, SecretSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        (dir, SecretSource::File(path))
    }

    #[test]
    fn rotated_file_is_read_again() {
        let (dir, source) = file_with("old\n");
        assert_eq!(source.read().unwrap().expose_secret(), "old");
        std::fs::write(dir.path().join("secret"), " new \r\n").unwrap();
        assert_eq!(source.read().unwrap().expose_secret(), "new");
    }

    #[test]
    fn only_one_line_of_ascii_is_a_secret() {
        for text in [
            "sesame",
            "sesame\n",
            "sesame\r\n",
            "\u{feff}sesame\r\n",
            "\u{feff} sesame \n",
        ] {
            assert_eq!(parse(text).unwrap().expose_secret(), "sesame", "{text:?}");
        }
        let two_lines = "the secret has more than one line";
        let control = "the secret contains a control character";
        let other = "the secret contains a character that is not ASCII";
        for (text, expected) in [
            ("", "the secret is empty"),
            ("\u{feff}\r\n", "the secret is empty"),
            ("sesame\nopen", two_lines),
            ("sesame\r\nopen\r\n", two_lines),
            ("sesame\ropen", two_lines),
            ("s\0e\0s\0", control),
            ("sesa\tme", control),
            ("sesa\x1bme", control),
            ("sésame", other),
            ("sesame\u{200b}", other),
            ("“sesame”", other),
            ("\u{feff}\u{feff}sesame", other),
        ] {
            assert_eq!(parse(text).err(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn secret_in_the_wrong_place_is_recognised() {
        for text in [
            "eyJhbGciOiJSUzI1NiJ9.e30.c2Vz",
            "/etc/eyJhbGciOiJSUzI1NiJ9",
            "'eyJhbGciOiJSUzI1NiJ9.eyJz",
            "Bearer eyJhbGciOiJSUzI1NiJ9",
            "dVNAnQnMQqyAHB4VyYAc2w",
            "0aK2_Zf8Qp-xT71bYw9LmR",
            "\"0aK2_Zf8Qp-xT71bYw9LmR\"",
            "'0aK2_Zf8Qp-xT71bYw9LmR'",
            "“0aK2_Zf8Qp-xT71bYw9LmR”",
            " 0aK2_Zf8Qp-xT71bYw9LmR ",
            "0aK2_Zf8Qp-xT71bYw9LmR,",
            "0aK2_Zf8Qp-xT71bYw9LmR;",
            "0aK2_Zf8Qp-xT71bYw9LmR:",
            "0aK2_Zf8Qp-xT71bYw9LmR/",
            "/0aK2_Zf8Qp-xT71bYw9LmR",
            "0aK2_Zf8Qp-xT71bYw9LmR.txt",
            "secret:0aK2_Zf8Qp-xT71bYw9LmR",
            "secret=0aK2_Zf8Qp-xT71bYw9LmR",
            "Basic 0aK2_Zf8Qp-xT71bYw9LmR",
            "https://x:0aK2_Zf8Qp-xT71bYw9LmR@h",
            "--0aK2_Zf8Qp-xT71bYw9LmR",
            "ewogICJhbGciOiAiUlMyNTYiCn0.e30.c2Vz",
            "eyAiYWxnIjogIlJTMjU2IiB9.e30.c2Vz",
            "ew0KICAiYWxnIjogIlJTMjU2Ig0KfQ.e30.c2Vz",
            "eyJ eyJhbGciOiJSUzI1NiJ9",
            "0123456789abcdef0123456789abcdef",
            "-----BEGIN EC PRIVATE KEY----- MHcCAQEE",
            "two\nlines",
        ] {
            assert!(looks_like_secret(text), "{text}");
        }
        for text in [
            "/etc/ringcentral-exporter/client-secret",
            "C:/Users/Alice/AppData/RingCentralJwt2026",
            "/tmp/.tmpXeyJab/accounts.yml",
            "my-app-v1-jwt-id-eu-2026",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "RequireAndVerifyClientCert",
            "..2026_11_28_01_02_03.123456789",
            "[2001:db8:85a3::8a2e:370:7334]:10072",
            "platform.ringcentral.com",
            "/var/lib/kubelet/pods/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/volumes",
            "/secrets/jwt2026Q4eu1prod2v3",
            "secrets/jwt2026Q4eu1prod2v3",
            "/tmp/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
        ] {
            assert!(!looks_like_secret(text), "{text}");
        }
    }

    #[test]
    fn only_a_whole_jwt_is_refused() {
        for text in [
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2Vz",
            "/eyJhbGciOiJSUzI1NiJ9.eyJz",
            "jwt=eyJhbGciOiJSUzI1NiJ9.eyJz",
            "Bearer eyJhbGciOiJSUzI1NiJ9.e30.",
            "ewogICJhbGciOiAiUlMyNTYiCn0.e30.c2Vz",
            "x.eyAiYWxnIjogIlJTMjU2IiB9.e30",
        ] {
            assert!(contains_jwt(text), "{text}");
        }
        for text in [
            "u8eyJKpl3QxvB2c9dRt1Wz",
            "u8eyJKpl3QxvB2c9dRt1Wz.eu",
            "eyJKpl3QxvB2c9dRt1Wz",
            "/tmp/.tmpXeyJab/accounts.yml",
            "eyJ.html",
            "",
        ] {
            assert!(!contains_jwt(text), "{text}");
        }
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let value = SecretSource::Value(SecretString::from("hunter2"));
        assert_eq!(format!("{value:?}"), "Value(SecretBox<str>([REDACTED]))");
    }

    #[test]
    fn read_errors_name_the_cause() {
        let error_of = |source: &SecretSource| source.read().unwrap_err().to_string();
        let (_dir, empty) = file_with(" \n");
        assert!(error_of(&empty).ends_with("/secret: the secret is empty"));
        let (_dir, huge) = file_with(&"x".repeat(70_000));
        let too_large = "/secret: the file is larger than 64 KiB, too large for a secret";
        assert!(error_of(&huge).ends_with(too_large));
        let (dir, utf16) = file_with("");
        std::fs::write(dir.path().join("secret"), b"\xff\xfes\0e\0").unwrap();
        assert!(error_of(&utf16).ends_with("/secret: the file is not UTF-8"));
        assert_eq!(
            error_of(&SecretSource::File("/".into())),
            "/: not a regular file"
        );
        assert_eq!(
            error_of(&SecretSource::File("/missing/jwt".into())),
            "cannot read /missing/jwt: No such file or directory (os error 2)"
        );
        assert_eq!(
            error_of(&SecretSource::Value(SecretString::from("  "))),
            "the secret is empty"
        );
    }

    #[test]
    fn path_that_may_be_a_secret_is_redacted() {
        let line = "two\nlines".to_owned();
        for path in [
            "/etc/eyJhbGciOiJSUzI1NiJ9.e30.c2Vz",
            &"x".repeat(256),
            &line,
        ] {
            let error = SecretSource::File(path.into()).read().unwrap_err();
            assert!(
                error.to_string().starts_with("cannot read the file: "),
                "{error}"
            );
        }
    }
}
