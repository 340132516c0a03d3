//! Ledgers that are broken on purpose: each is the real one with what goes in, or what comes out, falsified.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ringcentral_exporter::calls::{Call, CallEvents, CallState, CallTracker, Outcome};
use ringcentral_exporter::clock::Moment;
use smol_str::{SmolStr, format_smolstr};

/// Whatever takes lists in and tells what is new.
pub trait Counting {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents;
}

impl Counting for CallTracker {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        CallTracker::update(self, calls, now)
    }
}

fn falsified(calls: &[Call], falsify: impl FnMut(&mut Call)) -> Vec<Call> {
    let mut calls = calls.to_vec();
    calls.iter_mut().for_each(falsify);
    calls
}

/// A record that was away for a list is another record when it returns.
#[derive(Default)]
pub struct CountsReturners {
    ledger: CallTracker,
    last: HashSet<SmolStr>,
    returns: HashMap<SmolStr, u32>,
}

impl Counting for CountsReturners {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let falsify = |call: &mut Call| {
            let was_there = self.last.contains(&call.id);
            let seen = self
                .returns
                .entry(call.id.clone())
                .and_modify(|returns| *returns += u32::from(!was_there));
            let returns = seen.or_default();
            call.id = format_smolstr!("{} {returns}", call.id);
        };
        let listed = falsified(calls, falsify);
        self.last = calls.iter().map(|call| call.id.clone()).collect();
        self.ledger.update(&listed, now)
    }
}

/// What the first list shows as ended is new to it.
#[derive(Default)]
pub struct CountsTheBaseline {
    ledger: Option<CallTracker>,
}

impl Counting for CountsTheBaseline {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let ledger = self.ledger.get_or_insert_with(|| {
            let mut ledger = CallTracker::default();
            ledger.update(&[], now);
            ledger
        });
        ledger.update(calls, now)
    }
}

/// Forgets a record a minute and a half after it was seen ended, though it is still listed.
#[derive(Default)]
pub struct ForgetsTooEarly {
    ledger: CallTracker,
    ended: HashMap<SmolStr, Moment>,
}

impl Counting for ForgetsTooEarly {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let falsify = |call: &mut Call| {
            if call.state == CallState::Ended {
                let ended = *self.ended.entry(call.id.clone()).or_insert(now);
                let is_forgotten = now.saturating_duration_since(ended) > Duration::from_secs(90);
                call.id =
                    format_smolstr!("{}{}", call.id, if is_forgotten { " again" } else { "" });
            }
        };
        let listed = falsified(calls, falsify);
        self.ledger.update(&listed, now)
    }
}

/// Takes each record for a session of its own.
#[derive(Default)]
pub struct SessionPerRecord {
    ledger: CallTracker,
}

impl Counting for SessionPerRecord {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        self.ledger.update(
            &falsified(calls, |call| call.session.clone_from(&call.id)),
            now,
        )
    }
}

/// Counts a call when it is first seen, live or not.
#[derive(Default)]
pub struct LiveIsEnded {
    ledger: CallTracker,
}

impl Counting for LiveIsEnded {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        self.ledger
            .update(&falsified(calls, |call| call.state = CallState::Ended), now)
    }
}

/// Gives a session the outcome of whichever of its records it meets last, in place of the best.
#[derive(Default)]
pub struct LastOutcome {
    ledger: CallTracker,
    sessions: CallTracker,
}

impl Counting for LastOutcome {
    fn enter(&mut self, calls: &[Call], now: Moment) -> CallEvents {
        let ended = calls.iter().filter(|call| call.state == CallState::Ended);
        let last: HashMap<_, _> = ended.map(|call| (&call.session, &call.result)).collect();
        let falsify = |call: &mut Call| {
            if let Some(result) = last
                .get(&call.session)
                .filter(|_| call.state == CallState::Ended)
            {
                call.result = (*result).clone();
            }
        };
        let sessions_ended: Vec<Outcome> = self
            .sessions
            .update(&falsified(calls, falsify), now)
            .sessions_ended;
        CallEvents {
            sessions_ended,
            ..self.ledger.update(calls, now)
        }
    }
}
