//! Business hours by the rule are those by a calendar, as shipped and in every time zone that the document offers.
//!
//! Prometheus evaluates the rule itself, for one account that is always there.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Calendar, DAY, new_year};
use crate::common::markdown::{Table, inline_code, table};
use crate::common::prometheus::{PrometheusBuilder, PrometheusServer};
use crate::shipped;

/// Prometheus gives no more at a time.
const POINTS: i64 = 11_000;
/// Working days begin at half hours somewhere.
const HALF_AN_HOUR: SignedDuration = SignedDuration::from_mins(30);
/// The days of 28 years.
const CYCLE: i32 = 10_227;
/// Around changes of the clocks.
const SHORT: SignedDuration = SignedDuration::from_mins(5);

/// A row of a table of edits: its name, and what to write for what.
pub fn edits(table: &Table) -> Vec<(String, Vec<(String, String)>)> {
    let heads: Vec<_> = table
        .header
        .iter()
        .skip(1)
        .map(|head| inline_code(head).concat())
        .collect();
    let edit = |(head, cell): (&String, &String)| Some((head.clone(), inline_code(cell).pop()?));
    let row = |row: &Vec<String>| {
        (
            row[0].trim_matches('`').to_owned(),
            heads.iter().zip(&row[1..]).filter_map(edit).collect(),
        )
    };
    table.rows.iter().map(row).collect()
}

/// The rule after an edit, from left to right.
pub fn edited(rule: &str, edits: &[(String, String)]) -> String {
    edits.iter().fold(rule.to_owned(), |rule, (old, new)| {
        assert!(rule.contains(old), "the rule has no {old:?}");
        rule.replace(old, new)
    })
}

/// Prometheus, with nothing to do but to answer.
pub async fn idle() -> PrometheusServer {
    PrometheusBuilder::new(&[], Duration::from_secs(60))
        .start()
        .await
}

/// Whether the rule says open, at every step from a moment until another.
async fn evaluated(
    server: &PrometheusServer,
    rule: &str,
    from: Timestamp,
    until: Timestamp,
    step: SignedDuration,
) -> BTreeMap<i64, bool> {
    let query = rule.replacen("ringcentral_up", "vector(1)", 1);
    let (from, until, step) = (from.as_second(), until.as_second(), step.as_secs());
    let mut all = BTreeMap::new();
    for start in (from..until).step_by((POINTS * step) as usize) {
        let end = until.min(start + POINTS * step) - step;
        let [start, end, step] = [start, end, step].map(|number| number.to_string());
        let range = [
            ("query", query.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", &step),
        ];
        all.extend(opens(&server.get_api("query_range", &range).await));
    }
    assert_eq!(
        all.len() as i64,
        (until - from) / step,
        "it has a value at all times"
    );
    all
}

/// The samples of the one series.
fn opens(data: &serde_json::Value) -> Vec<(i64, bool)> {
    let samples = data["result"][0]["values"].as_array().unwrap().iter();
    samples
        .map(|sample| (sample[0].as_f64().unwrap() as i64, is_one(&sample[1])))
        .collect()
}

fn is_one(value: &serde_json::Value) -> bool {
    let value = value.as_str().unwrap();
    assert!(["0", "1"].contains(&value), "{value}");
    value == "1"
}

/// Compares each half hour of 2026 and 2027.
pub async fn assert_two_years(
    server: &PrometheusServer,
    rule: &str,
    calendar: &Calendar,
    what: &str,
) {
    let (from, until) = (new_year(2026), new_year(2028));
    calendar.assert_is(
        &evaluated(server, rule, from, until, HALF_AN_HOUR).await,
        what,
    );
}

/// Compares two times of each day for 28 years, in which each date has been each day of the week. In winter and in
/// summer one of the two is open and the other one is not, in the north as in the south.
pub async fn assert_a_cycle(
    server: &PrometheusServer,
    rule: &str,
    calendar: &Calendar,
    what: &str,
) {
    for from in [
        calendar.first_opening(),
        calendar.first_opening() - HALF_AN_HOUR,
    ] {
        calendar.assert_is(
            &evaluated(server, rule, from, from + DAY * CYCLE, DAY).await,
            what,
        );
    }
}

/// Compares the nights in which clocks change. Business hours hide them, so the rule is given others.
async fn assert_changes(server: &PrometheusServer, rule: &str, zone: &str) {
    let always = [
        (">= 1 * 24 < 6 * 24", ">= 0 * 24 < 7 * 24"),
        (">= 8 < 18", ">= 4 < 23"),
    ];
    let rule = edited(
        rule,
        &always.map(|(old, new)| (old.to_owned(), new.to_owned())),
    );
    let mut calendar = Calendar::of(zone);
    (calendar.days, calendar.hours) = (0..7, 4.0..23.0);
    for change in calendar.changes(new_year(2026), new_year(2028)) {
        calendar.assert_is(
            &evaluated(server, &rule, change - DAY, change + DAY, SHORT).await,
            zone,
        );
    }
}

async fn assert_zone(server: &PrometheusServer, rule: &str, zone: &str) {
    assert_two_years(server, rule, &Calendar::of(zone), zone).await;
    assert_a_cycle(server, rule, &Calendar::of(zone), zone).await;
    assert_changes(server, rule, zone).await;
}

#[tokio::test]
async fn business_hours_as_shipped_are_those_of_new_york() {
    let rule = shipped::business_hours();
    assert_zone(&idle().await, &rule, "America/New_York").await;
}

#[tokio::test]
async fn business_hours_of_each_time_zone_of_the_document_are_those_of_its_clocks() {
    let server = idle().await;
    let zones = edits(&table(&shipped::readme(), "zone"));
    assert!(
        zones.len() >= 10 && zones[0] == ("America/New_York".to_owned(), Vec::new()),
        "{zones:?}"
    );
    for (zone, edits) in &zones[1..] {
        assert_zone(&server, &edited(&shipped::business_hours(), edits), zone).await;
    }
}

#[tokio::test]
async fn an_hour_too_late_would_be_noticed() {
    let rule = shipped::business_hours().replace("- 5 * 3600", "- 6 * 3600");
    let (server, calendar) = (idle().await, Calendar::of("America/New_York"));
    let week = evaluated(
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
