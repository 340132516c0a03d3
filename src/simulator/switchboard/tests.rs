use std::collections::{HashMap, HashSet};

use super::*;
use crate::simulator::record::Direction;

const HOUR_MS: i64 = 60 * MINUTE_MS;
/// 2026-09-15, a Tuesday, 00:00 UTC.
const TUESDAY: i64 = 1_789_430_400_000;
const MORNING: i64 = TUESDAY + 10 * HOUR_MS + 20 * MINUTE_MS + 123;

fn board(seed: u64) -> Switchboard {
    let curve = LoadProfile {
        calls_per_minute: 10.0,
        day_shift_ms: 0,
        surge: None,
    };
    Switchboard::new(Company::new(200, seed), curve, seed)
}

/// Every state that each record was listed in, second by second over `minutes`.
fn histories(board: &Switchboard, minutes: i64) -> HashMap<String, Vec<(i64, Record)>> {
    let mut histories: HashMap<String, Vec<(i64, Record)>> = HashMap::new();
    for second in 0..minutes * 60 {
        let at = MORNING + second * 1_000;
        for record in board.listed_at(at) {
            histories
                .entry(record.id.clone())
                .or_default()
                .push((at, record));
        }
    }
    histories
}

fn lives(board: &Switchboard, minutes: i64) -> Vec<CallTimeline> {
    board
        .relevant_timelines(MORNING, MORNING + minutes * MINUTE_MS)
        .flat_map(|m| m.to_vec())
        .collect()
}

#[test]
fn the_same_seed_and_time_give_the_same_list() {
    let (one, other) = (board(5), board(5));
    other.listed_at(MORNING + 9 * HOUR_MS);
    assert_eq!(one.listed_at(MORNING), other.listed_at(MORNING));
    assert_ne!(one.listed_at(MORNING), board(6).listed_at(MORNING));
}

#[test]
fn the_cache_is_bounded_and_changes_no_answer() {
    let board = board(5);
    let before = board.listed_at(MORNING);
    for hour in 1..24 {
        board.listed_at(MORNING + hour * HOUR_MS);
        board.listed_at(MORNING - hour * HOUR_MS);
    }
    assert!(board.minutes.lock().unwrap().len() <= KEPT_MINUTES);
    assert_eq!(board.listed_at(MORNING), before);
}

#[test]
fn a_list_is_ordered_by_start_newest_first_and_names_each_id_once() {
    let list = board(5).listed_at(MORNING);
    assert!(
        list.windows(2)
            .all(|pair| pair[0].start_ms >= pair[1].start_ms)
    );
    let ids: HashSet<&String> = list.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), list.len());
}

#[test]
fn a_morning_is_busy_and_a_night_is_quiet() {
    let board = board(5);
    let morning = board.listed_at(MORNING);
    let live = morning.iter().filter(|record| record.is_live()).count();
    assert!((40..160).contains(&morning.len()), "{}", morning.len());
    assert!((20..90).contains(&live), "{live}");
    assert!(board.listed_at(TUESDAY + 3 * HOUR_MS).len() < 12);
}

#[test]
fn a_call_stays_listed_for_two_minutes_after_its_end() {
    let board = board(5);
    for life in lives(&board, 5) {
        let listed = |at| {
            board
                .listed_at(at)
                .iter()
                .any(|record| record.id == life.at(at, &board.company).id)
        };
        assert!(listed(life.span.end + 120_000 - 1));
        assert!(!listed(life.span.end + 120_000));
        if life.span.start > MORNING {
            break;
        }
    }
}

#[test]
fn calls_and_their_ends_show_three_to_ten_seconds_late() {
    for life in lives(&board(5), 60) {
        assert!((3_000..=10_000).contains(&(life.end_shows - life.span.end)));
        let late = life.appears - life.span.start;
        let is_shown_at_its_end = life.appears == life.end_shows;
        assert!((3_000..=10_000).contains(&late) || is_shown_at_its_end);
    }
}

