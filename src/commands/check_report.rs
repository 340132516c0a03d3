//! Output of `check`, pure: one fact a line, then the result and how to fix a failure.
//!
//! Contains no secrets, phone numbers or names of people.

use std::time::Duration;

use serde_json::json;

use crate::account::facts::{
    Fact, config_facts, format_line, format_wait, last_failure, penalty, state_facts,
};
use crate::account::presence::PresenceView;
use crate::account::presence::facts::presence_facts;
use crate::account::problem::{self, Problem};
use crate::account::state::AccountState;
use crate::account::warning::Warning;
use crate::clock::Moment;
use crate::config::{Account, Proxies};
use crate::ringcentral::events::EventError;
use crate::ringcentral::{Cause, Operation, Reason};

const FOOTER: &str = "This output contains no secrets and is safe to share.\n";

/// The name of the list in the report.
const PRESENCE_LIST: &str = "presence list";

/// Results of a check: the names of the accounts.
#[derive(Default)]
pub struct CheckSummary {
    /// Accounts that can be read.
    pub(super) ok: Vec<String>,
    /// Accounts that cannot be read.
    pub(super) failed: Vec<String>,
    /// Accounts whose check had not finished when a signal arrived.
    pub(super) skipped: Vec<String>,
}

impl CheckSummary {
    /// Returns whether all accounts can be read.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }
}

/// Returns the lines that precede the first request of an account.
pub(super) fn header(account: &Account, proxies: &Proxies) -> String {
    let mut text = format!("Checking account {}\n", account.name);
    for fact in config_facts(account) {
        text += &fact.to_line();
    }
    if let Some(proxy) = proxies.describe(&account.server) {
        text += &format_line("proxy", &proxy);
    }
    text
}

/// Returns the report for an HTTP client that cannot be built.
pub(super) fn tls_setup_failed(error: &anyhow::Error) -> String {
    let message = error.root_cause().to_string();
    let mut problem = Problem::from_cause(Cause::NoRootCertificates);
    problem.add_error(message.trim_start_matches("unexpected error: "));
    problem.to_text("FAILED")
}

/// Returns the report of an account whose fetch has finished.
pub(super) fn account_report(
    account: &Account,
    state: &AccountState,
    presence: Option<&PresenceView>,
    max_age: Duration,
    now: Moment,
) -> String {
    let mut facts = state_facts(account, state, max_age, now);
    let mut warnings = problem::warnings(account, state, now);
    if let Some(presence) = presence {
        facts.extend(presence_facts(presence, &state.api, now));
        warnings.extend(presence_warnings(presence, state));
    }
    let untested = presence.map(untested_presence).unwrap_or_default();
    let mut text = String::new();
    for fact in facts {
        text += &fact.to_line();
    }
    if state.last_fetch.is_some() {
        warnings.extend(few_requests_left(state));
    }
    for warning in &mut warnings {
        let wait = warning_wait(warning, state, presence, now);
        warning.details.extend(wait);
        text += &warning.to_text("WARNING");
    }
    if state.last_fetch.is_none() {
        return text + &not_fetched(state, now);
    }
    let Some(mut failure) = problem::failure(state) else {
        return text + &success_line(&account.name, warnings.len(), &untested);
    };
    if let Some(wait) = penalty_fact(state, now) {
        failure.details.insert(0, wait);
    }
    text + &failure.to_text("FAILED")
}

/// Returns how long to wait before a fetch that the requests or penalties in the state directory do not allow now.
fn not_fetched(state: &AccountState, now: Moment) -> String {
    let Some(penalty) = state.api.penalty(now) else {
        let mut problem = Problem::from_cause(Cause::NoBudget);
        if let Some(next) = state.api.next_fetch_at {
            let wait = format_wait(next.monotonic_duration_since(now));
            problem.details.push(Fact::new("wait", wait, json!({})));
        }
        problem.add_error(
            "not sent: the requests of the last minute, known from the state directory, leave no room",
        );
        problem.hint = "wait that long; check at most twice a minute, since each check and each start is a login";
        return problem.to_text("FAILED");
    };
    let mut problem = Problem::from_cause(Cause::RateLimited);
    let is_login = state.api.blocked_for(Operation::Token, now) == Some(penalty);
    let operation = if is_login {
        Operation::Token
    } else {
        Operation::ActiveCalls
    };
    let wait = blocked_fact(operation, now.after(penalty), now);
    problem.details.push(wait);
    problem.add_error("not sent: the penalty is known from the state directory");
    problem.to_text("FAILED")
}

/// Returns how long to wait after a failure. Only for RingCentral's penalties: the exporter's own back-off does not
/// outlive this process.
fn penalty_fact(state: &AccountState, now: Moment) -> Option<Fact> {
    let penalty = penalty(state, now)?;
    let failure = last_failure(state)?;
    if failure.cause == Cause::RateLimited {
        return Some(blocked_fact(failure.operation, now.after(penalty), now));
    }
    Some(Fact::new("wait", format_wait(penalty), json!({})))
}

