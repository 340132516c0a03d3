//! Each rule of the call tracker.

use super::*;
use crate::calls::{CallResult, Direction, SessionIds};

/// Parses a record from `id:session:state`. The session is `telephonySessionId`, `/sessionId`, both with `/` between
/// them, or empty. The state is a result, `live`, `finishing` or `unknown`.
fn call(text: &str) -> Call {
    let parts: Vec<_> = text.split(':').collect();
    let (state, result) = match parts[2] {
        "live" => (CallState::Live, CallResult::IN_PROGRESS),
        "unknown" => (CallState::Unknown, CallResult::UNKNOWN),
        "finishing" => (CallState::Finishing, CallResult::UNKNOWN),
        result => (CallState::Ended, CallResult::parse(result).unwrap()),
    };
    let (telephony, session) = parts[1].split_once('/').unwrap_or((parts[1], ""));
    let id = |text: &str| (!text.is_empty()).then(|| text.into());
    Call {
        id: parts[0].into(),
        session: SessionIds {
            telephony: id(telephony),
            session: id(session),
        },
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

    /// Repeats a list every 15 s until the session ends, and returns the seconds until then.
    fn seconds_until_session_ends(&mut self, calls: &[&str]) -> (u64, Outcome) {
        for seconds in (15..=600).step_by(15) {
            if let [outcome] = self.list(calls).sessions_ended[..] {
                return (seconds, outcome);
            }
        }
        panic!("no session has ended");
    }

    /// Stops the process and starts one whose clock shows `wall_seconds` more.
    fn restart_after(&mut self, wall_seconds: i64) {
        let saved = self.tracker.save(self.now);
        let json = serde_json::to_string(&saved).unwrap();
        let saved: SavedTracker = serde_json::from_str(&json).unwrap();
        let wall = jiff::SignedDuration::from_secs(wall_seconds);
        self.now.wall = self.now.wall.checked_add(wall).unwrap();
        self.tracker = CallTracker::restore(saved, self.now);
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
        (vec!["Accepted"], &[][..])
    );
    assert_eq!(events.ended[0].duration, Some(7.0));
    assert_eq!(
        fixture.seconds_until_session_ends(&["a:s:Accepted"]),
        (45, Outcome::Answered)
    );
    for _ in 0..8 {
        assert_eq!(fixture.list(&["a:s:Accepted"]), CallEvents::default());
    }
    assert_eq!(fixture.list(&[]), CallEvents::default());
}

#[test]
fn call_first_seen_ended_counts_as_started() {
    let mut fixture = Fixture::new();
    let events = fixture.list(&["a:s:Missed"]);
    assert_eq!(
        (results(&events), events.sessions_started),
        (vec!["Missed"], 1)
    );
    assert_eq!(
        fixture.seconds_until_session_ends(&[]),
        (45, Outcome::Missed)
    );
}

#[test]
fn baseline_counts_only_its_live_calls_when_they_end() {
    let mut fixture = Fixture::from_baseline(&["a:s:Accepted", "b:t:live", "c:t:Accepted"]);
    let list = ["a:s:Accepted", "b:t:Busy", "c:t:Accepted"];
    let events = fixture.list(&list);
    assert_eq!(
        (results(&events), events.sessions_started),
        (vec!["Busy"], 0)
    );
    assert_eq!(
        fixture.seconds_until_session_ends(&list),
        (45, Outcome::Answered)
    );
    assert_eq!(fixture.list_after(60, &list).sessions_ended, []);
}

#[test]
fn live_record_shows_that_a_baseline_session_goes_on() {
    let mut fixture = Fixture::from_baseline(&["a:s:Missed", "b:t:Missed"]);
    fixture.list(&["a:s:Missed", "b:t:Missed", "c:s:live", "d:t:Missed"]);
    assert_eq!(
        fixture.seconds_until_session_ends(&["c:s:Accepted"]),
        (60, Outcome::Answered)
    );
    assert_eq!(fixture.list_after(90, &[]).sessions_ended, []);
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
    for _ in 0..40 {
        assert_eq!(fixture.list(&["a:s:live"]), CallEvents::default());
    }
    let over = ["a:s:Accepted", "b:s:Missed", "c:s:Missed"];
    assert_eq!(
        fixture.seconds_until_session_ends(&over),
        (60, Outcome::Answered)
    );
}

#[test]
fn live_or_newly_ended_record_restarts_the_wait() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live"]);
    fixture.list_after(44, &["a:s:Missed"]);
    fixture.list_after(44, &["a:s:Missed", "b:s:live"]);
    fixture.list_after(44, &["a:s:Missed", "b:s:Missed"]);
    let second = fixture.list_after(44, &["b:s:Missed", "c:s:Missed"]);
    assert_eq!(second.sessions_ended, [], "rang between two lists");
    fixture.list_after(44, &["d:s:live"]);
    assert_eq!(fixture.list_after(44, &["c:s:Missed"]).sessions_ended, []);
    assert_eq!(
        fixture.seconds_until_session_ends(&["d:s:Voicemail"]),
        (60, Outcome::Voicemail)
    );
}

