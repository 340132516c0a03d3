//! Variants of the business hours rule that `deploy/prometheus/README.md` documents: other hours, holidays and accounts.

use std::collections::BTreeMap;

use jiff::civil::{Weekday, date};

use crate::calendar::Calendar;
use crate::common::markdown::{code_blocks, table};
use crate::common::promtool::run_shell;
use crate::rule_files::{self, BUSINESS_HOURS, Rule};
use crate::time_zones::{
    apply_edits, assert_cycle_matches, assert_two_years_match, edits, start_prometheus,
};

/// Unit test of two accounts: the night before Friday in New York, which is noon in Sydney, and Friday morning.
const UNIT_TEST: &str = r#"
rule_files: [rules.yml]
evaluation_interval: 1h
tests:
  - interval: 1h
    input_series:
      - { series: 'ringcentral_up{job="a",instance="b",account="default"}', values: 1x60 }
      - { series: 'ringcentral_up{job="a",instance="b",account="sydney-1"}', values: 1x60 }
    promql_expr_test:
      - { expr: 'RECORD', eval_time: 25h, exp_samples: [
          { labels: 'RECORD{job="a",account="default"}', value: THURSDAY_NIGHT },
          { labels: 'RECORD{job="a",account="sydney-1"}', value: FRIDAY_NOON } ] }
      - { expr: 'RECORD', eval_time: 39h, exp_samples: [
          { labels: 'RECORD{job="a",account="default"}', value: FRIDAY_MORNING },
          { labels: 'RECORD{job="a",account="sydney-1"}', value: SATURDAY_NIGHT } ] }
"#;

/// Returns the rule in the README whose expression has this prefix.
fn documented_rule(prefix: &str) -> Rule {
    let blocks = code_blocks(&rule_files::readme(), "yaml");
    let mut rules = blocks
        .iter()
        .flat_map(|block| rule_files::parse_yaml::<Vec<Rule>>(block));
    rules.find(|rule| rule.expr.starts_with(prefix)).unwrap()
}

/// Removes comments and white space from an expression.
fn normalized(expr: &str) -> String {
    let lines = expr.lines().map(|line| line.split('#').next().unwrap());
    lines.flat_map(str::split_whitespace).collect()
}

/// Asserts that promtool evaluates the rules to these values, in the order of [`UNIT_TEST`].
fn assert_values(exprs: &[&str], values: [u8; 4]) {
    let folder = tempfile::tempdir().unwrap();
    let rules: Vec<_> = exprs
        .iter()
        .map(|expr| BTreeMap::from([("record", BUSINESS_HOURS), ("expr", *expr)]))
        .collect();
    // JSON is YAML.
    let rules = serde_json::json!({ "groups": [{ "name": "edited", "rules": rules }] });
    std::fs::write(folder.path().join("rules.yml"), rules.to_string()).unwrap();
    let names = [
        "THURSDAY_NIGHT",
        "FRIDAY_NOON",
        "FRIDAY_MORNING",
        "SATURDAY_NIGHT",
    ];
    let mut test = UNIT_TEST.replace("RECORD", BUSINESS_HOURS);
    for (name, value) in names.iter().zip(values) {
        test = test.replace(name, &value.to_string());
    }
    std::fs::write(folder.path().join("unit_test.yml"), test).unwrap();
    run_shell(folder.path(), "promtool test rules unit_test.yml");
}

#[tokio::test]
async fn documented_hours_match_a_calendar() {
    let server = start_prometheus().await;
    let calendars = [(1..6, 8.5..17.5), (1..7, 9.0..20.0), (0..5, 8.0..18.0)];
    let rows = edits(&table(&rule_files::readme(), "hours"));
    assert_eq!(rows.len(), calendars.len());
    for ((name, edits), (days, hours)) in rows.iter().zip(calendars) {
        let mut calendar = Calendar::for_zone("America/New_York");
        (calendar.days, calendar.hours) = (days, hours);
        assert_two_years_match(
            &server,
            &apply_edits(&rule_files::business_hours(), edits),
            &calendar,
            name,
        )
        .await;
    }
}

#[tokio::test]
async fn documented_extra_holidays_match_a_calendar() {
    let lines = code_blocks(&rule_files::readme(), "promql").concat();
    let shipped_rule = rule_files::business_hours();
    let last = shipped_rule
        .lines()
        .find(|line| line.contains("== 12 "))
        .unwrap();
    let rule = shipped_rule.replace(last, &format!("{last}\n{lines}"));
    let mut calendar = Calendar::for_zone("America/New_York");
    let memorial_day = |year| {
        date(year, 5, 1)
            .nth_weekday_of_month(-1, Weekday::Monday)
            .unwrap()
    };
    calendar.holidays = (2026..2055)
        .map(memorial_day)
        .chain([date(2027, 3, 26)])
        .collect();
    assert_cycle_matches(
        &start_prometheus().await,
        &rule,
        &calendar,
        "Memorial Day and a Good Friday",
    )
    .await;
}

#[test]
fn sydney_rule_equals_the_edits_of_its_row() {
    let rows = edits(&table(&rule_files::readme(), "zone"));
    let (_, edits) = rows
        .iter()
        .find(|(zone, _)| zone == "Australia/Sydney")
        .unwrap();
    let copy = apply_edits(&rule_files::business_hours(), edits)
        .replace("ringcentral_up", "ringcentral_up{account=~\"sydney-.*\"}");
    assert_eq!(
        normalized(&documented_rule("group by (job, account) (ringcentral_up{").expr),
        normalized(&copy)
    );
}

#[test]
fn two_rules_cover_accounts_in_two_time_zones() {
    let other_accounts = rule_files::business_hours()
        .replace("ringcentral_up", "ringcentral_up{account!~\"sydney-.*\"}");
    assert!(rule_files::readme().contains("`ringcentral_up{account!~\"sydney-.*\"}`"));
    let sydney = documented_rule("group by (job, account) (ringcentral_up{").expr;
    assert_values(&[&other_accounts, &sydney], [0, 1, 1, 0]);
}

#[test]
fn always_open_rule_is_always_1() {
    assert_values(
        &[&documented_rule("group by (job, account) (ringcentral_up)").expr],
        [1; 4],
    );
}
