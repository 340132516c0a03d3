//! Facts and size of the README and of the overview of the deployment.

use tokio::io::AsyncBufReadExt;

use crate::common::exporter_process::{ExporterProcess, command};
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

#[tokio::test]
async fn demo_prints_the_documented_lines() {
    let mut demo = ExporterProcess::start(command(&["demo", "--web.listen-address=127.0.0.1:0"]));
    let url = demo.wait_for_url().await;
    let documented = code_blocks(&read("deploy/README.md"), "text").concat();
    for expected in documented.lines() {
        let mut line = String::new();
        demo.stdout.read_line(&mut line).await.unwrap();
        let (expected, line) = match expected.split_once("=http") {
            Some((variable, _)) => (variable, line.split('=').next().unwrap()),
            None => (expected, line.trim()),
        };
        let expected = expected.replace("http://localhost:10072", &url);
        assert!(
            line == expected || expected == "...",
            "{line:?} {expected:?}"
        );
    }
}