#[test]
fn session_without_live_record_ends_at_every_interval() {
    for (interval, until_end) in [(5, 45), (8, 48), (15, 45), (30, 60), (60, 60), (300, 300)] {
        let mut fixture = Fixture::new();
        fixture.list_after(interval, &["a:s:live"]);
        fixture.list_after(interval, &["a:s:Missed"]);
        let mut seconds = interval;
        while fixture.list_after(interval, &[]).sessions_ended.is_empty() {
            seconds += interval;
        }
        assert_eq!(seconds, until_end, "every {interval} s");
    }
}

#[test]
fn session_ends_after_an_outage_longer_than_retention() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:Missed", "b:s:live", "c:t:Busy"]);
    let after = fixture.list_after(900, &[]);
    assert_eq!((after.sessions_ended, after.lost), (vec![Outcome::Busy], 1));
    assert_eq!(
        fixture.seconds_until_session_ends(&[]),
        (45, Outcome::Missed)
    );
    assert_eq!(fixture.tracker.sessions.len(), 0);
}

#[test]
fn lost_live_record_does_not_keep_session_open() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:Missed", "b:s:live"]);
    assert_eq!(
        fixture.seconds_until_session_ends(&[]),
        (60, Outcome::Missed)
    );
    let mut lost = 0;
    for _ in 0..12 {
        let events = fixture.list_after(60, &[]);
        assert_eq!(events.sessions_ended, []);
        lost += events.lost;
    }
    assert_eq!(lost, 1);
}

#[test]
fn record_joining_later_does_not_end_session_twice() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:Missed"]);
    fixture.seconds_until_session_ends(&["a:s:Missed"]);
    let joined = fixture.list(&["a:s:Missed", "b:s:live"]);
    assert_eq!(
        (joined.sessions_started, joined.sessions_ended.len()),
        (0, 0)
    );
    let over = fixture.list(&["a:s:Missed", "b:s:Accepted"]);
    assert_eq!(results(&over), ["Accepted"]);
    for _ in 0..10 {
        assert_eq!(fixture.list(&[]), CallEvents::default());
    }
}

#[test]
fn transfer_keeps_session_open() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live"]);
    for _ in 0..9 {
        let events = fixture.list(&["a:s:Accepted", "b:s:live"]);
        assert_eq!(events.sessions_ended, []);
    }
    assert_eq!(
        fixture.seconds_until_session_ends(&["b:s:Missed"]),
        (60, Outcome::Answered)
    );
}

#[test]
fn record_in_unknown_state_counts_once_it_is_known() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.list(&["a:s:unknown"]), CallEvents::default());
    let events = fixture.list(&["a:s:Accepted"]);
    assert_eq!(
        (results(&events), events.sessions_started),
        (vec!["Accepted"], 1)
    );
}

#[test]
fn result_after_the_end_is_taken() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s:live", "b:t:live"]);
    let finishing = ["a:s:finishing", "b:t:finishing"];
    assert_eq!(fixture.list(&finishing), CallEvents::default());
    assert_eq!(fixture.list(&finishing), CallEvents::default());
    let events = fixture.list(&["a:s:Busy", "b:t:unknown"]);
    assert_eq!(results(&events), ["Busy"]);
    assert_eq!(results(&fixture.list(&["a:s:Accepted"])), ["Unknown"]);
    let ended = fixture.list(&["a:s:Accepted", "b:t:Accepted"]);
    assert_eq!(results(&ended), [""; 0], "both are counted");
}

