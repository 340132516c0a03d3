//! The business hours rule matches a calendar, as shipped and in every documented time zone.
//!
//! Prometheus evaluates the rule, for one account that always exists.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Calendar, DAY, new_year};
use crate::common::markdown::{Table, inline_code, table};
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::rule_files;

/// Maximum points per series in one range query of Prometheus.
const MAX_POINTS: i64 = 11_000;
/// Step of the comparison: some working days begin at half past the hour.
const HALF_AN_HOUR: SignedDuration = SignedDuration::from_mins(30);
/// Days in 28 years, after which the weekdays of all dates repeat.
const CYCLE_DAYS: i32 = 10_227;
/// Step around daylight saving time changes.
const CLOCK_CHANGE_STEP: SignedDuration = SignedDuration::from_mins(5);

/// Parses a table of edits into the name of each row and its pairs of old and new text.
pub fn edits(table: &Table) -> Vec<(String, Vec<(String, String)>)> {
    let mut named_edits = Vec::new();
    for row in &table.rows {
        let mut edits = Vec::new();
        for (heading, cell) in table.header.iter().zip(row).skip(1) {
            if let Some(new) = inline_code(cell).pop() {
                edits.push((inline_code(heading).concat(), new));
            }
        }
        named_edits.push((row[0].trim_matches('`').to_owned(), edits));
    }
    named_edits
}

/// Applies the edits of a row to a rule, in order.
pub fn apply_edits(rule: &str, edits: &[(String, String)]) -> String {
    let mut edited = rule.to_owned();
    for (old, new) in edits {
        assert!(edited.contains(old), "the rule does not contain {old:?}");
        edited = edited.replace(old, new);
    }
    edited
}

/// Starts a Prometheus without targets, for queries only.
pub async fn start_prometheus() -> PrometheusServer {
    PrometheusBuilder::new(&[], Duration::from_secs(60))
        .start()
        .await
}

/// Evaluates the rule at every step between two times; `true` means open.
async fn evaluate(
    server: &PrometheusServer,
    rule: &str,
    from: Timestamp,
    until: Timestamp,
    step: SignedDuration,
) -> BTreeMap<i64, bool> {
    let query = rule.replacen("ringcentral_up", "vector(1)", 1);
    let (from, until, step) = (from.as_second(), until.as_second(), step.as_secs());
    let mut states = BTreeMap::new();
    for start in (from..until).step_by((MAX_POINTS * step) as usize) {
        let end = until.min(start + MAX_POINTS * step) - step;
        let [start, end, step] = [start, end, step].map(|number| number.to_string());
        let range = [
            ("query", query.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", &step),
        ];
        states.extend(parse_states(&server.get_api("query_range", &range).await));
    }
    assert_eq!(
        states.len() as i64,
        (until - from) / step,
        "the rule has a value at every step"
    );
    states
}

/// Parses the samples of the only series in a result.
fn parse_states(data: &serde_json::Value) -> Vec<(i64, bool)> {
    let samples = data["result"][0]["values"].as_array().unwrap().iter();
    samples
        .map(|sample| (sample[0].as_f64().unwrap() as i64, is_one(&sample[1])))
        .collect()
}

/// Parses a sample value that must be 0 or 1.
fn is_one(value: &serde_json::Value) -> bool {
    let value = value.as_str().unwrap();
    assert!(["0", "1"].contains(&value), "{value}");
    value == "1"
}

/// Asserts that rule and calendar match in each half hour of 2026 and 2027.
pub async fn assert_two_years_match(
    server: &PrometheusServer,
    rule: &str,
    calendar: &Calendar,
    context: &str,
) {
    let (from, until) = (new_year(2026), new_year(2028));
    calendar.assert_matches(
        &evaluate(server, rule, from, until, HALF_AN_HOUR).await,
        context,
    );
}

/// Asserts that rule and calendar match at two times of each day for 28 years, in which each date is every weekday.
///
/// In both seasons and hemispheres one of the two times is open and the other one closed.
pub async fn assert_cycle_matches(
    server: &PrometheusServer,
    rule: &str,
    calendar: &Calendar,
    context: &str,
) {
    for from in [
        calendar.first_opening(),
        calendar.first_opening() - HALF_AN_HOUR,
    ] {
        calendar.assert_matches(
            &evaluate(server, rule, from, from + DAY * CYCLE_DAYS, DAY).await,
            context,
        );
    }
}

/// Asserts that rule and calendar match around daylight saving time changes.
///
/// The changes are at night, so the test extends the business hours.
async fn assert_clock_changes_match(server: &PrometheusServer, rule: &str, zone: &str) {
    let long_hours = [
        (">= 1 * 24 < 6 * 24", ">= 0 * 24 < 7 * 24"),
        (">= 8 < 18", ">= 4 < 23"),
    ];
    let rule = apply_edits(
        rule,
        &long_hours.map(|(old, new)| (old.to_owned(), new.to_owned())),
    );
    let mut calendar = Calendar::for_zone(zone);
    (calendar.days, calendar.hours) = (0..7, 4.0..23.0);
    for change in calendar.clock_changes(new_year(2026), new_year(2028)) {
        calendar.assert_matches(
            &evaluate(server, &rule, change - DAY, change + DAY, CLOCK_CHANGE_STEP).await,
            zone,
        );
    }
}

/// Asserts that rule and calendar match in a time zone.
async fn assert_zone_matches(server: &PrometheusServer, rule: &str, zone: &str) {
    assert_two_years_match(server, rule, &Calendar::for_zone(zone), zone).await;
    assert_cycle_matches(server, rule, &Calendar::for_zone(zone), zone).await;
    assert_clock_changes_match(server, rule, zone).await;
}

#[tokio::test]
async fn shipped_business_hours_match_new_york() {
    let rule = rule_files::business_hours();
    assert_zone_matches(&start_prometheus().await, &rule, "America/New_York").await;
}

#[tokio::test]
async fn documented_time_zones_match_their_calendar() {
    let server = start_prometheus().await;
    let zones = edits(&table(&rule_files::readme(), "zone"));
    assert!(
        zones.len() >= 10 && zones[0] == ("America/New_York".to_owned(), Vec::new()),
        "{zones:?}"
    );
    for (zone, edits) in &zones[1..] {
        assert_zone_matches(
            &server,
            &apply_edits(&rule_files::business_hours(), edits),
            zone,
        )
        .await;
    }
}

#[tokio::test]
async fn wrong_utc_offset_is_detected() {
    let rule = rule_files::business_hours().replace("- 5 * 3600", "- 6 * 3600");
    let (server, calendar) = (
        start_prometheus().await,
        Calendar::for_zone("America/New_York"),
    );
    let week = evaluate(
        &server,
        &rule,
        new_year(2026),
        new_year(2026) + DAY * 7,
        HALF_AN_HOUR,
    )
    .await;
    assert!(
        week.iter()
            .any(|(second, open)| calendar.is_open(*second) != *open)
    );
}
