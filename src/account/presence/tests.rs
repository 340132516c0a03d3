//! Tests of the shared presence: when the list is read, when the state is shown, and what is counted.

use clap::Parser;
use jiff::SignedDuration;

use super::*;
use crate::calls::directory::DirectoryEntry;
use crate::presence::{DndStatus, PresenceStatus, TelephonyStatus};
use crate::ringcentral::{Cause, Operation};
use crate::text_format::{Exposition, TextFormat};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

/// Returns the presence of the account `a` with these flags, whose counters are 0 since 9 o'clock.
pub(crate) fn presence_with(mode: PresenceMode, flags: &[&str]) -> Arc<Presence> {
    let flags = Flags::parse_from(["test"].iter().chain(flags));
    let created = Moment {
        wall: "2026-11-24T09:00:00Z".parse().unwrap(),
        ..Moment::now()
    };
    let presence = Presence::new("a", mode, &flags.settings, created).unwrap();
    presence.unwrap()
}

fn polled() -> Arc<Presence> {
    presence_with(PresenceMode::Poll, &[])
}

/// Returns presence with events whose list has extension 7, whose phone is idle.
fn subscribed(now: Moment) -> Arc<Presence> {
    let presence = presence_with(PresenceMode::Events, &[]);
    presence.record_subscribed(now);
    read(&presence, now);
    presence
}

/// Reads a list of these extensions.
pub(crate) fn read_rows(presence: &Presence, rows: &[(u64, TelephonyStatus)], now: Moment) {
    presence.start_read(now);
    let rows = rows.iter().map(|(id, telephony)| PresenceRow {
        has_telephony: true,
        ..row(*id, *telephony)
    });
    presence.finish_read(rows.collect(), now);
}

/// Applies an event that arrived 70 ms after its timestamp.
pub(crate) fn apply_event(
    presence: &Presence,
    extension: u64,
    telephony: TelephonyStatus,
    now: Moment,
) {
    presence.apply(&event(extension, 1, telephony, now), now);
}

fn row(extension: u64, telephony: TelephonyStatus) -> PresenceRow {
    PresenceRow {
        extension,
        status: ExtensionStatus {
            telephony,
            presence: PresenceStatus::Available,
            dnd: DndStatus::TakeAllCalls,
        },
        has_telephony: telephony != TelephonyStatus::Unknown,
    }
}

fn read(presence: &Presence, now: Moment) {
    presence.start_read(now);
    presence.finish_read(vec![row(7, TelephonyStatus::NoCall)], now);
}

fn event(extension: u64, sequence: u64, telephony: TelephonyStatus, now: Moment) -> PresenceEvent {
    PresenceEvent {
        id: None,
        extension,
        sequence: Some(sequence),
        timestamp: Some(now.wall - SignedDuration::from_millis(70)),
        arrived: now.wall,
        telephony: Some(telephony),
        presence: None,
        dnd: None,
    }
}

fn directory(kinds: &[(u64, &str)]) -> Arc<Directory> {
    let entry = |(id, kind): &(u64, &str)| DirectoryEntry {
        id: *id,
        number: None,
        name: "".into(),
        kind: (*kind).into(),
        status: "Enabled".into(),
    };
    Arc::new(Directory::new(kinds.iter().map(entry).collect()))
}

fn error(cause: Cause) -> Error {
    Error::new(Operation::Presence, cause, "no")
}

fn at(start: Moment, seconds: u64) -> Moment {
    start.after(Duration::from_secs(seconds))
}

/// Returns whether the state is shown and whether it is up.
fn shown_and_up(presence: &Presence, now: Moment) -> (bool, bool) {
    let view = presence.view(now);
    assert_eq!(view.counts.is_some(), presence.statuses(now).is_some());
    (view.counts.is_some(), view.is_up)
}

fn extensions(presence: &Presence, now: Moment) -> Vec<u64> {
    let statuses = presence.statuses(now).unwrap();
    statuses.into_iter().map(|(id, _)| id).collect()
}

