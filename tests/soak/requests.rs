//! Judges the requests, by the journal of the API: the limit is kept, nothing leaves inside a penalty that was heard of,
//! every refusal has a cause that was made, and every login a reason.
//!
//! Knows the rules of the contract and none of the exporter's types.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation};

use crate::diary::{Diary, Injection};
use crate::proxy::Exchange;
use crate::stage::TOKEN_LIFE;

const WINDOW_MS: i64 = 60_000;
/// What `Retry-After` of the simulated account's own 429 says.
const PENALTY_MS: i64 = 60_000;
/// After the first refused login, doubled by each further one, up to the other.
const REFUSAL_FIRST_MS: i64 = 60_000;
const REFUSAL_MOST_MS: i64 = 900_000;
/// A user's sessions: one more ends the oldest.
const SESSIONS: u32 = 5;

/// What was seen of the requests so far.
#[derive(Default)]
pub struct Requests {
    /// By operation and status; 0 stands for no answer.
    pub counts: BTreeMap<(&'static str, u16), u64>,
    /// Faults that met a request.
    pub faults: BTreeMap<&'static str, u64>,
    /// Refusals by the limit itself, after the other tool had spent it.
    pub refused_by_other_tool: u64,
    /// Requests inside a penalty whose announcement was lost on the way.
    pub excused: u64,
    /// Why logins were made.
    pub logins: BTreeMap<&'static str, u64>,
    pub refused_logins: u64,
    /// The most requests in any window, by group.
    pub most: BTreeMap<&'static str, usize>,
    usable_lists: usize,
    last: u64,
    taken: Vec<usize>,
    windows: BTreeMap<&'static str, VecDeque<i64>>,
    silent_until: BTreeMap<&'static str, i64>,
    unheard_until: i64,
    session: Session,
}

/// The exporter's session, as far as the API can tell.
#[derive(Default)]
struct Session {
    last_login_ms: Option<i64>,
    /// When the last login was granted whose reply arrived.
    granted_ms: Option<i64>,
    unheard_grants: u32,
    is_whole: bool,
    is_fresh: bool,
    was_rejected: bool,
    refusals: u32,
    quiet_until: i64,
}

/// A request and what is known of it.
struct Case<'a> {
    entry: &'a JournalEntry,
    operation: Operation,
    fault: Option<&'a Injection>,
    heard: bool,
    at: i64,
    answered: i64,
}

impl Requests {
    /// Nothing was seen yet of an API with this limit of the list.
    pub fn new(lists_a_minute: u32) -> Self {
        Self {
            usable_lists: (lists_a_minute - lists_a_minute / 5) as usize,
            ..Self::default()
        }
    }

    /// Looks at the requests that came before this instant and were not looked at yet; gives what is wrong with them.
    pub fn look_at(
        &mut self,
        journal: &[JournalEntry],
        before_ms: i64,
        exchanges: &[Exchange],
        diary: &Diary,
    ) -> Vec<String> {
        let last = self.last;
        let new = journal
            .iter()
            .filter(|entry| entry.sequence > last && entry.arrived_ms < before_ms);
        let mut wrong = Vec::new();
        for entry in new {
            self.last = entry.sequence;
            let Some(operation) = entry.operation else {
                continue;
            };
            let fault = diary.fault_of(entry, &mut self.taken);
            let exchange = exchanges
                .iter()
                .rev()
                .find(|exchange| exchange.begun_ms <= entry.arrived_ms);
            let heard = exchange.is_some_and(|exchange| exchange.heard);
            let (at, answered) = (
                entry.arrived_ms,
                entry.answered_ms.unwrap_or(entry.arrived_ms),
            );
            let case = Case {
                entry,
                operation,
                fault,
                heard,
                at,
                answered,
            };
            let found = self.judge(&case, diary);
            wrong.extend(found.into_iter().map(|what| format!("{what}: {entry:?}")));
        }
        wrong
    }

    fn judge(&mut self, case: &Case, diary: &Diary) -> Vec<String> {
        let status = case.entry.status.unwrap_or(0);
        *self
            .counts
            .entry((case.operation.as_str(), status))
            .or_default() += 1;
        if let Some(fault) = case.fault {
            *self.faults.entry(fault.kind).or_default() += 1;
        }
        let mut wrong: Vec<String> = self.keeps_the_limit(case).into_iter().collect();
        wrong.extend(self.keeps_silent(case));
        wrong.extend(self.has_a_cause(case, status, diary));
        if case.operation == Operation::Token {
            wrong.extend(self.session.has_a_reason(case, diary, &mut self.logins));
        }
        self.hear(case, status);
        wrong
    }

    /// One fifth of the limit stays free, in whichever window.
    fn keeps_the_limit(&mut self, case: &Case) -> Option<String> {
        let group = group(case.operation);
        let window = self.windows.entry(group).or_default();
        window.push_back(case.at);
        while window
            .front()
            .is_some_and(|first| case.at - first >= WINDOW_MS)
        {
            window.pop_front();
        }
        let (now, most) = (window.len(), self.most.entry(group).or_default());
        *most = now.max(*most);
        let usable = match group {
            "heavy" => self.usable_lists,
            "medium" => 32,
            _ => 4,
        };
        (now > usable).then(|| format!("{now} requests of {group} within 60 s"))
    }

