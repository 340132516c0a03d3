//! The statuses of all extensions of an account. Pure.
//!
//! Two sources are combined: reads of the whole list, which are complete but old by the time they arrive, and events,
//! which are new but may be lost. A read replaces the state, except for what events said after it was requested or just
//! before. A gap is a time in which events may have been lost: the state is whole again after the next read.
//!
//! Sequence numbers order the events of an extension. A missing number is not a gap: it hints at a lost event but does
//! not prove it, since RingCentral does not say which numbers it sends. The next audit counts what was lost.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::label_enum::label_enum;
use crate::presence::recent_ids::{EventId, RecentIds};
use crate::presence::status::{DndStatus, ExtensionStatus, PresenceStatus, TelephonyStatus};

/// The maximum number of extensions, which is that of a list. Before the first read nothing says which ones exist.
const MAX_ROWS: usize = 100_000;
/// How much newer than the newest event of its extension an event with a lower sequence is, so that it cannot be a late
/// one: the sequences have started again. Clocks of servers differ by less.
const RESTART_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// A notification about one extension. A field that it lacks has not changed.
#[derive(Clone, Copy, Debug)]
pub struct PresenceEvent {
    /// The id of the notification.
    pub id: Option<EventId>,
    /// The extension's internal id.
    pub extension: u64,
    /// The number of the event among those of its extension.
    pub sequence: Option<u64>,
    /// RingCentral's time of the event, if it has a usable one.
    pub timestamp: Option<Timestamp>,
    /// The time of its arrival.
    pub arrived: Timestamp,
    /// What the phone does.
    pub telephony: Option<TelephonyStatus>,
    /// Whether the person is reachable.
    pub presence: Option<PresenceStatus>,
    /// Which calls the person accepts.
    pub dnd: Option<DndStatus>,
}

label_enum! {
    /// Why a notification was not applied.
    Discarded {
        /// It was received already.
        Duplicate = "duplicate",
        /// A newer one of the extension was received before.
        Late = "late",
        /// It could not be parsed.
        Unreadable = "unreadable",
        /// Neither the last read nor the directory has its extension.
        UnknownExtension = "unknown_extension",
    }
}

/// A change of the telephony status that an event reports. After a missing sequence number it is the change from the
/// status that was reported last, and its duration is not known.
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
    /// Sorted by id.
    rows: Vec<Row>,
    recent: RecentIds,
    /// Whether a read has succeeded since the last gap.
    is_whole: bool,
    /// Whether there was a gap since the present read was requested.
    is_read_outdated: bool,
    /// The number of reads that were requested, 0 before the first. A clock cannot say what is newer: it may be set back.
    reads: u64,
}

/// A time in milliseconds since 1970, which takes half the memory of a [`Timestamp`].
type Millis = i64;

/// What is known of one extension.
#[derive(Clone, Copy, Debug)]
struct Row {
    extension: u64,
    status: ExtensionStatus,
    /// That of its newest event since the last gap or correction.
    sequence: Option<Sequence>,
    /// Whether the telephony status was read or reported since the last gap.
    is_seen: bool,
    /// When the telephony status began, if an event reported it.
    began: Option<Began>,
    reported: Reported,
}

/// The number of an event among those of its extension.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    number: u64,
    /// RingCentral's time of the event.
    timestamp: Option<Timestamp>,
}

/// The begin of a status.
#[derive(Clone, Copy, Debug)]
struct Began {
    at: Millis,
    /// Whether that is RingCentral's time and not that of the arrival.
    has_timestamp: bool,
}

/// The number of reads that had been requested when the newest event with each field arrived, 0 if there is none since
/// the last gap.
#[derive(Clone, Copy, Debug)]
struct Reported {
    telephony: u64,
    presence: u64,
    dnd: u64,
}

// === impl PresenceEvent ===

