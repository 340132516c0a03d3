//! The landing page at `/`: the state of each account, for a browser.
//!
//! It is one HTML document without scripts and external resources; its style sheet is allowed by hash. It does not refresh
//! itself, because a reload takes a screen reader back to the start of the page. States are written as words, colours
//! only repeat them.

mod account;
mod format;
mod health;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::format::health_badge;
use self::health::Health;
use crate::account::facts::{format_duration, last_failure, plural};
use crate::account::manager::AccountHandle;
use crate::account::state::AccountState;
use crate::clock::Moment;
use crate::config::{Account, ReloadStatus};

const STYLE: &str = include_str!("style.css");
const DESCRIPTION: &str = "Exports the active calls of RingCentral accounts as Prometheus metrics.";
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S UTC";

/// Value of the `Content-Security-Policy` header: allows nothing but the style sheet.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    let hash = STANDARD.encode(digest);
    let only = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src";
    HeaderValue::try_from(format!("{only} 'sha256-{hash}'"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// One account at one moment.
struct AccountSummary {
    account: Arc<Account>,
    state: Arc<AccountState>,
    health: Health,
    /// Calls in progress, unless the snapshot is too old.
    calls: Option<u64>,
    /// Maximum age of a snapshot.
    max_age: Duration,
}

/// Renders the page, accounts with problems first.
#[must_use]
pub(crate) fn render(
    accounts: &[AccountHandle],
    reload: &ReloadStatus,
    telemetry_path: &str,
    max_age: Duration,
    now: Moment,
) -> String {
    let mut summaries = Vec::new();
    for handle in accounts {
        let (account, state) = (handle.config.clone(), handle.collector.state());
        summaries.push(AccountSummary::new(account, state, max_age, now));
    }
    summaries.sort_by(|a, b| (a.health, &a.account.name).cmp(&(b.health, &b.account.name)));
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title(&summaries)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "RingCentral exporter" }
                    p { (DESCRIPTION) }
                }
                main {
                    p.summary { (overall_summary(&summaries)) }
                    @if !reload.last_reload_successful { (failed_reload(reload)) }
                    @if summaries.len() > 1 { (overview(&summaries, now)) }
                    @for summary in &summaries { (account::section(summary, telemetry_path, now)) }
                }
                footer {
                    nav aria-label="Links" {
                        h2 { "Links" }
                        (links(telemetry_path))
                    }
                    p {
                        "Version " (env!("CARGO_PKG_VERSION")) " (" (env!("BUILD_REVISION")) "). Created at "
                        (now.wall.strftime(TIME_FORMAT)) "; this page does not refresh itself. \
                        Viewing this page makes no API requests."
                    }
                }
            }
        }
    };
    document.into_string()
}

/// Returns the title, which begins with the worst state so that a browser tab shows it.
fn title(summaries: &[AccountSummary]) -> String {
    match summaries.first() {
        Some(worst) => format!("{}: RingCentral exporter", worst.health.label()),
        None => "RingCentral exporter".to_owned(),
    }
}

/// Returns how many accounts are in which state, and their calls. The accounts are sorted by state.
fn overall_summary(summaries: &[AccountSummary]) -> String {
    let mut states = Vec::new();
    for group in summaries.chunk_by(|a, b| a.health == b.health) {
        let [first, ..] = group else {
            continue;
        };
        let label = first.health.label().to_lowercase();
        if summaries.len() == 1 {
            states.push(label);
        } else {
            states.push(format!("{} {label}", group.len()));
        }
    }
    let known: Vec<u64> = summaries.iter().filter_map(|it| it.calls).collect();
    let mut calls = plural(known.iter().sum(), "call") + " in progress";
    if known.is_empty() {
        calls = "Number of calls unknown".to_owned();
    } else if known.len() < summaries.len() {
        calls += &format!(" in {} of them", known.len());
    }
    let accounts = plural(summaries.len() as u64, "account");
    format!("{accounts}: {}. {calls}.", states.join(", "))
}

/// Renders that the last reload failed. The error is only in the log: not every visitor may read the files that it quotes.
fn failed_reload(reload: &ReloadStatus) -> Markup {
    html! {
        div.problem {
            h2 { "The last reload failed" }
            p {
                "The exporter keeps the configuration of " (reload.last_success.strftime(TIME_FORMAT))
                ". A restart would fail."
            }
            h3 { "What to do" }
            p { "Correct the error that the log shows, then reload." }
        }
    }
}

fn overview(summaries: &[AccountSummary], now: Moment) -> Markup {
    html! {
        section aria-labelledby="overview" {
            h2 id="overview" { "Accounts" }
            table.overview {
                thead {
                    tr {
                        th scope="col" { "Account" }
                        th scope="col" { "State" }
                        th.number scope="col" { "Calls" }
                        th.number scope="col" { "Age" }
                    }
                }
                tbody { @for summary in summaries { (overview_row(summary, now)) } }
            }
        }
    }
}

fn overview_row(summary: &AccountSummary, now: Moment) -> Markup {
    let name = &summary.account.name;
    html! {
        tr {
            th scope="row" { a href={ "#account-" (name) } { (name) } }
            td {
                (health_badge(summary.health))
                @if let Some(failure) = last_failure(&summary.state) { " " code { (failure.cause.as_str()) } }
            }
            td.number { @if let Some(calls) = summary.calls { (calls) } @else { "–" } }
            td.number { @if let Some(age) = summary.age(now) { (age) } @else { "–" } }
        }
    }
}

fn links(telemetry_path: &str) -> Markup {
    html! {
        ul {
            li {
                a href=(telemetry_path) { (telemetry_path) }
                ": metrics for Prometheus; a request fetches from RingCentral if the rate limit allows it"
            }
            li { a href="/sd" { "/sd" } ": one target per account, for Prometheus service discovery" }
            li { a href="/-/healthy" { "/-/healthy" } " and " a href="/-/ready" { "/-/ready" } ": for probes" }
        }
    }
}

impl AccountSummary {
    fn new(
        account: Arc<Account>,
        state: Arc<AccountState>,
        max_age: Duration,
        now: Moment,
    ) -> Self {
        let fresh = state.fresh(now, max_age);
        let calls = fresh.map(|fetched| fetched.snapshot.sessions_in_progress);
        Self {
            health: Health::from_state(&state, max_age, now),
            account,
            state,
            calls,
            max_age,
        }
    }

    /// Returns the age of the last snapshot in words.
    fn age(&self, now: Moment) -> Option<String> {
        let fetched = self.state.snapshot.as_ref()?;
        Some(format_duration(
            now.saturating_duration_since(fetched.fetched_at),
        ))
    }
}

#[cfg(test)]
mod tests;
