//! Memory of a tracker over a day, in entries and in resident memory.
//!
//! Resident memory is that of the whole process, so the test runs itself in a second process
//! without other tests.

use std::collections::HashSet;
use std::process::Command;

use ringcentral_exporter::calls::CallTracker;

use crate::simulated_day::{HOUR_MS, MINUTE_MS, SimulatedDay, WINDOW_EXPIRED_S};

const TEST_NAME: &str = "memory::day_of_500_000_calls_does_not_grow_memory";
/// The environment variable that is set for the process that measures.
const CHILD_VARIABLE: &str = "CALL_TRACKER_TEST_CHILD";
/// Variation by the allocator. A tracker that removed nothing would grow by 90 MiB between noon and
/// midnight.
const TOLERANCE_KIB: u64 = 16 * 1024;

#[test]
fn day_of_500_000_calls_does_not_grow_memory() {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        return compare_noon_and_midnight();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child
        .args(["--exact", TEST_NAME, "--nocapture"])
        .env(CHILD_VARIABLE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    println!("{stdout}");
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn compare_noon_and_midnight() {
    let mut run = MeasuredRun {
        day: SimulatedDay::large(),
        tracker: CallTracker::default(),
        fetch_times: Vec::new(),
    };
    let noon = run.advance_to(12 * HOUR_MS);
    let midnight = run.advance_to(24 * HOUR_MS);
    println!("at noon {noon:?}, at midnight {midnight:?}");
    assert!(midnight.entries <= noon.entries);
    // Only Linux has /proc/self/statm.
    if let (Some(noon), Some(midnight)) = (noon.resident_kib, midnight.resident_kib) {
        assert!(
            midnight <= noon + TOLERANCE_KIB,
            "{noon} KiB at noon, {midnight} KiB at midnight"
        );
    }
}

#[derive(Debug)]
struct Usage {
    entries: usize,
    resident_kib: Option<u64>,
}

/// A day that is processed in parts.
struct MeasuredRun {
    day: SimulatedDay,
    tracker: CallTracker,
    fetch_times: Vec<i64>,
}

impl MeasuredRun {
    /// Runs until this time of the day and returns the usage, which must match the lists of the
    /// last ten minutes.
    fn advance_to(&mut self, time_of_day_ms: i64) -> Usage {
        let from = match self.fetch_times.last() {
            Some(last) => last + 1,
            None => 0,
        };
        let until = self.day.from + time_of_day_ms;
        for fetch in self.day.fetches(1, WINDOW_EXPIRED_S, from..until) {
            self.tracker.update(&fetch.calls(), fetch.moment);
            self.fetch_times.push(fetch.time);
        }
        let usage = Usage {
            resident_kib: resident_kib(),
            entries: count_entries(&self.tracker),
        };
        assert_eq!(usage.entries, self.recently_listed());
        usage
    }

    /// Returns the number of records, sessions and session ids in the lists of the last ten
    /// minutes.
    fn recently_listed(&self) -> usize {
        let now = *self.fetch_times.last().unwrap();
        let mut records = HashSet::new();
        let mut sessions = HashSet::new();
        let mut session_ids = HashSet::new();
        for time in &self.fetch_times {
            if now - time >= 10 * MINUTE_MS {
                continue;
            }
            for call in self.day.calls_at(*time) {
                records.insert(call.id);
                sessions.insert(call.session.session.clone());
                session_ids.extend(call.session.session);
                session_ids.extend(call.session.telephony);
            }
        }
        records.len() + sessions.len() + session_ids.len()
    }
}

/// Returns the number of records, sessions and session ids of a tracker. Its debug format shows each with the
/// moment when it was last seen.
fn count_entries(tracker: &CallTracker) -> usize {
    format!("{tracker:?}").matches("seen: ").count()
}

/// Returns the resident memory of this process, assuming pages of 4 KiB.
fn resident_kib() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4)
}
