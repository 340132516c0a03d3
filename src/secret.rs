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
/// Longer paths may be secrets in the wrong place.
const MAX_SHOWN_PATH: usize = 255;

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
    /// Reads the secret and trims white space.
    ///
    /// # Errors
    /// Returns an error if the secret is empty, or its file cannot be read, is not UTF-8, or is
    /// larger than 64 KiB.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Value(secret) => trim(secret.expose_secret()),
            Self::File(path) => trim(&read_file(path)?),
        }
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let error = |error: FileError| match error {
        FileError::Unreadable(error) => format!("cannot read {}: {error}", redact_path(path)),
        FileError::TooLarge(_) => {
            "the file is larger than 64 KiB, too large for a secret".to_owned()
        }
        error => error.to_string(),
    };
    let bytes = file::read(path, MAX_BYTES).map_err(|cause| SecretError(error(cause)))?;
    String::from_utf8(bytes).map_err(|_| SecretError("the file is not UTF-8".to_owned()))
}

/// Returns the path for an error message, unless it looks like a secret: a JWT, a very long value
/// or several lines.
pub(crate) fn redact_path(path: &Path) -> String {
    if may_be_secret(path) {
        "the file".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Returns whether a path looks like a secret: a JWT, a very long value or several lines.
pub(crate) fn may_be_secret(path: &Path) -> bool {
    let text = path.display().to_string();
    // A JWT begins with `{"` in base64.
    text.len() > MAX_SHOWN_PATH || text.contains("eyJ") || text.contains(|c: char| c.is_control())
}

fn trim(text: &str) -> Result<SecretString, SecretError> {
    match text.trim() {
        "" => Err(SecretError("the secret is empty".to_owned())),
        secret => Ok(SecretString::from(secret)),
    }
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
    fn debug_never_shows_a_secret() {
        let value = SecretSource::Value(SecretString::from("hunter2"));
        assert_eq!(format!("{value:?}"), "Value(SecretBox<str>([REDACTED]))");
    }

    #[test]
    fn read_errors_name_the_cause() {
        let error_of = |source: &SecretSource| source.read().unwrap_err().to_string();
        let (_dir, empty) = file_with(" \n");
        assert_eq!(error_of(&empty), "the secret is empty");
        let (_dir, huge) = file_with(&"x".repeat(70_000));
        assert_eq!(
            error_of(&huge),
            "the file is larger than 64 KiB, too large for a secret"
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
