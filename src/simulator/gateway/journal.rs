//! What event connections did, so that a test can compare a client's counters with the truth.

use std::collections::VecDeque;

use crate::simulator::presence::PresenceChange;

const MAX_EVENTS: usize = 200_000;

/// What happens to a notification on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFate {
    /// It is sent 14 to 113 ms after the change, and after those of earlier changes.
    Regular,
    /// It is never sent.
    Lost,
    /// It is sent twice.
    Duplicated,
    /// It is sent later than the regular delay allows, so that newer ones can come before it.
    Late,
}

/// A change of presence for one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEntry {
    /// The id of the subscription.
    pub subscription_id: String,
    /// The id of the notification.
    pub uuid: String,
    /// The number of the change among those of its extension.
    pub sequence: u64,
    /// The change itself.
    pub change: PresenceChange,
    /// What was decided about it.
    pub fate: EventFate,
    /// Unix milliseconds at which it and its second copy are due; absent if that is never sent.
    pub due_ms: [Option<i64>; 2],
    /// Unix milliseconds at which it was sent first; absent while it waits, and if it never was.
    pub sent_ms: Option<i64>,
    /// How often it was sent.
    pub copies: u32,
}

impl EventEntry {
    /// Returns whether a copy that is due at `now` was not sent. It may have been dropped with its session.
    pub fn is_waiting(&self, now: i64) -> bool {
        let due = self
            .due_ms
            .iter()
            .flatten()
            .filter(|due| **due <= now)
            .count();
        (self.copies as usize) < due
    }
}

/// One event connection, from its upgrade on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEntry {
    /// Unix milliseconds of the upgrade.
    pub opened_ms: i64,
    /// Unix milliseconds of the end; absent until then.
    pub closed_ms: Option<i64>,
    /// Unix milliseconds from which nothing is sent although it is open; absent unless it goes silent.
    pub silent_ms: Option<i64>,
    /// Whether it continues an earlier one.
    pub recovered: bool,
    /// Code with which the gateway closed it.
    pub close_code: Option<u16>,
}

/// The latest notifications and all connections.
#[derive(Debug, Default)]
pub(super) struct Journal {
    events: VecDeque<EventEntry>,
    /// Number of the oldest entry that is left.
    first: u64,
    pub(super) connections: Vec<ConnectionEntry>,
}

impl Journal {
    /// Appends a notification and returns its number.
    pub(super) fn insert(&mut self, entry: EventEntry) -> u64 {
        self.events.push_back(entry);
        if self.events.len() > MAX_EVENTS {
            self.events.pop_front();
            self.first += 1;
        }
        self.first + self.events.len() as u64 - 1
    }

    /// Records that a copy of a notification was sent at `now`.
    pub(super) fn record_sent(&mut self, number: u64, now: i64) {
        let Some(position) = number.checked_sub(self.first) else {
            return;
        };
        if let Some(entry) = self.events.get_mut(position as usize) {
            entry.sent_ms.get_or_insert(now);
            entry.copies += 1;
        }
    }

    pub(super) fn events(&self) -> Vec<EventEntry> {
        self.events.iter().cloned().collect()
    }
}