impl PresenceEvent {
    /// Returns RingCentral's time of the event, else that of its arrival.
    fn at(&self) -> Millis {
        self.timestamp.unwrap_or(self.arrived).as_millisecond()
    }
}

// === impl PresenceState ===

impl PresenceState {
    /// Records that a read of the whole list is requested now: what events say from now on is newer.
    pub fn start_read(&mut self) {
        self.is_read_outdated = false;
        self.reads += 1;
    }

    /// Replaces the state by that of a read, except for what events said that are newer. Of several rows of an
    /// extension the last one counts, since it is on a later page. An extension that the read lacks stays if such an
    /// event named it and the directory `knows` it. A read that was requested before a gap changes nothing, since its
    /// rows may be older than what was missed.
    ///
    /// Returns the number of extensions whose status differs from what the events said, 0 for the first read after a
    /// gap.
    pub fn finish_read(
        &mut self,
        listed: impl IntoIterator<Item = (u64, ExtensionStatus)>,
        knows: impl Fn(u64) -> bool,
    ) -> u64 {
        if self.is_read_outdated {
            return 0;
        }
        let listed = last_rows(listed);
        let mut rows = self.unlisted_rows(&listed, knows);
        let mut corrections = 0;
        for (extension, read) in listed {
            let mut row = self.row(extension).copied().unwrap_or(Row::new(extension));
            let is_correction = row.apply_read(read, self.reads, self.is_whole);
            corrections += u64::from(is_correction);
            rows.push(row);
        }
        rows.sort_unstable_by_key(|row| row.extension);
        self.rows = rows;
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
        if event.id.is_some_and(|id| !self.recent.insert(id)) {
            return Err(Discarded::Duplicate);
        }
        let reads = self.reads;
        let row = self.row_or_new(event.extension, knows);
        row.ok_or(Discarded::UnknownExtension)?
            .apply_event(event, reads)
    }

    /// Records that events may have been lost. Nothing that spans this time is counted, and sequences start again.
    pub fn record_gap(&mut self) {
        self.is_whole = false;
        self.is_read_outdated = true;
        for row in &mut self.rows {
            row.sequence = None;
            row.is_seen = false;
            row.began = None;
            row.reported = Reported::NEVER;
        }
    }

    /// Removes the extensions that are not to be kept.
    pub fn retain(&mut self, mut is_kept: impl FnMut(u64) -> bool) {
        self.rows.retain(|row| is_kept(row.extension));
    }

    /// Returns whether the state is complete and has no gap since the last read.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the status of each extension, sorted by id.
    pub fn statuses(&self) -> impl Iterator<Item = (u64, ExtensionStatus)> {
        self.rows.iter().map(|row| (row.extension, row.status))
    }

    /// Returns the number of extensions in each state that occurs.
    #[must_use]
    pub fn counts(&self) -> HashMap<ExtensionStatus, u64> {
        let mut counts = HashMap::new();
        for row in &self.rows {
            *counts.entry(row.status).or_default() += 1;
        }
        counts
    }

    /// Returns the rows that a list lacks but newer events named, with room for the list.
    fn unlisted_rows(
        &self,
        listed: &[(u64, ExtensionStatus)],
        knows: impl Fn(u64) -> bool,
    ) -> Vec<Row> {
        let mut rows = Vec::with_capacity(listed.len());
        for row in &self.rows {
            let position = listed.binary_search_by_key(&row.extension, |(id, _)| *id);
            let is_newer = self.reads <= row.reported.last();
            if position.is_err() && is_newer && knows(row.extension) {
                rows.push(*row);
            }
        }
        rows
    }

    /// Returns the row of an extension. One that has none gets one if the directory `knows` it, or before a read is
    /// finished, since it is not known then whether the list has it.
    fn row_or_new(&mut self, extension: u64, knows: impl Fn(u64) -> bool) -> Option<&mut Row> {
        let index = match self.position(extension) {
            Ok(index) => index,
            Err(_) if self.rows.len() >= MAX_ROWS => return None,
            Err(_) if self.is_whole && !knows(extension) => return None,
            Err(index) => {
                self.rows.insert(index, Row::new(extension));
                index
            }
        };
        self.rows.get_mut(index)
    }

