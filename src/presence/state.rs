//! The statuses of all extensions of an account. Pure.
//!
//! Two sources are combined: reads of the whole list, which are complete but old by the time they arrive, and events,
//! which are new but may be lost. A read replaces the state, except for what events said after it was requested. A gap
//! is a time in which events may have been lost: the state is whole again after the next read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use jiff::Timestamp;

use crate::presence::recent_ids::RecentIds;
use crate::presence::status::{DndStatus, ExtensionStatus, PresenceStatus, TelephonyStatus};

/// A notification about one extension. A field that it lacks has not changed.
#[derive(Clone, Debug)]
pub struct PresenceEvent {
    /// The id of the notification.
    pub uuid: Option<String>,
    /// The extension's internal id.
    pub extension: u64,
    /// The number of the event among those of its extension.
    pub sequence: Option<u64>,
    /// RingCentral's time of the event, else that of its arrival.
    pub timestamp: Timestamp,
    /// What the phone does.
    pub telephony: Option<TelephonyStatus>,
    /// Whether the person is reachable.
    pub presence: Option<PresenceStatus>,
    /// Which calls the person accepts.
    pub dnd: Option<DndStatus>,
}

/// Why an event was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// It was received already.
    Duplicate,
    /// A newer one of the extension was received before.
    Late,
    /// Neither the last read nor the directory has its extension.
    UnknownExtension,
}

/// A change of the telephony status that an event reports. After a missing sequence number it is the change from the
/// status that was reported last: a hole suggests a lost event but does not prove it, and the next audit counts what was
/// lost. Its duration is not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatusChange {
    /// The status before.
    pub from: TelephonyStatus,
    /// The status since.
    pub to: TelephonyStatus,
    /// How long the status before lasted, if its begin was seen.
    pub duration: Option<Duration>,
}

/// The statuses of all extensions.
#[derive(Debug, Default)]
pub struct PresenceState {
    rows: HashMap<u64, Row>,
    recent: RecentIds,
    /// Whether a read has succeeded since the last gap.
    is_whole: bool,
    /// Whether there was a gap since the present read was requested.
    is_read_outdated: bool,
}

/// What is known of one extension.
#[derive(Clone, Copy, Debug)]
struct Row {
    status: ExtensionStatus,
    /// The sequence of its newest event since the last gap.
    sequence: Option<u64>,
    /// Whether the telephony status was read or reported since the last gap.
    is_seen: bool,
    /// When the telephony status began, if an event reported it.
    began: Option<Timestamp>,
    /// Which fields events reported after the current read was requested.
    newer: Newer,
}

/// The fields that are newer than the read that was requested last.
#[derive(Clone, Copy, Debug, Default)]
struct Newer {
    telephony: bool,
    presence: bool,
    dnd: bool,
}

// === impl PresenceState ===

impl PresenceState {
    /// Marks the time at which a read of the whole list was requested: what events say from now on is newer.
    pub fn start_read(&mut self) {
        self.is_read_outdated = false;
        for row in self.rows.values_mut() {
            row.newer = Newer::default();
        }
    }

    /// Replaces the state by that of a read, except for what events said after it was requested. An extension that the
    /// read lacks stays if such an event named it and the directory `knows` it. A read that was requested before a gap
    /// changes nothing, since its rows may be older than what was missed.
    ///
    /// Returns the number of extensions whose status differs from what the events said, 0 for the first read after a gap.
    pub fn finish_read(
        &mut self,
        listed: impl IntoIterator<Item = (u64, ExtensionStatus)>,
        knows: impl Fn(u64) -> bool,
    ) -> u64 {
        if self.is_read_outdated {
            return 0;
        }
        let mut former = std::mem::take(&mut self.rows);
        let mut corrections = 0;
        for (extension, read) in listed {
            let mut row = former.remove(&extension).unwrap_or(Row::NEW);
            let was_seen = self.is_whole && row.is_seen;
            corrections += u64::from(was_seen && row.differs(read));
            row.apply_read(read);
            self.rows.insert(extension, row);
        }
        for (extension, row) in former {
            if row.newer.any() && knows(extension) {
                self.rows.insert(extension, row);
            }
        }
        self.is_whole = true;
        corrections
    }