#[test]
fn session_waits_from_the_end_not_from_its_result() {
    for (last, outcome) in [
        ("a:s:Busy", Outcome::Busy),
        ("a:s:finishing", Outcome::Missed),
        ("b:t:live", Outcome::Missed),
    ] {
        let mut fixture = Fixture::new();
        fixture.list(&["a:s:live", "b:t:live"]);
        fixture.list(&["a:s:finishing", "b:t:live"]);
        assert_eq!(
            fixture.seconds_until_session_ends(&[last, "c:u:live"]),
            (45, outcome)
        );
    }
}

#[test]
fn finishing_record_of_the_baseline_is_not_counted() {
    let mut fixture = Fixture::from_baseline(&["a:s:finishing", "b:t:finishing"]);
    for _ in 0..10 {
        assert_eq!(fixture.list(&["a:s:Accepted"]), CallEvents::default());
    }
}

#[test]
fn records_that_share_either_session_id_end_once() {
    let mut fixture = Fixture::new();
    let events = fixture.list(&["a:s/1:live", "b:s:live", "c:/1:live", "d:1:live", "e::live"]);
    assert_eq!(events.sessions_started, 3);
    let ended = ["a:s/1:Missed", "b:s:Busy", "c:/1:Accepted"];
    fixture.list(&ended);
    assert_eq!(
        fixture.seconds_until_session_ends(&ended),
        (45, Outcome::Answered)
    );
}

#[test]
fn sessions_joined_by_a_later_record_end_once() {
    let mut fixture = Fixture::new();
    let started = fixture.list(&["a:s:live", "b:/1:live"]);
    assert_eq!(started.sessions_started, 2, "nothing joins them yet");
    let joined = fixture.list(&["a:s:Missed", "b:/1:Accepted", "c:s/1:live"]);
    assert_eq!(joined.sessions_started, 0);
    assert_eq!(
        fixture.seconds_until_session_ends(&["c:s/1:Missed", "d:/1:Missed"]),
        (60, Outcome::Answered)
    );
    for _ in 0..10 {
        assert_eq!(fixture.list(&[]).sessions_ended, []);
    }
}

#[test]
fn session_joined_to_a_counted_one_is_not_counted() {
    for join in ["c:s/1:live", "b:s/1:live", "c:s/1:Missed"] {
        let mut fixture = Fixture::new();
        fixture.list(&["a:s:Missed", "b:/1:live"]);
        fixture.seconds_until_session_ends(&["b:/1:live"]);
        fixture.list(&["b:/1:Accepted", join]);
        for _ in 0..20 {
            assert_eq!(fixture.list(&[]).sessions_ended, [], "{join}");
        }
    }
}

#[test]
fn chain_of_joins_is_one_session() {
    let mut fixture = Fixture::new();
    let live: Vec<_> = (0..200).map(|n| format!("{n}:s{n}:live")).collect();
    let live: Vec<_> = live.iter().map(String::as_str).collect();
    assert_eq!(fixture.list(&live).sessions_started, 200);
    let links: Vec<_> = (0..200)
        .map(|n| format!("{n}:s{}/{}:live", n, n / 2))
        .chain((0..200).map(|n| format!("{}:s{n}/{}:live", n + 200, (n + 1) / 2)))
        .collect();
    let links: Vec<_> = links.iter().map(String::as_str).collect();
    assert_eq!(fixture.list(&links).sessions_started, 0);
    assert_eq!(fixture.tracker.sessions.len(), 1);
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
        let record = format!("r{minute}:s{minute}/{minute}:Accepted");
        let zombie = format!("z:z/{minute}:live");
        fixture.list_after(60, &[&record, &zombie]);
        let tracker = &fixture.tracker;
        assert!(tracker.records.len() <= 12 && tracker.sessions.len() <= 12);
        assert!(tracker.session_ids.len() <= 32);
    }
}

#[test]
fn restart_counts_calls_that_ended_meanwhile_once() {
    let mut fixture = Fixture::from_baseline(&["a:s:Accepted"]);
    let before = ["a:s:Accepted", "b:t:live", "c:u:Missed", "d:v:live"];
    fixture.list(&before);
    fixture.now = fixture.now.after(Duration::from_secs(10));
    fixture.restart_after(40);
    let after = [
        "a:s:Accepted",
        "b:t:Busy",
        "c:u:Missed",
        "d:v:live",
        "e:w:Voicemail",
    ];
    let events = fixture.list_after(0, &after);
    assert_eq!(results(&events), ["Busy", "Voicemail"]);
    assert_eq!((events.sessions_started, events.gap), (1, false));
    assert_eq!(events.sessions_ended, [Outcome::Missed], "it waited 50 s");
    let mut ended = Vec::new();
    for _ in 0..8 {
        ended.extend(fixture.list(&after).sessions_ended);
    }
    ended.sort();
    assert_eq!(ended, [Outcome::Voicemail, Outcome::Busy]);
}

