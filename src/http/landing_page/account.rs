//! One account's section.
//!
//! Owns: what stands there, and in which order: how it is, what to do about it, then the details.

use crate::account::state::AccountState;
use crate::account::warning::Warning;
use crate::clock::Moment;
use crate::config::{Account, Level};
use crate::http::landing_page::AccountSummary;
use crate::http::landing_page::format::{count, escape, row, sentence};
use crate::http::landing_page::health::blocked_for;
use crate::http::landing_page::time;
use crate::ringcentral::status::{Failure, ReportedLimit};

pub fn section(it: &AccountSummary, metrics: &str, now: Moment) -> String {
    let (name, class, words) = (escape(&it.account.name), it.state.class(), it.state.words());
    format!(
        "<section class=\"account {class}\" id=\"account-{name}\" aria-labelledby=\"name-{name}\">\
         <h2 id=\"name-{name}\">Account {name}: <span class=\"state {class}\">{words}</span></h2>\
         {}{}{}</section>",
        lead(it, now),
        problems(it, now),
        details(it, &escape(metrics), now)
    )
}

/// The number that people come for.
fn lead(it: &AccountSummary, now: Moment) -> String {
    let age = it
        .observation
        .snapshot
        .as_ref()
        .map(|listing| time::words(now.saturating_duration_since(listing.fetched_at)));
    match (it.calls, age) {
        (Some(calls), Some(age)) => {
            let calls = count(calls, "</strong> call", "</strong> calls");
            format!(
                "<p class=lead><strong>{calls} in progress <span class=age>as of {age} ago</span></p>"
            )
        }
        (None, Some(age)) => {
            format!("<p class=lead>Calls unknown <span class=age>last seen {age} ago</span></p>")
        }
        _ => "<p class=lead>Calls unknown</p>".to_owned(),
    }
}

fn problems(it: &AccountSummary, now: Moment) -> String {
    let told = it.failure().map(|failure| {
        problem(
            "What failed",
            failure,
            blocked_for(&it.observation, now).map(time::words),
        )
    });
    let directory = it.observation.directory_failure.as_ref();
    let directory =
        directory.map(|failure| problem("The list of extensions was not read", failure, None));
    let meaning = it
        .state
        .meaning()
        .map_or(String::new(), |meaning| format!("<p>{meaning}</p>"));
    meaning + &told.unwrap_or_default() + &directory.unwrap_or_default() + &same_user(it)
}

fn same_user(it: &AccountSummary) -> String {
    let Some(other) = &it.observation.api.same_user_account else {
        return String::new();
    };
    let (other, warning) = (escape(other), Warning::SameUser);
    format!(
        "<div class=problem><h3>One user, two accounts</h3><p>{} It is <a href=\"#account-{other}\">{other}</a>.</p>\
         <h3>What to do</h3><p>{}</p></div>",
        sentence(warning.summary()),
        sentence(warning.hint())
    )
}

fn problem(title: &str, failure: &Failure, next: Option<String>) -> String {
    let id = failure
        .request_id
        .as_ref()
        .map_or(String::new(), |id| format!(", request id {}", escape(id)));
    let next = next.map_or(String::new(), |next| {
        format!("<p>The next try is in {next}.</p>")
    });
    format!(
        "<div class=problem><h3>{title}</h3><p>{} <code>{}</code></p><p class=small>{}{id}</p>{next}<h3>What to do</h3><p>{}</p></div>",
        sentence(failure.cause.summary()),
        escape(failure.cause.as_str()),
        escape(&failure.message),
        sentence(failure.cause.hint())
    )
}

fn details(it: &AccountSummary, metrics: &str, now: Moment) -> String {
    let (account, observation, api) = (&it.account, &it.observation, &it.observation.api);
    let token = api.token_expiry.filter(|end| !end.is_past(now));
    let token = token.map_or("none at present".to_owned(), |end| {
        format!(
            "ends in {}",
            time::words(end.saturating_duration_since(now))
        )
    });
    let name = escape(&account.name);
    let rows = [
        row("Last fetch", &last_fetch(observation)),
        row("Requests left", &budget(&api.rate_limits)),
        row(
            "Pace",
            &format!(
                "a fetch every {} s at most",
                api.min_fetch_interval.as_secs_f64()
            ),
        ),
        row("Extensions", &extensions(account, observation, now)),
        row("Access token", &token),
        row("JWT", &time::end_of_jwt(api.jwt_expiry, now)),
        row(
            "Account id",
            api.account_id.as_deref().unwrap_or("not yet known"),
        ),
        row("Level", level(account.level)),
        row("Server", &account.server.origin().ascii_serialization()),
        format!(
            "<tr><th scope=row>Metrics<td><a href=\"{metrics}?account={name}\">{metrics}?account={name}</a>"
        ),
    ];
    format!("<table class=details>{}</table>", rows.concat())
}

fn last_fetch(observation: &AccountState) -> String {
    let Some(fetch) = &observation.last_fetch else {
        return "none so far".to_owned();
    };
    let pages = count(fetch.pages.into(), "page", "pages");
    let records = observation
        .snapshot
        .as_ref()
        .map(|listing| listing.snapshot.records.values().sum());
    match (&fetch.failure, records) {
        (None, Some(records)) => {
            format!(
                "{} on {pages}, in {} ms",
                count(records, "record", "records"),
                fetch.duration.as_millis()
            )
        }
        _ => format!("failed after {} ms", fetch.duration.as_millis()),
    }
}

/// As the last answers said; it may be long past.
fn budget(limits: &[ReportedLimit]) -> String {
    let told = limits.iter().map(|limit| {
        let left = limit
            .remaining
            .map_or("?".to_owned(), |left| left.to_string());
        format!(
            "{}: {left} of {} in {} s",
            limit.group,
            limit.limit,
            limit.window.as_secs()
        )
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        "RingCentral has not said yet".to_owned()
    } else {
        told.join("; ")
    }
}

fn extensions(account: &Account, observation: &AccountState, now: Moment) -> String {
    match &observation.directory {
        Some(listed) => {
            let entries = count(
                listed.directory.entries().len() as u64,
                "extension",
                "extensions",
            );
            format!(
                "{entries}, read {} ago",
                time::words(now.saturating_duration_since(listed.fetched_at))
            )
        }
        None if account.level == Level::Extension => "not asked for at this level".to_owned(),
        None => "not read".to_owned(),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Account => "account: the calls of all extensions",
        Level::Extension => "extension: the calls of the JWT's user alone",
    }
}