    /// Applies an event. Returns the change of the telephony status that it reports, if the status before is known.
    ///
    /// # Errors
    /// Returns why the event must not be applied.
    pub fn apply(
        &mut self,
        event: &PresenceEvent,
        knows: impl Fn(u64) -> bool,
    ) -> Result<Option<StatusChange>, Discarded> {
        if let Some(uuid) = &event.uuid
            && !self.recent.insert(uuid)
        {
            return Err(Discarded::Duplicate);
        }
        let row = match self.rows.entry(event.extension) {
            Entry::Occupied(row) => row.into_mut(),
            // Before a read is finished, it is not known whether the list has the extension.
            Entry::Vacant(_) if self.is_whole && !knows(event.extension) => {
                return Err(Discarded::UnknownExtension);
            }
            Entry::Vacant(row) => row.insert(Row::NEW),
        };
        row.check_sequence(event.sequence)?;
        Ok(row.apply_event(event))
    }

    /// Records that events may have been lost. Nothing that spans this time is counted, and sequences start again.
    pub fn record_gap(&mut self) {
        self.is_whole = false;
        self.is_read_outdated = true;
        for row in self.rows.values_mut() {
            row.sequence = None;
            row.is_seen = false;
            row.began = None;
        }
    }

    /// Returns whether the state is complete and has no gap since the last read.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the status of each extension.
    pub fn statuses(&self) -> impl Iterator<Item = (u64, ExtensionStatus)> {
        self.rows.iter().map(|(id, row)| (*id, row.status))
    }

    /// Returns the number of extensions in each state that occurs.
    #[must_use]
    pub fn counts(&self) -> HashMap<ExtensionStatus, u64> {
        let mut counts = HashMap::new();
        for row in self.rows.values() {
            *counts.entry(row.status).or_default() += 1;
        }
        counts
    }
}

// === impl Row ===

impl Row {
    const NEW: Self = Self {
        status: ExtensionStatus::UNKNOWN,
        sequence: None,
        is_seen: false,
        began: None,
        newer: Newer {
            telephony: false,
            presence: false,
            dnd: false,
        },
    };

    /// Returns whether a read has another status than the events reported, apart from what is newer.
    fn differs(&self, read: ExtensionStatus) -> bool {
        self.merged(read) != self.status
    }

    /// Returns the status of a read with the fields that are newer.
    fn merged(&self, read: ExtensionStatus) -> ExtensionStatus {
        let newer = self.newer;
        ExtensionStatus {
            telephony: if newer.telephony {
                self.status.telephony
            } else {
                read.telephony
            },
            presence: if newer.presence {
                self.status.presence
            } else {
                read.presence
            },
            dnd: if newer.dnd { self.status.dnd } else { read.dnd },
        }
    }

    fn apply_read(&mut self, read: ExtensionStatus) {
        let merged = self.merged(read);
        if merged.telephony != self.status.telephony {
            self.began = None;
        }
        self.status = merged;
        self.is_seen = true;
    }

    fn check_sequence(&self, sequence: Option<u64>) -> Result<(), Discarded> {
        match (self.sequence, sequence) {
            (Some(last), Some(sequence)) if sequence == last => Err(Discarded::Duplicate),
            (Some(last), Some(sequence)) if sequence < last => Err(Discarded::Late),
            _ => Ok(()),
        }
    }

    fn apply_event(&mut self, event: &PresenceEvent) -> Option<StatusChange> {
        let is_next = self.is_next(event.sequence);
        if !is_next {
            self.began = None;
        }
        self.sequence = event.sequence.or(self.sequence);
        if let Some(presence) = event.presence {
            self.status.presence = presence;
            self.newer.presence = true;
        }
        if let Some(dnd) = event.dnd {
            self.status.dnd = dnd;
            self.newer.dnd = true;
        }
        let to = event.telephony?;
        let from = self.status.telephony;
        let was_seen = self.is_seen;
        self.newer.telephony = true;
        self.is_seen = true;
        if from == to && was_seen {
            return None;
        }
        let began = self.began;
        let change = StatusChange {
            from,
            to,
            duration: began.and_then(|began| duration_between(began, event.timestamp)),
        };
        self.status.telephony = to;
        // After a status that was not known, or an event that is missing, the status may have begun earlier: some bodies
        // have statuses that did not change.
        self.began = (was_seen && is_next).then_some(event.timestamp);
        was_seen.then_some(change)
    }

