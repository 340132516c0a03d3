//! The contract of presence, by another way than the exporter's: from the whole history of each extension since the
//! last gap, and with the truth at hand.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use ringcentral_exporter::presence::{
    Discarded, DndStatus, EventId, ExtensionStatus, PresenceEvent, PresenceStatus, StatusChange,
    TelephonyStatus,
};
use ringcentral_exporter::simulator::presence as truth;

use crate::mutants::Reducer;
use crate::recording::{Event, Input, Recording, changes_telephony};

/// How much newer than the newest event of an extension one with a lower sequence is if sequences have started again.
const RESTART_AFTER_MS: i64 = 60_000;

/// What happened in a day.
#[derive(Debug, Default)]
pub struct Report {
    pub events: u64,
    pub duplicates: u64,
    pub late: u64,
    pub unknown_extensions: u64,
    pub gaps: u64,
    pub stale_reads: u64,
    pub corrections: u64,
    /// Events with a lower sequence that were applied, since they were too new to be late.
    pub restarts: u64,
    pub changes: u64,
    pub durations: u64,
    /// States that were the first after a gap, and whose begin was reported by a later event than its own, which was
    /// lost: nothing can show it.
    pub first_states_reported_late: u64,
    /// Events after which the state of the extension had to equal the truth.
    pub confirmed_by_truth: u64,
}

/// What is known of an extension, in the order of arrival.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Reported {
        /// The position among all inputs.
        position: usize,
        sequence: u64,
        at_ms: i64,
        reported: Reported,
        /// Whether it was counted as a change of telephony status.
        is_change: bool,
    },
    Read {
        /// The position of the first input that is newer.
        newer_from: usize,
        row: ExtensionStatus,
        /// Whether it corrected what events had reported.
        is_correction: bool,
        /// Whether the telephony status became another one.
        changed_telephony: bool,
    },
}

/// The fields of an event.
#[derive(Clone, Copy, Debug)]
struct Reported {
    telephony: Option<TelephonyStatus>,
    presence: Option<PresenceStatus>,
    dnd: Option<DndStatus>,
}

/// The facts about an extension since the last gap.
#[derive(Clone, Debug, Default)]
struct History(Vec<Fact>);

impl History {
    /// Returns a field: of the newest event that is newer than the last read, else of that read, else of any event.
    fn field<T: Copy>(
        &self,
        reported: impl Fn(&Reported) -> Option<T>,
        listed: impl Fn(&ExtensionStatus) -> T,
    ) -> Option<T> {
        let read = self.0.iter().rev().find_map(|fact| match fact {
            Fact::Read {
                newer_from, row, ..
            } => Some((*newer_from, listed(row))),
            Fact::Reported { .. } => None,
        });
        let newer_from = read.map_or(0, |(newer_from, _)| newer_from);
        let newest = self.0.iter().rev().find_map(|fact| match fact {
            Fact::Reported {
                position,
                reported: fields,
                ..
            } if *position >= newer_from => reported(fields),
            _ => None,
        });
        newest.or(read.map(|(_, listed)| listed))
    }

    fn telephony(&self) -> Option<TelephonyStatus> {
        self.field(|reported| reported.telephony, |row| row.telephony)
    }

    fn status(&self) -> ExtensionStatus {
        let unknown = ExtensionStatus::UNKNOWN;
        let presence = self.field(|reported| reported.presence, |row| row.presence);
        let dnd = self.field(|reported| reported.dnd, |row| row.dnd);
        ExtensionStatus {
            telephony: self.telephony().unwrap_or(unknown.telephony),
            presence: presence.unwrap_or(unknown.presence),
            dnd: dnd.unwrap_or(unknown.dnd),
        }
    }

