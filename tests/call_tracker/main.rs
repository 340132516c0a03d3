//! Property tests of the call tracker: over simulated days it counts each call of the simulated
//! company once.
//!
//! Everything runs in this process and without a clock. `simulated_day` has the calls and the
//! fetches that the exporter's budget allows, `oracle` counts by a second implementation of the
//! contract, `counter_totals` compares the two, `queue_calls` has calls that ring one agent after
//! another, and `memory` measures what a tracker holds. The
//! trackers in `mutants` have defects and must fail: they test the test.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod counter_totals;
mod memory;
mod mutants;
mod oracle;
mod queue_calls;
mod simulated_day;

use std::ops::RangeInclusive;

use counter_totals::CounterTotals;
use mutants::{
    CountsBaseline, CountsLiveCalls, CountsReturningRecords, JoinsByOneId, LastOutcome, NoWait,
    RemovesTooEarly, Restarts, SessionPerRecord, Tracker,
};
use oracle::History;
use ringcentral_exporter::calls::{CallTracker, ExtensionLabel, LabelLimiter, Snapshot};
use simulated_day::{Fetch, HOUR_MS, MINUTE_MS, SimulatedDay, WINDOW_EXPIRED_S};

/// Families whose expected values come from the switchboard.
const CALL_FAMILIES: [&str; 4] = [
    "calls_ended",
    "extension_calls_ended",
    "duration_count",
    "duration_ms",
];
/// Families whose expected values come from the fetched lists.
const LIST_FAMILIES: [&str; 4] = [
    "sessions_started",
    "sessions_ended",
    "calls_lost",
    "coverage_gaps",
];

/// One run of the exporter: the counts of its tracker and the lists that it fetched.
struct Run {
    totals: CounterTotals,
    history: History,
}

impl Run {
    fn new(tracker: &mut dyn Tracker, fetches: impl Iterator<Item = Fetch>) -> Self {
        let mut run = Self {
            totals: CounterTotals::default(),
            history: History::default(),
        };
        for fetch in fetches {
            let events = tracker.update(&fetch.calls(), fetch.moment);
            run.totals.record_events(&events);
            run.history.record_list(fetch.time, &fetch.records);
        }
        run
    }

    /// Returns the counts of a run without coverage gaps.
    fn expected(&self, day: &SimulatedDay) -> CounterTotals {
        let (first, last) = (self.history.first(), self.history.last());
        let mut expected = oracle::ended(&day.switchboard, first, last);
        expected.add_all(&self.history.list_totals());
        expected
    }

    /// Checks that every call was counted.
    fn check_exact(&self, day: &SimulatedDay) -> Result<(), String> {
        self.totals.check_equal(&self.expected(day))
    }

    fn print(&self) {
        println!(
            "{} fetches: {:?}",
            self.history.len(),
            self.totals.families()
        );
    }

    fn assert_nothing_lost(&self) {
        assert_eq!(self.totals.total("calls_lost"), 0);
        assert_eq!(self.totals.total("coverage_gaps"), 0);
    }
}

/// Asserts that the gauges equal the list.
fn assert_gauges_match(fetch: &Fetch) {
    let mut limiter = LabelLimiter::new(ExtensionLabel::Number, 10_000);
    let snapshot = Snapshot::from_calls(&fetch.calls(), &mut limiter);
    CounterTotals::from_snapshot(&snapshot)
        .check_equal(&oracle::gauges(&fetch.records))
        .unwrap();
}

/// Asserts that a medium day is counted exactly, with this number of fetches.
fn assert_exact(scrapers: i64, interval_s: i64, fetch_count: RangeInclusive<usize>) {
    let day = SimulatedDay::medium();
    let fetches = day
        .fetches(scrapers, interval_s, day.all())
        .inspect(assert_gauges_match);
    let run = Run::new(&mut CallTracker::default(), fetches);
    run.print();
    run.check_exact(&day).unwrap();
    assert!(
        fetch_count.contains(&run.history.len()),
        "{} fetches",
        run.history.len()
    );
    assert!((19_000..=21_000).contains(&run.totals.total("calls_ended")));
    run.assert_nothing_lost();
}

#[test]
fn day_is_exact_with_scrapes_every_5_s() {
    assert_exact(1, 5, 8_600..=9_100);
}

#[test]
fn day_is_exact_with_scrapes_every_15_s() {
    assert_exact(1, 15, 5_760..=5_760);
}

#[test]
fn day_is_exact_with_scrapes_every_30_s() {
    assert_exact(1, 30, 2_880..=2_880);
}

#[test]
fn day_is_exact_with_scrapes_every_60_s() {
    assert_exact(1, 60, 1_440..=1_440);
}

#[test]
fn day_is_exact_with_two_scrapers_every_5_s() {
    assert_exact(2, 5, 8_600..=11_520);
}