fn counters(presence: &Presence) -> String {
    let format = TextFormat::Prometheus;
    let mut families = FamilyTexts::new(format);
    presence.add_counters_to(&mut families);
    Exposition::new(format, vec![families.share()]).into_text()
}

fn assert_counters(presence: &Presence, expected: &[&str]) {
    let text = counters(presence);
    for line in expected {
        let line = format!("ringcentral_{line}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn presence_that_is_off_does_not_exist() {
    let flags = Flags::parse_from(["test"]);
    let presence = Presence::new("a", PresenceMode::Off, &flags.settings, Moment::now());
    assert!(presence.unwrap().is_none());
}

#[test]
fn polled_state_is_shown_until_it_is_too_old() {
    for (max_age, limit) in [("2m", 240), ("1m", 180), ("90s", 180), ("10m", 1200)] {
        let presence = presence_with(PresenceMode::Poll, &["--scrape.max-age", max_age]);
        let start = Moment::now();
        assert_eq!(shown_and_up(&presence, start), (false, false));
        read(&presence, start);
        assert_eq!(shown_and_up(&presence, start), (true, true));
        assert_eq!(shown_and_up(&presence, at(start, limit)), (true, true));
        assert_eq!(
            shown_and_up(&presence, at(start, limit + 1)),
            (false, false),
            "{max_age}"
        );
    }
}

#[test]
fn failed_poll_keeps_the_state_but_is_not_up() {
    let (presence, start) = (polled(), Moment::now());
    presence.start_read(start);
    presence.fail_read(error(Cause::Timeout), start);
    assert_eq!(shown_and_up(&presence, start), (false, false));
    read(&presence, at(start, 60));
    assert_eq!(shown_and_up(&presence, at(start, 60)), (true, true));
    presence.fail_read(error(Cause::Timeout), at(start, 120));
    assert_eq!(shown_and_up(&presence, at(start, 120)), (true, false));
    read(&presence, at(start, 180));
    assert_eq!(shown_and_up(&presence, at(start, 180)), (true, true));
}

#[test]
fn unsent_request_is_no_failure() {
    let (presence, start) = (polled(), Moment::now());
    read(&presence, start);
    presence.start_read(at(start, 60));
    presence.fail_read(error(Cause::NoBudget), at(start, 60));
    assert_eq!(shown_and_up(&presence, at(start, 60)), (true, true));
    assert!(presence.is_read_due(at(start, 60)));
    assert!(presence.view(start).read_failure.is_none());
}

#[test]
fn unsent_request_does_not_hide_a_failure() {
    let (presence, start) = (polled(), Moment::now());
    read(&presence, start);
    presence.start_read(at(start, 60));
    presence.fail_read(error(Cause::Timeout), at(start, 60));
    presence.fail_read(error(Cause::NoBudget), at(start, 120));
    assert_eq!(shown_and_up(&presence, at(start, 120)), (true, false));
    let failure = presence.view(start).read_failure.unwrap();
    assert_eq!(failure.cause, Cause::Timeout);
}

#[test]
fn poll_is_due_once_a_minute_and_until_it_is_complete() {
    let (presence, start) = (polled(), Moment::now());
    assert!(presence.is_read_due(start));
    presence.start_read(start);
    presence.pause_read(4, start);
    assert!(presence.is_read_due(at(start, 1)), "unfinished");
    assert_eq!(presence.view(start).pages, 4);
    presence.finish_read(Vec::new(), at(start, 50));
    assert!(!presence.is_read_due(at(start, 59)));
    assert!(presence.is_read_due(at(start, 60)));
}

/// Pages of a poll are shown as current, so a read that pauses for too long starts again. With events they stay current.
#[test]
fn polled_pages_that_are_too_old_are_read_again() {
    let start = Moment::now();
    for (mode, is_outdated) in [(PresenceMode::Poll, true), (PresenceMode::Events, false)] {
        let presence = presence_with(mode, &[]);
        presence.record_subscribed(start);
        presence.start_read(start);
        presence.pause_read(1, at(start, 1));
        assert!(!presence.is_read_outdated(at(start, 240)));
        assert_eq!(presence.is_read_outdated(at(start, 241)), is_outdated);
    }
}

#[test]
fn timestamp_of_a_read_is_its_start() {
    let (presence, start) = (polled(), Moment::now());
    presence.start_read(start);
    presence.finish_read(vec![row(7, TelephonyStatus::NoCall)], at(start, 100));
    assert_eq!(presence.view(start).last_read, Some(start));
    let is_shown = |seconds| presence.view(at(start, seconds)).counts.is_some();
    assert!(is_shown(340) && !is_shown(341));
}

#[test]
fn failed_read_is_repeated_after_a_wait() {
    let start = Moment::now();
    for (cause, wait) in [
        (Cause::Timeout, 60),
        (Cause::Unreachable, 60),
        (Cause::NotRingCentral, 60),
        (Cause::AppLacksCallLog, 300),
        (Cause::PageGone, 60),
    ] {
        let presence = polled();
        presence.start_read(start);
        presence.fail_read(error(cause), at(start, 5));
        assert!(!presence.is_read_due(at(start, 5 + wait - 1)), "{cause:?}");
        assert!(presence.is_read_due(at(start, 5 + wait)), "{cause:?}");
        let next = presence.view(at(start, 6)).next_read_at;
        assert_eq!(next, Some(at(start, 5 + wait)), "{cause:?}");
    }
}

#[test]
fn next_read_after_a_gap_is_a_minute_after_the_last() {
    let (presence, start) = (presence_with(PresenceMode::Events, &[]), Moment::now());
    assert_eq!(presence.view(start).next_read_at, None, "no subscription");
    presence.record_subscribed(start);
    assert_eq!(presence.view(start).next_read_at, None, "it may start now");
    read(&presence, start);
    assert_eq!(presence.view(start).next_read_at, Some(at(start, 600)));
    presence.record_gap();
    assert_eq!(presence.view(start).next_read_at, Some(at(start, 60)));
}

#[test]
fn events_need_a_subscription_before_the_first_read() {
    let (presence, start) = (presence_with(PresenceMode::Events, &[]), Moment::now());
    assert!(!presence.is_read_due(at(start, 3600)));
    presence.record_subscribed(start);
    assert!(presence.is_read_due(start));
    assert_eq!(shown_and_up(&presence, start), (false, false));
    read(&presence, start);
    assert_eq!(shown_and_up(&presence, start), (true, true));
}

#[test]
fn audit_is_due_after_ten_minutes_by_default() {
    let (presence, start) = (presence_with(PresenceMode::Events, &[]), Moment::now());
    presence.record_subscribed(start);
    read(&presence, start);
    assert!(!presence.is_read_due(at(start, 599)));
    assert!(presence.is_read_due(at(start, 600)));
}

#[test]
fn audit_is_due_at_its_interval() {
    let presence = presence_with(
        PresenceMode::Events,
        &["--ringcentral.presence-audit", "30m"],
    );
    let start = Moment::now();
    presence.record_subscribed(start);
    read(&presence, start);
    assert!(!presence.is_read_due(at(start, 1799)));
    assert!(presence.is_read_due(at(start, 1800)));
    read(&presence, at(start, 1800));
    presence.fail_read(error(Cause::Timeout), at(start, 3600));
    presence.record_heard(at(start, 3600));
    assert_eq!(
        shown_and_up(&presence, at(start, 3600)),
        (true, true),
        "events go on without an audit"
    );
}

#[test]
fn gap_hides_the_state_until_the_next_read() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.record_loss();
    assert_eq!(shown_and_up(&presence, at(start, 10)), (false, false));
    assert!(!presence.is_read_due(at(start, 70)), "no subscription");
    presence.record_subscribed(at(start, 20));
    assert!(!presence.is_read_due(at(start, 59)), "once a minute");
    assert!(presence.is_read_due(at(start, 60)));
    read(&presence, at(start, 60));
    assert_eq!(shown_and_up(&presence, at(start, 60)), (true, true));
    assert_counters(
        &presence,
        &[
            "event_gaps_total{account=\"a\"} 1",
            "event_connections_total{account=\"a\",result=\"lost\"} 1",
            "presence_corrections_total{account=\"a\"} 0",
        ],
    );
}

#[test]
fn read_that_began_before_a_gap_is_not_used() {
    let start = Moment::now();
    for is_lost in [false, true] {
        let presence = presence_with(PresenceMode::Events, &[]);
        presence.record_subscribed(start);
        presence.start_read(start);
        presence.pause_read(1, start);
        if is_lost {
            presence.record_loss();
            presence.record_subscribed(at(start, 1));
        } else {
            presence.record_gap();
        }
        assert!(presence.is_read_outdated(start));
        presence.finish_read(vec![row(7, TelephonyStatus::NoCall)], at(start, 2));
        assert_eq!(shown_and_up(&presence, at(start, 2)), (false, false));
        assert!(presence.view(start).last_read.is_none());
        assert!(presence.is_read_due(at(start, 60)));
    }
}

#[test]
fn renewed_subscription_is_no_gap() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.record_subscribed(at(start, 50));
    presence.record_connection(ConnectionResult::Renewed);
    assert_eq!(shown_and_up(&presence, at(start, 50)), (true, true));
    let connected_since = presence.view(start).connected_since;
    assert_eq!(connected_since, Some(start));
    assert!(!presence.is_read_due(at(start, 61)));
}