    /// Returns the sequence and the time of the newest event since the last correction.
    fn last_event(&self) -> Option<(u64, i64)> {
        for fact in self.0.iter().rev() {
            match fact {
                Fact::Reported {
                    sequence, at_ms, ..
                } => return Some((*sequence, *at_ms)),
                Fact::Read { is_correction, .. } if *is_correction => return None,
                Fact::Read { .. } => {}
            }
        }
        None
    }

    /// Returns when the present telephony status began, if it did with a change that was reported, and no event is
    /// missing from before that change until the event with sequence `next`. What was before a correction is not known.
    fn began(&self, mut next: u64) -> Option<Began> {
        let mut began = None;
        for fact in self.0.iter().rev() {
            match fact {
                Fact::Read {
                    is_correction,
                    changed_telephony,
                    ..
                } => {
                    if began.is_none() && *changed_telephony {
                        return None;
                    }
                    if *is_correction {
                        break;
                    }
                }
                Fact::Reported { sequence, .. } if *sequence + 1 != next => return None,
                Fact::Reported { .. } if began.is_some() => return began,
                Fact::Reported {
                    sequence,
                    at_ms,
                    is_change,
                    ..
                } => {
                    next = *sequence;
                    began = is_change.then_some(Began {
                        at_ms: *at_ms,
                        is_first: false,
                    });
                }
            }
        }
        began.map(|began| Began {
            is_first: true,
            ..began
        })
    }
}

/// When a status began.
#[derive(Clone, Copy)]
struct Began {
    at_ms: i64,
    /// Whether no event since the last gap or correction was before it, so that a missing one cannot be noticed.
    is_first: bool,
}

struct Verifier<'a> {
    recording: &'a Recording,
    histories: HashMap<u64, History>,
    is_whole: bool,
    /// The position of the first input that is newer than the present read.
    newer_from: usize,
    /// Whether there was a gap since the present read was requested.
    is_stale: bool,
    uuids: HashSet<&'a str>,
    /// The number of extensions in each state, while the state is whole.
    counts: HashMap<ExtensionStatus, u64>,
    /// The number of changes of each extension after which the truth is the known state; absent where they differ.
    synced: HashMap<u64, usize>,
    /// The states of the truth: extension, begin and length in milliseconds.
    states: HashSet<(u64, i64, i64)>,
    report: Report,
}

/// Feeds a day to a reducer, and compares it with the contract and with the truth after each input.
///
/// # Errors
/// Returns the first difference.
pub fn verify(reducer: &mut dyn Reducer, recording: &Recording) -> Result<Report, String> {
    let mut verifier = Verifier {
        recording,
        histories: HashMap::new(),
        is_whole: false,
        newer_from: 0,
        is_stale: false,
        uuids: HashSet::new(),
        counts: HashMap::new(),
        synced: HashMap::new(),
        states: true_states(recording),
        report: Report::default(),
    };
    for (position, (at, input)) in recording.inputs.iter().enumerate() {
        let step = verifier.step(reducer, position, *at, input);
        step.map_err(|failure| format!("at {at}: {failure}"))?;
    }
    Ok(verifier.report)
}

impl<'a> Verifier<'a> {
    fn step(
        &mut self,
        reducer: &mut dyn Reducer,
        position: usize,
        at: i64,
        input: &'a Input,
    ) -> Result<(), String> {
        match input {
            Input::StartRead => {
                reducer.start_read();
                self.newer_from = position;
                self.is_stale = false;
            }
            Input::FinishRead(rows) => self.finish_read(reducer, at, rows)?,
            Input::Event(event) => self.event(reducer, position, at, event)?,
            Input::Gap => {
                reducer.record_gap();
                self.report.gaps += 1;
                self.histories.clear();
                self.counts.clear();
                self.synced.clear();
                (self.is_whole, self.is_stale) = (false, true);
            }
        }
        equal("is_whole", &reducer.is_whole(), &self.is_whole)?;
        if !self.is_whole {
            return Ok(());
        }
        if !matches!(input, Input::Event(_)) {
            self.compare_states(reducer)?;
        }
        self.compare_counts(reducer)
    }