#[test]
fn day_is_exact_with_two_scrapers_every_15_s() {
    assert_exact(2, 15, 5_760..=11_520);
}

#[test]
fn day_is_exact_with_two_scrapers_every_30_s() {
    assert_exact(2, 30, 5_750..=5_760);
}

#[test]
fn day_is_exact_with_two_scrapers_every_60_s() {
    assert_exact(2, 60, 2_870..=2_880);
}

#[test]
fn day_of_20_000_calls_with_restarts_is_exact() {
    let day = SimulatedDay::medium();
    let fetches = day.fetches(1, 30, day.all());
    let run = Run::new(&mut Restarts::every(40, false), fetches);
    run.check_exact(&day).unwrap();
    run.assert_nothing_lost();
}

#[test]
fn day_of_500_000_calls_with_restarts_is_exact() {
    let day = SimulatedDay::large();
    let fetches = day
        .fetches(1, WINDOW_EXPIRED_S, day.all())
        .enumerate()
        .map(|(n, fetch)| {
            if n % 10 == 0 {
                assert_gauges_match(&fetch);
            }
            fetch
        });
    let run = Run::new(&mut Restarts::every(100, false), fetches);
    run.print();
    run.check_exact(&day).unwrap();
    assert!((490_000..=510_000).contains(&run.totals.total("calls_ended")));
    run.assert_nothing_lost();
}

// The window allows two fetches of four pages or one of five pages, so a list that grows during a
// fetch costs that fetch and a window. With a short interval the next list is fetched before a
// call has left the list.
#[test]
fn list_above_half_the_window_is_exact_at_5_s() {
    let day = SimulatedDay::large_from_morning();
    let fetches = day.fetches(1, 5, day.from..day.from + 3 * HOUR_MS);
    let run = Run::new(&mut CallTracker::default(), fetches);
    run.print();
    run.check_exact(&day).unwrap();
    assert_eq!(run.totals.total("calls_lost"), 0);
}

// A budget that allows every second scrape to fetch turns an interval of 60 s into 120 s, which is
// longer than a call stays listed.
#[test]
fn list_above_half_the_window_reports_gaps_at_60_s() {
    let day = SimulatedDay::large_from_morning();
    let fetches = day.fetches(1, 60, day.from..day.from + 3 * HOUR_MS);
    let run = Run::new(&mut CallTracker::default(), fetches);
    assert_gaps_reported(&day, &run);
}

#[test]
fn scrapes_every_5_minutes_report_coverage_gaps() {
    let day = SimulatedDay::medium();
    let fetches = day.fetches(1, 300, day.all());
    let run = Run::new(&mut CallTracker::default(), fetches);
    assert_gaps_reported(&day, &run);
    assert_eq!(
        run.totals.total("coverage_gaps"),
        run.history.len() as i64 - 1
    );
}

/// Asserts that the tracker reports gaps and lost calls, and counts no call that did not end or
/// twice.
fn assert_gaps_reported(day: &SimulatedDay, run: &Run) {
    let (first, last) = (run.history.first(), run.history.last());
    let ended = oracle::ended(&day.switchboard, first, last);
    run.print();
    println!("ended: {:?}", ended.families());
    run.totals
        .only(&CALL_FAMILIES)
        .check_at_most(&ended)
        .unwrap();
    run.totals
        .only(&LIST_FAMILIES)
        .check_equal(&run.history.list_totals())
        .unwrap();
    let sessions = oracle::sessions_ended(&day.switchboard, first, last);
    run.totals
        .only(&["sessions_ended"])
        .check_at_most(&sessions)
        .unwrap();
    assert!(run.totals.total("calls_ended") < ended.total("calls_ended"));
    assert!(run.totals.total("coverage_gaps") > 0 && run.totals.total("calls_lost") > 0);
}

#[test]
fn restarts_miss_only_calls_ended_during_downtime() {
    let day = SimulatedDay::medium();
    let restart = day.from + 77 * MINUTE_MS;
    let outage = day.from + 4 * HOUR_MS;
    let periods = [
        day.from..restart,
        restart + 40_000..outage,
        outage + 20 * MINUTE_MS..day.all().end,
    ];
    let runs =
        periods.map(|period| Run::new(&mut CallTracker::default(), day.fetches(1, 15, period)));
    let (first, last) = (runs[0].history.first(), runs[2].history.last());
    let mut totals = CounterTotals::default();
    let mut expected = oracle::ended(&day.switchboard, first, last);
    for run in &runs {
        run.check_exact(&day).unwrap();
        totals.add_all(&run.totals);
    }
    for pair in runs.windows(2) {
        let (stopped, started) = (pair[0].history.last(), pair[1].history.first());
        let missed = oracle::ended(&day.switchboard, stopped, started);
        assert!(missed.total("calls_ended") > 0);
        expected.subtract_all(&missed);
    }
    println!("{:?}", totals.families());
    totals.only(&CALL_FAMILIES).check_equal(&expected).unwrap();
    let sessions = oracle::sessions_ended(&day.switchboard, first, last);
    totals
        .only(&["sessions_ended"])
        .check_at_most(&sessions)
        .unwrap();
}

