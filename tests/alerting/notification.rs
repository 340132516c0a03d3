//! What is wrong with an alert as a person gets it: text that was not filled in, and links that lead nowhere.
//!
//! Refuses to know any alert by name.

use serde_json::{Value, json};

use crate::common::markdown;

/// Where the sections are, from the package's folder, in which tests run.
const RUNBOOK: &str = "docs/RUNBOOK.md";
/// What templates leave behind when they fail.
const LEFTOVERS: [&str; 6] = ["{{", "}}", "<no value>", "<error", "%!", "NaN"];

/// Whether the alert has this name.
pub fn is(alert: &Value, name: &str) -> bool {
    alert["labels"]["alertname"] == name
}

/// Whether two are the beginning and the end of the same alert.
pub fn same(one: &Value, other: &Value) -> bool {
    one["labels"] == other["labels"]
}

/// The numbers in a text.
pub fn numbers(text: &Value) -> Vec<f64> {
    let words = text.as_str().unwrap().split_whitespace();
    words
        .filter_map(|word| word.trim_end_matches(['.', ',']).parse().ok())
        .collect()
}

/// What is wrong with one about the account `default`.
pub fn complaints(alert: &Value) -> Vec<String> {
    let text = |name: &str| alert["annotations"][name].as_str().unwrap_or_default();
    let texts = ["summary", "description", "runbook_url"].map(text);
    let mut wrong = Vec::new();
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what}: {alert:#}"))
        }
    };
    demand(
        texts.iter().all(|text| !text.is_empty()),
        "a text is missing",
    );
    for leftover in LEFTOVERS {
        demand(
            texts.iter().all(|text| !text.contains(leftover)),
            &format!("a text has {leftover:?}"),
        );
    }
    demand(
        text("description").contains("default"),
        "the account is not named",
    );
    demand(
        has_section(text("runbook_url")),
        "the link leads to no section",
    );
    wrong
}

/// Whether a link leads to a section of the runbook.
fn has_section(url: &str) -> bool {
    let anchor = url
        .split_once(&format!("/{RUNBOOK}#"))
        .map(|(_, anchor)| anchor);
    let mut sections = markdown::sections(&markdown::read(RUNBOOK)).into_iter();
    anchor.is_some_and(|anchor| sections.any(|(head, _)| head.to_lowercase() == anchor))
}

#[test]
fn what_is_not_filled_in_or_leads_nowhere_is_complained_of() {
    let link =
        format!("https://github.com/owner/name/blob/main/{RUNBOOK}#ringcentralcallvolumehigh");
    let alert = |summary: &str, description: &str, link: &str| {
        let annotations =
            json!({"summary": summary, "description": description, "runbook_url": link});
        complaints(&json!({ "annotations": annotations })).len()
    };
    assert_eq!(alert("Calls.", "Account default has 3.", &link), 0);
    assert_eq!(alert("", "Account default has 3.", &link), 1);
    assert_eq!(alert("{{ $value.", "Account default has 3.", &link), 1);
    assert_eq!(alert("Calls.", "Account default has <no value>.", &link), 1);
    assert_eq!(
        alert("Calls.", "Account default has %!f(string=3).", &link),
        1
    );
    assert_eq!(alert("Calls.", "Account  has 3.", &link), 1);
    assert_eq!(
        alert("Calls.", "Account default has 3.", &format!("{link}x")),
        1
    );
    assert_eq!(
        alert(
            "Calls.",
            "Account default has 3.",
            &link.replace("RUNBOOK", "RUNBOOKS")
        ),
        1
    );
}
