//! Trackers with a deliberate defect: each wraps the real tracker and falsifies its input or
//! output.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ringcentral_exporter::calls::{Call, CallEvents, CallState, CallTracker, Outcome, SessionIds};
use ringcentral_exporter::clock::Moment;
use smol_str::{SmolStr, format_smolstr};

/// A tracker, real or defective.
pub trait Tracker {
    /// Processes a list and returns its events.
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents;
}

impl Tracker for CallTracker {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        CallTracker::update(self, calls, now)
    }
}

fn falsified(calls: &[Call], falsify: impl FnMut(&mut Call)) -> Vec<Call> {
    let mut calls = calls.to_vec();
    calls.iter_mut().for_each(falsify);
    calls
}

/// Counts a record again when it returns after it was missing from a list.
#[derive(Default)]
pub struct CountsReturningRecords {
    tracker: CallTracker,
    previous: HashSet<SmolStr>,
    /// How often each record has returned.
    returns: HashMap<SmolStr, u32>,
}

impl Tracker for CountsReturningRecords {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let mut listed = calls.to_vec();
        for call in &mut listed {
            let was_listed = self.previous.contains(&call.id);
            let returns = match self.returns.get_mut(&call.id) {
                Some(returns) => {
                    *returns += u32::from(!was_listed);
                    *returns
                }
                None => {
                    self.returns.insert(call.id.clone(), 0);
                    0
                }
            };
            call.id = format_smolstr!("{} {returns}", call.id);
        }
        self.previous = calls.iter().map(|call| call.id.clone()).collect();
        self.tracker.update(&listed, now)
    }
}

/// Counts the ended calls of the first list.
#[derive(Default)]
pub struct CountsBaseline {
    tracker: Option<CallTracker>,
}

impl Tracker for CountsBaseline {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let tracker = self.tracker.get_or_insert_with(|| {
            let mut tracker = CallTracker::default();
            tracker.update(&[], now);
            tracker
        });
        tracker.update(calls, now)
    }
}

/// Removes a record 90 s after it was seen ended, although it is still listed.
#[derive(Default)]
pub struct RemovesTooEarly {
    tracker: CallTracker,
    ended: HashMap<SmolStr, Moment>,
}

impl Tracker for RemovesTooEarly {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let falsify = |call: &mut Call| {
            if call.state != CallState::Ended {
                return;
            }
            let ended = *self.ended.entry(call.id.clone()).or_insert(now);
            if now.saturating_duration_since(ended) > Duration::from_secs(90) {
                call.id = format_smolstr!("{} again", call.id);
            }
        };
        let listed = falsified(calls, falsify);
        self.tracker.update(&listed, now)
    }
}

/// Counts a session for each record.
#[derive(Default)]
pub struct SessionPerRecord {
    tracker: CallTracker,
}

impl Tracker for SessionPerRecord {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let listed = falsified(calls, |call| call.session = SessionIds::default());
        self.tracker.update(&listed, now)
    }
}

/// Counts a call when it is first seen, live or not.
#[derive(Default)]
pub struct CountsLiveCalls {
    tracker: CallTracker,
}

impl Tracker for CountsLiveCalls {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let listed = falsified(calls, |call| call.state = CallState::Ended);
        self.tracker.update(&listed, now)
    }
}

/// Gives a session the outcome of its last record in place of the best one.
#[derive(Default)]
pub struct LastOutcome {
    tracker: CallTracker,
    session_tracker: CallTracker,
}

impl Tracker for LastOutcome {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let mut last_results = HashMap::new();
        for call in calls {
            if call.state == CallState::Ended {
                last_results.insert(&call.session.session, &call.result);
            }
        }
        let listed = falsified(calls, |call| {
            if call.state == CallState::Ended {
                call.result = last_results[&call.session.session].clone();
            }
        });
        let sessions_ended: Vec<Outcome> = self.session_tracker.update(&listed, now).sessions_ended;
        CallEvents {
            sessions_ended,
            ..self.tracker.update(calls, now)
        }
    }
}

/// Ends a session with the first list that shows no live record.
#[derive(Default)]
pub struct NoWait {
    tracker: CallTracker,
    outcomes: HashMap<SmolStr, Outcome>,
    ended: HashSet<SmolStr>,
}

impl Tracker for NoWait {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let mut live = HashSet::new();
        for call in calls {
            let session = call.session.session.clone().unwrap();
            if call.state == CallState::Live {
                live.insert(session);
                continue;
            }
            let outcome = Outcome::from_result(&call.result);
            let best = self.outcomes.entry(session).or_insert(outcome);
            *best = outcome.min(*best);
        }
        let mut sessions_ended = Vec::new();
        for (session, outcome) in &self.outcomes {
            if !live.contains(session) && self.ended.insert(session.clone()) {
                sessions_ended.push(*outcome);
            }
        }
        CallEvents {
            sessions_ended,
            ..self.tracker.update(calls, now)
        }
    }
}

/// Joins records only by one of their session ids.
#[derive(Default)]
pub struct JoinsByOneId {
    tracker: CallTracker,
}

impl Tracker for JoinsByOneId {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let listed = falsified(calls, |call| {
            if call.session.telephony.is_some() {
                call.session.session = None;
            }
        });
        self.tracker.update(&listed, now)
    }
}

/// Stops and starts between two lists, and continues with what was saved. No defect, unless it forgets.
#[derive(Default)]
pub struct Restarts {
    tracker: CallTracker,
    lists: usize,
    /// Number of lists between two restarts.
    every: usize,
    /// Whether the saved state is lost.
    forgets: bool,
}

impl Restarts {
    pub fn every(lists: usize, forgets: bool) -> Self {
        Self {
            every: lists,
            forgets,
            ..Self::default()
        }
    }
}

impl Tracker for Restarts {
    fn update(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        self.lists += 1;
        if self.lists.is_multiple_of(self.every) {
            let saved = serde_json::to_vec(&self.tracker.save(now)).unwrap();
            let saved = serde_json::from_slice(&saved).unwrap();
            self.tracker = CallTracker::restore(saved, now);
            if self.forgets {
                self.tracker = CallTracker::default();
            }
        }
        self.tracker.update(calls, now)
    }
}
