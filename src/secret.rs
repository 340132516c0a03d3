//! Secrets: where one comes from, and that none is ever printed.
//!
//! Owns: reading a secret from a value or anew from its file, so that a rotated one needs no restart. Refuses to
//! know: what a secret is for. `Debug` shows the place, never the content.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

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

/// Why a secret could not be read. Names the file, never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file holds white space alone.
    #[error("{}: the file is empty", .0.display())]
    Empty(PathBuf),
    /// The file is no secret.
    #[error("{}: larger than 64 KiB, which no secret is", .0.display())]
    TooLarge(PathBuf),
}

impl SecretSource {
    /// The secret as it is now, without white space around it.
    ///
    /// # Errors
    /// When the file is unreadable, empty, not UTF-8, or larger than 64 KiB.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(path),
        }
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

fn read_file(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |error| SecretError::Unreadable { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let mut limited = file.take(MAX_BYTES + 1);
    limited.read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    match text.trim() {
        "" => Err(SecretError::Empty(path.to_owned())),
        secret => Ok(SecretString::from(secret)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

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
    fn empty_missing_and_huge_files_name_themselves() {
        let (_folder, empty) = file_with(" \n");
        assert!(empty.read().unwrap_err().to_string().ends_with("secret: the file is empty"));
        let (_folder, huge) = file_with(&"x".repeat(70_000));
        assert!(huge.read().unwrap_err().to_string().contains("larger than 64 KiB"));
        let missing = SecretSource::File("/nonexistent/jwt".into());
        assert!(missing.read().unwrap_err().to_string().starts_with("/nonexistent/jwt: No such file"));
    }
}
