//! Reducers with a deliberate defect: each wraps the exporter's state and falsifies its input or output.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use ringcentral_exporter::presence::{
    Discarded, EventId, ExtensionStatus, PresenceEvent, PresenceState, StatusChange,
    TelephonyStatus,
};

type Knows<'a> = &'a dyn Fn(u64) -> bool;
type Applied = Result<Option<StatusChange>, Discarded>;

/// What a read resulted in.
#[derive(Debug, Default)]
pub struct ReadOutput {
    pub corrections: u64,
    /// Changes that the read was taken for.
    pub changes: Vec<StatusChange>,
}

/// A reducer of reads and events, real or defective.
pub trait Reducer {
    fn start_read(&mut self);
    fn finish_read(&mut self, rows: &[(u64, ExtensionStatus)], knows: Knows<'_>) -> ReadOutput;
    fn apply(&mut self, event: &PresenceEvent, knows: Knows<'_>) -> Applied;
    fn record_gap(&mut self);
    fn is_whole(&self) -> bool;
    fn statuses(&self) -> HashMap<u64, ExtensionStatus>;
    fn counts(&self) -> HashMap<ExtensionStatus, u64>;
}

impl Reducer for PresenceState {
    fn start_read(&mut self) {
        PresenceState::start_read(self);
    }

    fn finish_read(&mut self, rows: &[(u64, ExtensionStatus)], knows: Knows<'_>) -> ReadOutput {
        ReadOutput {
            corrections: PresenceState::finish_read(self, rows.iter().copied(), knows),
            changes: Vec::new(),
        }
    }

    fn apply(&mut self, event: &PresenceEvent, knows: Knows<'_>) -> Applied {
        PresenceState::apply(self, event, knows)
    }

    fn record_gap(&mut self) {
        PresenceState::record_gap(self);
    }

    fn is_whole(&self) -> bool {
        PresenceState::is_whole(self)
    }

    fn statuses(&self) -> HashMap<u64, ExtensionStatus> {
        PresenceState::statuses(self).collect()
    }

    fn counts(&self) -> HashMap<ExtensionStatus, u64> {
        PresenceState::counts(self)
    }
}

/// A mistake that the tests must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    IgnoresSequences,
    AppliesLateEvents,
    AppliesDuplicates,
    KeepsDurationsOverGaps,
    KeepsDurationsOverHoles,
    KeepsSequencesOverGaps,
    KeepsSequencesOverRestarts,
    IgnoresGaps,
    ReadReplacesNewerEvents,
    CountsCorrections,
    CountsRepeatedStatuses,
    ForgetsHold,
    ForgetsFieldsThatEventsLack,
    AcceptsUnknownExtensions,
    KeepsExtensionsThatReadsLack,
    BelievesReadsFromBeforeAGap,
    CountsFirstReadAsAudit,
}

/// The exporter's state with a defect.
pub struct Mutant {
    defect: Defect,
    state: PresenceState,
    /// When the telephony status of each extension began, by a defective rule.
    began: HashMap<u64, Timestamp>,
    sequences: HashMap<u64, u64>,
    uuids: u64,
    /// Whether there was a gap since the present read was requested.
    is_read_outdated: bool,
}

impl Mutant {
    pub fn new(defect: Defect) -> Self {
        Self {
            defect,
            state: PresenceState::default(),
            began: HashMap::new(),
            sequences: HashMap::new(),
            uuids: 0,
            is_read_outdated: false,
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// Makes an event one that the state has not received.
    fn as_new(&mut self, event: &mut PresenceEvent) {
        self.uuids += 1;
        event.id = Some(EventId::new(&format!("new {}", self.uuids)));
        event.sequence = None;
    }

    fn falsify(&mut self, event: &mut PresenceEvent) {
        match self.defect {
            Defect::IgnoresSequences => event.sequence = None,
            Defect::ForgetsHold if event.telephony == Some(TelephonyStatus::OnHold) => {
                event.telephony = Some(TelephonyStatus::CallConnected);
            }
            Defect::ForgetsFieldsThatEventsLack => {
                let unknown = ExtensionStatus::UNKNOWN;
                event.presence = event.presence.or(Some(unknown.presence));
            }
            Defect::KeepsSequencesOverGaps => {
                let last = self.sequences.get(&event.extension).copied();
                let sequence = event.sequence.unwrap_or_default();
                if last.is_some_and(|last| sequence < last) {
                    event.sequence = Some(0);
                } else {
                    self.sequences.insert(event.extension, sequence);
                }
            }
            _ => {}
        }
    }

    /// Adds durations that the state does not know.
    fn lengthen(&mut self, event: &PresenceEvent, change: &mut StatusChange) {
        let timestamp = event.timestamp.unwrap();
        let began = self.began.insert(event.extension, timestamp);
        if change.duration.is_none()
            && let Some(began) = began
        {
            change.duration = Duration::try_from(timestamp.duration_since(began)).ok();
        }
    }
}

impl Reducer for Mutant {
    fn start_read(&mut self) {
        self.is_read_outdated = false;
        self.state.start_read();
    }

    fn finish_read(&mut self, rows: &[(u64, ExtensionStatus)], knows: Knows<'_>) -> ReadOutput {
        let restarts = match self.defect {
            Defect::ReadReplacesNewerEvents => !self.is_read_outdated,
            Defect::BelievesReadsFromBeforeAGap => self.is_read_outdated,
            _ => false,
        };
        if restarts {
            self.state.start_read();
        }
        let before = Reducer::statuses(&self.state);
        let was_whole = self.state.is_whole();
        let mut rows = rows.to_vec();
        if self.has(Defect::KeepsExtensionsThatReadsLack) {
            for (extension, status) in &before {
                if rows.iter().all(|(listed, _)| listed != extension) {
                    rows.push((*extension, *status));
                }
            }
        }
        let mut output = Reducer::finish_read(&mut self.state, &rows, knows);
        let after = Reducer::statuses(&self.state);
        for (extension, from) in before {
            let Some(to) = after.get(&extension).filter(|to| **to != from) else {
                continue;
            };
            if self.has(Defect::CountsFirstReadAsAudit) && !was_whole {
                output.corrections += 1;
            }
            if self.has(Defect::CountsCorrections) && was_whole && from.telephony != to.telephony {
                output.changes.push(StatusChange {
                    from: from.telephony,
                    to: to.telephony,
                    duration: None,
                });
            }
        }
        output
    }

    fn apply(&mut self, event: &PresenceEvent, knows: Knows<'_>) -> Applied {
        let mut event = *event;
        if self.has(Defect::KeepsSequencesOverRestarts) {
            let last = self.sequences.entry(event.extension).or_default();
            let sequence = event.sequence.unwrap_or_default();
            if sequence < *last {
                return Err(Discarded::Late);
            }
            *last = sequence;
        }
        self.falsify(&mut event);
        let knows: Knows<'_> = match self.defect {
            Defect::AcceptsUnknownExtensions => &|_| true,
            _ => knows,
        };
        let before = Reducer::statuses(&self.state)
            .get(&event.extension)
            .copied();
        let mut result = Reducer::apply(&mut self.state, &event, knows);
        match (self.defect, &mut result) {
            (Defect::AppliesLateEvents, Err(Discarded::Late)) => {
                self.as_new(&mut event);
                // The reason is reported, but the event has changed the state.
                let _applied = Reducer::apply(&mut self.state, &event, knows);
            }
            (Defect::AppliesDuplicates, Err(Discarded::Duplicate)) => {
                self.as_new(&mut event);
                result = Reducer::apply(&mut self.state, &event, knows);
            }
            (
                Defect::KeepsDurationsOverGaps | Defect::KeepsDurationsOverHoles,
                Ok(Some(change)),
            ) => self.lengthen(&event, change),
            (Defect::CountsRepeatedStatuses, Ok(None)) => {
                if let (Some(before), Some(to)) = (before, event.telephony)
                    && before.telephony == to
                {
                    let (from, duration) = (to, None);
                    result = Ok(Some(StatusChange { from, to, duration }));
                }
            }
            _ => {}
        }
        result
    }

    fn record_gap(&mut self) {
        self.is_read_outdated = true;
        if self.has(Defect::IgnoresGaps) {
            return;
        }
        if self.has(Defect::KeepsSequencesOverRestarts) {
            self.sequences.clear();
        }
        if self.has(Defect::KeepsDurationsOverHoles) {
            self.began.clear();
        }
        self.state.record_gap();
    }

    fn is_whole(&self) -> bool {
        self.state.is_whole()
    }

    fn statuses(&self) -> HashMap<u64, ExtensionStatus> {
        Reducer::statuses(&self.state)
    }

    fn counts(&self) -> HashMap<ExtensionStatus, u64> {
        Reducer::counts(&self.state)
    }
}
