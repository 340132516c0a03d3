//! Section of one account: its state, what to do about a failure, then the details.

use maud::{Markup, html};

use crate::account::facts::{
    blocked_for, config_facts, format_duration, last_failure, state_facts,
};
use crate::account::warning::Warning;
use crate::clock::Moment;
use crate::http::landing_page::AccountSummary;
use crate::http::landing_page::format::{capitalize, health_badge, sentence};
use crate::ringcentral::Error;

/// Renders the section of an account.
pub(super) fn section(summary: &AccountSummary, telemetry_path: &str, now: Moment) -> Markup {
    let name = &summary.account.name;
    html! {
        section.account.(summary.health.css_class()) id={ "account-" (name) } aria-labelledby={ "name-" (name) } {
            h2 id={ "name-" (name) } { "Account " (name) ": " (health_badge(summary.health)) }
            (headline(summary, now))
            (problems(summary, now))
            (details(summary, telemetry_path, now))
        }
    }
}

/// Renders the number of calls in progress and its age.
fn headline(summary: &AccountSummary, now: Moment) -> Markup {
    html! {
        p.lead {
            @if let Some(calls) = summary.calls {
                strong { (calls) }
                @if calls == 1 { " call in progress " } @else { " calls in progress " }
                @if let Some(age) = summary.age(now) { span.age { (age) " ago" } }
            } @else {
                "Calls unknown "
                @if let Some(age) = summary.age(now) { span.age { "last fetched " (age) " ago" } }
            }
        }
    }
}

fn problems(summary: &AccountSummary, now: Moment) -> Markup {
    let state = &summary.state;
    html! {
        @if let Some(explanation) = summary.health.explanation() {
            p { (explanation) }
        }
        @if let Some(failure) = last_failure(state) {
            (problem("What failed", failure, blocked_for(state, now).map(format_duration)))
        }
        @if let Some(failure) = &state.directory_failure {
            (problem("The list of extensions was not read", failure, None))
        }
        @if let Some(other) = &state.api.same_user_account {
            (same_user(other))
        }
    }
}

fn problem(title: &str, failure: &Error, next_attempt: Option<String>) -> Markup {
    html! {
        div.problem {
            h3 { (title) }
            p { (sentence(failure.cause.summary())) " " code { (failure.cause.as_str()) } }
            p.small {
                (failure)
                @if let Some(id) = &failure.request_id { ", request id " (id) }
            }
            @if let Some(wait) = next_attempt { p { "The next attempt is in " (wait) "." } }
            h3 { "What to do" }
            p { (sentence(failure.cause.hint())) }
        }
    }
}

fn same_user(other: &str) -> Markup {
    html! {
        div.problem {
            h3 { "One user, two accounts" }
            p {
                (sentence(Warning::SameUser.summary())) " The other account is "
                a href={ "#account-" (other) } { (other) } "."
            }
            h3 { "What to do" }
            p { (sentence(Warning::SameUser.hint())) }
        }
    }
}

fn details(summary: &AccountSummary, telemetry_path: &str, now: Moment) -> Markup {
    let account = &summary.account;
    let mut facts = state_facts(account, &summary.state, summary.max_age, now);
    facts.extend(config_facts(account));
    let metrics = format!("{telemetry_path}?account={}", account.name);
    html! {
        table.details {
            @for fact in facts {
                tr { th scope="row" { (capitalize(fact.name)) } td { (fact.text) } }
            }
            tr { th scope="row" { "Metrics" } td { a href=(metrics) { (metrics) } } }
        }
    }
}