    fn keeps_silent(&mut self, case: &Case) -> Option<String> {
        let until = |group| self.silent_until.get(group).copied().unwrap_or(0);
        let until = until(group(case.operation)).max(until("account"));
        if case.at < until {
            return Some(format!(
                "{} ms before the end of a silence",
                until - case.at
            ));
        }
        if !case.entry.in_penalty {
            return None;
        }
        self.excused += 1;
        (case.at >= self.unheard_until).then(|| "inside a penalty".to_owned())
    }

    /// A status that nobody asked for has to follow from what was done.
    fn has_a_cause(&mut self, case: &Case, status: u16, diary: &Diary) -> Option<String> {
        if case.fault.is_some() {
            return None;
        }
        let is_explained = match (case.operation, status) {
            (_, 200 | 0) => true,
            (_, 429) => {
                self.refused_by_other_tool += 1;
                let is_spent =
                    diary.other_tool_spent(case.at, Duration::from_millis(WINDOW_MS as u64));
                group(case.operation) == "heavy" && (is_spent || case.entry.in_penalty)
            }
            (Operation::Token, 400) => diary.jwt_was_wrong(case.at),
            (Operation::ActiveCalls | Operation::Extensions, 401) => {
                self.session.may_be_over(case.at, diary)
            }
            _ => false,
        };
        (!is_explained).then(|| format!("a {status} of our own making"))
    }

    /// What the exporter has learned from the answer, if it reached it.
    fn hear(&mut self, case: &Case, status: u16) {
        // A fault may cut off the API's own answer, and that may be a refusal.
        let own = (status == 429).then_some(PENALTY_MS);
        let wait = case.fault.and_then(|fault| fault.wait_ms).or(own);
        let silenced = if case.fault.is_some_and(|fault| fault.account_wide) {
            "account"
        } else {
            group(case.operation)
        };
        match wait {
            Some(wait) if case.heard => {
                let until = self.silent_until.entry(silenced).or_default();
                *until = (case.answered + wait).max(*until);
            }
            Some(wait) => self.unheard_until = self.unheard_until.max(case.answered + wait),
            None => {}
        }
        let is_refusal = (400..=403).contains(&status);
        self.refused_logins += u64::from(case.operation == Operation::Token && is_refusal);
        self.session.hear(case, status);
    }
}

impl Session {
    /// Whether the token may have been worth nothing at this time.
    fn may_be_over(&self, at: i64, diary: &Diary) -> bool {
        let granted = self.granted_ms.unwrap_or(0);
        let life = TOKEN_LIFE.as_millis() as i64;
        diary.evicted_between(granted - 1000, at)
            || at >= granted + life
            || self.unheard_grants >= SESSIONS
    }

    /// Notes a login; gives what is wrong with it.
    fn has_a_reason(
        &mut self,
        case: &Case,
        diary: &Diary,
        logins: &mut BTreeMap<&'static str, u64>,
    ) -> Option<String> {
        let is_announced = diary.reloaded_between(self.last_login_ms.unwrap_or(0), case.at);
        let quiet_until = if is_announced { 0 } else { self.quiet_until };
        let half_a_life = TOKEN_LIFE.as_millis() as i64 / 2;
        let reason = match (self.last_login_ms, self.granted_ms) {
            (None, _) => "the first",
            _ if is_announced => "the JWT was replaced",
            _ if !self.is_whole => "the login before had failed",
            _ if self.was_rejected => "the token was rejected",
            (_, Some(granted)) if case.at >= granted + half_a_life => {
                "the token was half way to its end"
            }
            _ => "none",
        };
        *logins.entry(reason).or_default() += 1;
        self.last_login_ms = Some(case.at);
        if is_announced {
            (self.refusals, self.quiet_until) = (0, 0);
        }
        if case.at < quiet_until {
            return Some(format!(
                "a login {} ms before the end of the back-off",
                quiet_until - case.at
            ));
        }
        (reason == "none").then(|| "a login without reason".to_owned())
    }

    fn hear(&mut self, case: &Case, status: u16) {
        match (case.operation, status) {
            (Operation::Token, 200) if case.heard => self.granted(case.answered),
            (Operation::Token, 200) => {
                (self.is_whole, self.unheard_grants) = (false, self.unheard_grants + 1)
            }
            (Operation::Token, status) => {
                self.is_whole = false;
                if case.heard && (400..=403).contains(&status) {
                    self.refused(case.answered);
                }
            }
            (Operation::ActiveCalls | Operation::Extensions, 200) => {
                self.refusals = if self.is_fresh { 0 } else { self.refusals };
                self.is_fresh = false;
            }
            (Operation::ActiveCalls | Operation::Extensions, 401 | 403) => {
                self.was_rejected = true;
                if case.heard && (status == 403 || self.is_fresh) {
                    self.refused(case.answered);
                }
            }
            _ => {}
        }
    }

