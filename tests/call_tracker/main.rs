//! The ledger as a property: over simulated days it counts what the simulated company did, each call once.
//!
//! All in process and without a clock. `day` has the calls and the fetches, thinned by the exporter's own budget;
//! `truth` counts by the contract's rules written a second time; `tally` compares the two; `memory` asks what a ledger
//! holds. The ledgers in `broken` must fail: they test the test.

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
mod simulated_day;

use std::ops::RangeInclusive;

use counter_totals::Tally;
use mutants::{
    Counting, CountsReturners, CountsTheBaseline, ForgetsTooEarly, LastOutcome, LiveIsEnded,
    SessionPerRecord,
};
use oracle::History;
use ringcentral_exporter::calls::{CallTracker, ExtensionLabel, LabelLimiter, Snapshot};
use simulated_day::{Day, Fetch, HOUR_MS, MINUTE_MS, WINDOWFUL_S};

/// The families that the switchboard knows the truth of, and those that tell of the lists.
const OF_CALLS: [&str; 4] = [
    "calls_ended",
    "extension_calls_ended",
    "duration_count",
    "duration_ms",
];
const OF_LISTS: [&str; 4] = [
    "sessions_started",
    "sessions_ended",
    "calls_lost",
    "coverage_gaps",
];

/// One life of the exporter: what it counted, and what it got to see.
struct Life {
    counted: Tally,
    history: History,
}

impl Life {
    fn live(ledger: &mut dyn Counting, fetches: impl Iterator<Item = Fetch>) -> Self {
        let mut life = Self {
            counted: Tally::default(),
            history: History::default(),
        };
        for fetch in fetches {
            life.counted
                .take(&ledger.enter(&fetch.calls(), fetch.moment));
            life.history.see(fetch.at, &fetch.records);
        }
        life
    }

    /// What this life has to have counted if it saw every end.
    fn truth(&self, day: &Day) -> Tally {
        let mut truth = oracle::ended(&day.switchboard, self.history.first(), self.history.last());
        truth.add_all(&self.history.told(), 1);
        truth
    }

    fn is_true(&self, day: &Day) -> Result<(), String> {
        self.counted.agrees_with(&self.truth(day))
    }
}

/// Whether the gauges are what was listed at that instant.
fn gauges_are_true(fetch: &Fetch) {
    let gauges = Tally::of(&Snapshot::from_calls(
        &fetch.calls(),
        &mut LabelLimiter::new(ExtensionLabel::Number, 10_000),
    ));
    gauges.agrees_with(&oracle::gauges(&fetch.records)).unwrap();
}

/// A usual day, exact to the last call; the budget makes so many fetches of the scrapes.
fn is_exact(scrapers: i64, interval_s: i64, fetches: RangeInclusive<usize>) {
    let day = Day::usual();
    let fetched = day
        .fetches(scrapers, interval_s, day.all())
        .inspect(gauges_are_true);
    let life = Life::live(&mut CallTracker::default(), fetched);
    println!(
        "{} fetches: {:?}",
        life.history.len(),
        life.counted.families()
    );
    life.is_true(&day).unwrap();
    assert!(
        fetches.contains(&life.history.len()),
        "{} fetches",
        life.history.len()
    );
    assert!((19_000..=21_000).contains(&life.counted.total("calls_ended")));
    assert_eq!(
        (
            life.counted.total("calls_lost"),
            life.counted.total("coverage_gaps")
        ),
        (0, 0)
    );
}

#[test]
fn a_day_scraped_every_5_seconds_is_counted_exactly() {
    is_exact(1, 5, 8_600..=9_100);
}

#[test]
fn a_day_scraped_every_15_seconds_is_counted_exactly() {
    is_exact(1, 15, 5_760..=5_760);
}

#[test]
fn a_day_scraped_every_30_seconds_is_counted_exactly() {
    is_exact(1, 30, 2_880..=2_880);
}

#[test]
fn a_day_scraped_every_60_seconds_is_counted_exactly() {
    is_exact(1, 60, 1_440..=1_440);
}

#[test]
fn a_day_scraped_by_a_pair_every_5_seconds_is_counted_exactly() {
    is_exact(2, 5, 8_600..=11_520);
}

#[test]
fn a_day_scraped_by_a_pair_every_15_seconds_is_counted_exactly() {
    is_exact(2, 15, 5_760..=11_520);
}

#[test]
fn a_day_scraped_by_a_pair_every_30_seconds_is_counted_exactly() {
    is_exact(2, 30, 5_750..=5_760);
}

#[test]
fn a_day_scraped_by_a_pair_every_60_seconds_is_counted_exactly() {
    is_exact(2, 60, 2_870..=2_880);
}

#[test]
fn a_day_of_500_000_calls_is_counted_exactly() {
    let day = Day::huge();
    let fetched = day.fetches(1, WINDOWFUL_S, day.all()).enumerate();
    let looked_at = fetched.inspect(|(n, fetch)| {
        if n % 10 == 0 {
            gauges_are_true(fetch)
        }
    });
    let life = Life::live(
        &mut CallTracker::default(),
        looked_at.map(|(_, fetch)| fetch),
    );
    println!(
        "{} fetches: {:?}",
        life.history.len(),
        life.counted.families()
    );
    life.is_true(&day).unwrap();
    assert!((490_000..=510_000).contains(&life.counted.total("calls_ended")));
    assert_eq!(
        (
            life.counted.total("calls_lost"),
            life.counted.total("coverage_gaps")
        ),
        (0, 0)
    );
}

