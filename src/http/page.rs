//! The page at `/`: for a person who has just opened the port in a browser.
//!
//! Owns: its words. It reads what is known and asks RingCentral for nothing.

use std::fmt::Write;

use super::routes::{App, ObservedAccount};
use crate::calls::Observation;
use crate::calls::observation::FetchReport;
use crate::clock::Moment;
use crate::config::Scrape;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse}th,td{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top}\
    :root{color-scheme:light dark}";

/// The page as it is now.
#[must_use]
pub fn html(app: &App, now: Moment) -> String {
    let mut accounts = String::new();
    for account in &app.accounts {
        accounts.push_str(&account_section(account, &app.scrape, now));
    }
    let metrics = escape(&app.telemetry_path);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>ringcentral-exporter</title><style>{STYLE}</style>\
         <h1>ringcentral-exporter</h1><p>Version {}. Turns the active calls of RingCentral accounts into metrics for \
         Prometheus.</p><ul><li><a href=\"{metrics}\">{metrics}</a>: the metrics; fetches from RingCentral if its limit \
         allows<li><a href=\"/-/healthy\">/-/healthy</a>, <a href=\"/-/ready\">/-/ready</a>: for probes</ul>{accounts}",
        env!("CARGO_PKG_VERSION")
    )
}

fn account_section(account: &ObservedAccount, scrape: &Scrape, now: Moment) -> String {
    let observation = account.observer.latest();
    let rows = [
        ("State", state(&observation, scrape, now)),
        ("Snapshot", snapshot(&observation, scrape, now)),
        ("Budget", budget(&observation, now)),
        ("Server", account.account.server.origin().ascii_serialization()),
        ("Level", account.account.level.as_str().to_owned()),
    ];
    let mut section = format!("<h2>Account {}</h2><table>", escape(&account.account.name));
    for (name, value) in rows {
        let _ = write!(section, "<tr><th scope=row>{name}<td>{}", escape(&value));
    }
    section + "</table>"
}

fn state(observation: &Observation, scrape: &Scrape, now: Moment) -> String {
    match &observation.fetch {
        None => "no fetch has finished yet; a scrape starts one".to_owned(),
        Some(FetchReport { failure: Some(failure), .. }) => {
            format!("failing: {}. What to do: {}", failure.what, failure.advice)
        }
        Some(_) if observation.is_up(now, scrape.max_age) => "up".to_owned(),
        Some(_) => {
            "no fetch for a while, for want of scrapes or of leave: the last snapshot is too old to be shown".to_owned()
        }
    }
}

fn snapshot(observation: &Observation, scrape: &Scrape, now: Moment) -> String {
    let Some(listing) = &observation.latest else { return "none yet".to_owned() };
    let age = now.since(listing.taken).as_secs();
    match observation.fresh(now, scrape.max_age) {
        Some(listing) => format!("{age} s old, {} calls in progress", listing.snapshot.sessions_in_progress),
        None => format!("{age} s old: too old to be shown"),
    }
}

fn budget(observation: &Observation, now: Moment) -> String {
    let limits = observation.api.rate_limits.iter().map(|limit| {
        let seconds = limit.window.as_secs();
        let left = limit.remaining.map_or(String::new(), |remaining| format!(", {remaining} left at the last answer"));
        format!("{}: {} requests in {seconds} s{left}", limit.group, limit.limit)
    });
    let blocked = observation.api.blocked_until.iter().filter_map(|(operation, until)| {
        let wait = until.filter(|until| !until.has_come(now))?.since(now).as_secs();
        Some(format!("{operation} blocked for another {wait} s"))
    });
    let parts: Vec<_> = limits.chain(blocked).collect();
    if parts.is_empty() { "nothing announced yet".to_owned() } else { parts.join("; ") }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