#[test]
fn silent_subscription_is_down_and_then_hidden() {
    let start = Moment::now();
    let presence = subscribed(start);
    for (age, shown, up) in [
        (90, true, true),
        (91, true, false),
        (120, true, false),
        (121, false, false),
    ] {
        assert_eq!(
            shown_and_up(&presence, at(start, age)),
            (shown, up),
            "{age}"
        );
    }
    presence.record_heard(at(start, 300));
    assert_eq!(shown_and_up(&presence, at(start, 301)), (true, true));
}

#[test]
fn stream_failure_is_down_without_hiding_the_state() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.set_stream_failure(EventError::new(Cause::Timeout, "no"), None);
    assert_eq!(shown_and_up(&presence, start), (true, false));
    presence.record_subscribed(start);
    assert_eq!(shown_and_up(&presence, start), (true, true));
}

#[test]
fn suspend_hides_the_state_until_there_is_a_sign() {
    let start = Moment::now();
    let resumed = Moment {
        wall: start.wall + SignedDuration::from_hours(3),
        ..start
    };
    let set_back = Moment {
        wall: start.wall - SignedDuration::from_hours(3),
        ..start
    };
    let presence = subscribed(start);
    assert_eq!(shown_and_up(&presence, resumed), (false, false));
    presence.record_heard(resumed);
    assert_eq!(shown_and_up(&presence, resumed), (true, true));
    assert!(presence.is_read_due(resumed), "the audit is overdue");
    let presence = polled();
    read(&presence, start);
    assert_eq!(shown_and_up(&presence, resumed), (false, false));
    assert!(presence.is_read_due(resumed));
    assert_eq!(shown_and_up(&presence, set_back), (true, true));
    let later = set_back.after(Duration::from_secs(60));
    assert!(presence.is_read_due(later));
}