#[test]
fn counted_session_is_not_counted_again_after_restarts() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s/1:Missed"]);
    fixture.seconds_until_session_ends(&["a:s/1:Missed"]);
    for _ in 0..3 {
        fixture.restart_after(5);
        let events = fixture.list(&["a:s/1:Missed", "b:/1:Missed"]);
        assert_eq!(events.sessions_ended, []);
    }
}

#[test]
fn restart_of_over_100_s_begins_with_a_baseline() {
    for (wall, until_list, is_baseline) in [
        (100, 0, false),
        (101, 0, true),
        (60, 40, false),
        (60, 41, true),
        (-1, 0, true),
        (-3600, 0, true),
    ] {
        let mut fixture = Fixture::new();
        fixture.list(&["a:s:live"]);
        fixture.restart_after(wall);
        let events = fixture.list_after(until_list, &["a:s:Missed"]);
        assert_eq!(events.ended.is_empty(), is_baseline, "{wall} s");
        assert!(!events.gap);
    }
}

#[test]
fn damaged_state_begins_with_a_baseline() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s/1:Missed"]);
    let json = serde_json::to_string(&fixture.tracker.save(fixture.now)).unwrap();
    for (at, byte) in json.bytes().enumerate() {
        if !byte.is_ascii_digit() {
            continue;
        }
        let mut damaged = json.clone().into_bytes();
        damaged[at] = b'0' + (byte - b'0' + 1) % 10;
        let Ok(saved) = serde_json::from_slice(&damaged) else {
            continue;
        };
        let mut tracker = CallTracker::restore(saved, fixture.now);
        let events = tracker.update(&[call("a:s/1:Missed")], fixture.now);
        assert_eq!(events, CallEvents::default(), "byte {at} of {json}");
    }
}

#[test]
fn saved_state_has_no_id_in_the_clear() {
    let mut fixture = Fixture::new();
    fixture.list(&["record-id:telephony-id/session-id:finishing"]);
    let json = serde_json::to_string(&fixture.tracker.save(fixture.now)).unwrap();
    assert!(!json.contains("-id"), "{json}");
    assert!(json.len() < 600, "{json}");
}

#[test]
fn tracker_without_a_list_is_restored_as_new() {
    let mut fixture = Fixture::new();
    fixture.tracker = CallTracker::default();
    fixture.restart_after(1);
    assert_eq!(fixture.list(&["a:s:Missed"]), CallEvents::default());
}

#[test]
fn list_times_compare_across_the_wrap() {
    let epoch = Moment::now().instant;
    let at = |ms: u64| ListTime::new(epoch + Duration::from_millis(ms), epoch);
    let wrap = u64::from(u32::MAX) + 1;
    for (later, earlier, ms) in [
        (at(45_000), at(1), 44_999),
        (at(wrap + 5), at(wrap - 5), 10),
        (at(3), ListTime::before_epoch(7), 10),
        (at(1), at(1), 0),
    ] {
        let duration = Duration::from_millis(ms);
        assert_eq!(later.duration_since(earlier), duration);
        assert_eq!(earlier.duration_since(later), Duration::ZERO);
        assert_eq!(earlier.later_of(later).duration_since(earlier), duration);
        assert_eq!(later.later_of(earlier).duration_since(earlier), duration);
    }
}

#[test]
fn pause_of_any_length_is_a_pause() {
    const DAY: u64 = 24 * 60 * 60;
    for days in [1, 25, 30, 49, 50, 75, 100, 5000] {
        let mut fixture = Fixture::new();
        fixture.list(&["a:s:live", "b:t:live", "c:u:live", "d:v:live"]);
        fixture.list(&["a:s:live", "b:t:live", "c:u:Missed"]);
        // Only `a` goes on. The others left the list longer ago than anything is kept.
        let events = fixture.list_after(days * DAY, &["a:s:live"]);
        assert_eq!((events.lost, events.gap), (2, true), "{days} days");
        assert_eq!(events.sessions_started, 0, "{days} days");
        assert_eq!(events.sessions_ended, [Outcome::Missed], "{days} days");
        assert_eq!(fixture.tracker.records.len(), 1, "{days} days");
        assert_eq!(fixture.tracker.sessions.len(), 1, "{days} days");
        assert_eq!(fixture.tracker.session_ids.len(), 1, "{days} days");
        assert_eq!(results(&fixture.list(&["a:s:Busy"])), ["Busy"]);
    }
}

