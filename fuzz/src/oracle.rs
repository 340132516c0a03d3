//! A simple and slow model of the call tracker, against which its events are checked.
//!
//! The model keeps all ids, because the lists of an input follow one another closely.

use std::collections::{HashMap, HashSet};

use ringcentral_exporter::calls::{Call, CallEvents, CallState, Outcome};

/// The records and sessions of all lists so far.
#[derive(Default)]
pub struct TrackerOracle {
    has_baseline: bool,
    ended: HashSet<String>,
    sessions: HashMap<String, Session>,
}

#[derive(Default)]
struct Session {
    outcomes: Vec<Outcome>,
    has_ended: bool,
}

impl TrackerOracle {
    /// Updates the model with a list, and asserts that `events` are the changes that it shows.
    pub fn check(&mut self, calls: &[Call], events: &CallEvents) {
        let mut ended = self.end_records(calls);
        let mut started = self.start_sessions(calls);
        let mut outcomes = self.end_sessions(calls);
        if !self.has_baseline {
            self.has_baseline = true;
            (ended, started, outcomes) = (0, 0, Vec::new());
        }
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

    /// Returns the number of records that have ended since the previous list.
    fn end_records(&mut self, calls: &[Call]) -> usize {
        let mut ended = 0;
        for call in calls {
            if call.state == CallState::Ended && self.ended.insert(call.id.to_string()) {
                ended += 1;
            }
        }
        ended
    }

    /// Returns the number of sessions that have started since the previous list.
    fn start_sessions(&mut self, calls: &[Call]) -> u64 {
        let previous = self.sessions.len();
        for call in calls {
            if call.state == CallState::Unknown {
                continue;
            }
            let session = self.sessions.entry(call.session.to_string()).or_default();
            if call.state == CallState::Ended {
                session.outcomes.push(Outcome::from_result(&call.result));
            }
        }
        (self.sessions.len() - previous) as u64
    }

    /// Returns the outcomes of the sessions that have ended since the previous list, sorted.
    fn end_sessions(&mut self, calls: &[Call]) -> Vec<Outcome> {
        let mut live = HashSet::new();
        for call in calls {
            if call.state == CallState::Live {
                live.insert(call.session.as_str());
            }
        }
        let mut outcomes = Vec::new();
        for (id, session) in &mut self.sessions {
            if session.has_ended || live.contains(id.as_str()) {
                continue;
            }
            if let Some(best) = session.outcomes.iter().min() {
                outcomes.push(*best);
                session.has_ended = true;
            }
        }
        outcomes.sort();
        outcomes
    }
}