#[test]
fn extensions_without_presence_are_left_out() {
    let mut kinds = vec![
        (1, "User"),
        (2, "DigitalUser"),
        (3, "VirtualUser"),
        (4, "FlexibleUser"),
        (5, "Limited"),
        (6, "Room"),
        (7, "Bot"),
        (8, "SomethingNew"),
        (9, ""),
    ];
    let with_presence: Vec<u64> = kinds.iter().map(|(id, _)| *id).collect();
    for kind in TYPES_WITHOUT_PRESENCE {
        kinds.push((kinds.len() as u64 + 1, kind));
    }
    let start = Moment::now();
    for telephony in [TelephonyStatus::NoCall, TelephonyStatus::Unknown] {
        let presence = polled();
        presence.set_directory(directory(&kinds));
        let rows = kinds.iter().map(|(id, _)| row(*id, telephony)).collect();
        presence.finish_read(rows, start);
        assert_eq!(extensions(&presence, start), with_presence);
    }
}

#[test]
fn row_on_two_pages_counts_once_and_the_later_wins() {
    use TelephonyStatus::{CallConnected, NoCall, OnHold, Ringing};
    let start = Moment::now();
    let presence = subscribed(start);
    apply_event(&presence, 7, Ringing, start);
    presence.start_read(at(start, 600));
    let rows = [(7, NoCall), (8, NoCall), (7, Ringing), (8, OnHold)];
    let rows = rows.iter().map(|(id, telephony)| row(*id, *telephony));
    presence.finish_read(rows.collect(), at(start, 600));
    let statuses = presence.statuses(start).unwrap();
    let statuses: Vec<_> = statuses
        .iter()
        .map(|(id, it)| (*id, it.telephony))
        .collect();
    assert_eq!(statuses, [(7, Ringing), (8, OnHold)]);
    let late = event(7, 0, CallConnected, start);
    presence.apply(&late, start);
    assert_counters(
        &presence,
        &[
            "presence_corrections_total{account=\"a\"} 0",
            "events_discarded_total{account=\"a\",reason=\"late\"} 1",
        ],
    );
}

