//! The status of the exporter and its accounts at `/status`: plain text for a terminal, or JSON.
//!
//! The landing page shows the same facts. They contain no secrets, and reading them makes no API requests.

use std::time::Duration;

use hyper::header::ACCEPT;
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::account::facts::{
    Fact, add_values, config_facts, fetch_facts, format_duration, format_line, next_fetch_wait,
    plural, state_facts, to_seconds,
};
use crate::account::manager::AccountHandle;
use crate::account::presence::PresenceView;
use crate::account::presence::facts::presence_facts;
use crate::account::problem::{self, Problem};
use crate::account::state::AccountState;
use crate::clock::{Moment, unix_seconds};
use crate::config::{Account, ConfigError, ReloadStatus};
use crate::http::accept;
use crate::http::health::Health;
use crate::http::response::{self, Response};

/// Width of the text.
const MAX_COLUMNS: usize = 80;
/// Column in which values begin, and their continuation lines.
const VALUE_COLUMN: usize = 16;

/// The status of the exporter and its accounts at one moment.
pub(crate) struct Status {
    pub(crate) exporter: Vec<Fact>,
    pub(crate) reload_failure: Option<Problem>,
    /// The accounts, the worst first.
    pub(crate) accounts: Vec<AccountStatus>,
}

/// The status of one account at one moment.
pub(crate) struct AccountStatus {
    pub(crate) name: String,
    pub(crate) health: Health,
    /// Calls in progress, unless the snapshot is too old.
    pub(crate) calls: Option<u64>,
    /// Age of the last snapshot.
    pub(crate) age: Option<Duration>,
    /// Time until the next fetch is possible, if it is not possible now.
    pub(crate) next_fetch_wait: Option<Duration>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) failure: Option<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Returns the response to a request for `status`, in the requested format.
pub(crate) fn respond(status: &Status, query: &str, headers: &HeaderMap) -> Response {
    let response = if wants_json(query, headers) {
        response::json(&status.to_json())
    } else {
        response::text(StatusCode::OK, status.to_text().trim_end())
    };
    response::uncached(response)
}

fn wants_json(query: &str, headers: &HeaderMap) -> bool {
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key == "format" {
            return value == "json";
        }
    }
    accept::quality(headers, ACCEPT, "application/json") > Some(0.0)
}

impl Status {
    /// Creates the status of these accounts at `now`.
    pub(crate) fn new(
        accounts: &[&AccountHandle],
        reload: &ReloadStatus,
        uptime: Duration,
        max_age: Duration,
        now: Moment,
    ) -> Self {
        let mut statuses = Vec::new();
        for handle in accounts {
            let state = handle.collector.state();
            let account = &handle.config;
            let presence = handle.presence.as_ref().map(|presence| presence.view(now));
            let presence = presence.as_ref();
            statuses.push(AccountStatus::new(account, &state, presence, max_age, now));
        }
        statuses.sort_by(|a, b| (a.health, &a.name).cmp(&(b.health, &b.name)));
        Self {
            exporter: exporter_facts(reload, uptime),
            reload_failure: reload.error.as_ref().map(reload_failure),
            accounts: statuses,
        }
    }

    /// Returns how many accounts are in which state, and their calls.
    pub(crate) fn summary(&self) -> String {
        let total = self.accounts.len();
        let mut states = Vec::new();
        for group in self.accounts.chunk_by(|a, b| a.health == b.health) {
            let [first, ..] = group else {
                continue;
            };
            let state = first.health.name();
            if total == 1 {
                states.push(state);
            } else {
                states.push(format!("{} {state}", group.len()));
            }
        }
        let known: Vec<u64> = self.accounts.iter().filter_map(|it| it.calls).collect();
        let mut calls = plural(known.iter().sum(), "call") + " in progress";
        if known.is_empty() {
            calls = "Number of calls unknown".to_owned();
        } else if known.len() < total {
            calls += &format!(" in {} of them", known.len());
        }
        let count = plural(total as u64, "account");
        format!("{count}: {}. {calls}.", states.join(", "))
    }

    fn to_text(&self) -> String {
        let mut text = "RingCentral exporter\n".to_owned();
        for fact in &self.exporter {
            text += &fact.to_line();
        }
        if let Some(failure) = &self.reload_failure {
            text += &failure.to_text("FAILED");
        }
        text += &format!("\n{}\n", self.summary());
        for account in &self.accounts {
            text += &account.to_text();
        }
        wrap(&text)
    }