#[test]
fn an_end_is_told_at_the_first_instant_at_which_the_list_shows_it() {
    let board = board(5);
    for life in lives(&board, 60) {
        let shows_end = |at| life.is_listed(at) && !life.at(at, &board.company).is_live();
        assert!(shows_end(life.end_first_visible()));
        assert!(!shows_end(life.end_first_visible() - 1));
    }
}

#[test]
fn no_life_outlasts_the_look_back() {
    for life in lives(&board(5), 10 * 60) {
        let arrival_minute = (life.session.number / 100_000) as i64;
        assert!(life.removed_at() <= (arrival_minute + LONGEST_LIFE_MINUTES) * MINUTE_MS);
    }
}

#[test]
fn live_means_in_progress_without_duration_and_an_ended_call_stays_ended() {
    for (id, states) in histories(&board(5), 12) {
        for (at, record) in &states {
            assert_eq!(
                record.is_live(),
                record.result == "In Progress",
                "{id} at {at}"
            );
        }
        assert!(
            states
                .windows(2)
                .all(|pair| pair[0].1.is_live() || !pair[1].1.is_live()),
            "{id}"
        );
    }
}

#[test]
fn queue_calls_flip_their_direction_and_keep_their_id() {
    let mut flipped = 0;
    for states in histories(&board(5), 12).values() {
        let live = states
            .iter()
            .map(|(_, record)| record)
            .find(|record| record.is_live());
        let ended = states
            .iter()
            .map(|(_, record)| record)
            .find(|record| !record.is_live());
        let (Some(live), Some(ended)) = (live, ended) else {
            continue;
        };
        assert_eq!(live.start_ms, ended.start_ms);
        if live.direction != ended.direction {
            flipped += 1;
            assert_eq!(
                (live.direction, live.action),
                (Direction::Outbound, "VoIP Call")
            );
            assert_eq!(live.from.extension_number, live.to.extension_number);
            assert!(live.from.extension_number.is_some() && live.from.name.is_none());
            assert_eq!(
                (ended.direction, ended.action),
                (Direction::Inbound, "Phone Call")
            );
            assert!(matches!(ended.result, "Accepted" | "Missed"));
        }
    }
    assert!(flipped > 10, "{flipped}");
}

#[test]
fn a_live_queue_call_tells_when_it_was_answered_and_a_live_direct_call_does_not() {
    let mut told = 0;
    for states in histories(&board(5), 8).values() {
        for (_, record) in states.iter().filter(|(_, record)| record.is_live()) {
            let to_oneself = record.from.extension_number == record.to.extension_number;
            assert!(record.reason.is_none() || to_oneself);
            told += usize::from(record.reason.is_some());
        }
    }
    assert!(told > 0);
}

#[test]
fn internal_calls_have_two_records_of_one_session() {
    let ended = board(5).ended_between(MORNING, MORNING + 2 * HOUR_MS);
    let internal = |record: &&Record| {
        record.kind == "Voice"
            && record.from.extension_id.is_some()
            && record.to.extension_id.is_some()
    };
    let mut sessions: HashMap<&String, Vec<&Record>> = HashMap::new();
    for record in ended.iter().filter(internal) {
        sessions.entry(&record.session_id).or_default().push(record);
    }
    let whole: Vec<_> = sessions
        .values()
        .filter(|records| records.len() == 2)
        .collect();
    assert!(whole.len() > 50 && whole.len() + 5 > sessions.len());
    for records in whole {
        assert_ne!(records[0].direction, records[1].direction);
        assert_eq!(
            records[0].telephony_session_id,
            records[1].telephony_session_id
        );
        assert_ne!(records[0].extension_id, records[1].extension_id);
    }
}

