//! What is wrong with an account, and what to do about it: the failure and the warnings that `check`, the landing
//! page and `/status` show.

use std::time::Duration;

use serde_json::{Value, json};

use crate::account::facts::{Fact, add_values, format_line, last_failure};
use crate::account::presence::PresenceView;
use crate::account::state::AccountState;
use crate::account::warning::Warning;
use crate::clock::Moment;
use crate::config::Account;
use crate::ringcentral::events::EventError;
use crate::ringcentral::{Cause, Error};

/// How long calls are fetched while a read of the presence list is due, until that is a warning. The pace of the calls
/// leaves room for a read in each window of 60 s.
const STARVED_AFTER: Duration = Duration::from_secs(3 * 60);

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
            problem.add_caused_failure(failure);
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

/// Returns the warnings about presence, which never are failures of the account.
pub(crate) fn presence_warnings(view: &PresenceView, state: &AccountState) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(failure) = &view.read_failure {
        let mut problem = Problem::from_warning(Warning::PresenceNotRead);
        problem.add_caused_failure(failure);
        problems.push(problem);
    }
    if let Some(failure) = &view.stream_failure {
        let mut problem = Problem::from_warning(Warning::EventsNotReceived);
        problem.add_stream_failure(failure);
        problems.push(problem);
    }
    if is_starved(view, state) {
        problems.push(Problem::from_warning(Warning::PresenceStarved));
    }
    problems
}

