//! Mutation tests of the checks: each check must report the problem in a modified copy of a dashboard.

use serde_json::{Value, json};

use crate::model::{self, Check, Dashboard};
use crate::{conventions, fifty_accounts, linter, metric_names};

/// Name of a mutation, the check that must report it, and the change.
type Mutation = (&'static str, Check, fn(&mut Value));

/// Mutations for `conventions`.
const CONVENTIONS: &[Mutation] = &[
    ("an old schema", conventions::schema, |board| {
        board["schemaVersion"] = json!(39)
    }),
    ("an id", conventions::no_id, |board| board["id"] = json!(7)),
    ("editable", conventions::not_editable, |board| {
        board["editable"] = json!(true)
    }),
    ("editable by default", conventions::not_editable, |board| {
        drop(fields(board).remove("editable"))
    }),
    ("another uid", conventions::uid, |board| {
        board["uid"] = json!("another")
    }),
    ("an export", conventions::no_export, |board| {
        board["__inputs"] = json!([])
    }),
    ("no tag", conventions::tag, |board| {
        board["tags"] = json!(["other"])
    }),
    ("a link without time", conventions::link, |board| {
        board["links"][0]["keepTime"] = json!(false)
    }),
    ("a link without variables", conventions::link, |board| {
        board["links"][0]["includeVars"] = json!(false)
    }),
    (
        "a link to an unknown dashboard",
        conventions::urls,
        |board| first_stat(board)["links"] = json!([{ "url": "/d/nowhere?x=1" }]),
    ),
    ("two data sources", conventions::datasource, |board| {
        let second = board["templating"]["list"][0].clone();
        list(&mut board["templating"]["list"]).push(second);
    }),
    (
        "an unchained instance",
        conventions::variable_chain,
        |board| {
            variable(board, "instance")["query"] = json!("label_values(ringcentral_up, instance)");
        },
    ),
    (
        "one value at a time",
        conventions::variable_settings,
        |board| variable(board, "account")["multi"] = json!(false),
    ),
    (
        "no option for all",
        conventions::variable_settings,
        |board| variable(board, "account")["includeAll"] = json!(false),
    ),
    (
        "all includes empty values",
        conventions::variable_settings,
        |board| variable(board, "account")["allValue"] = json!(".*"),
    ),
    (
        "no refresh on time range change",
        conventions::variable_settings,
        |board| variable(board, "account")["refresh"] = json!(1),
    ),
    ("no title", conventions::title, |board| {
        first_stat(board)["title"] = json!("")
    }),
    ("a duplicate title", conventions::unique_titles, |board| {
        let title = first_stat(board)["title"].clone();
        first_panel(board, "timeseries")["title"] = title;
    }),
    ("not a sentence", conventions::description, |board| {
        first_stat(board)["description"] = json!("Calls.")
    }),
    ("no full stop", conventions::description, |board| {
        first_stat(board)["description"] = json!("How many calls there are now");
    }),
    ("no unit", conventions::unit, |board| {
        first_stat(board)["fieldConfig"]["defaults"]["unit"] = json!("")
    }),
    ("no colour", conventions::colour, |board| {
        first_stat(board)["fieldConfig"]["defaults"]["color"] = json!({ "mode": "thresholds" });
        first_stat(board)["fieldConfig"]["defaults"]["thresholds"] =
            json!({ "steps": [{ "color": "green" }] });
    }),
    ("a duplicate id", conventions::unique_ids, |board| {
        first_panel(board, "row")["id"] = json!(1)
    }),
    ("overlapping panels", conventions::grid, |board| {
        let place = first_stat(board)["gridPos"].clone();
        first_panel(board, "timeseries")["gridPos"] = place;
    }),
    ("beyond the grid", conventions::grid, |board| {
        first_panel(board, "timeseries")["gridPos"]["w"] = json!(25)
    }),
    ("half a row", conventions::grid, |board| {
        first_panel(board, "row")["gridPos"]["w"] = json!(12)
    }),
    ("a fixed data source", conventions::datasources, |board| {
        first_stat(board)["targets"][0]["datasource"]["uid"] = json!("abc");
    }),
    ("rounded numbers", conventions::whole_numbers, |board| {
        first_stat(board)["fieldConfig"]["defaults"]["unit"] = json!("short");
        first_stat(board)["fieldConfig"]["defaults"]["decimals"] = json!(0);
    }),
    ("rings of one end", conventions::ring_ends, |board| {
        set_stat_query(board, r#"sum({from="Ringing",to="NoCall"})"#)
    }),
    ("events in another row", conventions::event_rows, |board| {
        set_stat_query(board, "sum(ringcentral_events_total)")
    }),
];

/// Mutations for `metric_names`.
const METRIC_NAMES: &[Mutation] = &[
    ("an unknown metric", metric_names::query_names, |board| {
        set_stat_query(board, "sum(ringcentral_calls)")
    }),
    ("an unknown label", metric_names::query_names, |board| {
        set_stat_query(board, r#"ringcentral_up{extension="1"}"#)
    }),
    (
        "grouping by an unknown label",
        metric_names::query_names,
        |board| set_stat_query(board, "sum by (extension) (ringcentral_up)"),
    ),
    (
        "a label that the inner sum removes",
        metric_names::query_names,
        |board| set_stat_query(board, "sum by (job) (sum by (account) (up))"),
    ),
    (
        "matching on an unknown label",
        metric_names::query_names,
        |board| {
            set_stat_query(
                board,
                "ringcentral_up * on (result) group_left () ringcentral_up",
            );
        },
    ),
    (
        "a label that is missing on the other side",
        metric_names::query_names,
        |board| {
            set_stat_query(
                board,
                "ringcentral_up * on (account) group_left (extension_name) ringcentral_up",
            );
        },
    ),
    (
        "a quantile without buckets",
        metric_names::query_names,
        |board| {
            set_stat_query(
                board,
                "histogram_quantile(0.9, sum by (account) (rate(ringcentral_call_duration_seconds_bucket[5m])))",
            );
        },
    ),
    ("invalid PromQL", metric_names::query_names, |board| {
        set_stat_query(board, "sum(")
    }),
    (
        "a legend with a label that the sum removes",
        metric_names::legends,
        |board| {
            set_stat_query(board, "sum(ringcentral_up)");
            first_stat(board)["targets"][0]["legendFormat"] = json!("{{account}}");
        },
    ),
    (
        "a variable with an unknown label",
        metric_names::variables,
        |board| {
            variable(board, "account")["query"] = json!("label_values(ringcentral_up, extension)");
        },
    ),
    (
        "no account filter",
        metric_names::account_filters,
        |board| set_stat_query(board, "sum(ringcentral_up)"),
    ),
    (
        "an account filter for one account",
        metric_names::account_filters,
        |board| set_stat_query(board, r#"sum(ringcentral_up{account="$account"})"#),
    ),
];

/// Mutations for `fifty_accounts`.
const FIFTY_ACCOUNTS: &[Mutation] = &[
    ("a line for each account", fifty_accounts::lines, |board| {
        set_timeseries_query(board, "max by (account) (ringcentral_up)")
    }),
    ("a line for each target", fifty_accounts::lines, |board| {
        set_timeseries_query(board, "scrape_duration_seconds")
    }),
    ("too many lines", fifty_accounts::lines, |board| {
        set_timeseries_query(board, "topk(50, max by (account) (ringcentral_up))")
    }),
    ("best account first", fifty_accounts::overview, |board| {
        first_panel(board, "table")["options"]["sortBy"][0]["desc"] = json!(false)
    }),
    ("sorted by name", fifty_accounts::overview, |board| {
        first_panel(board, "table")["options"]["sortBy"][0]["displayName"] = json!("Account")
    }),
    (
        "no link to one account",
        fifty_accounts::overview,
        |board| first_panel(board, "table")["fieldConfig"]["overrides"] = json!([]),
    ),
    ("no overview", fifty_accounts::overview, |board| {
        first_panel(board, "table")["title"] = json!("Rows")
    }),
    (
        "no row for accounts that are not scraped",
        fifty_accounts::query_results,
        |board| remove_state(board, "7 * "),
    ),
    (
        "unknown calls shown as failing",
        fifty_accounts::query_results,
        |board| remove_state(board, "6 * "),
    ),
    (
        "failing shown as OK",
        fifty_accounts::query_results,
        |board| remove_state(board, "5 * "),
    ),
    (
        "blocked shown as OK",
        fifty_accounts::query_results,
        |board| remove_state(board, "4 * "),
    ),
    (
        "at the limit shown as near the limit",
        fifty_accounts::query_results,
        |board| remove_state(board, "3 * "),
    ),
    (
        "near the limit shown as OK",
        fifty_accounts::query_results,
        |board| remove_state(board, "2 * "),
    ),
    (
        "missed calls shown as OK",
        fifty_accounts::query_results,
        |board| remove_state(board, "group by (job, account) (sum "),
    ),
    (
        "minimum number of calls too low",
        fifty_accounts::query_results,
        |board| replace_in_query(board, "table", ">= 20", ">= 2"),
    ),
    (
        "range of an hour instead of a day",
        fifty_accounts::query_results,
        |board| replace_in_query(board, "table", "[1d]", "[1h]"),
    ),
    (
        "removed accounts shown for a day",
        fifty_accounts::query_results,
        |board| replace_in_query(board, "table", "[1h]", "[1d]"),
    ),
    (
        "missing accounts not counted as failing",
        fifty_accounts::query_results,
        |board| replace_in_query(board, "stat", "[1h]", "[1m]"),
    ),
    (
        "limits of several accounts summed",
        fifty_accounts::query_results,
        |board| {
            let limit = &mut first_panel(board, "timeseries")["targets"][2]["expr"];
            *limit = json!(limit.as_str().unwrap().replace("== 1", ">= 1"));
        },
    ),
];

/// Name of a linter rule and a change that violates the rule.
type LinterMutation = (&'static str, fn(&mut Value));

/// One mutation for each rule of `linter`.
const LINTER: &[LinterMutation] = &[
    ("template-datasource-rule", |board| {
        variable(board, "datasource")["label"] = json!("Source")
    }),
    ("template-job-rule", |board| {
        variable(board, "job")["label"] = json!("Task")
    }),
    ("template-instance-rule", |board| {
        variable(board, "instance")["allValue"] = json!(".*")
    }),
    ("template-label-promql-rule", |board| {
        variable(board, "job")["query"] = json!("label_values(up{, job)")
    }),
    ("template-on-time-change-reload-rule", |board| {
        variable(board, "job")["refresh"] = json!(1)
    }),
    ("panel-datasource-rule", |board| {
        first_stat(board)["datasource"]["uid"] = json!("abc")
    }),
    ("panel-title-description-rule", |board| {
        first_stat(board)["description"] = json!("")
    }),
    ("panel-units-rule", |board| {
        first_stat(board)["fieldConfig"]["defaults"]["mappings"] = json!([]);
        first_stat(board)["fieldConfig"]["defaults"]["unit"] = json!("calls");
    }),
    ("panel-no-targets-rule", |board| {
        first_stat(board)["targets"] = json!([])
    }),
    ("target-promql-rule", |board| {
        set_stat_query(board, "sum(up")
    }),
    ("target-rate-interval-rule", |board| {
        set_stat_query(board, "rate(process_cpu_seconds_total[5m])")
    }),
    ("target-job-rule", |board| {
        set_stat_query(board, r#"up{job="$job",instance=~"$instance"}"#)
    }),
    ("target-instance-rule", |board| {
        set_stat_query(board, r#"up{job=~"$job"}"#)
    }),
    ("target-counter-agg-rule", |board| {
        set_stat_query(board, "sum(process_cpu_seconds_total)")
    }),
    ("target-logql-rule", |board| {
        first_stat(board)["targets"][0]["datasource"]["type"] = json!("loki")
    }),
    ("target-logql-auto-rule", |board| {
        first_stat(board)["targets"][0]["datasource"]["type"] = json!("loki")
    }),
    ("uneditable-dashboard", |board| {
        board["editable"] = json!(true)
    }),
];

/// Returns the fields of a JSON object.
fn fields(board: &mut Value) -> &mut serde_json::Map<String, Value> {
    board.as_object_mut().unwrap()
}

/// Returns the items of a JSON array.
fn list(json: &mut Value) -> &mut Vec<Value> {
    json.as_array_mut().unwrap()
}

/// Returns the first panel of a kind; titles can change and are not used.
fn first_panel<'a>(board: &'a mut Value, kind: &str) -> &'a mut Value {
    list(&mut board["panels"])
        .iter_mut()
        .find(|panel| panel["type"] == kind)
        .unwrap()
}

/// Returns the first stat panel.
fn first_stat(board: &mut Value) -> &mut Value {
    first_panel(board, "stat")
}

/// Sets the query of the first stat panel.
fn set_stat_query(board: &mut Value, query: &str) {
    first_stat(board)["targets"][0]["expr"] = json!(query);
}

/// Sets the query of the first time series panel.
fn set_timeseries_query(board: &mut Value, query: &str) {
    first_panel(board, "timeseries")["targets"][0]["expr"] = json!(query);
}

/// Replaces text in the first query of the first panel of a kind.
fn replace_in_query(board: &mut Value, kind: &str, from: &str, to: &str) {
    let expr = &mut first_panel(board, kind)["targets"][0]["expr"];
    *expr = json!(expr.as_str().unwrap().replace(from, to));
}

/// Removes the cases with this prefix from the query of the account states.
fn remove_state(board: &mut Value, prefix: &str) {
    let expr = &mut first_panel(board, "table")["targets"][0]["expr"];
    let cases: Vec<_> = expr
        .as_str()
        .unwrap()
        .split("\nor\n")
        .filter(|case| !case.starts_with(prefix))
        .collect();
    *expr = json!(cases.join("\nor\n"));
}

/// Returns a variable by name.
fn variable<'a>(board: &'a mut Value, name: &str) -> &'a mut Value {
    list(&mut board["templating"]["list"])
        .iter_mut()
        .find(|variable| variable["name"] == name)
        .unwrap()
}

/// Returns whether a check reports a new problem in the modified dashboard.
fn is_detected(check: impl Fn(&Dashboard) -> Vec<String>, mutate: fn(&mut Value)) -> bool {
    let board = model::all().remove(0);
    let mut json = board.json.clone();
    mutate(&mut json);
    let before = check(&board);
    check(&Dashboard::from_json(&board.stem, json))
        .iter()
        .any(|problem| !before.contains(problem))
}

/// Asserts that the check of every mutation reports a problem.
fn assert_all_detected(mutations: &[Mutation]) {
    let missed = mutations
        .iter()
        .filter(|(_, check, mutate)| !is_detected(check, *mutate));
    let missed: Vec<_> = missed.map(|(name, ..)| name).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn conventions_detect_their_mutations() {
    assert_all_detected(CONVENTIONS);
}

#[test]
fn metric_name_checks_detect_their_mutations() {
    assert_all_detected(METRIC_NAMES);
}

#[test]
fn fifty_account_checks_detect_their_mutations() {
    assert_all_detected(FIFTY_ACCOUNTS);
}

#[test]
fn linter_rules_detect_their_mutations() {
    assert!(
        linter::RULES
            .iter()
            .map(|(name, _)| name)
            .eq(LINTER.iter().map(|(name, _)| name))
    );
    let rules = linter::RULES.iter().zip(LINTER);
    let missed = rules.filter(|((_, rule), (_, mutate))| {
        !is_detected(
            |board| rule(board).iter().map(ToString::to_string).collect(),
            *mutate,
        )
    });
    let missed: Vec<_> = missed.map(|((name, _), _)| name).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
