//! Files, and whether they have changed.
//!
//! Owns: looking at most once a second, and not believing a file that is being written: one that changed within the
//! last second is given until the next look. A look is a `stat` of each file, by way of all links, so an exchanged link
//! is a change. Refuses to know: what is in them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Moment;

/// Between two looks, and how long a file has to be left alone.
const SECOND: Duration = Duration::from_secs(1);

/// What tells a file from what it was: none if it is not there.
type Stamp = Option<[i64; 7]>;

/// Some files as they were when they were last read.
#[derive(Clone)]
pub struct FileWatcher {
    files: Vec<(PathBuf, Stamp)>,
    looked: Moment,
    /// What the last look found, where it did not believe it.
    seen: Option<Vec<Stamp>>,
}

impl FileWatcher {
    /// Looks at these files.
    pub fn new(files: Vec<PathBuf>, now: Moment) -> Self {
        let mut watch = Self {
            files: Vec::new(),
            looked: now,
            seen: None,
        };
        watch.watch(&files);
        watch
    }

    /// Looks at these files too.
    pub fn watch(&mut self, files: &[PathBuf]) {
        for file in files {
            if !self.files.iter().any(|(known, _)| known == file) {
                self.files.push((file.clone(), stamp(file)));
            }
        }
    }

    /// Looks at these files alone.
    pub fn retain(&mut self, files: &[PathBuf]) {
        self.files.retain(|(file, _)| files.contains(file));
    }

    /// Which files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(file, _)| file.clone()).collect()
    }

    /// Whether a file has changed since it was read, and is left alone now.
    pub fn has_changed(&mut self, now: Moment) -> bool {
        if now.saturating_duration_since(self.looked) < SECOND {
            return false;
        }
        self.looked = now;
        let stamps: Vec<_> = self.files.iter().map(|(file, _)| stamp(file)).collect();
        if self.files.iter().map(|(_, stamp)| stamp).eq(&stamps) {
            self.seen = None;
            return false;
        }
        let left_alone = stamps.iter().flatten().all(|stamp| is_old(stamp, now))
            || self.seen.as_ref() == Some(&stamps);
        self.seen = Some(stamps);
        left_alone
    }
}

fn stamp(file: &Path) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    let number = |value: u64| value.cast_signed();
    let times = [
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ];
    let [written, written_ns, changed, changed_ns] = times;
    Some([
        written,
        written_ns,
        changed,
        changed_ns,
        number(data.size()),
        number(data.ino()),
        number(data.dev()),
    ])
}

/// By the time of writing, since a copy may keep the original's.
fn is_old(stamp: &[i64; 7], now: Moment) -> bool {
    let [_, _, changed, ..] = stamp;
    now.wall.as_second() - changed > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

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
            let now = Moment::now();
            (FileWatcher::new(vec![self.file()], now), now)
        }
    }

    #[test]
    fn it_looks_at_most_once_a_second() {
        let folder = Folder::new();
        let (mut watch, start) = folder.watch();
        folder.write("another");
        assert!(!watch.has_changed(start.after(SECOND / 2)));
        assert!(watch.has_changed(start.after(5 * SECOND)));
    }

    #[test]
    fn a_file_that_has_just_changed_is_believed_at_the_next_look() {
        let folder = Folder::new();
        let (mut watch, start) = folder.watch();
        folder.write("another");
        assert!(!watch.has_changed(start.after(SECOND)));
        assert!(
            watch.has_changed(start.after(2 * SECOND)),
            "whatever the clocks say"
        );
    }

    #[test]
    fn the_same_file_is_no_change_and_a_missing_one_is() {
        let folder = Folder::new();
        let (mut watch, start) = folder.watch();
        assert!(!watch.has_changed(start.after(10 * SECOND)));
        std::fs::remove_file(folder.file()).unwrap();
        assert!(watch.has_changed(start.after(20 * SECOND)));
    }

    #[test]
    fn an_exchanged_link_is_a_change() {
        let folder = Folder::new();
        let (link, other) = (folder.0.path().join("link"), folder.0.path().join("other"));
        std::fs::write(&other, "one").unwrap();
        std::os::unix::fs::symlink(folder.file(), &link).unwrap();
        let start = Moment::now();
        let mut watch = FileWatcher::new(vec![link.clone()], start);
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(watch.has_changed(start.after(10 * SECOND)));
    }
}
