//! What a graceful stop keeps of a tracker, so that calls that end during a restart are counted once.
//!
//! Contains hashes, flags, outcomes and ages: no id, direction or result of a call. It is saved only when the exporter
//! stops: a copy from before a crash would lack what was counted since, and lead to counting it twice.

use std::time::Duration;

use ring::digest;
use serde::{Deserialize, Serialize};

use super::{CallTracker, ListTime, SessionPhase, TrackedRecord, TrackedSession, TrackedSessionId};
use crate::calls::Outcome;
use crate::clock::Moment;

/// A tracker at the stop of the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedTracker {
    content: Content,
    /// Part of the SHA-256 of the content: with one changed bit of an id, a call would be counted twice.
    checksum: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Content {
    /// Time of the stop in Unix milliseconds. All ages are relative to it.
    saved_at_ms: i64,
    /// `None` if the tracker has seen no list.
    last_list: Option<AgeMs>,
    hash_key: [u64; 2],
    records: Vec<SavedRecord>,
    session_ids: Vec<SavedSessionId>,
    sessions: Vec<SavedSession>,
}

/// An age in milliseconds.
type AgeMs = u64;

/// Hashed id, whether it was live, whether it has ended, its session, and when it was last listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedRecord(u64, bool, bool, Option<u32>, AgeMs);

/// Hashed id, its session, and when it was last listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedSessionId(u64, u32, AgeMs);

/// Number, phase, best outcome so far, since when it is quiet, and when it was last listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedSession(u32, SessionPhase, Option<Outcome>, Option<AgeMs>, AgeMs);

impl CallTracker {
    /// Returns what the next process needs to continue. To be called only after the last list of a process.
    #[must_use]
    pub fn save(&self, now: Moment) -> SavedTracker {
        let list_time = ListTime::new(now.instant, self.epoch.unwrap_or(now.instant));
        let age = |then| list_time.duration_since(then).as_millis() as AgeMs;
        let last_list = self
            .last_list
            .map(|last| now.saturating_duration_since(last));
        let mut content = Content {
            saved_at_ms: now.wall.as_millisecond(),
            last_list: last_list.map(|age| age.as_millis() as AgeMs),
            hash_key: self.hash_key,
            ..Content::default()
        };
        for (id, record) in &self.records {
            // A record without a result is not saved, so it counts as lost if no later list has it.
            let was_live = record.was_live || self.finishing.contains_key(id);
            let age = age(record.last_seen);
            let saved = SavedRecord(*id, was_live, record.has_ended, record.session, age);
            content.records.push(saved);
        }
        for (id, tracked) in &self.session_ids {
            let saved = SavedSessionId(*id, tracked.session, age(tracked.last_seen));
            content.session_ids.push(saved);
        }
        for (number, session) in &self.sessions {
            // Without that of a record whose result the next process may see.
            let outcome = session.outcome;
            let quiet_since = session.quiet_since.map(age);
            let age = age(session.last_seen);
            let saved = SavedSession(*number, session.phase, outcome, quiet_since, age);
            content.sessions.push(saved);
        }
        SavedTracker {
            checksum: content.checksum(),
            content,
        }
    }

    /// Returns a tracker that continues where another process stopped. If the saved content is damaged or of a later
    /// time than `now`, or the next list is more than 100 s after the last one, that list is the baseline.
    #[must_use]
    pub fn restore(saved: SavedTracker, now: Moment) -> Self {
        let content = saved.content;
        let stopped_ms = now.wall.as_millisecond().checked_sub(content.saved_at_ms);
        let stopped_ms = stopped_ms.and_then(|ms| u64::try_from(ms).ok());
        let (Some(stopped_ms), Some(last_list)) = (stopped_ms, content.last_list) else {
            return Self::default();
        };
        if saved.checksum != content.checksum() {
            return Self::default();
        }
        let age = |age: AgeMs| age.saturating_add(stopped_ms);
        let list_time = |ms: AgeMs| ListTime::before_epoch(age(ms));
        let mut tracker = Self {
            hash_key: content.hash_key,
            last_list: Some(earlier(now, age(last_list))),
            epoch: Some(now.instant),
            is_restored: true,
            ..Self::default()
        };
        for SavedRecord(id, was_live, has_ended, session, last_seen) in content.records {
            let record = TrackedRecord {
                was_live,
                has_ended,
                session,
                last_seen: list_time(last_seen),
            };
            tracker.records.insert(id, record);
        }
        for SavedSessionId(id, session, last_seen) in content.session_ids {
            let last_seen = list_time(last_seen);
            let tracked = TrackedSessionId { session, last_seen };
            tracker.session_ids.insert(id, tracked);
        }
        for SavedSession(number, phase, outcome, quiet_since, last_seen) in content.sessions {
            let session = TrackedSession {
                phase,
                has_started: true,
                outcome,
                quiet_since: quiet_since.map(list_time),
                ..TrackedSession::new(list_time(last_seen))
            };
            tracker.next_session = tracker.next_session.max(number.wrapping_add(1));
            tracker.sessions.insert(number, session);
        }
        tracker
    }
}

impl Content {
    fn checksum(&self) -> u64 {
        // Numbers and arrays always have a JSON form; without one the checksum is that of nothing.
        let json = serde_json::to_vec(self).unwrap_or_default();
        first_bytes(digest::digest(&digest::SHA256, &json))
    }
}

/// Returns the moment `age_ms` before `now`, or `now` if a clock does not reach back so far.
fn earlier(now: Moment, age_ms: AgeMs) -> Moment {
    let age = Duration::from_millis(age_ms);
    Moment {
        instant: now.instant.checked_sub(age).unwrap_or(now.instant),
        wall: now.wall.checked_sub(age).unwrap_or(now.wall),
    }
}

/// Returns the first eight bytes of a digest as a number.
fn first_bytes(digest: digest::Digest) -> u64 {
    let bytes = digest.as_ref().first_chunk();
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
