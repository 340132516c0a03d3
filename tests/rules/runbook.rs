//! The runbook has an index by severity and one section with four parts for each alert, and its queries are valid.

use std::collections::BTreeSet;

use crate::common::markdown::{commands, queries, read, sections};
use crate::common::promtool::assert_valid_queries;
use crate::rule_files;

/// Path of the runbook.
const RUNBOOK: &str = "docs/RUNBOOK.md";
/// Parts of each section, in order.
const PARTS: [&str; 4] = [
    "**Symptom**",
    "**Action**",
    "**Diagnosis**",
    "**Background**",
];
/// Headings of the index, each with the severity of its alerts.
const INDEX: [(&str, &str); 3] = [
    ("Page: `critical`", "critical"),
    ("Ticket: `warning`", "warning"),
    ("Ticket: `info`", "info"),
];

#[test]
fn runbook_sections_equal_the_alerts() {
    let alerts: BTreeSet<_> = rule_files::alerts()
        .iter()
        .map(|alert| alert.name().to_owned())
        .collect();
    let headings = sections(&read(RUNBOOK))
        .into_iter()
        .map(|(heading, _)| heading);
    let sections: Vec<_> = headings
        .filter(|heading| heading.starts_with("RingCentral"))
        .collect();
    assert_eq!(
        sections.len(),
        alerts.len(),
        "duplicate section: {sections:?}"
    );
    assert_eq!(sections.into_iter().collect::<BTreeSet<_>>(), alerts);
}

#[test]
fn runbook_section_has_four_parts_in_order() {
    let sections = sections(&read(RUNBOOK));
    for (alert, text) in sections
        .iter()
        .filter(|(heading, _)| heading.starts_with("RingCentral"))
    {
        let positions: Vec<_> = PARTS.iter().map(|part| text.find(part)).collect();
        assert!(
            positions.iter().all(Option::is_some) && positions.is_sorted(),
            "{alert} does not have {PARTS:?} in this order: {positions:?}"
        );
        assert!(
            PARTS.iter().all(|part| text.matches(part).count() == 1),
            "{alert}: duplicate part"
        );
    }
}

/// Returns the alerts in the rows below a heading of the index, whose links must be those of their sections.
fn indexed_alerts(index: &str, heading: &str) -> Vec<String> {
    let (_, text) = index
        .split_once(&format!("\n### {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let text = text.split("\n### ").next().unwrap();
    let mut alerts = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| [")) {
        let link = line.trim_start_matches("| [").split(')').next().unwrap();
        let (alert, anchor) = link.split_once("](#").unwrap();
        assert_eq!(anchor, alert.to_lowercase(), "{line}");
        alerts.push(alert.to_owned());
    }
    alerts
}

#[test]
fn runbook_index_has_every_alert_by_severity() {
    let sections = sections(&read(RUNBOOK));
    let (_, index) = sections
        .iter()
        .find(|(heading, _)| heading == "Alerts by severity")
        .unwrap();
    let headings: Vec<_> = index
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(headings, INDEX.map(|(heading, _)| heading));
    for (heading, severity) in INDEX {
        let alerts = rule_files::alerts();
        let expected: Vec<_> = alerts
            .iter()
            .filter(|alert| alert.severity() == severity)
            .map(|alert| alert.name().to_owned())
            .collect();
        assert_eq!(indexed_alerts(index, heading), expected, "{heading}");
    }
}

/// `tests/deploy` runs the commands of the systemd guide under a real systemd.
#[test]
fn runbook_systemd_commands_are_those_of_the_guide() {
    let guide = commands(&read("deploy/systemd/README.md")).concat();
    let guide: BTreeSet<_> = guide.lines().map(str::trim).collect();
    let runbook = commands(&read(RUNBOOK)).concat();
    let systemd: Vec<_> = runbook
        .lines()
        .filter(|line| line.starts_with("systemctl ") || line.starts_with("journalctl "))
        .collect();
    assert!(systemd.len() >= 3, "{systemd:?}");
    for command in systemd {
        assert!(guide.contains(command), "{command}");
    }
}

#[test]
fn promtool_parses_every_runbook_query() {
    let queries = queries(&read(RUNBOOK));
    assert!(queries.len() >= 10, "{}", queries.len());
    assert_valid_queries(&queries);
}
