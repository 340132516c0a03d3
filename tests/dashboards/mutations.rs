//! The checks can fail: each finds the mistake that is made here in a copy of a dashboard.

use serde_json::{Value, json};

use crate::model::{self, Dashboard};
use crate::{conventions, exists, fleet, linter};

/// A mistake, and the check that must find it.
type Mutation = (&'static str, fn(&Dashboard) -> Vec<String>, fn(&mut Value));

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
    ("a link to nowhere", conventions::urls, |board| {
        stat(board)["links"] = json!([{ "url": "/d/nowhere?x=1" }])
    }),
    ("two data sources", conventions::datasource, |board| {
        let second = board["templating"]["list"][0].clone();
        list(&mut board["templating"]["list"]).push(second);
    }),
    ("an unchained instance", conventions::chain, |board| {
        variable(board, "instance")["query"] = json!("label_values(ringcentral_up, instance)");
    }),
    ("one value at a time", conventions::choice, |board| {
        variable(board, "account")["multi"] = json!(false)
    }),
    ("no choice of all", conventions::choice, |board| {
        variable(board, "account")["includeAll"] = json!(false)
    }),
    ("all is everything", conventions::choice, |board| {
        variable(board, "account")["allValue"] = json!(".*")
    }),
    ("old values", conventions::choice, |board| {
        variable(board, "account")["refresh"] = json!(1)
    }),
    ("no title", conventions::title, |board| {
        stat(board)["title"] = json!("")
    }),
    ("a title twice", conventions::titles_differ, |board| {
        let title = stat(board)["title"].clone();
        kind(board, "timeseries")["title"] = title;
    }),
    ("no sentence", conventions::description, |board| {
        stat(board)["description"] = json!("Calls.")
    }),
    ("no full stop", conventions::description, |board| {
        stat(board)["description"] = json!("How many calls there are now");
    }),
    ("no unit", conventions::unit, |board| {
        stat(board)["fieldConfig"]["defaults"]["unit"] = json!("")
    }),
    ("no colour", conventions::colour, |board| {
        stat(board)["fieldConfig"]["defaults"]["color"] = json!({ "mode": "thresholds" });
        stat(board)["fieldConfig"]["defaults"]["thresholds"] =
            json!({ "steps": [{ "color": "green" }] });
    }),
    ("an id twice", conventions::ids_differ, |board| {
        kind(board, "row")["id"] = json!(1)
    }),
    ("one over another", conventions::grid, |board| {
        let place = stat(board)["gridPos"].clone();
        kind(board, "timeseries")["gridPos"] = place;
    }),
    ("beyond the grid", conventions::grid, |board| {
        kind(board, "timeseries")["gridPos"]["w"] = json!(25)
    }),
    ("half a row", conventions::grid, |board| {
        kind(board, "row")["gridPos"]["w"] = json!(12)
    }),
    ("a fixed data source", conventions::sources, |board| {
        stat(board)["targets"][0]["datasource"]["uid"] = json!("abc");
    }),
];

