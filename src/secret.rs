//! Secrets: where one comes from, and that none is ever printed.
//!
//! Owns: reading a secret from a value or anew from its file, so that a rotated one needs no restart; and telling one
//! from another without keeping it. Refuses to know: what a secret is for. `Debug` shows the place, never the content.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::file::{self, FileError};

/// More than any JWT or client secret; a larger file is a mistake, perhaps a log or a device.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Clone)]
pub enum SecretSource {
    /// Given as such, by an environment variable.
    Value(SecretString),
    /// In a file that is read at each use.
    File(PathBuf),
}

/// What tells one secret from another, and nothing else of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; ring::digest::SHA256_OUTPUT_LEN]);

impl Fingerprint {
    /// Of a secret.
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

/// Why a secret could not be read. Names not even the path, since a secret may have been given in its place.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// A pipe, a device or a folder.
    #[error("it is no regular file")]
    NotRegularFile,
    /// The file is no text.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// There is white space alone.
    #[error("it is empty")]
    Empty,
    /// The file is no secret.
    #[error("the file is larger than 64 KiB, which no secret is")]
    TooLarge,
}

impl SecretSource {
    /// The secret as it is now, without white space around it.
    ///
    /// # Errors
    /// When it is empty, or its file is unreadable, not UTF-8, or larger than 64 KiB.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Value(secret) => return non_empty(secret.expose_secret()),
            Self::File(path) => read_file(path)?,
        };
        non_empty(&text)
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value([redacted])"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let bytes = file::read(path, MAX_BYTES).map_err(|error| match error {
        FileError::Unreadable(error) => SecretError::Unreadable(error),
        FileError::NotRegularFile => SecretError::NotRegularFile,
        FileError::TooLarge(_) => SecretError::TooLarge,
    })?;
    String::from_utf8(bytes).map_err(|_| SecretError::NotUtf8)
}

fn non_empty(text: &str) -> Result<SecretString, SecretError> {
    match text.trim() {
        "" => Err(SecretError::Empty),
        secret => Ok(SecretString::from(secret)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(content: &str) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn a_rotated_file_is_read_anew() {
        let (folder, source) = file_with("old\n");
        assert_eq!(source.read().unwrap().expose_secret(), "old");
        std::fs::write(folder.path().join("secret"), " new \r\n").unwrap();
        assert_eq!(source.read().unwrap().expose_secret(), "new");
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let value = SecretSource::Value(SecretString::from("hunter2"));
        assert_eq!(format!("{value:?}"), "Value([redacted])");
    }

    #[test]
    fn empty_missing_and_huge_files_are_told_apart_without_a_path_that_may_be_a_secret() {
        let complaint = |source: &SecretSource| source.read().unwrap_err().to_string();
        let (_folder, empty) = file_with(" \n");
        assert_eq!(complaint(&empty), "it is empty");
        let (_folder, huge) = file_with(&"x".repeat(70_000));
        assert_eq!(
            complaint(&huge),
            "the file is larger than 64 KiB, which no secret is"
        );
        let missing = SecretSource::File("sesame".into());
        assert_eq!(
            complaint(&missing),
            "the file cannot be read: No such file or directory (os error 2)"
        );
        assert_eq!(
            complaint(&SecretSource::Value(SecretString::from("  "))),
            "it is empty"
        );
    }
}
