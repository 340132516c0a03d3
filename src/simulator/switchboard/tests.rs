use std::collections::{HashMap, HashSet};

use super::*;
use crate::simulator::company::Ringing;
use crate::simulator::record::Direction;

const HOUR_MS: i64 = 60 * MINUTE_MS;
/// 2026-09-15, a Tuesday, 00:00 UTC.
const TUESDAY: i64 = 1_789_430_400_000;
const MORNING: i64 = TUESDAY + 10 * HOUR_MS + 20 * MINUTE_MS + 123;

fn switchboard(seed: u64) -> Switchboard {
    let load_profile = LoadProfile {
        calls_per_minute: 10.0,
        day_shift_ms: 0,
        surge: None,
    };
    Switchboard::new(Company::new(200, seed), load_profile, seed)
}

/// Returns every listed state of each record, second by second over `minutes`.
fn histories(switchboard: &Switchboard, minutes: i64) -> HashMap<String, Vec<(i64, Record)>> {
    let mut histories: HashMap<String, Vec<(i64, Record)>> = HashMap::new();
    for second in 0..minutes * 60 {
        let at = MORNING + second * 1_000;
        for record in switchboard.listed_at(at) {
            histories
                .entry(record.id.clone())
                .or_default()
                .push((at, record));
        }
    }
    histories
}

fn timelines(switchboard: &Switchboard, minutes: i64) -> Vec<CallTimeline> {
    switchboard
        .relevant_timelines(MORNING, MORNING + minutes * MINUTE_MS)
        .flat_map(|m| m.to_vec())
        .collect()
}

#[test]
fn same_seed_and_time_give_the_same_list() {
    let (first, second) = (switchboard(5), switchboard(5));
    second.listed_at(MORNING + 9 * HOUR_MS);
    assert_eq!(first.listed_at(MORNING), second.listed_at(MORNING));
    assert_ne!(first.listed_at(MORNING), switchboard(6).listed_at(MORNING));
}

#[test]
fn list_of_a_seed_equals_that_of_earlier_versions() {
    // Computed before calls had hold and park.
    let expected = 17_698_687_771_420_693_794;
    let switchboard = switchboard(5);
    let mut fingerprint = 0;
    for record in switchboard.ended_between(MORNING, MORNING + HOUR_MS) {
        let times = hash_seed(record.start_ms as u64, record.duration_ms.unwrap() as u64);
        for byte in format!("{} {}", record.id, record.result).bytes() {
            fingerprint = hash_seed(fingerprint, u64::from(byte));
        }
        fingerprint = hash_seed(fingerprint, times);
    }
    assert_eq!(fingerprint, expected);
}

#[test]
fn cache_is_bounded_and_does_not_affect_lists() {
    let switchboard = switchboard(5);
    let before = switchboard.listed_at(MORNING);
    for hour in 1..24 {
        switchboard.listed_at(MORNING + hour * HOUR_MS);
        switchboard.listed_at(MORNING - hour * HOUR_MS);
    }
    assert!(switchboard.minutes.lock().unwrap().len() <= MAX_CACHED_MINUTES);
    assert_eq!(switchboard.listed_at(MORNING), before);
}

#[test]
fn list_has_unique_ids_and_latest_start_first() {
    let list = switchboard(5).listed_at(MORNING);
    assert!(
        list.windows(2)
            .all(|pair| pair[0].start_ms >= pair[1].start_ms)
    );
    let ids: HashSet<&String> = list.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), list.len());
}

#[test]
fn list_is_long_in_the_morning_and_short_at_night() {
    let switchboard = switchboard(5);
    let morning = switchboard.listed_at(MORNING);
    let live = morning.iter().filter(|record| record.is_live()).count();
    assert!((40..160).contains(&morning.len()), "{}", morning.len());
    assert!((20..90).contains(&live), "{live}");
    assert!(switchboard.listed_at(TUESDAY + 3 * HOUR_MS).len() < 12);
}

#[test]
fn call_stays_listed_for_two_minutes_after_its_end() {
    let switchboard = switchboard(5);
    for timeline in timelines(&switchboard, 5) {
        let listed = |at| {
            switchboard
                .listed_at(at)
                .iter()
                .any(|record| record.id == timeline.at(at, &switchboard.company).id)
        };
        assert!(listed(timeline.span.end + 120_000 - 1));
        assert!(!listed(timeline.span.end + 120_000));
        if timeline.span.start > MORNING {
            break;
        }
    }
}

