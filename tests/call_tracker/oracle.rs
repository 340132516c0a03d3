//! Test oracle: the counts that the tracker must reach, by a second implementation of the contract.
//!
//! Counts of ended calls come from the switchboard, whatever was fetched. Counts of sessions, lost
//! calls and gaps come from the fetched lists, evaluated at the end of the day with the whole
//! history of each session and record. Uses the records of the simulator and no type of the
//! exporter.

use std::collections::{BTreeSet, HashMap};

use ringcentral_exporter::simulator::{Record, Switchboard};

use crate::counter_totals::CounterTotals;

/// The interval between two lists above which calls may have ended unseen.
const GAP_MS: i64 = 100_000;
/// The time after which an unlisted record counts as lost.
const LOST_AFTER_MS: i64 = 600_000;
/// Outcomes, the best first.
const OUTCOMES: [&str; 5] = ["answered", "voicemail", "missed", "busy", "failed"];

fn is_call(record: &&Record) -> bool {
    record.kind == "Voice"
}

fn result(record: &Record) -> &'static str {
    if record.result == "Hang up" {
        "Hang Up"
    } else {
        record.result
    }
}

/// Returns the index in [`OUTCOMES`].
fn outcome(record: &Record) -> usize {
    let name = match record.result {
        "Accepted" | "Call connected" | "Answered Elsewhere" => "answered",
        "Voicemail" => "voicemail",
        "Busy" => "busy",
        "Blocked"
        | "Call Failed"
        | "Internal Error"
        | "International Disabled"
        | "IP Phone Offline"
        | "Wrong Number" => "failed",
        "Abandoned" | "Callback requested" | "Hang Up" | "Hang up" | "Missed" | "No Answer"
        | "Rejected" => "missed",
        other => panic!("the simulator has a new result: {other}"),
    };
    OUTCOMES.iter().position(|known| *known == name).unwrap()
}

fn session(record: &Record) -> &str {
    record
        .telephony_session_id
        .as_deref()
        .unwrap_or(&record.session_id)
}

fn extension(record: &Record) -> String {
    let own_side = if record.direction.name() == "Inbound" {
        &record.to
    } else {
        &record.from
    };
    if let Some(number) = &own_side.extension_number {
        return number.clone();
    }
    match record.extension_id {
        Some(id) => id.to_string(),
        None => "none".to_owned(),
    }
}

/// Returns the counts of the calls that were first listed as ended after `after` and not after
/// `until`.
pub fn ended(switchboard: &Switchboard, after: i64, until: i64) -> CounterTotals {
    let mut totals = CounterTotals::default();
    let ended = switchboard.ended_between(after, until);
    for record in ended.iter().filter(is_call) {
        let direction = record.direction.name();
        let result = result(record);
        let outcome = OUTCOMES[outcome(record)];
        let ms = record.duration_ms.unwrap();
        let listed_ms = if record.shows_duration_ms {
            ms
        } else {
            ms - ms % 1000
        };
        totals.add(format_args!("calls_ended {direction} {result}"), 1);
        totals.add(
            format_args!("extension_calls_ended {} {result}", extension(record)),
            1,
        );
        totals.add(format_args!("duration_count {direction} {outcome}"), 1);
        totals.add(format_args!("duration_ms {direction} {outcome}"), listed_ms);
    }
    totals
}

/// Returns the number of sessions with a call that ended in the period, by their best outcome.
pub fn sessions_ended(switchboard: &Switchboard, after: i64, until: i64) -> CounterTotals {
    let ended = switchboard.ended_between(after, until);
    let mut best_outcomes = HashMap::new();
    for record in ended.iter().filter(is_call) {
        let outcome = outcome(record);
        let best = best_outcomes.entry(session(record)).or_insert(outcome);
        *best = outcome.min(*best);
    }
    let mut totals = CounterTotals::default();
    for outcome in best_outcomes.into_values() {
        totals.add(format_args!("sessions_ended {}", OUTCOMES[outcome]), 1);
    }
    totals
}

