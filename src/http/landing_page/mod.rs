//! The landing page at `/`: the state of each account, for a browser.
//!
//! It is one HTML document without scripts and external resources; its style sheet is allowed by hash. It does not refresh
//! itself, because a reload takes a screen reader back to the start of the page. States are written as words, colours
//! only repeat them.

mod account;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::account::facts::{Fact, format_duration};
use crate::account::problem::Problem;
use crate::http::health::Health;
use crate::http::status::{AccountStatus, Status};

const STYLE: &str = include_str!("style.css");
const DESCRIPTION: &str = "Exports the active calls of RingCentral accounts as Prometheus metrics.";

/// Value of the `Content-Security-Policy` header: allows nothing but the style sheet.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    let hash = STANDARD.encode(digest);
    let only = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src";
    HeaderValue::try_from(format!("{only} 'sha256-{hash}'"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Renders the page; the accounts are sorted by state.
#[must_use]
pub(crate) fn render(status: &Status, telemetry_path: &str, now: Timestamp) -> String {
    let accounts = &status.accounts;
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title(accounts)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "RingCentral exporter" }
                    p { (DESCRIPTION) }
                }
                main {
                    p.summary { (status.summary()) }
                    @if let Some(failure) = &status.reload_failure {
                        section.account.failing aria-labelledby="reload" {
                            h2 id="reload" { "Configuration" }
                            (problem("What failed", failure))
                        }
                    }
                    @if accounts.len() > 1 { (overview(accounts)) }
                    @for account in accounts { (account::section(account, telemetry_path)) }
                }
                footer {
                    section aria-labelledby="exporter" {
                        h2 id="exporter" { "Exporter" }
                        table.details { (fact_rows(&status.exporter)) }
                    }
                    nav aria-label="Links" {
                        h2 { "Links" }
                        (links(telemetry_path))
                    }
                    p {
                        "Created at " (now.strftime("%Y-%m-%d %H:%M:%S UTC")) "; this page does not refresh itself. \
                        Viewing this page makes no API requests."
                    }
                }
            }
        }
    };
    document.into_string()
}

/// Returns the title, which begins with the worst state so that a browser tab shows it.
fn title(accounts: &[AccountStatus]) -> String {
    match accounts.first() {
        Some(worst) => format!("{}: RingCentral exporter", worst.health.label()),
        None => "RingCentral exporter".to_owned(),
    }
}

/// Renders the state of an account as a coloured label.
fn health_badge(health: Health) -> Markup {
    html! { span.state.(health.name()) { (health.label()) } }
}

fn fact_rows(facts: &[Fact]) -> Markup {
    html! {
        @for fact in facts {
            tr { th scope="row" { (capitalize(fact.name)) } td { (fact.text) } }
        }
    }
}

fn overview(accounts: &[AccountStatus]) -> Markup {
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
                tbody { @for account in accounts { (overview_row(account)) } }
            }
        }
    }
}

fn overview_row(account: &AccountStatus) -> Markup {
    let name = &account.name;
    html! {
        tr {
            th scope="row" { a href={ "#account-" (name) } { (name) } }
            td {
                (health_badge(account.health))
                @if let Some(failure) = &account.failure { " " code { (failure.name) } }
            }
            td.number { @if let Some(calls) = account.calls { (calls) } @else { "–" } }
            td.number { @if let Some(age) = account.age { (format_duration(age)) } @else { "–" } }
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
            li {
                a href="/status" { "/status" } ": this page as plain text, or "
                a href="/status?format=json" { "as JSON" }
            }
            li { a href="/sd" { "/sd" } ": one target per account, for Prometheus service discovery" }
            li { a href="/-/healthy" { "/-/healthy" } " and " a href="/-/ready" { "/-/ready" } ": for probes" }
        }
    }
}

fn problem(title: &str, problem: &Problem) -> Markup {
    html! {
        div.problem {
            h3 { (title) }
            p { (sentence(problem.summary)) " " code { (problem.name) } }
            p.small {
                @for detail in &problem.details { (capitalize(detail.name)) ": " (detail.text) br; }
            }
            h3 { "What to do" }
            p { (sentence(problem.hint)) }
        }
    }
}

/// Returns a phrase as a sentence.
fn sentence(phrase: &str) -> String {
    capitalize(phrase) + "."
}

/// Returns `text` with its first letter in upper case.
fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => format!("{}{}", first.to_uppercase(), rest.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
