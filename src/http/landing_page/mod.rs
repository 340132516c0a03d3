//! The page at `/`: for a person who has just opened the port in a browser.
//!
//! Owns: the document around the accounts, its style and what it allows a browser: nothing but that style, named by its
//! hash. It reads what is known, and asks RingCentral for nothing. It does not refresh itself: a page that reloads takes a
//! screen reader back to its start and a reader's eye from the line; it says when it was made instead, and the browser's
//! own reload does the rest. States are told by words, colours only repeat them. `state` says how an account is,
//! `account` writes its section, `html` and `time` have the small forms.

mod account;
mod format;
mod health;
mod time;

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use health::Health;
use hyper::header::HeaderValue;

use self::format::{count, escape};
use crate::account::manager::AccountHandle;
use crate::account::state::AccountState;
use crate::clock::Moment;
use crate::config::Account;
use crate::http::routes::AppState;
use crate::ringcentral::status::Failure;

const STYLE: &str = include_str!("style.css");
const ABOUT: &str = "Turns the active calls of RingCentral accounts into metrics for Prometheus.";

/// What a browser may do with the page.
pub static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(ring::digest::digest(
        &ring::digest::SHA256,
        STYLE.as_bytes(),
    ));
    let only = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src";
    HeaderValue::try_from(format!("{only} 'sha256-{hash}'"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// An account as it is now.
struct AccountSummary {
    account: Arc<Account>,
    observation: Arc<AccountState>,
    state: Health,
    calls: Option<u64>,
}

/// The page as it is now, the worst first.
#[must_use]
pub fn render(app: &AppState, now: Moment) -> String {
    let mut shown: Vec<_> = app
        .accounts
        .accounts()
        .iter()
        .map(|it| AccountSummary::new(it, app, now))
        .collect();
    shown.sort_by(|a, b| (a.state, &a.account.name).cmp(&(b.state, &b.account.name)));
    let overview = if shown.len() > 1 {
        overview(&shown, now)
    } else {
        String::new()
    };
    let sections: String = shown
        .iter()
        .map(|it| account::section(it, &app.telemetry_path, now))
        .collect();
    let (summary, links) = (summary(&shown), links(&app.telemetry_path));
    let reload = failed_reload(app);
    let made = now.wall.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body>\
         <header><h1>RingCentral exporter</h1><p>{ABOUT}</p></header>\
         <main><p class=summary>{summary}</p>{reload}{overview}{sections}</main>\
         <footer><nav aria-label=Links><h2>Links</h2>{links}</nav><p>Version {version} ({revision}). This page was made at {made} \
         and does not refresh itself: reload it for the present state. Looking at it asks RingCentral for nothing.</p></footer></body></html>",
        title = title(&shown),
        version = env!("CARGO_PKG_VERSION"),
        revision = env!("BUILD_REVISION"),
    )
}

/// The worst state, so that a row of tabs tells it.
fn title(shown: &[AccountSummary]) -> String {
    let worst = shown
        .first()
        .map_or(String::new(), |it| format!("{}: ", it.state.words()));
    format!("{worst}RingCentral exporter")
}

/// How many accounts are how, and how many calls that makes.
fn summary(shown: &[AccountSummary]) -> String {
    let in_state = |state: Health| shown.iter().filter(|it| it.state == state).count() as u64;
    let states = Health::ALL.into_iter().filter(|state| in_state(*state) > 0);
    let words = |state: Health| match shown.len() {
        1 => state.words().to_lowercase(),
        _ => format!("{} {}", in_state(state), state.words().to_lowercase()),
    };
    let states: Vec<_> = states.map(words).collect();
    let known: Vec<_> = shown.iter().filter_map(|it| it.calls).collect();
    let calls = match known.len() {
        0 => "No number of calls is known".to_owned(),
        accounts if accounts == shown.len() => {
            count(known.iter().sum(), "call", "calls") + " in progress"
        }
        accounts => format!(
            "{} in progress in {accounts} of them",
            count(known.iter().sum(), "call", "calls")
        ),
    };
    format!(
        "{}: {}. {calls}.",
        count(shown.len() as u64, "account", "accounts"),
        states.join(", ")
    )
}

/// The log has the mistake itself, which may stand in a file that not everybody may read.
fn failed_reload(app: &AppState) -> String {
    let state = app.reloader.status();
    if state.last_reload_successful {
        return String::new();
    }
    let read = state.last_success.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "<div class=problem><h2>The last reload failed</h2><p>All runs on as it was read at {read}. A restart would not come up.</p>\
         <h3>What to do</h3><p>The log has the mistake: correct it and reload.</p></div>"
    )
}

fn overview(shown: &[AccountSummary], now: Moment) -> String {
    let mut table = "<section aria-labelledby=overview><h2 id=overview>Accounts</h2><table class=overview><thead><tr>\
        <th scope=col>Account<th scope=col>State<th scope=col class=number>Calls<th scope=col class=number>Age<tbody>"
        .to_owned();
    for it in shown {
        let (name, state) = (escape(&it.account.name), it.state);
        let age = it
            .observation
            .snapshot
            .as_ref()
            .map_or("–".to_owned(), |list| {
                time::words(now.saturating_duration_since(list.fetched_at))
            });
        let calls = it.calls.map_or("–".to_owned(), |calls| calls.to_string());
        let cause = it.failure().map_or(String::new(), |it| {
            format!(" <code>{}</code>", escape(it.cause.as_str()))
        });
        let _ = write!(
            table,
            "<tr><th scope=row><a href=\"#account-{name}\">{name}</a><td><span class=\"state {}\">{}</span>{cause}\
             <td class=number>{calls}<td class=number>{age}",
            state.class(),
            state.words()
        );
    }
    table + "</table></section>"
}

fn links(metrics: &str) -> String {
    let metrics = escape(metrics);
    format!(
        "<ul><li><a href=\"{metrics}\">{metrics}</a> the metrics, for Prometheus: it fetches if the limit allows\
         <li><a href=\"/sd\">/sd</a> each account as a target, for Prometheus' service discovery\
         <li><a href=\"/-/healthy\">/-/healthy</a> and <a href=\"/-/ready\">/-/ready</a> for probes</ul>"
    )
}

impl AccountSummary {
    fn new(it: &AccountHandle, app: &AppState, now: Moment) -> Self {
        let observation = it.collector.state();
        let fresh = observation.fresh(now, app.scrape.max_age);
        let calls = fresh.map(|listing| listing.snapshot.sessions_in_progress);
        let state = Health::of(&observation, app.scrape.max_age, now);
        Self {
            account: it.account.clone(),
            observation,
            state,
            calls,
        }
    }

    /// Of the last fetch.
    fn failure(&self) -> Option<&Failure> {
        self.observation.last_fetch.as_ref()?.failure.as_ref()
    }
}

#[cfg(test)]
mod tests;
