//! The other edits of business hours that the document beside the rules offers.

use std::collections::BTreeMap;

use jiff::civil::{Weekday, date};

use crate::calendar::Calendar;
use crate::common::markdown::{code_blocks, table};
use crate::common::promtool::run_shell;
use crate::shipped::{self, BUSINESS_HOURS, Rule};
use crate::zones::{assert_a_cycle, assert_two_years, edited, edits, idle};

/// Two accounts, Friday as it begins in New York and as Sydney sleeps, and before.
const CASES: &str = r#"
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

/// The rules that stand in the document, by what they begin with.
fn documented(begins: &str) -> Rule {
    let blocks = code_blocks(&shipped::readme(), "yaml");
    let mut rules = blocks
        .iter()
        .flat_map(|block| shipped::yaml::<Vec<Rule>>(block));
    rules.find(|rule| rule.expr.starts_with(begins)).unwrap()
}

/// An expression without comments and spaces.
fn bare(expr: &str) -> String {
    let lines = expr.lines().map(|line| line.split('#').next().unwrap());
    lines.flat_map(str::split_whitespace).collect()
}

/// Has promtool evaluate rules of business hours on the cases; the values in the order in which they stand there.
fn assert_evaluate(exprs: &[&str], values: [u8; 4]) {
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
    let cases = names
        .iter()
        .zip(values)
        .fold(CASES.to_owned(), |cases, (name, value)| {
            cases.replace(name, &value.to_string())
        });
    std::fs::write(
        folder.path().join("cases.yml"),
        cases.replace("RECORD", BUSINESS_HOURS),
    )
    .unwrap();
    run_shell(folder.path(), "promtool test rules cases.yml");
}

#[tokio::test]
async fn other_days_and_hours_are_as_the_table_says() {
    let server = idle().await;
    let calendars = [(1..6, 8.5..17.5), (1..7, 9.0..20.0), (0..5, 8.0..18.0)];
    let rows = edits(&table(&shipped::readme(), "hours"));
    assert_eq!(rows.len(), calendars.len());
    for ((what, edits), (days, hours)) in rows.iter().zip(calendars) {
        let mut calendar = Calendar::of("America/New_York");
        (calendar.days, calendar.hours) = (days, hours);
        assert_two_years(
            &server,
            &edited(&shipped::business_hours(), edits),
            &calendar,
            what,
        )
        .await;
    }
}

#[tokio::test]
async fn a_floating_holiday_and_one_of_a_single_year_are_as_documented() {
    let lines = code_blocks(&shipped::readme(), "promql").concat();
    let shipped = shipped::business_hours();
    let last = shipped
        .lines()
        .find(|line| line.contains("== 12 "))
        .unwrap();
    let rule = shipped.replace(last, &format!("{last}\n{lines}"));
    let mut calendar = Calendar::of("America/New_York");
    let memorial_day = |year| {
        date(year, 5, 1)
            .nth_weekday_of_month(-1, Weekday::Monday)
            .unwrap()
    };
    calendar.holidays = (2026..2055)
        .map(memorial_day)
        .chain([date(2027, 3, 26)])
        .collect();
    assert_a_cycle(
        &idle().await,
        &rule,
        &calendar,
        "Memorial Day and a Good Friday",
    )
    .await;
}

#[test]
fn the_copy_for_sydney_is_the_shipped_rule_after_the_edits_of_its_row() {
    let rows = edits(&table(&shipped::readme(), "zone"));
    let (_, edits) = rows
        .iter()
        .find(|(zone, _)| zone == "Australia/Sydney")
        .unwrap();
    let copy = edited(&shipped::business_hours(), edits)
        .replace("ringcentral_up", "ringcentral_up{account=~\"sydney-.*\"}");
    assert_eq!(
        bare(&documented("group by (job, account) (ringcentral_up{").expr),
        bare(&copy)
    );
}

#[test]
fn two_rules_serve_accounts_in_two_time_zones() {
    let others = shipped::business_hours()
        .replace("ringcentral_up", "ringcentral_up{account!~\"sydney-.*\"}");
    assert!(shipped::readme().contains("`ringcentral_up{account!~\"sydney-.*\"}`"));
    let sydney = documented("group by (job, account) (ringcentral_up{").expr;
    assert_evaluate(&[&others, &sydney], [0, 1, 1, 0]);
}

#[test]
fn a_company_that_never_closes_is_always_open() {
    assert_evaluate(
        &[&documented("group by (job, account) (ringcentral_up)").expr],
        [1; 4],
    );
}
