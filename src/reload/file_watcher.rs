//! Watches files by `stat`, at most once a second.
//!
//! A file that changed within the last second may still be written, so it counts as changed only at
//! the next check. Links are followed, so that a link to another file is a change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Moment;

/// Minimum time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Times, size and identity of a file; `None` if it does not exist.
type FileStamp = Option<[i64; 7]>;

/// Files with their state when they were last read and at the last check.
#[derive(Clone)]
pub(super) struct FileWatcher {
    files: Vec<PathBuf>,
    last_read: Vec<FileStamp>,
    last_seen: Vec<FileStamp>,
    last_check: Moment,
}

impl FileWatcher {
    /// Creates a watcher without files.
    pub(super) fn new(now: Moment) -> Self {
        Self {
            files: Vec::new(),
            last_read: Vec::new(),
            last_seen: Vec::new(),
            last_check: now,
        }
    }

    /// Adds a file.
    pub(super) fn watch(&mut self, file: &Path) {
        self.files.push(file.to_owned());
        self.last_read.push(stamp(file));
    }

    /// Returns whether a file has changed since it was last read. Returns `false` if the last check
    /// was less than a second ago, or if the file may still be written.
    pub(super) fn poll_changes(&mut self, now: Moment) -> bool {
        if now.saturating_duration_since(self.last_check) < CHECK_INTERVAL {
            return false;
        }
        self.last_check = now;
        let stamps: Vec<_> = self.files.iter().map(|file| stamp(file)).collect();
        let is_final = stamps == self.last_seen || stamps.iter().all(|it| is_settled(*it, now));
        let has_changed = stamps != self.last_read;
        self.last_seen = stamps;
        has_changed && is_final
    }
}

fn stamp(file: &Path) -> FileStamp {
    let data = std::fs::metadata(file).ok()?;
    Some([
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
        data.size().cast_signed(),
        data.ino().cast_signed(),
        data.dev().cast_signed(),
    ])
}

/// Returns whether the last change is more than a second ago. It goes by the change time (`ctime`),
/// since a copy may keep the modification time of the original.
fn is_settled(stamp: FileStamp, now: Moment) -> bool {
    stamp.is_none_or(|[_, _, changed_at, ..]| now.wall.as_second() - changed_at > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    /// Watches a file from now on.
    fn watch(file: &Path) -> (FileWatcher, Moment) {
        let now = Moment::now();
        let mut watcher = FileWatcher::new(now);
        watcher.watch(file);
        (watcher, now)
    }

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write("one");
            folder
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("file")
        }

        fn write(&self, text: &str) {
            std::fs::write(self.file(), text).unwrap();
        }

        fn watch(&self) -> (FileWatcher, Moment) {
            watch(&self.file())
        }
    }

    #[test]
    fn files_are_checked_at_most_once_a_second() {
        let folder = Folder::new();
        let (mut watcher, start) = folder.watch();
        folder.write("another");
        assert!(!watcher.poll_changes(start.after(CHECK_INTERVAL / 2)));
        assert!(watcher.poll_changes(start.after(5 * CHECK_INTERVAL)));
    }

    #[test]
    fn recent_change_counts_at_the_next_check() {
        let folder = Folder::new();
        let (mut watcher, start) = folder.watch();
        folder.write("another");
        assert!(!watcher.poll_changes(start.after(CHECK_INTERVAL)));
        assert!(
            watcher.poll_changes(start.after(2 * CHECK_INTERVAL)),
            "regardless of the wall clock"
        );
    }

    #[test]
    fn missing_file_is_a_change() {
        let folder = Folder::new();
        let (mut watcher, start) = folder.watch();
        assert!(!watcher.poll_changes(start.after(10 * CHECK_INTERVAL)));
        std::fs::remove_file(folder.file()).unwrap();
        assert!(watcher.poll_changes(start.after(20 * CHECK_INTERVAL)));
    }

    #[test]
    fn link_to_another_file_is_a_change() {
        let folder = Folder::new();
        let (link, other) = (folder.0.path().join("link"), folder.0.path().join("other"));
        std::fs::write(&other, "one").unwrap();
        std::os::unix::fs::symlink(folder.file(), &link).unwrap();
        let (mut watcher, start) = watch(&link);
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(watcher.poll_changes(start.after(10 * CHECK_INTERVAL)));
    }
}
