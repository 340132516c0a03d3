//! What the panels show of a busy account, a quiet one and one that fails.
//!
//! Absent means unknown, and zero means zero: a quiet account shows zeros, and one that fails shows nothing of its
//! calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::asked::{ANSWERS, Answer, Chosen, Kind};
use crate::common::markdown;
use crate::common::promql::Selector;

/// An exception, that is, a query of a panel: dashboard, panel, its letter; and the reason.
type Exception = (&'static str, &'static str, &'static str, &'static str);

const CALLS: &str = "ringcentral-calls";
const EXPORTER: &str = "ringcentral-exporter";
const MINUTE: Duration = Duration::from_secs(60);

/// Of what is there, nothing is left out but these.
const EMPTY_WHEN_BUSY: &[Exception] = &[
    (
        CALLS,
        "Calls in progress",
        "B",
        "a week ago nothing was watched",
    ),
    (EXPORTER, "Accounts", "H", "nothing is blocked"),
];

const EMPTY_WHEN_SEVERAL: &[Exception] = &[
    (
        CALLS,
        "Calls in progress",
        "B",
        "a week ago nothing was watched",
    ),
    (
        CALLS,
        "Calls in progress",
        "C",
        "limits of several accounts make no sum",
    ),
    (EXPORTER, "Accounts", "H", "nothing is blocked"),
];

const EMPTY_WHEN_QUIET: &[Exception] = &[
    (
        CALLS,
        "Calls in progress",
        "B",
        "a week ago nothing was watched",
    ),
    (CALLS, "Of the limit", "A", "no limit is set"),
    (CALLS, "Accounts", "C", "no limit is set"),
];

/// What tells how an account is, by a code, and not how many calls it has.
const STATES: &[Exception] = &[
    (CALLS, "Accounts", "A", "the worst is the highest"),
    (EXPORTER, "Accounts", "A", "the worst is the highest"),
];

const OF_THE_PAST: &[Exception] = &[(
    "ringcentral-extensions",
    "Seen in the time range",
    "A",
    "the time range began before the failure",
)];

/// The families that a failing account loses, by the document.
fn of_the_snapshot() -> BTreeSet<String> {
    let families = markdown::metric_families("From the snapshot");
    assert!(families.len() >= 6, "{families:?}");
    families
}

fn answers(chosen: Chosen) -> impl Iterator<Item = &'static Answer> {
    ANSWERS.iter().filter(move |answer| answer.chosen == chosen)
}

fn of_panels(chosen: Chosen) -> impl Iterator<Item = &'static Answer> {
    answers(chosen).filter(|answer| answer.is_of_panel())
}

fn listed(answer: &Answer, table: &[Exception]) -> bool {
    table.iter().any(|(dashboard, panel, query, _)| {
        (*dashboard, *panel, *query) == (&answer.dashboard, &answer.panel, &answer.query)
    })
}

fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every query of these finds data, and those of the table find none; the table has no other.
fn find_data(answers: &[&Answer], table: &[Exception]) {
    let wrong = answers
        .iter()
        .filter(|answer| answer.has_data() == listed(answer, table));
    none(
        wrong
            .map(|answer| format!("{}: {:?} {:?}", answer.place(), answer.now, answer.ranged))
            .collect(),
    );
    let there = |(dashboard, panel, query, _): &&Exception| {
        answers.iter().any(|one| {
            (&one.dashboard[..], &one.panel[..], &one.query[..]) == (*dashboard, *panel, *query)
        })
    };
    let gone = table.iter().filter(|entry| !there(entry));
    none(
        gone.map(|entry| format!("no such query: {entry:?}"))
            .collect(),
    );
}

#[test]
fn prometheus_refuses_no_query() {
    let errors = |answer: &Answer| {
        let ranged = answer
            .ranged
            .as_ref()
            .and_then(|ranged| ranged.as_ref().err());
        let errors = answer.now.as_ref().err().into_iter().chain(ranged);
        errors
            .map(|error| format!("{}: {error}", answer.place()))
            .collect::<Vec<_>>()
    };
    none(ANSWERS.iter().flat_map(errors).collect());
}

#[test]
fn every_query_finds_data_where_calls_are_many() {
    find_data(
        &of_panels(Chosen::Busy).collect::<Vec<_>>(),
        EMPTY_WHEN_BUSY,
    );
}

#[test]
fn every_query_finds_data_where_one_of_all_accounts_is_busy() {
    find_data(
        &of_panels(Chosen::All).collect::<Vec<_>>(),
        EMPTY_WHEN_SEVERAL,
    );
}

#[test]
fn every_query_about_one_extension_finds_data_while_it_has_a_call() {
    let chosen =
        of_panels(Chosen::Extension).filter(|answer| answer.dashboard == "ringcentral-extensions");
    find_data(&chosen.collect::<Vec<_>>(), &[]);
}

#[test]
fn every_variable_has_values() {
    let variables = answers(Chosen::Busy)
        .chain(answers(Chosen::All))
        .filter(|one| matches!(one.kind, Kind::Variable));
    none(
        variables
            .filter(|answer| !answer.has_data())
            .map(Answer::place)
            .collect(),
    );
}

/// A panel, and whether it says something of its own when it has no data.
fn silent_panels(chosen: Chosen) -> Vec<String> {
    let mut speaks: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for answer in of_panels(chosen) {
        let Kind::Panel { has_no_value, .. } = &answer.kind else {
            continue;
        };
        *speaks
            .entry((&answer.dashboard, &answer.panel))
            .or_default() |= answer.has_data() || *has_no_value;
    }
    speaks
        .into_iter()
        .filter(|(_, speaks)| !speaks)
        .map(|(panel, _)| format!("{panel:?}"))
        .collect()
}

