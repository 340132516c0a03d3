//! Detects which calls started and ended between two lists, and counts each once.
//!
//! A call stays listed for two minutes after its end, and may leave the list, return, or move between pages. The
//! calls that the first list shows as ended are the baseline and are not counted, because they may have been
//! counted before a restart; [`SavedTracker`] continues the count of the process before. The time is an argument.
//!
//! A record counts when it is first seen ended. A session ends only after a wait: a queue call that rings one agent
//! after another has seconds without a live record, and a live record can be missing from single lists.

mod saved;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::calls::session::JoinedSessions;
use crate::calls::{Call, CallState, Outcome};
use crate::clock::Moment;

pub use saved::SavedTracker;

/// How long ids are kept after they left the list, so that a record that returns is recognised.
const RETENTION: Duration = Duration::from_secs(10 * 60);
/// The maximum number of records that are kept, of sessions, and of session ids of each kind. One list has up to 100,000, and the largest accounts
/// have 20,000 in ten minutes.
const MAX_RECORDS: usize = 120_000;
/// The longest time between two lists in which no call can go unseen: a record stays listed about two minutes
/// after its end.
const MAX_LIST_GAP: Duration = Duration::from_secs(100);
/// How long a session must be without a live or newly ended record before it has ended: several times the seconds
/// between two agents of a queue, with each change listed 3 to 10 s late.
const SESSION_END_WAIT: Duration = Duration::from_secs(45);

/// The records and sessions seen so far. Ids are stored as hashes with a random key, which saves memory and lets them
/// be saved: with 20,000 known ids, one call in 10^15 collides with another.
#[derive(Clone, Debug)]
pub struct CallTracker {
    hash_key: [u64; 2],
    max_records: usize,
    records: HashMap<u64, TrackedRecord>,
    session_ids: HashMap<u64, TrackedSessionId>,
    sessions: HashMap<u32, TrackedSession>,
    next_session: u32,
    /// Records of the last list that have ended and are still listed as In Progress.
    finishing: HashMap<u64, Call>,
    last_list: Option<Moment>,
    /// The start of [`ListTime`], the first list.
    epoch: Option<Instant>,
    is_restored: bool,
}

#[derive(Clone, Copy, Debug)]
struct TrackedRecord {
    was_live: bool,
    has_ended: bool,
    /// The number of its session, `None` while its state is unknown.
    session: Option<u32>,
    last_seen: ListTime,
}

/// The time of a list in milliseconds since the first one. It takes 4 bytes in place of the 16 of an `Instant`, since a
/// large account has 20,000 of them. It wraps after 49 days, and times compare correctly within 24 days of each other.
#[derive(Clone, Copy, Debug)]
struct ListTime(u32);

/// A session id and the session that it belongs to.
#[derive(Clone, Copy, Debug)]
struct TrackedSessionId {
    session: u32,
    last_seen: ListTime,
}

#[derive(Clone, Copy, Debug)]
struct TrackedSession {
    phase: SessionPhase,
    has_started: bool,
    /// Whether the last list shows a live record.
    is_live: bool,
    /// Whether the last list shows a record that has ended and is still listed as In Progress.
    is_finishing: bool,
    /// The best outcome of the ended records.
    outcome: Option<Outcome>,
    /// The first list since the last live or newly ended record.
    quiet_since: Option<ListTime>,
    last_seen: ListTime,
}

/// Whether the end of a session was counted. Of two sessions that become one, the later phase remains, so that no end
/// is counted twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum SessionPhase {
    /// Not ended.
    Open,
    /// The first list showed only ended records. A live record proves that the session had not ended.
    Baseline,
    Ended,
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

impl Default for CallTracker {
    /// Creates a tracker with a random key, whose first list is the baseline.
    fn default() -> Self {
        let random = || RandomState::new().build_hasher().finish();
        Self {
            hash_key: [random(), random()],
            max_records: MAX_RECORDS,
            records: HashMap::new(),
            session_ids: HashMap::new(),
            sessions: HashMap::new(),
            next_session: 0,
            finishing: HashMap::new(),
            last_list: None,
            epoch: None,
            is_restored: false,
        }
    }
}

