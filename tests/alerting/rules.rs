//! The rules as they are shipped, in a hurry.
//!
//! Owns: which lines are changed, and that no others are. Refuses to know: what the rules say.

use std::path::{Path, PathBuf};

use crate::common::markdown;

/// Where the shipped ones are, from the package's folder, in which tests run.
const SHIPPED: &str = "deploy/prometheus/rules";
/// How long an alert waits before it fires, so that it is seen pending for an evaluation.
const HURRIED: &str = "5s";
const KEYS: [&str; 2] = ["for", "keep_firing_for"];

/// Copies all files of rules into this folder.
pub fn hurried(folder: &Path) -> Vec<PathBuf> {
    markdown::files_with_suffix(SHIPPED, ".yml")
        .iter()
        .map(|file| copy(file, folder))
        .collect()
}

fn copy(file: &Path, folder: &Path) -> PathBuf {
    let shipped = std::fs::read_to_string(file).unwrap();
    let copied = shipped.split_inclusive('\n').map(hurry).collect::<String>();
    assert_eq!(
        lasting(&copied),
        lasting(&shipped),
        "nothing else differs in {}",
        file.display()
    );
    let copy = folder.join(file.file_name().unwrap());
    std::fs::write(&copy, copied).unwrap();
    copy
}

/// The line with its duration replaced, if it is one that waits.
fn hurry(line: &str) -> String {
    match waits(line) {
        Some(duration) => line.replacen(duration, HURRIED, 1),
        None => line.to_owned(),
    }
}

/// The duration of a line that waits.
fn waits(line: &str) -> Option<&str> {
    let (key, duration) = line.trim().split_once(": ")?;
    if !KEYS.contains(&key) {
        return None;
    }
    assert!(
        duration
            .trim_end_matches(['s', 'm', 'h', 'd'])
            .parse::<u32>()
            .is_ok(),
        "no duration: {line}"
    );
    Some(duration)
}

/// All lines but those that wait.
fn lasting(text: &str) -> Vec<&str> {
    text.lines().filter(|line| waits(line).is_none()).collect()
}

#[test]
fn two_durations_are_replaced_and_nothing_else() {
    let rule = "- alert: A5m\n  expr: a[5m] offset 5m\n  for: 5m\n  keep_firing_for: 10m\n  labels: { for: 5m }\n";
    let hurried = rule.split_inclusive('\n').map(hurry).collect::<String>();
    assert_eq!(
        hurried,
        rule.replace(" for: 5m\n", " for: 5s\n")
            .replace("for: 10m", "for: 5s")
    );
}