#[test]
fn every_panel_of_a_quiet_account_shows_a_number_or_says_why_not() {
    none(silent_panels(Chosen::Quiet));
}

/// Those that read what the snapshot tells: all of the dashboard of calls, and of the others each single number.
fn about_calls(chosen: Chosen) -> impl Iterator<Item = &'static Answer> {
    let families = of_the_snapshot();
    of_panels(chosen).filter(move |answer| {
        let is_number = matches!(&answer.kind, Kind::Panel { kind, .. } if kind == "stat");
        let reads = answer
            .selectors
            .iter()
            .any(|one| families.contains(&one.metric[..]));
        reads && (is_number || answer.dashboard == CALLS)
    })
}

#[test]
fn no_calls_are_zero_and_not_nothing() {
    let quiet: Vec<_> = about_calls(Chosen::Quiet).collect();
    assert!(quiet.len() >= 10, "{quiet:?}");
    find_data(&quiet, EMPTY_WHEN_QUIET);
    let numbers = quiet
        .iter()
        .filter(|answer| answer.numbers().iter().any(|number| *number != 0.0));
    none(
        numbers
            .map(|answer| format!("{}: {:?}", answer.place(), answer.now))
            .collect(),
    );
}

/// The fallback to zero must not hide a query that finds nothing.
#[test]
fn many_calls_are_not_shown_as_none() {
    let busy = about_calls(Chosen::Busy).chain(about_calls(Chosen::All));
    let busy: Vec<_> = busy
        .filter(|answer| !listed(answer, EMPTY_WHEN_BUSY) && !listed(answer, STATES))
        .collect();
    assert!(busy.len() >= 20, "{busy:?}");
    let wrong = busy
        .iter()
        .filter(|answer| !answer.numbers().iter().any(|number| *number > 0.0));
    none(
        wrong
            .map(|answer| format!("{}: {:?}", answer.place(), answer.now))
            .collect(),
    );
}

/// Whether it asks for what the snapshot tells now, or told within the last minute.
fn is_of_now(answer: &Answer) -> bool {
    let families = of_the_snapshot();
    let selectors = answer
        .selectors
        .iter()
        .filter(|one| families.contains(&one.metric[..]));
    selectors
        .into_iter()
        .any(|one| one.range.is_none_or(|range| range <= MINUTE))
}

#[test]
fn an_account_that_fails_shows_nothing_of_its_calls_and_no_zeros() {
    let now =
        of_panels(Chosen::Failing).filter(|answer| is_of_now(answer) && !listed(answer, STATES));
    let now: Vec<_> = now.collect();
    assert!(now.len() >= 15, "{now:?}");
    let wrong = now
        .iter()
        .filter(|answer| answer.numbers().is_empty() == listed(answer, OF_THE_PAST));
    none(
        wrong
            .map(|answer| format!("{}: {:?}", answer.place(), answer.now))
            .collect(),
    );
}

/// Else the test above would be about an account that never answered.
#[test]
fn an_account_that_fails_has_shown_its_calls_before() {
    let asked =
        of_panels(Chosen::Failing).filter(|answer| is_of_now(answer) && answer.ranged.is_some());
    assert!(
        asked
            .into_iter()
            .any(|answer| matches!(&answer.ranged, Some(Ok(numbers)) if !numbers.is_empty()))
    );
}

/// The panel, the letter, and the number that tells of an account that has failed for a while: of those chosen one fails, it
/// does not answer, and its calls are unknown.
const FAILS: [(&str, &str, f64); 3] = [
    ("RingCentral", "A", 1.0),
    ("RingCentral over time", "A", 0.0),
    ("Accounts", "A", 6.0),
];

#[test]
fn an_account_that_fails_is_said_to_fail() {
    let telling = |answer: &'static Answer| {
        let told = FAILS
            .iter()
            .find(|(panel, query, _)| (*panel, *query) == (&answer.panel, &answer.query));
        told.map(|(.., number)| (answer, *number))
    };
    let told: Vec<_> = of_panels(Chosen::Failing).filter_map(telling).collect();
    assert_eq!(
        told.len(),
        5,
        "two dashboards, and one of them over time: {told:?}"
    );
    let wrong = told
        .iter()
        .filter(|(answer, number)| answer.numbers() != [*number]);
    none(
        wrong
            .map(|(answer, _)| format!("{}: {:?}", answer.place(), answer.now))
            .collect(),
    );
}

/// With all jobs chosen, since that is how a dashboard opens.
#[test]
fn programs_that_are_no_exporters_are_not_shown() {
    let of_processes = |answer: &&Answer| {
        let reads = |one: &Selector| {
            one.metric.starts_with("process_")
                || ["up", "scrape_duration_seconds"].contains(&&one.metric[..])
        };
        answer.selectors.iter().any(reads)
    };
    let drawn: Vec<_> = of_panels(Chosen::All).filter(of_processes).collect();
    assert!(drawn.len() >= 6, "{drawn:?}");
    let shows = |answer: &Answer| match &answer.panel[..] {
        "Exporter" | "RingCentral" => answer.numbers() == [1.0],
        _ => answer.numbers().len() == 3,
    };
    none(
        drawn
            .iter()
            .filter(|answer| !shows(answer))
            .map(|answer| format!("{answer:?}"))
            .collect(),
    );
}
