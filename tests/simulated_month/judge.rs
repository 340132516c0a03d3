//! What must hold, looked at with each scrape and each hour.
//!
//! The truth is the simulated company's: its lists, and the calls that ended between two of them.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation};

use crate::common::oracle::{self, CALL_FAMILIES};
use crate::world::{Seen, World, sum};

const HOUR: i64 = 3600;
/// Gauges are compared with the truth every so many seconds.
const SAMPLE: i64 = 300;
const WINDOW_MS: i64 = 60_000;
/// Ten, less a fifth.
const USABLE: usize = 8;
const DAY: i64 = 24 * HOUR;
/// The allocator's own doings, the simulated account's included.
const MEMORY_TOLERANCE_KIB: u64 = 2048;
/// The simulated account's journal grows for two days, until it is full.
const GROWN_UP: usize = 3;

/// What was seen so far.
#[derive(Default)]
pub struct Judge {
    pub wrong: Vec<String>,
    scrapes: u64,
    down: u64,
    compared: u64,
    ended: f64,
    ended_truly: f64,
    hours_exact: u64,
    hours_with_gaps: u64,
    statuses: BTreeMap<(Option<&'static str>, Option<u16>), u64>,
    last_sequence: u64,
    lists: Vec<i64>,
    before: Option<Mark>,
    /// Memory at the end of each day.
    resident_kib: Vec<u64>,
}

/// A list, and what was counted with it.
#[derive(Clone, Copy)]
struct Mark {
    listed_at: i64,
    ended: f64,
    gaps: f64,
}

/// Whether the scrape of this second is looked at closely.
pub fn looks_at(second: i64) -> bool {
    second % SAMPLE == 0
}

impl Judge {
    pub async fn look_at(&mut self, world: &World, seen: &Seen, second: i64) {
        self.scrapes += 1;
        let is_up = seen.samples["ringcentral_up{account=\"default\"}"] == 1.0;
        self.down += u64::from(!is_up);
        if looks_at(second) && is_up {
            self.shows_the_truth(world, seen, second).await;
        }
        if second % HOUR == 30 * 60 {
            self.look_at_requests(world);
            self.look_at_counters(world, seen, is_up);
        }
        if second % DAY == DAY - HOUR {
            self.resident_kib.extend(resident_kib());
        }
    }

    /// Whether the calls shown are those that were listed last.
    async fn shows_the_truth(&mut self, world: &World, seen: &Seen, second: i64) {
        let Some(listed_at) = seen.listed_at else {
            return;
        };
        let listed = oracle::fetch_listed(&world.simulator().url(), listed_at).await;
        let truth = oracle::samples_for("default", &listed, &world.rig.numbers());
        let mut shown = seen.samples.clone();
        shown.retain(|series, _| CALL_FAMILIES.contains(&series.split('{').next().unwrap()));
        self.compared += 1;
        if shown != truth {
            self.wrong
                .push(format!("after {second} s: {shown:?} and not {truth:?}"));
        }
    }

    fn look_at_requests(&mut self, world: &World) {
        for entry in world.simulator().journal() {
            if entry.sequence <= self.last_sequence {
                continue;
            }
            if entry.sequence > self.last_sequence + 1 {
                self.wrong
                    .push(format!("requests before {} went unseen", entry.sequence));
            }
            self.last_sequence = entry.sequence;
            *self
                .statuses
                .entry((entry.operation.map(Operation::as_str), entry.status))
                .or_default() += 1;
            self.keeps_the_limit(&entry);
        }
    }

    fn keeps_the_limit(&mut self, entry: &JournalEntry) {
        if entry.in_penalty {
            self.wrong.push(format!("inside a penalty: {entry:?}"));
        }
        if entry.operation == Some(Operation::ActiveCalls) {
            self.lists.retain(|at| entry.arrived_ms - at < WINDOW_MS);
            self.lists.push(entry.arrived_ms);
            if self.lists.len() > USABLE {
                self.wrong.push(format!(
                    "{} lists within a minute: {entry:?}",
                    self.lists.len()
                ));
            }
        }
    }

    /// From hour to hour, as many calls are counted as ended; where a gap was told, no more than did.
    fn look_at_counters(&mut self, world: &World, seen: &Seen, is_up: bool) {
        let Some(listed_at) = seen.listed_at else {
            return;
        };
        if !is_up {
            return self.wrong.push("not well half past the hour".to_owned());
        }
        let (ended, gaps) = (
            sum(&seen.samples, "ringcentral_calls_ended_total"),
            sum(&seen.samples, "ringcentral_coverage_gaps_total"),
        );
        let now = Mark {
            listed_at,
            ended,
            gaps,
        };
        let Some(before) = self.before.replace(now) else {
            return;
        };
        let truth = world
            .simulator()
            .switchboard()
            .ended_between(before.listed_at, now.listed_at);
        let truth = truth.iter().filter(|record| record.kind != "Fax").count() as f64;
        let counted = now.ended - before.ended;
        self.ended += counted;
        self.ended_truly += truth;
        let has_gap = now.gaps > before.gaps;
        *(if has_gap {
            &mut self.hours_with_gaps
        } else {
            &mut self.hours_exact
        }) += 1;
        let is_well = if has_gap {
            counted <= truth
        } else {
            counted == truth
        };
        if !is_well {
            self.wrong.push(format!(
                "until {listed_at} {counted} calls ended, and in truth {truth}, gap {has_gap}"
            ));
        }
    }

    /// What was done and seen.
    pub fn report(&mut self, world: &World, days: i64, took: Duration) -> String {
        self.look_at_requests(world);
        self.is_flat();
        let written = |((operation, status), count): (&(Option<&str>, Option<u16>), &u64)| {
            format!(
                "{} {} {count}",
                operation.unwrap_or("?"),
                status.unwrap_or(0)
            )
        };
        let statuses: Vec<_> = self.statuses.iter().map(written).collect();
        format!(
            "{days} simulated days in {took:.0?}: {} scrapes, {} with up 0, {} compared with the truth; {} calls counted as \
             ended and {} in truth, {} hours exact, {} with a declared gap; requests by status: {}; memory at the end of \
             each day in KiB: {:?}; {} findings",
            self.scrapes,
            self.down,
            self.compared,
            self.ended,
            self.ended_truly,
            self.hours_exact,
            self.hours_with_gaps,
            statuses.join(", "),
            self.resident_kib,
            self.wrong.len()
        )
    }

    fn is_flat(&mut self) {
        if let (Some(early), Some(late)) = (
            self.resident_kib.get(GROWN_UP - 1),
            self.resident_kib.last(),
        ) && *late > early + MEMORY_TOLERANCE_KIB
        {
            self.wrong
                .push(format!("memory grew from {early} to {late} KiB"));
        }
    }
}

/// Pages of four KiB, as everywhere that this is likely to run.
fn resident_kib() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4)
}
