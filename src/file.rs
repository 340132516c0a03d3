//! Files: the one door to them.
//!
//! Owns: that reading a file takes bounded time and memory, since one thread does everything. Refuses to know: what is
//! in it. Links are followed, as Kubernetes' secrets are links.

use std::fs::{File, metadata};
use std::io::{self, Read};
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A pipe, a device or a folder.
    #[error("it is no regular file")]
    NotRegularFile,
    /// Larger than its reader takes, in bytes.
    #[error("it is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

/// What is in the file, which has at most so many bytes.
///
/// # Errors
/// When it is no regular file, unreadable, or larger.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    // To open a pipe waits for its writer, perhaps for ever. Whoever puts one there between this look and the opening
    // still makes us wait; only a flag of the opening would help, whose number differs by system.
    regular(&metadata(path)?)?;
    let file = File::open(path)?;
    regular(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        Err(FileError::TooLarge(most))
    } else {
        Ok(bytes)
    }
}

fn regular(found: &std::fs::Metadata) -> Result<(), FileError> {
    if found.is_file() {
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

    fn complaint(path: &Path) -> String {
        read(path, 1 << 20).unwrap_err().to_string()
    }

    #[test]
    fn a_pipe_a_folder_and_a_device_are_no_files_and_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let link = folder.path().join("link");
        symlink(&pipe, &link).unwrap();
        for path in [pipe.as_path(), &link, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(
                complaint(path),
                "it is no regular file",
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("..2026")).unwrap();
        std::fs::write(folder.path().join("..2026/jwt"), "sesame").unwrap();
        symlink("..2026", folder.path().join("..data")).unwrap();
        symlink("..data/jwt", folder.path().join("jwt")).unwrap();
        assert_eq!(read(&folder.path().join("jwt"), 6).unwrap(), b"sesame");
    }

    #[test]
    fn a_missing_and_a_larger_file_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(
            complaint(&file),
            "it cannot be read: No such file or directory (os error 2)"
        );
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(complaint(&file), "it is larger than 1 MiB");
    }
}
