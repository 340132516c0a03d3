//! Report of a run in Markdown.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use crate::event_log::EventLog;
use crate::proxy::Exchange;
use crate::resource_usage::{FDS_TOLERANCE, MEMORY_TOLERANCE};
use crate::verifier::Verifier;

const MIB: f64 = 1024.0 * 1024.0;

/// Returns the report.
pub fn report(seed: u64, verifier: &Verifier, events: &EventLog, exchanges: &[Exchange]) -> String {
    let mut text = format!("# Soak test\n\n{}", environment(seed, events));
    write_table(&mut text, "Faults", &faults(verifier, events, exchanges));
    write_table(&mut text, "Checks", &checks(verifier));
    text.push_str(&resource_usage(verifier));
    match verifier.violations.first() {
        Some(first) => writeln!(
            text,
            "\n{} violations, the first: {first}",
            verifier.violations.len()
        ),
        None => writeln!(text, "\nNo violations."),
    }
    .unwrap();
    text
}

fn environment(seed: u64, events: &EventLog) -> String {
    let seconds = (events.stopped_ms.unwrap_or(0) - events.started_ms) / 1000;
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let began = jiff::Timestamp::from_millisecond(events.started_ms).unwrap();
    format!("Seed {seed}, {seconds} s from {began:.0}, {cores} cores of {model}.\n")
}

fn write_table(text: &mut String, title: &str, rows: &[(String, String)]) {
    write!(text, "\n## {title}\n\n| what | value |\n|---|---|\n").unwrap();
    for (what, value) in rows {
        writeln!(text, "| {what} | {value} |").unwrap();
    }
}

fn row(what: &str, value: impl Display) -> (String, String) {
    (what.to_owned(), value.to_string())
}

fn faults(verifier: &Verifier, events: &EventLog, exchanges: &[Exchange]) -> Vec<(String, String)> {
    let requests = &verifier.requests;
    let mut network_faults: BTreeMap<&str, u64> = BTreeMap::new();
    for exchange in exchanges {
        *network_faults.entry(exchange.fault.name()).or_default() += 1;
    }
    let mut phases: BTreeMap<String, u64> = BTreeMap::new();
    for (_, phase) in &events.phases {
        if !phase.is_normal() {
            let name = format!("{:?}/{:?}", phase.network, phase.api);
            *phases.entry(name).or_default() += 1;
        }
    }
    let mut statuses = BTreeMap::new();
    for ((operation, status), count) in &requests.counts {
        statuses.insert(format!("{operation} {status}"), *count);
    }
    let mut failures = BTreeMap::new();
    for (series, count) in &verifier.failures {
        if *count > 0.0 {
            failures.insert(label_values(series), *count);
        }
    }
    vec![
        row("phases with faults, network/API", list(&phases)),
        row("exchanges by network fault", list(&network_faults)),
        row("requests by API fault", list(&requests.faults)),
        row("evictions of all sessions", events.evictions.len()),
        row("JWT rotations", events.rotations.len()),
        row("JWT rotations followed by SIGHUP", events.reloads.len()),
        row(
            "requests by status of the API (0: no response)",
            list(&statuses),
        ),
        row("logins by reason", list(&requests.logins)),
        row("refused logins", requests.refused_logins),
        row("failures counted by the exporter", list(&failures)),
    ]
}

fn checks(verifier: &Verifier) -> Vec<(String, String)> {
    let (metrics, requests) = (&verifier.metrics, &verifier.requests);
    let max_lists = requests.max_in_window.get("heavy").copied().unwrap_or(0);
    vec![
        row("scrapes", metrics.scrapes),
        row("slowest scrape", format!("{} ms", metrics.slowest_ms)),
        row("snapshots compared with the simulator", metrics.snapshots),
        row("scrapes with calls", metrics.with_calls),
        row("oldest snapshot", format!("{} ms", metrics.max_age_ms)),
        row(
            "scrapes without calls, snapshot too old",
            metrics.without_calls,
        ),
        row("scrapes with `ringcentral_up` 0", metrics.down),
        row("scrapes checked for recovery", metrics.recovery_checks),
        row("calls counted as ended", metrics.calls_counted),
        row("calls that ended", metrics.calls_expected),
        row(
            "calls counted outside coverage gaps",
            metrics.calls_outside_gaps,
        ),
        row("coverage gaps", metrics.gaps),
        row("calls counted as lost", metrics.lost),
        row(
            "longest period without a coverage gap",
            format!("{} s", metrics.longest_exact_ms / 1000),
        ),
        row("maximum of call list requests in 60 s", max_lists),
        row(
            "429s after another client used the limit",
            requests.refused_by_other_client,
        ),
        row(
            "requests inside a penalty whose response was lost",
            requests.unknown_penalties,
        ),
        row("violations", verifier.violations.len()),
    ]
}

fn resource_usage(verifier: &Verifier) -> String {
    let mut text = "\n| quarter | mean memory | maximum | mean file descriptors | maximum |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for (n, quarter) in verifier.resources.quarters().iter().enumerate() {
        writeln!(
            text,
            "| {} | {:.2} MiB | {:.2} MiB | {:.1} | {} |",
            n + 1,
            quarter.mean_memory / MIB,
            quarter.max_memory / MIB,
            quarter.mean_fds,
            quarter.max_fds
        )
        .unwrap();
    }
    let tolerance = MEMORY_TOLERANCE / MIB;
    writeln!(
        text,
        "\nTolerance from the second quarter to the last: {tolerance} MiB in mean memory, \
         {FDS_TOLERANCE} in the maximum of file descriptors."
    )
    .unwrap();
    text
}

/// Returns the label values of a series after the account.
fn label_values(series: &str) -> String {
    let values: Vec<_> = series.split('"').skip(3).step_by(2).collect();
    values.join(" ")
}

fn list<K: Display, V: Display>(counts: &BTreeMap<K, V>) -> String {
    let counts: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join(", ")
}
