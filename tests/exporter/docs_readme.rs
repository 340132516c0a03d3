//! Facts and size of the README.

use crate::common::markdown::{code_blocks, read};

#[test]
fn readme_sample_is_in_the_golden_exposition() {
    let golden = read("tests/golden/exposition.prom");
    let sample = code_blocks(&read("README.md"), "text").concat();
    assert_eq!(sample.lines().count(), 10);
    for line in sample.lines() {
        assert!(golden.lines().any(|golden| golden == line), "{line}");
    }
}

#[test]
fn readme_fits_on_a_few_screens() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 170);
    let is_long = |line: &&str| line.chars().count() > 120 && !line.starts_with('|');
    let long: Vec<_> = readme.lines().filter(is_long).collect();
    assert!(long.len() <= 5, "{long:#?}");
}