/// Runs a medium day whose lists lack single records.
fn run_with_missing_records(day: &SimulatedDay, tracker: &mut dyn Tracker) -> Run {
    let fetches = day.fetches(1, 30, day.all());
    Run::new(
        tracker,
        fetches.map(|fetch| fetch.with_missing_records(day)),
    )
}

#[test]
fn returning_record_is_counted_once() {
    let day = SimulatedDay::medium();
    run_with_missing_records(&day, &mut CallTracker::default())
        .check_exact(&day)
        .unwrap();
}

/// Asserts that a defective tracker fails in this family.
fn assert_detected(mut tracker: impl Tracker, family: &str) {
    let day = SimulatedDay::medium();
    let run = run_with_missing_records(&day, &mut tracker);
    let failure = run.check_exact(&day).unwrap_err();
    println!("{failure}");
    assert!(failure.starts_with(family), "{failure}");
}

#[test]
fn tracker_that_counts_returning_records_is_detected() {
    assert_detected(CountsReturningRecords::default(), "calls_ended");
}

#[test]
fn tracker_that_counts_the_baseline_is_detected() {
    assert_detected(CountsBaseline::default(), "calls_ended");
}

#[test]
fn tracker_that_removes_too_early_is_detected() {
    assert_detected(RemovesTooEarly::default(), "calls_ended");
}

#[test]
fn tracker_with_session_per_record_is_detected() {
    assert_detected(SessionPerRecord::default(), "sessions_ended");
}

#[test]
fn tracker_that_counts_live_calls_is_detected() {
    assert_detected(CountsLiveCalls::default(), "calls_ended");
}

#[test]
fn tracker_with_last_outcome_is_detected() {
    assert_detected(LastOutcome::default(), "sessions_ended");
}

/// Runs a whole closed day and compares all counts with those of the switchboard.
fn check_whole_day(
    day: &SimulatedDay,
    interval_ms: i64,
    tracker: &mut dyn Tracker,
) -> Result<(), String> {
    let mut totals = CounterTotals::default();
    for fetch in day.fetches_every_ms(1, interval_ms, day.all()) {
        totals.record_events(&tracker.update(&day.parsed(&fetch), fetch.moment));
    }
    println!("every {interval_ms} ms: {:?}", totals.families());
    totals.check_equal(&oracle::whole_day(&day.ended()))
}

#[test]
fn queues_in_turn_are_exact_at_every_interval() {
    let day = SimulatedDay::sequential(0.0);
    for interval_ms in [5_000, 7_500, 15_000, 30_000, 60_000] {
        check_whole_day(&day, interval_ms, &mut CallTracker::default()).unwrap();
    }
}

#[test]
fn queues_in_turn_with_missing_live_records_are_exact() {
    let day = SimulatedDay::sequential(0.01);
    for interval_ms in [5_000, 7_500, 15_000, 30_000, 60_000] {
        check_whole_day(&day, interval_ms, &mut CallTracker::default()).unwrap();
    }
}

#[test]
fn restarts_with_saved_state_are_exact() {
    let day = SimulatedDay::sequential(0.01);
    for (interval_ms, every) in [(7_500, 50), (15_000, 1), (30_000, 7)] {
        let mut tracker = Restarts::every(every, false);
        check_whole_day(&day, interval_ms, &mut tracker).unwrap();
    }
}

#[test]
fn sessions_joined_by_either_id_are_exact() {
    let day = SimulatedDay::sequential(0.0).with_chained_session_ids();
    check_whole_day(&day, 15_000, &mut CallTracker::default()).unwrap();
}

#[test]
fn tracker_without_the_wait_is_detected() {
    for missing_live_records in [0.0, 0.01] {
        let day = SimulatedDay::sequential(missing_live_records);
        let failure = check_whole_day(&day, 30_000, &mut NoWait::default()).unwrap_err();
        assert!(failure.starts_with("sessions_ended"), "{failure}");
    }
}

#[test]
fn tracker_that_joins_by_one_id_is_detected() {
    let day = SimulatedDay::sequential(0.0).with_chained_session_ids();
    let failure = check_whole_day(&day, 15_000, &mut JoinsByOneId::default()).unwrap_err();
    assert!(failure.starts_with("sessions_"), "{failure}");
}

#[test]
fn tracker_that_forgets_saved_state_is_detected() {
    let day = SimulatedDay::sequential(0.0);
    let mut tracker = Restarts::every(50, true);
    check_whole_day(&day, 15_000, &mut tracker).unwrap_err();
}