    /// Returns whether no event of the extension is missing before this one, as far as the sequences show. A missing one
    /// may have reported the end of the present status, and that it began again.
    fn is_next(&self, sequence: Option<u64>) -> bool {
        match (self.sequence, sequence) {
            (Some(last), Some(sequence)) => sequence.checked_sub(last) == Some(1),
            _ => true,
        }
    }
}

impl Newer {
    fn any(self) -> bool {
        self.telephony || self.presence || self.dnd
    }
}

fn duration_between(began: Timestamp, ended: Timestamp) -> Option<Duration> {
    ended.duration_since(began).try_into().ok()
}

#[cfg(test)]
mod tests {
    use TelephonyStatus::{CallConnected, NoCall, OnHold, Ringing};

    use super::*;

    const KNOWN: fn(u64) -> bool = |_| true;

    fn status(telephony: TelephonyStatus) -> ExtensionStatus {
        ExtensionStatus {
            telephony,
            presence: PresenceStatus::Available,
            dnd: DndStatus::TakeAllCalls,
        }
    }

    /// Returns an event of extension 7 at this second.
    fn event(second: i64, sequence: u64, telephony: TelephonyStatus) -> PresenceEvent {
        PresenceEvent {
            uuid: Some(format!("{second}-{sequence}")),
            extension: 7,
            sequence: Some(sequence),
            timestamp: Timestamp::from_second(second).unwrap(),
            telephony: Some(telephony),
            presence: None,
            dnd: None,
        }
    }

    fn read(state: &mut PresenceState, rows: &[(u64, ExtensionStatus)]) -> u64 {
        state.finish_read(rows.iter().copied(), KNOWN)
    }

    fn state_of(telephony: TelephonyStatus) -> PresenceState {
        let mut state = PresenceState::default();
        read(&mut state, &[(7, status(telephony))]);
        state
    }

    fn telephony(state: &PresenceState, extension: u64) -> Option<TelephonyStatus> {
        let row = state.rows.get(&extension)?;
        Some(row.status.telephony)
    }

    fn change(from: TelephonyStatus, to: TelephonyStatus, seconds: Option<u64>) -> StatusChange {
        let duration = seconds.map(Duration::from_secs);
        StatusChange { from, to, duration }
    }

    #[test]
    fn durations_are_those_of_statuses_seen_to_begin() {
        let mut state = state_of(NoCall);
        let mut changes = Vec::new();
        for (second, sequence, status) in [
            (10, 1, Ringing),
            (14, 2, CallConnected),
            (20, 3, CallConnected),
            (30, 4, NoCall),
        ] {
            changes.extend(
                state
                    .apply(&event(second, sequence, status), KNOWN)
                    .unwrap(),
            );
        }
        assert_eq!(
            changes,
            [
                change(NoCall, Ringing, None),
                change(Ringing, CallConnected, Some(4)),
                change(CallConnected, NoCall, Some(16)),
            ]
        );
    }

    #[test]
    fn older_and_repeated_events_are_discarded() {
        let mut state = state_of(NoCall);
        let first = event(10, 5, Ringing);
        state.apply(&first, KNOWN).unwrap();
        assert_eq!(state.apply(&first, KNOWN), Err(Discarded::Duplicate));
        assert_eq!(
            state.apply(&event(11, 5, NoCall), KNOWN),
            Err(Discarded::Duplicate)
        );
        assert_eq!(
            state.apply(&event(12, 4, NoCall), KNOWN),
            Err(Discarded::Late)
        );
        assert_eq!(telephony(&state, 7), Some(Ringing));
    }

