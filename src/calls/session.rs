//! Sessions: which records belong to one telephone call.
//!
//! A record can have two session ids. Records that share either are one session, also when a third record joins them.

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use smol_str::SmolStr;

use crate::calls::{Call, CallState};

/// The session ids of a record. A record without any is a session of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionIds {
    /// `telephonySessionId`.
    pub telephony: Option<SmolStr>,
    /// `sessionId`.
    pub session: Option<SmolStr>,
}

/// One of the two session ids. Equal texts of different kinds are different ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionId<'a> {
    /// `telephonySessionId`.
    Telephony(&'a str),
    /// `sessionId`.
    Session(&'a str),
}

impl SessionIds {
    /// Returns the ids that the record has.
    pub fn iter(&self) -> impl Iterator<Item = SessionId<'_>> {
        let telephony = self.telephony.as_deref().map(SessionId::Telephony);
        let session = self.session.as_deref().map(SessionId::Session);
        telephony.into_iter().chain(session)
    }
}

/// Session numbers that were found to be one session: a disjoint-set forest.
#[derive(Debug, Default)]
pub(super) struct JoinedSessions(HashMap<u32, u32>);

impl JoinedSessions {
    /// Returns the number that stands for the session of `number`, and shortens the path to it.
    pub(super) fn resolve(&mut self, mut number: u32) -> u32 {
        let mut root = number;
        while let Some(next) = self.0.get(&root) {
            root = *next;
        }
        while number != root {
            number = self.0.insert(number, root).unwrap_or(root);
        }
        root
    }

    /// Makes two sessions one.
    pub(super) fn join(&mut self, number: u32, other: u32) {
        let (number, other) = (self.resolve(number), self.resolve(other));
        if number != other {
            self.0.insert(number.max(other), number.min(other));
        }
    }

    /// Returns the numbers that no longer stand for a session.
    pub(super) fn removed(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }
}

/// Returns the number of sessions with a live record. A record in unknown state belongs to no session.
pub(super) fn count_live_sessions(calls: &[Call]) -> u64 {
    let mut joined = JoinedSessions::default();
    let mut first_records = HashMap::with_capacity(2 * calls.len());
    for (number, call) in (0..).zip(calls) {
        if call.state == CallState::Unknown {
            continue;
        }
        for id in call.session.iter() {
            joined.join(number, *first_records.entry(id).or_insert(number));
        }
    }
    let mut live = HashSet::new();
    for (number, call) in (0..).zip(calls) {
        if call.state == CallState::Live {
            live.insert(joined.resolve(number));
        }
    }
    live.len() as u64
}
