//! Expected query results for a busy, a quiet and a failing account.
//!
//! A quiet account shows zeros. A failing account shows no values of its calls, because an absent value means unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::common::markdown;
use crate::common::promql::Selector;
use crate::query_results::{QueryResult, QuerySource, RESULTS, Selection};

/// Excepted query: dashboard, panel, letter of the query and the reason.
type Exception = (&'static str, &'static str, &'static str, &'static str);

/// Dashboard of the calls.
const CALLS: &str = "ringcentral-calls";
/// Dashboard of presence.
const PEOPLE: &str = "ringcentral-people";
/// Dashboard of the exporter.
const EXPORTER: &str = "ringcentral-exporter";
const MINUTE: Duration = Duration::from_secs(60);

/// Queries without data for a busy account.
const EMPTY_WHEN_BUSY: &[Exception] = &[
    (
        CALLS,
        "Calls in progress",
        "B",
        "there are no samples of a week ago",
    ),
    (EXPORTER, "Accounts", "H", "nothing is blocked"),
];

/// Queries without data for several accounts.
const EMPTY_WHEN_SEVERAL: &[Exception] = &[
    (
        CALLS,
        "Calls in progress",
        "B",
        "there are no samples of a week ago",
    ),
    (
        CALLS,
        "Calls in progress",
        "C",
        "limits of several accounts are not summed",
    ),
    (EXPORTER, "Accounts", "H", "nothing is blocked"),
];

/// Queries without data for a quiet account.
const EMPTY_WHEN_QUIET: &[Exception] = &[
    (
        CALLS,
        "Calls in progress",
        "B",
        "there are no samples of a week ago",
    ),
    (CALLS, "Limit utilization", "A", "no limit is set"),
    (CALLS, "Accounts", "C", "no limit is set"),
];

/// Queries that return a state code instead of a number of calls.
const STATES: &[Exception] = &[
    (CALLS, "Accounts", "A", "the worst is the highest"),
    (EXPORTER, "Accounts", "A", "the worst is the highest"),
];

/// Queries with data for a failing account, because they look back beyond the failure.
const WITH_PAST_DATA: &[Exception] = &[(
    "ringcentral-extensions",
    "Seen in selected range",
    "A",
    "the time range began before the failure",
)];

/// Returns the families that are absent while an account is failing, as documented.
fn snapshot_families() -> BTreeSet<String> {
    let families = markdown::metric_families("From the snapshot");
    assert!(families.len() >= 6, "{families:?}");
    families
}

/// Returns the results for a selection.
fn results(selection: Selection) -> impl Iterator<Item = &'static QueryResult> {
    RESULTS
        .iter()
        .filter(move |result| result.selection == selection)
}

/// Returns the results of panels for a selection.
fn panel_results(selection: Selection) -> impl Iterator<Item = &'static QueryResult> {
    results(selection).filter(|result| result.is_from_panel())
}

/// Returns whether a table of exceptions contains the query.
fn is_listed(result: &QueryResult, table: &[Exception]) -> bool {
    table.iter().any(|(dashboard, panel, query, _)| {
        (*dashboard, *panel, *query) == (&result.dashboard, &result.panel, &result.query)
    })
}

