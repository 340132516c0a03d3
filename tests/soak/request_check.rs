//! Check of the requests in the journal of the API: the rate limit is kept, no request is sent
//! inside a penalty that the exporter knows of, every refusal follows from an injected fault, and
//! every login has a reason.
//!
//! Implements the rules of the contract without types of the exporter.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation};

use crate::event_log::{EventLog, Injection, Penalty};
use crate::harness::TOKEN_LIFE;
use crate::proxy::Exchange;

const WINDOW_MS: i64 = 60_000;
/// The `Retry-After` of a 429 by the simulator's own limiter.
const PENALTY_MS: i64 = 60_000;
/// The back-off after the first refused login. Each further refusal doubles it.
const FIRST_BACKOFF_MS: i64 = 60_000;
const MAX_BACKOFF_MS: i64 = 900_000;
/// Sessions of a user. One more ends the oldest.
const MAX_SESSIONS: u32 = 5;
/// Name of a penalty for all groups.
const ALL_GROUPS: &str = "account";

/// The state of the check and the figures for the report.
#[derive(Default)]
pub struct RequestCheck {
    /// Requests by operation and status, with 0 for no response.
    pub counts: BTreeMap<(&'static str, u16), u64>,
    /// Requests with an injected fault, by its kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// 429s after another client had used the limit.
    pub refused_by_other_client: u64,
    /// Requests inside a penalty whose announcement was not delivered.
    pub unknown_penalties: u64,
    /// Logins by reason.
    pub logins: BTreeMap<&'static str, u64>,
    pub refused_logins: u64,
    /// Maximum number of requests in a window, by group.
    pub max_in_window: BTreeMap<&'static str, usize>,
    max_lists: usize,
    last_sequence: u64,
    used_faults: Vec<usize>,
    /// Arrival times of the latest window, by group.
    windows: BTreeMap<&'static str, VecDeque<i64>>,
    /// End of the delivered penalty, by group.
    blocked_until: BTreeMap<&'static str, i64>,
    /// End of the penalties that were not delivered.
    undelivered_until: i64,
    session: Session,
}

/// The state of the exporter's login, as the API can know it.
#[derive(Default)]
struct Session {
    last_login_ms: Option<i64>,
    /// Time of the last login whose response was delivered.
    granted_ms: Option<i64>,
    /// Logins since then whose response was not delivered.
    undelivered_logins: u32,
    is_logged_in: bool,
    /// Whether no request has used the token.
    is_new: bool,
    was_rejected: bool,
    refusals: u32,
    backoff_until: i64,
}

/// A request with its circumstances.
struct Request<'a> {
    entry: &'a JournalEntry,
    operation: Operation,
    /// The status of the response, 0 for none.
    status: u16,
    fault: Option<&'a Injection>,
    /// Whether the exporter has received the response.
    delivered: bool,
    arrived: i64,
    answered: i64,
}

impl Request<'_> {
    fn is_refused(&self) -> bool {
        (400..=403).contains(&self.status)
    }
}

impl RequestCheck {
    /// Creates a check for an API with this limit of the call list.
    pub fn new(lists_per_minute: u32) -> Self {
        Self {
            max_lists: (lists_per_minute - lists_per_minute / 5) as usize,
            ..Self::default()
        }
    }

    /// Checks the new requests before this time and returns the violations.
    pub fn check(
        &mut self,
        journal: &[JournalEntry],
        until_ms: i64,
        exchanges: &[Exchange],
        events: &EventLog,
    ) -> Vec<String> {
        let mut violations = Vec::new();
        for entry in journal {
            if entry.sequence <= self.last_sequence || entry.arrived_ms >= until_ms {
                continue;
            }
            self.last_sequence = entry.sequence;
            let Some(operation) = entry.operation else {
                continue;
            };
            let exchange = exchanges
                .iter()
                .rev()
                .find(|exchange| exchange.begun_ms <= entry.arrived_ms);
            let request = Request {
                entry,
                operation,
                status: entry.status.unwrap_or(0),
                fault: events.take_fault(entry, &mut self.used_faults),
                delivered: exchange.is_some_and(|exchange| exchange.delivered),
                arrived: entry.arrived_ms,
                answered: entry.answered_ms.unwrap_or(entry.arrived_ms),
            };
            for violation in self.check_request(&request, events) {
                violations.push(format!("{violation}: {entry:?}"));
            }
        }
        violations
    }

