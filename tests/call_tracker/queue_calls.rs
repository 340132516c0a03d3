//! Queue calls that ring up to eight agents one after another, without the simulator: the example
//! that showed why a session must not end with the first list without a live record.

use std::time::Duration;

use fastrand::Rng;
use ringcentral_exporter::calls::{
    Call, CallResult, CallState, CallTracker, Direction, Outcome, SessionIds,
};
use ringcentral_exporter::clock::Moment;
use smol_str::format_smolstr;

use crate::mutants::{NoWait, Tracker};

const CALLS: usize = 1_000;
const MAX_AGENTS: usize = 8;
const ANSWERED: f64 = 0.3;
/// Time between two agents, in which no record is live.
const GAP_MS: i64 = 3_000;
/// A call begins every 12 s.
const ARRIVAL_MS: i64 = 12_000;
/// Share of the live records that each list lacks.
const MISSING: f64 = 0.01;
const LISTED_AFTER_END_MS: i64 = 120_000;

/// A record: the ringing and talking of one agent, or the voicemail.
struct Part {
    call: Call,
    shown_from: i64,
    end_shown_from: i64,
    removed_at: i64,
}

/// The records of all calls, and the outcome of each call.
struct Calls {
    parts: Vec<Part>,
    answered: usize,
}

impl Calls {
    fn new() -> Self {
        let mut rng = Rng::with_seed(17);
        let mut calls = Self {
            parts: Vec::new(),
            answered: 0,
        };
        for number in 0..CALLS {
            calls.add(number, &mut rng);
        }
        calls
    }

    fn add(&mut self, number: usize, rng: &mut Rng) {
        let mut at = number as i64 * ARRIVAL_MS;
        for _ in 0..MAX_AGENTS {
            if rng.f64() < ANSWERED {
                let talk = rng.i64(10_000..300_000);
                self.push(number, "Accepted", at, at + talk, rng);
                self.answered += 1;
                return;
            }
            let end = at + rng.i64(12_000..20_000);
            self.push(number, "Missed", at, end, rng);
            at = end + GAP_MS;
        }
        self.push(number, "Voicemail", at, at + 30_000, rng);
    }

    /// Adds a record whose start and end are listed 3 to 10 s late.
    fn push(&mut self, number: usize, result: &str, start: i64, end: i64, rng: &mut Rng) {
        let call = Call {
            id: format_smolstr!("{}", self.parts.len()),
            session: SessionIds {
                telephony: None,
                session: Some(format_smolstr!("{number}")),
            },
            direction: Direction::Inbound,
            state: CallState::Ended,
            result: CallResult::parse(result).unwrap(),
            extension: None,
            start: None,
            duration: None,
        };
        self.parts.push(Part {
            call,
            shown_from: start + rng.i64(3_000..=10_000),
            end_shown_from: end + rng.i64(3_000..=10_000),
            removed_at: end + LISTED_AFTER_END_MS,
        });
    }

    fn listed_at(&self, at: i64) -> Vec<Call> {
        let mut rng = Rng::with_seed(at as u64);
        let mut listed = Vec::new();
        for part in &self.parts {
            if !(part.shown_from..part.removed_at).contains(&at) {
                continue;
            }
            let mut call = part.call.clone();
            if at < part.end_shown_from {
                if rng.f64() < MISSING {
                    continue;
                }
                call.state = CallState::Live;
                call.result = CallResult::IN_PROGRESS;
            }
            listed.push(call);
        }
        listed
    }

    /// Returns the share of the sessions that the tracker counts as answered.
    fn answer_rate(&self, tracker: &mut dyn Tracker, interval_ms: i64) -> f64 {
        let start = Moment::now();
        let until = CALLS as i64 * ARRIVAL_MS + 20 * 60_000;
        let (mut answered, mut ended) = (0, 0);
        for at in (-interval_ms..until).step_by(interval_ms as usize) {
            let now = start.after(Duration::from_millis((at + interval_ms) as u64));
            for outcome in tracker.update(&self.listed_at(at), now).sessions_ended {
                ended += 1;
                answered += usize::from(outcome == Outcome::Answered);
            }
        }
        assert_eq!(ended, CALLS, "each call ends once");
        answered as f64 / ended as f64
    }
}

#[test]
fn answer_rate_of_queues_in_turn_is_exact() {
    let calls = Calls::new();
    let expected = calls.answered as f64 / CALLS as f64;
    assert!((0.92..0.97).contains(&expected), "{expected}");
    for interval_ms in [5_000, 7_500, 15_000, 30_000, 60_000] {
        let rate = calls.answer_rate(&mut CallTracker::default(), interval_ms);
        assert_eq!(rate, expected, "every {interval_ms} ms");
    }
}

#[test]
fn answer_rate_without_the_wait_is_far_too_low() {
    let calls = Calls::new();
    for (interval_ms, at_most) in [(7_500, 0.6), (15_000, 0.75), (30_000, 0.85)] {
        let rate = calls.answer_rate(&mut NoWait::default(), interval_ms);
        println!("every {interval_ms} ms: {rate}");
        assert!(rate < at_most, "every {interval_ms} ms: {rate}");
    }
}
