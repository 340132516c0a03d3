//! What was done to the exporter, and when: without it nobody could tell a fault of ours from one that was made.
//!
//! Plain values behind a lock, written by the stage and read by the judges.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{JournalEntry, Operation};

use crate::weather::Phase;

/// A fault that was put in front of the API for one request.
#[derive(Clone, Debug)]
pub struct Injection {
    pub kind: &'static str,
    pub operation: Operation,
    /// It meets the first request of its operation after this one,
    pub after: u64,
    /// and not after that one, if it was taken away.
    pub until: Option<u64>,
    /// `Retry-After`, and whether it silences the whole account.
    pub wait_ms: Option<i64>,
    pub account_wide: bool,
}

/// A JWT that ceased to count, and when its successor was in the file.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    pub at_ms: i64,
    pub written_ms: Option<i64>,
}

/// Everything that was done.
#[derive(Clone, Debug)]
pub struct Diary {
    pub started_ms: i64,
    pub stopped_ms: Option<i64>,
    other_tool: OtherClient,
    pub phases: Vec<(i64, Phase)>,
    pub injections: Vec<Injection>,
    pub evictions: Vec<i64>,
    pub rotations: Vec<Rotation>,
    /// SIGHUPs after the JWT's file had changed.
    pub reloads: Vec<i64>,
}

impl Diary {
    /// An empty one, of a run in which another tool spends the limit now and then.
    pub fn new(started_ms: i64, other_tool: OtherClient) -> Self {
        Self {
            started_ms,
            stopped_ms: None,
            other_tool,
            phases: Vec::new(),
            injections: Vec::new(),
            evictions: Vec::new(),
            rotations: Vec::new(),
            reloads: Vec::new(),
        }
    }

    /// The phase of an instant, and when it began.
    pub fn phase_at(&self, at_ms: i64) -> Option<(i64, Phase)> {
        self.phases
            .iter()
            .rev()
            .find(|(from, _)| *from <= at_ms)
            .copied()
    }

    /// The fault that met this request, given those that met the requests before it.
    pub fn fault_of(&self, entry: &JournalEntry, taken: &mut Vec<usize>) -> Option<&Injection> {
        let fits = |(n, injection): &(usize, &Injection)| {
            let is_there = injection.after < entry.sequence
                && injection.until.is_none_or(|until| entry.sequence <= until);
            is_there && Some(injection.operation) == entry.operation && !taken.contains(n)
        };
        let (n, injection) = self.injections.iter().enumerate().find(fits)?;
        taken.push(n);
        Some(injection)
    }

    /// Whether the API did not know the JWT that the file had at this time. The file is read a moment before.
    pub fn jwt_was_wrong(&self, at_ms: i64) -> bool {
        self.rotations.iter().any(|one| {
            one.at_ms <= at_ms && one.written_ms.is_none_or(|written| at_ms < written + 3000)
        })
    }

    /// Whether sessions were ended between the two.
    pub fn evicted_between(&self, after_ms: i64, until_ms: i64) -> bool {
        self.evictions
            .iter()
            .any(|at| after_ms <= *at && *at <= until_ms)
    }

    /// Whether a changed JWT was announced between the two.
    pub fn reloaded_between(&self, after_ms: i64, until_ms: i64) -> bool {
        self.reloads
            .iter()
            .any(|at| after_ms <= *at && *at <= until_ms)
    }

    /// Whether the other tool spent the limit within this time before an instant.
    pub fn other_tool_spent(&self, before_ms: i64, within: Duration) -> bool {
        let millis = |duration: Duration| duration.as_millis() as i64;
        let past = before_ms - self.started_ms - millis(self.other_tool.first);
        past >= 0 && past % millis(self.other_tool.every) <= millis(within)
    }
}
