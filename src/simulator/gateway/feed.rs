//! The changes of presence as they happen, each with the next sequence of its extension.

use std::collections::{HashMap, VecDeque};

use crate::simulator::presence::PresenceChange;
use crate::simulator::random::hash_seed;
use crate::simulator::switchboard::Switchboard;

const MINUTE_MS: i64 = 60_000;

/// A change with its sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequenced {
    pub(super) change: PresenceChange,
    pub(super) sequence: u64,
}

/// The position in the changes, in Unix milliseconds.
#[derive(Debug)]
pub(super) struct Feed {
    seed: u64,
    /// All changes up to here have been returned or skipped.
    position: i64,
    /// Changes after the position, up to `computed_until`.
    ahead: VecDeque<PresenceChange>,
    computed_until: i64,
    /// The last sequence of each extension, without `skipped`.
    sequences: HashMap<u64, u64>,
    /// Added to all sequences, so that skipped changes are a hole in them.
    skipped: u64,
}

impl Feed {
    /// Creates a feed of the changes after `now`.
    pub(super) fn new(seed: u64, now: i64) -> Feed {
        Feed {
            seed,
            position: now,
            ahead: VecDeque::new(),
            computed_until: now,
            sequences: HashMap::new(),
            skipped: 0,
        }
    }

    /// Skips the changes up to `now`, for which there is no subscription.
    pub(super) fn skip_to(&mut self, now: i64) {
        if self.position < now {
            self.position = now;
            self.skipped += 1;
        }
        if self.computed_until <= now {
            self.ahead.clear();
            self.computed_until = now;
        }
        while self.ahead.front().is_some_and(|next| next.at_ms <= now) {
            self.ahead.pop_front();
        }
    }

    /// Returns the changes since the last call, up to `now`.
    pub(super) fn advance_to(&mut self, switchboard: &Switchboard, now: i64) -> Vec<Sequenced> {
        if self.computed_until < now {
            // Whole minutes, because the switchboard computes the phases of each again.
            let end = (now.div_euclid(MINUTE_MS) + 1) * MINUTE_MS;
            self.ahead
                .extend(switchboard.presence_changes(self.computed_until, end));
            self.computed_until = end;
        }
        self.position = self.position.max(now);
        let mut changes = Vec::new();
        while let Some(change) = self.ahead.pop_front_if(|next| next.at_ms <= now) {
            let sequence = self.next_sequence(change.extension_id);
            changes.push(Sequenced { change, sequence });
        }
        changes
    }

    fn next_sequence(&mut self, extension_id: u64) -> u64 {
        let first = hash_seed(self.seed, extension_id) % 3_000;
        let last = self.sequences.entry(extension_id).or_insert(first);
        *last += 1;
        *last + self.skipped
    }
}
