//! The ledger's counting once more, as slowly and plainly as can be.
//!
//! Owns: what should have been counted after these lists. Nothing is forgotten here: the lists lie close together.

use std::collections::{HashMap, HashSet};

use ringcentral_exporter::calls::{Call, News, Outcome, State};

/// What is known so far.
#[derive(Default)]
pub struct Tally {
    lists: usize,
    ended: HashSet<String>,
    sessions: HashMap<String, Session>,
}

#[derive(Default)]
struct Session {
    outcomes: Vec<Outcome>,
    has_ended: bool,
}

impl Tally {
    /// Takes a list in, and asserts that this news is right.
    pub fn assert(&mut self, calls: &[Call], news: &News) {
        let expected = (
            self.ended(calls),
            self.started(calls),
            self.sessions_ended(calls),
        );
        self.lists += 1;
        let expected = if self.lists == 1 {
            (0, 0, Vec::new())
        } else {
            expected
        };
        let mut outcomes = news.sessions_ended.clone();
        outcomes.sort();
        assert_eq!(
            (news.ended.len(), news.sessions_started, outcomes),
            expected
        );
        assert!(
            news.lost == 0 && !news.gap,
            "lists that lie close together lose nothing"
        );
    }

    fn ended(&mut self, calls: &[Call]) -> usize {
        let ended = calls.iter().filter(|call| call.state == State::Ended);
        ended
            .filter(|call| self.ended.insert(call.id.to_string()))
            .count()
    }

    fn started(&mut self, calls: &[Call]) -> u64 {
        let before = self.sessions.len();
        for call in calls.iter().filter(|call| call.state != State::Unknown) {
            let session = self.sessions.entry(call.session.to_string()).or_default();
            session
                .outcomes
                .extend((call.state == State::Ended).then(|| Outcome::of(&call.result)));
        }
        (self.sessions.len() - before) as u64
    }

    fn sessions_ended(&mut self, calls: &[Call]) -> Vec<Outcome> {
        let live = calls
            .iter()
            .filter(|call| call.state == State::Live)
            .map(|call| call.session.as_str());
        let live: HashSet<_> = live.collect();
        let mut outcomes = Vec::new();
        for (name, session) in self
            .sessions
            .iter_mut()
            .filter(|(_, session)| !session.has_ended)
        {
            let best = session
                .outcomes
                .iter()
                .min()
                .filter(|_| !live.contains(name.as_str()));
            outcomes.extend(best);
            session.has_ended = best.is_some();
        }
        outcomes.sort();
        outcomes
    }
}
