//! Checks of a delivered alert: unexpanded templates, missing texts and broken links.

use serde_json::{Value, json};

use crate::common::markdown;

/// Path of the runbook, relative to the package.
const RUNBOOK: &str = "docs/RUNBOOK.md";
/// Texts that a failed template leaves behind.
const LEFTOVERS: [&str; 6] = ["{{", "}}", "<no value>", "<error", "%!", "NaN"];

/// Returns whether the alert has this name.
pub fn has_name(alert: &Value, name: &str) -> bool {
    alert["labels"]["alertname"] == name
}

/// Returns whether both values have the same labels, such as a firing alert and its resolution.
pub fn is_same_alert(alert: &Value, other: &Value) -> bool {
    alert["labels"] == other["labels"]
}

/// Extracts the numbers in a text.
pub fn numbers(text: &Value) -> Vec<f64> {
    let words = text.as_str().unwrap().split_whitespace();
    words
        .filter_map(|word| word.trim_end_matches(['.', ',']).parse().ok())
        .collect()
}

/// Lists the problems of an alert about the account `default`.
pub fn problems(alert: &Value) -> Vec<String> {
    let text = |name: &str| alert["annotations"][name].as_str().unwrap_or_default();
    let texts = ["summary", "description", "runbook_url"].map(text);
    let mut problems = Vec::new();
    let mut expect = |condition: bool, what: &str| {
        if !condition {
            problems.push(format!("{what}: {alert:#}"))
        }
    };
    expect(
        texts.iter().all(|text| !text.is_empty()),
        "a text is missing",
    );
    for leftover in LEFTOVERS {
        expect(
            texts.iter().all(|text| !text.contains(leftover)),
            &format!("a text contains {leftover:?}"),
        );
    }
    expect(
        text("description").contains("default"),
        "the description does not name the account",
    );
    expect(
        has_section(text("runbook_url")),
        "the link does not lead to a section of the runbook",
    );
    problems
}

/// Returns whether a link leads to a section of the runbook.
fn has_section(url: &str) -> bool {
    let anchor = url
        .split_once(&format!("/{RUNBOOK}#"))
        .map(|(_, anchor)| anchor);
    let mut sections = markdown::sections(&markdown::read(RUNBOOK)).into_iter();
    anchor.is_some_and(|anchor| sections.any(|(heading, _)| heading.to_lowercase() == anchor))
}

#[test]
fn unexpanded_templates_and_broken_links_are_reported() {
    let link =
        format!("https://github.com/owner/name/blob/main/{RUNBOOK}#ringcentralcallvolumehigh");
    let problem_count = |summary: &str, description: &str, link: &str| {
        let annotations =
            json!({"summary": summary, "description": description, "runbook_url": link});
        problems(&json!({ "annotations": annotations })).len()
    };
    assert_eq!(problem_count("Calls.", "Account default has 3.", &link), 0);
    assert_eq!(problem_count("", "Account default has 3.", &link), 1);
    assert_eq!(
        problem_count("{{ $value.", "Account default has 3.", &link),
        1
    );
    assert_eq!(
        problem_count("Calls.", "Account default has <no value>.", &link),
        1
    );
    assert_eq!(
        problem_count("Calls.", "Account default has %!f(string=3).", &link),
        1
    );
    assert_eq!(problem_count("Calls.", "Account  has 3.", &link), 1);
    assert_eq!(
        problem_count("Calls.", "Account default has 3.", &format!("{link}x")),
        1
    );
    assert_eq!(
        problem_count(
            "Calls.",
            "Account default has 3.",
            &link.replace("RUNBOOK", "RUNBOOKS")
        ),
        1
    );
}
