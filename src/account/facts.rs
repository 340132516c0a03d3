//! Facts about an account, pure: the list that `check`, the landing page and `/status` show, in words and as JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::account::state::AccountState;
use crate::clock::{Moment, unix_seconds};
use crate::config::{Account, Level};
use crate::ringcentral::status::{ReportedLimit, time_until};
use crate::ringcentral::{Error, Operation};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// One property, free of secrets.
pub(crate) struct Fact {
    /// Name of at most 12 characters, lower case except for abbreviations.
    pub(crate) name: &'static str,
    /// Value in words.
    pub(crate) text: String,
    /// Value for scripts: an object with keys of `/status`, which `docs/STATUS.md` explains.
    pub(crate) json: Value,
}

impl Fact {
    pub(crate) fn new(name: &'static str, text: impl Into<String>, json: Value) -> Self {
        Self {
            name,
            text: text.into(),
            json,
        }
    }

    /// Returns the fact as a line of plain text.
    pub(crate) fn to_line(&self) -> String {
        format_line(self.name, &self.text)
    }
}

/// Returns a line of plain text.
pub(crate) fn format_line(name: &str, text: &str) -> String {
    format!("  {name:<12}  {text}\n")
}

/// Adds the values of facts to a JSON object.
pub(crate) fn add_values(object: &mut Value, facts: &[Fact]) {
    for fact in facts {
        if let Some(values) = fact.json.as_object() {
            for (key, value) in values {
                object[key] = value.clone();
            }
        }
    }
}

/// Returns what the configuration says about an account.
pub(crate) fn config_facts(account: &Account) -> Vec<Fact> {
    let level = match account.level {
        Level::Account => "account: calls of all extensions",
        Level::Extension => "extension: only the calls of the JWT's user",
    };
    let server = account.server.origin().ascii_serialization();
    vec![
        Fact::new("server", server.clone(), json!({"server": server})),
        Fact::new("level", level, json!({"level": account.level.as_str()})),
    ]
}

/// Returns what is known of an account at `now`; a snapshot older than `max_age` is left out.
pub(crate) fn state_facts(
    account: &Account,
    state: &AccountState,
    max_age: Duration,
    now: Moment,
) -> Vec<Fact> {
    let api = &state.api;
    let login_accepted = is_login_accepted(state);
    let mut facts = Vec::new();
    if login_accepted {
        let json = json!({"login_accepted": true});
        facts.push(Fact::new("login", "accepted", json));
    }
    if api.jwt_expiry.is_some() || login_accepted {
        facts.push(jwt_fact(api.jwt_expiry, now));
    }
    if let Some(id) = &api.account_id {
        facts.push(Fact::new("account id", id, json!({"account_id": id})));
    }
    if let Some(fetched) = state.fresh(now, max_age) {
        let calls = fetched.snapshot.sessions_in_progress;
        let text = format!("{calls} in progress");
        facts.push(Fact::new(
            "calls",
            text,
            json!({"calls_in_progress": calls}),
        ));
    }
    facts.push(last_fetch_fact(state));
    if !api.rate_limits.is_empty() {
        facts.push(rate_limit_fact(&api.rate_limits, now));
    }
    let interval = api.min_fetch_interval.as_secs_f64();
    let tenths = (interval * 10.0).round() / 10.0;
    let text = format!("at most one fetch every {tenths} s");
    let json = json!({"min_fetch_interval_seconds": interval});
    facts.push(Fact::new("min interval", text, json));
    facts.push(extensions_fact(account, state, now));
    if let Some(expiry) = api.token_expiry
        && !expiry.is_past(now)
    {
        let remaining = expiry.monotonic_duration_since(now);
        let text = format!("expires in {}", format_duration(remaining));
        let json = json!({"token_expires_in_seconds": to_seconds(remaining)});
        facts.push(Fact::new("access token", text, json));
    }
    facts
}

/// Returns the age of the snapshot and the wait for the next fetch, which change while the exporter runs.
pub(crate) fn fetch_facts(state: &AccountState, max_age: Duration, now: Moment) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(fetched) = &state.snapshot {
        let age = now.saturating_duration_since(fetched.fetched_at);
        let mut text = format!("{} ago", format_duration(age));
        if age >= max_age {
            text += ", too old to be shown";
        }
        let json = json!({"snapshot_age_seconds": to_seconds(age)});
        facts.push(Fact::new("snapshot", text, json));
    }
    let wait = next_fetch_wait(state, now);
    let text = match wait {
        Some(wait) => format!("possible in {}", format_wait(wait)),
        None => "possible at the next scrape".to_owned(),
    };
    let json = json!({"next_fetch_in_seconds": to_seconds(wait.unwrap_or_default())});
    facts.push(Fact::new("next fetch", text, json));
    facts
}

/// Returns how long a penalty, a back-off or the rate limit holds the next fetch back.
pub(crate) fn next_fetch_wait(state: &AccountState, now: Moment) -> Option<Duration> {
    time_until(state.api.next_fetch_at, now)
}

/// Returns why the last fetch failed.
pub(crate) fn last_failure(state: &AccountState) -> Option<&Error> {
    state.last_fetch.as_ref()?.failure.as_ref()
}

/// Returns how long a penalty still holds the next fetch. `None` after a failure that a person has to end, such as a
/// refused login.
pub(crate) fn penalty(state: &AccountState, now: Moment) -> Option<Duration> {
    if let Some(failure) = last_failure(state)
        && !failure.cause.is_transient()
    {
        return None;
    }
    state.api.penalty(now)
}

/// Returns `1 call`, `2 calls`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// Returns `4 s`, `12 min`, `30 h` or `29 days`: a whole number of one unit.
pub(crate) fn format_duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds} s"),
        seconds if seconds < 2 * HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} days", seconds / DAY),
    }
}

