//! Facts about an account as names and texts, pure: the rows that `check` prints and the landing page shows.

use std::time::Duration;

use jiff::Timestamp;

use crate::account::state::AccountState;
use crate::clock::{Moment, unix_seconds};
use crate::config::{Account, Level};
use crate::ringcentral::status::ReportedLimit;
use crate::ringcentral::{Error, Operation};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// One property of an account.
pub(crate) struct Fact {
    /// Name, lower case except for abbreviations.
    pub(crate) name: &'static str,
    /// Value in words, free of secrets.
    pub(crate) text: String,
}

/// Returns what the configuration says about an account.
pub(crate) fn config_facts(account: &Account) -> Vec<Fact> {
    let level = match account.level {
        Level::Account => "account: calls of all extensions",
        Level::Extension => "extension: only the calls of the JWT's user",
    };
    let server = account.server.origin().ascii_serialization();
    let facts = [("server", server), ("level", level.to_owned())];
    facts.map(|(name, text)| Fact { name, text }).into()
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
    let mut add = |name, text| facts.push(Fact { name, text });
    if login_accepted {
        add("login", "accepted".to_owned());
    }
    if let Some(expiry) = api.jwt_expiry {
        add("JWT", format_jwt_expiry(expiry, now));
    } else if login_accepted {
        add("JWT", "no expiry".to_owned());
    }
    if let Some(id) = &api.account_id {
        add("account id", id.clone());
    }
    if let Some(fetched) = state.fresh(now, max_age) {
        let calls = fetched.snapshot.sessions_in_progress;
        add("calls", format!("{calls} in progress"));
    }
    add("last fetch", format_last_fetch(state));
    if !api.rate_limits.is_empty() {
        let limits: Vec<_> = api.rate_limits.iter().map(format_rate_limit).collect();
        add("rate limit", limits.join("; "));
    }
    let interval = api.min_fetch_interval.as_secs_f64();
    add(
        "min interval",
        format!("at most one fetch every {interval} s"),
    );
    add("extensions", format_extensions(account, state, now));
    if let Some(expiry) = api.token_expiry
        && !expiry.is_past(now)
    {
        let remaining = format_duration(expiry.saturating_duration_since(now));
        add("access token", format!("expires in {remaining}"));
    }
    facts
}

/// Returns why the last fetch failed.
pub(crate) fn last_failure(state: &AccountState) -> Option<&Error> {
    state.last_fetch.as_ref()?.failure.as_ref()
}

/// Returns how long the operation that failed last is still blocked by a penalty or back-off.
pub(crate) fn blocked_for(state: &AccountState, now: Moment) -> Option<Duration> {
    state.api.blocked_for(last_failure(state)?.operation, now)
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

/// Returns whether the last fetch got past the login.
fn is_login_accepted(state: &AccountState) -> bool {
    match (&state.last_fetch, last_failure(state)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(_), Some(failure)) => failure.operation != Operation::Token,
    }
}

fn format_jwt_expiry(expiry: f64, now: Moment) -> String {
    let date = Timestamp::from_second(expiry as i64).unwrap_or(Timestamp::MAX);
    let date = date.strftime("%Y-%m-%d %H:%M UTC");
    match Duration::try_from_secs_f64(expiry - unix_seconds(now.wall)) {
        Ok(remaining) => format!("expires in {} ({date})", format_duration(remaining)),
        Err(_) => format!("expired on {date}"),
    }
}

fn format_last_fetch(state: &AccountState) -> String {
    let Some(fetch) = &state.last_fetch else {
        return "none yet".to_owned();
    };
    let duration = fetch.duration.as_millis();
    match &state.snapshot {
        Some(fetched) if fetch.failure.is_none() => {
            let records = plural(fetched.snapshot.records.values().sum(), "record");
            let pages = plural(fetch.pages.into(), "page");
            format!("{records} on {pages} in {duration} ms")
        }
        _ => format!("failed after {duration} ms"),
    }
}

fn format_rate_limit(reported: &ReportedLimit) -> String {
    let ReportedLimit { group, limit, .. } = reported;
    let window = reported.window.as_secs();
    match reported.remaining {
        Some(remaining) => format!("{group}: {remaining} of {limit} left in {window} s"),
        None => format!("{group}: {limit} in {window} s"),
    }
}

fn format_extensions(account: &Account, state: &AccountState, now: Moment) -> String {
    if let Some(fetched) = &state.directory {
        let extensions = plural(fetched.directory.entries().len() as u64, "extension");
        let age = format_duration(now.saturating_duration_since(fetched.fetched_at));
        return format!("{extensions}, fetched {age} ago");
    }
    let reason = match state.directory_failure {
        Some(_) => "request failed",
        None if account.level == Level::Extension => "not requested at this level",
        None => "not requested",
    };
    reason.to_owned()
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
