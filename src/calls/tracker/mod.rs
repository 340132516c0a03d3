//! What has begun and what has ended since the last list.
//!
//! Owns: counting each call once, though it stays listed for two minutes after its end and may vanish, return, or shift
//! between pages. A pure value: what was known and a new list go in, what began and ended comes out. What the first
//! list shows as ended is the baseline: whoever ran before has counted it. No clock takes part in the counting; the
//! time only tells what may be forgotten and whether calls may have gone unseen. Refuses to know: metrics, and labels
//! other than the record's own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::calls::{Call, CallResult, CallState, Direction, Extension, Outcome};
use crate::clock::Moment;

/// Ids are forgotten this long after they leave the list; until then a record may return and still be known.
const RETENTION: Duration = Duration::from_secs(10 * 60);
/// A record stays listed some two minutes after its end, so lists this far apart have seen every one.
const MAX_LIST_GAP: Duration = Duration::from_secs(100);

/// What is known of the calls so far. Ids are kept as hashes with a key of this process, which are small: with twenty
/// thousand ids known, one call in 10^15 would be taken for another.
#[derive(Clone, Debug, Default)]
pub struct CallTracker {
    hasher: RandomState,
    records: HashMap<u64, TrackedRecord>,
    sessions: HashMap<u64, TrackedSession>,
    last: Option<Moment>,
}

#[derive(Clone, Debug)]
struct TrackedRecord {
    was_live: bool,
    has_ended: bool,
    last_seen: Instant,
}

#[derive(Clone, Debug)]
struct TrackedSession {
    is_live: bool,
    outcome: Option<Outcome>,
    has_ended: bool,
    last_seen: Instant,
}

/// What a list has told that was not known before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallEvents {
    /// Records that ended.
    pub ended: Vec<EndedCall>,
    /// Sessions that began.
    pub sessions_started: u64,
    /// Sessions that ended.
    pub sessions_ended: Vec<Outcome>,
    /// Records that were live, left the list, and were not seen ended.
    pub lost: u64,
    /// Whether calls may have gone unseen since the last list.
    pub gap: bool,
}

/// A record that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedCall {
    /// As listed once it had ended.
    pub direction: Direction,
    /// As listed once it had ended.
    pub result: CallResult,
    /// In seconds, if the record tells.
    pub duration: Option<f64>,
    /// The account's own party, if the record names one.
    pub extension: Option<Extension>,
}

impl CallTracker {
    /// Takes a list in, whose calls are distinct by id; gives what is new.
    pub fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let is_baseline = self.last.is_none();
        let mut news = CallEvents {
            gap: self
                .last
                .is_some_and(|last| now.saturating_duration_since(last) > MAX_LIST_GAP),
            ..CallEvents::default()
        };
        self.last = Some(now);
        for session in self.sessions.values_mut() {
            session.is_live = false;
        }
        for call in calls {
            self.update_record(call, now, &mut news);
            self.update_session(call, now, &mut news);
        }
        self.end_sessions(&mut news);
        news.lost = self.expire(now);
        if is_baseline {
            CallEvents::default()
        } else {
            news
        }
    }

    fn update_record(&mut self, call: &Call, now: Moment, news: &mut CallEvents) {
        let unknown = TrackedRecord {
            was_live: false,
            has_ended: false,
            last_seen: now.instant,
        };
        let record = self
            .records
            .entry(self.hasher.hash_one(&call.id))
            .or_insert(unknown);
        record.last_seen = now.instant;
        record.was_live |= call.state == CallState::Live;
        if call.state == CallState::Ended && !record.has_ended {
            record.has_ended = true;
            news.ended.push(EndedCall {
                direction: call.direction,
                result: call.result.clone(),
                duration: call.duration,
                extension: call.extension.clone(),
            });
        }
    }

    /// A record that says neither is of no session until a later list tells.
    fn update_session(&mut self, call: &Call, now: Moment, news: &mut CallEvents) {
        if call.state == CallState::Unknown {
            return;
        }
        let session = self
            .sessions
            .entry(self.hasher.hash_one(&call.session))
            .or_insert_with(|| {
                news.sessions_started += 1;
                TrackedSession {
                    is_live: false,
                    outcome: None,
                    has_ended: false,
                    last_seen: now.instant,
                }
            });
        session.last_seen = now.instant;
        match call.state {
            CallState::Ended => {
                let outcome = Outcome::from_result(&call.result);
                session.outcome = Some(session.outcome.map_or(outcome, |best| best.min(outcome)));
            }
            _ => session.is_live = true,
        }
    }

    /// A session has ended when none of its records is live and one has ended; whatever joins later, it ended once.
    fn end_sessions(&mut self, news: &mut CallEvents) {
        for session in self
            .sessions
            .values_mut()
            .filter(|session| !session.has_ended && !session.is_live)
        {
            if let Some(outcome) = session.outcome {
                session.has_ended = true;
                news.sessions_ended.push(outcome);
            }
        }
    }

    /// Forgets what has long left the list; gives the records among it that were live and never seen ended.
    fn expire(&mut self, now: Moment) -> u64 {
        let is_kept = |seen: Instant| now.instant.saturating_duration_since(seen) < RETENTION;
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
