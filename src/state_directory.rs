//! The files of `--state.directory`: what a restart must not forget.
//!
//! Each file is small JSON, written to a temporary file that then replaces the old one, so a reader never sees half
//! a file. Several processes may use one directory: a lock file makes each read and its write one step. All tasks
//! share one thread. None of these operations waits for the disk, and the wait for the lock is short, so that they may
//! run on it. A power failure can lose the last write.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::file;
use crate::secret::{looks_like_secret, redact_path};

/// The version of the files. A file with another version is ignored.
const VERSION: u32 = 1;
/// Far more than the state of the largest account needs.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Files that were not written for longer are deleted at start: no penalty and no window is longer.
const RETENTION: Duration = Duration::from_secs(25 * 60 * 60);
/// The name of the lock file.
const LOCK: &str = "lock";
/// How often and at which interval the lock is tried, while all tasks wait. Another process holds it for well under 1 ms,
/// unless it is stopped: after the first failure the lock is tried only once at a time.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The directory of `--state.directory`.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    has_warned: AtomicBool,
    is_lock_stuck: AtomicBool,
    lock_attempts: u32,
}

/// The content of a file.
#[derive(Deserialize, Serialize)]
struct Versioned<T> {
    version: u32,
    state: T,
}

impl StateDirectory {
    /// Opens the directory and creates it if it does not exist. Deletes its files of stopped exporters.
    ///
    /// # Errors
    /// Returns an error if no file can be written in the directory.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let directory = Self {
            path: path.to_owned(),
            has_warned: AtomicBool::new(false),
            is_lock_stuck: AtomicBool::new(false),
            lock_attempts: LOCK_ATTEMPTS,
        };
        directory.prepare().map_err(|error| {
            let path = redact_path(path);
            ConfigError(format!(
                "--state.directory (STATE_DIRECTORY): {path}: {error:#}: expected a directory in which the exporter can write"
            ))
        })?;
        Ok(directory)
    }

    /// Reads a file, passes its state to `change`, and writes the state that `change` returns, as one step.
    /// `change` gets `None`, with one warning in the log, if there is no file that can be used.
    pub(crate) fn update<T, R>(&self, name: &str, change: impl FnOnce(Option<T>) -> (T, R)) -> R
    where
        T: DeserializeOwned + Serialize,
    {
        let lock = self.lock().map_err(|error| self.warn(&error)).ok();
        let (state, result) = change(self.read(name));
        if lock.is_some() {
            self.replace_or_warn(name, &state);
        }
        result
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, state: &impl Serialize) {
        match self.lock() {
            Ok(_lock) => self.replace_or_warn(name, state),
            Err(error) => self.warn(&error),
        }
    }

    /// Reads a file and deletes it, so that it is used only once.
    pub(crate) fn take<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let _lock = self.lock().map_err(|error| self.warn(&error)).ok()?;
        let state = self.read(name)?;
        fs::remove_file(self.path.join(name)).ok()?;
        Some(state)
    }

    /// Reads a file. Returns `None` if it does not exist, or, with a warning, if it cannot be used.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.path.join(name);
        if !path.exists() {
            return None;
        }
        parse(&path)
            .with_context(|| format!("{} is ignored", redact_path(&path)))
            .map_err(|error| self.warn(&error))
            .ok()
    }

    fn prepare(&self) -> anyhow::Result<()> {
        if !self.path.is_dir() {
            if looks_like_secret(&self.path.to_string_lossy()) {
                bail!("no such directory");
            }
            let create = DirBuilder::new().mode(0o700).create(&self.path);
            create.context("cannot create it")?;
        }
        self.open_lock()?;
        // Another process may start at the same time.
        let probe = format!("probe-{}.tmp", fastrand::u64(..));
        self.create(&probe)?;
        fs::remove_file(self.path.join(probe))?;
        for entry in fs::read_dir(&self.path)?.flatten() {
            let is_json = entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json");
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            if is_json && age > Some(RETENTION) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Locks the directory until the returned file is closed, which the end of the process also does.
    fn lock(&self) -> anyhow::Result<File> {
        let file = self.open_lock()?;
        let is_stuck = self.is_lock_stuck.swap(false, Ordering::Relaxed);
        let attempts = if is_stuck { 1 } else { self.lock_attempts };
        for _ in 0..attempts {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY_INTERVAL),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        self.is_lock_stuck.store(true, Ordering::Relaxed);
        bail!("another process holds the lock {}", redact_path(&self.path))
    }

    /// Opens the lock file, or creates it. A symbolic link is not followed: it could lead root to another file.
    fn open_lock(&self) -> anyhow::Result<File> {
        let path = self.path.join(LOCK);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32);
        let opened = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(LOCK),
            opened => opened,
        };
        opened.with_context(|| format!("cannot open {}", redact_path(&path)))
    }

    fn replace_or_warn(&self, name: &str, state: &impl Serialize) {
        if let Err(error) = self.replace(name, state) {
            self.warn(&error);
        }
    }

    fn replace(&self, name: &str, state: &impl Serialize) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            let temporary = format!("{name}.tmp");
            // One that a killed process left is replaced.
            let _ = fs::remove_file(self.path.join(&temporary));
            let mut file = self.create(&temporary)?;
            let state = Versioned {
                version: VERSION,
                state,
            };
            let bytes = serde_json::to_vec(&state)?;
            if bytes.len() as u64 > MAX_BYTES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            file.write_all(&bytes)?;
            fs::rename(self.path.join(temporary), &path)
        };
        write().with_context(|| format!("cannot write {}", redact_path(&path)))
    }

    /// Creates an empty file that only its owner can read. As root, gives it to the owner of the lock or of the directory,
    /// so that the exporter can read what a `check` by root has written.
    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(self.path.join(name))?;
        if geteuid().is_root() {
            let lock = fs::symlink_metadata(self.path.join(LOCK)).ok();
            let owner = match lock.filter(Metadata::is_file) {
                Some(lock) if name != LOCK => lock,
                _ => fs::metadata(&self.path)?,
            };
            if owner.uid() != 0 {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
        }
        Ok(file)
    }

    /// Logs the first failure as a warning, further ones at debug level.
    fn warn(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        let hint = "check the directory of --state.directory; without it a restart may exceed RingCentral's rate limit";
        if self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::debug!(error, "state directory failed again");
        } else {
            tracing::warn!(error, hint, "state directory cannot be used fully");
        }
    }
}