/// The window holds four pages twice and five pages once, so a list that grows in between costs a walk, and a window.
/// Whoever scrapes often gets the next list before a call has left it.
#[test]
fn a_list_that_outgrows_half_the_window_is_counted_exactly_at_5_seconds() {
    let day = Day::huge_from_morning();
    let fetched = day.fetches(1, 5, day.from..day.from + 3 * HOUR_MS);
    let life = Life::live(&mut CallTracker::default(), fetched);
    println!(
        "{} fetches: {:?}",
        life.history.len(),
        life.counted.families()
    );
    life.is_true(&day).unwrap();
    assert_eq!(life.counted.total("calls_lost"), 0);
}

/// A budget that lets every second scrape fetch makes 120 s of 60: more than a call stays listed.
#[test]
fn a_list_that_outgrows_half_the_window_says_at_60_seconds_that_calls_went_unseen() {
    let day = Day::huge_from_morning();
    let fetched = day.fetches(1, 60, day.from..day.from + 3 * HOUR_MS);
    says_that_calls_went_unseen(&day, &Life::live(&mut CallTracker::default(), fetched));
}

#[test]
fn scrapes_at_five_minutes_say_that_calls_went_unseen() {
    let day = Day::usual();
    let life = Life::live(&mut CallTracker::default(), day.fetches(1, 300, day.all()));
    says_that_calls_went_unseen(&day, &life);
    assert_eq!(
        life.counted.total("coverage_gaps"),
        life.history.len() as i64 - 1
    );
}

/// Calls may have ended unseen; none is counted that did not end, and none twice.
fn says_that_calls_went_unseen(day: &Day, life: &Life) {
    let (first, last) = (life.history.first(), life.history.last());
    let ended = oracle::ended(&day.switchboard, first, last);
    println!(
        "{} fetches: {:?} of {:?}",
        life.history.len(),
        life.counted.families(),
        ended.families()
    );
    life.counted.only(&OF_CALLS).is_within(&ended).unwrap();
    life.counted
        .only(&OF_LISTS)
        .agrees_with(&life.history.told())
        .unwrap();
    let sessions = oracle::sessions_ended(&day.switchboard, first, last);
    life.counted
        .only(&["sessions_ended"])
        .is_within(&sessions)
        .unwrap();
    assert!(life.counted.total("calls_ended") < ended.total("calls_ended"));
    assert!(life.counted.total("coverage_gaps") > 0 && life.counted.total("calls_lost") > 0);
}

#[test]
fn three_lives_count_the_day_but_for_what_ended_between_them() {
    let day = Day::usual();
    let restart = day.from + 77 * MINUTE_MS;
    let outage = day.from + 4 * HOUR_MS;
    let lives = [
        day.from..restart,
        restart + 40_000..outage,
        outage + 20 * MINUTE_MS..day.all().end,
    ];
    let lives =
        lives.map(|during| Life::live(&mut CallTracker::default(), day.fetches(1, 15, during)));
    let (first, last) = (lives[0].history.first(), lives[2].history.last());
    let mut counted = Tally::default();
    let mut truth = oracle::ended(&day.switchboard, first, last);
    for life in &lives {
        life.is_true(&day).unwrap();
        counted.add_all(&life.counted, 1);
    }
    for pair in lives.windows(2) {
        let between = oracle::ended(
            &day.switchboard,
            pair[0].history.last(),
            pair[1].history.first(),
        );
        assert!(between.total("calls_ended") > 0);
        truth.add_all(&between, -1);
    }
    println!("{:?}", counted.families());
    counted.only(&OF_CALLS).agrees_with(&truth).unwrap();
    let sessions = oracle::sessions_ended(&day.switchboard, first, last);
    counted
        .only(&["sessions_ended"])
        .is_within(&sessions)
        .unwrap();
}

/// A usual day whose records are missing from a list here and there.
fn flickering(day: &Day, ledger: &mut dyn Counting) -> Life {
    Life::live(
        ledger,
        day.fetches(1, 30, day.all())
            .map(|fetch| fetch.flicker(day)),
    )
}

#[test]
fn a_record_that_vanishes_and_returns_is_counted_once() {
    let day = Day::usual();
    flickering(&day, &mut CallTracker::default())
        .is_true(&day)
        .unwrap();
}

/// A broken ledger must fail, and for what is broken in it.
fn is_found_out(mut ledger: impl Counting, by: &str) {
    let day = Day::usual();
    let failure = flickering(&day, &mut ledger).is_true(&day).unwrap_err();
    println!("{failure}");
    assert!(failure.starts_with(by), "{failure}");
}

#[test]
fn a_ledger_that_counts_a_returning_record_again_is_found_out() {
    is_found_out(CountsReturners::default(), "calls_ended");
}

#[test]
fn a_ledger_that_counts_the_baseline_is_found_out() {
    is_found_out(CountsTheBaseline::default(), "calls_ended");
}

#[test]
fn a_ledger_that_forgets_too_early_is_found_out() {
    is_found_out(ForgetsTooEarly::default(), "calls_ended");
}

#[test]
fn a_ledger_that_counts_a_session_for_each_record_is_found_out() {
    is_found_out(SessionPerRecord::default(), "sessions_ended");
}

#[test]
fn a_ledger_that_counts_live_calls_as_ended_is_found_out() {
    is_found_out(LiveIsEnded::default(), "calls_ended");
}

#[test]
fn a_ledger_that_takes_the_last_outcome_of_a_session_is_found_out() {
    is_found_out(LastOutcome::default(), "sessions_ended");
}
