//! What a check says: **pure**.
//!
//! Owns: its sentences and their form: a name, then what is known of it. What a failure means and what to do is the
//! cause's own; nothing here is a secret, a phone number or a person's name.

use crate::account::state::AccountState;
use crate::account::state::FetchReport;
use crate::account::warning::Warning;
use crate::clock::{Moment, unix_seconds};
use crate::commands::check::CheckSummary;
use crate::config::{Account, Level};
use crate::ringcentral::jwt::is_well_formed_jwt;
use crate::ringcentral::status::{Failure, ReportedLimit};
use crate::ringcentral::transport::proxy_for;
use crate::ringcentral::{Cause, Operation};

/// Where values begin.
const INDENT: usize = 14;
/// Where lines end, if a word ends there.
const WIDTH: usize = 110;
const FAREWELL: &str = "Nothing above is secret: it may be shown to whoever helps.\n";

/// Who is asked, before there is an answer.
pub fn opening(account: &Account) -> String {
    let server = account.server.origin().ascii_serialization();
    let proxy = proxy_for(&account.server).map_or(String::new(), |proxy| fact("proxy", &proxy));
    let level = match account.level {
        Level::Account => "account: the calls of all extensions",
        Level::Extension => "extension: the calls of the JWT's user alone",
    };
    format!(
        "Checking account {} at {server}\n{proxy}{}",
        account.name,
        fact("level", level)
    )
}

/// There is no client to ask with.
pub fn no_tls_to_be_had(error: &anyhow::Error) -> String {
    let cause = Cause::NoRootCertificates;
    let why = error.root_cause().to_string();
    let told = [
        fact("happened", why.trim_start_matches("unexpected error: ")),
        fact("to do", cause.hint()),
    ]
    .concat();
    format!(
        "FAILED: {}: {}\n{told}{FAREWELL}",
        cause.as_str(),
        cause.summary()
    )
}

/// What came of it.
pub fn report(account: &Account, observation: &AccountState, now: Moment) -> String {
    let warnings = Warning::active(account, observation, now);
    let told: String = warnings
        .iter()
        .map(|warning| told_warning(*warning, observation))
        .collect();
    let verdict = match &observation.last_fetch {
        None => "FAILED: stopped before there was an answer\n".to_owned(),
        Some(FetchReport {
            failure: Some(failure),
            ..
        }) => failed(failure, observation, now),
        Some(_) => well(&account.name, warnings.len()),
    };
    format!("{}{told}{verdict}", facts(account, observation, now))
}

/// What came of several, and a last word.
pub fn closing(verdicts: &CheckSummary) -> String {
    let CheckSummary {
        well,
        failed,
        unasked,
    } = verdicts;
    let all = well.len() + failed.len() + unasked.len();
    let told = |what: &str, names: &[String]| match names.len() {
        0 => String::new(),
        some => format!("{what}, {some} of {all} accounts: {}\n", names.join(", ")),
    };
    let summary = match all {
        1 => String::new(),
        _ if well.len() == all => format!("All {all} accounts can be read.\n"),
        _ => [told("Cannot be read", failed), told("Not checked", unasked)].concat(),
    };
    summary + FAREWELL
}

fn well(account: &str, warnings: usize) -> String {
    match warnings {
        0 => format!("OK: account {account} can be read.\n"),
        1 => format!("OK, with a warning: account {account} can be read.\n"),
        _ => format!("OK, with {warnings} warnings: account {account} can be read.\n"),
    }
}

fn told_warning(warning: Warning, observation: &AccountState) -> String {
    let title = format!("WARNING: {}: {}\n", warning.as_str(), warning.summary());
    match &observation.directory_failure {
        Some(failure) if warning == Warning::ExtensionsNotRead => {
            let because = format!("{}: {}", failure.cause.as_str(), failure.cause.summary());
            title + &fact("because", &because) + &happened(failure)
        }
        _ if warning == Warning::SameUser => {
            let other = observation
                .api
                .same_user_account
                .as_deref()
                .unwrap_or_default();
            title
                + &fact("because", &format!("account {other} is logged in too"))
                + &fact("to do", warning.hint())
        }
        _ => title + &fact("to do", warning.hint()),
    }
}

fn failed(failure: &Failure, observation: &AccountState, now: Moment) -> String {
    let title = format!(
        "FAILED: {}: {}\n",
        failure.cause.as_str(),
        failure.cause.summary()
    );
    let wait =
        penalty(failure, observation, now).map(|seconds| fact("wait", &format!("{seconds} s")));
    title + &wait.unwrap_or_default() + &happened(failure)
}

fn happened(failure: &Failure) -> String {
    let id = failure
        .request_id
        .as_ref()
        .map_or(String::new(), |id| fact("request id", id));
    [
        fact("happened", &failure.message),
        id,
        fact("to do", failure.cause.hint()),
    ]
    .concat()
}

/// The seconds for which RingCentral wants to hear nothing. The exporter's own back-off is none of its penalties.
fn penalty(failure: &Failure, observation: &AccountState, now: Moment) -> Option<u64> {
    if !matches!(failure.cause, Cause::RateLimited | Cause::ServerError) {
        return None;
    }
    let wait = observation.api.blocked_for(failure.operation, now)?;
    Some(wait.as_secs_f64().ceil() as u64)
}