    fn position(&self, extension: u64) -> Result<usize, usize> {
        self.rows
            .binary_search_by_key(&extension, |row| row.extension)
    }

    fn row(&self, extension: u64) -> Option<&Row> {
        self.rows.get(self.position(extension).ok()?)
    }
}

/// Returns the last row of each extension, sorted by id.
fn last_rows(
    listed: impl IntoIterator<Item = (u64, ExtensionStatus)>,
) -> Vec<(u64, ExtensionStatus)> {
    let mut rows: Vec<_> = listed.into_iter().collect();
    rows.reverse();
    rows.sort_by_key(|(extension, _)| *extension);
    rows.dedup_by_key(|(extension, _)| *extension);
    rows
}

// === impl Row ===

impl Row {
    fn new(extension: u64) -> Self {
        Self {
            extension,
            status: ExtensionStatus::UNKNOWN,
            sequence: None,
            is_seen: false,
            began: None,
            reported: Reported::NEVER,
        }
    }

    /// Returns the status of a read with the fields that are newer.
    fn merged(&self, read: ExtensionStatus, reads: u64) -> ExtensionStatus {
        let mut merged = read;
        if reads <= self.reported.telephony {
            merged.telephony = self.status.telephony;
        }
        if reads <= self.reported.presence {
            merged.presence = self.status.presence;
        }
        if reads <= self.reported.dnd {
            merged.dnd = self.status.dnd;
        }
        merged
    }

    /// Applies a read. Returns whether it corrects what events said, if they have said everything since the read
    /// before.
    ///
    /// After a correction the sequence is forgotten: either an event was lost, or the sequences have started again and
    /// all events look late.
    fn apply_read(&mut self, read: ExtensionStatus, reads: u64, is_audit: bool) -> bool {
        let merged = self.merged(read, reads);
        let is_correction = is_audit && self.is_seen && self.status.contradicts(merged);
        if is_correction {
            self.sequence = None;
        }
        if is_correction || merged.telephony != self.status.telephony {
            self.began = None;
        }
        self.status = merged;
        self.is_seen = true;
        is_correction
    }

    fn apply_event(
        &mut self,
        event: &PresenceEvent,
        reads: u64,
    ) -> Result<Option<StatusChange>, Discarded> {
        let is_next = self.advance(event)?;
        if !is_next {
            self.began = None;
        }
        if let Some(presence) = event.presence {
            self.status.presence = presence;
            self.reported.presence = reads;
        }
        if let Some(dnd) = event.dnd {
            self.status.dnd = dnd;
            self.reported.dnd = reads;
        }
        let Some(telephony) = event.telephony else {
            return Ok(None);
        };
        self.reported.telephony = reads;
        Ok(self.apply_telephony(telephony, event, is_next))
    }

    /// Moves to the sequence of an event. Returns whether no event of the extension is missing before it, as far as the
    /// sequences show. A missing one may have reported the end of the present status, and that it began again.
    fn advance(&mut self, event: &PresenceEvent) -> Result<bool, Discarded> {
        let Some(number) = event.sequence else {
            return Ok(true);
        };
        let mut is_next = true;
        if let Some(last) = self.sequence {
            let is_restart = last.is_long_before(event.timestamp);
            match number.cmp(&last.number) {
                Ordering::Equal => return Err(Discarded::Duplicate),
                Ordering::Less if !is_restart => return Err(Discarded::Late),
                _ => is_next = number.checked_sub(1) == Some(last.number),
            }
        }
        self.sequence = Some(Sequence {
            number,
            timestamp: event.timestamp,
        });
        Ok(is_next)
    }

