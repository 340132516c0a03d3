//! The dashboards with 50 accounts: one table row each, the worst first, and no panel with 50 lines.
//!
//! promtool evaluates the queries for both ways of scraping: one target for all accounts, and one target per account.
//! `mutations` proves that each check can fail.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::promql::{self, Expr};
use crate::metric_names;
use crate::model::{Dashboard, Panel, Target, assert_no_problems};

/// Maximum number of distinguishable lines, bars or bands in a panel.
const MAX_LINES: f64 = 12.0;
/// Title of the table with one row per account.
const OVERVIEW: &str = "Accounts";
/// Dashboards with the table.
const WITH_OVERVIEW: [&str; 2] = ["ringcentral-calls", "ringcentral-exporter"];

/// Lists the queries that draw one line per account or target without a limit.
pub fn lines(dashboard: &Dashboard) -> Vec<String> {
    let graphs = dashboard
        .panels()
        .filter(|panel| ["timeseries", "state-timeline", "bargauge"].contains(&&*panel.kind));
    let queries = graphs.flat_map(|panel| panel.targets.iter().map(move |target| (panel, target)));
    let unlimited = queries.filter(|(_, target)| is_per_account(target) && !is_limited(target));
    unlimited
        .map(|(panel, target)| {
            format!(
                "panel {:?}, query {}: a line for each account",
                panel.title, target.ref_id
            )
        })
        .collect()
}

/// Returns whether a query returns one series per account or target.
///
/// Series of the exporter itself are excluded, because there are few exporters.
fn is_per_account(target: &Target) -> bool {
    let labels = metric_names::outcome(&target.expr).labels;
    labels.contains("account")
        || labels.contains("instance") && !target.expr.contains("ringcentral_exporter_")
}

/// Returns whether a query selects at most [`MAX_LINES`] series with `topk` or `bottomk`.
fn is_limited(target: &Target) -> bool {
    let Ok(expr) = metric_names::parse(&target.expr) else {
        return false;
    };
    let mut found = false;
    promql::walk(&expr, &mut |part, _| {
        if let Expr::Aggregate(aggregate) = part {
            let selects = ["topk", "bottomk"].contains(&aggregate.op.to_string().as_str());
            let is_small = matches!(aggregate.param.as_deref(), Some(Expr::NumberLiteral(limit)) if limit.val <= MAX_LINES);
            found |= selects && is_small;
        }
    });
    found
}

#[test]
fn no_panel_draws_a_line_per_account() {
    assert_no_problems(lines);
}

/// Returns the table with one row per account.
fn table(dashboard: &Dashboard) -> Option<&Panel> {
    dashboard
        .panels()
        .find(|panel| panel.kind == "table" && panel.title == OVERVIEW)
}

/// Lists the problems of the table as an overview.
pub fn overview(dashboard: &Dashboard) -> Vec<String> {
    if !WITH_OVERVIEW.contains(&&*dashboard.stem) {
        return Vec::new();
    }
    let Some(table) = table(dashboard) else {
        return vec![format!("the table {OVERVIEW:?} is missing")];
    };
    let worst_first = json!({ "desc": true, "displayName": "State" });
    let selects_account = |url: &str| {
        url.contains("&var-account=${__value.raw}&") && url.contains("${__url_time_range}")
    };
    let checks = [
        (
            table.options["sortBy"][0] == worst_first,
            "the table is not sorted by state, worst first",
        ),
        (
            links(table, "Account")
                .iter()
                .any(|url| selects_account(url)),
            "no link of the table selects the account",
        ),
    ];
    checks
        .into_iter()
        .filter(|(passed, _)| !passed)
        .map(|(_, problem)| problem.to_owned())
        .collect()
}

