//! The runbook has a section for each alert, and nothing for alerts that do not exist.

use std::collections::BTreeSet;

use crate::common::markdown::{queries, read, sections};
use crate::common::promtool::assert_valid_queries;
use crate::shipped;

const RUNBOOK: &str = "docs/RUNBOOK.md";
const PARTS: [&str; 4] = ["**You see**", "**Why**", "**Check**", "**Do**"];

#[test]
fn each_alert_has_a_section_and_each_section_an_alert() {
    let alerts: BTreeSet<_> = shipped::alerts()
        .iter()
        .map(|alert| alert.name().to_owned())
        .collect();
    let headings = sections(&read(RUNBOOK)).into_iter().map(|(head, _)| head);
    let about_alerts: Vec<_> = headings
        .filter(|head| head.starts_with("RingCentral"))
        .collect();
    assert_eq!(
        about_alerts.len(),
        alerts.len(),
        "none twice: {about_alerts:?}"
    );
    assert_eq!(about_alerts.into_iter().collect::<BTreeSet<_>>(), alerts);
}

#[test]
fn each_section_says_what_you_see_why_how_to_check_and_what_to_do() {
    let sections = sections(&read(RUNBOOK));
    for (alert, text) in sections
        .iter()
        .filter(|(head, _)| head.starts_with("RingCentral"))
    {
        let places: Vec<_> = PARTS.iter().map(|part| text.find(part)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{alert} has {PARTS:?} in this order: {places:?}"
        );
        assert!(
            PARTS.iter().all(|part| text.matches(part).count() == 1),
            "{alert}: each once"
        );
    }
}

#[test]
fn each_query_of_the_runbook_is_understood_by_promtool() {
    let queries = queries(&read(RUNBOOK));
    assert!(queries.len() >= 10, "{}", queries.len());
    assert_valid_queries(&queries);
}