    fn check_request(&mut self, request: &Request, events: &EventLog) -> Vec<String> {
        let key = (request.operation.as_str(), request.status);
        *self.counts.entry(key).or_default() += 1;
        if let Some(fault) = request.fault {
            *self.faults.entry(fault.kind).or_default() += 1;
        }
        let mut violations = Vec::new();
        violations.extend(self.check_limit(request));
        violations.extend(self.check_penalty(request));
        violations.extend(self.check_status(request, events));
        if request.operation == Operation::Token {
            violations.extend(self.session.check_login(request, events, &mut self.logins));
        }
        self.record_response(request);
        violations
    }

    /// Checks that one fifth of the limit stays unused in any window.
    fn check_limit(&mut self, request: &Request) -> Option<String> {
        let group = group(request.operation);
        let window = self.windows.entry(group).or_default();
        window.push_back(request.arrived);
        while request.arrived - window[0] >= WINDOW_MS {
            window.pop_front();
        }
        let count = window.len();
        let max_seen = self.max_in_window.entry(group).or_default();
        *max_seen = count.max(*max_seen);
        let max_allowed = match group {
            "heavy" => self.max_lists,
            "medium" => 32,
            _ => 4,
        };
        if count <= max_allowed {
            return None;
        }
        Some(format!("{count} requests of {group} within 60 s"))
    }

    fn check_penalty(&mut self, request: &Request) -> Option<String> {
        let blocked_until = |group| self.blocked_until.get(group).copied().unwrap_or(0);
        let until = blocked_until(group(request.operation)).max(blocked_until(ALL_GROUPS));
        if request.arrived < until {
            return Some(format!(
                "{} ms before the end of a penalty",
                until - request.arrived
            ));
        }
        if !request.entry.in_penalty {
            return None;
        }
        self.unknown_penalties += 1;
        if request.arrived < self.undelivered_until {
            return None;
        }
        Some("inside a penalty".to_owned())
    }

    /// Checks that an error status follows from an injected fault, another client or a revocation.
    fn check_status(&mut self, request: &Request, events: &EventLog) -> Option<String> {
        if request.fault.is_some() {
            return None;
        }
        let is_explained = match (request.operation, request.status) {
            (_, 200 | 0) => true,
            (_, 429) => {
                self.refused_by_other_client += 1;
                let window = Duration::from_millis(WINDOW_MS as u64);
                let is_used_up = events.other_client_active(request.arrived, window);
                group(request.operation) == "heavy" && (is_used_up || request.entry.in_penalty)
            }
            (Operation::Token, 400) => events.is_jwt_revoked_at(request.arrived),
            (Operation::ActiveCalls | Operation::Extensions, 401) => {
                self.session.may_have_ended(request.arrived, events)
            }
            _ => false,
        };
        if is_explained {
            return None;
        }
        Some(format!("{} without a cause", request.status))
    }

    /// Records what the exporter knows after the response.
    fn record_response(&mut self, request: &Request) {
        // A fault may truncate a 429 of the simulator's own limiter.
        let own_penalty = Penalty {
            wait_ms: PENALTY_MS,
            account_wide: false,
        };
        let penalty = match request.fault.and_then(|fault| fault.penalty) {
            None if request.status == 429 => Some(own_penalty),
            penalty => penalty,
        };
        if let Some(penalty) = penalty {
            self.record_penalty(request, penalty);
        }
        if request.operation == Operation::Token && request.is_refused() {
            self.refused_logins += 1;
        }
        self.session.record_response(request);
    }