    fn granted(&mut self, at: i64) {
        (self.granted_ms, self.unheard_grants) = (Some(at), 0);
        (self.is_whole, self.is_fresh, self.was_rejected) = (true, true, false);
    }

    fn refused(&mut self, at: i64) {
        self.quiet_until = at + (REFUSAL_FIRST_MS << self.refusals.min(8)).min(REFUSAL_MOST_MS);
        self.refusals += 1;
    }
}

fn group(operation: Operation) -> &'static str {
    match operation {
        Operation::Token | Operation::Revoke => "auth",
        Operation::Extensions => "medium",
        Operation::ActiveCalls => "heavy",
    }
}

/// The judge is judged: journals that are wrong in one way each.
#[cfg(test)]
mod tests {
    use ringcentral_exporter::simulator::limiter::OtherClient;

    use super::*;
    use crate::weather::Fate;

    const MINUTE: i64 = 60_000;

    /// Requests at these times with these statuses, each heard.
    fn findings(requests: &[(i64, Operation, u16)]) -> Vec<String> {
        let entries: Vec<_> = (1..)
            .zip(requests)
            .map(|(sequence, request)| entry(sequence, request))
            .collect();
        judged(&entries, |_| true, &quiet_diary())
    }

    fn judged(
        entries: &[JournalEntry],
        is_heard: impl Fn(i64) -> bool,
        diary: &Diary,
    ) -> Vec<String> {
        let exchange = |begun_ms| Exchange {
            begun_ms,
            fate: Fate::Pass,
            heard: is_heard(begun_ms),
        };
        let exchanges: Vec<_> = entries
            .iter()
            .map(|entry| exchange(entry.arrived_ms))
            .collect();
        Requests::new(10).look_at(entries, i64::MAX, &exchanges, diary)
    }

    /// Nothing was done to the exporter.
    fn quiet_diary() -> Diary {
        let hours = Duration::from_secs(36_000);
        Diary::new(
            0,
            OtherClient {
                requests: 10,
                first: hours,
                every: hours,
            },
        )
    }

    fn entry(sequence: u64, (at, operation, status): &(i64, Operation, u16)) -> JournalEntry {
        JournalEntry {
            sequence,
            arrived_ms: *at,
            answered_ms: Some(*at),
            operation: Some(*operation),
            target: String::new(),
            status: Some(*status),
            in_penalty: false,
            records: None,
            listed_at_ms: None,
        }
    }

    fn lists(count: i64, apart: i64) -> Vec<(i64, Operation, u16)> {
        (0..count)
            .map(|n| (n * apart, Operation::ActiveCalls, 200))
            .collect()
    }

    fn is_found(requests: &[(i64, Operation, u16)], what: &str) {
        let found = findings(requests);
        assert!(found.iter().any(|found| found.contains(what)), "{found:?}");
    }

    #[test]
    fn eight_lists_a_minute_are_well_and_nine_are_not() {
        assert!(findings(&lists(50, 7_500)).is_empty());
        is_found(&lists(9, 7_000), "9 requests of heavy within 60 s");
    }

    #[test]
    fn a_429_that_nobody_made_and_a_request_in_its_silence_are_found() {
        let refused = [
            (0, Operation::ActiveCalls, 429),
            (MINUTE - 1, Operation::ActiveCalls, 200),
        ];
        is_found(&refused, "a 429 of our own making");
        is_found(&refused, "1 ms before the end of a silence");
    }

    #[test]
    fn a_refusal_that_a_fault_cut_off_excuses_what_follows_unless_it_was_heard() {
        let operation = Operation::ActiveCalls;
        let cut = Injection {
            kind: "body cut",
            operation,
            after: 0,
            until: None,
            wait_ms: None,
            account_wide: false,
        };
        let mut diary = quiet_diary();
        diary.injections.push(cut);
        let again = JournalEntry {
            in_penalty: true,
            ..entry(2, &(10_000, operation, 429))
        };
        let entries = [entry(1, &(0, operation, 429)), again];
        assert_eq!(judged(&entries, |at| at > 0, &diary), Vec::<String>::new());
        let found = judged(&entries, |_| true, &diary);
        assert!(
            found
                .iter()
                .any(|found| found.contains("50000 ms before the end of a silence")),
            "{found:?}"
        );
    }

    #[test]
    fn a_login_without_reason_or_within_the_back_off_is_found() {
        let granted = [(0, Operation::Token, 200), (1_000, Operation::Token, 200)];
        is_found(&granted, "a login without reason");
        let refused = [
            (0, Operation::Token, 400),
            (MINUTE, Operation::Token, 400),
            (2 * MINUTE, Operation::Token, 200),
        ];
        is_found(&refused, "60000 ms before the end of the back-off");
    }

    #[test]
    fn a_401_to_a_token_that_is_good_is_found() {
        is_found(
            &[
                (0, Operation::Token, 200),
                (10, Operation::ActiveCalls, 401),
            ],
            "a 401 of our own making",
        );
    }
}
