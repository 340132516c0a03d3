//! Log of the injected faults, by which the checks distinguish an expected failure from a defect.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::OtherClient;
use ringcentral_exporter::simulator::{JournalEntry, Operation};

use crate::fault_schedule::Phase;

/// A fault of the API that was injected for one request.
#[derive(Clone, Debug)]
pub struct Injection {
    pub kind: &'static str,
    pub operation: Operation,
    /// Sequence number of the last request before the injection. The fault applies to the first
    /// request of its operation after it.
    pub after: u64,
    /// Sequence number of the last request to which the fault could apply, if it was removed.
    pub until: Option<u64>,
    pub penalty: Option<Penalty>,
}

/// A `Retry-After` in an injected response.
#[derive(Clone, Copy, Debug)]
pub struct Penalty {
    pub wait_ms: i64,
    /// Whether it applies to the whole account and not only to the group of the request.
    pub account_wide: bool,
}

/// A revocation of the JWT, with the time when the file had the new one.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    pub at_ms: i64,
    pub written_ms: Option<i64>,
}

/// All events of a run.
#[derive(Clone, Debug)]
pub struct EventLog {
    pub started_ms: i64,
    pub stopped_ms: Option<i64>,
    other_client: OtherClient,
    /// Phases with their start times.
    pub phases: Vec<(i64, Phase)>,
    pub injections: Vec<Injection>,
    /// Times at which all sessions were ended.
    pub evictions: Vec<i64>,
    pub rotations: Vec<Rotation>,
    /// Times of SIGHUPs after a change of the JWT file.
    pub reloads: Vec<i64>,
}

impl EventLog {
    /// Creates an empty log of a run in which another client uses the limit at intervals.
    pub fn new(started_ms: i64, other_client: OtherClient) -> Self {
        Self {
            started_ms,
            stopped_ms: None,
            other_client,
            phases: Vec::new(),
            injections: Vec::new(),
            evictions: Vec::new(),
            rotations: Vec::new(),
            reloads: Vec::new(),
        }
    }

    /// Returns the phase at a time, with its start.
    pub fn phase_at(&self, at_ms: i64) -> Option<(i64, Phase)> {
        self.phases
            .iter()
            .rev()
            .find(|(start, _)| *start <= at_ms)
            .copied()
    }

    /// Returns the fault that applied to a request, and adds its index to `used`, the indices of
    /// the faults of earlier requests.
    pub fn take_fault(&self, entry: &JournalEntry, used: &mut Vec<usize>) -> Option<&Injection> {
        for (n, injection) in self.injections.iter().enumerate() {
            let is_active = injection.after < entry.sequence
                && injection.until.is_none_or(|until| entry.sequence <= until);
            if is_active && Some(injection.operation) == entry.operation && !used.contains(&n) {
                used.push(n);
                return Some(injection);
            }
        }
        None
    }

    /// Returns whether the JWT in the file was invalid at this time. The exporter reads the file up
    /// to 3 s before the login arrives.
    pub fn is_jwt_revoked_at(&self, at_ms: i64) -> bool {
        self.rotations.iter().any(|rotation| {
            rotation.at_ms <= at_ms
                && rotation
                    .written_ms
                    .is_none_or(|written| at_ms < written + 3000)
        })
    }

    /// Returns whether sessions were ended in this period.
    pub fn evicted_between(&self, after_ms: i64, until_ms: i64) -> bool {
        self.evictions
            .iter()
            .any(|at| after_ms <= *at && *at <= until_ms)
    }

    /// Returns whether a changed JWT was reloaded in this period.
    pub fn reloaded_between(&self, after_ms: i64, until_ms: i64) -> bool {
        self.reloads
            .iter()
            .any(|at| after_ms <= *at && *at <= until_ms)
    }

    /// Returns whether the other client used the limit within this duration before a time.
    pub fn other_client_active(&self, before_ms: i64, within: Duration) -> bool {
        let millis = |duration: Duration| duration.as_millis() as i64;
        let elapsed = before_ms - self.started_ms - millis(self.other_client.first);
        elapsed >= 0 && elapsed % millis(self.other_client.every) <= millis(within)
    }
}