/// Returns a wait like [`format_duration`], with seconds rounded up so that it is never 0.
pub(crate) fn format_wait(wait: Duration) -> String {
    format_duration(Duration::from_secs_f64(wait.as_secs_f64().ceil()))
}

/// Returns seconds with milliseconds.
pub(crate) fn to_seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

/// Returns whether the last fetch got past the login.
fn is_login_accepted(state: &AccountState) -> bool {
    match last_failure(state) {
        Some(failure) => failure.operation != Operation::Token,
        None => state.last_fetch.is_some(),
    }
}

fn jwt_fact(expiry: Option<f64>, now: Moment) -> Fact {
    let text = match expiry {
        Some(expiry) => format_jwt_expiry(expiry, now),
        None => "no expiry".to_owned(),
    };
    Fact::new("JWT", text, json!({"jwt_expiry_timestamp_seconds": expiry}))
}

fn format_jwt_expiry(expiry: f64, now: Moment) -> String {
    let date = Timestamp::from_second(expiry as i64).unwrap_or(Timestamp::MAX);
    let date = date.strftime("%Y-%m-%d %H:%M UTC");
    match Duration::try_from_secs_f64(expiry - unix_seconds(now.wall)) {
        Ok(remaining) => format!("expires in {} ({date})", format_duration(remaining)),
        Err(_) => format!("expired on {date}"),
    }
}

fn last_fetch_fact(state: &AccountState) -> Fact {
    let Some(fetch) = &state.last_fetch else {
        return Fact::new("last fetch", "none yet", json!({}));
    };
    let duration = fetch.duration.as_millis();
    let mut text = format!("failed after {duration} ms");
    let mut records: Option<u64> = None;
    if fetch.failure.is_none()
        && let Some(fetched) = &state.snapshot
    {
        let count = fetched.snapshot.records.values().sum();
        let pages = plural(fetch.pages.into(), "page");
        text = format!("{} on {pages} in {duration} ms", plural(count, "record"));
        records = Some(count);
    }
    let json = json!({
        "fetch_successful": fetch.failure.is_none(),
        "fetch_duration_seconds": to_seconds(fetch.duration),
        "fetch_pages": fetch.pages,
        "fetch_records": records,
    });
    Fact::new("last fetch", text, json)
}

/// Returns the limits that RingCentral last reported. During a penalty no request is possible, whatever number of
/// remaining requests the last response had.
fn rate_limit_fact(limits: &[ReportedLimit], now: Moment) -> Fact {
    let mut texts = Vec::new();
    let mut values = Vec::new();
    for reported in limits {
        let ReportedLimit { group, limit, .. } = reported;
        let window = reported.window.as_secs();
        let penalty = time_until(reported.blocked_until, now);
        let mut remaining = reported.remaining;
        if penalty.is_some() {
            remaining = None;
            texts.push(format!(
                "{group}: {limit} in {window} s, none during the penalty"
            ));
        } else if let Some(remaining) = remaining {
            texts.push(format!(
                "{group}: {remaining} of {limit} left in {window} s"
            ));
        } else {
            texts.push(format!("{group}: {limit} in {window} s"));
        }
        values.push(json!({
            "group": group,
            "limit": limit,
            "window_seconds": to_seconds(reported.window),
            "remaining": remaining,
            "blocked_for_seconds": to_seconds(penalty.unwrap_or_default()),
        }));
    }
    Fact::new(
        "rate limit",
        texts.join("; "),
        json!({"rate_limits": values}),
    )
}

fn extensions_fact(account: &Account, state: &AccountState, now: Moment) -> Fact {
    let pages = state.directory_pages;
    let mut texts = Vec::new();
    let mut values = Map::new();
    if let Some(fetched) = &state.directory {
        let extensions = fetched.directory.entries().len();
        let age = now.saturating_duration_since(fetched.fetched_at);
        let count = plural(extensions as u64, "extension");
        texts.push(format!("{count}, fetched {} ago", format_duration(age)));
        values.insert("extensions".to_owned(), json!(extensions));
        let age = json!(to_seconds(age));
        values.insert("extensions_age_seconds".to_owned(), age);
    } else if pages == 0 {
        texts.push(no_extensions_text(account, state).to_owned());
    }
    if pages > 0 {
        let fetched = plural(pages.into(), "page");
        texts.push(format!(
            "{fetched} of a new list fetched, the rest follows within the rate limit"
        ));
    }
    values.insert("extensions_pages_fetched".to_owned(), json!(pages));
    Fact::new("extensions", texts.join("; "), Value::Object(values))
}

/// Returns why there is no list of extensions.
fn no_extensions_text(account: &Account, state: &AccountState) -> &'static str {
    match state.directory_failure {
        Some(_) => "request failed",
        None if account.level == Level::Extension => "not requested at this level",
        None => "not requested",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_has_one_unit() {
        let formatted = [4, 119, 120, 7_199, 7_200, 172_799, 172_800]
            .map(|seconds| format_duration(Duration::from_secs(seconds)));
        assert_eq!(
            formatted,
            ["4 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]
        );
    }

    #[test]
    fn jwt_expiry_is_in_days_or_hours_or_past() {
        let now = Moment {
            wall: "2026-11-24T10:00:00Z".parse().unwrap(),
            ..Moment::now()
        };
        let format = |seconds: f64| format_jwt_expiry(unix_seconds(now.wall) + seconds, now);
        assert_eq!(
            format(30.0 * 86_400.0),
            "expires in 30 days (2026-12-24 10:00 UTC)"
        );
        assert_eq!(format(90_000.0), "expires in 25 h (2026-11-25 11:00 UTC)");
        assert_eq!(format(-60.0), "expired on 2026-11-24 09:59 UTC");
    }
}