impl CallTracker {
    /// Updates the tracker with a list, whose ids are distinct, and returns the changes since the previous one.
    pub fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let mut events = CallEvents {
            gap: self.is_gap(now),
            ..CallEvents::default()
        };
        if mem::take(&mut self.is_restored) && events.gap {
            *self = Self::default();
        }
        self.rebase_after_pause(now.instant);
        let is_baseline = self.last_list.replace(now).is_none();
        for session in self.sessions.values_mut() {
            session.is_live = false;
            session.is_finishing = false;
        }
        let now = self.list_time(now.instant);
        let ids = self.join_sessions(calls, now);
        let mut finishing = mem::take(&mut self.finishing);
        for (call, id) in calls.iter().zip(ids) {
            let was_finishing = finishing.remove(&id).is_some();
            self.update_record(id, call, was_finishing, &mut events);
        }
        for (id, call) in finishing {
            self.end_record(id, call, &mut events);
        }
        if is_baseline {
            self.set_baseline();
            return CallEvents::default();
        }
        self.end_sessions(now, &mut events);
        self.expire(now, &mut events);
        events
    }

    /// Restarts the clock after a pause that is longer than anything is kept, since a [`ListTime`] could wrap in it.
    fn rebase_after_pause(&mut self, now: Instant) {
        let Some(last_list) = self.last_list else {
            return;
        };
        if now.saturating_duration_since(last_list.instant) < RETENTION {
            return;
        }
        self.epoch = Some(now);
        let long_ago = ListTime::before_epoch(RETENTION.as_millis() as u64);
        for record in self.records.values_mut() {
            record.last_seen = long_ago;
        }
        for id in self.session_ids.values_mut() {
            id.last_seen = long_ago;
        }
        for session in self.sessions.values_mut() {
            session.last_seen = long_ago;
            session.quiet_since = session.quiet_since.map(|_| long_ago);
        }
    }

    /// Converts a time, which is that of the first list if there was none.
    fn list_time(&mut self, now: Instant) -> ListTime {
        let epoch = *self.epoch.get_or_insert(now);
        ListTime::new(now, epoch)
    }

    fn is_gap(&self, now: Moment) -> bool {
        let Some(last_list) = self.last_list else {
            return false;
        };
        now.saturating_duration_since(last_list) > MAX_LIST_GAP
    }

    /// Finds or creates the records and sessions of a list, joins sessions that share a record, and returns the
    /// hashed ids of the records. A record in unknown state belongs to no session until a later list has its state.
    fn join_sessions(&mut self, calls: &[Call], now: ListTime) -> Vec<u64> {
        let mut joined = JoinedSessions::default();
        let mut ids = Vec::with_capacity(calls.len());
        for call in calls {
            let id = self.hash(0, &call.id);
            ids.push(id);
            let record = self.records.entry(id).or_insert(TrackedRecord::new(now));
            record.last_seen = now;
            let mut session = record.session;
            if call.state != CallState::Unknown {
                session = Some(self.find_session(session, call, &mut joined, now));
            }
            if let Some(number) = session {
                let session = self.sessions.entry(number);
                session.or_insert(TrackedSession::new(now)).last_seen = now;
            }
            if let Some(record) = self.records.get_mut(&id) {
                record.session = session;
            }
        }
        self.merge_sessions(&mut joined);
        ids
    }

    /// Returns the number of the record's session, a new one if none of its session ids is known.
    fn find_session(
        &mut self,
        known: Option<u32>,
        call: &Call,
        joined: &mut JoinedSessions,
        now: ListTime,
    ) -> u32 {
        let mut found = known;
        let telephony = call.session.telephony.as_deref();
        let session = call.session.session.as_deref();
        let ids = [
            telephony.map(|id| self.hash(1, id)),
            session.map(|id| self.hash(2, id)),
        ];
        for id in ids.iter().flatten() {
            let Some(tracked) = self.session_ids.get(id) else {
                continue;
            };
            joined.join(found.unwrap_or(tracked.session), tracked.session);
            found = Some(joined.resolve(tracked.session));
        }
        let session = found.unwrap_or_else(|| self.new_session());
        let last_seen = now;
        for id in ids.into_iter().flatten() {
            let tracked = TrackedSessionId { session, last_seen };
            self.session_ids.insert(id, tracked);
        }
        session
    }

    /// Returns a number that no session has. Numbers begin again after the last one.
    fn new_session(&mut self) -> u32 {
        while self.sessions.contains_key(&self.next_session) {
            self.next_session = self.next_session.wrapping_add(1);
        }
        let session = self.next_session;
        self.next_session = session.wrapping_add(1);
        session
    }

    /// Moves what is known of joined sessions to the ones that remain.
    fn merge_sessions(&mut self, joined: &mut JoinedSessions) {
        let removed = joined.removed();
        if removed.is_empty() {
            return;
        }
        for number in removed {
            let remaining = joined.resolve(number);
            if let Some(session) = self.sessions.remove(&number) {
                let remaining = self.sessions.entry(remaining).or_insert(session);
                remaining.merge(session);
            }
        }
        for id in self.session_ids.values_mut() {
            id.session = joined.resolve(id.session);
        }
        for record in self.records.values_mut() {
            record.session = record.session.map(|number| joined.resolve(number));
        }
    }

    fn update_record(
        &mut self,
        id: u64,
        call: &Call,
        was_finishing: bool,
        events: &mut CallEvents,
    ) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let Some(session) = record
            .session
            .and_then(|number| self.sessions.get_mut(&number))
        else {
            return;
        };
        if !mem::replace(&mut session.has_started, true) {
            events.sessions_started += 1;
        }
        if call.has_ended() && !record.has_ended && !was_finishing {
            session.quiet_since = None;
        }
        match call.state {
            CallState::Live => {
                record.was_live = true;
                session.set_live();
            }
            CallState::Ended => {
                session.add_outcome(Outcome::from_result(&call.result));
                if !mem::replace(&mut record.has_ended, true) {
                    events.ended.push(call.clone());
                }
            }
            CallState::Finishing | CallState::Unknown => {
                if !record.has_ended && (call.has_ended() || was_finishing) {
                    session.is_finishing = true;
                    self.finishing.insert(id, call.clone());
                }
            }
        }
    }

    /// Counts a record that left the list without a result.
    fn end_record(&mut self, id: u64, call: Call, events: &mut CallEvents) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        record.has_ended = true;
        if let Some(session) = record
            .session
            .and_then(|number| self.sessions.get_mut(&number))
        {
            session.add_outcome(Outcome::from_result(&call.result));
        }
        events.ended.push(call);
    }

    /// Marks what the first list shows as ended, so that it is not counted.
    fn set_baseline(&mut self) {
        for id in mem::take(&mut self.finishing).into_keys() {
            if let Some(record) = self.records.get_mut(&id) {
                record.has_ended = true;
            }
        }
        for session in self.sessions.values_mut() {
            if !session.is_live {
                session.phase = SessionPhase::Baseline;
            }
        }
    }

    /// Ends the sessions of which one record has ended, and no record was live or ended newly for long enough. A
    /// session ends only once, even if a record joins later.
    fn end_sessions(&mut self, now: ListTime, events: &mut CallEvents) {
        for session in self.sessions.values_mut() {
            if session.is_live || session.phase != SessionPhase::Open {
                continue;
            }
            let quiet_since = *session.quiet_since.get_or_insert(now);
            if now.duration_since(quiet_since) < SESSION_END_WAIT {
                continue;
            }
            if let Some(outcome) = session.current_outcome() {
                session.phase = SessionPhase::Ended;
                events.sessions_ended.push(outcome);
            }
        }
    }

    /// Forgets what left the list long ago, and counts the records of it that were live and never seen ended. A session
    /// that is about to end is kept until it has ended; if too many are kept, it ends now.
    fn expire(&mut self, now: ListTime, events: &mut CallEvents) {
        // By the monotonic clock: a wall clock that is set forward must not forget what is still listed.
        let retention = self.retention(now);
        let is_kept = |last_seen| now.duration_since(last_seen) < retention;
        self.records.retain(|_, record| {
            let kept = is_kept(record.last_seen);
            events.lost += u64::from(!kept && record.was_live && !record.has_ended);
            kept
        });
        self.session_ids.retain(|_, id| is_kept(id.last_seen));
        self.sessions.retain(|_, session| {
            let outcome = session
                .outcome
                .filter(|_| session.phase == SessionPhase::Open);
            if is_kept(session.last_seen) || (outcome.is_some() && retention == RETENTION) {
                return true;
            }
            events.sessions_ended.extend(outcome);
            false
        });
    }

    /// Returns how long ids are kept after they left the list: less than `RETENTION` if there are too many of them.
    fn retention(&self, now: ListTime) -> Duration {
        let records = self.records.values().map(|record| record.last_seen);
        let sessions = self.sessions.values().map(|session| session.last_seen);
        let session_ids = self.session_ids.values().map(|id| id.last_seen);
        RETENTION
            .min(now.age_of_excess(records, self.max_records))
            .min(now.age_of_excess(sessions, self.max_records))
            .min(now.age_of_excess(session_ids, 2 * self.max_records))
    }

    /// Returns a hash that another process with the same key also returns: SipHash-2-4.
    #[expect(deprecated, reason = "the hasher that replaces it takes no key")]
    fn hash(&self, kind: u8, id: &str) -> u64 {
        let [first, second] = self.hash_key;
        let mut hasher = std::hash::SipHasher::new_with_keys(first, second);
        hasher.write_u8(kind);
        hasher.write(id.as_bytes());
        hasher.finish()
    }
}

