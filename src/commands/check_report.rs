//! Output of `check`, pure: one fact a line, then the result and how to fix a failure.
//!
//! Contains no secrets, phone numbers or names of people.

use std::time::Duration;

use crate::account::facts::{Fact, blocked_for, config_facts, last_failure, state_facts};
use crate::account::state::AccountState;
use crate::account::warning::Warning;
use crate::clock::Moment;
use crate::config::Account;
use crate::ringcentral::transport::proxy_for;
use crate::ringcentral::{Cause, Error};

const FOOTER: &str = "This output contains no secrets and is safe to share.\n";

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
pub(super) fn header(account: &Account) -> String {
    let mut text = format!("Checking account {}\n", account.name);
    text += &fields(&config_facts(account));
    if let Some(proxy) = proxy_for(&account.server) {
        text += &field("proxy", &proxy);
    }
    text
}

/// Returns the report for an HTTP client that cannot be built.
pub(super) fn tls_setup_failed(error: &anyhow::Error) -> String {
    let cause = Cause::NoRootCertificates;
    let message = error.root_cause().to_string();
    [
        format!("FAILED: {}: {}\n", cause.as_str(), cause.summary()),
        field("error", message.trim_start_matches("unexpected error: ")),
        field("fix", cause.hint()),
    ]
    .concat()
}

/// Returns the report of an account whose fetch has finished.
pub(super) fn account_report(
    account: &Account,
    state: &AccountState,
    max_age: Duration,
    now: Moment,
) -> String {
    let warnings = Warning::active(account, state, now);
    let mut text = fields(&state_facts(account, state, max_age, now));
    for warning in &warnings {
        text += &warning_block(*warning, state);
    }
    if state.last_fetch.is_none() {
        return text + interrupted();
    }
    match last_failure(state) {
        Some(failure) => text + &failure_block(failure, state, now),
        None => text + &success_line(&account.name, warnings.len()),
    }
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

fn success_line(account: &str, warnings: usize) -> String {
    let warnings = match warnings {
        0 => String::new(),
        1 => ", with a warning".to_owned(),
        _ => format!(", with {warnings} warnings"),
    };
    format!("OK{warnings}: account {account} can be read.\n")
}

fn warning_block(warning: Warning, state: &AccountState) -> String {
    let title = format!("WARNING: {}: {}\n", warning.as_str(), warning.summary());
    if warning == Warning::ExtensionsNotRead
        && let Some(failure) = &state.directory_failure
    {
        let cause = format!("{}: {}", failure.cause.as_str(), failure.cause.summary());
        return title + &field("cause", &cause) + &failure_details(failure);
    }
    let mut cause = String::new();
    if warning == Warning::SameUser
        && let Some(other) = &state.api.same_user_account
    {
        cause = field("cause", &format!("account {other} has the same user"));
    }
    title + &cause + &field("fix", warning.hint())
}

fn failure_block(failure: &Error, state: &AccountState, now: Moment) -> String {
    let cause = failure.cause;
    let mut text = format!("FAILED: {}: {}\n", cause.as_str(), cause.summary());
    // Only RingCentral's penalties: the exporter's own back-off does not outlive this process.
    if cause.is_transient()
        && let Some(penalty) = blocked_for(state, now)
    {
        let seconds = penalty.as_secs_f64().ceil();
        text += &field("wait", &format!("{seconds} s"));
    }
    text + &failure_details(failure)
}

fn failure_details(failure: &Error) -> String {
    let mut text = field("error", &failure.to_string());
    if let Some(id) = &failure.request_id {
        text += &field("request id", id);
    }
    text + &field("fix", failure.cause.hint())
}

fn fields(facts: &[Fact]) -> String {
    let mut text = String::new();
    for fact in facts {
        text += &field(fact.name, &fact.text);
    }
    text
}

fn field(name: &str, value: &str) -> String {
    format!("  {name:<12}  {value}\n")
}
