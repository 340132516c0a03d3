//! A simple and slow model of the call tracker, against which its events are checked.
//!
//! The model keeps all ids as text, because the lists of an input follow one another closely.

use std::collections::HashSet;

use ringcentral_exporter::calls::{Call, CallEvents, CallState, Outcome};

/// Seconds between two lists, and from the last live record of a session to its end.
const LIST_INTERVAL: usize = 15;
const WAIT: usize = 45;

/// The records and sessions of all lists so far.
#[derive(Default)]
pub struct TrackerOracle {
    lists: usize,
    ended: HashSet<String>,
    /// Records of the last list that have ended without a result.
    finishing: HashSet<String>,
    sessions: Vec<Session>,
}

/// What is known of one session.
#[derive(Default)]
struct Session {
    ids: HashSet<String>,
    outcomes: Vec<Outcome>,
    has_started: bool,
    is_baseline: bool,
    has_ended: bool,
    is_live: bool,
    /// Number of the list from which on no record was live or ended newly.
    quiet_since: Option<usize>,
}

impl TrackerOracle {
    /// Updates the model with a list, and asserts that `events` are the changes that it shows.
    pub fn check(&mut self, calls: &[Call], events: &CallEvents) {
        for session in &mut self.sessions {
            session.is_live = false;
        }
        let known = calls.iter().filter(|call| call.state != CallState::Unknown);
        known.for_each(|call| self.join(call));
        let previous: HashSet<_> = self.finishing.drain().collect();
        let mut ended = 0;
        for call in calls {
            ended += self.update(call, previous.contains(call.id.as_str()));
        }
        ended += self.end_unlisted(previous, calls);
        let mut started = 0;
        for session in &mut self.sessions {
            started += u64::from(!session.has_started);
            session.has_started = true;
        }
        let mut outcomes = self.end_sessions();
        if self.lists == 0 {
            self.set_baseline();
            (ended, started, outcomes) = (0, 0, Vec::new());
        }
        self.lists += 1;
        assert_eq!(events.ended.len(), ended, "records that ended");
        assert_eq!(events.sessions_started, started, "sessions that started");
        let mut sessions_ended = events.sessions_ended.clone();
        sessions_ended.sort();
        assert_eq!(sessions_ended, outcomes, "sessions that ended");
        assert!(
            events.lost == 0 && !events.gap,
            "lost records or a gap in lists that follow one another closely"
        );
    }

    /// Makes one session of all that share an id with the record.
    fn join(&mut self, call: &Call) {
        let mut joined = Session {
            ids: ids(call),
            ..Session::default()
        };
        let mut others = Vec::new();
        let mut quiet = Vec::new();
        for session in self.sessions.drain(..) {
            if session.ids.is_disjoint(&joined.ids) {
                others.push(session);
                continue;
            }
            joined.ids.extend(session.ids);
            joined.outcomes.extend(session.outcomes);
            joined.has_started |= session.has_started;
            joined.is_baseline |= session.is_baseline;
            joined.has_ended |= session.has_ended;
            quiet.push(session.quiet_since);
        }
        if !quiet.contains(&None) {
            joined.quiet_since = quiet.into_iter().flatten().max();
        }
        self.sessions = others;
        self.sessions.push(joined);
    }

    /// Returns the number of records that have ended: 0 or 1.
    fn update(&mut self, call: &Call, was_finishing: bool) -> usize {
        let id = call.id.to_string();
        let session = find(&mut self.sessions, &id);
        let is_finishing = call.state == CallState::Finishing
            || (call.state == CallState::Unknown && was_finishing);
        if call.state == CallState::Live {
            let session = session.expect("session of a live record");
            session.is_live = true;
            session.is_baseline = false;
        } else if is_finishing && !self.ended.contains(&id) {
            if !was_finishing {
                session.expect("session of an ended record").quiet_since = None;
            }
            self.finishing.insert(id);
        } else if call.state == CallState::Ended {
            let session = session.expect("session of an ended record");
            session.outcomes.push(Outcome::from_result(&call.result));
            let is_new = self.ended.insert(id);
            if is_new && !was_finishing {
                session.quiet_since = None;
            }
            return usize::from(is_new);
        }
        0
    }

    /// Ends the records that left the list without a result, and returns their number.
    fn end_unlisted(&mut self, previous: HashSet<String>, calls: &[Call]) -> usize {
        let listed: HashSet<_> = calls.iter().map(|call| call.id.as_str()).collect();
        let mut ended = 0;
        for id in previous {
            if listed.contains(id.as_str()) {
                continue;
            }
            let session = find(&mut self.sessions, &id).expect("session of an ended record");
            session.outcomes.push(Outcome::Missed);
            self.ended.insert(id);
            ended += 1;
        }
        ended
    }

    /// Returns the outcomes of the sessions that have ended since the previous list, sorted.
    fn end_sessions(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for session in &mut self.sessions {
            if session.is_live {
                session.quiet_since = None;
                continue;
            }
            if session.is_baseline || session.has_ended {
                continue;
            }
            let since = *session.quiet_since.get_or_insert(self.lists);
            let is_finishing = !session.ids.is_disjoint(&record_ids(&self.finishing));
            let mut candidates = session.outcomes.clone();
            candidates.extend(is_finishing.then_some(Outcome::Missed));
            let Some(best) = candidates.into_iter().min() else {
                continue;
            };
            if (self.lists - since) * LIST_INTERVAL >= WAIT {
                session.has_ended = true;
                outcomes.push(best);
            }
        }
        outcomes.sort();
        outcomes
    }

    /// Marks what the first list shows as ended.
    fn set_baseline(&mut self) {
        self.ended.extend(self.finishing.drain());
        for session in &mut self.sessions {
            session.is_baseline = !session.is_live;
            session.quiet_since = None;
        }
    }
}

/// Returns the number of sessions with a live record in a list.
pub fn count_live_sessions(calls: &[Call]) -> u64 {
    let mut list = TrackerOracle::default();
    for call in calls {
        if call.state != CallState::Unknown {
            list.join(call);
        }
    }
    let mut live = HashSet::new();
    for call in calls {
        if call.state == CallState::Live {
            live.insert(format!("record {}", call.id));
        }
    }
    let sessions = list.sessions.iter();
    sessions
        .filter(|session| !session.ids.is_disjoint(&live))
        .count() as u64
}

/// Returns the ids by which a record finds its session. They begin with their kind.
fn ids(call: &Call) -> HashSet<String> {
    let telephony = call.session.telephony.as_ref();
    let session = call.session.session.as_ref();
    let mut ids = HashSet::from([format!("record {}", call.id)]);
    ids.extend(telephony.map(|id| format!("telephony {id}")));
    ids.extend(session.map(|id| format!("session {id}")));
    ids
}

fn record_ids(records: &HashSet<String>) -> HashSet<String> {
    records.iter().map(|id| format!("record {id}")).collect()
}

fn find<'a>(sessions: &'a mut [Session], record: &str) -> Option<&'a mut Session> {
    let id = format!("record {record}");
    sessions
        .iter_mut()
        .find(|session| session.ids.contains(&id))
}