/// Returns whether calls leave too few requests for the presence list: none, so few that its pages would be too old, or
/// none for so long while calls were fetched.
fn is_starved(view: &PresenceView, state: &AccountState) -> bool {
    let Some(fetched) = state
        .snapshot
        .as_ref()
        .filter(|_| view.read_failure.is_none())
    else {
        return false;
    };
    let interval = state.api.presence_read_interval;
    let is_waiting = |since| fetched.fetched_at.monotonic_duration_since(since) >= STARVED_AFTER;
    interval == Duration::MAX
        || view.max_read_time.is_some_and(|max| interval >= max)
        || view.read_waits_since.is_some_and(is_waiting)
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

    /// Adds the cause of a warning, and its hint.
    fn set_cause(&mut self, cause: Cause, hint: &'static str) {
        let name = cause.as_str();
        let text = format!("{name}: {}", cause.summary());
        self.details
            .push(Fact::new("cause", text, json!({"cause": name})));
        self.hint = hint;
    }

    fn add_caused_failure(&mut self, failure: &Error) {
        self.set_cause(failure.cause, failure.hint());
        self.add_failure(failure);
    }

    fn add_stream_failure(&mut self, failure: &EventError) {
        self.set_cause(failure.cause, failure.hint());
        if let Some(gateway) = &failure.gateway {
            let gateway = Fact::new("gateway", gateway, json!({"gateway": gateway}));
            self.details.push(gateway);
        }
        let mut message = failure.message.clone();
        if let Some(code) = &failure.code
            && !message.contains(code)
        {
            message += &format!(" {code}");
        }
        self.add_error(&message);
        self.add_request_id(failure.request_id.as_deref());
    }

    fn add_failure(&mut self, failure: &Error) {
        self.add_error(&failure.to_string());
        self.add_request_id(failure.request_id.as_deref());
    }

    fn add_request_id(&mut self, id: Option<&str>) {
        if let Some(id) = id {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::state::TimedSnapshot;
    use crate::calls::{ExtensionLabel, LabelLimiter};
    use crate::config::PresenceMode;
    use crate::ringcentral::Operation;

    fn names(view: &PresenceView, state: &AccountState) -> Vec<&'static str> {
        let problems = presence_warnings(view, state);
        problems.iter().map(|problem| problem.name).collect()
    }

    #[test]
    fn read_and_events_have_a_warning_each() {
        let mut view = PresenceView::empty(PresenceMode::Events);
        let state = AccountState::default();
        assert!(names(&view, &state).is_empty());
        let error = Error::new(
            Operation::Presence,
            Cause::AppLacksPresence,
            "HTTP status 403",
        );
        view.read_failure = Some(error);
        view.stream_failure = Some(EventError {
            cause: Cause::TooManySubscriptions,
            message: "subscription: status 403".to_owned(),
            code: Some("SUB-505".to_owned()),
            request_id: Some("f3b0".to_owned()),
            gateway: Some("g.example:443".to_owned()),
        });
        assert_eq!(names(&view, &state), ["presence_unread", "no_events"]);
        let [read, events] = &presence_warnings(&view, &state)[..] else {
            panic!("two warnings");
        };
        assert!(read.hint.contains("Read Presence"));
        let text = events.to_text("WARNING");
        for line in [
            "  cause         too_many_subscriptions: ",
            "  gateway       g.example:443\n",
            "  error         subscription: status 403 SUB-505\n",
            "  request id    f3b0\n",
            "  fix           give the exporter an app of its own",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn unreachable_gateway_hint_names_the_other_host() {
        let hint_of = |cause, gateway: Option<&str>| {
            let mut view = PresenceView::empty(PresenceMode::Events);
            view.stream_failure = Some(EventError {
                gateway: gateway.map(str::to_owned),
                ..EventError::new(cause, "")
            });
            presence_warnings(&view, &AccountState::default())[0].hint
        };
        let gateway = Some("g.example:443");
        for cause in [Cause::NameNotFound, Cause::Unreachable, Cause::ProxyRefused] {
            assert!(
                hint_of(cause, gateway).contains("event gateway"),
                "{cause:?}"
            );
            assert_eq!(hint_of(cause, None), cause.hint(), "the API server");
        }
        assert!(hint_of(Cause::UntrustedCertificate, gateway).contains("--ringcentral.ca-file"));
        assert!(hint_of(Cause::AppLacksWebSocket, None).contains("WebSocket Subscriptions"));
    }

    /// Without scrapes nothing is read: then calls do not starve the read.
    #[test]
    fn presence_is_starved_by_fetched_calls_only() {
        let due = Moment::now();
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        let mut fetched_at = |seconds| AccountState {
            snapshot: Some(TimedSnapshot::new(
                &[],
                due.after(Duration::from_secs(seconds)),
                &mut labels,
            )),
            ..AccountState::default()
        };
        let mut view = PresenceView::empty(PresenceMode::Events);
        assert!(names(&view, &fetched_at(600)).is_empty());
        view.read_waits_since = Some(due);
        assert!(names(&view, &AccountState::default()).is_empty());
        assert!(names(&view, &fetched_at(179)).is_empty());
        assert_eq!(names(&view, &fetched_at(180)), ["presence_starved"]);
    }

    #[test]
    fn presence_without_enough_requests_is_starved_at_once() {
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        let mut starved = |view: &PresenceView, interval| {
            let mut state = AccountState {
                snapshot: Some(TimedSnapshot::new(&[], Moment::now(), &mut labels)),
                ..AccountState::default()
            };
            state.api.presence_read_interval = interval;
            !names(view, &state).is_empty()
        };
        let never = Duration::MAX;
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let events = PresenceView::empty(PresenceMode::Events);
        assert!(!starved(&events, minutes(60)), "a long list");
        assert!(starved(&events, never));
        let mut polled = PresenceView::empty(PresenceMode::Poll);
        polled.max_read_time = Some(minutes(4));
        assert!(!starved(&polled, minutes(3)));
        assert!(starved(&polled, minutes(4)), "absent until a read is whole");
        polled.read_failure = Some(Error::new(Operation::Presence, Cause::Timeout, ""));
        let mut state = AccountState::default();
        state.api.presence_read_interval = never;
        assert_eq!(names(&polled, &state), ["presence_unread"]);
        assert_eq!(names(&events, &state), [""; 0], "no calls were fetched");
    }
}
