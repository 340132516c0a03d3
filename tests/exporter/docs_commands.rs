//! Each shell command in the README and the guides is run by a test, or marked as untested.
//!
//! The marker is a line before the block, `<!-- untested: reason -->`.

use std::fs::read_to_string;

use crate::common::shell_blocks::{ShellBlock, shell_blocks};
use crate::docs_links::documents;

/// Tests that run commands: the document, a text of the block, the file of the test, the test. An
/// empty text stands for all blocks of the document.
const RUN_BY: [(&str, &str, &str, &str); 11] = [
    (
        "README.md",
        "",
        "tests/web/guides.rs",
        "readme_commands_work",
    ),
    (
        "dashboards/README.md",
        "kubectl create configmap",
        "tests/deploy/dashboards.rs",
        "readme_command_creates_the_same_config_map",
    ),
    (
        "deploy/README.md",
        "",
        "tests/web/guides.rs",
        "deployment_overview_commands_work",
    ),
    (
        "deploy/prometheus/README.md",
        "promtool check config",
        "tests/rules/readme_commands.rs",
        "install_commands_install_the_rules",
    ),
    (
        "deploy/prometheus/README.md",
        "create-blocks-from rules",
        "tests/rules/readme_commands.rs",
        "backfill_commands_fill_the_median_of_past_weeks",
    ),
    (
        "deploy/prometheus/README.md",
        "sed -i 's/time()",
        "tests/rules/readme_commands.rs",
        "chicago_command_equals_the_edits_of_its_row",
    ),
    (
        "deploy/prometheus/README.md",
        "sed -i 's|https://",
        "tests/rules/readme_commands.rs",
        "runbook_command_changes_links_in_rules_and_tests",
    ),
    (
        "docs/ACCOUNTS.md",
        "",
        "tests/web/guides.rs",
        "accounts_guide_commands_work",
    ),
    (
        "docs/CONFIGURATION.md",
        "ringcentral-exporter completions bash",
        "tests/exporter/documentation.rs",
        "bash_completes_commands_flags_and_shells",
    ),
    (
        "docs/RUNBOOK.md",
        "",
        "tests/web/guides.rs",
        "runbook_commands_work",
    ),
    (
        "docs/WEB.md",
        "",
        "tests/web/docs.rs",
        "web_guide_examples_work",
    ),
];

/// Returns the README and the guides. `tests/deploy` runs the commands of other documents in
/// `deploy`; those in `docs/dev` are for developers.
fn guides() -> Vec<String> {
    let mut guides = documents();
    guides.retain(|path| {
        let single = [
            "README.md",
            "dashboards/README.md",
            "deploy/README.md",
            "deploy/prometheus/README.md",
        ];
        let is_guide = path.starts_with("docs/") && !path.starts_with("docs/dev/");
        is_guide || single.contains(&path.as_str())
    });
    guides
}

/// Returns whether a test runs this block.
fn is_run(document: &str, block: &ShellBlock) -> bool {
    RUN_BY
        .iter()
        .any(|(path, text, ..)| *path == document && block.text.contains(text))
}

#[test]
fn every_command_is_tested_or_marked_untested() {
    let mut problems = Vec::new();
    for document in guides() {
        for block in shell_blocks(&read_to_string(&document).unwrap()) {
            if !block.is_untested && !is_run(&document, &block) {
                problems.push(format!("{document}: {}", block.text));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "name a test in RUN_BY, or write <!-- untested: reason --> before\n{}",
        problems.join("\n")
    );
}

#[test]
fn tests_that_run_commands_exist() {
    for (document, text, file, test) in RUN_BY {
        let test_source = read_to_string(file).unwrap();
        assert!(
            test_source.contains(&format!("fn {test}(")),
            "{file} {test}"
        );
        let blocks = shell_blocks(&read_to_string(document).unwrap());
        let is_used = |block: &ShellBlock| !block.is_untested && block.text.contains(text);
        let message = "has no command without a marker that contains";
        assert!(blocks.iter().any(is_used), "{document} {message} {text:?}");
    }
}

#[test]
fn shell_blocks_are_found_with_their_markers() {
    let document = "Text.\n\n    one\n    two \\\n      three\n\n<!-- untested: slow -->\n```sh\nfour\n```\n\
                    ```yaml\nfive: 5\n```\n<!-- untested:  -->\n\n    six\n";
    let expected = [
        ("one\ntwo \\\n  three\n", false),
        ("four\n", true),
        ("six\n", false),
    ];
    let expected = expected.map(|(text, is_untested)| ShellBlock {
        text: text.to_owned(),
        is_untested,
    });
    assert_eq!(shell_blocks(document), expected);
}

#[test]
#[should_panic(expected = "language of")]
fn block_without_language_is_an_error() {
    shell_blocks("```\ncurl http://localhost\n```\n");
}
