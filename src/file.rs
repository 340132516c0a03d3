//! Bounded reading of configuration files and secrets.
//!
//! All tasks share one thread, so a read must not block for long or use much memory. Symbolic links
//! are followed: Kubernetes mounts secrets as links.

use std::fs::{File, Metadata, metadata};
use std::io::{self, Read};
use std::path::Path;

/// The reason why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// An I/O error on opening or reading.
    #[error("cannot read the file: {0}")]
    Unreadable(#[from] io::Error),
    /// A pipe, a device or a directory.
    #[error("not a regular file")]
    NotRegularFile,
    /// More than the given number of bytes.
    #[error("the file is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

/// Reads a file of at most `max_bytes` bytes.
///
/// # Errors
/// Returns an error if the file is not a regular file, cannot be read, or is larger.
pub(crate) fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    // Opening a pipe blocks until it has a writer, so the type is checked before opening and again
    // afterwards. A file that is replaced by a pipe in between still blocks: the open flag against
    // that has no portable value.
    check_regular_file(&metadata(path)?)?;
    let file = File::open(path)?;
    check_regular_file(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(FileError::TooLarge(max_bytes));
    }
    Ok(bytes)
}

fn check_regular_file(metadata: &Metadata) -> Result<(), FileError> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(FileError::NotRegularFile)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn error_of(path: &Path) -> String {
        read(path, 1 << 20).unwrap_err().to_string()
    }

    #[test]
    fn special_files_are_rejected_without_blocking() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let link = dir.path().join("link");
        symlink(&pipe, &link).unwrap();
        for path in [pipe.as_path(), &link, dir.path(), Path::new("/dev/zero")] {
            assert_eq!(error_of(path), "not a regular file", "{}", path.display());
        }
    }

    #[test]
    fn symbolic_links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("..2026")).unwrap();
        std::fs::write(dir.path().join("..2026/jwt"), "sesame").unwrap();
        symlink("..2026", dir.path().join("..data")).unwrap();
        symlink("..data/jwt", dir.path().join("jwt")).unwrap();
        assert_eq!(read(&dir.path().join("jwt"), 6).unwrap(), b"sesame");
    }

    #[test]
    fn missing_and_oversized_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        assert_eq!(
            error_of(&file),
            "cannot read the file: No such file or directory (os error 2)"
        );
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(error_of(&file), "the file is larger than 1 MiB");
    }
}