    /// Applies the telephony status of an event. Returns the change if the status before is known.
    fn apply_telephony(
        &mut self,
        to: TelephonyStatus,
        event: &PresenceEvent,
        is_next: bool,
    ) -> Option<StatusChange> {
        let from = std::mem::replace(&mut self.status.telephony, to);
        let was_seen = std::mem::replace(&mut self.is_seen, true);
        if from == to && was_seen {
            return None;
        }
        let began = Began {
            at: event.at(),
            has_timestamp: event.timestamp.is_some(),
        };
        let former = self.began.take();
        // After a status that was not known, or an event that is missing, the status may have begun earlier: some
        // bodies have statuses that did not change.
        if was_seen && is_next {
            self.began = Some(began);
        }
        let duration = former.and_then(|former| former.duration_until(began));
        was_seen.then_some(StatusChange { from, to, duration })
    }
}

impl Sequence {
    /// Returns whether another event is so much newer by RingCentral's clock that it cannot be a late one.
    fn is_long_before(&self, other: Option<Timestamp>) -> bool {
        match (self.timestamp, other) {
            (Some(former), Some(other)) => other.duration_since(former) >= RESTART_AFTER,
            _ => false,
        }
    }
}

impl Began {
    /// Returns the time until another status began, if both are times of one clock.
    fn duration_until(self, next: Self) -> Option<Duration> {
        if self.has_timestamp != next.has_timestamp {
            return None;
        }
        let millis = u64::try_from(next.at - self.at).ok()?;
        Some(Duration::from_millis(millis))
    }
}

impl Reported {
    const NEVER: Self = Self {
        telephony: 0,
        presence: 0,
        dnd: 0,
    };