/// Asserts that there are no problems.
fn assert_empty(problems: Vec<String>) {
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Returns whether a query has data only after a hold whose begin was seen: at 60 calls a minute about one in 100 s.
fn needs_ended_hold(result: &QueryResult) -> bool {
    result.dashboard == PEOPLE && result.panel == "Hold time"
}

/// Asserts that exactly the queries in the table of exceptions have no data, and that all of these exist.
fn assert_have_data(results: &[&QueryResult], table: &[Exception]) {
    let unexpected = results.iter().filter(|result| {
        !needs_ended_hold(result) && result.has_data() == is_listed(result, table)
    });
    assert_empty(
        unexpected
            .map(|result| {
                format!(
                    "{}: {:?} {:?}",
                    result.location(),
                    result.instant,
                    result.range
                )
            })
            .collect(),
    );
    let exists = |(dashboard, panel, query, _): &&Exception| {
        results.iter().any(|result| {
            (&result.dashboard[..], &result.panel[..], &result.query[..])
                == (*dashboard, *panel, *query)
        })
    };
    let unknown = table.iter().filter(|entry| !exists(entry));
    assert_empty(
        unknown
            .map(|entry| format!("unknown query: {entry:?}"))
            .collect(),
    );
}

#[test]
fn prometheus_accepts_every_query() {
    let errors = |result: &QueryResult| {
        let range_error = result.range.as_ref().and_then(|range| range.as_ref().err());
        let errors = result.instant.as_ref().err().into_iter().chain(range_error);
        errors
            .map(|error| format!("{}: {error}", result.location()))
            .collect::<Vec<_>>()
    };
    assert_empty(RESULTS.iter().flat_map(errors).collect());
}

#[test]
fn busy_account_has_data_in_every_query() {
    assert_have_data(
        &panel_results(Selection::Busy).collect::<Vec<_>>(),
        EMPTY_WHEN_BUSY,
    );
}

#[test]
fn all_accounts_have_data_in_every_query() {
    // The table has a hundred rows. Of more extensions with the same share Prometheus chooses any, and all can be of the
    // failing account, for which the other columns are empty.
    let is_chosen_by_prometheus = |result: &&QueryResult| {
        result.dashboard == "ringcentral-extensions"
            && result.panel == "Extensions"
            && result.query != "A"
    };
    let results = panel_results(Selection::All).filter(|result| !is_chosen_by_prometheus(result));
    assert_have_data(&results.collect::<Vec<_>>(), EMPTY_WHEN_SEVERAL);
}

#[test]
fn extension_in_a_call_has_data_in_every_query() {
    let extension_results = panel_results(Selection::Extension)
        .filter(|result| ["ringcentral-extensions", PEOPLE].contains(&&*result.dashboard));
    assert_have_data(&extension_results.collect::<Vec<_>>(), &[]);
}

#[test]
fn every_variable_has_values() {
    let variables = results(Selection::Busy)
        .chain(results(Selection::All))
        .filter(|result| matches!(result.source, QuerySource::Variable));
    assert_empty(
        variables
            .filter(|result| !result.has_data())
            .map(QueryResult::location)
            .collect(),
    );
}

/// Returns the panels that have neither data nor a text for missing data.
fn empty_panels(selection: Selection) -> Vec<String> {
    let mut has_content: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for result in panel_results(selection) {
        let QuerySource::Panel { has_no_value, .. } = &result.source else {
            continue;
        };
        *has_content
            .entry((&result.dashboard, &result.panel))
            .or_default() |= result.has_data() || *has_no_value;
    }
    has_content
        .into_iter()
        .filter(|(_, has_content)| !has_content)
        .map(|(panel, _)| format!("{panel:?}"))
        .collect()
}

#[test]
fn quiet_account_has_a_value_or_text_in_every_panel() {
    assert_empty(empty_panels(Selection::Quiet));
}

/// Returns the results that use the snapshot: all in the dashboard of calls, and stat panels in the others.
fn call_results(selection: Selection) -> impl Iterator<Item = &'static QueryResult> {
    let families = snapshot_families();
    panel_results(selection).filter(move |result| {
        let is_stat = matches!(&result.source, QuerySource::Panel { kind, .. } if kind == "stat");
        let uses_snapshot = result
            .selectors
            .iter()
            .any(|selector| families.contains(&selector.metric[..]));
        uses_snapshot && (is_stat || result.dashboard == CALLS)
    })
}

#[test]
fn quiet_account_has_zeros_for_its_calls() {
    let quiet: Vec<_> = call_results(Selection::Quiet).collect();
    assert!(quiet.len() >= 10, "{quiet:?}");
    assert_have_data(&quiet, EMPTY_WHEN_QUIET);
    let non_zero = quiet
        .iter()
        .filter(|result| result.values().iter().any(|value| *value != 0.0));
    assert_empty(
        non_zero
            .map(|result| format!("{}: {:?}", result.location(), result.instant))
            .collect(),
    );
}