impl ListTime {
    fn new(now: Instant, epoch: Instant) -> Self {
        // Only the low bits, because it wraps.
        Self(now.saturating_duration_since(epoch).as_millis() as u32)
    }

    /// Returns the time this long before the epoch, at most 24 days.
    fn before_epoch(age_ms: u64) -> Self {
        let age = age_ms.min(u64::from(u32::MAX / 2)) as u32;
        Self(0_u32.wrapping_sub(age))
    }

    /// Returns the time since `earlier`, zero if that is later.
    fn duration_since(self, earlier: Self) -> Duration {
        let ms = self.0.wrapping_sub(earlier.0);
        if ms > u32::MAX / 2 {
            return Duration::ZERO;
        }
        Duration::from_millis(ms.into())
    }

    /// Returns the age from which times are not kept, so that at most `max` remain and all of this list.
    fn age_of_excess(self, times: impl ExactSizeIterator<Item = Self>, max: usize) -> Duration {
        if times.len() <= max {
            return Duration::MAX;
        }
        let mut ages: Vec<_> = times.map(|time| self.duration_since(time)).collect();
        let (_, age, _) = ages.select_nth_unstable(max);
        // What is listed now has the age 0.
        (*age).max(Duration::from_millis(1))
    }

    fn later_of(self, other: Self) -> Self {
        if self.duration_since(other).is_zero() {
            return other;
        }
        self
    }
}

