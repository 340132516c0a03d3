//! The notifications of a session until they are due, with the faults that apply to them.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::simulator::faults::{FaultKind, GatewayFault};
use crate::simulator::gateway::feed::Sequenced;
use crate::simulator::gateway::journal::{EventEntry, EventFate, Journal};
use crate::simulator::presence::PresenceChange;

/// A notification that waits or is due.
#[derive(Clone, Debug)]
pub(super) struct Notification {
    /// Its number in the journal.
    pub(super) number: u64,
    pub(super) uuid: String,
    pub(super) sequence: u64,
    pub(super) change: PresenceChange,
    pub(super) subscription_id: String,
}

/// Notifications by due time and number in the journal. Regular ones keep the order of the changes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(i64, u64), Vec<Notification>>,
    last_due: i64,
}

impl Queue {
    /// Decides what happens to the notification of a change, and records it.
    pub(super) fn insert(
        &mut self,
        rng: &mut Rng,
        subscription_id: &str,
        sequenced: Sequenced,
        fault: Option<FaultKind>,
        journal: &mut Journal,
    ) {
        let Sequenced { change, sequence } = sequenced;
        let (fate, late_ms) = fate(rng, fault);
        let due = change.at_ms + rng.i64(14..=113) + late_ms;
        // 19 digits, as in RingCentral's samples.
        let uuid = rng.u64(1_000_000_000_000_000_000..=i64::MAX.unsigned_abs());
        let entry = EventEntry {
            subscription_id: subscription_id.to_owned(),
            uuid: uuid.to_string(),
            sequence,
            change,
            fate,
            due_ms: self.due_times(rng, fate, due),
            sent_ms: None,
            copies: 0,
        };
        let notification = Notification {
            number: journal.insert(entry.clone()),
            uuid: entry.uuid,
            sequence,
            change,
            subscription_id: entry.subscription_id,
        };
        for due in entry.due_ms.into_iter().flatten() {
            let key = (due, notification.number);
            let waiting = self.waiting.entry(key).or_default();
            waiting.push(notification.clone());
        }
    }

    /// Returns when each copy is due, of a notification that is due at `due` or after the earlier ones.
    fn due_times(&mut self, rng: &mut Rng, fate: EventFate, due: i64) -> [Option<i64>; 2] {
        match fate {
            EventFate::Lost => return [None, None],
            EventFate::Late => return [Some(due), None],
            EventFate::Regular | EventFate::Duplicated => {}
        }
        self.last_due = self.last_due.max(due);
        let is_sent_twice = fate == EventFate::Duplicated;
        let second = is_sent_twice.then(|| self.last_due + rng.i64(0..2_000));
        [Some(self.last_due), second]
    }

    /// Removes and returns the notifications that are due.
    pub(super) fn take_due(&mut self, now: i64) -> Vec<Notification> {
        let later = self.waiting.split_off(&(now + 1, 0));
        let due = std::mem::replace(&mut self.waiting, later);
        due.into_values().flatten().collect()
    }

    /// Drops the oldest notifications that are due, so that at most `max` of them are left.
    pub(super) fn keep_newest(&mut self, max: usize, now: i64) {
        let due = self.waiting.range(..(now + 1, 0)).count();
        for _ in max..due {
            self.waiting.pop_first();
        }
    }

    /// Removes all notifications.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// Returns what happens to a notification, and its extra delay in milliseconds.
fn fate(rng: &mut Rng, fault: Option<FaultKind>) -> (EventFate, i64) {
    match fault {
        Some(FaultKind::Gateway(GatewayFault::Lost)) => (EventFate::Lost, 0),
        Some(FaultKind::Gateway(GatewayFault::Duplicated)) => (EventFate::Duplicated, 0),
        Some(FaultKind::Gateway(GatewayFault::Late(delay))) => {
            (EventFate::Late, delay.as_millis() as i64)
        }
        Some(FaultKind::Gateway(GatewayFault::Unreliable {
            lost,
            duplicated,
            late,
        })) => {
            let roll = rng.f64();
            if roll < lost {
                (EventFate::Lost, 0)
            } else if roll < lost + duplicated {
                (EventFate::Duplicated, 0)
            } else if roll < lost + duplicated + late {
                (EventFate::Late, rng.i64(1_000..20_000))
            } else {
                (EventFate::Regular, 0)
            }
        }
        _ => (EventFate::Regular, 0),
    }
}
