//! Small pieces of the page.

use maud::{Markup, html};

use crate::http::landing_page::health::Health;

/// Renders the state of an account as a coloured label.
pub(super) fn health_badge(health: Health) -> Markup {
    html! { span.state.(health.css_class()) { (health.label()) } }
}

/// Returns `text` with its first letter in upper case.
pub(super) fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first) => format!("{}{}", first.to_uppercase(), rest.as_str()),
        None => String::new(),
    }
}

/// Returns a phrase as a sentence.
pub(super) fn sentence(phrase: &str) -> String {
    capitalize(phrase) + "."
}
