//! What must have been counted: the rules of the contract, written a second time.
//!
//! Owns: the calls that ended, asked of the switchboard whatever was fetched; and, of the lists that were fetched,
//! what became of each session and each record, told from its whole history at the end of the day. Reads the
//! simulator's records and none of the exporter's types.

use std::collections::{BTreeSet, HashMap};

use ringcentral_exporter::simulator::{Record, Switchboard};

use crate::counter_totals::Tally;

/// Two lists further apart than this are a gap.
const GAP_MS: i64 = 100_000;
/// A record is given up so long after it was last seen.
const FORGOTTEN_MS: i64 = 600_000;
/// The best first.
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

/// A place in [`OUTCOMES`].
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
    let id = record.extension_id.map(|id| id.to_string());
    own_side
        .extension_number
        .clone()
        .or(id)
        .unwrap_or_else(|| "none".to_owned())
}

/// The calls whose end the list first tells of after `after` and not after `until`.
pub fn ended(switchboard: &Switchboard, after: i64, until: i64) -> Tally {
    let mut tally = Tally::default();
    for record in switchboard
        .ended_between(after, until)
        .iter()
        .filter(is_call)
    {
        let (direction, result, outcome) = (
            record.direction.name(),
            result(record),
            OUTCOMES[outcome(record)],
        );
        let ms = record.duration_ms.unwrap();
        let told_ms = if record.shows_duration_ms {
            ms
        } else {
            ms - ms % 1000
        };
        tally.add(format_args!("calls_ended {direction} {result}"), 1);
        tally.add(
            format_args!("extension_calls_ended {} {result}", extension(record)),
            1,
        );
        tally.add(format_args!("duration_count {direction} {outcome}"), 1);
        tally.add(format_args!("duration_ms {direction} {outcome}"), told_ms);
    }
    tally
}

/// The sessions that have a record among those, by the best of their outcomes.
pub fn sessions_ended(switchboard: &Switchboard, after: i64, until: i64) -> Tally {
    let ended = switchboard.ended_between(after, until);
    let mut best = HashMap::new();
    for record in ended.iter().filter(is_call) {
        let outcome = outcome(record);
        best.entry(session(record))
            .and_modify(|best| *best = outcome.min(*best))
            .or_insert(outcome);
    }
    let mut tally = Tally::default();
    for outcome in best.into_values() {
        tally.add(format_args!("sessions_ended {}", OUTCOMES[outcome]), 1);
    }
    tally
}

/// The gauges of one list.
pub fn gauges(records: &[Record]) -> Tally {
    let calls = || records.iter().filter(is_call);
    let live = || calls().filter(|record| record.duration_ms.is_none());
    let mut tally = Tally::default();
    for record in calls() {
        let direction = record.direction.name();
        tally.add(
            format_args!(
                "active_calls {direction} {} {}",
                result(record),
                extension(record)
            ),
            1,
        );
    }
    for record in live() {
        tally.add(
            format_args!("calls_in_progress {}", record.direction.name()),
            1,
        );
    }
    tally.add(
        "sessions_in_progress",
        live().map(session).collect::<BTreeSet<_>>().len() as i64,
    );
    tally.add(
        "extensions_in_call",
        live()
            .filter_map(|r| r.extension_id)
            .collect::<BTreeSet<_>>()
            .len() as i64,
    );
    tally.add(
        "oldest_start_ms",
        live().map(|record| record.start_ms).min().unwrap_or(0),
    );
    tally
}

/// Everything that one life of the exporter got to see.
#[derive(Default)]
pub struct History {
    fetches: Vec<i64>,
    sessions: HashMap<String, Vec<Sight>>,
    records: HashMap<String, Sight>,
}

/// What one list, or for a record all of them, showed.
#[derive(Clone, Copy, Default)]
struct Sight {
    fetch: usize,
    live: bool,
    best: Option<usize>,
}

impl Sight {
    fn note(&mut self, fetch: usize, record: &Record) {
        self.fetch = fetch;
        match record.is_live() {
            true => self.live = true,
            false => self.best = self.best.into_iter().chain([outcome(record)]).min(),
        }
    }
}

impl History {
    pub fn see(&mut self, at: i64, records: &[Record]) {
        let fetch = self.fetches.len();
        self.fetches.push(at);
        for record in records.iter().filter(is_call) {
            self.records
                .entry(record.id.clone())
                .or_default()
                .note(fetch, record);
            let sights = self.sessions.entry(session(record).to_owned()).or_default();
            if sights.last().is_none_or(|sight| sight.fetch != fetch) {
                sights.push(Sight::default());
            }
            sights.last_mut().unwrap().note(fetch, record);
        }
    }

    pub fn first(&self) -> i64 {
        *self.fetches.first().unwrap()
    }

    pub fn last(&self) -> i64 {
        *self.fetches.last().unwrap()
    }

    pub fn len(&self) -> usize {
        self.fetches.len()
    }

    /// What became of the sessions, and what went unseen.
    pub fn told(&self) -> Tally {
        let mut tally = Tally::default();
        for sights in self.sessions.values() {
            tally.add("sessions_started", (sights[0].fetch > 0).into());
            if let Some(outcome) = self.end(sights) {
                tally.add(format_args!("sessions_ended {}", OUTCOMES[outcome]), 1);
            }
        }
        let gaps = self
            .fetches
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > GAP_MS)
            .count();
        tally.add("coverage_gaps", gaps as i64);
        let given_up = |sight: &&Sight| self.fetches[sight.fetch] + FORGOTTEN_MS <= self.last();
        let lost = self
            .records
            .values()
            .filter(|sight| sight.live && sight.best.is_none());
        tally.add("calls_lost", lost.filter(given_up).count() as i64);
        tally
    }

    /// The outcome of a session that ended after the first list: at the first list that shows none of its records live
    /// when one has been seen ended. A list that does not show the session at all shows none of it live.
    fn end(&self, sights: &[Sight]) -> Option<usize> {
        let lists = sights
            .iter()
            .flat_map(|sight| [sight.fetch, sight.fetch + 1]);
        let over = lists
            .filter(|list| *list < self.fetches.len())
            .find(|list| {
                let is_live = sights
                    .iter()
                    .any(|sight| sight.fetch == *list && sight.live);
                !is_live && best_until(sights, *list).is_some()
            })?;
        best_until(sights, over).filter(|_| over > 0)
    }
}

fn best_until(sights: &[Sight], list: usize) -> Option<usize> {
    sights
        .iter()
        .filter(|sight| sight.fetch <= list)
        .filter_map(|sight| sight.best)
        .min()
}