/// Returns the gauges of a list.
pub fn gauges(records: &[Record]) -> CounterTotals {
    let mut totals = CounterTotals::default();
    let mut sessions = BTreeSet::new();
    let mut extensions = BTreeSet::new();
    let mut oldest_start_ms = None;
    for record in records.iter().filter(is_call) {
        let direction = record.direction.name();
        let (result, extension) = (result(record), extension(record));
        totals.add(
            format_args!("active_calls {direction} {result} {extension}"),
            1,
        );
        if record.duration_ms.is_some() {
            continue;
        }
        totals.add(format_args!("calls_in_progress {direction}"), 1);
        sessions.insert(session(record));
        extensions.extend(record.extension_id);
        let oldest = oldest_start_ms.get_or_insert(record.start_ms);
        *oldest = record.start_ms.min(*oldest);
    }
    totals.add("sessions_in_progress", sessions.len() as i64);
    totals.add("extensions_in_call", extensions.len() as i64);
    totals.add("oldest_start_ms", oldest_start_ms.unwrap_or(0));
    totals
}

/// The lists that one run of the exporter has fetched.
#[derive(Default)]
pub struct History {
    fetch_times: Vec<i64>,
    sessions: HashMap<String, Vec<Sighting>>,
    records: HashMap<String, Sighting>,
}

/// The state of a session in one list, or of a record in all lists so far.
#[derive(Clone, Copy, Default)]
struct Sighting {
    /// Index of the latest list.
    fetch: usize,
    was_live: bool,
    best_outcome: Option<usize>,
}

impl Sighting {
    fn record(&mut self, fetch: usize, record: &Record) {
        self.fetch = fetch;
        if record.is_live() {
            self.was_live = true;
            return;
        }
        let outcome = outcome(record);
        let best = self.best_outcome.get_or_insert(outcome);
        *best = outcome.min(*best);
    }
}

impl History {
    /// Adds a list.
    pub fn record_list(&mut self, time: i64, records: &[Record]) {
        let fetch = self.fetch_times.len();
        self.fetch_times.push(time);
        for record in records.iter().filter(is_call) {
            self.records
                .entry(record.id.clone())
                .or_default()
                .record(fetch, record);
            let sightings = self.sessions.entry(session(record).to_owned()).or_default();
            if sightings
                .last()
                .is_none_or(|sighting| sighting.fetch != fetch)
            {
                sightings.push(Sighting::default());
            }
            sightings.last_mut().unwrap().record(fetch, record);
        }
    }

    /// Returns the time of the first list.
    pub fn first(&self) -> i64 {
        *self.fetch_times.first().unwrap()
    }

    /// Returns the time of the last list.
    pub fn last(&self) -> i64 {
        *self.fetch_times.last().unwrap()
    }

    /// Returns the number of lists.
    pub fn len(&self) -> usize {
        self.fetch_times.len()
    }

    /// Returns the counts of sessions, lost calls and coverage gaps.
    pub fn list_totals(&self) -> CounterTotals {
        let mut totals = CounterTotals::default();
        for sightings in self.sessions.values() {
            totals.add("sessions_started", (sightings[0].fetch > 0).into());
            if let Some(outcome) = self.session_outcome(sightings) {
                totals.add(format_args!("sessions_ended {}", OUTCOMES[outcome]), 1);
            }
        }
        for pair in self.fetch_times.windows(2) {
            totals.add("coverage_gaps", (pair[1] - pair[0] > GAP_MS).into());
        }
        for sighting in self.records.values() {
            let expires_at = self.fetch_times[sighting.fetch] + LOST_AFTER_MS;
            let is_lost =
                sighting.was_live && sighting.best_outcome.is_none() && expires_at <= self.last();
            totals.add("calls_lost", is_lost.into());
        }
        totals
    }

    /// Returns the outcome of a session that ended after the first list.
    ///
    /// A session ends with the first list that shows none of its records as live after a record was
    /// seen ended. A list without the session shows none of its records as live.
    fn session_outcome(&self, sightings: &[Sighting]) -> Option<usize> {
        for sighting in sightings {
            for list in [sighting.fetch, sighting.fetch + 1] {
                if list >= self.fetch_times.len() {
                    continue;
                }
                let is_live = sightings
                    .iter()
                    .any(|sighting| sighting.fetch == list && sighting.was_live);
                let best_outcome = best_outcome_until(sightings, list);
                if is_live || best_outcome.is_none() {
                    continue;
                }
                // Sessions that the first list shows as ended are part of the baseline.
                return if list > 0 { best_outcome } else { None };
            }
        }
        None
    }
}

fn best_outcome_until(sightings: &[Sighting], list: usize) -> Option<usize> {
    sightings
        .iter()
        .filter(|sighting| sighting.fetch <= list)
        .filter_map(|sighting| sighting.best_outcome)
        .min()
}
