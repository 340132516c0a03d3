//! Detects which calls started and ended between two lists, and counts each once.
//!
//! A call stays listed for two minutes after its end, and may leave the list, return, or move between pages. The
//! calls that the first list shows as ended are the baseline and are not counted, because they may have been
//! counted before a restart. The time is an argument; it decides only what is forgotten and whether calls may have
//! gone unseen.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::calls::{Call, CallState, Outcome};
use crate::clock::Moment;

/// How long ids are kept after they left the list, so that a record that returns is recognised.
const RETENTION: Duration = Duration::from_secs(10 * 60);
/// The longest time between two lists in which no call can go unseen: a record stays listed about two minutes
/// after its end.
const MAX_LIST_GAP: Duration = Duration::from_secs(100);

/// The records and sessions seen so far. Ids are stored as hashes with a random key to save memory: with 20,000
/// known ids, one call in 10^15 collides with another.
#[derive(Clone, Debug, Default)]
pub struct CallTracker {
    hasher: RandomState,
    records: HashMap<u64, TrackedRecord>,
    sessions: HashMap<u64, TrackedSession>,
    last_list: Option<Moment>,
}

#[derive(Clone, Debug, Default)]
struct TrackedRecord {
    was_live: bool,
    has_ended: bool,
    /// When the record was last listed. `None` only until its first list is counted.
    last_seen: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
struct TrackedSession {
    is_live: bool,
    outcome: Option<Outcome>,
    has_ended: bool,
    /// When a record of the session was last listed. `None` only until its first list is counted.
    last_seen: Option<Instant>,
}

/// The changes that a list shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallEvents {
    /// Records that have ended, as listed after the end.
    pub ended: Vec<Call>,
    /// Number of sessions that have started.
    pub sessions_started: u64,
    /// Outcomes of the sessions that have ended.
    pub sessions_ended: Vec<Outcome>,
    /// Number of records that were live, left the list and were not seen ended.
    pub lost: u64,
    /// Whether calls may have gone unseen since the previous list.
    pub gap: bool,
}

impl CallTracker {
    /// Updates the tracker with a list, whose ids are distinct, and returns the changes since the previous one.
    pub fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let mut events = CallEvents::default();
        let previous_list = self.last_list.replace(now);
        if let Some(previous_list) = previous_list {
            events.gap = now.saturating_duration_since(previous_list) > MAX_LIST_GAP;
        }
        for session in self.sessions.values_mut() {
            session.is_live = false;
        }
        for call in calls {
            self.update_record(call, now, &mut events);
            self.update_session(call, now, &mut events);
        }
        self.end_sessions(&mut events);
        events.lost = self.expire(now);
        if previous_list.is_some() {
            events
        } else {
            CallEvents::default()
        }
    }

    fn update_record(&mut self, call: &Call, now: Moment, events: &mut CallEvents) {
        let id = self.hasher.hash_one(&call.id);
        let record = self.records.entry(id).or_default();
        record.last_seen = Some(now.instant);
        record.was_live |= call.state == CallState::Live;
        if call.state == CallState::Ended && !record.has_ended {
            record.has_ended = true;
            events.ended.push(call.clone());
        }
    }

    /// Updates the record's session. A record in unknown state belongs to no session until a later list has its
    /// state.
    fn update_session(&mut self, call: &Call, now: Moment, events: &mut CallEvents) {
        if call.state == CallState::Unknown {
            return;
        }
        let id = self.hasher.hash_one(&call.session);
        let session = self.sessions.entry(id).or_default();
        if session.last_seen.is_none() {
            events.sessions_started += 1;
        }
        session.last_seen = Some(now.instant);
        if call.state == CallState::Live {
            session.is_live = true;
            return;
        }
        let outcome = Outcome::from_result(&call.result);
        let best = session.outcome.unwrap_or(outcome);
        session.outcome = Some(best.min(outcome));
    }

    /// Ends the sessions of which no record is live and at least one has ended. A session ends only once, even if
    /// a record joins later.
    fn end_sessions(&mut self, events: &mut CallEvents) {
        for session in self.sessions.values_mut() {
            if let Some(outcome) = session.outcome
                && !session.has_ended
                && !session.is_live
            {
                session.has_ended = true;
                events.sessions_ended.push(outcome);
            }
        }
    }

    /// Forgets records and sessions that left the list long ago, and returns how many of the records were live and
    /// never seen ended.
    fn expire(&mut self, now: Moment) -> u64 {
        let oldest_kept = now.instant.checked_sub(RETENTION);
        let is_kept = |last_seen: Option<Instant>| last_seen > oldest_kept;
        let mut lost = 0;
        self.records.retain(|_, record| {
            let kept = is_kept(record.last_seen);
            lost += u64::from(!kept && record.was_live && !record.has_ended);
            kept
        });
        self.sessions
            .retain(|_, session| is_kept(session.last_seen));
        lost
    }
}

#[cfg(test)]
mod tests;
