//! Fifty accounts: each has a row, the worst is first, and no panel draws a line for each.
//!
//! Each check is a function from a dashboard to what is wrong with it; `mutations` proves that they can fail. What the
//! queries say of fifty accounts is asked of promtool, in both ways of scraping: all accounts by one target, and each by
//! a target of its own.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::promql::{self, Expr};
use crate::exists;
use crate::model::{self, Dashboard, Panel, Target};

/// So many lines, bars or bands can be told apart.
const LINES: f64 = 12.0;
const OVERVIEW: &str = "Accounts";
/// The dashboards that have one.
const WITH_OVERVIEW: [&str; 2] = ["ringcentral-calls", "ringcentral-exporter"];

fn holds(check: fn(&Dashboard) -> Vec<String>) {
    let wrong = |dashboard: &Dashboard| {
        check(dashboard)
            .into_iter()
            .map(|what| format!("{}: {what}", dashboard.stem))
            .collect::<Vec<_>>()
    };
    let wrong: Vec<_> = model::all().iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Queries that draw something for each account, or each target, without an end.
pub fn lines(dashboard: &Dashboard) -> Vec<String> {
    let drawing = dashboard
        .panels()
        .filter(|panel| ["timeseries", "state-timeline", "bargauge"].contains(&&*panel.kind));
    let queries = drawing.flat_map(|panel| panel.targets.iter().map(move |target| (panel, target)));
    let endless = queries.filter(|(_, target)| is_by_account(target) && !is_limited(target));
    endless
        .map(|(panel, target)| {
            format!(
                "panel {:?}, query {}: a line for each account",
                panel.title, target.ref_id
            )
        })
        .collect()
}

/// Exporters are few; targets are as many as accounts.
fn is_by_account(target: &Target) -> bool {
    let labels = exists::outcome(&target.expr).labels;
    labels.contains("account")
        || labels.contains("instance") && !target.expr.contains("ringcentral_exporter_")
}

fn is_limited(target: &Target) -> bool {
    let Ok(expr) = exists::parsed(&target.expr) else {
        return false;
    };
    let mut found = false;
    promql::walk(&expr, &mut |part, _| {
        if let Expr::Aggregate(aggregate) = part {
            let chooses = ["topk", "bottomk"].contains(&aggregate.op.to_string().as_str());
            let few = matches!(aggregate.param.as_deref(), Some(Expr::NumberLiteral(most)) if most.val <= LINES);
            found |= chooses && few;
        }
    });
    found
}

#[test]
fn no_panel_draws_a_line_for_each_of_fifty_accounts() {
    holds(lines);
}

fn table(dashboard: &Dashboard) -> Option<&Panel> {
    dashboard
        .panels()
        .find(|panel| panel.kind == "table" && panel.title == OVERVIEW)
}

/// What keeps the table from being an overview.
pub fn overview(dashboard: &Dashboard) -> Vec<String> {
    if !WITH_OVERVIEW.contains(&&*dashboard.stem) {
        return Vec::new();
    }
    let Some(table) = table(dashboard) else {
        return vec![format!("no table {OVERVIEW:?}")];
    };
    let worst_first = json!({ "desc": true, "displayName": "State" });
    let leads = |url: &str| {
        url.contains("&var-account=${__value.raw}&") && url.contains("${__url_time_range}")
    };
    let checks = [
        (
            table.options["sortBy"][0] == worst_first,
            "the worst is not first",
        ),
        (
            links(table, "Account").iter().any(|url| leads(url)),
            "no click chooses the account",
        ),
    ];
    checks
        .into_iter()
        .filter(|(right, _)| !right)
        .map(|(_, what)| what.to_owned())
        .collect()
}

/// Where a column leads to.
fn links(table: &Panel, column: &str) -> Vec<String> {
    let of_column = table
        .field_config
        .overrides
        .iter()
        .filter(|one| one.matcher["options"] == column);
    let links = of_column
        .flat_map(|one| &one.properties)
        .filter(|property| property.id == "links");
    let links = links
        .filter_map(|property| property.value.as_array())
        .flatten();
    links
        .filter_map(|link| link["url"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn each_account_has_a_row_the_worst_is_first_and_a_click_chooses_it() {
    holds(overview);
}

/// How accounts are scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    OneTarget,
    TargetsOfTheirOwn,
}

const EXPORTER: &str = "exporter-0:10072";
/// Minutes; when the queries are asked.
const NOW: u32 = 180;
/// Those that have no target any more.
const GONE: [u32; 2] = [1, 50];
/// Where accounts are targets of their own, that of this one has not answered for two hours, and the exporter does.
const UNANSWERED: u32 = 8;

/// The samples of fifty accounts, c01 to c50, up to a little later than now.
struct Fleet {
    way: Way,
    series: Vec<Value>,
}

impl Fleet {
    fn scraped(way: Way) -> Self {
        let mut fleet = Self {
            way,
            series: Vec::new(),
        };
        fleet.series(
            &format!(r#"up{{job="ringcentral",instance="{EXPORTER}"}}"#),
            "1x200",
        );
        fleet.series(
            &format!(
                r#"ringcentral_exporter_build_info{{job="ringcentral",instance="{EXPORTER}"}}"#
            ),
            "1x200",
        );
        (1..=50).for_each(|n| fleet.account(n));
        fleet
    }

    fn account(&mut self, n: u32) {
        let (up, sessions) = self.samples(n);
        if self.way == Way::TargetsOfTheirOwn && !GONE.contains(&n) {
            let target = format!(r#"up{{job="ringcentral",instance="{}"}}"#, self.instance(n));
            self.series(
                &target,
                if n == UNANSWERED {
                    "1x60 0x140"
                } else {
                    "1x200"
                },
            );
        }
        self.of(n, "ringcentral_up", "", up);
        self.of(n, "ringcentral_call_sessions_in_progress", "", sessions);
        self.of(n, "ringcentral_concurrent_calls_limit", "", "100x200");
        self.penalties(n);
        self.ended(n);
    }

    /// Those of `ringcentral_up` and of the calls at once, of which each account can hold 100.
    fn samples(&self, n: u32) -> (&'static str, &'static str) {
        match n {
            // Gone for ten minutes, and removed two hours ago.
            1 => ("1x170 stale", "1x170 stale"),
            50 => ("1x60 stale", "1x60 stale"),
            // Fails, and its calls are no longer known; fails, and they are.
            2 => ("0x200", "1x170 stale"),
            3 => ("0x200", "1x200"),
            // At its limit, and near it.
            5 => ("1x200", "96x200"),
            6 => ("1x200", "85x200"),
            UNANSWERED if self.way == Way::TargetsOfTheirOwn => ("1x60 stale", "1x60 stale"),
            _ => ("1x200", "1x200"),
        }
    }

    /// The fourth has to keep silent; the tenth only with logins, and its token serves.
    fn penalties(&mut self, n: u32) {
        let operation = match n {
            4 => "active_calls",
            10 => "token",
            _ => return,
        };
        let labels = format!(r#",operation="{operation}""#);
        self.of(
            n,
            "ringcentral_api_blocked_until_timestamp_seconds",
            &labels,
            "11400x200",
        );
    }

    /// The seventh misses half of its calls; the ninth all, and has few.
    fn ended(&mut self, n: u32) {
        let (answered, missed) = match n {
            7 => ("0+1x200", "0+1x200"),
            9 => ("0x200", "0+0.5x200"),
            _ => ("0+2x200", "0+1x200"),
        };
        for (outcome, values) in [("answered", answered), ("missed", missed)] {
            self.of(
                n,
                "ringcentral_call_sessions_ended_total",
                &format!(r#",outcome="{outcome}""#),
                values,
            );
        }
    }

    fn instance(&self, n: u32) -> String {
        match self.way {
            Way::OneTarget => EXPORTER.to_owned(),
            Way::TargetsOfTheirOwn => format!("{EXPORTER}/{}", name(n)),
        }
    }

    fn of(&mut self, n: u32, metric: &str, labels: &str, values: &str) {
        let (instance, account) = (self.instance(n), name(n));
        let series = format!(
            r#"{metric}{{job="ringcentral",instance="{instance}",account="{account}"{labels}}}"#
        );
        self.series(&series, values);
    }

    fn series(&mut self, series: &str, values: &str) {
        self.series
            .push(json!({ "series": series, "values": values }));
    }
}

fn name(n: u32) -> String {
    format!("c{n:02}")
}

/// The state of each account that has a row.
fn states(way: Way, with_calls: bool) -> BTreeMap<u32, u32> {
    let mut states: BTreeMap<_, _> = (1..=49).map(|n| (n, 0)).collect();
    states.extend([(1, 7), (2, 6), (3, 5), (4, 4)]);
    if with_calls {
        states.extend([(5, 3), (6, 2), (7, 1)]);
    }
    if way == Way::TargetsOfTheirOwn {
        states.insert(UNANSWERED, 7);
    }
    states
}

/// A query with these accounts chosen, as promtool is to ask it, and what it should find.
fn asked(query: &str, account: &str, expected: Vec<(String, u32)>) -> Value {
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

/// What is asked of a dashboard's queries.
fn questions(dashboard: &Dashboard, way: Way) -> Vec<Value> {
    let with_calls = dashboard.stem == "ringcentral-calls";
    let states = states(way, with_calls);
    let rows = states.iter().map(|(n, state)| {
        (
            format!(r#"{{job="ringcentral",account="{}"}}"#, name(*n)),
            *state,
        )
    });
    let failing = states
        .values()
        .filter(|state| **state >= 5)
        .count()
        .try_into()
        .unwrap();
    let mut questions = vec![
        asked(
            query(dashboard, "table", OVERVIEW, "A"),
            ".+",
            rows.collect(),
        ),
        asked(
            query(dashboard, "stat", "RingCentral", "A"),
            ".+",
            vec![("{}".to_owned(), failing)],
        ),
        asked(
            query(dashboard, "stat", "RingCentral", "A"),
            "c20",
            vec![("{}".to_owned(), 0)],
        ),
    ];
    if with_calls {
        let limit = query(dashboard, "timeseries", "Calls in progress", "C");
        questions.push(asked(limit, ".+", Vec::new()));
        questions.push(asked(limit, "c20", vec![("{}".to_owned(), 100)]));
    } else {
        questions.push(asked(
            query(dashboard, "stat", "Exporter", "A"),
            ".+",
            vec![("{}".to_owned(), 1)],
        ));
    }
    questions
}

/// What promtool finds otherwise.
pub fn said(dashboard: &Dashboard) -> Vec<String> {
    if !WITH_OVERVIEW.contains(&&*dashboard.stem) {
        return Vec::new();
    }
    [Way::OneTarget, Way::TargetsOfTheirOwn]
        .into_iter()
        .filter_map(|way| disagreed(dashboard, way))
        .collect()
}

fn disagreed(dashboard: &Dashboard, way: Way) -> Option<String> {
    let series = Fleet::scraped(way).series;
    let test = json!({ "interval": "1m", "input_series": series, "promql_expr_test": questions(dashboard, way) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.test.yml");
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
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (!output.status.success()).then(|| format!("{way:?}: {said}"))
}

#[test]
fn of_fifty_accounts_each_has_its_state_in_both_ways_of_scraping() {
    holds(said);
}
