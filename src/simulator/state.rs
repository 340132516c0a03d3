//! What changes about the account while it runs: sessions, buckets, faults, journal, JWT.
//!
//! Plain state under one lock, which the account holds. Decides nothing.

use crate::simulator::faults::Faults;
use crate::simulator::limiter::Limiter;
use crate::simulator::request_log::{Operation, RequestLog};
use crate::simulator::scenario::Scenario;
use crate::simulator::tokens::Tokens;

/// Everything about the account that changes.
pub(super) struct ServerState {
    /// Those that are good, the newest last.
    pub(super) jwts: Vec<String>,
    pub(super) jwts_issued: u64,
    pub(super) tokens: Tokens,
    pub(super) faults: Faults,
    pub(super) journal: RequestLog,
    auth: Limiter,
    medium: Limiter,
    heavy: Limiter,
}

impl ServerState {
    pub(super) fn new(scenario: &Scenario, seed: u64, now: i64) -> ServerState {
        ServerState {
            jwts: Vec::new(),
            jwts_issued: 0,
            tokens: Tokens::new(scenario.max_sessions, seed),
            faults: Faults::default(),
            journal: RequestLog::default(),
            auth: Limiter::new(scenario.limits.auth, None, now),
            medium: Limiter::new(scenario.limits.medium, None, now),
            heavy: Limiter::new(scenario.limits.heavy, scenario.other_tool, now),
        }
    }

    /// The bucket of an operation, and its name in headers.
    pub(super) fn group(&mut self, operation: Operation) -> (&'static str, &mut Limiter) {
        match operation {
            Operation::Token | Operation::Revoke => ("auth", &mut self.auth),
            Operation::Extensions => ("medium", &mut self.medium),
            Operation::ActiveCalls => ("heavy", &mut self.heavy),
        }
    }
}