    fn record_penalty(&mut self, request: &Request, penalty: Penalty) {
        let until = request.answered + penalty.wait_ms;
        if !request.delivered {
            self.undelivered_until = self.undelivered_until.max(until);
            return;
        }
        let group = if penalty.account_wide {
            ALL_GROUPS
        } else {
            group(request.operation)
        };
        let blocked_until = self.blocked_until.entry(group).or_default();
        *blocked_until = until.max(*blocked_until);
    }
}

impl Session {
    /// Returns whether the token may have been invalid at this time.
    fn may_have_ended(&self, at: i64, events: &EventLog) -> bool {
        let granted = self.granted_ms.unwrap_or(0);
        let life = TOKEN_LIFE.as_millis() as i64;
        events.evicted_between(granted - 1000, at)
            || at >= granted + life
            || self.undelivered_logins >= MAX_SESSIONS
    }

    /// Checks that a login has a reason and keeps the back-off. Records the login.
    fn check_login(
        &mut self,
        request: &Request,
        events: &EventLog,
        logins: &mut BTreeMap<&'static str, u64>,
    ) -> Option<String> {
        let was_reloaded =
            events.reloaded_between(self.last_login_ms.unwrap_or(0), request.arrived);
        if was_reloaded {
            self.refusals = 0;
            self.backoff_until = 0;
        }
        let reason = self.login_reason(request, was_reloaded);
        *logins.entry(reason.unwrap_or("none")).or_default() += 1;
        self.last_login_ms = Some(request.arrived);
        if request.arrived < self.backoff_until {
            return Some(format!(
                "login {} ms before the end of the back-off",
                self.backoff_until - request.arrived
            ));
        }
        if reason.is_none() {
            return Some("login without a reason".to_owned());
        }
        None
    }