#[test]
fn rows_of_unknown_type_need_a_telephony_status() {
    let start = Moment::now();
    let rows = || {
        vec![
            row(1, TelephonyStatus::NoCall),
            row(2, TelephonyStatus::Unknown),
            row(3, TelephonyStatus::Ringing),
            row(4, TelephonyStatus::Unknown),
        ]
    };
    let presence = polled();
    presence.finish_read(rows(), start);
    assert_eq!(extensions(&presence, start), [1, 3]);
    presence.set_directory(directory(&[(2, "User"), (3, "Department")]));
    presence.finish_read(rows(), start);
    assert_eq!(extensions(&presence, start), [1, 2]);
}

#[test]
fn late_directory_removes_extensions_without_presence() {
    let start = Moment::now();
    let presence = subscribed(start);
    assert_eq!(extensions(&presence, start), [7]);
    presence.set_directory(directory(&[(7, "Department")]));
    assert_eq!(extensions(&presence, start), [0; 0]);
}

#[test]
fn event_of_unknown_extension_asks_for_a_directory() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.apply(&event(8, 1, TelephonyStatus::Ringing, start), start);
    assert!(!presence.has_unknown_extension(), "there is no directory");
    presence.set_directory(directory(&[(7, "User"), (9, "Department")]));
    presence.apply(&event(9, 1, TelephonyStatus::Ringing, start), start);
    assert!(!presence.has_unknown_extension(), "a queue is known");
    presence.apply(&event(8, 2, TelephonyStatus::Ringing, start), start);
    assert!(presence.has_unknown_extension());
    assert_eq!(extensions(&presence, start), [7]);
    let newer = directory(&[(7, "User"), (8, "User")]);
    assert_eq!(presence.set_directory(newer), NewExtensions::Found);
    assert!(!presence.has_unknown_extension());
    presence.apply(&event(8, 3, TelephonyStatus::Ringing, start), start);
    assert_eq!(extensions(&presence, start), [7, 8]);
    assert_counters(
        &presence,
        &["events_discarded_total{account=\"a\",reason=\"unknown_extension\"} 3"],
    );
}