fn parse<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = file::read(path, MAX_BYTES)?;
    // The version first: the state of another version may have another form.
    let Versioned { version, .. } =
        serde_json::from_slice::<Versioned<serde::de::IgnoredAny>>(&bytes)
            .context("not a file of this exporter")?;
    if version != VERSION {
        bail!("version {version}, expected {VERSION}");
    }
    let file: Versioned<T> =
        serde_json::from_slice(&bytes).context("not a file of this exporter")?;
    Ok(file.state)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open() -> (tempfile::TempDir, StateDirectory) {
        let parent = tempfile::tempdir().unwrap();
        let directory = StateDirectory::open(&parent.path().join("state")).unwrap();
        (parent, directory)
    }

    #[test]
    fn update_passes_the_last_state() {
        let (_parent, directory) = open();
        for expected in [None, Some(1), Some(2)] {
            let found = directory.update("a.json", |state: Option<u32>| {
                (state.unwrap_or_default() + 1, state)
            });
            assert_eq!(found, expected);
        }
        assert_eq!(directory.take("a.json"), Some(3));
        assert_eq!(directory.take::<u32>("a.json"), None);
    }

    #[test]
    fn files_are_readable_only_by_their_owner() {
        let (_parent, directory) = open();
        directory.write("a.json", &1);
        assert_eq!(
            fs::metadata(&directory.path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for entry in fs::read_dir(&directory.path).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        }
    }

    #[test]
    fn foreign_file_is_ignored_and_replaced() {
        let (_parent, directory) = open();
        for content in [
            "",
            "{",
            "[]",
            "\u{0}\u{0}",
            r#"{"version":1}"#,
            r#"{"version":1,"state":"text"}"#,
            r#"{"version":2,"state":5}"#,
        ] {
            fs::write(directory.path.join("a.json"), content).unwrap();
            assert_eq!(directory.read::<u32>("a.json"), None, "{content:?}");
        }
        directory.write("a.json", &7);
        assert_eq!(directory.read("a.json"), Some(7));
    }

    #[test]
    fn concurrent_updates_are_not_lost() {
        let (_parent, directory) = open();
        let path = directory.path.clone();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut directory = StateDirectory::open(&path).unwrap();
                    directory.lock_attempts = u32::MAX;
                    for _ in 0..50 {
                        directory.update("a.json", |state: Option<u32>| {
                            (state.unwrap_or_default() + 1, ())
                        });
                    }
                });
            }
        });
        assert_eq!(directory.read("a.json"), Some(200));
    }

    #[test]
    fn unusable_directory_error_names_the_flag() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below"), parent.path().join("a/b")] {
            let error = StateDirectory::open(&path).unwrap_err().to_string();
            let begin = format!("--state.directory (STATE_DIRECTORY): {}: ", path.display());
            assert!(error.starts_with(&begin), "{error}");
        }
    }

    #[test]
    fn lock_is_no_symbolic_link_and_holds_others_briefly() {
        let (parent, directory) = open();
        let lock = directory.path.join(LOCK);
        let held = File::open(&lock).unwrap();
        held.lock().unwrap();
        assert!(directory.lock().is_err());
        let second = StateDirectory::open(&directory.path);
        assert!(second.is_ok(), "a start does not need the lock");
        drop(held);
        let other = parent.path().join("other");
        fs::write(&other, "").unwrap();
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(&other, &lock).unwrap();
        assert!(directory.lock().is_err());
    }

    #[test]
    fn path_that_may_be_a_secret_is_redacted() {
        let error = StateDirectory::open(Path::new("eyJhbGciOiJSUzI1NiJ9.e30.c2Vz")).unwrap_err();
        assert!(!error.to_string().contains("eyJ"), "{error}");
        assert!(!Path::new("eyJhbGciOiJSUzI1NiJ9.e30.c2Vz").exists());
    }

    #[test]
    fn files_of_stopped_exporters_are_deleted() {
        let (_parent, directory) = open();
        directory.write("old.json", &1);
        directory.write("new.json", &1);
        let old = File::options()
            .write(true)
            .open(directory.path.join("old.json"))
            .unwrap();
        old.set_modified(std::time::UNIX_EPOCH).unwrap();
        let directory = StateDirectory::open(&directory.path).unwrap();
        assert_eq!(directory.read::<u32>("old.json"), None);
        assert_eq!(directory.read("new.json"), Some(1));
    }
}