/// Returns the warnings about presence. What the budget did not allow has not failed: it was not tested.
fn presence_warnings(presence: &PresenceView, state: &AccountState) -> Vec<Problem> {
    let mut tested = presence.clone();
    let is_unsent = |failure: &mut EventError| failure.cause == Cause::NoBudget;
    tested.stream_failure.take_if(is_unsent);
    let mut warnings = problem::presence_warnings(&tested, state);
    let mut untested = untested_presence(presence);
    let is_starved = |warning: &Problem| warning.name == Warning::PresenceStarved.as_str();
    if warnings.iter().any(is_starved) {
        untested.retain(|name| *name != PRESENCE_LIST);
    }
    if !untested.is_empty() {
        let mut warning = Problem::from_warning(Warning::PresenceUntested);
        let names = Fact::new("not tested", untested.join(", "), json!({}));
        warning.details.push(names);
        warnings.push(warning);
    }
    warnings
}

/// Returns what the budget kept `check` from requesting.
fn untested_presence(presence: &PresenceView) -> Vec<&'static str> {
    let mut untested = Vec::new();
    let is_read = presence.pages > 0 || presence.last_read.is_some();
    if !is_read && presence.read_failure.is_none() {
        untested.push(PRESENCE_LIST);
    }
    let failure = presence.stream_failure.as_ref();
    if failure.is_some_and(|failure| failure.cause == Cause::NoBudget) {
        untested.push("events");
    }
    untested
}

/// Returns how long to wait before the request that a warning is about, if RingCentral blocks it.
fn warning_wait(
    warning: &Problem,
    state: &AccountState,
    presence: Option<&PresenceView>,
    now: Moment,
) -> Option<Fact> {
    let is_about = |about: Warning| warning.name == about.as_str();
    let (operation, cause) = if is_about(Warning::ExtensionsNotRead) {
        (
            Operation::Extensions,
            state.directory_failure.as_ref()?.cause,
        )
    } else if is_about(Warning::PresenceNotRead) {
        (Operation::Presence, presence?.read_failure.as_ref()?.cause)
    } else if is_about(Warning::EventsNotReceived) {
        let failure = presence?.stream_failure.as_ref()?;
        (Operation::EventToken, failure.cause)
    } else {
        return None;
    };
    if cause != Cause::RateLimited {
        return None;
    }
    let wait = state.api.blocked_for(operation, now)?;
    Some(blocked_fact(operation, now.after(wait), now))
}

/// Returns until when RingCentral blocks an operation after a 429.
pub(super) fn blocked_fact(operation: Operation, until: Moment, now: Moment) -> Fact {
    let wait = format_wait(until.saturating_duration_since(now));
    let end = until.wall.strftime("%Y-%m-%d %H:%M:%S UTC");
    let operation = operation.as_str();
    let text = format!(
        "{wait}: {operation} requests are blocked until {end}, for a running exporter of this user and app as well; \
         any request before that restarts the penalty"
    );
    Fact::new("wait", text, json!({}))
}

/// Returns a warning if fewer than two requests of a group are left after this check. A failure because of a limit says
/// so itself.
fn few_requests_left(state: &AccountState) -> Option<Problem> {
    if let Some(failure) = last_failure(state)
        && matches!(failure.reason, Reason::RateLimited | Reason::Budget)
    {
        return None;
    }
    let mut groups = Vec::new();
    for (group, left) in &state.api.requests_left {
        if *left < 2 {
            groups.push(format!("{}: {left}", group.as_str()));
        }
    }
    if groups.is_empty() {
        return None;
    }
    let mut problem = Problem::from_warning(Warning::FewRequestsLeft);
    let left = Fact::new("left", groups.join(", "), json!({}));
    problem.details.push(left);
    if state.api.keeps_token {
        let text = "not revoked, because that would use the last request";
        problem.details.push(Fact::new("token", text, json!({})));
    }
    Some(problem)
}

/// Returns the result of an account whose check ended early.
pub(super) fn interrupted() -> &'static str {
    "FAILED: interrupted before the fetch finished\n"
}

/// Returns the last lines of the output.
pub(super) fn summary(summary: &CheckSummary) -> String {
    let total = summary.ok.len() + summary.failed.len() + summary.skipped.len();
    let mut text = String::new();
    if total > 1 && summary.is_ok() {
        text = format!("All {total} accounts can be read.\n");
    } else if total > 1 {
        for (result, names) in [
            ("Failed", &summary.failed),
            ("Not checked", &summary.skipped),
        ] {
            if !names.is_empty() {
                let (count, names) = (names.len(), names.join(", "));
                text += &format!("{result}, {count} of {total} accounts: {names}\n");
            }
        }
    }
    text + FOOTER
}

fn success_line(account: &str, warnings: usize, untested: &[&str]) -> String {
    let warnings = match warnings {
        0 => String::new(),
        1 => ", with a warning".to_owned(),
        _ => format!(", with {warnings} warnings"),
    };
    let untested = match untested {
        [] => String::new(),
        _ => format!("; not tested: {}", untested.join(", ")),
    };
    format!("OK{warnings}: account {account} can be read{untested}.\n")
}
