//! The presence of the extensions: the truth that lists and events show, as a function of seed and time.
//!
//! Hold, park and the settings of users have their own random numbers. No phone rings whose user is offline or refuses the
//! call: the module `calls` chooses another user.
//!
//! An extension with several calls has the status of the first of these that one of its calls has: `CallConnected`,
//! `Ringing`, `OnHold`, `ParkedCall`. RingCentral does not document its rule.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::simulator::company::Extension;
use crate::simulator::presence::phases::Phase;
use crate::simulator::switchboard::Switchboard;

mod phases;
pub(super) mod settings;
#[cfg(test)]
mod tests;
pub(super) mod wire;

const MINUTE_MS: i64 = 60_000;

/// What an extension's phone does. The order is that of precedence among several calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[allow(missing_docs)]
pub enum TelephonyStatus {
    NoCall,
    ParkedCall,
    OnHold,
    Ringing,
    CallConnected,
}

/// Whether a person is reachable: of the user's own choice, or as RingCentral combines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub enum Reachability {
    Available,
    Busy,
    Offline,
}

/// Which calls a person accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs)]
pub enum DndStatus {
    TakeAllCalls,
    TakeDepartmentCallsOnly,
    DoNotAcceptDepartmentCalls,
    DoNotAcceptAnyCalls,
}

/// The statuses of one extension at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Presence {
    /// What the phone does.
    pub telephony: TelephonyStatus,
    /// Whether the person is reachable, combined from the other statuses.
    pub presence: Reachability,
    /// What the user chose.
    pub user: Reachability,
    /// Which calls the person accepts.
    pub dnd: DndStatus,
}

/// A row of the presence list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionPresence {
    /// The extension's id.
    pub extension_id: u64,
    /// The statuses; absent for queues, menus and announcements, which are always offline.
    pub status: Option<Presence>,
    /// Position among the extensions.
    pub(super) position: usize,
}

/// A change of at least one status of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Unix milliseconds from which on the extension has the new statuses.
    pub at_ms: i64,
    /// The extension's id.
    pub extension_id: u64,
    /// The statuses before.
    pub from: Presence,
    /// The statuses since.
    pub to: Presence,
}

impl Switchboard {
    /// Returns the presence list at `at`, in the order of the extensions; users who are not enabled are not in it.
    pub fn presence_at(&self, at: i64) -> Vec<ExtensionPresence> {
        let phases = self.phases_between(at, at);
        let mut list = Vec::new();
        for (position, extension) in self.extensions().iter().enumerate() {
            if is_listed(extension) {
                let phases = phases.get(&position).map(Vec::as_slice).unwrap_or_default();
                list.push(ExtensionPresence {
                    position,
                    extension_id: extension.id,
                    status: has_status(extension).then(|| self.presence(position, phases, at)),
                });
            }
        }
        list
    }

    /// Returns the changes after `after` and up to `until`, in their order.
    pub fn presence_changes(&self, after: i64, until: i64) -> Vec<PresenceChange> {
        let mut changes = Vec::new();
        let mut from = after + 1;
        // Minute by minute, so that each extension has few phases at a time.
        while from <= until {
            let end = ((from.div_euclid(MINUTE_MS) + 1) * MINUTE_MS).min(until + 1);
            let start = changes.len();
            self.add_changes(from, end, &mut changes);
            if let Some(added) = changes.get_mut(start..) {
                added.sort_by_key(|change: &PresenceChange| (change.at_ms, change.extension_id));
            }
            from = end;
        }
        changes
    }

    /// Appends the changes from `from` until before `end`, by extension.
    fn add_changes(&self, from: i64, end: i64, changes: &mut Vec<PresenceChange>) {
        let phases = self.phases_between(from - 1, end);
        for (position, extension) in self.extensions().iter().enumerate() {
            if !is_listed(extension) || !has_status(extension) {
                continue;
            }
            let phases = phases.get(&position).map(Vec::as_slice).unwrap_or_default();
            let mut instants: Vec<i64> = phases.iter().flat_map(|p| [p.from, p.until]).collect();
            instants.push(settings::next_change(self.seed, position, from));
            instants.retain(|at| (from..end).contains(at));
            instants.sort_unstable();
            instants.dedup();
            for at_ms in instants {
                let before = self.presence(position, phases, at_ms - 1);
                let to = self.presence(position, phases, at_ms);
                if before != to {
                    changes.push(PresenceChange {
                        at_ms,
                        extension_id: extension.id,
                        from: before,
                        to,
                    });
                }
            }
        }
    }

    /// Returns the phases of the calls between `from` and `until`, by the position of their extension.
    fn phases_between(&self, from: i64, until: i64) -> BTreeMap<usize, Vec<Phase>> {
        let mut phases: BTreeMap<usize, Vec<Phase>> = BTreeMap::new();
        for minute in self.relevant_timelines(from, until) {
            for call in minute.iter() {
                if let Some(owner) = call.owner
                    && call.span.start <= until
                    && from <= call.span.end
                {
                    phases.entry(owner).or_default().extend(phases::of(call));
                }
            }
        }
        phases
    }

    fn presence(&self, position: usize, phases: &[Phase], at: i64) -> Presence {
        let mut telephony = TelephonyStatus::NoCall;
        for phase in phases {
            if (phase.from..phase.until).contains(&at) {
                telephony = telephony.max(phase.status);
            }
        }
        let (user, dnd) = settings::at(self.seed, position, at);
        Presence {
            telephony,
            presence: combine(telephony, user, dnd),
            user,
            dnd,
        }
    }
}

/// Returns the status that others see. A ringing phone does not make a person busy, as in RingCentral's samples.
fn combine(telephony: TelephonyStatus, user: Reachability, dnd: DndStatus) -> Reachability {
    let in_call = !matches!(
        telephony,
        TelephonyStatus::NoCall | TelephonyStatus::Ringing
    );
    match user {
        _ if in_call => Reachability::Busy,
        Reachability::Available if dnd == DndStatus::DoNotAcceptAnyCalls => Reachability::Busy,
        other => other,
    }
}

/// Returns whether the presence list has the extension.
fn is_listed(extension: &Extension) -> bool {
    matches!(extension.status, None | Some("Enabled"))
}

/// Returns whether the extension has statuses of its own.
fn has_status(extension: &Extension) -> bool {
    extension.kind == "User"
}
