//! Copies of the shipped rule files with `for` and `keep_firing_for` shortened to seconds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::markdown;

/// Folder of the shipped rules, relative to the package.
const RULES_FOLDER: &str = "deploy/prometheus/rules";
/// Replacement duration: long enough for the alert to be pending in one evaluation.
pub const SHORT_DURATION: Duration = Duration::from_secs(5);
/// Keys whose durations are shortened.
const KEYS: [&str; 2] = ["for", "keep_firing_for"];

/// Copies all rule files with shortened durations into a folder.
pub fn copy_with_short_durations(folder: &Path) -> Vec<PathBuf> {
    markdown::files_with_suffix(RULES_FOLDER, ".yml")
        .iter()
        .map(|file| copy(file, folder))
        .collect()
}

/// Copies one rule file with shortened durations.
fn copy(file: &Path, folder: &Path) -> PathBuf {
    let original = std::fs::read_to_string(file).unwrap();
    let copied = original
        .split_inclusive('\n')
        .map(shorten)
        .collect::<String>();
    assert_eq!(
        unchanged_lines(&copied),
        unchanged_lines(&original),
        "only durations differ in {}",
        file.display()
    );
    let copy = folder.join(file.file_name().unwrap());
    std::fs::write(&copy, copied).unwrap();
    copy
}

/// Returns the line with its duration shortened, if it has one of the [`KEYS`].
fn shorten(line: &str) -> String {
    match duration(line) {
        Some(duration) => line.replacen(duration, &format!("{}s", SHORT_DURATION.as_secs()), 1),
        None => line.to_owned(),
    }
}

/// Returns the duration of a line that has one of the [`KEYS`].
fn duration(line: &str) -> Option<&str> {
    let (key, duration) = line.trim().split_once(": ")?;
    if !KEYS.contains(&key) {
        return None;
    }
    assert!(
        duration
            .trim_end_matches(['s', 'm', 'h', 'd'])
            .parse::<u32>()
            .is_ok(),
        "invalid duration: {line}"
    );
    Some(duration)
}

/// Returns all lines that have none of the [`KEYS`].
fn unchanged_lines(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| duration(line).is_none())
        .collect()
}

#[test]
fn only_for_and_keep_firing_for_are_shortened() {
    let rule = "- alert: A5m\n  expr: a[5m] offset 5m\n  for: 5m\n  keep_firing_for: 10m\n  labels: { for: 5m }\n";
    let shortened = rule.split_inclusive('\n').map(shorten).collect::<String>();
    assert_eq!(
        shortened,
        rule.replace(" for: 5m\n", " for: 5s\n")
            .replace("for: 10m", "for: 5s")
    );
}
