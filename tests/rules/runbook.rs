//! The runbook has one section with four parts for each alert, and its queries are valid.

use std::collections::BTreeSet;

use crate::common::markdown::{queries, read, sections};
use crate::common::promtool::assert_valid_queries;
use crate::rule_files;

/// Path of the runbook.
const RUNBOOK: &str = "docs/RUNBOOK.md";
/// Parts of each section, in order.
const PARTS: [&str; 4] = ["**You see**", "**Why**", "**Check**", "**Do**"];

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
            "{alert} has {PARTS:?} in this order: {positions:?}"
        );
        assert!(
            PARTS.iter().all(|part| text.matches(part).count() == 1),
            "{alert}: duplicate part"
        );
    }
}

#[test]
fn promtool_parses_every_runbook_query() {
    let queries = queries(&read(RUNBOOK));
    assert!(queries.len() >= 10, "{}", queries.len());
    assert_valid_queries(&queries);
}