    #[test]
    fn missing_sequence_number_ends_no_duration() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 5, Ringing), KNOWN).unwrap();
        let reported = state.apply(&event(20, 7, NoCall), KNOWN).unwrap();
        assert_eq!(reported, Some(change(Ringing, NoCall, None)));
    }

    #[test]
    fn missing_sequence_number_begins_no_duration() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 5, NoCall), KNOWN).unwrap();
        // The missing event may have reported the begin, and this one another field.
        state.apply(&event(20, 7, Ringing), KNOWN).unwrap();
        let reported = state.apply(&event(30, 8, NoCall), KNOWN).unwrap();
        assert_eq!(reported, Some(change(Ringing, NoCall, None)));
    }

    #[test]
    fn missing_sequence_number_ends_no_later_duration() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 5, Ringing), KNOWN).unwrap();
        // The missing event may have reported another status, and this one that it rings again.
        assert_eq!(state.apply(&event(20, 7, Ringing), KNOWN), Ok(None));
        let reported = state.apply(&event(30, 8, NoCall), KNOWN).unwrap();
        assert_eq!(reported, Some(change(Ringing, NoCall, None)));
    }

    #[test]
    fn read_requested_before_a_gap_changes_nothing() {
        let mut state = state_of(NoCall);
        state.start_read();
        state.record_gap();
        assert_eq!(read(&mut state, &[(7, status(OnHold))]), 0);
        assert!(!state.is_whole());
        assert_eq!(state.apply(&event(10, 1, Ringing), KNOWN), Ok(None));
        state.start_read();
        read(&mut state, &[(7, status(Ringing))]);
        assert!(state.is_whole());
    }

    #[test]
    fn event_after_the_request_of_a_read_wins() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 1, Ringing), KNOWN).unwrap();
        state.start_read();
        state.apply(&event(11, 2, CallConnected), KNOWN).unwrap();
        let mut listed = status(Ringing);
        listed.dnd = DndStatus::DoNotAcceptAnyCalls;
        assert_eq!(
            read(&mut state, &[(7, listed)]),
            1,
            "only the status that no event reported"
        );
        assert_eq!(telephony(&state, 7), Some(CallConnected));
        assert_eq!(state.rows[&7].status.dnd, DndStatus::DoNotAcceptAnyCalls);
    }

    #[test]
    fn audit_counts_statuses_that_events_did_not_report() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 1, Ringing), KNOWN).unwrap();
        state.start_read();
        assert_eq!(
            read(&mut state, &[(7, status(OnHold)), (8, status(NoCall))]),
            1
        );
        let change_after = state.apply(&event(20, 2, NoCall), KNOWN).unwrap();
        assert_eq!(
            change_after,
            Some(change(OnHold, NoCall, None)),
            "its begin was not seen"
        );
        state.start_read();
        assert_eq!(read(&mut state, &[(7, status(NoCall))]), 0);
        assert_eq!(
            telephony(&state, 8),
            None,
            "a row that the read lacks is gone"
        );
    }

    #[test]
    fn nothing_that_spans_a_gap_is_counted() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 5, Ringing), KNOWN).unwrap();
        state.record_gap();
        assert!(!state.is_whole());
        assert_eq!(
            state.apply(&event(20, 1, NoCall), KNOWN),
            Ok(None),
            "a lower sequence"
        );
        state.start_read();
        assert_eq!(
            read(&mut state, &[(7, status(OnHold))]),
            0,
            "a read after a gap is no audit"
        );
        assert!(state.is_whole());
        let change_after = state.apply(&event(30, 2, NoCall), KNOWN).unwrap();
        assert_eq!(change_after, Some(change(OnHold, NoCall, None)));
    }

    #[test]
    fn extension_that_the_read_lacks_needs_the_directory() {
        let mut state = PresenceState::default();
        state.start_read();
        let mut new = event(10, 1, Ringing);
        assert_eq!(
            state.apply(&new, |_| false),
            Ok(None),
            "the read is not finished"
        );
        state.finish_read([(8, status(NoCall))], |_| false);
        assert_eq!(telephony(&state, 7), None);
        new = event(11, 2, Ringing);
        assert_eq!(
            state.apply(&new, |_| false),
            Err(Discarded::UnknownExtension)
        );
        new = event(12, 3, Ringing);
        assert_eq!(state.apply(&new, KNOWN), Ok(None));
        assert_eq!(telephony(&state, 7), Some(Ringing));
        assert_eq!(state.counts().values().sum::<u64>(), 2);
    }
}