#[test]
fn starts_and_ends_are_listed_3_to_10_seconds_late() {
    for timeline in timelines(&switchboard(5), 60) {
        assert!((3_000..=10_000).contains(&(timeline.end_visible_from - timeline.span.end)));
        let delay = timeline.visible_from - timeline.span.start;
        let is_listed_only_when_ended = timeline.visible_from == timeline.end_visible_from;
        assert!((3_000..=10_000).contains(&delay) || is_listed_only_when_ended);
    }
}

#[test]
fn end_first_visible_is_the_first_listed_end() {
    let switchboard = switchboard(5);
    for timeline in timelines(&switchboard, 60) {
        let shows_end =
            |at| timeline.is_listed(at) && !timeline.at(at, &switchboard.company).is_live();
        assert!(shows_end(timeline.end_first_visible()));
        assert!(!shows_end(timeline.end_first_visible() - 1));
    }
}

#[test]
fn no_record_is_listed_beyond_max_listed_minutes() {
    for timeline in timelines(&switchboard(5), 10 * 60) {
        let arrival_minute = (timeline.session.number / 100_000) as i64;
        assert!(timeline.removed_at() <= (arrival_minute + MAX_LISTED_MINUTES) * MINUTE_MS);
    }
}

#[test]
fn live_records_are_in_progress_until_they_end_for_good() {
    for (id, states) in histories(&switchboard(5), 12) {
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
fn queue_call_changes_direction_and_keeps_its_id() {
    let mut flipped = 0;
    for states in histories(&switchboard(5), 12).values() {
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
fn live_records_have_a_reason_only_in_queue_calls() {
    let mut with_reason = 0;
    for states in histories(&switchboard(5), 8).values() {
        for (_, record) in states.iter().filter(|(_, record)| record.is_live()) {
            let same_number = record.from.extension_number == record.to.extension_number;
            assert!(record.reason.is_none() || same_number);
            with_reason += usize::from(record.reason.is_some());
        }
    }
    assert!(with_reason > 0);
}

#[test]
fn internal_call_has_two_records_of_one_session() {
    let ended = switchboard(5).ended_between(MORNING, MORNING + 2 * HOUR_MS);
    let internal = |record: &&Record| {
        record.kind == "Voice"
            && record.from.extension_id.is_some()
            && record.to.extension_id.is_some()
    };
    let mut sessions: HashMap<&String, Vec<&Record>> = HashMap::new();
    for record in ended.iter().filter(internal) {
        sessions.entry(&record.session_id).or_default().push(record);
    }
    let pairs: Vec<_> = sessions
        .values()
        .filter(|records| records.len() == 2)
        .collect();
    assert!(pairs.len() > 50 && pairs.len() + 5 > sessions.len());
    for records in pairs {
        assert_ne!(records[0].direction, records[1].direction);
        assert_eq!(
            records[0].telephony_session_id,
            records[1].telephony_session_id
        );
        assert_ne!(records[0].extension_id, records[1].extension_id);
    }
}

#[test]
fn queue_call_is_accepted_by_at_most_one_agent() {
    let ended = switchboard(5).ended_between(MORNING, MORNING + 2 * HOUR_MS);
    let mut sessions: HashMap<&String, Vec<&str>> = HashMap::new();
    for record in &ended {
        sessions
            .entry(&record.session_id)
            .or_default()
            .push(record.result);
    }
    let multiple_agents: Vec<_> = sessions
        .values()
        .filter(|results| results.len() > 2)
        .collect();
    assert!(multiple_agents.len() > 10);
    for results in multiple_agents {
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

fn sequential_switchboard() -> Switchboard {
    let mut switchboard = switchboard(5);
    switchboard.company.ringing = Ringing::Sequential;
    switchboard
}

#[test]
fn sequential_queue_rings_one_agent_after_another() {
    let switchboard = sequential_switchboard();
    let (mut answered, mut longest) = (0, 0);
    let mut sessions: HashMap<u64, Vec<CallTimeline>> = HashMap::new();
    for timeline in timelines(&switchboard, 120) {
        let session = sessions.entry(timeline.session.number);
        session.or_default().push(timeline);
    }
    // Only live queue calls are listed in another direction.
    sessions.retain(|_, records| records[0].live.direction != records[0].ended.direction);
    for records in sessions.values() {
        for pair in records.windows(2) {
            assert_eq!(pair[1].span.start - pair[0].span.end, 3_000);
            assert_eq!(pair[0].result, "Missed");
            let gap = pair[1].visible_from - pair[0].end_visible_from;
            assert!((-4_000..=10_000).contains(&gap), "{gap}");
        }
        longest = longest.max(records.len());
        answered += usize::from(records.iter().any(|record| record.result == "Accepted"));
    }
    let share = answered as f64 / sessions.len() as f64;
    assert!((0.90..0.98).contains(&share), "{share}");
    assert_eq!(longest, 9, "eight agents and voicemail");
}

#[test]
fn missing_live_records_are_absent_from_single_lists() {
    let complete = switchboard(5);
    let lossy = switchboard(5).with_missing_live_records(0.01);
    let (mut listed, mut missing) = (0, 0);
    for second in 0..600 {
        let at = MORNING + second * 1_000;
        let (all, some) = (complete.listed_at(at), lossy.listed_at(at));
        assert!(some.iter().all(|record| all.contains(record)));
        assert_eq!(some, lossy.listed_at(at));
        listed += all.iter().filter(|record| record.is_live()).count();
        missing += all.len() - some.len();
    }
    let share = missing as f64 / listed as f64;
    assert!((0.007..0.013).contains(&share), "{share}");
    let until = MORNING + 10 * MINUTE_MS;
    assert_eq!(
        complete.ended_between(MORNING, until),
        lossy.ended_between(MORNING, until)
    );
}

#[test]
fn result_shares_are_those_of_an_office() {
    let ended = switchboard(5).ended_between(MORNING, MORNING + 4 * HOUR_MS);
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
fn ended_between_returns_each_listed_end_once() {
    let switchboard = switchboard(5);
    let (from, until) = (MORNING, MORNING + 10 * MINUTE_MS);
    let whole = switchboard.ended_between(from, until);
    let by_parts: Vec<Record> = (0..10)
        .flat_map(|m| switchboard.ended_between(from + m * MINUTE_MS, from + (m + 1) * MINUTE_MS))
        .collect();
    assert_eq!(whole, by_parts);
    let ended = |at| -> HashSet<String> {
        switchboard
            .listed_at(at)
            .into_iter()
            .filter(|r| !r.is_live())
            .map(|r| r.id)
            .collect()
    };
    let seen: HashSet<String> = (1..=120)
        .flat_map(|step| ended(from + step * 5_000))
        .collect();
    let returned: HashSet<String> = whole.into_iter().map(|record| record.id).collect();
    assert!(returned.iter().all(|id| seen.contains(id)));
    assert_eq!(&seen - &ended(from), returned);
}

#[test]
fn extension_list_is_a_part_of_the_full_list() {
    let switchboard = switchboard(5);
    let list = switchboard.listed_at(MORNING);
    let id = list.iter().find_map(|record| record.extension_id).unwrap();
    let part: Vec<Record> = list
        .into_iter()
        .filter(|r| r.extension_id == Some(id))
        .collect();
    assert!(!part.is_empty());
    assert_eq!(switchboard.listed_for(id, MORNING), part);
}

#[test]
fn listing_thousands_of_records_again_generates_none() {
    let load_profile = LoadProfile {
        calls_per_minute: 700.0,
        day_shift_ms: 0,
        surge: None,
    };
    let switchboard = Switchboard::new(Company::new(10_000, 5), load_profile, 5);
    let listed = switchboard.listed_at(MORNING).len();
    assert!((4_000..6_500).contains(&listed), "{listed}");
    let minutes = |at| switchboard.relevant_timelines(at, at).collect::<Vec<_>>();
    let (first, second) = (minutes(MORNING), minutes(MORNING + 1_000));
    for (minute, same) in first.iter().zip(&second) {
        assert!(std::sync::Arc::ptr_eq(minute, same), "not cached");
    }
}
