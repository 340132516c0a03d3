//! What is wrong with an account, and what to do about it: the failure and the warnings that `check`, the landing
//! page and `/status` show.

use serde_json::{Value, json};

use crate::account::facts::{Fact, add_values, format_line, last_failure};
use crate::account::state::AccountState;
use crate::account::warning::Warning;
use crate::clock::Moment;
use crate::config::Account;
use crate::ringcentral::{Cause, Error};

/// A failure or a warning.
pub(crate) struct Problem {
    /// Name in `docs/CHECK.md`.
    pub(crate) name: &'static str,
    /// What is wrong, a phrase.
    pub(crate) summary: &'static str,
    /// What happened.
    pub(crate) details: Vec<Fact>,
    /// What to do, a phrase.
    pub(crate) hint: &'static str,
}

/// Returns why the last fetch failed.
pub(crate) fn failure(state: &AccountState) -> Option<Problem> {
    let failure = last_failure(state)?;
    let mut problem = Problem::from_cause(failure.cause);
    problem.add_failure(failure);
    Some(problem)
}

/// Returns the warnings that apply at `now`.
pub(crate) fn warnings(account: &Account, state: &AccountState, now: Moment) -> Vec<Problem> {
    let mut problems = Vec::new();
    for warning in Warning::active(account, state, now) {
        let mut problem = Problem::from_warning(warning);
        if warning == Warning::ExtensionsNotRead
            && let Some(failure) = &state.directory_failure
        {
            let cause = failure.cause.as_str();
            let text = format!("{cause}: {}", failure.cause.summary());
            let cause = Fact::new("cause", text, json!({"cause": cause}));
            problem.details.push(cause);
            problem.add_failure(failure);
            problem.hint = failure.cause.hint();
        }
        if warning == Warning::SameUser
            && let Some(other) = &state.api.same_user_account
        {
            let text = format!("account {other} has the same user");
            let cause = Fact::new("cause", text, json!({"other_account": other}));
            problem.details.push(cause);
        }
        problems.push(problem);
    }
    problems
}

impl Problem {
    pub(crate) fn from_warning(warning: Warning) -> Self {
        Self {
            name: warning.as_str(),
            summary: warning.summary(),
            details: Vec::new(),
            hint: warning.hint(),
        }
    }

    pub(crate) fn from_cause(cause: Cause) -> Self {
        Self {
            name: cause.as_str(),
            summary: cause.summary(),
            details: Vec::new(),
            hint: cause.hint(),
        }
    }

    fn add_failure(&mut self, failure: &Error) {
        self.add_error(&failure.to_string());
        if let Some(id) = &failure.request_id {
            let id = Fact::new("request id", id, json!({"request_id": id}));
            self.details.push(id);
        }
    }

    pub(crate) fn add_error(&mut self, message: &str) {
        let error = Fact::new("error", message, json!({"error": message}));
        self.details.push(error);
    }

    /// Returns lines of plain text; `title` is `FAILED` or `WARNING`.
    pub(crate) fn to_text(&self, title: &str) -> String {
        let mut text = format!("{title}: {}: {}\n", self.name, self.summary);
        for detail in &self.details {
            text += &detail.to_line();
        }
        text + &format_line("fix", self.hint)
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut json = json!({"name": self.name, "summary": self.summary, "fix": self.hint});
        add_values(&mut json, &self.details);
        json
    }
}
