//! What a ledger holds, in entries and in memory. The process is measured as a whole, so the test runs itself once
//! more, alone.

use std::collections::HashSet;
use std::process::Command;

use ringcentral_exporter::calls::CallTracker;

use crate::simulated_day::{Day, HOUR_MS, MINUTE_MS, WINDOWFUL_S};

const NAME: &str = "memory::a_day_of_500_000_calls_ends_with_no_more_memory_than_at_noon";
/// Set for the process that measures.
const ALONE: &str = "LEDGER_TEST_ALONE";
/// The allocator's own doings. A ledger that forgot nothing would take on 90 MiB between noon and midnight.
const NOISE_KIB: u64 = 16 * 1024;

#[test]
fn a_day_of_500_000_calls_ends_with_no_more_memory_than_at_noon() {
    if std::env::var_os(ALONE).is_some() {
        return ends_with_no_more_than_at_noon();
    }
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let output = alone
        .args(["--exact", NAME, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn ends_with_no_more_than_at_noon() {
    let mut day = Walked {
        day: Day::huge(),
        ledger: CallTracker::default(),
        fetched: Vec::new(),
    };
    let noon = day.until(12 * HOUR_MS);
    let midnight = day.until(24 * HOUR_MS);
    println!("at noon {noon:?}, at midnight {midnight:?}");
    assert!(midnight.entries <= noon.entries);
    // Where the system tells it.
    if let (Some(noon), Some(midnight)) = (noon.resident_kib, midnight.resident_kib) {
        assert!(
            midnight <= noon + NOISE_KIB,
            "{noon} KiB at noon, {midnight} KiB at midnight"
        );
    }
}

#[derive(Debug)]
struct Held {
    entries: usize,
    resident_kib: Option<u64>,
}

/// A day that stops on the way.
struct Walked {
    day: Day,
    ledger: CallTracker,
    fetched: Vec<i64>,
}

impl Walked {
    /// Goes on until so late in the day; gives what is held then, which is what the last ten minutes have shown.
    fn until(&mut self, ms: i64) -> Held {
        let (from, until) = (
            self.fetched.last().map_or(0, |last| last + 1),
            self.day.from + ms,
        );
        for fetch in self.day.fetches(1, WINDOWFUL_S, from..until) {
            self.ledger.update(&fetch.calls(), fetch.moment);
            self.fetched.push(fetch.at);
        }
        let held = Held {
            resident_kib: resident_kib(),
            entries: entries(&self.ledger),
        };
        assert_eq!(held.entries, self.shown_of_late());
        held
    }

    /// The records and the sessions of the lists of the last ten minutes.
    fn shown_of_late(&self) -> usize {
        let now = *self.fetched.last().unwrap();
        let late = self.fetched.iter().filter(|at| now - **at < 10 * MINUTE_MS);
        let calls: Vec<_> = late.flat_map(|at| self.day.listed_at(*at)).collect();
        let records: HashSet<_> = calls.iter().map(|call| &call.id).collect();
        let sessions: HashSet<_> = calls.iter().map(|call| &call.session).collect();
        records.len() + sessions.len()
    }
}

/// The ledger shows each record and each session that it knows with the moment when it was last seen.
fn entries(ledger: &CallTracker) -> usize {
    format!("{ledger:?}").matches("seen: ").count()
}

/// Pages of four KiB, as everywhere that this is likely to run.
fn resident_kib() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4)
}