#[test]
fn events_are_counted_with_changes_and_durations() {
    let start = Moment::now();
    let presence = subscribed(start);
    for (second, sequence, telephony) in [
        (0, 1, TelephonyStatus::Ringing),
        (4, 2, TelephonyStatus::CallConnected),
        (4, 2, TelephonyStatus::CallConnected),
        (30, 3, TelephonyStatus::Unknown),
        (31, 1, TelephonyStatus::NoCall),
        (40, 4, TelephonyStatus::NoCall),
    ] {
        let now = at(start, second);
        presence.apply(&event(7, sequence, telephony, now), now);
    }
    presence.record_unreadable();
    for result in [ConnectionResult::Connected, ConnectionResult::Failed] {
        presence.record_connection(result);
    }
    assert_counters(
        &presence,
        &[
            "events_total{account=\"a\"} 7",
            "events_discarded_total{account=\"a\",reason=\"duplicate\"} 1",
            "events_discarded_total{account=\"a\",reason=\"late\"} 1",
            "events_discarded_total{account=\"a\",reason=\"unreadable\"} 1",
            "events_discarded_total{account=\"a\",reason=\"unknown_extension\"} 0",
            "extension_status_changes_total{account=\"a\",from=\"NoCall\",to=\"Ringing\"} 1",
            "extension_status_changes_total{account=\"a\",from=\"Ringing\",to=\"CallConnected\"} 1",
            "extension_status_changes_total{account=\"a\",from=\"CallConnected\",to=\"Unknown\"} 1",
            "extension_status_changes_total{account=\"a\",from=\"OnHold\",to=\"ParkedCall\"} 0",
            "extension_status_duration_seconds_count{account=\"a\",telephony_status=\"Ringing\"} 1",
            "extension_status_duration_seconds_sum{account=\"a\",telephony_status=\"Ringing\"} 4",
            "extension_status_duration_seconds_sum{account=\"a\",telephony_status=\"CallConnected\"} 26",
            "extension_status_duration_seconds_count{account=\"a\",telephony_status=\"OnHold\"} 0",
            "event_delay_seconds_bucket{account=\"a\",le=\"0.05\"} 0",
            "event_delay_seconds_bucket{account=\"a\",le=\"0.1\"} 6",
            "event_connections_total{account=\"a\",result=\"connected\"} 1",
            "event_connections_total{account=\"a\",result=\"failed\"} 1",
            "event_connections_total{account=\"a\",result=\"renewed\"} 0",
        ],
    );
    let text = counters(&presence);
    assert!(!text.contains("telephony_status=\"Unknown\""), "{text}");
    assert!(!text.contains("telephony_status=\"NoCall\""), "{text}");
}

#[test]
fn delay_is_that_of_events_with_a_timestamp() {
    let start = Moment::now();
    let presence = subscribed(start);
    let mut first = event(7, 1, TelephonyStatus::Ringing, start);
    presence.apply(&first, start);
    first.sequence = Some(2);
    first.timestamp = None;
    presence.apply(&first, start);
    assert_counters(&presence, &["event_delay_seconds_count{account=\"a\"} 1"]);
}

#[test]
fn counters_start_at_zero_for_all_documented_values() {
    let text = counters(&presence_with(PresenceMode::Events, &[]));
    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("ringcentral_extension_status_changes_total{"), 20);
    assert_eq!(
        count("ringcentral_extension_status_duration_seconds_count{"),
        4
    );
    assert_eq!(
        count("ringcentral_extension_status_duration_seconds_bucket{"),
        4 * 15
    );
    assert_eq!(count("ringcentral_events_discarded_total{"), 4);
    assert_eq!(count("ringcentral_event_connections_total{"), 4);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    assert_eq!(counters(&polled()), "", "only with events");
}

#[test]
fn audit_counts_what_events_lacked() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.start_read(at(start, 600));
    presence.finish_read(vec![row(7, TelephonyStatus::OnHold)], at(start, 601));
    assert_counters(&presence, &["presence_corrections_total{account=\"a\"} 1"]);
}

#[test]
fn other_account_starts_without_a_state() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.set_directory(directory(&[(7, "User")]));
    presence.start_read(at(start, 1));
    presence.reset();
    assert!(presence.is_read_outdated(start) && presence.directory().is_none());
    assert_eq!(shown_and_up(&presence, at(start, 1)), (false, false));
    presence.finish_read(Vec::new(), at(start, 2));
    assert_eq!(shown_and_up(&presence, at(start, 2)), (false, false));
    presence.record_subscribed(at(start, 2));
    assert!(presence.is_read_due(at(start, 2)));
}