/// The fallback to zero must not hide a query without results.
#[test]
fn busy_account_has_no_zeros_for_its_calls() {
    let busy = call_results(Selection::Busy).chain(call_results(Selection::All));
    let busy: Vec<_> = busy
        .filter(|result| !is_listed(result, EMPTY_WHEN_BUSY) && !is_listed(result, STATES))
        .collect();
    assert!(busy.len() >= 20, "{busy:?}");
    let without_value = busy
        .iter()
        .filter(|result| !result.values().iter().any(|value| *value > 0.0));
    assert_empty(
        without_value
            .map(|result| format!("{}: {:?}", result.location(), result.instant))
            .collect(),
    );
}

/// Returns whether a query uses the snapshot of now or of the last minute.
fn uses_current_snapshot(result: &QueryResult) -> bool {
    let families = snapshot_families();
    let selectors = result
        .selectors
        .iter()
        .filter(|selector| families.contains(&selector.metric[..]));
    selectors
        .into_iter()
        .any(|selector| selector.range.is_none_or(|range| range <= MINUTE))
}

#[test]
fn failing_account_has_no_values_of_its_calls() {
    let current = panel_results(Selection::Failing)
        .filter(|result| uses_current_snapshot(result) && !is_listed(result, STATES));
    let current: Vec<_> = current.collect();
    assert!(current.len() >= 15, "{current:?}");
    let unexpected = current
        .iter()
        .filter(|result| result.values().is_empty() == is_listed(result, WITH_PAST_DATA));
    assert_empty(
        unexpected
            .map(|result| format!("{}: {:?}", result.location(), result.instant))
            .collect(),
    );
}

/// Proves that the failing account of the test above had data at first.
#[test]
fn failing_account_had_values_before_the_failure() {
    let results = panel_results(Selection::Failing)
        .filter(|result| uses_current_snapshot(result) && result.range.is_some());
    assert!(
        results
            .into_iter()
            .any(|result| matches!(&result.range, Some(Ok(values)) if !values.is_empty()))
    );
}

/// Panel, letter of the query and value for a failing account: one account is failing, it is not up, and its calls are
/// unknown.
const FAILING_VALUES: [(&str, &str, f64); 3] = [
    ("RingCentral", "A", 1.0),
    ("RingCentral status", "A", 0.0),
    ("Accounts", "A", 6.0),
];

#[test]
fn failing_account_is_shown_as_failing() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for result in panel_results(Selection::Failing) {
        for (panel, query, value) in FAILING_VALUES {
            if (panel, query) != (&result.panel, &result.query) {
                continue;
            }
            checked += 1;
            if result.values() != [value] {
                wrong.push(format!("{}: {:?}", result.location(), result.instant));
            }
        }
    }
    assert_eq!(checked, 5, "three in one dashboard and two in the other");
    assert_empty(wrong);
}

/// All jobs are selected, as when a dashboard opens.
#[test]
fn other_programs_are_not_shown() {
    let uses_process_metrics = |result: &&QueryResult| {
        let is_process_metric = |selector: &Selector| {
            selector.metric.starts_with("process_")
                || ["up", "scrape_duration_seconds"].contains(&&selector.metric[..])
        };
        result.selectors.iter().any(is_process_metric)
    };
    let process_results: Vec<_> = panel_results(Selection::All)
        .filter(uses_process_metrics)
        .collect();
    assert!(process_results.len() >= 6, "{process_results:?}");
    let is_expected = |result: &QueryResult| match &result.panel[..] {
        "Exporter" | "RingCentral" => result.values() == [1.0],
        _ => result.values().len() == 3,
    };
    assert_empty(
        process_results
            .iter()
            .filter(|result| !is_expected(result))
            .map(|result| format!("{result:?}"))
            .collect(),
    );
}
