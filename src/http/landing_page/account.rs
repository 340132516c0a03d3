//! Section of one account: its state, what to do about a failure, then the details.

use maud::{Markup, html};

use crate::account::facts::{format_duration, format_wait};
use crate::http::landing_page::{fact_rows, health_badge, problem};
use crate::http::status::AccountStatus;

/// Renders the section of an account.
pub(super) fn section(account: &AccountStatus, telemetry_path: &str) -> Markup {
    let name = &account.name;
    let metrics = format!("{telemetry_path}?account={name}");
    html! {
        section.account.(account.health.name()) id={ "account-" (name) } aria-labelledby={ "name-" (name) } {
            h2 id={ "name-" (name) } { "Account " (name) ": " (health_badge(account.health)) }
            (headline(account))
            @if let Some(explanation) = account.health.explanation() { p { (explanation) } }
            @if let Some(failure) = &account.failure { (problem("What failed", failure)) }
            @for warning in &account.warnings { (problem("Warning", warning)) }
            table.details {
                (fact_rows(&account.facts))
                tr { th scope="row" { "Metrics" } td { a href=(metrics) { (metrics) } } }
            }
        }
    }
}

/// Renders the number of calls in progress, its age, and when the next fetch is possible.
fn headline(account: &AccountStatus) -> Markup {
    let age = account.age.map(format_duration);
    html! {
        p.lead {
            @if let Some(calls) = account.calls {
                strong { (calls) }
                @if calls == 1 { " call in progress " } @else { " calls in progress " }
                @if let Some(age) = age { span.age { (age) " ago" } }
            } @else {
                "Calls unknown "
                @if let Some(age) = age { span.age { "last fetched " (age) " ago" } }
            }
            @if let Some(wait) = account.next_fetch_wait {
                br;
                span.age { "Next fetch possible in " (format_wait(wait)) }
            }
        }
    }
}