impl TrackedRecord {
    fn new(now: ListTime) -> Self {
        Self {
            was_live: false,
            has_ended: false,
            session: None,
            last_seen: now,
        }
    }
}

impl TrackedSession {
    fn new(now: ListTime) -> Self {
        Self {
            phase: SessionPhase::Open,
            has_started: false,
            is_live: false,
            is_finishing: false,
            outcome: None,
            quiet_since: None,
            last_seen: now,
        }
    }

    fn set_live(&mut self) {
        self.is_live = true;
        self.quiet_since = None;
        if self.phase == SessionPhase::Baseline {
            self.phase = SessionPhase::Open;
        }
    }

    fn add_outcome(&mut self, outcome: Outcome) {
        let best = self.outcome.unwrap_or(outcome);
        self.outcome = Some(best.min(outcome));
    }

    /// Returns the best outcome of the ended records, `None` if none has ended.
    fn current_outcome(mut self) -> Option<Outcome> {
        if self.is_finishing {
            self.add_outcome(Outcome::Missed);
        }
        self.outcome
    }

    /// Adds what is known of another session that turned out to be this one.
    fn merge(&mut self, other: Self) {
        self.phase = self.phase.max(other.phase);
        self.has_started |= other.has_started;
        self.last_seen = self.last_seen.later_of(other.last_seen);
        self.quiet_since = match (self.quiet_since, other.quiet_since) {
            (Some(since), Some(other)) => Some(since.later_of(other)),
            _ => None,
        };
        if let Some(outcome) = other.outcome {
            self.add_outcome(outcome);
        }
    }
}

#[cfg(test)]
mod tests;