// === What is known ===

fn facts(account: &Account, observation: &AccountState, now: Moment) -> String {
    let api = &observation.api;
    let fetched = observation.last_fetch.as_ref();
    let logged_in = fetched.is_some_and(|fetch| {
        fetch
            .failure
            .as_ref()
            .is_none_or(|it| it.operation != Operation::Token)
    });
    let known = [
        logged_in.then(|| fact("login", "accepted")),
        end_of_jwt(account, api.jwt_expiry, now).map(|end| fact("JWT", &end)),
        api.account_id.as_ref().map(|id| fact("account id", id)),
        observation
            .snapshot
            .as_ref()
            .map(|_| fact("calls", &calls(observation))),
        limits(&api.rate_limits).map(|limits| fact("limit", &limits)),
        observation
            .snapshot
            .as_ref()
            .map(|_| fact("pace", &pace(observation))),
        directory(account, observation).map(|extensions| fact("extensions", &extensions)),
    ];
    known.into_iter().flatten().collect()
}

/// Of what is no JWT nothing can be told.
fn end_of_jwt(account: &Account, end: Option<f64>, now: Moment) -> Option<String> {
    match end {
        Some(end) => end_in_words(end, now),
        None => account
            .jwt
            .read()
            .is_ok_and(|jwt| is_well_formed_jwt(&jwt))
            .then(|| "names no end".to_owned()),
    }
}

fn end_in_words(end: f64, now: Moment) -> Option<String> {
    let wall = jiff::Timestamp::from_second(end as i64).ok()?;
    let left = end - unix_seconds(now.wall);
    let (days, hours) = ((left / 86_400.0).floor(), (left / 3600.0).floor());
    let when = match () {
        () if left <= 0.0 => "is past".to_owned(),
        () if days < 2.0 => format!("in {hours} hours"),
        () => format!("in {days} days"),
    };
    Some(format!(
        "ends on {}: {when}",
        wall.strftime("%Y-%m-%d at %H:%M UTC")
    ))
}

fn calls(observation: &AccountState) -> String {
    let snapshot = observation
        .snapshot
        .as_ref()
        .map(|listing| &listing.snapshot);
    let records: u64 = snapshot.map_or(0, |snapshot| snapshot.records.values().sum());
    let live = snapshot.map_or(0, |snapshot| snapshot.sessions_in_progress);
    let pages = observation
        .last_fetch
        .as_ref()
        .map_or(0, |fetch| fetch.pages);
    let count = |number: u64, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    format!(
        "{} in progress; {} on {}",
        count(live, "call", "calls"),
        count(records, "record", "records"),
        count(pages.into(), "page", "pages")
    )
}

fn limits(limits: &[ReportedLimit]) -> Option<String> {
    let told = limits.iter().map(|limit| {
        let left = limit
            .remaining
            .map_or(String::new(), |remaining| format!(", {remaining} left"));
        format!(
            "group {}: {} requests in {} s{left}",
            limit.group,
            limit.limit,
            limit.window.as_secs()
        )
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn pace(observation: &AccountState) -> String {
    format!(
        "a fetch every {} s at most; a fifth of the limit is left to other tools",
        observation.api.min_fetch_interval.as_secs_f64()
    )
}

fn directory(account: &Account, observation: &AccountState) -> Option<String> {
    match &observation.directory {
        Some(listed) => Some(format!(
            "{} in the account's list",
            listed.directory.entries().len()
        )),
        None if account.level == Level::Extension => Some("not asked for at this level".to_owned()),
        None if observation.snapshot.is_some() && observation.directory_failure.is_none() => {
            Some("not asked for, since no label shows them".to_owned())
        }
        None => None,
    }
}

// === Form ===

/// A name and what is known of it, in lines that are not too long.
fn fact(name: &str, value: &str) -> String {
    let mut text = format!("  {name:<width$}", width = INDENT - 2);
    let mut column = INDENT;
    for (index, word) in value.split(' ').enumerate() {
        let wraps = index > 0 && column + 1 + word.chars().count() > WIDTH;
        match index {
            0 => {}
            _ if wraps => text.push_str(&format!("\n{:INDENT$}", "")),
            _ => text.push(' '),
        }
        column = if wraps {
            INDENT
        } else {
            column + usize::from(index > 0)
        } + word.chars().count();
        text.push_str(word);
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_goes_on_below_where_it_began() {
        let text = fact("to do", &"word ".repeat(40));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
        assert!(
            lines[0].starts_with("  to do       word")
                && lines[1].starts_with("              word"),
            "{text}"
        );
    }

    #[test]
    fn the_end_of_a_jwt_is_told_in_days_then_hours() {
        let now = Moment {
            wall: "2026-11-24T10:00:00Z".parse().unwrap(),
            ..Moment::now()
        };
        let told = |seconds: f64| end_in_words(unix_seconds(now.wall) + seconds, now).unwrap();
        assert_eq!(
            told(30.0 * 86_400.0),
            "ends on 2026-12-24 at 10:00 UTC: in 30 days"
        );
        assert_eq!(
            told(90_000.0),
            "ends on 2026-11-25 at 11:00 UTC: in 25 hours"
        );
        assert_eq!(told(-60.0), "ends on 2026-11-24 at 09:59 UTC: is past");
    }
}