const EXISTS: &[Mutation] = &[
    ("an unknown metric", exists::names, |board| {
        ask(board, "sum(ringcentral_calls)")
    }),
    ("an unknown label", exists::names, |board| {
        ask(board, r#"ringcentral_up{extension="1"}"#)
    }),
    ("a group that is not there", exists::names, |board| {
        ask(board, "sum by (extension) (ringcentral_up)")
    }),
    ("a label that is summed away", exists::names, |board| {
        ask(board, "sum by (job) (sum by (account) (up))")
    }),
    ("a match by what is not there", exists::names, |board| {
        ask(
            board,
            "ringcentral_up * on (result) group_left () ringcentral_up",
        );
    }),
    (
        "a label that the other side lacks",
        exists::names,
        |board| {
            ask(
                board,
                "ringcentral_up * on (account) group_left (extension_name) ringcentral_up",
            );
        },
    ),
    ("a quantile without buckets", exists::names, |board| {
        ask(
            board,
            "histogram_quantile(0.9, sum by (account) (rate(ringcentral_call_duration_seconds_bucket[5m])))",
        );
    }),
    ("no PromQL", exists::names, |board| ask(board, "sum(")),
    ("a legend that is summed away", exists::legends, |board| {
        ask(board, "sum(ringcentral_up)");
        stat(board)["targets"][0]["legendFormat"] = json!("{{account}}");
    }),
    ("a list of what is not there", exists::variables, |board| {
        variable(board, "account")["query"] = json!("label_values(ringcentral_up, extension)");
    }),
    ("every account", exists::accounts, |board| {
        ask(board, "sum(ringcentral_up)")
    }),
    ("one account", exists::accounts, |board| {
        ask(board, r#"sum(ringcentral_up{account="$account"})"#)
    }),
];

const FLEET: &[Mutation] = &[
    ("a line for each account", fleet::lines, |board| {
        draw(board, "max by (account) (ringcentral_up)")
    }),
    ("a line for each target", fleet::lines, |board| {
        draw(board, "scrape_duration_seconds")
    }),
    ("too many lines", fleet::lines, |board| {
        draw(board, "topk(50, max by (account) (ringcentral_up))")
    }),
    ("the best first", fleet::overview, |board| {
        kind(board, "table")["options"]["sortBy"][0]["desc"] = json!(false)
    }),
    ("by name", fleet::overview, |board| {
        kind(board, "table")["options"]["sortBy"][0]["displayName"] = json!("Account")
    }),
    ("no way to one account", fleet::overview, |board| {
        kind(board, "table")["fieldConfig"]["overrides"] = json!([])
    }),
    ("no overview", fleet::overview, |board| {
        kind(board, "table")["title"] = json!("Rows")
    }),
    ("what is not scraped has no row", fleet::said, |board| {
        without(board, "7 * ")
    }),
    ("what is unknown only fails", fleet::said, |board| {
        without(board, "6 * ")
    }),
    ("what fails is well", fleet::said, |board| {
        without(board, "5 * ")
    }),
    ("what is blocked is well", fleet::said, |board| {
        without(board, "4 * ")
    }),
    (
        "what is at its limit is only near it",
        fleet::said,
        |board| without(board, "3 * "),
    ),
    ("what is near its limit is well", fleet::said, |board| {
        without(board, "2 * ")
    }),
    ("what misses calls is well", fleet::said, |board| {
        without(board, "group by (job, account) (sum ")
    }),
    ("few calls are many", fleet::said, |board| {
        replace(board, "table", ">= 20", ">= 2")
    }),
    ("a day is an hour", fleet::said, |board| {
        replace(board, "table", "[1d]", "[1h]")
    }),
    ("removed accounts stay for a day", fleet::said, |board| {
        replace(board, "table", "[1h]", "[1d]")
    }),
    ("those that are gone do not fail", fleet::said, |board| {
        replace(board, "stat", "[1h]", "[1m]")
    }),
    ("limits are added up", fleet::said, |board| {
        let limit = &mut kind(board, "timeseries")["targets"][2]["expr"];
        *limit = json!(limit.as_str().unwrap().replace("== 1", ">= 1"));
    }),
];

type Break = (&'static str, fn(&mut Value));

const LINTER: &[Break] = &[
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
        stat(board)["datasource"]["uid"] = json!("abc")
    }),
    ("panel-title-description-rule", |board| {
        stat(board)["description"] = json!("")
    }),
    ("panel-units-rule", |board| {
        stat(board)["fieldConfig"]["defaults"]["mappings"] = json!([]);
        stat(board)["fieldConfig"]["defaults"]["unit"] = json!("calls");
    }),
    ("panel-no-targets-rule", |board| {
        stat(board)["targets"] = json!([])
    }),
    ("target-promql-rule", |board| ask(board, "sum(up")),
    ("target-rate-interval-rule", |board| {
        ask(board, "rate(process_cpu_seconds_total[5m])")
    }),
    ("target-job-rule", |board| {
        ask(board, r#"up{job="$job",instance=~"$instance"}"#)
    }),
    ("target-instance-rule", |board| {
        ask(board, r#"up{job=~"$job"}"#)
    }),
    ("target-counter-agg-rule", |board| {
        ask(board, "sum(process_cpu_seconds_total)")
    }),
    ("target-logql-rule", |board| {
        stat(board)["targets"][0]["datasource"]["type"] = json!("loki")
    }),
    ("target-logql-auto-rule", |board| {
        stat(board)["targets"][0]["datasource"]["type"] = json!("loki")
    }),
    ("uneditable-dashboard", |board| {
        board["editable"] = json!(true)
    }),
];

fn fields(board: &mut Value) -> &mut serde_json::Map<String, Value> {
    board.as_object_mut().unwrap()
}

fn list(json: &mut Value) -> &mut Vec<Value> {
    json.as_array_mut().unwrap()
}

/// The first panel of a kind. Titles are not looked at: they change.
fn kind<'a>(board: &'a mut Value, kind: &str) -> &'a mut Value {
    list(&mut board["panels"])
        .iter_mut()
        .find(|panel| panel["type"] == kind)
        .unwrap()
}

fn stat(board: &mut Value) -> &mut Value {
    kind(board, "stat")
}

fn ask(board: &mut Value, query: &str) {
    stat(board)["targets"][0]["expr"] = json!(query);
}

/// Of the first panel with lines.
fn draw(board: &mut Value, query: &str) {
    kind(board, "timeseries")["targets"][0]["expr"] = json!(query);
}

/// Changes the first query of the first panel of a kind.
fn replace(board: &mut Value, of: &str, from: &str, to: &str) {
    let expr = &mut kind(board, of)["targets"][0]["expr"];
    *expr = json!(expr.as_str().unwrap().replace(from, to));
}

/// The state of an account without one of its cases, by how that begins.
fn without(board: &mut Value, case: &str) {
    let expr = &mut kind(board, "table")["targets"][0]["expr"];
    let cases: Vec<_> = expr
        .as_str()
        .unwrap()
        .split("\nor\n")
        .filter(|one| !one.starts_with(case))
        .collect();
    *expr = json!(cases.join("\nor\n"));
}

fn variable<'a>(board: &'a mut Value, name: &str) -> &'a mut Value {
    list(&mut board["templating"]["list"])
        .iter_mut()
        .find(|variable| variable["name"] == name)
        .unwrap()
}