    fn login_reason(&self, request: &Request, was_reloaded: bool) -> Option<&'static str> {
        if self.last_login_ms.is_none() {
            return Some("first login");
        }
        if was_reloaded {
            return Some("JWT was reloaded");
        }
        if !self.is_logged_in {
            return Some("previous login failed");
        }
        if self.was_rejected {
            return Some("token was rejected");
        }
        let half_life = TOKEN_LIFE.as_millis() as i64 / 2;
        if request.arrived >= self.granted_ms? + half_life {
            return Some("half of the token lifetime has passed");
        }
        None
    }

    fn record_response(&mut self, request: &Request) {
        match request.operation {
            Operation::Token => self.record_login(request),
            Operation::ActiveCalls | Operation::Extensions => match request.status {
                200 => {
                    if self.is_new {
                        self.refusals = 0;
                    }
                    self.is_new = false;
                }
                401 | 403 => {
                    self.was_rejected = true;
                    if request.delivered && (request.status == 403 || self.is_new) {
                        self.record_refusal(request.answered);
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn record_login(&mut self, request: &Request) {
        self.is_logged_in = request.status == 200 && request.delivered;
        if self.is_logged_in {
            self.granted_ms = Some(request.answered);
            self.undelivered_logins = 0;
            self.is_new = true;
            self.was_rejected = false;
        } else if request.status == 200 {
            self.undelivered_logins += 1;
        } else if request.delivered && request.is_refused() {
            self.record_refusal(request.answered);
        }
    }

    fn record_refusal(&mut self, at: i64) {
        let backoff = FIRST_BACKOFF_MS << self.refusals.min(8);
        self.backoff_until = at + backoff.min(MAX_BACKOFF_MS);
        self.refusals += 1;
    }
}

fn group(operation: Operation) -> &'static str {
    match operation {
        Operation::Token | Operation::Revoke | Operation::EventToken => "auth",
        Operation::Extensions | Operation::Subscription => "medium",
        Operation::ActiveCalls | Operation::Presence => "heavy",
        Operation::EventConnection | Operation::EventStream | Operation::Notification => "none",
    }
}

/// Tests of the check: journals with one error each.
#[cfg(test)]
mod tests {
    use ringcentral_exporter::simulator::limiter::OtherClient;

    use super::*;
    use crate::fault_schedule::NetworkFault;

    const MINUTE: i64 = 60_000;

    /// Returns the violations of requests with these times and statuses, each delivered.
    fn violations(requests: &[(i64, Operation, u16)]) -> Vec<String> {
        let mut entries = Vec::new();
        for (sequence, request) in (1..).zip(requests) {
            entries.push(entry(sequence, *request));
        }
        check(&entries, |_| true, &empty_log())
    }

    fn check(
        entries: &[JournalEntry],
        is_delivered: impl Fn(i64) -> bool,
        events: &EventLog,
    ) -> Vec<String> {
        let mut exchanges = Vec::new();
        for entry in entries {
            exchanges.push(Exchange {
                begun_ms: entry.arrived_ms,
                fault: NetworkFault::None,
                delivered: is_delivered(entry.arrived_ms),
            });
        }
        RequestCheck::new(10).check(entries, i64::MAX, &exchanges, events)
    }

    /// Returns the log of a run without faults.
    fn empty_log() -> EventLog {
        let hours = Duration::from_secs(36_000);
        EventLog::new(
            0,
            OtherClient {
                requests: 10,
                first: hours,
                every: hours,
            },
        )
    }

    fn entry(sequence: u64, (at, operation, status): (i64, Operation, u16)) -> JournalEntry {
        JournalEntry {
            sequence,
            arrived_ms: at,
            answered_ms: Some(at),
            operation: Some(operation),
            target: String::new(),
            status: Some(status),
            in_penalty: false,
            records: None,
            listed_at_ms: None,
        }
    }

    fn list_requests(count: i64, interval_ms: i64) -> Vec<(i64, Operation, u16)> {
        (0..count)
            .map(|n| (n * interval_ms, Operation::ActiveCalls, 200))
            .collect()
    }

    fn assert_detected(requests: &[(i64, Operation, u16)], message: &str) {
        assert_contains(&violations(requests), message);
    }

    fn assert_contains(violations: &[String], message: &str) {
        assert!(
            violations
                .iter()
                .any(|violation| violation.contains(message)),
            "{violations:?}"
        );
    }

    #[test]
    fn ninth_list_request_within_a_minute_is_detected() {
        assert!(violations(&list_requests(50, 7_500)).is_empty());
        assert_detected(&list_requests(9, 7_000), "9 requests of heavy within 60 s");
    }

    #[test]
    fn uncaused_429_is_detected() {
        let refused = [(0, Operation::ActiveCalls, 429)];
        assert_detected(&refused, "429 without a cause");
    }

    #[test]
    fn request_inside_a_penalty_is_detected() {
        let refused = [
            (0, Operation::ActiveCalls, 429),
            (MINUTE - 1, Operation::ActiveCalls, 200),
        ];
        assert_detected(&refused, "1 ms before the end of a penalty");
    }

    #[test]
    fn truncated_429_counts_only_if_delivered() {
        let operation = Operation::ActiveCalls;
        let mut events = empty_log();
        events.injections.push(Injection {
            kind: "truncated body",
            operation,
            after: 0,
            until: None,
            penalty: None,
        });
        let second = JournalEntry {
            in_penalty: true,
            ..entry(2, (10_000, operation, 429))
        };
        let entries = [entry(1, (0, operation, 429)), second];
        let delivered_second = check(&entries, |at| at > 0, &events);
        assert_eq!(delivered_second, Vec::<String>::new());
        let delivered_both = check(&entries, |_| true, &events);
        assert_contains(&delivered_both, "50000 ms before the end of a penalty");
    }

    #[test]
    fn login_without_reason_is_detected() {
        let granted = [(0, Operation::Token, 200), (1_000, Operation::Token, 200)];
        assert_detected(&granted, "login without a reason");
    }

    #[test]
    fn login_within_the_backoff_is_detected() {
        let refused = [
            (0, Operation::Token, 400),
            (MINUTE, Operation::Token, 400),
            (2 * MINUTE, Operation::Token, 200),
        ];
        assert_detected(&refused, "60000 ms before the end of the back-off");
    }

    #[test]
    fn uncaused_401_with_a_valid_token_is_detected() {
        assert_detected(
            &[
                (0, Operation::Token, 200),
                (10, Operation::ActiveCalls, 401),
            ],
            "401 without a cause",
        );
    }
}