#[test]
fn stopped_stream_is_a_gap() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.end_stream();
    presence.end_stream();
    assert_eq!(shown_and_up(&presence, start), (false, false));
    assert_counters(&presence, &["event_gaps_total{account=\"a\"} 1"]);
}

#[test]
fn version_grows_with_each_change() {
    let start = Moment::now();
    let presence = subscribed(start);
    let mut version = presence.view(start).version;
    let mut has_grown = || {
        let former = std::mem::replace(&mut version, presence.view(start).version);
        version > former
    };
    presence.record_heard(start);
    assert!(!has_grown(), "a sign changes nothing that is shown");
    let ringing = event(7, 1, TelephonyStatus::Ringing, start);
    presence.apply(&ringing, start);
    assert!(has_grown());
    presence.apply(&ringing, start);
    assert!(has_grown(), "a duplicate is counted");
    presence.record_unreadable();
    assert!(has_grown());
    presence.record_connection(ConnectionResult::Failed);
    assert!(has_grown());
    presence.record_gap();
    assert!(has_grown());
    read(&presence, start);
    assert!(has_grown());
    presence.set_directory(directory(&[(7, "User")]));
    assert!(has_grown());
}

#[test]
fn stream_sees_each_login_once() {
    let presence = presence_with(PresenceMode::Events, &[]);
    let mut logins = presence.logins();
    presence.set_login_count(0);
    assert!(!logins.has_changed().unwrap());
    presence.set_login_count(1);
    assert!(logins.has_changed().unwrap());
    assert_eq!(*logins.borrow_and_update(), 1);
    presence.set_login_count(1);
    assert!(!logins.has_changed().unwrap());
}

#[test]
fn audit_that_corrects_without_events_is_a_silent_stream() {
    let start = Moment::now();
    let presence = subscribed(start);
    let audit = |telephony, second| {
        presence.start_read(at(start, second));
        presence.finish_read(vec![row(7, telephony)], at(start, second));
        presence.lacks_events()
    };
    assert!(!audit(TelephonyStatus::NoCall, 600), "nothing differs");
    apply_event(&presence, 7, TelephonyStatus::OnHold, at(start, 700));
    assert!(!audit(TelephonyStatus::NoCall, 1200), "an event arrived");
    assert!(audit(TelephonyStatus::OnHold, 1800));
    assert!(audit(TelephonyStatus::OnHold, 2400), "until it is renewed");
    presence.record_subscribed(at(start, 2401));
    assert!(!presence.lacks_events());
    assert_eq!(shown_and_up(&presence, at(start, 2402)), (true, true));
}

#[test]
fn wait_for_the_budget_does_not_hide_a_failure() {
    let (presence, start) = (presence_with(PresenceMode::Events, &[]), Moment::now());
    let cause = || presence.view(Moment::now()).stream_failure.unwrap().cause;
    presence.set_stream_wait(EventError::new(Cause::NoBudget, ""), start);
    assert_eq!(cause(), Cause::NoBudget);
    presence.set_stream_failure(EventError::new(Cause::EventsLost, ""), None);
    presence.set_stream_wait(EventError::new(Cause::NoBudget, ""), start);
    assert_eq!(cause(), Cause::EventsLost);
}

#[test]
fn other_account_needs_another_subscription() {
    let start = Moment::now();
    let presence = subscribed(start);
    presence.reset();
    assert!(!presence.is_read_due(at(start, 600)));
    assert_eq!(presence.view(start).connected_since, None);
    assert_counters(&presence, &["event_gaps_total{account=\"a\"} 1"]);
    presence.record_subscribed(at(start, 1));
    read(&presence, at(start, 1));
    assert_eq!(shown_and_up(&presence, at(start, 2)), (true, true));
}
