//! Each rule of the call tracker.

use super::*;
use crate::calls::{CallResult, Direction};

/// Parses a record from `id:session:state`, where the state is a result, `live` or `unknown`.
fn call(text: &str) -> Call {
    let parts: Vec<_> = text.split(':').collect();
    let (state, result) = match parts[2] {
        "live" => (CallState::Live, CallResult::IN_PROGRESS),
        "unknown" => (CallState::Unknown, CallResult::UNKNOWN),
        result => (CallState::Ended, CallResult::parse(result).unwrap()),
    };
    Call {
        id: parts[0].into(),
        session: parts[1].into(),
        direction: Direction::Inbound,
        state,
        result,
        extension: None,
        start: None,
        duration: Some(7.0),
    }
}

/// A tracker that has seen its baseline, and its clock.
struct Fixture {
    tracker: CallTracker,
    now: Moment,
}

impl Fixture {
    fn new() -> Self {
        Self::from_baseline(&[])
    }

    fn from_baseline(baseline: &[&str]) -> Self {
        let mut fixture = Self {
            tracker: CallTracker::default(),
            now: Moment::now(),
        };
        assert_eq!(
            fixture.list(baseline),
            CallEvents::default(),
            "the baseline is not counted"
        );
        fixture
    }

    fn list(&mut self, calls: &[&str]) -> CallEvents {
        self.list_after(15, calls)
    }

    fn list_after(&mut self, seconds: u64, calls: &[&str]) -> CallEvents {
        self.now = self.now.after(Duration::from_secs(seconds));
        let calls: Vec<_> = calls.iter().map(|text| call(text)).collect();
        self.tracker.update(&calls, self.now)
    }
}

fn results(events: &CallEvents) -> Vec<&str> {
    events
        .ended
        .iter()
        .map(|ended| ended.result.as_str())
        .collect()
}

#[test]
fn call_is_counted_once_when_first_seen_ended() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.list(&["a:s:live"]).sessions_started, 1);
    let events = fixture.list(&["a:s:Accepted"]);
    assert_eq!(
        (results(&events), events.sessions_ended.as_slice()),
        (vec!["Accepted"], &[Outcome::Answered][..])
    );
    assert_eq!(events.ended[0].duration, Some(7.0));
    for _ in 0..8 {
        assert_eq!(fixture.list(&["a:s:Accepted"]), CallEvents::default());
    }
    assert_eq!(fixture.list(&[]), CallEvents::default());
}

#[test]
fn call_first_seen_ended_counts_as_started() {
    let events = Fixture::new().list(&["a:s:Missed"]);
    assert_eq!(
        (results(&events), events.sessions_started),
        (vec!["Missed"], 1)
    );
    assert_eq!(events.sessions_ended, [Outcome::Missed]);
}

#[test]
fn baseline_counts_only_its_live_calls_when_they_end() {
    let mut fixture = Fixture::from_baseline(&["a:s:Accepted", "b:t:live"]);
    let events = fixture.list(&["a:s:Accepted", "b:t:Busy"]);
    assert_eq!(
        (results(&events), events.sessions_started),
        (vec!["Busy"], 0)
    );
    assert_eq!(events.sessions_ended, [Outcome::Busy]);
}

#[test]
fn returning_record_is_recognised() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live"]);
    assert_eq!(fixture.list(&[]), CallEvents::default());
    assert_eq!(results(&fixture.list(&["a:s:Accepted"])), ["Accepted"]);
    fixture.list(&[]);
    assert_eq!(fixture.list(&["a:s:Accepted"]), CallEvents::default());
}

#[test]
fn vanished_live_record_is_lost_after_retention() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live"]);
    assert_eq!(fixture.list_after(60, &[]).lost, 0);
    assert_eq!(fixture.list_after(90, &[]).lost, 0, "it may return");
    assert_eq!(
        fixture.list_after(600, &[]),
        CallEvents {
            lost: 1,
            gap: true,
            ..CallEvents::default()
        }
    );
    assert_eq!(fixture.list_after(15, &[]), CallEvents::default());
}

#[test]
fn session_ends_with_last_live_record_and_best_outcome() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live", "b:s:live", "c:s:live"]);
    let rung = fixture.list(&["a:s:live", "b:s:Missed", "c:s:Missed"]);
    assert_eq!(
        (results(&rung).len(), rung.sessions_ended.len()),
        (2, 0),
        "one agent is still in the call"
    );
    let over = fixture.list(&["a:s:Accepted", "b:s:Missed", "c:s:Missed"]);
    assert_eq!(over.sessions_ended, [Outcome::Answered]);
}

#[test]
fn record_joining_later_does_not_end_session_twice() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:Missed"]);
    let joined = fixture.list(&["a:s:Missed", "b:s:live"]);
    assert_eq!(
        (joined.sessions_started, joined.sessions_ended.len()),
        (0, 0)
    );
    let over = fixture.list(&["a:s:Missed", "b:s:Accepted"]);
    assert_eq!(
        (results(&over), over.sessions_ended.len()),
        (vec!["Accepted"], 0)
    );
}

#[test]
fn transfer_keeps_session_open() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live"]);
    assert_eq!(
        fixture.list(&["a:s:Accepted", "b:s:live"]).sessions_ended,
        []
    );
    assert_eq!(
        fixture
            .list(&["a:s:Accepted", "b:s:Accepted"])
            .sessions_ended,
        [Outcome::Answered]
    );
}

#[test]
fn record_in_unknown_state_counts_once_it_is_known() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.list(&["a:s:unknown"]), CallEvents::default());
    let events = fixture.list(&["a:s:Accepted"]);
    assert_eq!(
        (
            results(&events),
            events.sessions_started,
            events.sessions_ended.len()
        ),
        (vec!["Accepted"], 1, 1)
    );
}

#[test]
fn lists_over_100_seconds_apart_are_a_gap() {
    let mut fixture = Fixture::new();
    assert!(!fixture.list_after(100, &[]).gap);
    assert!(fixture.list_after(101, &[]).gap);
}

#[test]
fn suspend_between_two_lists_is_a_gap() {
    let mut fixture = Fixture::new();
    fixture.now.wall = fixture.now.after(Duration::from_secs(3600)).wall;
    assert!(fixture.list_after(0, &[]).gap);
}

#[test]
fn records_and_sessions_expire_after_retention() {
    let mut fixture = Fixture::new();
    for minute in 0..60 {
        let (id, session) = (format!("r{minute}"), format!("s{minute}"));
        fixture.list_after(60, &[&format!("{id}:{session}:Accepted")]);
        assert!(fixture.tracker.records.len() <= 11 && fixture.tracker.sessions.len() <= 11);
    }
}
