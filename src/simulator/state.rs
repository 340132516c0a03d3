//! The mutable state of the simulated account: sessions, rate limits, faults, journal and JWTs.

use crate::simulator::faults::{Fault, Faults};
use crate::simulator::gateway::Hub;
use crate::simulator::limiter::Limiter;
use crate::simulator::request_log::{Operation, RequestLog};
use crate::simulator::scenario::Scenario;
use crate::simulator::tokens::Tokens;

/// The part of the account that changes with requests; `Account` holds it behind a mutex.
pub(super) struct ServerState {
    /// The valid JWTs, the newest last.
    pub(super) jwts: Vec<String>,
    pub(super) jwts_issued: u64,
    pub(super) tokens: Tokens,
    pub(super) faults: Faults,
    pub(super) journal: RequestLog,
    pub(super) hub: Hub,
    auth: Limiter,
    light: Limiter,
    medium: Limiter,
    heavy: Limiter,
}

/// Returns the faults that a scenario has from the start.
fn initial_faults(scenario: &Scenario) -> Faults {
    let mut faults = Faults::default();
    if let Some(fault) = scenario.notification_fault.clone() {
        faults.inject(Fault::always(Operation::Notification, fault));
    }
    faults
}

impl ServerState {
    /// Creates the state at `now`, with full rate limits and no JWT.
    pub(super) fn new(scenario: &Scenario, seed: u64, now: i64) -> ServerState {
        ServerState {
            jwts: Vec::new(),
            jwts_issued: 0,
            tokens: Tokens::new(scenario.max_sessions, seed),
            faults: initial_faults(scenario),
            journal: RequestLog::default(),
            hub: Hub::new(seed, now),
            auth: Limiter::new(scenario.limits.auth, None, now),
            light: Limiter::new(scenario.limits.light, None, now),
            medium: Limiter::new(scenario.limits.medium, None, now),
            heavy: Limiter::new(scenario.limits.heavy, scenario.other_client, now),
        }
    }

    /// Returns the rate-limit group of an operation: its name in headers, and its limiter.
    pub(super) fn group(&mut self, operation: Operation) -> (&'static str, &mut Limiter) {
        match operation {
            Operation::Token | Operation::Revoke | Operation::EventToken => {
                ("auth", &mut self.auth)
            }
            // RingCentral does not limit these; nothing counts against the group.
            Operation::EventConnection | Operation::EventStream | Operation::Notification => {
                ("light", &mut self.light)
            }
            Operation::Extensions | Operation::Subscription => ("medium", &mut self.medium),
            Operation::ActiveCalls | Operation::Presence => ("heavy", &mut self.heavy),
        }
    }
}