    fn to_json(&self) -> Value {
        let mut exporter = json!({"failure": self.reload_failure.as_ref().map(Problem::to_json)});
        add_values(&mut exporter, &self.exporter);
        let accounts: Vec<_> = self.accounts.iter().map(AccountStatus::to_json).collect();
        json!({"exporter": exporter, "accounts": accounts})
    }
}

fn exporter_facts(reload: &ReloadStatus, uptime: Duration) -> Vec<Fact> {
    let (version, revision) = (env!("CARGO_PKG_VERSION"), env!("BUILD_REVISION"));
    let loaded_at = reload.last_success.strftime("%Y-%m-%d %H:%M:%S UTC");
    let last_reload = match reload.error {
        Some(_) => format!("failed, keeping the configuration of {loaded_at}"),
        None => format!("successful, {loaded_at}"),
    };
    vec![
        Fact::new(
            "version",
            format!("{version} ({revision})"),
            json!({"version": version, "revision": revision}),
        ),
        Fact::new(
            "uptime",
            format_duration(uptime),
            json!({"uptime_seconds": to_seconds(uptime)}),
        ),
        Fact::new(
            "last reload",
            last_reload,
            json!({
                "last_reload_successful": reload.error.is_none(),
                "last_reload_success_timestamp_seconds": unix_seconds(reload.last_success),
            }),
        ),
    ]
}

fn reload_failure(error: &ConfigError) -> Problem {
    let mut problem = Problem {
        name: "reload_failed",
        summary: "the last reload failed, and the previous configuration is kept",
        details: Vec::new(),
        hint: "correct the error, then reload; a restart would fail",
    };
    problem.add_error(&error.to_string());
    problem
}

/// Breaks lines that are longer than `MAX_COLUMNS` at spaces. A longer word stays whole.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let indent = if line.starts_with(' ') {
            VALUE_COLUMN
        } else {
            2
        };
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let end = column + word.trim_end().chars().count();
            if column > indent && end > MAX_COLUMNS {
                wrapped.truncate(wrapped.trim_end().len());
                wrapped.push('\n');
                wrapped += &" ".repeat(indent);
                column = indent;
            }
            wrapped += word;
            column += word.chars().count();
        }
        wrapped.push('\n');
    }
    wrapped
}

impl AccountStatus {
    pub(crate) fn new(
        account: &Account,
        state: &AccountState,
        presence: Option<&PresenceView>,
        max_age: Duration,
        now: Moment,
    ) -> Self {
        let fresh = state.fresh(now, max_age);
        let fetched_at = state.snapshot.as_ref().map(|fetched| fetched.fetched_at);
        let mut facts = fetch_facts(state, max_age, now);
        facts.extend(state_facts(account, state, max_age, now));
        let mut warnings = problem::warnings(account, state, now);
        if let Some(presence) = presence {
            facts.extend(presence_facts(presence, &state.api, now));
            warnings.extend(problem::presence_warnings(presence, state));
        }
        facts.extend(config_facts(account));
        Self {
            name: account.name.clone(),
            health: Health::from_state(state, max_age, now),
            calls: fresh.map(|fetched| fetched.snapshot.sessions_in_progress),
            age: fetched_at.map(|fetched_at| now.saturating_duration_since(fetched_at)),
            next_fetch_wait: next_fetch_wait(state, now),
            facts,
            failure: problem::failure(state),
            warnings,
        }
    }

    fn to_text(&self) -> String {
        let mut text = format!("\nAccount {}: {}\n", self.name, self.health.label());
        if let Some(explanation) = self.health.explanation() {
            text += &format_line("state", explanation);
        }
        for fact in &self.facts {
            text += &fact.to_line();
        }
        if let Some(failure) = &self.failure {
            text += &failure.to_text("FAILED");
        }
        for warning in &self.warnings {
            text += &warning.to_text("WARNING");
        }
        text
    }

    fn to_json(&self) -> Value {
        let warnings: Vec<_> = self.warnings.iter().map(Problem::to_json).collect();
        let mut json = json!({
            "name": self.name,
            "state": self.health.name(),
            "failure": self.failure.as_ref().map(Problem::to_json),
            "warnings": warnings,
        });
        add_values(&mut json, &self.facts);
        json
    }
}