#[test]
fn session_numbers_begin_again_after_the_last() {
    let mut fixture = Fixture::new();
    fixture.list(&["a:s0:live", "b:s1:live"]);
    fixture.tracker.next_session = u32::MAX - 1;
    let calls = [
        "a:s0:live",
        "b:s1:live",
        "c:s2:live",
        "d:s3:live",
        "e:s4:live",
    ];
    for started in [3, 0] {
        assert_eq!(fixture.list(&calls).sessions_started, started);
        assert_eq!(fixture.tracker.sessions.len(), 5);
    }
    fixture.restart_after(0);
    fixture.list(&calls);
    let events = fixture.list(&["f:s5:live", "g:s6:live"]);
    assert_eq!(events.sessions_started, 2);
    assert_eq!(fixture.tracker.sessions.len(), 7);
}

/// Lists this many new live or ended records every 7 s, with one that stays, and returns all events.
fn list_new_records(
    tracker: &mut CallTracker,
    lists: u64,
    count: usize,
    state: &str,
) -> CallEvents {
    let start = Moment::now();
    tracker.update(&[], start);
    let mut all = CallEvents::default();
    let stays = call("stays:stays:live");
    for list in 1..=lists {
        let mut calls = vec![stays.clone()];
        for number in 0..count {
            let mut new = call(&format!("{list}-{number}:t/s:{state}"));
            new.session.telephony = Some(format!("t{list}-{number}").into());
            new.session.session = Some(format!("s{list}-{number}").into());
            calls.push(new);
        }
        let events = tracker.update(&calls, start.after(Duration::from_secs(7 * list)));
        all.lost += events.lost;
        all.sessions_started += events.sessions_started;
        all.sessions_ended.extend(events.sessions_ended);
        all.ended.extend(events.ended);
        assert!(tracker.records.len() <= tracker.max_records);
        assert!(tracker.sessions.len() <= tracker.max_records);
        assert!(tracker.session_ids.len() <= 2 * tracker.max_records);
    }
    all
}

/// Returns a tracker that keeps up to this many records.
fn tracker_of(max_records: usize) -> CallTracker {
    CallTracker {
        max_records,
        ..CallTracker::default()
    }
}

#[test]
fn new_ids_in_each_list_are_bounded() {
    let mut tracker = tracker_of(120);
    let events = list_new_records(&mut tracker, 4, 50, "live");
    // Those of the first two lists are forgotten.
    assert_eq!((events.lost, events.sessions_started), (100, 201));
    assert_eq!(tracker.records.len(), 101);
    let mut tracker = tracker_of(120);
    let events = list_new_records(&mut tracker, 4, 50, "Busy");
    assert_eq!((events.lost, events.ended.len()), (0, 200));
    assert_eq!(events.sessions_ended, vec![Outcome::Busy; 100]);
    assert_eq!(tracker.sessions.len(), 101);
    // What is listed now is always kept.
    let mut tracker = tracker_of(100);
    list_new_records(&mut tracker, 3, 99, "live");
    assert_eq!((tracker.records.len(), tracker.sessions.len()), (100, 100));
}

#[test]
fn ids_below_the_maximum_are_kept() {
    let mut tracker = tracker_of(4001);
    let events = list_new_records(&mut tracker, 80, 50, "live");
    assert_eq!((events.lost, tracker.records.len()), (0, 4001));
}

#[test]
fn new_session_ids_of_the_same_records_are_bounded() {
    let mut tracker = tracker_of(120);
    let start = Moment::now();
    for list in 0..4 {
        let mut calls = Vec::new();
        for number in 0..50 {
            let mut call = call(&format!("{number}:t/s:live"));
            call.session.telephony = Some(format!("t{list}-{number}").into());
            call.session.session = Some(format!("s{list}-{number}").into());
            calls.push(call);
        }
        tracker.update(&calls, start.after(Duration::from_secs(7 * list)));
        assert!(tracker.session_ids.len() <= 2 * tracker.max_records);
        assert_eq!((tracker.records.len(), tracker.sessions.len()), (50, 50));
    }
}