    /// Compares the gauges.
    fn compare_counts(&self, reducer: &dyn Reducer) -> Result<(), String> {
        equal("counts of states", &reducer.counts(), &self.counts)
    }

    /// Compares the state of every extension.
    fn compare_states(&mut self, reducer: &dyn Reducer) -> Result<(), String> {
        self.counts.clear();
        let actual = reducer.statuses();
        for (extension, history) in &self.histories {
            let expected = history.status();
            *self.counts.entry(expected).or_default() += 1;
            let found = actual.get(extension);
            equal(&format!("state of {extension}"), &found, &Some(&expected))?;
        }
        equal("number of states", &actual.len(), &self.histories.len())
    }

    fn finish_read(
        &mut self,
        reducer: &mut dyn Reducer,
        at: i64,
        rows: &[(u64, truth::Presence, i64)],
    ) -> Result<(), String> {
        let listed: Vec<_> = rows.iter().map(|row| (row.0, status(row.1))).collect();
        let knows = |extension| self.recording.knows(extension, at);
        let output = reducer.finish_read(&listed, &knows);
        equal("changes reported by a read", &output.changes, &Vec::new())?;
        if self.is_stale {
            self.report.stale_reads += 1;
            return equal("corrections of a stale read", &output.corrections, &0);
        }
        let mut corrections = 0;
        let mut former = std::mem::take(&mut self.histories);
        for (extension, row, read_at) in rows {
            let mut history = former.remove(extension).unwrap_or_default();
            let is_known = self.is_whole && !history.0.is_empty();
            let before = history.status();
            let index = history.0.len();
            history.0.push(Fact::Read {
                newer_from: self.newer_from,
                row: status(*row),
                is_correction: false,
                changed_telephony: false,
            });
            let after = history.status();
            let is_wrong = is_known && is_contradicted(before, after);
            corrections += u64::from(is_wrong);
            if let Fact::Read {
                is_correction,
                changed_telephony,
                ..
            } = &mut history.0[index]
            {
                *is_correction = is_wrong;
                *changed_telephony = before.telephony != after.telephony;
            }
            self.sync_with_read(*extension, *read_at, &history);
            self.histories.insert(*extension, history);
        }
        for (extension, mut history) in former {
            history.0.retain(
                |fact| matches!(fact, Fact::Reported { position, .. } if *position >= self.newer_from),
            );
            if !history.0.is_empty() && self.recording.knows(extension, at) {
                self.histories.insert(extension, history);
            } else {
                self.synced.remove(&extension);
            }
        }
        equal("corrections", &output.corrections, &corrections)?;
        self.report.corrections += corrections;
        self.is_whole = true;
        Ok(())
    }

    /// Notes the truth that a row and the newer events must result in, if these continue it.
    fn sync_with_read(&mut self, extension: u64, read_at: i64, history: &History) {
        let listed = self.recording.changes_until(extension, read_at);
        let mut newer = history.0.iter();
        if newer.any(
            |fact| matches!(fact, Fact::Reported { position, .. } if *position >= self.newer_from),
        ) {
            // The same events may be in the row already.
            let is_true = status(self.recording.truth(extension, listed)) == history.status();
            let synced = self.synced.get(&extension).copied();
            match synced {
                Some(synced) if synced >= listed => {}
                _ if is_true => drop(self.synced.insert(extension, listed)),
                _ => drop(self.synced.remove(&extension)),
            }
            return;
        }
        self.synced.insert(extension, listed);
    }