#[test]
fn a_queue_call_may_ring_several_agents_of_whom_one_accepts() {
    let ended = board(5).ended_between(MORNING, MORNING + 2 * HOUR_MS);
    let mut sessions: HashMap<&String, Vec<&str>> = HashMap::new();
    for record in &ended {
        sessions
            .entry(&record.session_id)
            .or_default()
            .push(record.result);
    }
    let fanned: Vec<_> = sessions
        .values()
        .filter(|results| results.len() > 2)
        .collect();
    assert!(fanned.len() > 10);
    for results in fanned {
        assert!(
            results
                .iter()
                .filter(|result| **result == "Accepted")
                .count()
                <= 1
        );
        assert!(
            results
                .iter()
                .all(|result| matches!(*result, "Accepted" | "Missed"))
        );
    }
}

#[test]
fn the_shares_of_the_results_are_those_of_an_office() {
    let ended = board(5).ended_between(MORNING, MORNING + 4 * HOUR_MS);
    let share = |result: &str| {
        ended.iter().filter(|r| r.result == result).count() as f64 / ended.len() as f64
    };
    assert!(
        (0.25..0.60).contains(&share("Accepted")),
        "{}",
        share("Accepted")
    );
    assert!(
        (0.15..0.40).contains(&share("Call connected")),
        "{}",
        share("Call connected")
    );
    assert!(
        (0.04..0.25).contains(&share("Missed")),
        "{}",
        share("Missed")
    );
    for rare in [
        "Voicemail",
        "Busy",
        "Hang Up",
        "Hang up",
        "Abandoned",
        "Wrong Number",
    ] {
        assert!(
            share(rare) > 0.0 && share(rare) < 0.12,
            "{rare}: {}",
            share(rare)
        );
    }
    assert!(ended.iter().any(|record| record.kind == "Fax"));
    assert!(ended.iter().any(|record| record.extension_id.is_none()));
    assert!(
        ended
            .iter()
            .any(|record| record.telephony_session_id.is_none())
    );
    assert!(ended.iter().any(|record| record.shows_duration_ms));
    assert!(
        ended
            .iter()
            .any(|record| record.duration_ms.unwrap() < 1_000)
    );
}

#[test]
fn each_end_is_told_once_and_is_in_the_list_at_that_instant() {
    let board = board(5);
    let (from, until) = (MORNING, MORNING + 10 * MINUTE_MS);
    let whole = board.ended_between(from, until);
    let by_parts: Vec<Record> = (0..10)
        .flat_map(|m| board.ended_between(from + m * MINUTE_MS, from + (m + 1) * MINUTE_MS))
        .collect();
    assert_eq!(whole, by_parts);
    let ended = |at| -> HashSet<String> {
        board
            .listed_at(at)
            .into_iter()
            .filter(|r| !r.is_live())
            .map(|r| r.id)
            .collect()
    };
    let seen: HashSet<String> = (1..=120)
        .flat_map(|step| ended(from + step * 5_000))
        .collect();
    let told: HashSet<String> = whole.into_iter().map(|record| record.id).collect();
    assert!(told.iter().all(|id| seen.contains(id)));
    assert_eq!(&seen - &ended(from), told);
}

#[test]
fn the_list_of_an_extension_is_its_part_of_the_full_list() {
    let board = board(5);
    let list = board.listed_at(MORNING);
    let id = list.iter().find_map(|record| record.extension_id).unwrap();
    let part: Vec<Record> = list
        .into_iter()
        .filter(|r| r.extension_id == Some(id))
        .collect();
    assert!(!part.is_empty());
    assert_eq!(board.listed_for(id, MORNING), part);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "measures work, not waiting"
)]
fn thousands_of_records_cost_little_once_the_minutes_are_known() {
    let curve = LoadProfile {
        calls_per_minute: 700.0,
        day_shift_ms: 0,
        surge: None,
    };
    let board = Switchboard::new(Company::new(10_000, 5), curve, 5);
    let listed = board.listed_at(MORNING).len();
    assert!((4_000..6_500).contains(&listed), "{listed}");
    let started = std::time::Instant::now();
    board.listed_at(MORNING + 1_000);
    let took = started.elapsed();
    assert!(took.as_millis() < 400, "{took:?}");
}