/// Returns the URLs of the links in a column.
fn links(table: &Panel, column: &str) -> Vec<String> {
    let overrides = table
        .field_config
        .overrides
        .iter()
        .filter(|field| field.matcher["options"] == column);
    let links = overrides
        .flat_map(|field| &field.properties)
        .filter(|property| property.id == "links");
    let links = links
        .filter_map(|property| property.value.as_array())
        .flatten();
    links
        .filter_map(|link| link["url"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn overview_table_is_sorted_and_links_to_accounts() {
    assert_no_problems(overview);
}

/// Way of scraping the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScrapeMode {
    OneTarget,
    TargetPerAccount,
}

/// Label `instance` of the exporter.
const EXPORTER: &str = "exporter-0:10072";
/// Evaluation time in minutes.
const NOW: u32 = 180;
/// Accounts without a target at the evaluation time.
const REMOVED: [u32; 2] = [1, 50];
/// Account whose own target has been down for two hours, while its exporter is up.
const TARGET_DOWN: u32 = 8;

/// Input series of 50 accounts, c01 to c50, for 200 minutes.
struct InputSeries {
    mode: ScrapeMode,
    series: Vec<Value>,
}

impl InputSeries {
    /// Creates the series of all accounts.
    fn new(mode: ScrapeMode) -> Self {
        let mut input = Self {
            mode,
            series: Vec::new(),
        };
        input.add(
            &format!(r#"up{{job="ringcentral",instance="{EXPORTER}"}}"#),
            "1x200",
        );
        input.add(
            &format!(
                r#"ringcentral_exporter_build_info{{job="ringcentral",instance="{EXPORTER}"}}"#
            ),
            "1x200",
        );
        (1..=50).for_each(|n| input.add_account(n));
        input
    }

    /// Adds all series of an account.
    fn add_account(&mut self, n: u32) {
        let (up, sessions) = self.up_and_sessions(n);
        if self.mode == ScrapeMode::TargetPerAccount && !REMOVED.contains(&n) {
            let target = format!(r#"up{{job="ringcentral",instance="{}"}}"#, self.instance(n));
            self.add(
                &target,
                if n == TARGET_DOWN {
                    "1x60 0x140"
                } else {
                    "1x200"
                },
            );
        }
        self.add_for_account(n, "ringcentral_up", "", up);
        self.add_for_account(n, "ringcentral_call_sessions_in_progress", "", sessions);
        self.add_for_account(n, "ringcentral_concurrent_calls_limit", "", "100x200");
        self.add_penalties(n);
        self.add_ended_sessions(n);
    }

    /// Returns the values of `ringcentral_up` and of the concurrent calls, whose limit is 100.
    fn up_and_sessions(&self, n: u32) -> (&'static str, &'static str) {
        match n {
            // Missing for ten minutes; removed two hours ago.
            1 => ("1x170 stale", "1x170 stale"),
            50 => ("1x60 stale", "1x60 stale"),
            // Failing with unknown calls; failing with known calls.
            2 => ("0x200", "1x170 stale"),
            3 => ("0x200", "1x200"),
            // At the limit; near the limit.
            5 => ("1x200", "96x200"),
            6 => ("1x200", "85x200"),
            TARGET_DOWN if self.mode == ScrapeMode::TargetPerAccount => {
                ("1x60 stale", "1x60 stale")
            }
            _ => ("1x200", "1x200"),
        }
    }

    /// Adds the penalties: c04 cannot fetch; c10 cannot log in but has a valid token.
    fn add_penalties(&mut self, n: u32) {
        let operation = match n {
            4 => "active_calls",
            10 => "token",
            _ => return,
        };
        let labels = format!(r#",operation="{operation}""#);
        self.add_for_account(
            n,
            "ringcentral_api_blocked_until_timestamp_seconds",
            &labels,
            "11400x200",
        );
    }

    /// Adds the ended sessions: c07 misses half of its calls; c09 misses all, but has few.
    fn add_ended_sessions(&mut self, n: u32) {
        let (answered, missed) = match n {
            7 => ("0+1x200", "0+1x200"),
            9 => ("0x200", "0+0.5x200"),
            _ => ("0+2x200", "0+1x200"),
        };
        for (outcome, values) in [("answered", answered), ("missed", missed)] {
            self.add_for_account(
                n,
                "ringcentral_call_sessions_ended_total",
                &format!(r#",outcome="{outcome}""#),
                values,
            );
        }
    }

    /// Returns the label `instance` of an account.
    fn instance(&self, n: u32) -> String {
        match self.mode {
            ScrapeMode::OneTarget => EXPORTER.to_owned(),
            ScrapeMode::TargetPerAccount => format!("{EXPORTER}/{}", account_name(n)),
        }
    }

    /// Adds a series with the labels of an account.
    fn add_for_account(&mut self, n: u32, metric: &str, labels: &str, values: &str) {
        let (instance, account) = (self.instance(n), account_name(n));
        let series = format!(
            r#"{metric}{{job="ringcentral",instance="{instance}",account="{account}"{labels}}}"#
        );
        self.add(&series, values);
    }

    /// Adds a series.
    fn add(&mut self, series: &str, values: &str) {
        self.series
            .push(json!({ "series": series, "values": values }));
    }
}

/// Returns the name of an account.
fn account_name(n: u32) -> String {
    format!("c{n:02}")
}

/// Returns the expected state of each account that has a row.
fn expected_states(mode: ScrapeMode, with_calls: bool) -> BTreeMap<u32, u32> {
    let mut states: BTreeMap<_, _> = (1..=49).map(|n| (n, 0)).collect();
    states.extend([(1, 7), (2, 6), (3, 5), (4, 4)]);
    if with_calls {
        states.extend([(5, 3), (6, 2), (7, 1)]);
    }
    if mode == ScrapeMode::TargetPerAccount {
        states.insert(TARGET_DOWN, 7);
    }
    states
}

/// Creates a promtool test of a query with these accounts chosen.
fn expression_test(query: &str, account: &str, expected: Vec<(String, u32)>) -> Value {
    let variables = [
        ("job", ".+"),
        ("instance", ".+"),
        ("account", account),
        ("__range", "3h"),
        ("__interval", "1m"),
    ];
    let samples: Vec<_> = expected
        .into_iter()
        .map(|(labels, value)| json!({ "labels": labels, "value": value }))
        .collect();
    json!({ "expr": promql::substitute_variables(query, &variables), "eval_time": format!("{NOW}m"), "exp_samples": samples })
}

/// Returns a query of a panel by its letter.
fn query<'a>(dashboard: &'a Dashboard, kind: &str, title: &str, letter: &str) -> &'a str {
    let panel = dashboard
        .panels()
        .find(|panel| panel.kind == kind && panel.title == title)
        .unwrap();
    &panel
        .targets
        .iter()
        .find(|target| target.ref_id == letter)
        .unwrap()
        .expr
}

/// Creates the promtool tests of the queries of a dashboard.
fn expression_tests(dashboard: &Dashboard, mode: ScrapeMode) -> Vec<Value> {
    let with_calls = dashboard.stem == "ringcentral-calls";
    let states = expected_states(mode, with_calls);
    let rows = states.iter().map(|(n, state)| {
        (
            format!(r#"{{job="ringcentral",account="{}"}}"#, account_name(*n)),
            *state,
        )
    });
    let failing = states
        .values()
        .filter(|state| **state >= 5)
        .count()
        .try_into()
        .unwrap();
    let mut tests = vec![
        expression_test(
            query(dashboard, "table", OVERVIEW, "A"),
            ".+",
            rows.collect(),
        ),
        expression_test(
            query(dashboard, "stat", "RingCentral", "A"),
            ".+",
            vec![("{}".to_owned(), failing)],
        ),
        expression_test(
            query(dashboard, "stat", "RingCentral", "A"),
            "c20",
            vec![("{}".to_owned(), 0)],
        ),
    ];
    if with_calls {
        let limit = query(dashboard, "timeseries", "Calls in progress", "C");
        tests.push(expression_test(limit, ".+", Vec::new()));
        tests.push(expression_test(limit, "c20", vec![("{}".to_owned(), 100)]));
    } else {
        tests.push(expression_test(
            query(dashboard, "stat", "Exporter", "A"),
            ".+",
            vec![("{}".to_owned(), 1)],
        ));
    }
    tests
}

/// Lists the promtool failures of the queries.
pub fn query_results(dashboard: &Dashboard) -> Vec<String> {
    if !WITH_OVERVIEW.contains(&&*dashboard.stem) {
        return Vec::new();
    }
    [ScrapeMode::OneTarget, ScrapeMode::TargetPerAccount]
        .into_iter()
        .filter_map(|mode| promtool_failure(dashboard, mode))
        .collect()
}

/// Runs promtool and returns its output if a test fails.
fn promtool_failure(dashboard: &Dashboard, mode: ScrapeMode) -> Option<String> {
    let series = InputSeries::new(mode).series;
    let test = json!({ "interval": "1m", "input_series": series, "promql_expr_test": expression_tests(dashboard, mode) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fifty_accounts.test.yml");
    // JSON is YAML.
    std::fs::write(
        &file,
        json!({ "evaluation_interval": "1m", "tests": [test] }).to_string(),
    )
    .unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (!output.status.success()).then(|| format!("{mode:?}: {printed}"))
}

#[test]
fn queries_return_expected_states_in_both_scrape_modes() {
    assert_no_problems(query_results);
}