    fn event(
        &mut self,
        reducer: &mut dyn Reducer,
        position: usize,
        at: i64,
        event: &'a Event,
    ) -> Result<(), String> {
        let extension = event.change.extension_id;
        let reported = self.reported(event);
        let knows = |extension| self.recording.knows(extension, at);
        let arrived = Timestamp::from_millisecond(at).unwrap();
        let result = reducer.apply(&presence_event(event, reported, arrived), &knows);
        self.report.events += 1;
        if let Some(reason) = self.discarded(event, at) {
            return equal("discarded event", &result, &Err(reason));
        }
        let change = self.expected_change(event, reported);
        equal("change or discarded event", &result, &Ok(change))?;
        self.check_truth(event, reported, change)?;
        let fact = Fact::Reported {
            position,
            sequence: event.sequence,
            at_ms: event.change.at_ms,
            reported,
            is_change: change.is_some(),
        };
        self.record_event(extension, fact);
        self.sync_with_event(event);
        self.report.changes += u64::from(change.is_some());
        self.report.durations += u64::from(change.is_some_and(|it| it.duration.is_some()));
        let Some(synced) = self.synced.get(&extension) else {
            return Ok(());
        };
        self.report.confirmed_by_truth += 1;
        let expected = status(self.recording.truth(extension, *synced));
        equal(
            "known state and truth",
            &self.histories[&extension].status(),
            &expected,
        )
    }

    /// Appends a fact to the history of an extension, and keeps the counts of states up to date.
    fn record_event(&mut self, extension: u64, fact: Fact) {
        if let Some(history) = self.histories.get(&extension)
            && let Some(count) = self.counts.get_mut(&history.status())
        {
            *count -= 1;
        }
        self.counts.retain(|_, count| *count > 0);
        let history = self.histories.entry(extension).or_default();
        history.0.push(fact);
        *self.counts.entry(history.status()).or_default() += 1;
    }

    /// Returns why an event must not be applied.
    fn discarded(&mut self, event: &'a Event, at: i64) -> Option<Discarded> {
        let extension = event.change.extension_id;
        if !self.uuids.insert(&event.uuid) {
            self.report.duplicates += 1;
            return Some(Discarded::Duplicate);
        }
        let Some(history) = self.histories.get(&extension) else {
            if self.is_whole && !self.recording.knows(extension, at) {
                self.report.unknown_extensions += 1;
                return Some(Discarded::UnknownExtension);
            }
            return None;
        };
        let (last, last_ms) = history.last_event()?;
        if event.sequence == last {
            self.report.duplicates += 1;
            return Some(Discarded::Duplicate);
        }
        if event.sequence > last {
            return None;
        }
        if event.change.at_ms >= last_ms + RESTART_AFTER_MS {
            self.report.restarts += 1;
            return None;
        }
        self.report.late += 1;
        Some(Discarded::Late)
    }

    fn expected_change(&self, event: &Event, reported: Reported) -> Option<StatusChange> {
        let history = self.histories.get(&event.change.extension_id)?;
        let (from, to) = (history.telephony()?, reported.telephony?);
        if from == to {
            return None;
        }
        let began = history.began(event.sequence);
        let millis = began.map(|began| (event.change.at_ms - began.at_ms).unsigned_abs());
        Some(StatusChange {
            from,
            to,
            duration: millis.map(Duration::from_millis),
        })
    }

    /// Checks that what is counted happened: a change that continues the truth, a duration of one whole state.
    fn check_truth(
        &mut self,
        event: &Event,
        reported: Reported,
        change: Option<StatusChange>,
    ) -> Result<(), String> {
        let extension = event.change.extension_id;
        if self.synced.get(&extension) == Some(&event.index) && reported.telephony.is_some() {
            let is_true = changes_telephony(&event.change);
            equal("change that is true", &change.is_some(), &is_true)?;
        }
        if let Some(duration) = change.and_then(|change| change.duration) {
            let length = duration.as_millis() as i64;
            let state = (extension, event.change.at_ms - length, length);
            if !self.states.contains(&state) {
                let began = self.histories[&extension].began(event.sequence);
                let is_first = began.is_some_and(|began| began.is_first);
                self.report.first_states_reported_late += 1;
                return equal("duration that is true", &is_first, &true);
            }
        }
        Ok(())
    }

