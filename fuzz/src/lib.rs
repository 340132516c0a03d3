//! What must hold whatever bytes come in. Each target takes an input, and panics if a claim about it does not hold.
//!
//! Owns: the claims, and parsers of its own to check them by, so that no mistake of the exporter can agree with itself.
//! Refuses to know: who makes the inputs. `src/main.rs` gives them from libFuzzer, `tests/replay.rs` from files.

mod accounts;
mod api_error;
mod exporter;
pub mod exposition;
mod extensions;
mod headers;
pub mod json;
mod page;
mod private;
mod request;
mod tally;
mod token;
mod web;

use ringcentral_exporter::ringcentral::wire::Malformed;

/// A claim about any input.
pub type Target = fn(&[u8]);

/// All targets, by the names that their folders have.
pub const TARGETS: [(&str, Target); 8] = [
    ("accounts", accounts::check),
    ("api_error", api_error::check),
    ("extensions", extensions::check),
    ("headers", headers::check),
    ("page", page::check),
    ("request", request::check),
    ("token", token::check),
    ("web", web::check),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, target)| *target)
}

/// Asserts that a text is one line of visible characters.
#[track_caller]
fn assert_one_line(text: &str) {
    assert!(
        !text.is_empty() && !text.contains(char::is_control),
        "not one line: {text:?}"
    );
}

/// Asserts that a complaint about a body is of the few that there are, and so repeats nothing of it.
#[track_caller]
fn assert_closed_words(complaint: &Malformed, what: &str) {
    let words: String = complaint
        .0
        .chars()
        .filter(|c| !c.is_ascii_digit())
        .collect();
    let kinds = ["JSON of another form", "cut short or empty", "no JSON"];
    let known = kinds.map(|kind| format!("not {what}: {kind} at line  column "));
    let whole =
        ["a JSON array", "bytes that are no text"].map(|kind| format!("not {what}: {kind}"));
    assert!(
        known.contains(&words) || whole.contains(&words),
        "{complaint}"
    );
}
