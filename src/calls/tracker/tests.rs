//! Each rule of the ledger.

use super::*;

/// A record as `id:session:state`, where the state is a result, `live` or `unknown`.
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

/// A ledger that has seen an empty baseline, and its clock.
struct Story {
    ledger: CallTracker,
    now: Moment,
}

impl Story {
    fn new() -> Self {
        Self::from_baseline(&[])
    }

    fn from_baseline(baseline: &[&str]) -> Self {
        let mut story = Self {
            ledger: CallTracker::default(),
            now: Moment::now(),
        };
        assert_eq!(
            story.list(baseline),
            CallEvents::default(),
            "the baseline counts for nothing"
        );
        story
    }

    fn list(&mut self, calls: &[&str]) -> CallEvents {
        self.list_after(15, calls)
    }

    fn list_after(&mut self, seconds: u64, calls: &[&str]) -> CallEvents {
        self.now = self.now.after(Duration::from_secs(seconds));
        let calls: Vec<_> = calls.iter().map(|text| call(text)).collect();
        self.ledger.update(&calls, self.now)
    }
}

fn results(news: &CallEvents) -> Vec<&str> {
    news.ended
        .iter()
        .map(|ended| ended.result.as_str())
        .collect()
}

#[test]
fn a_call_is_counted_once_when_first_seen_ended() {
    let mut story = Story::new();
    assert_eq!(story.list(&["a:s:live"]).sessions_started, 1);
    let news = story.list(&["a:s:Accepted"]);
    assert_eq!(
        (results(&news), news.sessions_ended.as_slice()),
        (vec!["Accepted"], &[Outcome::Answered][..])
    );
    assert_eq!(news.ended[0].duration, Some(7.0));
    for _ in 0..8 {
        assert_eq!(story.list(&["a:s:Accepted"]), CallEvents::default());
    }
    assert_eq!(story.list(&[]), CallEvents::default());
}

#[test]
fn a_call_first_seen_ended_began_and_ended() {
    let news = Story::new().list(&["a:s:Missed"]);
    assert_eq!((results(&news), news.sessions_started), (vec!["Missed"], 1));
    assert_eq!(news.sessions_ended, [Outcome::Missed]);
}

#[test]
fn what_the_first_list_shows_as_ended_is_not_counted_and_what_is_live_is_when_it_ends() {
    let mut story = Story::from_baseline(&["a:s:Accepted", "b:t:live"]);
    let news = story.list(&["a:s:Accepted", "b:t:Busy"]);
    assert_eq!((results(&news), news.sessions_started), (vec!["Busy"], 0));
    assert_eq!(news.sessions_ended, [Outcome::Busy]);
}

#[test]
fn a_record_that_vanishes_and_returns_is_the_same_record() {
    let mut story = Story::new();
    story.list(&["a:s:live"]);
    assert_eq!(story.list(&[]), CallEvents::default());
    assert_eq!(results(&story.list(&["a:s:Accepted"])), ["Accepted"]);
    story.list(&[]);
    assert_eq!(story.list(&["a:s:Accepted"]), CallEvents::default());
}

#[test]
fn a_live_record_that_never_ends_is_lost_once_it_is_forgotten() {
    let mut story = Story::new();
    story.list(&["a:s:live"]);
    assert_eq!(story.list_after(60, &[]).lost, 0);
    assert_eq!(story.list_after(90, &[]).lost, 0, "it may return");
    assert_eq!(
        story.list_after(600, &[]),
        CallEvents {
            lost: 1,
            gap: true,
            ..CallEvents::default()
        }
    );
    assert_eq!(story.list_after(15, &[]), CallEvents::default());
}

#[test]
fn a_session_ends_with_its_last_live_record_and_has_the_best_of_its_outcomes() {
    let mut story = Story::new();
    story.list(&["a:s:live", "b:s:live", "c:s:live"]);
    let rung = story.list(&["a:s:live", "b:s:Missed", "c:s:Missed"]);
    assert_eq!(
        (results(&rung).len(), rung.sessions_ended.len()),
        (2, 0),
        "one agent took it and talks"
    );
    let over = story.list(&["a:s:Accepted", "b:s:Missed", "c:s:Missed"]);
    assert_eq!(over.sessions_ended, [Outcome::Answered]);
}

#[test]
fn a_session_is_counted_once_even_if_a_record_joins_later() {
    let mut story = Story::new();
    story.list(&["a:s:Missed"]);
    let joined = story.list(&["a:s:Missed", "b:s:live"]);
    assert_eq!(
        (joined.sessions_started, joined.sessions_ended.len()),
        (0, 0)
    );
    let over = story.list(&["a:s:Missed", "b:s:Accepted"]);
    assert_eq!(
        (results(&over), over.sessions_ended.len()),
        (vec!["Accepted"], 0)
    );
}

#[test]
fn a_transfer_keeps_its_session_open() {
    let mut story = Story::new();
    story.list(&["a:s:live"]);
    assert_eq!(story.list(&["a:s:Accepted", "b:s:live"]).sessions_ended, []);
    assert_eq!(
        story.list(&["a:s:Accepted", "b:s:Accepted"]).sessions_ended,
        [Outcome::Answered]
    );
}

#[test]
fn a_record_that_says_neither_counts_when_a_later_list_tells() {
    let mut story = Story::new();
    assert_eq!(story.list(&["a:s:unknown"]), CallEvents::default());
    let news = story.list(&["a:s:Accepted"]);
    assert_eq!(
        (
            results(&news),
            news.sessions_started,
            news.sessions_ended.len()
        ),
        (vec!["Accepted"], 1, 1)
    );
}

#[test]
fn lists_more_than_a_hundred_seconds_apart_are_a_gap() {
    let mut story = Story::new();
    assert!(!story.list_after(100, &[]).gap);
    assert!(story.list_after(101, &[]).gap);
}

#[test]
fn what_has_left_the_list_is_forgotten() {
    let mut story = Story::new();
    for minute in 0..60 {
        let (id, session) = (format!("r{minute}"), format!("s{minute}"));
        story.list_after(60, &[&format!("{id}:{session}:Accepted")]);
        assert!(story.ledger.records.len() <= 11 && story.ledger.sessions.len() <= 11);
    }
}