    fn last(self) -> u64 {
        self.telephony.max(self.presence).max(self.dnd)
    }
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Returns an event of extension 7 at this second.
    fn event(second: i64, sequence: u64, telephony: TelephonyStatus) -> PresenceEvent {
        PresenceEvent {
            id: Some(EventId::new(&format!("{second}-{sequence}"))),
            extension: 7,
            sequence: Some(sequence),
            timestamp: Some(at(second)),
            arrived: at(second),
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
        state.start_read();
        read(&mut state, &[(7, status(telephony))]);
        state
    }

    fn telephony(state: &PresenceState, extension: u64) -> Option<TelephonyStatus> {
        state.row(extension).map(|row| row.status.telephony)
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
        state.apply(&event(101, 2, CallConnected), KNOWN).unwrap();
        let mut listed = status(Ringing);
        listed.dnd = DndStatus::DoNotAcceptAnyCalls;
        assert_eq!(
            read(&mut state, &[(7, listed)]),
            1,
            "only the status that no event reported"
        );
        assert_eq!(telephony(&state, 7), Some(CallConnected));
        let dnd = state.row(7).unwrap().status.dnd;
        assert_eq!(dnd, DndStatus::DoNotAcceptAnyCalls);
    }

    /// A clock that is set back between the two changes nothing.
    #[test]
    fn request_of_a_read_divides_events_without_a_clock() {
        let mut state = state_of(NoCall);
        state.apply(&event(3600, 1, Ringing), KNOWN).unwrap();
        state.start_read();
        assert_eq!(read(&mut state, &[(7, status(NoCall))]), 1);
        assert_eq!(telephony(&state, 7), Some(NoCall));
        state.start_read();
        state.apply(&event(10, 2, Ringing), KNOWN).unwrap();
        assert_eq!(read(&mut state, &[(7, status(NoCall))]), 0);
        assert_eq!(telephony(&state, 7), Some(Ringing));
    }

    #[test]
    fn status_that_was_never_known_is_no_correction() {
        let mut state = state_of(NoCall);
        let mut new = event(10, 1, Ringing);
        new.extension = 8;
        state.apply(&new, KNOWN).unwrap();
        state.start_read();
        let listed = [(7, status(NoCall)), (8, status(Ringing))];
        assert_eq!(read(&mut state, &listed), 0);
        assert_eq!(state.row(8).unwrap().status, status(Ringing));
    }

    #[test]
    fn event_before_a_gap_is_older_than_the_next_read() {
        let mut state = state_of(NoCall);
        state.apply(&event(99, 1, Ringing), KNOWN).unwrap();
        state.record_gap();
        state.start_read();
        read(&mut state, &[(7, status(NoCall))]);
        assert_eq!(telephony(&state, 7), Some(NoCall));
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

    #[test]
    fn lower_sequence_after_a_minute_is_a_restart() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 500, Ringing), KNOWN).unwrap();
        let late = event(69, 1, NoCall);
        assert_eq!(state.apply(&late, KNOWN), Err(Discarded::Late));
        let restarted = state.apply(&event(70, 2, CallConnected), KNOWN);
        let connected = change(Ringing, CallConnected, None);
        assert_eq!(restarted, Ok(Some(connected)), "its begin is not certain");
        let ended = state.apply(&event(75, 3, NoCall), KNOWN).unwrap();
        assert_eq!(ended, Some(change(CallConnected, NoCall, None)));
        let ringing = state.apply(&event(80, 4, Ringing), KNOWN).unwrap();
        assert_eq!(ringing, Some(change(NoCall, Ringing, Some(5))));
    }

    #[test]
    fn late_event_without_a_timestamp_is_no_restart() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 500, Ringing), KNOWN).unwrap();
        let mut late = event(3600, 499, NoCall);
        late.timestamp = None;
        assert_eq!(state.apply(&late, KNOWN), Err(Discarded::Late));
    }

    #[test]
    fn correction_forgets_the_sequence() {
        let mut state = state_of(NoCall);
        state.apply(&event(10, 500, Ringing), KNOWN).unwrap();
        state.start_read();
        assert_eq!(read(&mut state, &[(7, status(Ringing))]), 0);
        let late = event(11, 499, NoCall);
        assert_eq!(state.apply(&late, KNOWN), Err(Discarded::Late));
        state.start_read();
        let mut busy = status(Ringing);
        busy.presence = PresenceStatus::Busy;
        assert_eq!(read(&mut state, &[(7, busy)]), 1);
        let ended = state.apply(&event(12, 1, NoCall), KNOWN).unwrap();
        let unknown_begin = change(Ringing, NoCall, None);
        assert_eq!(ended, Some(unknown_begin), "an event is missing");
    }

    #[test]
    fn duration_needs_two_times_of_one_clock() {
        for (has_timestamps, duration) in [
            ([true, true], Some(10)),
            ([false, false], Some(10)),
            ([true, false], None),
            ([false, true], None),
        ] {
            let mut state = state_of(NoCall);
            let mut events = [event(10, 1, Ringing), event(20, 2, NoCall)];
            for (event, has_timestamp) in events.iter_mut().zip(has_timestamps) {
                event.timestamp = event.timestamp.filter(|_| has_timestamp);
            }
            state.apply(&events[0], KNOWN).unwrap();
            let ended = state.apply(&events[1], KNOWN).unwrap();
            assert_eq!(ended, Some(change(Ringing, NoCall, duration)));
        }
    }

    #[test]
    fn rows_before_the_first_read_are_bounded() {
        let mut state = PresenceState::default();
        let mut event = event(10, 1, Ringing);
        event.id = None;
        for extension in 0..MAX_ROWS as u64 {
            event.extension = extension;
            assert_eq!(state.apply(&event, KNOWN), Ok(None));
        }
        event.extension += 1;
        let result = state.apply(&event, KNOWN);
        assert_eq!(result, Err(Discarded::UnknownExtension));
        event.extension = 5;
        assert_eq!(state.apply(&event, KNOWN), Err(Discarded::Duplicate));
    }
}
