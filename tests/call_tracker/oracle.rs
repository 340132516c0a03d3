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
/// The time without a live or newly ended record after which a session has ended.
const SESSION_END_WAIT_MS: i64 = 45_000;
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

/// Returns the id that all records of a session have.
fn session(record: &Record) -> &str {
    &record.session_id
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
    count_ended(&switchboard.ended_between(after, until))
}

/// Returns the counts of ended records.
fn count_ended(ended: &[Record]) -> CounterTotals {
    let mut totals = CounterTotals::default();
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
    count_sessions(&switchboard.ended_between(after, until))
}

/// Returns the number of sessions by the best outcome of their records.
fn count_sessions(ended: &[Record]) -> CounterTotals {
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

/// Returns all counts of a day whose calls have begun and ended, by the switchboard only.
pub fn whole_day(ended: &[Record]) -> CounterTotals {
    let sessions = count_sessions(ended);
    let mut totals = count_ended(ended);
    totals.add("sessions_started", sessions.total("sessions_ended"));
    totals.add_all(&sessions);
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
    /// Whether the list is the first that shows the end of a record.
    has_new_end: bool,
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
            let known = self.records.entry(record.id.clone()).or_default();
            let has_new_end = known.best_outcome.is_none() && !record.is_live();
            known.record(fetch, record);
            let sightings = self.sessions.entry(session(record).to_owned()).or_default();
            if sightings
                .last()
                .is_none_or(|sighting| sighting.fetch != fetch)
            {
                sightings.push(Sighting::default());
            }
            let sighting = sightings.last_mut().unwrap();
            sighting.record(fetch, record);
            sighting.has_new_end |= has_new_end;
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
    /// The wait for the end begins with the first list without a live record, and again with one that shows the end
    /// of a further record. A list without the session shows none of its records as live. A session that the first
    /// list shows as ended is part of the baseline, unless a later list shows a live record.
    fn session_outcome(&self, sightings: &[Sighting]) -> Option<usize> {
        let mut sightings = sightings.iter().peekable();
        let mut is_baseline = false;
        let mut best_outcome = None;
        let mut waits_since = None;
        for fetch in sightings.peek()?.fetch..self.fetch_times.len() {
            let now = self.fetch_times[fetch];
            if let Some(sighting) = sightings.next_if(|sighting| sighting.fetch == fetch) {
                let outcomes = best_outcome.into_iter().chain(sighting.best_outcome);
                best_outcome = outcomes.min();
                if sighting.was_live {
                    (is_baseline, waits_since) = (false, None);
                    continue;
                }
                is_baseline |= fetch == 0;
                if sighting.has_new_end {
                    waits_since = Some(now);
                }
            }
            let since = *waits_since.get_or_insert(now);
            if !is_baseline && best_outcome.is_some() && now - since >= SESSION_END_WAIT_MS {
                return best_outcome;
            }
        }
        None
    }
}