/// Whether a check finds in the copy what it did not find before.
fn is_found(check: impl Fn(&Dashboard) -> Vec<String>, mutate: fn(&mut Value)) -> bool {
    let board = model::all().remove(0);
    let mut json = board.json.clone();
    mutate(&mut json);
    let before = check(&board);
    check(&Dashboard::of(&board.stem, json))
        .iter()
        .any(|wrong| !before.contains(wrong))
}

fn each_is_found(mutations: &[Mutation]) {
    let missed = mutations
        .iter()
        .filter(|(_, check, mutate)| !is_found(check, *mutate));
    let missed: Vec<_> = missed.map(|(name, ..)| name).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn each_convention_finds_its_mistakes() {
    each_is_found(CONVENTIONS);
}

#[test]
fn names_that_do_not_exist_are_found() {
    each_is_found(EXISTS);
}

#[test]
fn what_fifty_accounts_would_hide_is_found() {
    each_is_found(FLEET);
}

#[test]
fn each_rule_of_the_linter_finds_its_mistake() {
    assert!(
        linter::RULES
            .iter()
            .map(|(name, _)| name)
            .eq(LINTER.iter().map(|(name, _)| name))
    );
    let rules = linter::RULES.iter().zip(LINTER);
    let missed = rules.filter(|((_, rule), (_, mutate))| {
        !is_found(
            |board| rule(board).iter().map(ToString::to_string).collect(),
            *mutate,
        )
    });
    let missed: Vec<_> = missed.map(|((name, _), _)| name).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