    fn sync_with_event(&mut self, event: &Event) {
        let extension = event.change.extension_id;
        let continues = self.synced.get(&extension) == Some(&event.index);
        if continues || !self.recording.only_changed {
            self.synced.insert(extension, event.index + 1);
        } else if self.synced.get(&extension) != Some(&(event.index + 1)) {
            self.synced.remove(&extension);
        }
    }

    /// Returns the fields of an event in the form of the recording.
    fn reported(&self, event: &Event) -> Reported {
        let (from, to) = (status(event.change.from), status(event.change.to));
        let all = !self.recording.only_changed;
        Reported {
            telephony: (all || from.telephony != to.telephony).then_some(to.telephony),
            presence: (all || from.presence != to.presence).then_some(to.presence),
            dnd: (all || from.dnd != to.dnd).then_some(to.dnd),
        }
    }
}

fn presence_event(event: &Event, reported: Reported, arrived: Timestamp) -> PresenceEvent {
    PresenceEvent {
        id: Some(EventId::new(&event.uuid)),
        extension: event.change.extension_id,
        sequence: Some(event.sequence),
        timestamp: Timestamp::from_millisecond(event.change.at_ms).ok(),
        arrived,
        telephony: reported.telephony,
        presence: reported.presence,
        dnd: reported.dnd,
    }
}

/// Returns all states of the truth that begin and end within the day.
fn true_states(recording: &Recording) -> HashSet<(u64, i64, i64)> {
    let mut states = HashSet::new();
    for (extension, changes) in &recording.changes {
        let mut began = None;
        for change in changes {
            if changes_telephony(change)
                && let Some(began) = began.replace(change.at_ms)
            {
                states.insert((*extension, began, change.at_ms - began));
            }
        }
    }
    states
}

/// Returns the exporter's form of the simulator's statuses.
pub fn status(presence: truth::Presence) -> ExtensionStatus {
    ExtensionStatus {
        telephony: match presence.telephony {
            truth::TelephonyStatus::NoCall => TelephonyStatus::NoCall,
            truth::TelephonyStatus::ParkedCall => TelephonyStatus::ParkedCall,
            truth::TelephonyStatus::OnHold => TelephonyStatus::OnHold,
            truth::TelephonyStatus::Ringing => TelephonyStatus::Ringing,
            truth::TelephonyStatus::CallConnected => TelephonyStatus::CallConnected,
        },
        presence: match presence.presence {
            truth::Reachability::Available => PresenceStatus::Available,
            truth::Reachability::Busy => PresenceStatus::Busy,
            truth::Reachability::Offline => PresenceStatus::Offline,
        },
        dnd: match presence.dnd {
            truth::DndStatus::TakeAllCalls => DndStatus::TakeAllCalls,
            truth::DndStatus::TakeDepartmentCallsOnly => DndStatus::TakeDepartmentCallsOnly,
            truth::DndStatus::DoNotAcceptDepartmentCalls => DndStatus::DoNotAcceptDepartmentCalls,
            truth::DndStatus::DoNotAcceptAnyCalls => DndStatus::DoNotAcceptAnyCalls,
        },
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    actual: &T,
    expected: &T,
) -> Result<(), String> {
    if actual == expected {
        return Ok(());
    }
    Err(format!("{what}: {actual:?} instead of {expected:?}"))
}

/// Returns whether a read gives another status than a known one. A status that no event has reported was not wrong.
fn is_contradicted(before: ExtensionStatus, after: ExtensionStatus) -> bool {
    let telephony = before.telephony != TelephonyStatus::Unknown;
    let presence = before.presence != PresenceStatus::Unknown;
    let dnd = before.dnd != DndStatus::Unknown;
    telephony && before.telephony != after.telephony
        || presence && before.presence != after.presence
        || dnd && before.dnd != after.dnd
}
